//! One writer: who takes the log over shuts out whoever had it.

use ledger::{Head, KafkaLog, Log, LogError, Seq};

use crate::{
    brokers::{fresh, options},
    story::chain,
};

#[test]
fn a_writer_that_was_taken_over_from_is_fenced_and_stays_so() {
    let (address, entries) = (fresh(), chain(6));
    let first = KafkaLog::create(&address, &options()).unwrap();
    first.append(&entries[..3]).unwrap();
    let second = KafkaLog::open(&address, &options()).unwrap();
    assert_eq!(second.head(), first.head());

    assert!(matches!(first.append(&entries[3..4]), Err(LogError::Fenced)));
    second.append(&entries[3..5]).unwrap();
    // It does not take the log back by itself.
    assert!(matches!(first.append(&entries[3..4]), Err(LogError::Fenced)));
    second.append(&entries[5..]).unwrap();
    assert_eq!(second.read(Seq(0), 10).unwrap(), entries);
}

/// Before the first entry nobody knows the ledger's id; yet one alone writes it.
#[test]
fn of_two_writers_of_an_empty_log_the_later_one_writes_the_first_entry() {
    let (address, mine, other) = (fresh(), chain(2), chain(2));
    let first = KafkaLog::create(&address, &options()).unwrap();
    let second = KafkaLog::open(&address, &options()).unwrap();
    assert!(matches!(first.append(&mine), Err(LogError::Fenced)));
    assert_eq!(second.head(), Head::GENESIS);
    second.append(&other).unwrap();
    assert_eq!(second.read(Seq(0), 10).unwrap(), other);
}

#[test]
fn a_reader_fences_nobody_and_does_not_write() {
    let (address, entries) = (fresh(), chain(4));
    let writer = KafkaLog::create(&address, &options()).unwrap();
    writer.append(&entries[..2]).unwrap();
    let reader = KafkaLog::open_read_only(&address, &options()).unwrap();
    assert!(matches!(reader.append(&entries[2..]), Err(LogError::ReadOnly)));
    writer.append(&entries[2..]).unwrap();
    assert_eq!(reader.head().next, Seq(2), "what it was opened at");
}

#[test]
fn a_topic_is_made_once_and_must_be_there() {
    let address = fresh();
    assert!(matches!(KafkaLog::open(&address, &options()), Err(LogError::Missing(_))));
    assert!(matches!(KafkaLog::follow(&address, &options()), Err(LogError::Missing(_))));
    drop(KafkaLog::create(&address, &options()).unwrap());
    assert!(matches!(KafkaLog::create(&address, &options()), Err(LogError::Exists(_))));
}
