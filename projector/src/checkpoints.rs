//! The snapshots after launch: which there are, when each falls due, and what became of it.
//!
//! What is pending, due or overdue follows from the plan, the anchor and an instant given as
//! argument; recorded `checkpoint.due` events only announce it. When the anchor or the plan's time
//! zone changes, everything here is computed anew, and what had been announced before stands under
//! `superseded`.

mod anchor;
pub mod kpis;
mod local;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Span;
use schemas::{
    event::outcome::CheckpointRecorded,
    id::{Instant, IsoDuration},
    values::{Target, Window},
};
use serde::Serialize;

pub use anchor::CountedFrom;
pub use local::shown as local_time;
pub(crate) use local::{due_on, zone};
pub use snapshot::{Snapshot, Taken, snapshots};

use self::anchor::Anchor;
use crate::{
    recorded::Moment,
    rollout::{Fact, Rollout},
};

/// The checkpoints that every rollout has.
const ALWAYS: [&str; 2] = ["P7D", "P1M"];

/// How long after falling due a snapshot still counts as in time, in days.
const GRACE_DAYS: i64 = 7;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Checkpoints(pub Vec<Checkpoint>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Checkpoint {
    /// Its distance from the anchor: `P7D`, `P1M`.
    pub name: String,
    /// What the plan counts it from.
    pub counted_from: CountedFrom,
    /// The event that it is counted from.
    pub anchor: Option<u64>,
    /// When that happened.
    pub anchored_at: Option<Moment>,
    /// When it falls due; absent without an anchor of known time.
    pub due: Option<Moment>,
    /// Until when a snapshot is in time.
    pub grace_ends: Option<Moment>,
    /// The local days that its results are to cover.
    pub window: Option<Window>,
    /// Every snapshot, oldest first; the newest holds.
    pub snapshots: Vec<Fact<CheckpointRecorded>>,
    /// Whether a snapshot counted from the anchor is there.
    pub recorded: bool,
    /// Whether the first of these was taken only after the grace had ended.
    pub late: bool,
    /// Seqs of the events that announced it.
    pub announced: Vec<u64>,
    /// The event that said it was missed.
    pub missed: Option<u64>,
    /// Seqs of announcements that no longer hold: they count from another anchor, or to another
    /// instant, than the plan and the corrected events do now.
    pub superseded: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointState {
    /// Nothing anchors it yet.
    NotAnchored,
    Pending,
    Due,
    Overdue,
    Recorded,
    /// Recorded, but only after its grace had ended.
    Late,
    /// Its grace ended without results, and somebody said so.
    Missed,
}

/// One counting of a checkpoint: from an anchor until the next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub anchor: Anchor,
    /// When another anchor replaced this one; what would fall due from then on does not.
    pub until: Option<Moment>,
    pub due: Moment,
    pub grace_ends: Moment,
    pub window: Window,
}

impl Checkpoints {
    /// The checkpoints of a rollout: those that every rollout has, and those that its plan or its
    /// events name.
    pub fn of(rollout: &Rollout) -> Checkpoints {
        let names = names(rollout).into_iter();
        Checkpoints(names.map(|name| Checkpoint::of(rollout, name)).collect())
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
        let counted_from = CountedFrom::of(rollout, &name);
        let anchor = counted_from.anchors(rollout).pop();
        let period = periods(rollout, &name).pop();
        let snapshots: Vec<_> = snapshots_of(rollout, &name).cloned().collect();
        // A snapshot that was taken after an earlier launch says nothing of the relaunch.
        let counting = || snapshots.iter().filter(|s| counts(s, anchor, None));
        let grace_ends = period.as_ref().map(|p| p.grace_ends);
        let first = counting().min_by_key(|s| s.from.order_key());
        let late = first.and_then(Fact::time).zip(grace_ends).is_some_and(|(at, end)| at > end);
        let holds = |target: &Option<Target>, due: &Instant| match (target, anchor, &period) {
            (Some(target), Some(anchor), _) if target.seq != anchor.seq => false,
            (Some(_), _, Some(period)) => due.micros() == period.due.0,
            (None, Some(anchor), _) => due.micros() >= anchor.time.0,
            // What it was counted from may have been withdrawn.
            (Some(target), None, _) => rollout.moves.iter().any(|m| m.seq == target.seq),
            // Without an anchor of known time there is nothing to hold it against.
            (None, None, _) | (Some(_), _, None) => true,
        };
        let (mut announced, mut missed, mut superseded) = (vec![], None, vec![]);
        for said in outcome.announced.iter().filter(|a| a.value.checkpoint.as_str() == name) {
            let list = if holds(&said.value.anchor, &said.value.due) {
                &mut announced
            } else {
                &mut superseded
            };
            list.push(said.seq());
        }
        for said in outcome.missed.iter().filter(|m| m.value.checkpoint.as_str() == name) {
            if holds(&said.value.anchor, &said.value.due) {
                missed = Some(said.seq());
            } else {
                superseded.push(said.seq());
            }
        }
        Checkpoint {
            counted_from,
            anchor: anchor.map(|a| a.seq),
            anchored_at: anchor.map(|a| a.time),
            due: period.as_ref().map(|p| p.due),
            grace_ends,
            window: period.map(|p| p.window),
            recorded: first.is_some(),
            late,
            announced,
            missed,
            superseded,
            snapshots,
            name,
        }
    }

    /// What became of it by an instant.
    pub fn state(&self, now: Moment) -> CheckpointState {
        match (self.due, self.grace_ends) {
            _ if self.recorded && self.late => CheckpointState::Late,
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
            CheckpointState::Late => "recorded late",
            CheckpointState::Missed => "missed",
        }
    }
}

/// The checkpoints of a rollout, the nearest first.
pub(crate) fn names(rollout: &Rollout) -> Vec<String> {
    let outcome = &rollout.outcome;
    let mut names: BTreeSet<String> = ALWAYS.iter().map(|n| (*n).to_owned()).collect();
    let planned = rollout.plan.newest().into_iter().flat_map(|r| &r.fields);
    names.extend(planned.filter_map(|f| checkpoint_of(&f.path)).map(str::to_owned));
    names.extend(outcome.snapshots.iter().map(|s| s.value.checkpoint.to_string()));
    names.extend(outcome.announced.iter().map(|s| s.value.checkpoint.to_string()));
    names.extend(outcome.missed.iter().map(|s| s.value.checkpoint.to_string()));
    names.extend(mentioned(rollout).filter(|name| is_distance(name)).map(str::to_owned));
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| approximate_days(name));
    names
}

/// What events call a checkpoint in words of their own: those who set a goal for it, measured for
/// it or found a bug at it. A `baseline` is none.
fn mentioned(rollout: &Rollout) -> impl Iterator<Item = &str> {
    let criteria = rollout.decisions.criteria.values();
    let set = criteria.clone().filter_map(|c| c.set.last()?.value.checkpoint.as_deref());
    let evaluated = criteria.flat_map(|c| &c.evaluated);
    let evaluated = evaluated.filter_map(|e| e.value.checkpoint.as_deref());
    let observed = rollout.measurements.metrics.values().flat_map(|m| &m.observed);
    let observed = observed.filter_map(|o| o.value.checkpoint.as_deref());
    let found = rollout.measurements.bugs.values().flat_map(|b| &b.found);
    let found = found.filter_map(|f| f.value.checkpoint.as_deref());
    set.chain(evaluated).chain(observed).chain(found)
}

/// Whether a name is a distance that a snapshot can be away from its anchor, as a
/// `checkpoint.recorded` would write it.
fn is_distance(name: &str) -> bool {
    name.parse::<IsoDuration>().is_ok() && approximate_days(name) > 0
}

/// Every counting of a checkpoint, in order of time; the last holds.
pub(crate) fn periods(rollout: &Rollout, name: &str) -> Vec<Period> {
    let anchors = CountedFrom::of(rollout, name).anchors(rollout);
    let next = anchors.iter().skip(1).map(|a| Some(a.time)).chain([None]);
    let Some(zone) = zone(rollout.plan.time_zone()).filter(|_| !anchors.is_empty()) else {
        return vec![];
    };
    let period = |anchor: Anchor, until| {
        let first = local::date_of(anchor.time, &zone)?;
        let date = local::date_after(first, name)?;
        let due = due_on(date, &zone)?;
        Some(Period {
            anchor,
            until,
            due,
            grace_ends: local::days_after(due, GRACE_DAYS, &zone)?,
            window: local::window(first, date)?,
        })
    };
    anchors.iter().zip(next).filter_map(|(anchor, until)| period(*anchor, until)).collect()
}

/// The snapshots of a checkpoint, oldest first.
pub(crate) fn snapshots_of<'a>(
    rollout: &'a Rollout,
    name: &'a str,
) -> impl Iterator<Item = &'a Fact<CheckpointRecorded>> {
    rollout.outcome.snapshots.iter().filter(move |s| s.value.checkpoint.as_str() == name)
}

/// Whether a snapshot is one of the counting from this anchor until the next.
pub(crate) fn counts(
    snapshot: &Fact<CheckpointRecorded>,
    anchor: Option<Anchor>,
    until: Option<Moment>,
) -> bool {
    match (&snapshot.value.anchor, anchor) {
        (Some(target), Some(anchor)) => target.seq == anchor.seq,
        (None, Some(anchor)) => {
            let within = |at| at >= anchor.time && until.is_none_or(|until| at < until);
            snapshot.time().is_none_or(within)
        }
        (_, None) => true,
    }
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
