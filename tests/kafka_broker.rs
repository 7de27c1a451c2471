//! The one broker that the stories on Kafka share, and ledgers on it.

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use kafka_cluster::{Cluster, Options};

use crate::harness::{Ledger, Ran};

/// The broker. It ends with this process.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&Options::default()));
    &CLUSTER
}

/// A topic on the shared broker that is not there yet.
pub(crate) fn fresh() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("kafka://{}/ledger.it-{count}", cluster().bootstrap())
}

/// The topic's own name.
pub(crate) fn topic(address: &str) -> &str {
    address.rsplit('/').next().unwrap()
}

/// What lets a single broker hold a ledger.
pub(crate) const UNSAFE: &str = "--allow-unsafe-kafka";

/// A ledger on Kafka, and its directory.
pub(crate) fn ledger() -> (Ledger, String) {
    let (ledger, address) = (Ledger::absent(), fresh());
    ledger.run(&["kafka", "init", &address, UNSAFE]).ok();
    (ledger, address)
}

/// A directory of another machine for the same ledger.
pub(crate) fn joined(ledger: &Ledger, address: &str) -> (Ledger, Ran) {
    let other = Ledger::absent();
    let key = ledger.dir.join("keys/pseudonym.key");
    let ran = other.run(&["kafka", "join", address, "--key", key.to_str().unwrap()]);
    (other, ran)
}
