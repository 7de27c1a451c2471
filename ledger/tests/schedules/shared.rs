//! The writer that threads share: the one that finds it free commits for all, and hands it on.

use ledger::{Outcome, RecordError, Refused, SharedWriter};
use shuttle::{sync::Arc, thread};

use crate::{
    explore,
    watched::{NOW_US, WatchedLog, note},
};

const CALLERS: usize = 3;
const EACH: usize = 2;

type Recorded = Result<Outcome, RecordError>;

/// Callers that record so many notes each, one after another, and what came of them.
fn call(
    log: &Arc<WatchedLog>,
    shared: &Arc<SharedWriter>,
) -> Vec<thread::JoinHandle<Vec<Recorded>>> {
    let caller = |caller: usize| {
        let (log, shared) = (log.clone(), shared.clone());
        thread::spawn(move || {
            let record = |n: usize| {
                let recorded = shared.record(note(&format!("{caller}-{n}")));
                recorded.inspect(|outcome| {
                    log.check(&shared.follow(), &Ok(outcome.clone()));
                })
            };
            (0..EACH).map(record).collect()
        })
    };
    (0..CALLERS).map(caller).collect()
}

fn join(callers: Vec<thread::JoinHandle<Vec<Recorded>>>) -> Vec<Recorded> {
    callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
}

#[test]
fn each_caller_gets_its_receipt_after_it_is_durable_and_published() {
    explore("shared writer, receipts", || {
        let (log, writer) = WatchedLog::with_writer(None);
        let shared = Arc::new(SharedWriter::new(writer, CALLERS, || NOW_US));
        let recorded = join(call(&log, &shared));
        assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
        assert_eq!(log.ids().len(), CALLERS * EACH);
    });
}

#[test]
fn a_failed_commit_is_told_to_every_caller_and_one_sees_why() {
    explore("shared writer, failure", || {
        let (log, writer) = WatchedLog::with_writer(Some(1));
        let shared = Arc::new(SharedWriter::new(writer, CALLERS, || NOW_US));
        let mut recorded = join(call(&log, &shared));
        let ok = recorded.iter().filter(|recorded| recorded.is_ok()).count();
        assert_eq!(ok as u64, log.len());
        recorded.push(shared.record(note("late")));
        let told = |recorded: &&Recorded| matches!(recorded, Err(RecordError::InDoubt(_)));
        assert_eq!(ok + recorded.iter().filter(told).count(), recorded.len(), "{recorded:?}");
        let why = |recorded: &&Recorded| matches!(recorded, Err(RecordError::InDoubt(doubt)) if doubt.0.is_some());
        assert_eq!(recorded.iter().filter(why).count(), 1, "{recorded:?}");
    });
}

#[test]
fn closing_refuses_callers_and_forgets_none() {
    explore("shared writer, closing", || {
        let (log, writer) = WatchedLog::with_writer(None);
        let shared = Arc::new(SharedWriter::new(writer, CALLERS, || NOW_US));
        let callers = call(&log, &shared);
        shared.close();
        let recorded = join(callers);
        let closed =
            |recorded: &&Recorded| matches!(recorded, Err(RecordError::Refused(Refused::Closed)));
        let refused = recorded.iter().filter(closed).count();
        assert_eq!(refused as u64 + log.len(), (CALLERS * EACH) as u64, "{recorded:?}");
    });
}
