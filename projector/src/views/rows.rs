//! The rows beside the postings, and their keys.
//!
//! | key begins with | row          | one for                           |
//! |-----------------|--------------|-----------------------------------|
//! | `c`             | [`Counts`]   | the whole ledger                  |
//! | `d`             | `DueRow`     | each rollout for which something falls due, by the instant of the first |
//! | `f`             | [`FlagRow`]  | each flag, by its key             |
//! | `p`             | postings     | each block of each list           |
//! | `r`             | [`RolloutRow`] | each rollout, by its id         |

use schemas::Event;
use serde::{Deserialize, Serialize};

use crate::{
    codec::Row,
    rollout::{BugState, Rollout, Status, exposure},
    schedule,
};

/// Longest title in a row, in characters. The whole title is in the rollout itself.
pub const TITLE_LEN_MAX: usize = 500;

/// What the keys of flags begin with.
pub(crate) const FLAGS: &[u8] = b"f";

/// What the keys of rollouts begin with.
pub(crate) const ROLLOUTS: &[u8] = b"r";

/// What the keys of what falls due begin with.
pub(crate) const DUE: &[u8] = b"d";

/// The key of the counts.
pub(crate) const COUNTS: &[u8] = b"c";

/// One rollout in a list of rollouts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RolloutRow {
    pub id: String,
    pub title: Option<String>,
    /// `flag`, `allowlist`, ...; absent when nobody said.
    pub kind: Option<String>,
    /// Where it is, in one word: `not_started`, `running`, `launched`, ...
    pub status: String,
    /// Key of the stage that the newest move belongs to.
    pub stage: Option<String>,
    pub stage_label: Option<String>,
    /// From 1.
    pub attempt: Option<u64>,
    /// Who sees the feature, in words.
    pub exposure: String,
    /// The greatest share that sees it, in basis points; absent when it is no percentage.
    pub share_bp: Option<u32>,
    /// Whether the exposure is only what the plan says of the running stage.
    pub exposure_is_planned: bool,
    /// Keys of its flags, sorted.
    pub flags: Vec<String>,
    /// Revisions of its plan.
    pub revisions: u64,
    pub bugs: u64,
    /// Bugs neither fixed nor verified nor disputed.
    pub bugs_open: u64,
    pub rollbacks: u64,
    pub launches: u64,
    /// When the newest of its events happened, else was recorded, in Unix microseconds.
    pub newest_us: i64,
    /// Its events, those of its flags and those that correct either included.
    pub events: u64,
    /// The newest entry that is about it.
    pub last_seq: u64,
    /// Those of its events that this version cannot read.
    pub unread_events: u64,
    /// When the first of what is to be announced and is not recorded falls due, or fell due, in Unix
    /// microseconds.
    pub next_due_us: Option<i64>,
}

impl Row for RolloutRow {
    const TYPE: u8 = 3;
}

/// A rollout for which something falls due. The instant is in the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueRow {
    pub rollout: String,
}

impl Row for DueRow {
    const TYPE: u8 = 9;
}

/// One flag in a list of flags, by the events as they were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FlagRow {
    pub key: String,
    /// The flag services and environments that recorded changes of it, sorted.
    pub homes: Vec<FlagHome>,
    /// The rollouts that it is registered for, sorted.
    pub rollouts: Vec<String>,
    /// How many events of its services there are: changes, drifts, its retirement.
    pub words: u64,
    /// The newest entry that is about it.
    pub last_seq: u64,
}

/// One flag service and environment.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct FlagHome {
    pub service: String,
    pub environment: String,
    pub changes: u64,
    /// The newest change.
    pub last_change_seq: u64,
}

impl Row for FlagRow {
    const TYPE: u8 = 4;
}

/// Numbers about the whole ledger.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Counts {
    pub events: u64,
    /// Events of types that this version does not know, or whose data it cannot read: every
    /// answer may lack what they say.
    pub unread_events: u64,
    /// Events whose payload was erased.
    pub erased_events: u64,
}

impl Row for Counts {
    const TYPE: u8 = 5;
}

/// The key of a flag's row.
pub(crate) fn flag_key(flag: &str) -> Vec<u8> {
    [FLAGS, flag.as_bytes()].concat()
}

/// The key of a rollout's row.
pub(crate) fn rollout_key(rollout: &str) -> Vec<u8> {
    [ROLLOUTS, rollout.as_bytes()].concat()
}

/// The key of what falls due for a rollout: by the instant, then by the rollout's id.
pub(crate) fn due_key(at_us: i64, rollout: &str) -> Vec<u8> {
    // The sign bit is turned round, so that the bytes sort as the instants do.
    let at = (at_us.cast_unsigned() ^ (1 << 63)).to_be_bytes();
    [DUE, &at, rollout.as_bytes()].concat()
}

/// The instant in such a key.
pub(crate) fn due_at(key: &[u8]) -> Option<i64> {
    let at = key.strip_prefix(DUE)?.first_chunk::<8>()?;
    Some((u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed())
}

impl RolloutRow {
    /// The row of a rollout; what only its events tell is filled in by whoever folded them.
    pub(crate) fn of(id: &str, rollout: &Rollout) -> RolloutRow {
        let (last, exposing) = (rollout.moves.last(), rollout.exposing());
        let stage = last.and_then(|last| last.stage.as_ref());
        let open = |state| matches!(state, BugState::Open | BugState::Deferred);
        let bugs = rollout.measurements.bugs.values();
        RolloutRow {
            id: id.to_owned(),
            title: rollout.plan.title().map(|title| title.chars().take(TITLE_LEN_MAX).collect()),
            kind: rollout.plan.kind().map(|kind| kind.as_str().to_owned()),
            status: word(rollout.status()).to_owned(),
            stage: stage.map(|key| key.as_str().to_owned()),
            stage_label: stage
                .and_then(|key| rollout.stages.get(key))
                .map(|stage| stage.label().chars().take(TITLE_LEN_MAX).collect()),
            attempt: last.and_then(|last| last.attempt),
            exposure: exposure::words(&exposing.exposures).chars().take(TITLE_LEN_MAX).collect(),
            share_bp: exposure::share_bp(&exposing.exposures),
            exposure_is_planned: exposing.planned,
            flags: rollout.flags.registered().map(|(key, _)| key.as_str().to_owned()).collect(),
            revisions: rollout.plan.revisions.len() as u64,
            bugs: rollout.measurements.bugs.len() as u64,
            bugs_open: bugs.filter(|bug| open(bug.state())).count() as u64,
            rollbacks: rollout.rollbacks.actual.len() as u64,
            launches: rollout.outcome.launches.len() as u64,
            unread_events: rollout.unread_events.len() as u64,
            next_due_us: schedule::next(rollout).map(|at| at.0),
            ..RolloutRow::default()
        }
    }
}

/// Whether no row repeats anything of what the event says: it counts there as one event more, and as
/// the newest if it is. What [`RolloutRow::of`] reads decides.
pub(crate) fn is_silent(event: &Event) -> bool {
    match event {
        // A checkpoint that somebody measured for is one of the rollout's.
        Event::MetricObserved(e) => e.checkpoint.is_none() && e.restates.is_none(),
        Event::CriterionEvaluated(e) => e.checkpoint.is_none(),
        Event::AlertCleared(_)
        | Event::AlertRaised(_)
        | Event::ChecklistItemSet(_)
        | Event::DownstreamAffected(_)
        | Event::ErrorObserved(_)
        | Event::FeedbackNoted(_)
        | Event::GateConditionResolved(_)
        | Event::GateDecided(_)
        | Event::MetricDefined(_)
        | Event::MetricRedefined(_)
        | Event::NoteAdded(_)
        | Event::OwnershipTransferred(_)
        | Event::QuestionAnswered(_)
        | Event::RollbackStepCompleted(_) => true,
        _ => false,
    }
}

/// A status in the word that answers use for it.
fn word(status: Status) -> &'static str {
    match status {
        Status::NotStarted => "not_started",
        Status::Running => "running",
        Status::Held => "held",
        Status::BetweenStages => "between_stages",
        Status::Cancelled => "cancelled",
        Status::RollingBack => "rolling_back",
        Status::RolledBack => "rolled_back",
        Status::Launched => "launched",
        Status::Completed => "completed",
    }
}
