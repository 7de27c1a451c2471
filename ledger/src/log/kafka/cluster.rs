//! What a cluster says of itself, and the topic beside a ledger's.

use super::{
    KafkaLog,
    address::{KafkaAddress, KafkaOptions},
    board::control_of,
    client::{ANSWER, admin, failed},
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

    /// Makes the topic beside a ledger's, over which its servers agree who writes, if it is not there:
    /// [`KafkaAddress::control`].
    pub fn create_control(address: &KafkaAddress, options: &KafkaOptions) -> Result<(), LogError> {
        create::control(&control_of(address)?, options)
    }
}
