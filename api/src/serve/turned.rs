//! The log that a server answers from, while what it reads by may change: as a follower of another
//! writer, and as the writer.

use std::sync::{Arc, PoisonError, RwLock};

use ledger::{Entry, Head, Header, Log, LogError, Seq};

/// A log that is read by one of several ways to the same chain, and never written to.
pub(super) struct Turned(RwLock<Arc<dyn Log>>);

impl Turned {
    pub(super) fn to(log: Arc<dyn Log>) -> Turned {
        Turned(RwLock::new(log))
    }

    /// From now on it is read by another way, which must be as far.
    pub(super) fn turn_to(&self, log: Arc<dyn Log>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = log;
    }

    fn now(&self) -> Arc<dyn Log> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Log for Turned {
    fn head(&self) -> Head {
        self.now().head()
    }

    /// Only the writer's own way leads to its end.
    fn append(&self, _: &[Entry]) -> Result<(), LogError> {
        Err(LogError::ReadOnly)
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        self.now().read(from, limit)
    }

    fn headers(&self, from: Seq, limit: usize) -> Result<Vec<Header>, LogError> {
        self.now().headers(from, limit)
    }

    fn erased(&self, from: Seq, until: Seq) -> u64 {
        self.now().erased(from, until)
    }

    fn erase(&self, _: Seq) -> Result<(), LogError> {
        Err(LogError::ReadOnly)
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}
