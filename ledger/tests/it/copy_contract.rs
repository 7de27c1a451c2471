//! What a copy must be, into every log: run by the fast tests and by those on real brokers.

use std::sync::Arc;

use ledger::{
    Entry, Head, Log, MemoryLog, Seq,
    copy::{CopyError, Survey, check, copy},
};

use crate::{
    logs::{Logs, logs},
    story::{START_US, chain, note_saying, redaction, strict},
};

/// Whether a refusal is the one that is meant.
type Judge = fn(&CopyError) -> bool;

/// A chain in which the entry 3 is redacted by the entry after the first `len`, and one more follows.
pub(crate) fn redacted_chain(len: usize) -> Vec<Entry> {
    let mut entries = chain(len);
    let mut head = end_of(&entries);
    for draft in [redaction("r", &entries[3], "note-3"), note_saying("after", "it goes on")] {
        let entry = head.seal(draft, START_US + 1_000_000_000);
        head = head.accept(&entry).unwrap();
        entries.push(entry);
    }
    entries
}

/// The same as it is copied.
pub(crate) fn without_3(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries[3] = Entry::stored(*entries[3].header(), None);
    entries
}

fn end_of(entries: &[Entry]) -> Head {
    MemoryLog::of(entries.to_vec()).head()
}

#[test]
fn a_copy_has_the_same_headers_and_payloads_and_can_be_copied_back() {
    let entries = chain(2_500);
    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    for Logs { name, log, .. } in logs() {
        let copied = copy(&source, &survey, &*log).unwrap();
        assert_eq!((copied.head, copied.stored), (source.head(), 2_500), "{name}");
        assert_eq!(log.read(Seq(0), 3_000).unwrap(), entries, "{name}");
        check(&*log, &survey).unwrap();
        // And from there.
        let back = MemoryLog::default();
        copy(&*log, &Survey::of(&*log).unwrap(), &back).unwrap();
        assert_eq!(back.read(Seq(0), 3_000).unwrap(), entries, "{name}");
        // A second time there is nothing to do.
        assert_eq!(copy(&source, &survey, &*log).unwrap().stored, 0, "{name}");
    }
}

#[test]
fn a_copy_goes_on_where_an_earlier_one_ended() {
    let entries = chain(300);
    for Logs { name, log, .. } in logs() {
        let early = MemoryLog::of(entries[..120].to_vec());
        let survey = Survey::of(&early).unwrap();
        copy(&early, &survey, &*log).unwrap();
        let source = MemoryLog::of(entries.clone());
        let survey = survey.extended(&source).unwrap();
        let copied = copy(&source, &survey, &*log).unwrap();
        assert_eq!((copied.head.next, copied.stored), (Seq(300), 180), "{name}");
        assert_eq!(log.read(Seq(0), 300).unwrap(), entries, "{name}");
        check(&*log, &survey).unwrap();
    }
}

#[test]
fn a_redacted_payload_is_not_copied_and_the_chain_verifies() {
    let entries = redacted_chain(60);
    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    assert_eq!(survey.erased_len(), 1);
    for Logs { name, log, .. } in logs() {
        let copied = copy(&source, &survey, &*log).unwrap();
        assert!(copied.pending.is_empty(), "{name}");
        assert_eq!(log.read(Seq(0), 100).unwrap(), without_3(entries.clone()), "{name}");
        check(&*log, &survey).unwrap();
        let report = ledger::verify(&*log, &strict()).unwrap();
        assert!(report.is_good() && report.redactions[0].erased, "{name}");
    }
}

/// It was copied before it was redacted.
#[test]
fn a_late_redaction_takes_the_payload_away_or_says_that_it_stays() {
    let entries = redacted_chain(60);
    let (early, source) = (MemoryLog::of(entries[..40].to_vec()), MemoryLog::of(entries.clone()));
    for kept in logs() {
        let Logs { name, log, .. } = &kept;
        copy(&early, &Survey::of(&early).unwrap(), &**log).unwrap();
        let survey = Survey::of(&source).unwrap();
        let copied = copy(&source, &survey, &**log).unwrap();
        check(&**log, &survey).unwrap();
        let there = log.read(Seq(3), 1).unwrap();
        if kept.erase(3) {
            assert!(copied.pending.is_empty() && there[0].payload().is_none(), "{name}");
        } else {
            assert!(copied.pending == [Seq(3)] && there[0].payload().is_some(), "{name}");
        }
    }
}

#[test]
fn a_target_with_another_history_is_refused_and_left_alone() {
    let entries = chain(20);
    let fork = {
        let mut fork = entries[..10].to_vec();
        fork.push(end_of(&fork).seal(note_saying("another", "way"), START_US + 1_000_000));
        fork
    };
    let other = vec![Head::GENESIS.seal(note_saying("no", "opening"), START_US)];
    let cases: [(&str, &[Entry], &[Entry], Judge); 3] = [
        ("another ledger", &entries, &other, |e| matches!(e, CopyError::OtherLedger)),
        ("a fork", &entries, &fork, |e| matches!(e, CopyError::Forked { seq: Seq(10) })),
        ("more than the source", &entries[..5], &entries, |e| {
            matches!(e, CopyError::Ahead { target: Seq(19), source_last: Seq(4) })
        }),
    ];
    for (case, source, target, expected) in cases {
        let source = MemoryLog::of(source.to_vec());
        let survey = Survey::of(&source).unwrap();
        for Logs { name, log, .. } in logs() {
            log.append(target).unwrap();
            let refused = copy(&source, &survey, &*log).unwrap_err();
            assert!(expected(&refused), "{name}, {case}: {refused}");
            assert_eq!(log.read(Seq(0), 100).unwrap(), target, "{name}, {case}");
        }
    }
}

/// The commits are cut where one would be larger than a commit may be.
#[test]
fn large_payloads_are_copied_too() {
    let mut entries = chain(2);
    for n in 0..8 {
        let text = "x".repeat(if n == 3 { 10 } else { 400_000 });
        let entry =
            end_of(&entries).seal(note_saying(&format!("large-{n}"), &text), START_US + 9_000);
        entries.push(entry);
    }
    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    for Logs { name, log, .. } in logs() {
        copy(&source, &survey, &*log).unwrap();
        assert!(log.read(Seq(0), 100).unwrap() == entries, "{name}");
    }
}

/// Threads and channels end, whoever fails first.
#[test]
fn a_damaged_source_is_not_copied() {
    let mut entries = chain(30);
    let payload = entries[7].payload().unwrap().to_vec();
    entries[7] = Entry::stored(*entries[8].header(), Some(payload));
    let source: Arc<dyn Log> = Arc::new(MemoryLog::of(entries));
    let refused = Survey::of(&*source).unwrap_err();
    assert!(
        matches!(&refused, CopyError::Source(e) if e.to_string().contains("entry 7")),
        "{refused}"
    );
    let empty = Survey::of(&MemoryLog::default()).unwrap_err();
    assert!(matches!(empty, CopyError::Empty), "{empty}");
}
