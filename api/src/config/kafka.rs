//! `kafka` and what is said of a log on Kafka: their commands and settings.

use std::path::PathBuf;

use clap::Args;
#[cfg(feature = "kafka")]
use clap::Subcommand;

use crate::logs::{self, kafka::Address};

/// What is said of the log, for every command.
#[derive(Clone, Debug, Args)]
pub struct Asked {
    /// The topic that is the log; without it, what the directory says
    #[arg(
        long = "log",
        global = true,
        env = "ROLLOUT_LEDGER_KAFKA",
        value_name = "kafka://HOST:PORT,.../TOPIC",
        help_heading = "Kafka"
    )]
    pub address: Option<Address>,
    /// Settings of librdkafka, a NAME=VALUE a line, in the place of DIR/kafka.properties
    #[arg(long, global = true, value_name = "FILE", help_heading = "Kafka")]
    pub kafka_properties: Option<PathBuf>,
    /// Write although the topic or the cluster could lose entries; recorded
    #[arg(long, global = true, help_heading = "Kafka")]
    pub allow_unsafe_kafka: bool,
}

impl From<Asked> for logs::Asked {
    fn from(asked: Asked) -> logs::Asked {
        logs::Asked {
            address: asked.address,
            properties: asked.kafka_properties,
            allow_unsafe: asked.allow_unsafe_kafka,
        }
    }
}

#[cfg(feature = "kafka")]
#[derive(Debug, Subcommand)]
pub enum Kafka {
    /// Make a ledger on Kafka: its topics, its key, a directory for this machine
    #[command(after_help = "Examples:
  rollout-ledger kafka init kafka://k1:9092,k2:9092,k3:9092/ledger.events --data-dir ledger
  rollout-ledger kafka init kafka://localhost:9092/ledger.events --allow-unsafe-kafka")]
    Init {
        /// The brokers to begin with, and the topic
        #[arg(value_name = "kafka://HOST:PORT,.../TOPIC")]
        topic: Address,
        /// The name that signed checkpoints will carry, fixed for ever; no spaces, no `+`
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
    },
    /// Make a directory on this machine for a ledger that is on Kafka already
    #[command(after_help = "Example:
  rollout-ledger kafka join kafka://k1:9092/ledger.events --key pseudonym.key --data-dir ledger")]
    Join {
        /// The brokers to begin with, and the topic
        #[arg(value_name = "kafka://HOST:PORT,.../TOPIC")]
        topic: Address,
        /// The ledger's key: keys/pseudonym.key of another machine
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Say what of the topic and its cluster could lose entries, with the command that mends it; writes
    /// nothing
    #[command(after_help = "Examples:
  rollout-ledger kafka check --data-dir ledger
  rollout-ledger kafka check kafka://k1:9092/ledger.events

Exit code 7 when there is something to mend.")]
    Check {
        /// The brokers to begin with, and the topic; the directory's when absent
        #[arg(value_name = "kafka://HOST:PORT,.../TOPIC")]
        topic: Option<Address>,
    },
}
