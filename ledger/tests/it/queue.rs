//! What a queue before the writer promises, with threads as the system runs them. The orders in
//! which they may run are tried by `tests/schedules`.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use ledger::{
    BATCH_LEN_MAX, BATCH_SIZE_MAX, InDoubt, Index, Log, MemoryLog, Outcome, Queue, RecordError,
    Refused, SegmentLog, SharedWriter, Submission, VerifyOptions, Writer,
    log::faulty::{Fault, FaultyLog},
    verify,
};

use crate::story::{START_US, note, note_saying, strict};

type Answer = Result<Outcome, InDoubt>;
type Callback = Box<dyn FnOnce(Answer) + Send>;

fn writer(log: Arc<dyn Log>) -> Writer {
    Writer::open(log, Index::in_memory()).unwrap()
}

fn of(len: usize, name: &str) -> Submission {
    Submission::new((0..len).map(|n| note(&format!("{name}-{n}"))).collect()).unwrap()
}

/// A reply that sends the answer on, with a number that tells whose it is.
fn to(answers: &mpsc::Sender<(usize, Answer)>, number: usize) -> Callback {
    let answers = answers.clone();
    Box::new(move |answer| answers.send((number, answer)).unwrap())
}

fn seq(answer: &Answer) -> u64 {
    match answer {
        Ok(Outcome::Recorded(receipts)) => receipts[0].seq.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_takes_what_has_gathered_and_as_much_as_it_can_hold() {
    let large = "x".repeat(BATCH_SIZE_MAX / 2);
    let large = |id: &str| Submission::from(note_saying(id, &large[..400_000]));
    for (name, submissions, commits) in [
        ("all at once", vec![of(1, "a"), of(2, "b"), of(0, "c"), of(3, "d")], vec![4]),
        ("a full one alone", vec![of(BATCH_LEN_MAX, "a"), of(1, "b"), of(1, "c")], vec![1, 2]),
        ("up to the limit", vec![of(BATCH_LEN_MAX - 1, "a"), of(1, "b"), of(1, "c")], vec![2, 1]),
        ("by bytes", vec![large("a"), large("b"), large("c")], vec![2, 1]),
    ] {
        let queue = Queue::new(submissions.len());
        let (send, answers) = mpsc::channel();
        for (number, submission) in submissions.into_iter().enumerate() {
            queue.submit(submission, to(&send, number)).unwrap();
        }
        queue.close();
        let mut writer = writer(Arc::new(MemoryLog::default()));
        let mut seen = Vec::new();
        let run = queue.run(|submissions| {
            seen.push(submissions.len());
            writer.commit(submissions, START_US)
        });
        run.unwrap();
        assert_eq!(seen, commits, "{name}");
        let order: Vec<_> = answers.try_iter().map(|(number, _)| number).collect();
        assert_eq!(order, (0..seen.iter().sum()).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_full_queue_is_busy_and_a_closed_one_is_closed() {
    let queue = Queue::new(2);
    let (send, answers) = mpsc::channel();
    queue.submit(of(1, "a"), to(&send, 0)).unwrap();
    queue.submit(of(1, "b"), to(&send, 1)).unwrap();
    assert_eq!(queue.submit(of(1, "c"), to(&send, 2)), Err(Refused::Busy));
    assert_eq!((queue.waiting(), queue.is_open()), (2, true));
    queue.close();
    assert_eq!(queue.submit(of(1, "c"), to(&send, 2)), Err(Refused::Closed));
    assert!(!queue.is_open());

    // What was accepted is recorded all the same.
    let mut writer = writer(Arc::new(MemoryLog::default()));
    queue.run(|submissions| writer.commit(submissions, START_US)).unwrap();
    let seqs: Vec<_> = answers.try_iter().map(|(n, answer)| (n, seq(&answer))).collect();
    assert_eq!(seqs, [(0, 0), (1, 1)]);
}

#[test]
fn after_a_failed_commit_all_are_in_doubt_and_nothing_is_tried_again() {
    for fault in [Fault::FailAndLose, Fault::FailButKeep] {
        let log = Arc::new(FaultyLog::default());
        let mut writer = writer(log.clone());
        let queue = Queue::new(8);
        let (send, answers) = mpsc::channel();
        queue.submit(of(BATCH_LEN_MAX, "a"), to(&send, 0)).unwrap();
        // Does not fit into the same commit, so it waits while that fails.
        queue.submit(of(1, "b"), to(&send, 1)).unwrap();
        log.set(Some(fault));
        let mut commits = 0;
        let failed = queue.run(|submissions| {
            commits += 1;
            // The disk is well again at once: that must not matter.
            let outcomes = writer.commit(submissions, START_US);
            log.set(None);
            outcomes
        });
        assert!(failed.unwrap_err().0.is_some(), "the cause is told to whoever runs the writer");
        assert_eq!(commits, 1);
        let told: Vec<_> = answers.try_iter().collect();
        assert!(matches!(told[..], [(0, Err(_)), (1, Err(_))]), "{told:?}");
        assert_eq!(queue.submit(of(1, "c"), to(&send, 2)), Err(Refused::InDoubt));
        // Closing does not make it look like a clean end.
        queue.close();
        assert_eq!(queue.submit(of(1, "c"), to(&send, 2)), Err(Refused::InDoubt));
        let kept = if fault == Fault::FailButKeep { BATCH_LEN_MAX as u64 } else { 0 };
        assert_eq!(log.head().next.0, kept);
    }
}

#[test]
fn a_panic_inside_a_commit_leaves_nobody_waiting() {
    let queue: Arc<Queue<Callback>> = Arc::new(Queue::new(8));
    let (send, answers) = mpsc::channel();
    queue.submit(of(1, "a"), to(&send, 0)).unwrap();
    let run = queue.clone();
    let panics = |_| -> Result<Vec<Outcome>, InDoubt> { panic!("as asked") };
    assert!(thread::spawn(move || run.run(panics)).join().is_err());
    assert!(answers.recv().unwrap().1.is_err());
    assert_eq!(queue.submit(of(1, "b"), to(&send, 1)), Err(Refused::InDoubt));
}

#[test]
fn many_threads_share_a_writer_and_each_gets_its_own_receipt() {
    const THREADS: usize = 16;
    const EACH: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(SegmentLog::create(dir.path().join("log")).unwrap());
    let shared = SharedWriter::new(writer(log.clone()), THREADS, || START_US);
    let record = |thread: usize| {
        // Every second id is another thread's too: in flight together, they share one entry.
        let id = |n: usize| match n % 2 {
            0 => format!("shared-{n}"),
            _ => format!("{thread}-{n}"),
        };
        let mut last = None;
        for n in 0..EACH {
            let outcome = shared.record(note(&id(n)).into()).unwrap();
            let Outcome::Recorded(receipts) = outcome else { panic!("{outcome:?}") };
            let [receipt] = receipts[..] else { panic!("{receipts:?}") };
            let stored = log.read(receipt.seq, 1).unwrap();
            assert_eq!(stored[0].payload().unwrap(), note(&id(n)).payload());
            assert_eq!(stored[0].hash(), receipt.hash);
            assert!(shared.follow().head().next > receipt.seq, "published before it is answered");
            if !receipt.duplicate {
                assert!(last < Some(receipt.seq), "what one thread records stays in order");
                last = Some(receipt.seq);
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || record(thread));
        }
    });
    let options = VerifyOptions { opened_first: false, ..strict() };
    let report = verify(&*log, &options).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(usize::try_from(report.entries), Ok(THREADS * EACH / 2 + EACH / 2));
    shared.close();
    let refused = shared.record(note("late").into()).unwrap_err();
    assert!(matches!(refused, RecordError::Refused(Refused::Closed)));
    assert_eq!(shared.into_writer().head(), log.head());
}

#[test]
fn a_failed_sync_is_told_to_every_thread_and_never_tried_again() {
    const THREADS: usize = 8;
    let log = Arc::new(FaultyLog::default());
    let shared = SharedWriter::new(writer(log.clone()), THREADS, || START_US);
    shared.record(note("before").into()).unwrap();
    log.set(Some(Fault::FailButKeep));
    let told: Vec<_> = thread::scope(|scope| {
        let record = |n: usize| shared.record(note(&n.to_string()).into());
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || record(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    log.set(None);
    let in_doubt =
        |told: &Result<Outcome, RecordError>| matches!(told, Err(RecordError::InDoubt(_)));
    assert!(told.iter().all(in_doubt), "{told:?}");
    let cause = |told: &&Result<Outcome, RecordError>| {
        matches!(told, Err(RecordError::InDoubt(InDoubt(Some(_)))))
    };
    let head = log.head();
    let told: Vec<_> = told.into_iter().chain([shared.record(note("after").into())]).collect();
    assert!(told.iter().all(in_doubt), "{told:?}");
    assert_eq!(told.iter().filter(cause).count(), 1, "one of them is told why");
    assert_eq!(log.head(), head, "nothing is stored after the failure");
}
