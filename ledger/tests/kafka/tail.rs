//! Readers that follow a log, and what they remember of it.

use kafka_cluster::{Cluster, Options};
use ledger::{Anchor, Entry, Hash, KafkaAddress, KafkaLog, KafkaOptions, Log, LogError, Seq};

use crate::{
    brokers::{fresh, options},
    story::{chain, chain_of, strict},
};

fn known(anchor: Option<Anchor>) -> KafkaOptions {
    KafkaOptions { anchor, ..options() }
}

fn follow_to(log: &KafkaLog, next: u64) {
    while log.head().next < Seq(next) {
        log.advance(1_000, true).unwrap();
    }
}

#[test]
fn a_follower_sees_what_is_appended_and_goes_on_from_its_anchor() {
    let (address, entries) = (fresh(), chain(40));
    let writer = KafkaLog::create(&address, &options()).unwrap();
    let reader = KafkaLog::follow(&address, &options()).unwrap();
    entries[..20].chunks(3).for_each(|commit| writer.append(commit).unwrap());
    follow_to(&reader, 20);
    assert_eq!(reader.head(), writer.head());
    assert_eq!(reader.anchor(), writer.anchor());
    assert_eq!(reader.read(Seq(5), 7).unwrap(), entries[5..12]);

    let again = KafkaLog::follow(&address, &known(reader.anchor())).unwrap();
    assert_eq!(again.head(), reader.head());
    entries[20..].chunks(7).for_each(|commit| writer.append(commit).unwrap());
    follow_to(&again, 40);
    assert_eq!(again.head(), writer.head());
    // What is before its anchor is read as well.
    assert_eq!(again.read(Seq(0), 100).unwrap(), entries);
    assert!(ledger::verify(&again, &strict()).unwrap().is_good());
}

/// Some of a thousand commits, of one entry to hundreds: an offset says little about a place.
#[test]
fn every_entry_is_found_wherever_it_lies() {
    let (address, entries) = (fresh(), chain(4_000));
    let writer = KafkaLog::create(&address, &options()).unwrap();
    let (small, large) = entries.split_at(300);
    small.chunks(1).for_each(|commit| writer.append(commit).unwrap());
    large.chunks(900).for_each(|commit| writer.append(commit).unwrap());
    let anchor = writer.anchor();
    // One that has read it all, and one that knows its end alone.
    for known in [known(None), known(anchor)] {
        let log = KafkaLog::open_read_only(&address, &known).unwrap();
        for seq in [0, 3_999, 1, 299, 300, 301, 2_000, 3_100, 150] {
            assert_eq!(log.read(Seq(seq as u64), 3).unwrap(), entries[seq..4_000.min(seq + 3)]);
        }
    }
}

#[test]
fn a_log_without_its_anchor_is_refused() {
    let (address, entries) = (fresh(), chain(4));
    let log = KafkaLog::create(&address, &options()).unwrap();
    entries.chunks(2).for_each(|commit| log.append(commit).unwrap());
    let anchor = log.anchor().unwrap();
    assert_eq!((anchor.seq, anchor.hash), (Seq(3), entries[3].hash()));
    drop(log);
    for wrong in [
        Anchor { hash: Hash([7; 32]), ..anchor },
        Anchor { seq: Seq(2), ..anchor },
        Anchor { offset: anchor.offset - 1, ..anchor },
        Anchor { offset: anchor.offset + 1, ..anchor },
        Anchor { offset: anchor.offset + 100, ..anchor },
    ] {
        refused(&address, &known(Some(wrong)), "truncated");
    }
    assert!(KafkaLog::open(&address, &known(Some(anchor))).is_ok());
}

/// On a broker of its own, whose topic goes away and comes again with the same beginning.
#[test]
fn a_topic_that_was_cut_or_made_anew_is_refused() {
    let cluster = Cluster::start(&Options::default());
    let address: KafkaAddress =
        format!("kafka://{}/ledger.cut", cluster.bootstrap()).parse().unwrap();
    let entries: Vec<Entry> = chain_of("cut", 6);
    let log = KafkaLog::create(&address, &options()).unwrap();
    entries.chunks(2).for_each(|commit| log.append(commit).unwrap());
    let anchor = log.anchor();
    drop(log);

    cluster.tool("kafka-topics.sh", &["--delete", "--topic", "ledger.cut"]);
    let log = create_again(&address);
    log.append(&entries[..2]).unwrap();
    drop(log);
    refused(&address, &known(anchor), "truncated");

    // Someone cuts the beginning off.
    let file = tempfile::NamedTempFile::new().unwrap();
    let cut = r#"{"partitions":[{"topic":"ledger.cut","partition":0,"offset":1}],"version":1}"#;
    std::fs::write(file.path(), cut).unwrap();
    let path = file.path().to_str().unwrap();
    cluster.tool("kafka-delete-records.sh", &["--offset-json-file", path]);
    refused(&address, &known(None), "truncated");
}

/// A topic goes away some time after it was deleted.
fn create_again(address: &KafkaAddress) -> KafkaLog {
    loop {
        match KafkaLog::create(address, &options()) {
            Err(LogError::Exists(_)) => {}
            created => return created.unwrap(),
        }
    }
}

fn refused(address: &KafkaAddress, options: &KafkaOptions, code: &str) {
    for opened in [KafkaLog::open(address, options), KafkaLog::follow(address, options)] {
        match opened {
            Err(LogError::Corrupt(damage)) => assert_eq!(damage.code, code, "{damage}"),
            other => panic!("{other:?} and not refused: {options:?}"),
        }
    }
}
