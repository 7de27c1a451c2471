//! What is on the topic, byte for byte, as consumers in other languages see it.

use ledger::{
    Entry, Head, KafkaAddress, KafkaLog, Log, Seq,
    log::kafka::{CONTENT_TYPE, LEDGER_ERASED, LEDGER_HEADER},
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Headers as _, OwnedMessage},
};

use crate::{
    brokers::{fresh, options, unique},
    story::{START_US, chain, chain_of, event},
};

/// Every record in the topic, by a consumer that knows nothing of us.
fn records(address: &KafkaAddress, len: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address.brokers())
        .set("group.id", "anyone")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(address.topic(), 0, Offset::Beginning).unwrap();
    consumer.assign(&partition).unwrap();
    consumer.iter().take(len).map(|message| message.unwrap().detach()).collect()
}

fn headers(record: &OwnedMessage) -> Vec<(String, Vec<u8>)> {
    let all = record.headers().unwrap().iter();
    all.map(|header| (header.key.to_owned(), header.value.unwrap().to_vec())).collect()
}

fn is(name: &str, value: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), value.to_vec())
}

#[test]
fn a_record_is_the_event_as_it_was_hashed() {
    let (address, ledger) = (fresh(), format!("l{}", unique()));
    let mut entries = chain_of(&ledger, 1);
    let log = KafkaLog::create(&address, &options()).unwrap();
    log.append(&entries).unwrap();
    let about = event("rollout.note.added.v1", "n", r#"{"text":"hm"}"#, Some("checkout-7"));
    entries.push(log.head().seal(about, START_US + 1_000));
    log.append(&entries[1..]).unwrap();

    let records = records(&address, 2);
    for (record, entry) in records.iter().zip(&entries) {
        assert_eq!(record.payload(), entry.payload());
        assert_eq!(record.partition(), 0);
    }
    let (content, first, second) =
        (CONTENT_TYPE.as_bytes(), entries[0].header().encode(), entries[1].header().encode());
    let opened = [
        is("content-type", content),
        is(LEDGER_HEADER, &first),
        is("type", b"rollout.ledger.opened.v1"),
    ];
    assert_eq!(headers(&records[0]), opened);
    assert_eq!(records[0].key(), Some(ledger.as_bytes()));
    let noted = [
        is("content-type", content),
        is(LEDGER_HEADER, &second),
        is("type", b"rollout.note.added.v1"),
        is("rollout", b"checkout-7"),
    ];
    assert_eq!(headers(&records[1]), noted);
    assert_eq!(records[1].key(), Some(b"checkout-7".as_slice()));
    // The first entry is one transaction and its end; so the second is at offset 2.
    assert_eq!((records[0].offset(), records[1].offset()), (0, 2));
}

/// As a copy of a log brings it: the chain goes on over it.
#[test]
fn an_entry_without_its_payload_is_stored_so() {
    let (address, entries) = (fresh(), chain(4));
    let mut copied = entries.clone();
    copied[2] = Entry::stored(*entries[2].header(), None);
    let log = KafkaLog::create(&address, &options()).unwrap();
    log.append(&copied).unwrap();
    assert_eq!(log.read(Seq(0), 10).unwrap(), copied);
    log.erase(Seq(2)).unwrap();

    let records = records(&address, 4);
    assert_eq!(records[2].payload(), Some([].as_slice()), "empty and not null");
    assert!(headers(&records[2]).contains(&is(LEDGER_ERASED, b"1")));
    let again = KafkaLog::open_read_only(&address, &options()).unwrap();
    assert_eq!(again.head(), log.head());
    assert_eq!(again.read(Seq(1), 2).unwrap(), copied[1..3]);
    assert_ne!(again.head(), Head::GENESIS);
}
