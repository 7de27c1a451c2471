//! What a cluster says of itself, and the topic beside a ledger's.

use rdkafka::{consumer::Consumer as _, groups::GroupInfo};

use super::{
    KafkaLog,
    address::{KafkaAddress, KafkaOptions},
    board::control_of,
    candidate::group_of,
    check::{Inspection, Inspector},
    client::{ANSWER, GROUP, Quiet, Reading, admin, config, consumer, failed},
    create,
};
use crate::log::LogError;

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaCluster {
    /// Its random id, which no other cluster has.
    pub id: String,
    /// How many brokers it has now.
    pub brokers: usize,
}

impl KafkaLog {
    /// The cluster at an address, whether or not the topic is there.
    pub fn cluster(
        address: &KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<KafkaCluster, LogError> {
        let doing = format!("asking {} which cluster it is", address.brokers());
        let admin = admin(address, options)?;
        let client = admin.inner();
        let metadata =
            client.fetch_metadata(Some(address.topic()), ANSWER).map_err(failed(&doing))?;
        let id = client.fetch_cluster_id(ANSWER).ok_or_else(|| LogError::Unavailable {
            doing,
            source: std::io::ErrorKind::TimedOut.into(),
        })?;
        Ok(KafkaCluster { id, brokers: metadata.brokers().len() })
    }

    /// What could lose entries in a topic and its cluster, as they are set up, and what cannot be asked.
    /// It writes nothing and shuts nobody out.
    ///
    /// Fails with [`Missing`](LogError::Missing) if there is no such topic.
    pub fn inspect(address: &KafkaAddress, options: &KafkaOptions) -> Result<Inspection, LogError> {
        Inspector::new(address, options)?.found()
    }

    /// Up to which offset everything is decided, and where the topic ends. In between is what a
    /// transaction holds that is still open: for long only if nobody ends it.
    pub fn ends(address: &KafkaAddress, options: &KafkaOptions) -> Result<(i64, i64), LogError> {
        let topic = address.topic();
        let end = |consumer: Reading| {
            let ends = consumer.fetch_watermarks(topic, 0, ANSWER);
            ends.map(|(_, end)| end)
                .map_err(failed(format_args!("asking where topic {topic} ends")))
        };
        // In this order, so that what is decided meanwhile is not taken for undecided.
        let all = config(address, options)
            .set("group.id", GROUP)
            .set("isolation.level", "read_uncommitted")
            .create_with_context(Quiet)
            .map_err(failed("making a consumer"))?;
        let all = end(all)?;
        Ok((end(consumer(address, options)?)?, all))
    }

    /// From which addresses servers of a ledger are members of its group: one of them writes.
    pub fn servers(
        address: &KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<Vec<String>, LogError> {
        let group = group_of(address);
        let admin = admin(address, options)?;
        let list = admin.inner().fetch_group_list(Some(&group), ANSWER);
        let list = list.map_err(failed(format_args!("asking for the members of group {group}")))?;
        let members = list.groups().iter().flat_map(GroupInfo::members);
        Ok(members.map(|member| member.client_host().trim_start_matches('/').to_owned()).collect())
    }

    /// Makes the topic beside a ledger's, over which its servers agree who writes, if it is not there:
    /// [`KafkaAddress::control`].
    pub fn create_control(address: &KafkaAddress, options: &KafkaOptions) -> Result<(), LogError> {
        create::control(&control_of(address)?, options)
    }
}
