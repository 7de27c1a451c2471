//! Settings of `serve` about who may connect and how often.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use clap::Args;

use super::Switch;

/// Who may connect to a server, how many at once, and how often they may ask.
#[derive(Clone, Debug, Args)]
pub struct Door {
    /// Listen here too, for GET and HEAD only; the same tokens count
    #[arg(long, value_name = "ADDR")]
    pub listen_read_only: Option<String>,
    /// Connections at once, over all addresses
    #[arg(long, default_value_t = NonZeroUsize::new(16_384).unwrap(), value_name = "N")]
    pub max_connections: NonZeroUsize,
    /// Connections at once from one address [default: no limit of its own]
    #[arg(long, value_name = "N")]
    pub max_connections_per_address: Option<NonZeroUsize>,
    /// How long a connection may be without a whole request's head
    #[arg(long, default_value_t = NonZeroU64::new(30).unwrap(), value_name = "SECONDS")]
    pub idle_timeout: NonZeroU64,
    /// Requests a second of each token that names no rate of its own
    #[arg(long, default_value_t = NonZeroU32::new(1_000).unwrap(), value_name = "N")]
    pub rate: NonZeroU32,
    /// Requests of such a token at once, after a while without any
    #[arg(long, default_value_t = NonZeroU32::new(2_000).unwrap(), value_name = "N")]
    pub burst: NonZeroU32,
    /// Requests a second of all who need no token together [default: no limit]
    #[arg(long, value_name = "N")]
    pub tokenless_rate: Option<NonZeroU32>,
    /// A web page's origin that may ask from a browser, such as `https://status.example`; may be given
    /// again [default: none]
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    pub cors_origins: Vec<String>,
    /// Where the other servers of a ledger on Kafka reach this one, such as `http://ledger-1.example:8080`
    /// [default: where it listens]
    #[arg(long, env = "ROLLOUT_LEDGER_ADVERTISE", value_name = "URL")]
    pub advertise: Option<String>,
    /// Whether this server of a ledger on Kafka becomes the writer when there is none
    #[arg(long, value_enum, default_value_t, env = "ROLLOUT_LEDGER_STANDBY")]
    pub standby: Switch,
}
