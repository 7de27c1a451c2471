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

/// Returns when the topic is there and has a leader.
pub(super) fn topic(address: &KafkaAddress, options: &KafkaOptions) -> Result<(), LogError> {
    let in_sync = if options.copies >= 3 { "2" } else { "1" };
    let copies = TopicReplication::Fixed(options.copies);
    let mut topic = NewTopic::new(address.topic(), 1, copies).set("min.insync.replicas", in_sync);
    for (setting, wanted, _) in WANTED {
        topic = topic.set(setting, wanted);
    }
    if options.copies == 1 {
        topic = topic.set("flush.messages", "1");
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
