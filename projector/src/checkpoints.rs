//! The snapshots after launch: which there are, when each falls due, and what became of it.
//!
//! What is pending, due or overdue follows from the plan, the anchor and an instant given as
//! argument; recorded `checkpoint.due` events only announce it.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp, civil::Time, tz::TimeZone};
use schemas::event::outcome::CheckpointRecorded;
use serde::Serialize;

use crate::{
    recorded::Moment,
    rollout::{Fact, Rollout},
};

/// The checkpoints that every rollout has.
const ALWAYS: [&str; 2] = ["P7D", "P1M"];

/// The local hour at which a checkpoint falls due.
const DUE_HOUR: i8 = 9;

/// How long after falling due a snapshot still counts as in time, in days.
const GRACE_DAYS: i64 = 7;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Checkpoints(pub Vec<Checkpoint>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// Its distance from the anchor: `P7D`, `P1M`.
    pub name: String,
    /// The event that it is counted from.
    pub anchor: Option<u64>,
    /// When it falls due; absent without an anchor of known time.
    pub due: Option<Moment>,
    /// Until when a snapshot is in time.
    pub grace_ends: Option<Moment>,
    /// Every snapshot, oldest first; the newest holds.
    pub snapshots: Vec<Fact<CheckpointRecorded>>,
    /// Whether a snapshot counted from the anchor is there.
    pub recorded: bool,
    /// Seqs of the events that announced it.
    pub announced: Vec<u64>,
    /// The event that said it was missed.
    pub missed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointState {
    /// Nothing anchors it yet.
    NotAnchored,
    Pending,
    Due,
    Overdue,
    Recorded,
    /// Its grace ended without results, and somebody said so.
    Missed,
}

impl Checkpoints {
    /// The checkpoints of a rollout: those that every rollout has, and those that its plan or its
    /// events name.
    pub fn of(rollout: &Rollout) -> Checkpoints {
        let outcome = &rollout.outcome;
        let mut names: BTreeSet<String> = ALWAYS.iter().map(|n| (*n).to_owned()).collect();
        let planned = rollout.plan.newest().into_iter().flat_map(|r| &r.fields);
        names.extend(planned.filter_map(|f| checkpoint_of(&f.path)).map(str::to_owned));
        names.extend(outcome.snapshots.iter().map(|s| s.value.checkpoint.to_string()));
        names.extend(outcome.announced.iter().map(|s| s.value.checkpoint.to_string()));
        names.extend(outcome.missed.iter().map(|s| s.value.checkpoint.to_string()));
        let mut all: Vec<Checkpoint> =
            names.into_iter().map(|name| Checkpoint::of(rollout, name)).collect();
        all.sort_by_key(|c| approximate_days(&c.name));
        Checkpoints(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Checkpoint> {
        self.0.iter()
    }

    pub fn get(&self, name: &str) -> Option<&Checkpoint> {
        self.0.iter().find(|c| c.name == name)
    }

    pub fn all_recorded(&self) -> bool {
        self.0.iter().all(|c| c.recorded)
    }
}

impl Checkpoint {
    fn of(rollout: &Rollout, name: String) -> Checkpoint {
        let outcome = &rollout.outcome;
        let anchor = outcome.anchor();
        let anchored_at = anchor.and_then(Fact::time);
        let due = anchored_at.and_then(|at| due(at, &name, rollout.plan.time_zone()));
        let grace_ends = due.and_then(|due| days_after(due, GRACE_DAYS, rollout.plan.time_zone()));
        let snapshots: Vec<_> = outcome
            .snapshots
            .iter()
            .filter(|s| s.value.checkpoint.as_str() == name)
            .cloned()
            .collect();
        // A snapshot that was taken after an earlier launch says nothing of the relaunch.
        let counts = |s: &Fact<CheckpointRecorded>| match (&s.value.anchor, anchor) {
            (Some(target), Some(anchor)) => target.seq == anchor.seq(),
            (None, Some(_)) => s.time().is_none_or(|at| anchored_at.is_none_or(|a| at >= a)),
            (_, None) => true,
        };
        let recorded = snapshots.iter().any(counts);
        let this_anchor = |target: &Option<schemas::values::Target>| match (target, anchor) {
            (Some(target), Some(anchor)) => target.seq == anchor.seq(),
            _ => true,
        };
        let announced = outcome.announced.iter();
        let announced = announced
            .filter(|a| a.value.checkpoint.as_str() == name && this_anchor(&a.value.anchor));
        let missed = outcome.missed.iter().rev();
        let mut missed =
            missed.filter(|m| m.value.checkpoint.as_str() == name && this_anchor(&m.value.anchor));
        Checkpoint {
            anchor: anchor.map(Fact::seq),
            due,
            grace_ends,
            recorded,
            announced: announced.map(Fact::seq).collect(),
            missed: missed.next().map(Fact::seq),
            snapshots,
            name,
        }
    }

    /// What became of it by an instant.
    pub fn state(&self, now: Moment) -> CheckpointState {
        match (self.due, self.grace_ends) {
            _ if self.recorded => CheckpointState::Recorded,
            _ if self.missed.is_some() => CheckpointState::Missed,
            (Some(due), _) if now < due => CheckpointState::Pending,
            (Some(_), Some(grace)) if now < grace => CheckpointState::Due,
            (Some(_), _) => CheckpointState::Overdue,
            (None, _) => CheckpointState::NotAnchored,
        }
    }

    /// The snapshot that holds.
    pub fn newest(&self) -> Option<&Fact<CheckpointRecorded>> {
        self.snapshots.last()
    }
}

impl CheckpointState {
    pub fn as_str(self) -> &'static str {
        match self {
            CheckpointState::NotAnchored => "not anchored",
            CheckpointState::Pending => "pending",
            CheckpointState::Due => "due",
            CheckpointState::Overdue => "overdue",
            CheckpointState::Recorded => "recorded",
            CheckpointState::Missed => "missed",
        }
    }
}

/// When a checkpoint falls due: at nine o'clock local time, its distance after the local date of
/// the anchor. `None` when the name is no duration or the zone is unknown.
pub fn due(anchor: Moment, name: &str, time_zone: &str) -> Option<Moment> {
    let zone = TimeZone::get(time_zone).ok()?;
    let distance: Span = name.parse().ok()?;
    let local = Timestamp::from_microsecond(anchor.0).ok()?.to_zoned(zone.clone()).date();
    let date = local.checked_add(distance).ok()?;
    let at = date.to_datetime(Time::constant(DUE_HOUR, 0, 0, 0)).to_zoned(zone).ok()?;
    Some(Moment(at.timestamp().as_microsecond()))
}

fn days_after(at: Moment, days: i64, time_zone: &str) -> Option<Moment> {
    let zone = TimeZone::get(time_zone).ok()?;
    let local = Timestamp::from_microsecond(at.0).ok()?.to_zoned(zone);
    let end = local.checked_add(Span::new().try_days(days).ok()?).ok()?;
    Some(Moment(end.timestamp().as_microsecond()))
}

/// The checkpoint that a field of a plan belongs to: `checkpoints/P7D/unique_users` is `P7D`'s.
pub fn checkpoint_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("checkpoints/")?.split('/').next()?;
    name.parse::<Span>().is_ok().then_some(name)
}

/// For order alone: a month is about thirty days.
fn approximate_days(name: &str) -> i64 {
    let Ok(span) = name.parse::<Span>() else { return i64::MAX };
    let days = i64::from(span.get_days()) + i64::from(span.get_weeks()) * 7;
    days + i64::from(span.get_months()) * 30 + i64::from(span.get_years()) * 365
}
