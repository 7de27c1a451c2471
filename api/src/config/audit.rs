//! `audit`: the questions that an auditor always asks.

use clap::{Args, Subcommand};
use projector::audit::gaps::QUIET_DAYS;

use super::Moment;

/// Rows of an answer unless the reader asks for fewer or more.
pub const ROWS_LEN: usize = 50;

/// The most rows of an answer.
pub const ROWS_LEN_MAX: usize = 500;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Every change of a flag: who, when, through what, and the state behind it
    WhoChanged {
        /// The flag, as the flag service spells it
        #[arg(value_name = "FLAG")]
        flag: String,
        #[command(flatten)]
        page: Page,
    },
    /// Everything in which an account acted, decided, signed off, approved or confirmed
    Actor {
        /// Account id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        page: Page,
    },
    /// What happened, or was recorded, between two moments, of every rollout and flag
    Between {
        /// From then on (RFC 3339; a date means its first moment in UTC)
        #[arg(value_name = "A")]
        from: String,
        /// Before then
        #[arg(value_name = "B")]
        until: String,
        /// By when it happened, or by when it was recorded
        #[arg(long, value_enum, default_value_t)]
        by: By,
        /// Only what is about this rollout
        #[arg(long, value_name = "ID")]
        rollout: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// The gates of a flag at a moment, and which event set each
    State {
        /// The flag, as the flag service spells it
        #[arg(value_name = "FLAG")]
        flag: String,
        /// What had happened by then (RFC 3339; a date means its first moment in UTC)
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// What had been recorded by then, corrections included
        #[arg(long, value_name = "TIME")]
        known_at: Option<String>,
    },
    /// Who decided at each gate, on which plan, knowing which events, with which sign-offs
    Approvals {
        /// The rollout
        #[arg(value_name = "ROLLOUT")]
        id: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// What was corrected, withdrawn or redefined, and which decisions relied on the old value
    Restated {
        /// The rollout
        #[arg(value_name = "ROLLOUT")]
        id: String,
    },
    /// What is missing: silence, results, stages, conditions, rows
    Gaps {
        /// Days without an event after which a rollout counts as quiet
        #[arg(long, default_value_t = QUIET_DAYS, value_name = "N")]
        quiet_days: u32,
        /// Days after which a source counts as silent; by its own rhythm when absent
        #[arg(long, value_name = "N")]
        silent_days: Option<u32>,
        /// The moment that silence is measured at, no earlier than the newest entry; now when absent
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Only rollouts behind this one, by id
        #[arg(long, value_name = "ROLLOUT")]
        after: Option<String>,
        /// At most so many rollouts, 1 to 500
        #[arg(long, default_value_t = ROWS_LEN, value_name = "N")]
        limit: usize,
    },
}

/// Which of an event's two times counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// When it happened, as the sender says
    #[default]
    Happened,
    /// When it was recorded, by the writer's clock
    Recorded,
}

/// Which part of a long answer.
#[derive(Clone, Copy, Debug, Args)]
pub struct Page {
    /// Only rows behind the one of this seq, in the order of the answer
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// At most so many rows, 1 to 500
    #[arg(long, default_value_t = ROWS_LEN, value_name = "N")]
    pub limit: usize,
}
