//! What a writer answers: receipts, duplicates, conflicts, redactions.

use std::{sync::Arc, time::Duration};

use ledger::{
    BATCH_LEN_MAX, BATCH_SIZE_MAX, Draft, Index, InvalidDraft, Log, MemoryLog, Outcome,
    PAYLOAD_SIZE_MAX, Receipt, RedactError, Seq, Submission, Writer, verify,
};

use crate::story::{START_US, entry, event, note, note_saying, opened, redaction, strict};

fn writer() -> (Arc<MemoryLog>, Writer) {
    let log = Arc::new(MemoryLog::default());
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    commit(&mut writer, vec![vec![opened()]]);
    (log, writer)
}

fn commit(writer: &mut Writer, groups: Vec<Vec<Draft>>) -> Vec<Outcome> {
    let submissions = groups.into_iter().map(|group| Submission::new(group).unwrap()).collect();
    writer.commit(submissions, START_US).unwrap()
}

/// Outcomes in one line each: seqs, `=` for a duplicate, `-` for a redacted one.
fn show(outcomes: &[Outcome]) -> String {
    let receipt = |receipt: &Receipt| {
        let duplicate = if receipt.duplicate { "=" } else { "" };
        let redacted = if receipt.redacted { "-" } else { "" };
        format!("{}{duplicate}{redacted}", receipt.seq)
    };
    let lines = outcomes.iter().map(|outcome| match outcome {
        Outcome::Recorded(receipts) => receipts.iter().map(receipt).collect::<Vec<_>>().join(" "),
        Outcome::Conflict { index, seq: Some(seq) } => format!("draft {index} is not entry {seq}"),
        Outcome::Conflict { index, seq: None } => format!("draft {index} repeats an id"),
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn ids_are_recorded_once() {
    let other = |id| note_saying(id, "another text");
    let cases: [(&str, Vec<Vec<Draft>>, &str); 9] = [
        ("new", vec![vec![note("x"), note("y")]], "3 4"),
        ("recorded", vec![vec![note("a")]], "1="),
        ("recorded and new", vec![vec![note("b"), note("x"), note("a")]], "2= 3 1="),
        ("twice in one", vec![vec![note("x"), note("x")]], "3 3="),
        ("twice in flight", vec![vec![note("x")], vec![note("y"), note("x")]], "3; 4 3="),
        (
            "another event",
            vec![vec![note("x"), other("a")], vec![note("y")]],
            "draft 1 is not entry 1; 3",
        ),
        (
            "another in flight",
            vec![vec![note("x")], vec![other("x"), note("y")]],
            "3; draft 0 is not entry 3",
        ),
        ("another in one", vec![vec![note("x"), other("x")]], "draft 1 repeats an id"),
        ("none", vec![vec![]], ""),
    ];
    for (name, groups, expected) in cases {
        let (log, mut writer) = writer();
        commit(&mut writer, vec![vec![note("a"), note("b")]]);
        let shown = show(&commit(&mut writer, groups));
        assert_eq!(shown, expected, "{name}");
        assert_eq!(verify(&*log, &strict()).unwrap().head, writer.head(), "{name}");
    }
}

#[test]
fn a_conflict_leaves_nothing_behind() {
    let (log, mut writer) = writer();
    commit(&mut writer, vec![vec![note("a")]]);
    let before = writer.head();
    commit(&mut writer, vec![vec![note("x"), note_saying("a", "another text")]]);
    assert_eq!(writer.head(), before);
    assert_eq!(log.head(), before);
    // Its first draft was not recorded either, so it is new now.
    assert_eq!(show(&commit(&mut writer, vec![vec![note("x")]])), "2");
}

#[test]
fn the_same_event_from_another_submitter_is_no_conflict() {
    let (_, mut writer) = writer();
    let submitted = |by: &str, salt: &str| {
        let payload = format!(
            r#"{{"authid":"{by}","data":{{}},"id":"1","salt":"{salt}","source":"s","type":"rollout.note.added.v1"}}"#
        );
        Draft::new(payload.into_bytes()).unwrap()
    };
    let outcomes = commit(&mut writer, vec![vec![submitted("a", "x")]]);
    let again = commit(&mut writer, vec![vec![submitted("b", "y")]]);
    let (Outcome::Recorded(first), Outcome::Recorded(again)) = (&outcomes[0], &again[0]) else {
        panic!("{outcomes:?} {again:?}");
    };
    assert_eq!(again[0], Receipt { duplicate: true, ..first[0] });
}

#[test]
fn a_redacted_event_keeps_its_receipt_and_is_never_stored_again() {
    let (log, mut writer) = writer();
    commit(&mut writer, vec![vec![note("a"), note("b")]]);
    let target = entry(&*log, 1);
    let receipt = writer.redact(redaction("r", &target, "a"), START_US).unwrap();
    assert_eq!((receipt.seq, receipt.duplicate), (Seq(3), false));
    assert_eq!(entry(&*log, 1).payload(), None);
    // The retry, and even another event under that id, and the same redaction again.
    assert_eq!(show(&commit(&mut writer, vec![vec![note("a")]])), "1=-");
    let again = writer.redact(redaction("r", &target, "a"), START_US).unwrap();
    assert_eq!((again.seq, again.duplicate), (Seq(3), true));
    let report = verify(&*log, &strict()).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.redactions.len(), 1);
    // A writer that has never seen the payload knows it too.
    drop(writer);
    let mut writer = Writer::open(log, Index::in_memory()).unwrap();
    assert_eq!(show(&commit(&mut writer, vec![vec![note("a"), note("x")]])), "1=- 4");
}

#[test]
fn a_redaction_that_does_not_fit_is_refused() {
    let (log, mut writer) = writer();
    commit(&mut writer, vec![vec![note("a"), note("b")]]);
    let (zero, one, two) = (entry(&*log, 0), entry(&*log, 1), entry(&*log, 2));
    writer.redact(redaction("r", &two, "b"), START_US).unwrap();
    let three = entry(&*log, 3);
    let before = writer.head();
    for (name, draft) in [
        ("no redaction", note("x")),
        ("another id", redaction("x", &one, "b")),
        ("the opening", redaction("x", &zero, "opened")),
        ("a redaction", redaction("x", &three, "r")),
        ("an erased entry", redaction("x", &two, "a")),
    ] {
        let refused = writer.redact(draft, START_US);
        assert!(matches!(refused, Err(RedactError::Refused(_))), "{name}: {refused:?}");
    }
    assert_eq!(writer.head(), before);
    assert!(entry(&*log, 1).payload().is_some());
}

#[test]
fn time_never_goes_back_but_in_a_clock_step() {
    let (log, mut writer) = writer();
    let mut at = |draft: Draft, now_us| {
        writer.commit(vec![draft.into()], now_us).unwrap();
    };
    at(note("a"), START_US + 100);
    at(note("b"), START_US + 50);
    at(event("rollout.ledger.clock_stepped.v1", "c", "{}"), START_US + 60);
    at(note("d"), START_US + 70);
    let times: Vec<_> = (1..5).map(|seq| entry(&*log, seq).recorded_at_us() - START_US).collect();
    assert_eq!(times, [100, 100, 60, 70]);
    let report = verify(&*log, &strict()).unwrap();
    assert!(report.is_good(), "{report:?}");
    let steps: Vec<_> = report
        .clock_steps
        .iter()
        .map(|step| (step.seq.0, step.from_us - START_US, step.to_us - START_US))
        .collect();
    assert_eq!(steps, [(3, 100, 60)]);
}

#[test]
fn limits_hold_at_their_edge() {
    let padded = |id: &str, size: usize| {
        let empty = note_saying(id, "").payload().len();
        note_saying(id, &"x".repeat(size - empty)).payload().to_vec()
    };
    assert_eq!(padded("a", PAYLOAD_SIZE_MAX).len(), PAYLOAD_SIZE_MAX);
    let full = Draft::new(padded("a", PAYLOAD_SIZE_MAX)).unwrap();
    let mut over = padded("a", PAYLOAD_SIZE_MAX);
    over.push(b' ');
    let size = PAYLOAD_SIZE_MAX + 1;
    assert_eq!(Draft::new(over).unwrap_err(), InvalidDraft::TooLarge { size });

    let many = |len: usize| (0..len).map(|n| note(&n.to_string())).collect::<Vec<_>>();
    let submission = Submission::new(many(BATCH_LEN_MAX)).unwrap();
    assert_eq!(Submission::new(many(BATCH_LEN_MAX + 1)).unwrap_err().len, BATCH_LEN_MAX + 1);

    let rest = BATCH_SIZE_MAX - PAYLOAD_SIZE_MAX;
    let fits = vec![full.clone(), Draft::new(padded("b", rest)).unwrap()];
    let heavy = Submission::new(fits).unwrap();
    assert_eq!(heavy.size(), BATCH_SIZE_MAX);
    let heavier = vec![full, Draft::new(padded("b", rest + 1)).unwrap()];
    assert_eq!(Submission::new(heavier).unwrap_err().size, BATCH_SIZE_MAX + 1);

    // Together they need more than one commit; each is recorded whole all the same.
    let (log, mut writer) = writer();
    let outcomes = writer.commit(vec![submission, heavy, note("z").into()], START_US).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Recorded(_))));
    assert_eq!(log.head().next, Seq(1 + 1_024 + 2 + 1));
}

#[test]
fn followers_see_each_durable_head() {
    let (_, mut writer) = writer();
    let follower = writer.follow();
    assert_eq!(follower.head().next, Seq(1));
    let waiting = std::thread::spawn({
        let follower = follower.clone();
        move || follower.wait_for(Seq(2), Duration::from_mins(1))
    });
    let (send, heads) = std::sync::mpsc::channel();
    writer.on_publish(move |head| send.send(head).unwrap());
    commit(&mut writer, vec![vec![note("a")]]);
    commit(&mut writer, vec![vec![note("a")]]);
    commit(&mut writer, vec![vec![note("b")]]);
    assert_eq!(waiting.join().unwrap(), writer.head());
    let seen: Vec<_> = heads.try_iter().map(|head| head.next.0).collect();
    assert_eq!(seen, [2, 3], "a duplicate moves no head");
    assert_eq!(follower.wait_for(Seq(9), Duration::ZERO), writer.head(), "a wait ends");
}
