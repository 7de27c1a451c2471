//! A log in memory, for demonstrations and tests.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    chain::Head,
    entry::{Entry, Seq},
    log::{Log, LogError, assert_follows},
};

/// Entries in a vector. They live as long as the log does.
#[derive(Debug, Default)]
pub struct MemoryLog {
    entries: RwLock<Vec<Entry>>,
}

impl MemoryLog {
    /// A log that holds these entries, whether they make a chain or not: for tests of checkers.
    pub fn of(entries: Vec<Entry>) -> MemoryLog {
        MemoryLog { entries: RwLock::new(entries) }
    }

    fn entries(&self) -> RwLockReadGuard<'_, Vec<Entry>> {
        // A panic in between cannot leave a vector half changed.
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, Vec<Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryLog {
    fn head(&self) -> Head {
        head(&self.entries())
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        let mut stored = self.entries_mut();
        assert_follows(head(&stored), entries);
        stored.extend_from_slice(entries);
        Ok(())
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        let from = usize::try_from(from.0).unwrap_or(usize::MAX);
        Ok(self.entries().iter().skip(from).take(limit).cloned().collect())
    }

    fn erased(&self, from: Seq, until: Seq) -> u64 {
        let entries = self.entries();
        let gone =
            |entry: &&Entry| (from..until).contains(&entry.seq()) && entry.payload().is_none();
        entries.iter().filter(gone).count() as u64
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        let target = usize::try_from(target.0).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries_mut().get_mut(target) {
            entry.erase();
        }
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

fn head(entries: &[Entry]) -> Head {
    entries.last().map_or(Head::GENESIS, |entry| Head {
        next: entry.seq().next(),
        hash: entry.hash(),
        recorded_at_us: entry.recorded_at_us(),
    })
}
