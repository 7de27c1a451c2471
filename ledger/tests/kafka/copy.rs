//! Copies between topics of one cluster, beside a ledger's writer.

use std::sync::Arc;

use ledger::{
    Index, KafkaLog, Log, LogError, MemoryLog, RedactError, Seq, Writer,
    copy::{Survey, check, copy},
    verify,
};

use crate::{
    brokers::{fresh, options},
    copy_contract::{redacted_chain, without_3},
    story::{START_US, chain, note_saying, redaction, strict},
};

/// The ledger's id is the same on both topics, and its writer is at work on the first one.
#[test]
fn a_copy_to_the_next_topic_fences_nobody_off_and_leaves_out_what_is_erased() {
    let (old, new, entries) = (fresh(), fresh(), redacted_chain(60));
    let writer = KafkaLog::create(&old, &options()).unwrap();
    writer.append(&entries[..40]).unwrap();

    let source = KafkaLog::open_read_only(&old, &options()).unwrap();
    let survey = Survey::of(&source).unwrap();
    let target = KafkaLog::open_for_copy(&new, &options()).unwrap();
    assert_eq!(copy(&source, &survey, &target).unwrap().stored, 40);
    drop(target);

    writer.append(&entries[40..]).unwrap();
    // A fresh target, since the entry 3 was copied with its payload by then.
    let (new, source) = (fresh(), KafkaLog::open_read_only(&old, &options()).unwrap());
    let survey = Survey::of(&source).unwrap();
    let target = KafkaLog::open_for_copy(&new, &options()).unwrap();
    assert!(copy(&source, &survey, &target).unwrap().pending.is_empty());
    check(&target, &survey).unwrap();
    drop(target);

    let moved = KafkaLog::open(&new, &options()).unwrap();
    assert_eq!(moved.read(Seq(0), 100).unwrap(), without_3(entries.clone()));
    assert_eq!(writer.read(Seq(0), 100).unwrap(), entries, "the old topic keeps everything");
    // The same id writes the new topic, and so the old one no more.
    let next = moved.head().seal(note_saying("next", "here"), START_US);
    moved.append(std::slice::from_ref(&next)).unwrap();
    assert!(matches!(writer.append(&[next]), Err(LogError::Fenced)));
}

#[test]
fn of_two_copies_into_one_topic_the_later_one_goes_on() {
    let (address, entries) = (fresh(), chain(30));
    let source = MemoryLog::of(entries.clone());
    let survey = Survey::of(&source).unwrap();
    let first = KafkaLog::open_for_copy(&address, &options()).unwrap();
    first.append(&entries[..10]).unwrap();
    let second = KafkaLog::open_for_copy(&address, &options()).unwrap();
    assert!(matches!(first.append(&entries[10..]), Err(LogError::Fenced)));
    assert_eq!(copy(&source, &survey, &second).unwrap().stored, 20);
    check(&second, &survey).unwrap();
}

/// The bytes stay where they are until the next topic.
#[test]
fn a_redaction_on_a_topic_is_recorded_and_waits_for_the_next_one() {
    let (old, new, entries) = (fresh(), fresh(), chain(6));
    let log = Arc::new(KafkaLog::create(&old, &options()).unwrap());
    log.append(&entries).unwrap();
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    let pending = writer.redact(redaction("r", &entries[3], "note-3"), START_US + 9_000);
    assert!(matches!(pending, Err(RedactError::Pending(receipt)) if receipt.seq == Seq(6)));
    // The writer goes on, and the chain says what is to go.
    let report = verify(&*log, &strict()).unwrap();
    assert!(report.is_good() && !report.redactions[0].erased);
    writer.commit(vec![note_saying("after", "it goes on").into()], START_US + 9_000).unwrap();

    let survey = Survey::of(&*log).unwrap();
    let next = KafkaLog::open_for_copy(&new, &options()).unwrap();
    copy(&*log, &survey, &next).unwrap();
    let report = verify(&next, &strict()).unwrap();
    assert!(report.is_good() && report.redactions[0].erased);
    assert_eq!(next.read(Seq(3), 1).unwrap()[0].payload(), None);
}
