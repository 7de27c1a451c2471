//! The ledger as it is.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ledger::{Index, Log, LogError, Outcome, SegmentLog, Seq, SharedWriter, Writer};

use crate::{
    chain::NOW_US,
    events::Event,
    store::{Fault, Reader, Receipt, See, Store},
};

/// Entries read at once.
const PAGE_LEN: u64 = 1_024;

/// Submissions that may wait: more than there are callers.
const WAITING_MAX: usize = 1_024;

/// Its writer, index and log.
pub(crate) struct LedgerStore {
    writer: Writer,
    log: Arc<SegmentLog>,
}

impl LedgerStore {
    pub(crate) fn open(dir: &Path) -> Result<LedgerStore, Fault> {
        let log = dir.join("log");
        let log = match SegmentLog::open(&log) {
            Err(LogError::Missing(_)) => SegmentLog::create(&log)?,
            opened => opened?,
        };
        let log = Arc::new(log);
        let index = Index::in_dir(log.index_dir());
        Ok(LedgerStore { writer: Writer::open(log.clone(), index)?, log })
    }

    /// The writer behind its own queue, for many threads.
    pub(crate) fn shared(mut self) -> LedgerCallers {
        let commits = Arc::new(AtomicU64::new(0));
        let counted = commits.clone();
        self.writer.on_publish(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let writer = SharedWriter::new(self.writer, WAITING_MAX, || NOW_US);
        LedgerCallers { writer, log: self.log, commits }
    }
}

/// The ledger for many threads.
pub(crate) struct LedgerCallers {
    writer: SharedWriter,
    log: Arc<SegmentLog>,
    commits: Arc<AtomicU64>,
}

impl LedgerCallers {
    /// How many commits there were.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Records one event, together with those of other threads.
    pub(crate) fn append(&self, event: Event) -> Result<(), Fault> {
        match self.writer.record(event.draft.into())? {
            Outcome::Recorded(_) => Ok(()),
            Outcome::Conflict { .. } => Err("one id of two events".into()),
        }
    }

    pub(crate) fn close(self) -> Result<(), Fault> {
        Ok(self.log.close()?)
    }
}

impl Store for LedgerStore {
    fn len(&self) -> u64 {
        self.writer.head().next.0
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        let submissions = events.into_iter().map(|event| event.draft.into()).collect();
        let mut receipts = Vec::new();
        for outcome in self.writer.commit(submissions, NOW_US)? {
            let Outcome::Recorded(recorded) = outcome else {
                return Err("one id of two events".into());
            };
            receipts.extend(
                recorded
                    .iter()
                    .map(|receipt| Receipt { seq: receipt.seq.0, duplicate: receipt.duplicate }),
            );
        }
        Ok(receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(LogReader(self.log.clone())))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(self.log.close()?)
    }
}

struct LogReader(Arc<SegmentLog>);

impl Reader for LogReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        let read = self.0.read(Seq(seq), 1)?;
        let payload = read.first().and_then(|entry| entry.payload()).ok_or("no payload")?;
        Ok(payload.to_vec())
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        let mut next = seqs.start;
        while next < seqs.end {
            let limit = usize::try_from(PAGE_LEN.min(seqs.end - next))?;
            for entry in self.0.read(Seq(next), limit)? {
                let payload = entry.payload().ok_or("no payload")?;
                see(&entry.header().encode(), payload)?;
                next += 1;
            }
        }
        Ok(())
    }
}
