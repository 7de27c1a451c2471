//! Which events a question is about: the same names on the command line and in a query string,
//! where they are written with `_` for `-`.

use std::path::PathBuf;

use clap::Args;

/// Which events. Conditions of different names must all hold; of several values of one name that
/// takes a list, one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// About this rollout, corrections and confirmations of such events included
    #[arg(long, value_name = "ID")]
    pub rollout: Option<String>,
    /// About this flag, in the same way
    #[arg(long, value_name = "KEY")]
    pub flag: Option<String>,
    /// About this stage, of --rollout or of any
    #[arg(long, value_name = "KEY")]
    pub stage: Option<String>,
    /// Account id of who acted, decided, signed off, approved or confirmed, as the sender claims
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,
    /// Event types or their beginnings: stage.started, rollout.stage
    #[param(rename = "type")]
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// The CloudEvents source
    #[arg(long, value_name = "URI")]
    pub source: Option<String>,
    /// How the sender knows: observed, reported, imported, backfilled
    #[arg(long, value_name = "BASIS", value_delimiter = ',')]
    pub basis: Vec<String>,
    /// A ticket, bug, incident or link: its URL, or its short name such as 1234 or #1234
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
    /// How bad it is: critical, high, medium, low
    #[arg(long, value_name = "SEVERITY", value_delimiter = ',')]
    pub severity: Vec<String>,
    /// Words that notes, reasons and other texts say, all of them, in any order and case
    #[arg(long, value_name = "WORDS")]
    pub text: Vec<String>,
    /// Happened at or after
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Happened before
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Recorded at or after
    #[arg(long, value_name = "TIME")]
    pub recorded_since: Option<String>,
    /// Recorded before
    #[arg(long, value_name = "TIME")]
    pub recorded_until: Option<String>,
}

/// In which order events are wanted, and from where on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventOrder {
    /// Only entries behind this seq in the order asked for
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// asc, oldest entry first, unless desc
    #[arg(long, value_name = "ORDER")]
    pub order: Option<String>,
}

/// Which events to list.
#[derive(Clone, Debug, Args)]
pub struct EventList {
    #[command(flatten)]
    pub filter: EventFilter,
    #[command(flatten)]
    pub order: EventOrder,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Go on where a list with the same conditions ended
    #[arg(long, value_name = "CURSOR", conflicts_with = "after")]
    pub cursor: Option<String>,
    /// Every entry, without limit
    #[arg(long)]
    pub all: bool,
}

/// Which events to export, how and where to.
#[derive(Clone, Debug, Args)]
pub struct EventExport {
    #[command(flatten)]
    pub filter: EventFilter,
    #[command(flatten)]
    pub order: EventOrder,
    /// One event a line, as JSON or as comma-separated values
    #[arg(long, value_enum, default_value_t)]
    pub format: ExportFormat,
    /// The file to write, whole or not at all; standard output when absent
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Check that an exported file is complete, by its last line; exports nothing
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub check: Option<PathBuf>,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    #[default]
    Jsonl,
    Csv,
}
