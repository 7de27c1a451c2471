//! `webhook` and the settings of `serve` that are about webhooks.

use clap::{Args, Subcommand};

use super::EventFilter;
use crate::webhooks::{
    Settings,
    address::Rules,
    schedule::{self, Schedule, duration},
};

/// To whom webhooks may be sent, and when.
#[derive(Clone, Debug, Args)]
pub struct WebhookSettings {
    #[command(flatten)]
    pub rules: WebhookRules,
    /// The wait before each attempt of a delivery; after the last one fails, the webhook is disabled
    #[arg(
        long,
        env = "ROLLOUT_LEDGER_WEBHOOK_RETRIES",
        default_value = schedule::DEFAULT,
        value_name = "WAITS"
    )]
    pub webhook_retries: Schedule,
}

/// To whom webhooks may be sent.
#[derive(Clone, Debug, Args)]
pub struct WebhookRules {
    /// Let webhooks reach this machine itself, http included; private networks stay shut
    #[arg(long, env = "ROLLOUT_LEDGER_WEBHOOK_LOOPBACK")]
    pub webhook_loopback: bool,
    /// Send webhooks to these hosts, and hosts below them, only
    #[arg(
        long,
        env = "ROLLOUT_LEDGER_WEBHOOK_HOSTS",
        value_delimiter = ',',
        value_name = "HOST,HOST"
    )]
    pub webhook_host: Vec<String>,
}

impl WebhookRules {
    pub fn rules(&self) -> Rules {
        let hosts = self.webhook_host.iter().map(|host| host.to_ascii_lowercase()).collect();
        Rules { loopback: self.webhook_loopback, hosts }
    }
}

impl WebhookSettings {
    pub fn settings(&self) -> Settings {
        Settings { rules: self.rules.rules(), schedule: self.webhook_retries.clone() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Send events to a URL from now on; prints the secret of its signatures, for the only time
    Add {
        /// Where to send them, such as `https://HOST/PATH`
        url: String,
        #[command(flatten)]
        filter: Box<EventFilter>,
        /// Begin with this entry; 0 for the whole history
        #[arg(long, value_name = "SEQ")]
        from: Option<u64>,
        /// Send events without their `data`
        #[arg(long)]
        thin: bool,
        #[command(flatten)]
        rules: WebhookRules,
    },
    /// Every webhook, its state and how far it is
    List,
    /// One webhook
    Show { id: String },
    /// What was sent lately and what came of it, the newest first
    Deliveries { id: String },
    /// Send a message that is no event, now, and say what came of it
    Test {
        id: String,
        #[command(flatten)]
        rules: WebhookRules,
    },
    /// Send nothing until `resume`; nothing is lost
    Pause { id: String },
    /// Go on after a pause, after 410 or after the last attempt, where it stood
    Resume { id: String },
    /// Send again from an entry on, with the same webhook-ids
    Replay {
        id: String,
        /// The first entry to send again
        #[arg(long, value_name = "SEQ")]
        from: u64,
    },
    /// Make a new secret and print it, for the only time
    Rotate {
        id: String,
        /// How long the old one signs too; 0s if it has leaked
        #[arg(long, default_value = "24h", value_name = "TIME", value_parser = overlap)]
        overlap: std::time::Duration,
    },
    /// Send nothing any more and forget the webhook
    Remove { id: String },
}

fn overlap(text: &str) -> Result<std::time::Duration, &'static str> {
    duration(text).ok_or("a time is a number and ms, s, m or h, such as 24h")
}
