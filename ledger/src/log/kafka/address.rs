//! Which topic of which cluster holds a log, and how it is to be opened.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::entry::{Hash, Seq};

/// The longest name that Kafka gives a topic.
const TOPIC_LEN_MAX: usize = 249;
/// How long the broker waits for a writer that went silent in the middle of a commit, during which readers wait too.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How many brokers keep each record, so that one may be lost while another one is down.
const COPIES: i32 = 3;

/// A topic: `kafka://HOST:PORT,HOST:PORT/TOPIC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaAddress {
    brokers: String,
    topic: String,
}

/// The text is no address of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKafkaAddress {
    /// Another kind of address.
    #[error("the address of a topic is kafka://HOST:PORT,HOST:PORT/TOPIC")]
    Shape,
    /// A broker is a host and a port.
    #[error("each broker in kafka://HOST:PORT,.../TOPIC is a host, `:` and a port")]
    Broker,
    /// Kafka has no such topic.
    #[error("a topic's name is 1 to 249 letters, digits, `.`, `_` and `-`")]
    Topic,
}

impl KafkaAddress {
    /// The brokers to begin with, as `bootstrap.servers` takes them.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The topic's name. The log is its partition 0.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The same with another topic.
    ///
    /// # Errors
    /// When Kafka has no topics of that name.
    pub fn with_topic(&self, topic: &str) -> Result<KafkaAddress, InvalidKafkaAddress> {
        format!("kafka://{}/{topic}", self.brokers).parse()
    }

    /// The topic beside a ledger's, over which its servers agree who writes: `TOPIC.control`.
    ///
    /// # Errors
    /// When the ledger's topic has so long a name that there is no room for this one's.
    pub fn control(&self) -> Result<KafkaAddress, InvalidKafkaAddress> {
        self.with_topic(&format!("{}.control", self.topic))
    }

    /// For errors that name a log by its path.
    pub(super) fn path(&self) -> PathBuf {
        self.to_string().into()
    }
}

impl fmt::Display for KafkaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.topic)
    }
}

impl FromStr for KafkaAddress {
    type Err = InvalidKafkaAddress;

    fn from_str(text: &str) -> Result<KafkaAddress, InvalidKafkaAddress> {
        let rest = text.strip_prefix("kafka://").ok_or(InvalidKafkaAddress::Shape)?;
        let (brokers, topic) = rest.split_once('/').ok_or(InvalidKafkaAddress::Shape)?;
        let is_broker = |broker: &str| {
            broker.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty()
                    && !host.contains(|c: char| c.is_whitespace() || c == '@')
                    && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        if !brokers.split(',').all(is_broker) {
            return Err(InvalidKafkaAddress::Broker);
        }
        let is_named = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let whole = (1..=TOPIC_LEN_MAX).contains(&topic.len()) && topic.chars().all(is_named);
        if !whole || topic == "." || topic == ".." {
            return Err(InvalidKafkaAddress::Topic);
        }
        Ok(KafkaAddress { brokers: brokers.to_owned(), topic: topic.to_owned() })
    }
}

/// A record that was verified, kept by whoever read it: when the log is opened again, it must still be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The record's offset in partition 0.
    pub offset: i64,
    /// The entry that it holds.
    pub seq: Seq,
    /// That entry's hash, and so all of history before it.
    pub hash: Hash,
}

/// How a log on Kafka is opened.
#[derive(Clone)]
pub struct KafkaOptions {
    /// Writes to a topic or cluster that could lose entries, too. What is wrong with it is in
    /// [`KafkaLog::allowed`](super::KafkaLog::allowed).
    pub allow_unsafe: bool,
    /// The last record that is known from before. Reading begins there, so all before it is trusted; without one,
    /// the whole log is read and checked.
    pub anchor: Option<Anchor>,
    /// More settings of librdkafka, such as `security.protocol` or `sasl.password`. Those that the log's
    /// correctness rests on cannot be changed.
    pub properties: Vec<(String, String)>,
    /// How long a commit may take before its outcome is in doubt. 15 seconds, and at most the broker's
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout: Duration,
    /// On how many brokers [`KafkaLog::create`](super::KafkaLog::create) keeps each record. 3.
    pub copies: i32,
}

impl Default for KafkaOptions {
    fn default() -> KafkaOptions {
        KafkaOptions {
            allow_unsafe: false,
            anchor: None,
            properties: Vec::new(),
            transaction_timeout: TRANSACTION_TIMEOUT,
            copies: COPIES,
        }
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may be a password.
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        f.debug_struct("KafkaOptions")
            .field("allow_unsafe", &self.allow_unsafe)
            .field("anchor", &self.anchor)
            .field("properties", &names)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("copies", &self.copies)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_brokers_and_a_topic() {
        for good in ["kafka://a:1/t", "kafka://a:9092,[::1]:9093/ledger.events"] {
            assert_eq!(good.parse::<KafkaAddress>().unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("a:1/t", InvalidKafkaAddress::Shape),
            ("kafka://a:1", InvalidKafkaAddress::Shape),
            ("kafka:///t", InvalidKafkaAddress::Broker),
            ("kafka://a/t", InvalidKafkaAddress::Broker),
            ("kafka://a:0/t", InvalidKafkaAddress::Broker),
            ("kafka://u@a:1/t", InvalidKafkaAddress::Broker),
            ("kafka://a:1,/t", InvalidKafkaAddress::Broker),
            ("kafka://a:1/", InvalidKafkaAddress::Topic),
            ("kafka://a:1/..", InvalidKafkaAddress::Topic),
            ("kafka://a:1/t/u", InvalidKafkaAddress::Topic),
        ] {
            assert_eq!(bad.parse::<KafkaAddress>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let properties = vec![("sasl.password".to_owned(), "hunter2".to_owned())];
        let shown = format!("{:?}", KafkaOptions { properties, ..KafkaOptions::default() });
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }
}
