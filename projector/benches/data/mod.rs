//! Ledgers to measure with.

pub(crate) mod mixed;
pub(crate) mod padded;

use std::path::Path;

use ledger::{BATCH_LEN_MAX, Draft, Head, Log, SegmentLog};
use schemas::envelope::{self, Witness};

/// The first moment at which anything is recorded, in Unix microseconds.
pub(crate) const BEGIN_US: i64 = 1_767_225_600_000_000;

/// A log that grows.
pub(crate) struct Growing {
    pub log: SegmentLog,
    head: Head,
    commit: Vec<ledger::Entry>,
}

impl Growing {
    pub(crate) fn new(dir: &Path) -> Growing {
        let log = SegmentLog::create(dir).expect("a new log");
        Growing { log, head: Head::GENESIS, commit: Vec::with_capacity(BATCH_LEN_MAX) }
    }

    /// Adds an event, which is in the log after [`flush`](Growing::flush).
    pub(crate) fn push(&mut self, payload: Vec<u8>, recorded_at_us: i64) {
        let draft = Draft::new(payload).expect("a canonical event");
        let entry = self.head.seal(draft, recorded_at_us.unsigned_abs());
        self.head = self.head.accept(&entry).expect("a chain");
        self.commit.push(entry);
        if self.commit.len() == BATCH_LEN_MAX {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.log.append(&self.commit).expect("room on the disk");
        self.commit.clear();
    }
}

/// The payload of a sender's event, as the intake makes it.
pub(crate) fn admitted(event: &serde_json::Value, n: usize) -> Vec<u8> {
    let witness = Witness {
        salt: format!("{:022}", n * 7_919),
        authtype: "token".to_owned(),
        authid: "monitor-17".to_owned(),
        recordedvia: "http".to_owned(),
    };
    envelope::payload(event, &witness)
}
