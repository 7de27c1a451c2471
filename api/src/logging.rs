//! What the server says of itself while it runs: lines on stderr, for people or for programs.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, with the request's and trace's ids in `span`
    Json,
    /// For people
    Text,
}

/// What is told unless the environment says otherwise. What a client of Kafka says of each of its
/// connections is left out: what it means for a ledger is told in lines of our own.
const FILTER: &str = "info,rdkafka=off,librdkafka=off";

/// Starts logging to stderr: text on a terminal and JSON elsewhere, unless the form is set.
/// `ROLLOUT_LEDGER_LOG` says how much.
pub fn start(format: Option<LogFormat>) {
    let terminal = io::stderr().is_terminal();
    let by_place = if terminal { LogFormat::Text } else { LogFormat::Json };
    let filter = EnvFilter::try_from_env("ROLLOUT_LEDGER_LOG");
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second initialisation in one process is a test's, and keeps the first.
    let _ = match format.unwrap_or(by_place) {
        LogFormat::Text => lines.with_ansi(terminal).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true);
            lines.with_span_list(false).try_init()
        }
    };
}
