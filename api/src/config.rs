//! Every command, setting and default, with its help text.

pub mod audit;
pub mod door;
mod filter;
pub mod kafka;
pub mod log;
pub mod token;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::{
    filter::{EventExport, EventFilter, EventList, EventOrder, ExportFormat},
    webhook::{Webhook, WebhookRules, WebhookSettings},
};
use crate::{logging::LogFormat, output::Format, space, stream::SUBSCRIBERS_MAX};

/// Records every flag change, stage, decision, metric, bug and rollback of a rollout, for good, and
/// proves that nothing was changed since.
///
/// Exit codes: 0 ok, 1 failure, 2 usage, 3 does not verify, 4 not found, 5 conflict, 6 not allowed,
/// 7 refused by a rule (personal data), 75 try again.
#[derive(Debug, Parser)]
#[command(name = "rollout-ledger", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The ledger's directory
    #[arg(
        long,
        global = true,
        env = "ROLLOUT_LEDGER_DATA",
        default_value = "rollout-ledger-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
    /// How rows are shown
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Free bytes on the log's disk below which nothing is recorded, such as 1GiB; 0 for none
    #[arg(
        long,
        global = true,
        env = "ROLLOUT_LEDGER_MIN_FREE",
        default_value = "256MiB",
        value_parser = space::parse,
        value_name = "SIZE"
    )]
    pub min_free: u64,
    #[command(flatten)]
    pub kafka: kafka::Asked,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a ledger
    Init {
        /// The name that signed checkpoints will carry, fixed for ever; no spaces, no `+`
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
    },
    /// Read, import and fill in release plans
    #[command(subcommand)]
    Plan(Plan),
    /// Import a flag service's log and ask for a flag's state
    #[command(subcommand)]
    Flags(Flags),
    /// Append and read events
    #[command(subcommand)]
    Event(Event),
    /// Ask about rollouts
    #[command(subcommand)]
    Rollout(Rollout),
    /// Ready questions of an audit: who, when, on what, what changed, what is missing
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The retrospective: plan against actual, KPIs, rollbacks, what is still blank
    Report {
        /// The rollout
        #[arg(value_name = "ROLLOUT")]
        id: String,
        /// md or json; by --output when absent
        #[arg(long)]
        format: Option<ReportFormat>,
        #[command(flatten)]
        moment: Moment,
    },
    /// Check the whole chain: headers, digests, payloads
    Verify {
        /// The ledger's directory; `--data-dir` when absent
        dir: Option<PathBuf>,
        /// A head that you kept elsewhere: proves that nothing was cut off since
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<String>,
        /// Keep in `state/verified.json` when it was and what was found, for `doctor`; else nothing
        /// is written
        #[arg(long)]
        note: bool,
    },
    /// Say what is wrong with the directory and its surroundings, and what to do; writes nothing
    Doctor,
    /// The log itself: what it consists of, and how to take it away and bring it back
    #[command(subcommand)]
    Log(log::Log),
    /// A ledger whose log is a topic of Apache Kafka: make one, take part in one
    #[cfg(feature = "kafka")]
    #[command(subcommand)]
    Kafka(kafka::Kafka),
    /// Copy the ledger, also while `serve` writes; again: only what is new
    Backup(log::Backup),
    /// Make a backup or copy the ledger's home, to be written to
    Restore(log::Restore),
    /// Rebuild or check the views, which are folded from the log
    #[command(subcommand)]
    Views(Views),
    /// Record that the clock was set back, so that recording can go on
    #[command(subcommand)]
    Clock(Clock),
    /// What falls due, and a scheduler that announces it; `serve` has one of its own
    #[command(subcommand)]
    Schedule(Schedule),
    /// Send events to other services as they are recorded
    #[command(subcommand)]
    Webhook(Webhook),
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Serve the read API and `POST /api/v1/events`
    Serve {
        /// Where to listen; beyond loopback only with an access token that works
        #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
        listen: String,
        /// Whether to announce what falls due: snapshots, missed snapshots, flags to be removed
        #[arg(long, value_enum, default_value_t, env = "ROLLOUT_LEDGER_SCHEDULER")]
        scheduler: Switch,
        /// The form of the lines on stderr; text on a terminal, json elsewhere
        #[arg(long, value_enum, env = "ROLLOUT_LEDGER_LOG_FORMAT")]
        log_format: Option<LogFormat>,
        /// Event streams that may be open at once
        #[arg(
            long,
            env = "ROLLOUT_LEDGER_MAX_STREAMS",
            default_value_t = SUBSCRIBERS_MAX,
            value_name = "N"
        )]
        max_streams: usize,
        #[command(flatten)]
        webhooks: WebhookSettings,
        #[command(flatten)]
        door: door::Door,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    #[default]
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    Md,
    Json,
}

/// From which moment a rollout is looked at.
#[derive(Clone, Debug, Default, Args)]
pub struct Moment {
    /// What had happened by then (RFC 3339; a date means its first moment in UTC)
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// What had been recorded by then, corrections included
    #[arg(long, value_name = "TIME")]
    pub known_at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Plan {
    /// Say what is understood of a plan, every blank, unread line and contradiction; writes nothing
    Lint { file: PathBuf },
    /// Record a plan and the results already filled in
    Import {
        file: PathBuf,
        /// The rollout's id; else the file's name
        #[arg(long, value_name = "ID")]
        rollout: Option<String>,
        /// Account id of whoever imports
        #[arg(long, value_name = "ID")]
        actor: Option<String>,
        /// The commit that the file was taken from
        #[arg(long, value_name = "SHA")]
        commit: Option<String>,
        /// Replace personal data in what is recorded instead of refusing the file
        #[arg(long)]
        redact: bool,
        /// Withhold whole lines: `plan lint` lists those that probably name a person
        #[arg(long, value_name = "N,M", value_delimiter = ',')]
        redact_lines: Vec<u64>,
    },
    /// Print a plan with the blanks filled that the ledger can fill
    Export {
        #[arg(value_name = "ROLLOUT")]
        id: String,
        /// That revision's exact bytes
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// Add the facts that have no place in the plan as a last section
        #[arg(long)]
        append: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Flags {
    /// Record the rows of a flag service's log that are not recorded yet
    Import {
        file: PathBuf,
        /// The form of the file
        #[arg(long, default_value = "flipper-events")]
        format: FlagFormat,
        /// Which flag service
        #[arg(long, value_name = "NAME")]
        source: String,
        /// Which environment it was read from
        #[arg(long, value_name = "ENV")]
        environment: String,
        /// CSV with the columns `email,account_id`: staff are recorded by account id
        #[arg(long, value_name = "MAP.csv")]
        actors: Option<PathBuf>,
        /// What the exporter left out, in words
        #[arg(long, value_name = "WORDS")]
        filter: Option<String>,
    },
    /// Every flag that was ever changed
    List,
    /// The state of a flag and the events that set it
    Show {
        key: String,
        /// The state at that moment
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Which environment, when there are several
        #[arg(long, value_name = "ENV")]
        environment: Option<String>,
        /// Which flag service, when there are several
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FlagFormat {
    FlipperEvents,
}

#[derive(Debug, Subcommand)]
pub enum Event {
    /// Record CloudEvents: one object, an array (all or none) or NDJSON
    Append {
        /// The file; `-` or nothing for standard input
        #[arg(short = 'f', long = "file", default_value = "-")]
        file: PathBuf,
    },
    /// List events
    List(Box<EventList>),
    /// Write events to a file that says itself whether it is complete
    Export(Box<EventExport>),
    /// Print entries in the order of the log, each checked against the one before
    Tail(Box<Tail>),
    /// Show one event
    Get { seq: u64 },
    /// Erase an event's payload by law; its header stays and the chain still verifies
    Redact {
        seq: u64,
        /// Why, without repeating what is erased
        #[arg(long)]
        reason: String,
        /// Account id of who approved it
        #[arg(long, value_name = "ID")]
        approver: Vec<String>,
    },
}

/// Entries as they come.
#[derive(Clone, Debug, Default, Args)]
pub struct Tail {
    #[command(flatten)]
    pub filter: EventFilter,
    /// Only entries after this seq
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Wait for what comes, over the server's stream; ends with Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// The server to follow, instead of the one that holds the directory: `http://HOST:PORT`
    #[arg(long, value_name = "URL", requires = "follow")]
    pub url: Option<String>,
    /// The file that holds the token for it
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// Every rollout and where it is
    List,
    /// Where a rollout is and what each stage showed
    Show {
        id: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Everything that happened, in order
    Timeline {
        id: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// The snapshots after launch: when each is due, and its KPIs against goals and baselines
    Checkpoints {
        id: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Did it follow its plan: every rule kept, broken or undecided
    Deviations {
        id: String,
        /// Only the rules with this verdict
        #[arg(long, value_enum)]
        only: Option<Verdict>,
        #[command(flatten)]
        moment: Moment,
    },
    /// Record that a flag belongs to a rollout
    Link {
        /// The rollout
        #[arg(value_name = "ROLLOUT")]
        id: String,
        /// The flag, as the flag service spells it
        #[arg(long, value_name = "KEY")]
        flag: String,
        /// From when its changes count for the rollout (RFC 3339)
        #[arg(long, value_name = "TIME")]
        valid_from: Option<String>,
        /// What it does for the rollout
        #[arg(long, default_value = "rollout", value_parser = ["rollout", "kill_switch", "prerequisite", "guard"])]
        role: String,
        /// The rollout is one that the ledger has not heard of, and means to be
        #[arg(long)]
        new: bool,
        /// Account id of whoever links
        #[arg(long, value_name = "ID")]
        actor: Option<String>,
    },
}

/// What a rule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Verdict {
    Kept,
    Broken,
    Undecided,
}

#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// What falls due, and has fallen due without being recorded
    Show {
        /// Only what falls due by then
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Announce what has fallen due, and go on
    Run {
        /// The server to ask and to record with; the directory when absent
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// The file that holds the token for it
        #[arg(long, value_name = "FILE", requires = "url")]
        token_file: Option<PathBuf>,
        /// Announce what has fallen due by now, and end
        #[arg(long)]
        once: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Views {
    /// Fold all views anew from the log
    Rebuild,
    /// Check that a rebuild gives the same rows; exit 1 if not
    Diff,
}

#[derive(Debug, Subcommand)]
pub enum Clock {
    /// Record the step, from the newest entry's time to now
    Step {
        /// Why the clock was set back
        #[arg(long)]
        reason: String,
    },
}
