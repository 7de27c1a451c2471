//! A log in files of our own, because the format is the product: `docs/FORMAT.md` specifies it for
//! whoever has no copy of this code.
//!
//! Segment files hold the entries and nothing else does: see [`frame`]. One commit is one write and
//! one fdatasync. A segment that has grown to [`SEGMENT_SIZE`] is sealed, and changes afterwards
//! only when a payload is erased. `head` is a floor under what must be there. Everything else in
//! the directory can be deleted and is made again.

mod append;
mod backup;
mod build;
pub(crate) mod check;
pub mod disk;
mod erase;
pub(crate) mod files;
pub(crate) mod frame;
pub(crate) mod manifest;
mod map;
mod mend;
pub(crate) mod open;
#[cfg(feature = "testing")]
pub mod probe;
mod read;
mod stat;
mod walk;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

pub(crate) use self::erase::may_be_erased;
pub use self::{
    backup::{BackedUp, BackupError},
    build::Build,
    stat::{Beside, Manifest, SegmentInfo},
    walk::Stored,
};
use crate::{
    chain::Head,
    entry::{Entry, Header, Seq},
    log::{
        Log, LogError,
        segments::{append::Appender, disk::Disk, erase::Erasures, map::Segment, read::Piece},
    },
};

/// A segment is sealed by the first commit that finds it this large: 64 MiB.
pub const SEGMENT_SIZE: u64 = 64 * 1024 * 1024;

/// Entries in segment files.
///
/// Opening and creating are different acts, and so are writing and reading: a log that was opened
/// by [`open_read_only`](SegmentLog::open_read_only) takes no lock and never writes a byte.
#[derive(Debug)]
pub struct SegmentLog {
    /// Every change goes through it.
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_size: u64,
    /// What is durable. Readers copy what they need and let go before they touch a file.
    state: RwLock<State>,
    /// `None`: opened for reading. Taken before `state` by all who take both.
    appender: Option<Mutex<Appender>>,
    torn: Option<TornTail>,
    floor_missing: bool,
}

/// The end of a commit that a crash left in pieces. Nobody was told that it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The first entry of that commit.
    pub seq: Seq,
    /// How many bytes there were.
    pub bytes: u64,
    /// Where they are kept now; `None` if the log was opened for reading and they were left alone.
    pub kept_at: Option<PathBuf>,
}

#[derive(Debug)]
struct State {
    sealed: Vec<Arc<Segment>>,
    active: Active,
}

/// The segment that commits go to.
#[derive(Clone, Debug)]
struct Active {
    first: Seq,
    head: Head,
    /// Where the last commit ends.
    size: u64,
    offsets: Vec<u32>,
    erasures: Erasures,
    /// Tells whether another process has put a rewritten file in its place.
    file_id: u64,
}

impl SegmentLog {
    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the index of ids belongs: derived data beside the segments.
    pub fn index_dir(&self) -> PathBuf {
        files::index(&self.dir)
    }

    /// What a crash had left behind the last whole commit when this log was opened.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Whether the file `head` was missing when this log was opened, though there was more than a
    /// first entry. A ledger's making and each clean stop write it, so it was lost or removed, and
    /// only a head that was kept elsewhere shows whether entries were cut off as well.
    pub fn floor_missing(&self) -> bool {
        self.floor_missing
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        // Every change to the state is complete before it can be seen.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn appender(&self) -> Result<MutexGuard<'_, Appender>, LogError> {
        let appender = self.appender.as_ref().ok_or(LogError::ReadOnly)?;
        // After a panic `in_doubt` is still set, so nothing is appended.
        Ok(appender.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with the entries from `from` on, piece by piece.
    fn read_pieces<T>(
        &self,
        (from, limit): (Seq, usize),
        read: impl Fn(&Piece, &mut Vec<T>) -> Result<(), LogError>,
    ) -> Result<Vec<T>, LogError> {
        let once = || {
            let pieces = self.state().pieces(&self.dir, from, limit)?;
            let len = pieces.iter().map(|piece| piece.len).sum::<u64>();
            let mut found = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
            pieces.iter().try_for_each(|piece| read(piece, &mut found))?;
            Ok(found)
        };
        match once() {
            // An erasure may have put another file in place since we looked where entries begin.
            Err(LogError::Corrupt(_)) => {
                if self.appender.is_none() {
                    self.reload()?;
                }
                once()
            }
            found => found,
        }
    }
}

impl Log for SegmentLog {
    fn head(&self) -> Head {
        self.state().active.head
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        self.append_commit(entries)
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        self.read_pieces((from, limit), Piece::read)
    }

    fn headers(&self, from: Seq, limit: usize) -> Result<Vec<Header>, LogError> {
        self.read_pieces((from, limit), Piece::headers)
    }

    fn erased(&self, from: Seq, until: Seq) -> u64 {
        let state = self.state();
        let erased = state.erasures().flat_map(|erasures| &erasures.erased);
        erased.filter(|(seq, _)| (from..until).contains(seq)).count() as u64
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        self.erase_payload(target)
    }

    fn close(&self) -> Result<(), LogError> {
        let mut appender = self.appender()?;
        if appender.in_doubt {
            return Err(LogError::InDoubt(None));
        }
        let head = self.head();
        if let Some(seq) = head.last_seq() {
            appender.in_doubt = true;
            files::write_floor(&*self.disk, &self.dir, seq, head.hash)?;
            appender.in_doubt = false;
        }
        Ok(())
    }
}

impl State {
    /// Where the entries lie, file by file.
    fn pieces(&self, dir: &Path, from: Seq, limit: usize) -> Result<Vec<Piece>, LogError> {
        let end = Seq(from.0.saturating_add(limit as u64)).min(self.active.head.next);
        let mut pieces = Vec::new();
        let mut next = from;
        while next < end {
            let after = self.sealed.partition_point(|segment| segment.first <= next);
            let sealed = after.checked_sub(1).and_then(|at| self.sealed.get(at));
            let sealed = sealed.filter(|segment| next < segment.head.next);
            let (first, offsets, size, head) = if let Some(found) = sealed {
                (found.first, found.offsets(dir)?, found.size, found.head)
            } else {
                let Active { first, offsets, size, head, .. } = &self.active;
                (*first, offsets.as_slice(), *size, *head)
            };
            let place = |seq: Seq| usize::try_from(seq.0 - first.0).unwrap_or(usize::MAX);
            let last = sealed.map_or(end, |segment| segment.head.next.min(end));
            let start = offsets.get(place(next)).copied().map_or(size, u64::from);
            let stop = offsets.get(place(last)).copied().map_or(size, u64::from);
            let path = files::segment(dir, first);
            let end_hash = (last == head.next).then_some(head.hash);
            pieces.push(Piece { path, first: next, len: last.0 - next.0, start, stop, end_hash });
            next = last;
        }
        Ok(pieces)
    }
}
