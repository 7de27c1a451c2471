//! Somebody else writes to the topic: T12. T13, a topic that is set up wrong, is in `ledger/tests/kafka/refusals.rs`.

use std::time::Duration;

use kafka_cluster::{Cluster, Options};
use kafka_faults::{event::note, history::Event};
use ledger::{Head, KafkaAddress, Log as _};

use crate::{
    clusters::{alone, single},
    past::Foreign,
    story::Story,
};

/// Everyone who reads or writes sees a foreign record within a poll or a commit.
const HALTS: Duration = Duration::from_secs(30);
/// How long an intruder tries while clients go on.
const BACK: Duration = Duration::from_secs(10);

fn login(user: &str) -> [(&'static str, String); 4] {
    [
        ("security.protocol", "sasl_plaintext".to_owned()),
        ("sasl.mechanism", "PLAIN".to_owned()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", format!("{user}-secret")),
    ]
}

/// What may be smuggled in where nobody is kept from it.
fn foreign(head: Head) -> Vec<(&'static str, Foreign)> {
    let forked = Head::GENESIS.seal(note("fork-1", "another past"), head.recorded_at_us);
    let own = note("own-1", "tombstone");
    let header = head.seal(own, head.recorded_at_us).header().encode();
    vec![
        ("garbage", Foreign { header: None, value: Some(b"garbage".into()) }),
        ("the beginning of another chain", Foreign::of(&forked)),
        ("a tombstone", Foreign { header: Some(header.into()), value: None }),
    ]
}

/// Without access control it gets in, under another transactional id or none. Everyone stops before it, and nothing is
/// acknowledged that stands behind it.
#[test]
fn t12_where_a_foreign_record_gets_in_everyone_halts() {
    let stage = single();
    for at in 0..3 {
        let mut story = Story::begin("t12", &stage.cluster.bootstrap(), 1);
        story.go_on();
        let (what, foreign) = foreign(story.log().head()).swap_remove(at);
        let id = story.chance.happens(50).then_some("an-intruder");
        story.fault(format!("{what} is written, with transactional id {id:?}"));
        foreign.write(&story.address, id, &[]).unwrap();
        let halted = |event: &Event| matches!(event, Event::Halted { .. });
        // Two readers, and the writer.
        assert!(story.happens(3, halted, HALTS), "not everyone stopped");
        story.end_halted("foreign_record");
    }
}

/// With access control it stays outside, whatever it tries, and nobody notices but the intruder.
#[test]
fn t12_an_intruder_is_refused() {
    let _alone = alone();
    let cluster = Cluster::start(&Options { access_control: true, ..Options::default() });
    let writer = login("admin");
    let writer: Vec<_> = writer.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let intruder = login("intruder");
    let intruder: Vec<_> = intruder.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut story = Story::begin_as("t12-acl", &cluster.bootstrap(), 1, &writer);
    story.go_on();
    while story.another_round(1) {
        let head = story.log().head();
        let next = head.seal(note("own-2", "as if it were ours"), head.recorded_at_us);
        let mut tries = foreign(head);
        tries.push(("the next entry", Foreign::of(&next)));
        for (what, foreign) in tries {
            for id in [None, Some("an-intruder".to_owned()), Some(ledgers_own(&story.address))] {
                story.fault(format!("{what} is tried with transactional id {id:?}"));
                let refused = foreign.write(&story.address, id.as_deref(), &intruder);
                let said = refused.map_err(|error| error.to_string()).unwrap_err();
                assert!(
                    said.contains("authorization failed") || said.contains("Authorization"),
                    "{what}: {said}"
                );
            }
        }
        story.healed(BACK);
    }
    story.end();
}

/// Whoever may use this one could shut the writer out.
fn ledgers_own(address: &KafkaAddress) -> String {
    format!("ledger-of-{}", address.topic())
}
