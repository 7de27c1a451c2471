//! Makes a topic as a ledger needs it.

use rdkafka::{
    admin::{AdminOptions, NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
};

use super::{
    address::{KafkaAddress, KafkaOptions},
    check::{Inspector, WANTED},
    client::{ANSWER, admin, failed, refused, wait_for},
};
use crate::log::LogError;

/// How often a new topic is asked for before it is given up; each answer takes its time.
const ASKED_MAX: usize = 10_000;

/// How much of what servers told each other is kept at least: a million bytes are thousands of records,
/// and only the newest counts. Kafka takes no smaller pieces.
const CONTROL_BYTES: &str = "1048576";

/// Makes a ledger's topic. Returns when it is there and has a leader.
pub(super) fn topic(address: &KafkaAddress, options: &KafkaOptions) -> Result<(), LogError> {
    let mut settings: Vec<_> = WANTED.iter().map(|(setting, to, _)| (*setting, *to)).collect();
    if options.copies == 1 {
        settings.push(("flush.messages", "1"));
    }
    make(address, options, &settings)
}

/// Makes the topic of who writes, if it is not there. What is in it is no history: only the newest
/// record must stay, and in the newest piece there always is one.
pub(super) fn control(address: &KafkaAddress, options: &KafkaOptions) -> Result<(), LogError> {
    let settings = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", CONTROL_BYTES),
        ("segment.bytes", CONTROL_BYTES),
    ];
    match make(address, options, &settings) {
        Err(LogError::Exists(_)) => Ok(()),
        made => made,
    }
}

fn make(
    address: &KafkaAddress,
    options: &KafkaOptions,
    settings: &[(&str, &str)],
) -> Result<(), LogError> {
    let in_sync = if options.copies >= 3 { "2" } else { "1" };
    let copies = TopicReplication::Fixed(options.copies);
    let mut topic = NewTopic::new(address.topic(), 1, copies).set("min.insync.replicas", in_sync);
    for (setting, to) in settings {
        topic = topic.set(setting, to);
    }
    let doing = format!("making {address}");
    let asked = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    let admin = admin(address, options)?;
    let answers = wait_for(admin.create_topics([&topic], &asked)).map_err(failed(&doing))?;
    for answer in answers {
        match answer {
            Ok(_) => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                return Err(LogError::Exists(address.path()));
            }
            Err((_, code)) => return Err(refused(&doing, code)),
        }
    }
    let inspector = Inspector::new(address, options)?;
    for _ in 0..ASKED_MAX {
        if inspector.is_ready()? {
            return Ok(());
        }
    }
    Err(refused(doing, RDKafkaErrorCode::LeaderNotAvailable))
}
