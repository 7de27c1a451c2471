//! The one broker that all tests share, and topics on it.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_cluster::{Cluster, Options};
use ledger::{KafkaAddress, KafkaLog, KafkaOptions};

/// One node on this machine: what that could lose is allowed.
pub(crate) fn options() -> KafkaOptions {
    KafkaOptions {
        allow_unsafe: true,
        copies: 1,
        transaction_timeout: Duration::from_secs(10),
        ..KafkaOptions::default()
    }
}

/// The broker. It ends with this process.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&Options::default()));
    &CLUSTER
}

/// The address of a topic that is not there yet.
pub(crate) fn fresh() -> KafkaAddress {
    address(&format!("ledger.{}", unique()))
}

/// The address of a topic on the shared broker.
pub(crate) fn address(topic: &str) -> KafkaAddress {
    format!("kafka://{}/{topic}", cluster().bootstrap()).parse().unwrap()
}

/// A new topic, open for writing.
pub(crate) fn log() -> KafkaLog {
    KafkaLog::create(&fresh(), &options()).unwrap()
}

/// A number that no other test of this run has.
pub(crate) fn unique() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}
