//! A real Apache Kafka on this machine for tests, without containers, and faults on the way to it.
//!
//! [`Cluster`] runs one or three brokers, each with its own controller, on ports of 127.0.0.1, and kills,
//! pauses, stops and restarts them. However a test ends, nothing of it stays behind: each broker is watched by
//! `node.sh`, which ends it when the process that started it is gone.
//!
//! [`Proxy`] stands between clients and a broker. It reads requests as Kafka frames them, so it can hold or lose
//! one kind of request, or its answer, at the very moment at which that hurts most.
//!
//! Nothing is skipped: where Java or Maven is missing, a cluster fails with the command to type.
//!
//! ```no_run
//! let cluster = kafka_cluster::Cluster::start(&kafka_cluster::Options::default());
//! println!("{}", cluster.bootstrap());
//! cluster.kill(1);
//! cluster.restart(1);
//! ```

mod cluster;
mod jars;
mod node;
mod properties;
mod proxy;

pub use cluster::{Cluster, Options};
pub use proxy::{Action, Proxy, Request};

/// Numbers of requests in Kafka's protocol, for rules of a [`Proxy`].
pub mod api_key {
    /// Records for a partition.
    pub const PRODUCE: i16 = 0;
    /// Reading a partition.
    pub const FETCH: i16 = 1;
    /// Where a partition begins and ends.
    pub const LIST_OFFSETS: i16 = 2;
    /// Which brokers and topics there are.
    pub const METADATA: i16 = 3;
    /// A producer becomes the one of its transactional id.
    pub const INIT_PRODUCER_ID: i16 = 22;
    /// A transaction takes a partition in.
    pub const ADD_PARTITIONS_TO_TXN: i16 = 24;
    /// The end of a transaction.
    pub const END_TXN: i16 = 26;
}
