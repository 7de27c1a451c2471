//! A log that lets other threads run inside of an append, and fails when it is told to.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ledger::{
    Draft, Entry, Follower, Head, InDoubt, Index, Log, LogError, MemoryLog, Outcome, Seq,
    Submission, Writer,
};
use shuttle::thread;

pub(crate) const NOW_US: u64 = 1_767_225_600_000_000;

/// A note under this id.
pub(crate) fn note(id: &str) -> Submission {
    let payload = format!(
        r#"{{"data":{{"text":"t"}},"id":"{id}","source":"test","specversion":"1.0","type":"rollout.note.added.v1"}}"#
    );
    Draft::new(payload.into_bytes()).unwrap().into()
}

/// What was appended is seen at once, and durable only when the append returns.
#[derive(Default)]
pub(crate) struct WatchedLog {
    stored: MemoryLog,
    appends: AtomicUsize,
    fails_at: Option<usize>,
}

impl WatchedLog {
    /// A log, and a writer on it. The append with number `fails_at` fails, counted from 0.
    pub(crate) fn with_writer(fails_at: Option<usize>) -> (Arc<WatchedLog>, Writer) {
        let log = Arc::new(WatchedLog { fails_at, ..WatchedLog::default() });
        let writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
        (log, writer)
    }

    pub(crate) fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }

    /// How many entries are durable.
    pub(crate) fn len(&self) -> u64 {
        self.stored.head().next.0
    }

    /// Every id in the log, of which none may stand there twice.
    pub(crate) fn ids(&self) -> HashSet<String> {
        let entries = self.stored.read(Seq(0), usize::MAX).unwrap();
        let len = entries.len();
        let id = |entry: &Entry| {
            let event: serde_json::Value =
                serde_json::from_slice(entry.payload().unwrap()).unwrap();
            event["id"].as_str().unwrap().to_owned()
        };
        let ids: HashSet<_> = entries.iter().map(id).collect();
        assert_eq!(ids.len(), len, "an id is recorded once");
        ids
    }

    /// Checks a receipt at the moment at which its caller has it: what was acknowledged is durable,
    /// and whoever follows sees it. Returns its place.
    pub(crate) fn check(&self, follower: &Follower, answer: &Result<Outcome, InDoubt>) -> Seq {
        let Ok(Outcome::Recorded(receipts)) = answer else { panic!("{answer:?}") };
        let seq = receipts[0].seq;
        assert!(self.stored.head().next > seq, "acknowledged before it was durable");
        assert!(follower.head().next > seq, "acknowledged before it was published");
        seq
    }
}

impl Log for WatchedLog {
    fn head(&self) -> Head {
        self.stored.head()
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        // The disk takes its time, and everyone else runs meanwhile.
        thread::yield_now();
        let append = self.appends.fetch_add(1, Ordering::SeqCst);
        assert!(self.fails_at.is_none_or(|at| append <= at), "nothing is tried after a failure");
        if self.fails_at == Some(append) {
            return Err(LogError::InDoubt(Some(io::Error::other("as asked"))));
        }
        self.stored.append(entries)?;
        thread::yield_now();
        Ok(())
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
