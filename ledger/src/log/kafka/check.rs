//! Whether a topic and its cluster keep what they are given: asked at each opening for writing.

use std::net::IpAddr;

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigEntry, ConfigResource, ConfigSource, ResourceSpecifier,
    },
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
    metadata::{Metadata, MetadataBroker, MetadataTopic},
};

use super::{
    address::{KafkaAddress, KafkaOptions},
    client::{ANSWER, BROKER_ANSWER, admin, failed, refused, wait_for},
};
use crate::log::{
    LogError,
    refusal::{Refusal, Refusals},
};

/// Where brokers keep what became of transactions.
const TRANSACTIONS: &str = "__transaction_state";
/// How many brokers keep each record.
const COPIES: usize = 3;
/// How many of them must have it before it counts.
const IN_SYNC: usize = 2;
/// Settings of each broker that are looked at.
const BROKERS: [&str; 2] =
    ["transaction.partition.verification.enable", "auto.create.topics.enable"];
/// A batch with the largest payload, its headers and its frame. Kafka's own default.
const BATCH_BYTES: u64 = 1_048_588;

/// A topic's setting, what it must be, and what could happen else. Also what `create` sets.
pub(super) const WANTED: [(&str, &str, &str); 6] = [
    ("cleanup.policy", "delete", "compaction takes all entries of a rollout but the last away"),
    ("retention.ms", "-1", "old entries would be deleted after that time"),
    ("retention.bytes", "-1", "old entries would be deleted beyond that size"),
    ("unclean.leader.election.enable", "false", "a broker that lacks entries could become leader"),
    ("message.timestamp.type", "LogAppendTime", "the broker's clock would be no witness"),
    ("compression.type", "producer", "brokers would write records anew"),
];

/// What is asked of a cluster.
pub(super) struct Inspector<'a> {
    admin: AdminClient<DefaultClientContext>,
    address: &'a KafkaAddress,
    /// `security.protocol` in small letters.
    protocol: String,
    user: String,
}

/// What was found about a topic and its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What could lose entries.
    pub refusals: Refusals,
    /// What could not be asked, so that nobody knows whether it could.
    pub unknown: Refusals,
}

impl<'a> Inspector<'a> {
    pub(super) fn new(
        address: &'a KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<Inspector<'a>, LogError> {
        let protocol =
            options.properties.iter().rev().find(|(name, _)| name == "security.protocol");
        let protocol = protocol.map_or("plaintext", |(_, value)| value).to_ascii_lowercase();
        let user = options.properties.iter().rev().find(|(name, _)| name == "sasl.username");
        let user = user.map_or("PRINCIPAL", |(_, user)| user).to_owned();
        Ok(Inspector { admin: admin(address, options)?, address, protocol, user })
    }

    /// All that could lose entries. Asking also tells whether the topic is there.
    pub(super) fn refusals(&self) -> Result<Refusals, LogError> {
        self.found().map(|found| found.refusals)
    }

    /// The same, and what could not be asked.
    pub(super) fn found(&self) -> Result<Inspection, LogError> {
        let metadata = self.metadata(self.address.topic())?;
        let Some(topic) = found(&metadata) else {
            return Err(LogError::Missing(self.address.path()));
        };
        let (mut all, mut unknown) = (Vec::new(), Vec::new());
        let hosts = metadata.brokers().iter().map(MetadataBroker::host);
        all.extend(in_the_open(&self.protocol, hosts));
        self.partition(topic, metadata.brokers().len(), &mut all);
        self.topic_settings(topic, &mut all)?;
        self.transactions(&mut all, &mut unknown)?;
        self.brokers(&metadata, &mut all, &mut unknown);
        Ok(Inspection { refusals: Refusals(all), unknown: Refusals(unknown) })
    }

    /// Whether the topic is there and has a leader.
    pub(super) fn is_ready(&self) -> Result<bool, LogError> {
        let metadata = self.metadata(self.address.topic())?;
        let partition = found(&metadata).and_then(|topic| topic.partitions().first());
        Ok(partition.is_some_and(|partition| partition.leader() >= 0))
    }

    fn metadata(&self, topic: &str) -> Result<Metadata, LogError> {
        let doing = format!("asking {} about topic {topic}", self.address.brokers());
        let metadata =
            self.admin.inner().fetch_metadata(Some(topic), ANSWER).map_err(failed(&doing))?;
        let error = metadata.topics().first().and_then(MetadataTopic::error);
        match error.map(RDKafkaErrorCode::from) {
            // One that may not be seen is not one that is not there.
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) if topic != TRANSACTIONS => {
                Err(refused(doing, code))
            }
            _ => Ok(metadata),
        }
    }

    fn partition(&self, topic: &MetadataTopic, brokers: usize, all: &mut Vec<Refusal>) {
        let name = topic.name();
        if topic.partitions().len() != 1 {
            all.push(Refusal {
                setting: "partitions".into(),
                found: topic.partitions().len().to_string(),
                wanted: "1".into(),
                why: "a chain is one partition, and readers of the others would see a part of nothing",
                mend: "rollout-ledger kafka init, with the name of a topic that is not there yet".into(),
            });
        }
        let Some(partition) = topic.partitions().first() else { return };
        let copies = partition.replicas().len();
        if copies < COPIES {
            all.push(Refusal {
                setting: "replication factor".into(),
                found: copies.to_string(),
                wanted: format!("{COPIES} or more"),
                why: "entries are lost with the brokers that have them",
                mend: self.more_copies(name, 1, brokers),
            });
        }
        let in_sync = partition.isr().len();
        if in_sync < IN_SYNC.min(copies) {
            all.push(Refusal {
                setting: "in-sync replicas".into(),
                found: in_sync.to_string(),
                wanted: format!("{IN_SYNC} or more"),
                why: "the only broker that has all entries could be lost now",
                mend: self.tool("kafka-topics.sh", "--describe --under-replicated-partitions"),
            });
        }
    }

    fn topic_settings(
        &self,
        topic: &MetadataTopic,
        all: &mut Vec<Refusal>,
    ) -> Result<(), LogError> {
        let name = topic.name();
        let settings = self.settings(ResourceSpecifier::Topic(name))?;
        let mut refuse = |setting: &str, found: String, wanted: &str, why, set_to: &str| {
            let mend = self.set_topic(name, setting, set_to);
            let wanted = wanted.to_owned();
            all.push(Refusal { setting: setting.to_owned(), found, wanted, why, mend });
        };
        for (setting, wanted, why) in WANTED {
            let found = value(&settings, setting);
            // A broker's default may change, and is let go by newer brokers; so this one must be the topic's own.
            let own = setting != "unclean.leader.election.enable" || is_own(&settings, setting);
            if found != wanted || !own {
                refuse(setting, shown(found, own), wanted, why, wanted);
            }
        }
        let setting = "min.insync.replicas";
        let (found, own) = (value(&settings, setting), is_own(&settings, setting));
        if found.parse::<usize>().is_ok_and(|found| found < IN_SYNC) || !own {
            let why = "an entry would count as stored that a single broker has";
            refuse(setting, shown(found, own), "2 or more, on the topic", why, "2");
        }
        let setting = "max.message.bytes";
        let found = value(&settings, setting);
        if found.parse::<u64>().is_ok_and(|found| found < BATCH_BYTES) {
            let (wanted, least) = (format!("{BATCH_BYTES} or more"), BATCH_BYTES.to_string());
            refuse(setting, found.into(), &wanted, "large events could not be stored", &least);
        }
        let copies = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
        let setting = "flush.messages";
        let found = value(&settings, setting);
        if copies == 1 && found != "1" {
            let why = "the only copy would be confirmed before it is on the disk";
            refuse(setting, found.into(), "1 where there is one replica", why, "1");
        }
        Ok(())
    }

    /// What became of each transaction must be kept as well as the entries.
    fn transactions(
        &self,
        all: &mut Vec<Refusal>,
        unknown: &mut Vec<Refusal>,
    ) -> Result<(), LogError> {
        let metadata = self.metadata(TRANSACTIONS)?;
        // It comes with the first transaction of the cluster, and may be hidden from this user.
        let Some(topic) = found(&metadata) else {
            let why = "what became of each commit must be kept as well as the entries";
            unknown.push(self.unknown(
                &format!("the copies of {TRANSACTIONS}"),
                why,
                &describe_topic(),
            ));
            return Ok(());
        };
        let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
        if copies.is_some_and(|copies| copies < COPIES) {
            all.push(Refusal {
                setting: format!("replication factor of {TRANSACTIONS}"),
                found: copies.unwrap_or_default().to_string(),
                wanted: format!("{COPIES} or more"),
                why: "with the brokers that have it, the outcome of a commit is lost",
                mend: self.more_copies(
                    TRANSACTIONS,
                    topic.partitions().len(),
                    metadata.brokers().len(),
                ),
            });
        }
        // A user who may not ask must not be kept from writing: the replication factor was seen.
        let Ok(settings) = self.settings(ResourceSpecifier::Topic(TRANSACTIONS)) else {
            let why = "what became of each commit must be kept as well as the entries";
            let setting = format!("min.insync.replicas of {TRANSACTIONS}");
            unknown.push(self.unknown(&setting, why, &describe_topic()));
            return Ok(());
        };
        let found = value(&settings, "min.insync.replicas");
        if found.parse::<usize>().is_ok_and(|found| found < IN_SYNC) {
            all.push(Refusal {
                setting: format!("min.insync.replicas of {TRANSACTIONS}"),
                found: found.into(),
                wanted: "2 or more".into(),
                why: "a commit would count as decided that a single broker knows of",
                mend: self.set_topic(TRANSACTIONS, "min.insync.replicas", "2"),
            });
        }
        Ok(())
    }

    /// One that is down or hangs does not answer, though the others name it for some seconds yet, and keeps nobody from
    /// writing; a user who may not describe brokers cannot ask this. Either is told what is not known then.
    fn brokers(&self, metadata: &Metadata, all: &mut Vec<Refusal>, unknown: &mut Vec<Refusal>) {
        for broker in metadata.brokers() {
            let settings = self.settings(ResourceSpecifier::Broker(broker.id())).ok();
            // A broker may also answer with nothing in it.
            let told = settings.filter(|told| BROKERS.iter().all(|name| told.get(name).is_some()));
            let Some(settings) = told else {
                let setting = format!("{} of broker {}", BROKERS.join(" and "), broker.id());
                let why = "late records could block all readers, a mistyped name make a topic";
                unknown.push(self.unknown(&setting, why, "--operation DescribeConfigs --cluster"));
                continue;
            };
            let setting = "transaction.partition.verification.enable";
            if value(&settings, setting) == "false" {
                let set = format!(
                    "--entity-type brokers --entity-default --alter --add-config {setting}=true"
                );
                all.push(Refusal {
                    setting: format!("{setting} of broker {}", broker.id()),
                    found: "false".into(),
                    wanted: "true".into(),
                    why: "a late record of a writer that is gone could block all readers",
                    mend: self.tool("kafka-configs.sh", &set),
                });
            }
            let setting = "auto.create.topics.enable";
            if value(&settings, setting) == "true" {
                all.push(Refusal {
                    setting: format!("{setting} of broker {}", broker.id()),
                    found: "true".into(),
                    wanted: "false".into(),
                    why: "a mistyped name would make a topic that keeps nothing",
                    mend: format!(
                        "echo {setting}=false >>config/server.properties, on each broker, and restart them one by one"
                    ),
                });
            }
        }
    }

    fn settings(&self, of: ResourceSpecifier<'_>) -> Result<ConfigResource, LogError> {
        let doing = format!("asking {} for the settings of {of:?}", self.address.brokers());
        let options = match of {
            ResourceSpecifier::Broker(id) => {
                AdminOptions::new().request_timeout(Some(BROKER_ANSWER)).broker_id(id)
            }
            _ => AdminOptions::new().request_timeout(Some(ANSWER)),
        };
        let answers = wait_for(self.admin.describe_configs([&of], &options));
        let mut answers = answers.map_err(failed(&doing))?;
        match answers.pop() {
            Some(answer) => answer.map_err(|code| refused(doing, code)),
            None => Err(refused(doing, RDKafkaErrorCode::Fail)),
        }
    }

    fn unknown(&self, setting: &str, why: &'static str, access: &str) -> Refusal {
        let allow = format!("--add --allow-principal User:{} {access}", self.user);
        Refusal {
            setting: setting.to_owned(),
            found: "not to be seen by this user".to_owned(),
            wanted: "seen".to_owned(),
            why,
            mend: self.tool("kafka-acls.sh", &allow),
        }
    }

    fn tool(&self, tool: &str, rest: &str) -> String {
        format!("{tool} --bootstrap-server {} {rest}", self.address.brokers())
    }

    fn set_topic(&self, topic: &str, setting: &str, to: &str) -> String {
        let set = format!(
            "--entity-type topics --entity-name {topic} --alter --add-config {setting}={to}"
        );
        self.tool("kafka-configs.sh", &set)
    }

    fn more_copies(&self, topic: &str, partitions: usize, brokers: usize) -> String {
        let rest = "--reassignment-json-file copies.json --execute";
        let then = self.tool("kafka-reassign-partitions.sh", rest);
        let ids: Vec<_> = (1..=COPIES).map(|id| id.to_string()).collect();
        let each = |at| {
            format!(r#"{{"topic":"{topic}","partition":{at},"replicas":[{}]}}"#, ids.join(","))
        };
        let plan: Vec<_> = (0..partitions).map(each).collect();
        let first = if brokers < COPIES { "start brokers 1, 2 and 3 and then " } else { "" };
        format!(
            r#"{first}echo '{{"version":1,"partitions":[{}]}}' >copies.json && {then}"#,
            plan.join(",")
        )
    }
}

fn found(metadata: &Metadata) -> Option<&MetadataTopic> {
    let topic = metadata.topics().first()?;
    (topic.error().is_none() && !topic.partitions().is_empty()).then_some(topic)
}

fn value<'a>(settings: &'a ConfigResource, name: &str) -> &'a str {
    settings.get(name).and_then(|entry| entry.value.as_deref()).unwrap_or("not known")
}

fn is_own(settings: &ConfigResource, name: &str) -> bool {
    let own = |entry: &ConfigEntry| entry.source == ConfigSource::DynamicTopic;
    settings.get(name).is_some_and(own)
}

fn shown(found: &str, own: bool) -> String {
    if own { found.to_owned() } else { format!("{found}, by a default of the cluster") }
}

/// What lets a user see how the topic of transactions is kept.
fn describe_topic() -> String {
    format!("--operation Describe --operation DescribeConfigs --topic {TRANSACTIONS}")
}

/// Whether what is written leaves this machine as plain text. `protocol` is in small letters.
fn in_the_open<'a>(protocol: &str, hosts: impl Iterator<Item = &'a str>) -> Option<Refusal> {
    let near =
        |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let mut far = hosts.filter(|host| !near(host));
    (protocol.ends_with("plaintext") && far.next().is_some()).then(|| Refusal {
        setting: "security.protocol".into(),
        found: protocol.to_owned(),
        wanted: if protocol.starts_with("sasl") { "sasl_ssl" } else { "ssl or sasl_ssl" }.into(),
        why: "whoever is on the way could read and change what is written, and passwords",
        mend: "echo security.protocol=SSL >>kafka.properties in the ledger's directory (SASL_SSL with a \
               password; a program built with the cargo feature `kafka-tls`)"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        let near = ["localhost", "127.0.0.1", "127.1.2.3", "::1"];
        let rows: [(&str, &[&str], Option<&str>); 7] = [
            ("plaintext", &near, None),
            ("sasl_plaintext", &near, None),
            ("plaintext", &["127.0.0.1", "k2.example"], Some("ssl or sasl_ssl")),
            ("sasl_plaintext", &["10.0.0.7"], Some("sasl_ssl")),
            // A name that only looks near.
            ("plaintext", &["127.0.0.1.example"], Some("ssl or sasl_ssl")),
            ("ssl", &["k1.example"], None),
            ("sasl_ssl", &["k1.example"], None),
        ];
        for (protocol, hosts, wanted) in rows {
            let found = in_the_open(protocol, hosts.iter().copied());
            assert_eq!(found.map(|refusal| refusal.wanted), wanted.map(str::to_owned), "{hosts:?}");
        }
    }
}
