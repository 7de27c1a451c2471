//! Clusters that several stories share, one story at a time.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use kafka_cluster::{Cluster, Options};

/// Stories are told one at a time: what one breaks must not be another's fault, and two cores are few.
pub(crate) struct Stage {
    pub(crate) cluster: &'static Cluster,
    _alone: MutexGuard<'static, ()>,
}

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One broker, behind a proxy.
pub(crate) fn single() -> Stage {
    static CLUSTER: LazyLock<Cluster> =
        LazyLock::new(|| Cluster::start(&Options { proxies: true, ..Options::default() }));
    let one = alone();
    Stage { cluster: &CLUSTER, _alone: one }
}
