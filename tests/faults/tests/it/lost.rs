//! The topic loses what it held, and the cluster forgets a writer: T14, T15.

use std::time::Duration;

use kafka_cluster::{Cluster, Options};
use kafka_faults::history::{Answer, Call, Event};
use ledger::{Entry, KafkaAddress, KafkaLog, KafkaOptions, Log as _, LogError, Seq};

use crate::{
    clusters::{alone, single},
    story::Story,
};

/// A deleted topic is gone within seconds; everyone asks for it all the time.
const HALTS: Duration = Duration::from_mins(1);
/// A writer that was forgotten takes the log over anew.
const BACK: Duration = Duration::from_secs(30);

/// What becomes of the topic.
#[derive(Clone, Copy, Debug)]
enum Anew {
    /// It is empty.
    Empty,
    /// It holds the first half of what it held, as after a restore.
    Half,
}

/// T14: the topic is deleted and made anew while writer and readers are at work. Nobody takes it for the old one.
#[test]
fn t14_a_topic_that_was_made_anew_halts_everyone() {
    let stage = single();
    for anew in [Anew::Empty, Anew::Half] {
        let mut story = Story::begin("t14", &stage.cluster.bootstrap(), 1);
        story.go_on();
        story.pass(Duration::from_secs(1));
        let before = story.log();
        let entries = before.read(Seq(0), usize::MAX).unwrap();
        let kept = match anew {
            Anew::Empty => &[],
            Anew::Half => &entries[..entries.len() / 2],
        };
        story.fault(format!("the topic is deleted and made anew: {anew:?}"));
        let topic = story.address.topic().to_owned();
        stage.cluster.tool("kafka-topics.sh", &["--delete", "--topic", &topic]);
        make_again(&story.address, &story.options, kept);
        let since = story.recorder.now_us();
        let halted = |event: &Event| matches!(event, Event::Halted { .. });
        assert!(story.happens(3, halted, HALTS), "not everyone stopped: {anew:?}");
        story.stop();
        for event in story.recorder.events() {
            match event {
                Event::Halted { code, .. } => assert!(code.starts_with("truncated"), "{code}"),
                Event::Call(Call { invoked_us, answer: Answer::Ok { .. }, key, .. }) => {
                    assert!(invoked_us < since, "{key} was acknowledged by what is not the ledger");
                }
                _ => {}
            }
        }
        // Nothing but a commit that was under way, which nobody was told of, may have come to the new topic: a
        // producer knows a topic by its name alone.
        match KafkaLog::open_read_only(&story.address, &story.options) {
            Ok(log) => {
                let after = log.read(Seq(0), usize::MAX).unwrap();
                assert!(kept.starts_with(&after) || after.starts_with(kept), "{anew:?}");
            }
            Err(LogError::Corrupt(damage)) => assert_eq!(damage.code, "foreign_record", "{damage}"),
            Err(other) => panic!("{other}"),
        }
        story.forget();
    }
}

/// A topic goes away some time after it was deleted. A commit of the old one's writer may get in first.
fn make_again(address: &KafkaAddress, options: &KafkaOptions, entries: &[Entry]) {
    let log = loop {
        match KafkaLog::create(address, options) {
            Err(LogError::Exists(_)) => {}
            Err(LogError::Corrupt(_)) => return,
            created => break created.unwrap(),
        }
    };
    for commit in entries.chunks(100) {
        if log.append(commit).is_err() {
            return;
        }
    }
}

/// T15: the cluster forgets a transactional id that was idle for long. The writer loses its producer, and no entry.
#[test]
fn t15_a_writer_that_was_idle_for_long_goes_on() {
    let _alone = alone();
    let forgets = [
        "transactional.id.expiration.ms=2000",
        "transaction.remove.expired.transaction.cleanup.interval.ms=500",
        "producer.id.expiration.ms=2000",
        "producer.id.expiration.check.interval.ms=500",
    ];
    let properties = forgets.map(str::to_owned).into();
    let cluster = Cluster::start(&Options { properties, ..Options::default() });
    let mut story = Story::begin("t15", &cluster.bootstrap(), 1);
    story.go_on();
    while story.another_round(1) {
        story.rest();
        story.fault("nobody records, until the writer is forgotten");
        story.pass(Duration::from_secs(5));
        story.wake();
        story.healed(BACK);
    }
    story.end();
}
