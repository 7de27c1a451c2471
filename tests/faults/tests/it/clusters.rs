//! Clusters that several stories share, one story at a time.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use kafka_cluster::{Cluster, Options};

/// Stories are told one at a time: what one breaks must not be another's fault, and two cores are few.
pub(crate) struct Stage {
    pub(crate) cluster: &'static Cluster,
    _alone: MutexGuard<'static, ()>,
}

/// For a story with a cluster of its own.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One broker, behind a proxy.
pub(crate) fn single() -> Stage {
    static CLUSTER: LazyLock<Cluster> =
        LazyLock::new(|| Cluster::start(&Options { proxies: true, ..Options::default() }));
    stage(alone(), &CLUSTER, 1)
}

/// Three brokers, each behind a proxy for clients and one for the other brokers.
pub(crate) fn triple() -> Stage {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        Cluster::start(&Options { three: true, proxies: true, ..Options::default() })
    });
    stage(alone(), &CLUSTER, 3)
}

/// Whole again, whatever a story that failed has left.
fn stage(one: MutexGuard<'static, ()>, cluster: &'static Cluster, nodes: usize) -> Stage {
    for id in 1..=nodes {
        let proxy = cluster.proxy(id);
        proxy.clear_rule();
        proxy.watch_answers(|_| {});
        proxy.partition(false);
        proxy.release();
        if nodes > 1 {
            cluster.inner_proxy(id).partition(false);
        }
        if cluster.alive(id) {
            cluster.resume(id);
        } else {
            cluster.restart(id);
        }
    }
    Stage { cluster, _alone: one }
}
