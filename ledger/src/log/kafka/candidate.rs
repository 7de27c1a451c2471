//! Who is to write: the one member of a consumer group that has the control topic's only partition.
//!
//! This is for liveness alone. Two processes may both take themselves for the writer for a while; that one of them
//! writes is the transactional id's business.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
};

use super::{
    address::{KafkaAddress, KafkaOptions},
    board::control_of,
    client::{config, failed, lock},
};
use crate::log::LogError;

/// After how long without a sign of life the place is given to another. Brokers allow 6 s to 30 min; a machine that
/// is busy for some seconds keeps its place.
const SESSION: Duration = Duration::from_secs(10);

/// How often a member shows that it is alive, and so how soon it hears that there is a place to take.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What became of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This process is to write.
    Taken,
    /// Not any more: the group asks it back, or this process has left.
    GivenBack,
    /// Not any more, and the group has gone on without this process.
    Lost,
}

/// A member of the group of a ledger's servers.
pub struct KafkaCandidate {
    consumer: BaseConsumer<Turns>,
    turns: Arc<Mutex<VecDeque<Turn>>>,
    topic: String,
}

impl KafkaCandidate {
    /// Joins the group of those who could write the log at `address`. [`poll`](KafkaCandidate::poll) tells when this
    /// one is to; dropping it leaves the group, so that another one is to at once.
    pub fn join(
        address: &KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<KafkaCandidate, LogError> {
        let control = control_of(address)?;
        let turns = Arc::<Mutex<VecDeque<Turn>>>::default();
        let consumer: BaseConsumer<Turns> = config(address, options)
            .set("group.id", group_of(address))
            // Who has the place keeps it when others come and go.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION.as_millis().to_string())
            .set("heartbeat.interval.ms", HEARTBEAT.as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .set("allow.auto.create.topics", "false")
            .create_with_context(Turns(turns.clone()))
            .map_err(failed("joining the group of writers"))?;
        let topic = control.topic().to_owned();
        consumer.subscribe(&[&topic]).map_err(failed(format_args!("asking for topic {topic}")))?;
        Ok(KafkaCandidate { consumer, turns, topic })
    }

    /// What became of the place, waiting for news for so long. It must be called again and again: who is silent for
    /// minutes loses its place.
    pub fn poll(&self, wait: Duration) -> Result<Option<Turn>, LogError> {
        if let Some(turn) = lock(&self.turns).pop_front() {
            return Ok(Some(turn));
        }
        // What stands in the topic is read elsewhere.
        match self.consumer.poll(wait) {
            None | Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => {
                return Err(failed(format_args!("waiting for topic {}", self.topic))(error));
            }
        }
        Ok(lock(&self.turns).pop_front())
    }
}

/// The group of a ledger's servers.
pub(super) fn group_of(address: &KafkaAddress) -> String {
    format!("ledger-{}", address.topic())
}

/// Hears of the place as librdkafka tells it.
struct Turns(Arc<Mutex<VecDeque<Turn>>>);

impl ClientContext for Turns {}

impl ConsumerContext for Turns {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let turn = match rebalance {
            Rebalance::Assign(partitions) if partitions.count() > 0 => Turn::Taken,
            Rebalance::Revoke(partitions) if partitions.count() > 0 => {
                if consumer.assignment_lost() { Turn::Lost } else { Turn::GivenBack }
            }
            _ => return,
        };
        lock(&self.0).push_back(turn);
    }
}
