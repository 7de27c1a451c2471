//! How fast a ledger moves between segments and a topic of a real broker: `cargo bench -p ledger --bench
//! kafka_copy`.
//!
//! The baseline of the way to Kafka is a bare transactional producer that sends the same payloads, as many in a
//! transaction. That of the way back is a bare consumer that reads the same topic and checks nothing.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod bare;
mod measure;

use std::{path::Path, time::Duration};

use bare::{BareProducer, bare_consumer};
use kafka_cluster::{Cluster, Options};
use ledger::{
    BATCH_LEN_MAX, Draft, Head, KafkaAddress, KafkaLog, KafkaOptions, Log as _, SegmentLog,
    copy::{Survey, check, copy},
};
use measure::{NOW_US, PAYLOAD_SIZE, payloads, rate, report, scratch, time};

/// Entries of the ledger that moves, and how often it does.
const LEN: usize = 40_000;
const ROUNDS: usize = 3;

fn main() {
    let cluster = Cluster::start(&Options::default());
    let dir = scratch();
    let source = filled(&dir.path().join("source"));
    let survey = Survey::of(&source).expect("the source is good");
    let (mut there, mut back, mut checked) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut bare_there, mut bare_back) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let address = address(&cluster, &format!("ours.{round}"));
        let target = KafkaLog::open_for_copy(&address, &options()).expect("a topic");
        there += time(|| drop(copy(&source, &survey, &target).expect("the broker takes it")));
        checked += time(|| check(&target, &survey).expect("a good copy"));
        drop(target);
        bare_there += bare_producer(&cluster, round);

        let topic = KafkaLog::open_read_only(&address, &options()).expect("a topic");
        let path = dir.path().join(format!("back-{round}"));
        let segments = SegmentLog::open_for_copy(path).expect("a directory");
        back += time(|| drop(copy(&topic, &survey, &segments).expect("the disk takes it")));
        assert_eq!(segments.head(), source.head(), "the same ledger");
        bare_back += bare_consumer(&address, LEN);
    }
    let per_second = |elapsed| rate(LEN * ROUNDS, elapsed);
    let line = |name, ours, baseline, target| {
        report(name, "entries/s", per_second(ours), per_second(baseline), (">=", target));
    };
    line("copy_segments_to_kafka", there, bare_there, 0.7);
    line("copy_kafka_to_segments", back, bare_back, 0.7);
    line("copy_check_on_kafka", checked, bare_back, 0.7);
}

fn options() -> KafkaOptions {
    KafkaOptions { allow_unsafe: true, copies: 1, ..KafkaOptions::default() }
}

fn address(cluster: &Cluster, topic: &str) -> KafkaAddress {
    format!("kafka://{}/{topic}", cluster.bootstrap()).parse().expect("an address")
}

/// A ledger in segments, with commits of many entries.
fn filled(dir: &Path) -> SegmentLog {
    let log = SegmentLog::create(dir).expect("a new log");
    let opened = br#"{"data":{"ledger_id":"b"},"id":"o","source":"bench","specversion":"1.0","type":"rollout.ledger.opened.v1"}"#;
    let notes = payloads(0, LEN - 1, PAYLOAD_SIZE);
    let all = std::iter::once(opened.to_vec()).chain(notes);
    let mut head = Head::GENESIS;
    let entries: Vec<_> = all
        .map(|payload| {
            let entry = head.seal(Draft::new(payload).expect("a canonical event"), NOW_US);
            head = head.accept(&entry).expect("it follows");
            entry
        })
        .collect();
    entries.chunks(BATCH_LEN_MAX).for_each(|commit| log.append(commit).expect("room"));
    log
}

/// Sends the same payloads in transactions of as many records.
fn bare_producer(cluster: &Cluster, round: usize) -> Duration {
    let topic = format!("bare.{round}");
    KafkaLog::create(&address(cluster, &topic), &options()).expect("a topic like ours");
    let producer = BareProducer::new(&cluster.bootstrap(), &topic);
    let payloads = payloads(0, LEN, PAYLOAD_SIZE);
    time(|| payloads.chunks(BATCH_LEN_MAX).for_each(|commit| producer.commit(commit)))
}
