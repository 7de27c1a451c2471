//! The settings of one broker.

use std::path::Path;

/// The ports of one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// For clients.
    pub(crate) client: u16,
    /// For the other brokers and for our own tools, which need no password there.
    pub(crate) internal: u16,
    /// For the controllers.
    pub(crate) controller: u16,
}

/// Users of a cluster with access control. Each one's password is its name followed by `-secret`.
const USERS: [&str; 4] = ["admin", "writer", "reader", "intruder"];

/// What `server.properties` of a node holds. `advertised` is where clients are sent, `inner` the port that other
/// brokers are sent to, if it is not its own.
pub(crate) fn of_node(
    id: usize,
    all: &[Ports],
    dir: &Path,
    (advertised, inner, access_control): (&str, Option<u16>, bool),
    extra: &[String],
) -> String {
    let Some(own) = all.get(id - 1) else { panic!("there is no node {id}") };
    let controllers: Vec<_> = all.iter().map(|p| format!("127.0.0.1:{}", p.controller)).collect();
    let (copies, in_sync) = if all.len() > 1 { (3, 2) } else { (1, 1) };
    let protocol = if access_control { "SASL_PLAINTEXT" } else { "PLAINTEXT" };
    let mut lines = vec![
        "process.roles=broker,controller".to_owned(),
        format!("node.id={id}"),
        format!("controller.quorum.bootstrap.servers={}", controllers.join(",")),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!(
            "listeners=CLIENT://127.0.0.1:{},INTERNAL://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
            own.client, own.internal, own.controller
        ),
        format!(
            "advertised.listeners=CLIENT://{advertised},INTERNAL://127.0.0.1:{}",
            inner.unwrap_or(own.internal)
        ),
        format!(
            "listener.security.protocol.map=CLIENT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name=INTERNAL".to_owned(),
        format!("log.dirs={}", dir.join("data").display()),
        // As a cluster should be that holds a ledger.
        "auto.create.topics.enable=false".to_owned(),
        "unclean.leader.election.enable=false".to_owned(),
        format!("default.replication.factor={copies}"),
        format!("min.insync.replicas={in_sync}"),
    ];
    for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        lines.push(format!("{topic}.replication.factor={copies}"));
        lines.push(format!("{topic}.num.partitions=3"));
    }
    lines.push(format!("transaction.state.log.min.isr={in_sync}"));
    lines.push(format!("share.coordinator.state.topic.min.isr={in_sync}"));
    lines.extend(QUICK.map(str::to_owned));
    if access_control {
        lines.extend(access());
    }
    lines.extend_from_slice(extra);
    lines.join("\n") + "\n"
}

/// A broker for tests: it notices soon who is gone, and takes little memory.
const QUICK: [&str; 10] = [
    "broker.heartbeat.interval.ms=500",
    "broker.session.timeout.ms=3000",
    "replica.lag.time.max.ms=5000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
    "group.initial.rebalance.delay.ms=0",
    "log.segment.bytes=67108864",
    "num.network.threads=2",
    "num.io.threads=4",
    "background.threads=2",
    "log.cleaner.dedupe.buffer.size=4194304",
];

fn access() -> Vec<String> {
    let users: Vec<_> = USERS.iter().map(|user| format!("user_{user}=\"{user}-secret\"")).collect();
    let mechanism = "org.apache.kafka.common.security.plain.PlainLoginModule";
    vec![
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        "super.users=User:admin;User:ANONYMOUS".to_owned(),
        "allow.everyone.if.no.acl.found=false".to_owned(),
        "sasl.enabled.mechanisms=PLAIN".to_owned(),
        "listener.name.client.sasl.enabled.mechanisms=PLAIN".to_owned(),
        format!(
            "listener.name.client.plain.sasl.jaas.config={mechanism} required {};",
            users.join(" ")
        ),
    ]
}
