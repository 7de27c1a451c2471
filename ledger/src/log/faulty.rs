//! A log in memory that fails on demand, for tests of what stands above a log.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use crate::{
    chain::Head,
    entry::{Entry, Seq},
    log::{Log, LogError, memory::MemoryLog},
};

/// What becomes of the entries of an append that fails. A caller cannot tell these apart, as when
/// the power goes before or after the write, or a broker's answer is lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None is stored.
    FailAndLose,
    /// All are stored.
    FailButKeep,
    /// This many are stored, in order, as a broker may.
    FailAndKeep(usize),
}

/// A [`MemoryLog`] whose appends fail while a fault is set.
#[derive(Debug, Default)]
pub struct FaultyLog {
    stored: MemoryLog,
    fault: Mutex<Option<Fault>>,
}

impl FaultyLog {
    /// Sets the fault of the appends to come, or takes it away.
    pub fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Log for FaultyLog {
    fn head(&self) -> Head {
        self.stored.head()
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match fault {
            None => return self.stored.append(entries),
            Some(Fault::FailAndLose) => 0,
            Some(Fault::FailButKeep) => entries.len(),
            Some(Fault::FailAndKeep(len)) => len,
        };
        self.stored.append(entries.get(..kept).unwrap_or(entries))?;
        Err(LogError::InDoubt(Some(io::Error::other("a fault was asked for"))))
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        self.stored.read(from, limit)
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        self.stored.erase(target)
    }

    fn close(&self) -> Result<(), LogError> {
        self.stored.close()
    }
}
