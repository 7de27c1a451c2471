//! Each invariant's violation, planted in a story that is right otherwise, is found and named.

use ledger::{Entry, Head, Log, LogError, Seq};

use super::*;
use crate::event::{START_US, note, opening, writer_opened};

/// A log that may be wrong.
struct Entries(Vec<Entry>);

impl Log for Entries {
    fn head(&self) -> Head {
        self.0.last().map_or(Head::GENESIS, |last| Head {
            next: last.seq().next(),
            hash: last.hash(),
            recorded_at_us: last.recorded_at_us(),
        })
    }

    fn append(&self, _: &[Entry]) -> Result<(), LogError> {
        Err(LogError::ReadOnly)
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        let from = usize::try_from(from.0).unwrap();
        Ok(self.0.iter().skip(from).take(limit).cloned().collect())
    }

    fn erase(&self, _: Seq) -> Result<(), LogError> {
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

/// Entries 0 to 6: two processes, of which the second took over.
fn log() -> Entries {
    let drafts = [
        opening("l"),
        writer_opened("a.1"),
        note("c1-0", "x~0"),
        note("c2-0", "x~0"),
        writer_opened("b.1"),
        note("c1-1", "x~0"),
        note("c2-1", "x~0"),
    ];
    chained(drafts.into())
}

fn chained(drafts: Vec<ledger::Draft>) -> Entries {
    let mut head = Head::GENESIS;
    let seal = |draft| {
        let entry = head.seal(draft, START_US);
        head = head.accept(&entry).unwrap();
        entry
    };
    Entries(drafts.into_iter().map(seal).collect())
}

fn call(key: &str, writer: &str, times: (u64, u64), answer: Answer) -> Event {
    let (invoked_us, returned_us) = times;
    let (key, body, writer) = (key.into(), "x~0".into(), writer.into());
    Event::Call(Call { key, body, writer, invoked_us, returned_us, answer })
}

fn ok(log: &Entries, seq: u64, life: &str) -> Answer {
    let hash = log.0[usize::try_from(seq).unwrap()].hash().to_string();
    Answer::Ok { seq, hash, duplicate: false, life: life.into() }
}

/// What really happened in `log`, with an unknown call that was recorded and one that was sent again.
fn story(log: &Entries) -> Vec<Event> {
    let hashes = |range: std::ops::Range<usize>| {
        log.0[range].iter().map(|entry| entry.hash().to_string()).collect()
    };
    let again = Answer::Ok {
        seq: 3,
        hash: log.0[3].hash().to_string(),
        duplicate: true,
        life: "b.1".into(),
    };
    vec![
        call("c1-0", "a", (10, 20), ok(log, 2, "a.1")),
        call("c1-9", "a", (20, 21), Answer::Fail("Busy".into())),
        call("c2-0", "a", (15, 30), Answer::Unknown("gone".into())),
        Event::Fault { what: "a was killed".into(), at_us: 35 },
        Event::Healed { at_us: 40, bound_us: 20 },
        call("c2-0", "b", (42, 50), again),
        call("c1-1", "b", (45, 60), ok(log, 5, "b.1")),
        call("c2-1", "b", (61, 70), Answer::Unknown("late".into())),
        Event::Applied { reader: "r".into(), from: 0, hashes: hashes(0..4) },
        Event::Applied { reader: "r".into(), from: 4, hashes: hashes(4..7) },
        Event::Viewed {
            projector: "p".into(),
            next: 6,
            hash: log.0[5].hash().to_string(),
            differences: Vec::new(),
        },
    ]
}

/// The invariants that are found broken, each once.
fn broken(events: &[Event], log: &Entries) -> Vec<&'static str> {
    let mut broken: Vec<_> =
        check(events, log).unwrap().iter().map(|violation| violation.invariant).collect();
    broken.dedup();
    broken
}

#[test]
fn a_story_in_which_all_is_well_is_accepted_and_counted() {
    let log = log();
    assert_eq!(check(&story(&log), &log).unwrap(), []);
    let Summary { ok, fail, unknown, faults, back_us } = summary(&story(&log));
    assert_eq!((ok, fail, unknown, faults, back_us), (3, 1, 2, 1, 10));
}

#[test]
fn i1_an_ok_that_is_not_there_or_is_another_is_found() {
    let log = log();
    let mut lost = story(&log);
    // As above, and the log's end is gone.
    let short = Entries(log.0[..5].to_vec());
    lost.truncate(8);
    assert_eq!(broken(&lost, &short), ["I1"]);

    let mut planted = story(&log);
    let hash = "00".repeat(32);
    let life = "b.1".to_owned();
    let elsewhere = Answer::Ok { seq: 6, hash, duplicate: false, life };
    planted.push(call("c2-1", "b", (71, 80), elsewhere));
    assert_eq!(broken(&planted, &log), ["I1"]);

    let mut planted = story(&log);
    planted.push(call("c2-7", "b", (71, 80), ok(&log, 6, "b.1")));
    assert_eq!(broken(&planted, &log), ["I1"]);
}

#[test]
fn i2_a_chain_that_does_not_verify_is_found() {
    let (good, mut log) = (log(), log());
    let events: Vec<_> = story(&good).into_iter().take(5).collect();
    let other = good.0[4].clone();
    log.0[5] = log.head().seal(note("c1-1", "x~0"), START_US);
    assert!(broken(&events, &log).contains(&"I2"));
    log.0 = vec![good.0[0].clone(), good.0[1].clone(), other];
    assert!(broken(&events, &log).contains(&"I2"));
}

#[test]
fn i3_a_key_that_is_there_twice_is_found() {
    let mut drafts = vec![opening("l"), writer_opened("a.1")];
    drafts.extend([note("c1-0", "x~0"), note("c1-0", "x~0")]);
    let log = chained(drafts);
    let events = [call("c1-0", "a", (10, 20), ok(&log, 2, "a.1"))];
    assert_eq!(broken(&events, &log), ["I3"]);
}

#[test]
fn i4_a_failure_that_is_there_all_the_same_is_found() {
    let log = log();
    for answer in [Answer::Fail("Busy".into()), Answer::Fail("Conflict".into())] {
        let mut events = story(&log);
        events[7] = call("c2-1", "b", (61, 70), answer);
        assert_eq!(broken(&events, &log), ["I4"]);
    }
    // Nobody sent it.
    let mut events = story(&log);
    events.remove(7);
    assert_eq!(broken(&events, &log), ["I4"]);
}

#[test]
fn i5_what_began_after_an_ok_and_stands_before_it_is_found() {
    let log = log();
    let mut events = story(&log);
    // c1-1 is entry 5 and c2-1 entry 6, so c2-1 may not have been over before c1-1 began.
    events[6] = call("c1-1", "b", (81, 90), ok(&log, 5, "b.1"));
    events[7] = call("c2-1", "b", (61, 70), ok(&log, 6, "b.1"));
    events[4] = Event::Healed { at_us: 40, bound_us: 60 };
    assert_eq!(broken(&events, &log), ["I5"]);
    // The same where nobody knows of c1-1.
    events[6] = call("c1-1", "b", (81, 90), Answer::Unknown("late".into()));
    assert_eq!(broken(&events, &log), ["I5"]);
}

#[test]
fn i6_an_ok_of_a_writer_that_was_fenced_is_found() {
    let log = log();
    let mut events = story(&log);
    events[6] = call("c1-1", "b", (45, 60), ok(&log, 5, "a.1"));
    assert_eq!(broken(&events, &log), ["I6"]);
    // Nobody was told, but only the fenced one can have written it.
    let mut events = story(&log);
    events[7] = call("c2-1", "a", (61, 70), Answer::Unknown("late".into()));
    assert_eq!(broken(&events, &log), ["I6"]);
    let mut events = story(&log);
    events[6] = call("c1-1", "b", (45, 60), ok(&log, 5, "b.2"));
    assert_eq!(broken(&events, &log), ["I6"]);
}

#[test]
fn i7_views_that_are_not_the_fold_are_found() {
    let log = log();
    let view = |next, seq: usize, differences| Event::Viewed {
        projector: "p".into(),
        next,
        hash: log.0[seq].hash().to_string(),
        differences,
    };
    let mut events = story(&log);
    events.push(view(7, 6, vec!["a row".into()]));
    assert_eq!(broken(&events, &log), ["I7"]);
    let mut events = story(&log);
    events.push(view(7, 5, vec![]));
    assert_eq!(broken(&events, &log), ["I7"]);
    let mut events = story(&log);
    events.push(view(8, 6, vec![]));
    assert_eq!(broken(&events, &log), ["I7"]);
}

#[test]
fn i8_a_reader_that_applied_what_is_not_there_or_jumped_or_stopped_is_found() {
    let log = log();
    let applied = |from, hashes: Vec<String>| Event::Applied { reader: "q".into(), from, hashes };
    let hash = |seq: usize| log.0[seq].hash().to_string();
    for planted in [
        vec![applied(6, vec!["00".repeat(32)])],
        vec![applied(6, vec![hash(6), hash(6)])],
        vec![applied(5, vec![hash(6)])],
        vec![applied(0, vec![hash(0)]), applied(2, vec![hash(2)])],
        vec![applied(0, vec![hash(0)]), applied(0, vec![hash(0)])],
        vec![Event::Halted { reader: "q".into(), code: "foreign_record".into() }],
    ] {
        let mut events = story(&log);
        events.extend(planted);
        assert_eq!(broken(&events, &log), ["I8"], "{events:?}");
    }
}

#[test]
fn i9_a_service_that_is_not_back_in_time_is_found() {
    let log = log();
    let mut events = story(&log);
    events[4] = Event::Healed { at_us: 40, bound_us: 9 };
    assert_eq!(broken(&events, &log), ["I9"]);
    events[4] = Event::Healed { at_us: 65, bound_us: 1_000 };
    assert_eq!(broken(&events, &log), ["I9"], "no call began after it");
}

#[test]
fn a_file_holds_what_happened() {
    let path = std::env::temp_dir().join(format!("history-{}.jsonl", std::process::id()));
    let recorder = Recorder::begin(&path).unwrap();
    let events = story(&log());
    events.iter().cloned().for_each(|event| recorder.add(event));
    assert_eq!((recorder.events(), read(&path).unwrap()), (events.clone(), events));
    assert!(recorder.served_since(44) && !recorder.served_since(45));
    recorder.discard().unwrap();
    assert!(!path.exists());
}
