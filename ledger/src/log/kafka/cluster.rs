//! What a cluster says of itself, and the topic beside a ledger's.

use super::{
    KafkaLog,
    address::{InvalidKafkaAddress, KafkaAddress, KafkaOptions},
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
        let control = address.control().map_err(too_long)?;
        create::control(&control, options)
    }
}

fn too_long(error: InvalidKafkaAddress) -> LogError {
    LogError::Unavailable {
        doing: "naming the topic of who writes".to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
    }
}
