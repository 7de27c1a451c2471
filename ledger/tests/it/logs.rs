//! The logs that keep the contract of `log_contract`, each empty.

use std::sync::Arc;

use ledger::{Log, MemoryLog, SegmentLog, Seq, log::faulty::FaultyLog};
use tempfile::TempDir;

pub(crate) struct Logs {
    pub(crate) name: &'static str,
    pub(crate) log: Arc<dyn Log>,
    _dir: TempDir,
}

impl Logs {
    /// Takes a payload away, and tells whether it is gone. It stays in a log that cannot change what is written.
    pub(crate) fn erase(&self, target: u64) -> bool {
        self.log.erase(Seq(target)).unwrap();
        true
    }
}

pub(crate) fn logs() -> Vec<Logs> {
    let segments = |name, segment_size| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Arc::new(SegmentLog::create_with_segment_size(path, segment_size).unwrap());
        Logs { name, log, _dir: dir }
    };
    let dir = || tempfile::tempdir().unwrap();
    vec![
        Logs { name: "memory", log: Arc::new(MemoryLog::default()), _dir: dir() },
        Logs { name: "faulty, without a fault", log: Arc::new(FaultyLog::default()), _dir: dir() },
        segments("segments", ledger::log::segments::SEGMENT_SIZE),
        segments("many segments", 2_000),
        segments("a segment for each commit", 1),
    ]
}
