//! The snapshots after launch: which there are, when each falls due, and what became of it.
//!
//! What is pending, due or overdue follows from the plan, the anchor and an instant given as
//! argument; recorded `checkpoint.due` events only announce it. When the anchor or the plan's time
//! zone changes, everything here is computed anew, and what had been announced before stands under
//! `superseded`. A relaunch begins another counting, and takes back nothing that is true of the one
//! before.

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
    /// When another anchor, such as a relaunch, replaced this one: what had not fallen due by then
    /// never does. Absent of the counting that holds.
    pub until: Option<Moment>,
    /// When it falls due; absent without an anchor of known time.
    pub due: Option<Moment>,
    /// Until when a snapshot is in time.
    pub grace_ends: Option<Moment>,
    /// The local days that its results are to cover.
    pub window: Option<Window>,
    /// Every snapshot counted from the anchor, oldest first; the newest holds. Beside them, those
    /// that count from nothing that holds.
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
    /// A relaunch ended its counting before its grace had.
    Replaced,
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
        Checkpoints(names.filter_map(|name| Checkpoint::countings(rollout, &name).pop()).collect())
    }

    /// The same, and before each what it was counted from earlier, if anything came of that or was
    /// to: a relaunch takes back nothing that was true of the launch before.
    pub fn with_earlier(rollout: &Rollout) -> Checkpoints {
        let all = names(rollout).into_iter();
        let all = all.flat_map(|name| Checkpoint::countings(rollout, &name));
        Checkpoints(all.filter(|c| c.until.is_none() || c.came_to_something()).collect())
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
    /// Every counting of a checkpoint, in order of time; the last holds, and is always there.
    fn countings(rollout: &Rollout, name: &str) -> Vec<Checkpoint> {
        let counted_from = CountedFrom::of(rollout, name);
        let anchors = counted_from.anchors(rollout);
        let periods = periods(rollout, name);
        let until = anchors.iter().skip(1).map(|a| Some(a.time)).chain([None]);
        let all = anchors.iter().map(|anchor| Some(*anchor));
        let all = all.chain(anchors.is_empty().then_some(None)).zip(until);
        let mut all: Vec<Checkpoint> = all
            .map(|(anchor, until)| {
                let of = |p: &&Period| anchor.is_some_and(|anchor| p.anchor == anchor);
                let period = periods.iter().find(of);
                Checkpoint {
                    name: name.to_owned(),
                    counted_from,
                    anchor: anchor.map(|a| a.seq),
                    anchored_at: anchor.map(|a| a.time),
                    until,
                    due: period.map(|p| p.due),
                    grace_ends: period.map(|p| p.grace_ends),
                    window: period.map(|p| p.window.clone()),
                    snapshots: vec![],
                    recorded: false,
                    late: false,
                    announced: vec![],
                    missed: None,
                    superseded: vec![],
                }
            })
            .collect();
        for snapshot in snapshots_of(rollout, name) {
            let of = all.iter().position(|c| counts(snapshot, c.counted_anchor(), c.until));
            // What nobody dated is one of the newest, as is what counts from nothing that holds.
            let of = of.filter(|_| snapshot.value.anchor.is_some() || snapshot.time().is_some());
            let of = of.unwrap_or(all.len().saturating_sub(1));
            all.get_mut(of).into_iter().for_each(|c| c.snapshots.push(snapshot.clone()));
        }
        for counting in &mut all {
            let first = counting.counting().min_by_key(|s| s.from.order_key());
            let at = first.and_then(Fact::time).zip(counting.grace_ends);
            (counting.recorded, counting.late) =
                (first.is_some(), at.is_some_and(|(at, end)| at > end));
        }
        said(rollout, name, &mut all);
        all
    }

    fn counted_anchor(&self) -> Option<Anchor> {
        let (seq, time) = self.anchor.zip(self.anchored_at)?;
        Some(Anchor { seq, time })
    }

    /// The snapshots that count from its anchor, oldest first. What was taken after an earlier
    /// launch says nothing of the relaunch.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &Fact<CheckpointRecorded>> {
        let anchor = self.counted_anchor();
        self.snapshots.iter().filter(move |s| counts(s, anchor, self.until))
    }

    /// Whether anything came of it, or was to, before another anchor replaced its own.
    fn came_to_something(&self) -> bool {
        self.due.zip(self.until).is_none_or(|(due, until)| due < until)
            || !self.snapshots.is_empty()
            || !self.announced.is_empty()
            || self.missed.is_some()
            || !self.superseded.is_empty()
    }

    /// Whether an announcement for an instant is true of what it is counted from.
    fn is_said(&self, rollout: &Rollout, target: Option<&Target>, due: &Instant) -> bool {
        match (target, self.anchor) {
            // What it was counted from may have been withdrawn.
            (Some(target), None) => rollout.moves.iter().any(|m| m.seq == target.seq),
            (Some(target), Some(anchor)) => {
                let in_time = self.until.is_none_or(|until| due.micros() < until.0);
                target.seq == anchor && in_time && self.due.is_none_or(|d| d.0 == due.micros())
            }
            (None, _) => self.anchored_at.is_none_or(|at| due.micros() >= at.0),
        }
    }

    /// What became of it by an instant.
    pub fn state(&self, now: Moment) -> CheckpointState {
        match (self.due, self.grace_ends) {
            _ if self.recorded && self.late => CheckpointState::Late,
            _ if self.recorded => CheckpointState::Recorded,
            _ if self.missed.is_some() => CheckpointState::Missed,
            (_, Some(grace)) if self.until.is_some_and(|until| until <= grace) => {
                CheckpointState::Replaced
            }
            (Some(due), _) if now < due => CheckpointState::Pending,
            (Some(_), Some(grace)) if now < grace => CheckpointState::Due,
            (Some(_), _) => CheckpointState::Overdue,
            (None, _) => CheckpointState::NotAnchored,
        }
    }

    /// The snapshot that holds.
    pub fn newest(&self) -> Option<&Fact<CheckpointRecorded>> {
        self.counting().last()
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
            CheckpointState::Replaced => "replaced",
        }
    }
}

/// Gives each counting the announcements that name its anchor, or fall due under it.
fn said(rollout: &Rollout, name: &str, all: &mut [Checkpoint]) {
    let outcome = &rollout.outcome;
    let announced = outcome.announced.iter().filter(|a| a.value.checkpoint.as_str() == name);
    let announced = announced.map(|a| (a.seq(), a.value.anchor.as_ref(), &a.value.due, false));
    let missed = outcome.missed.iter().filter(|m| m.value.checkpoint.as_str() == name);
    let missed = missed.map(|m| (m.seq(), m.value.anchor.as_ref(), &m.value.due, true));
    for (seq, target, due, is_missed) in announced.chain(missed) {
        let of = all.iter().rposition(|c| match target {
            Some(target) => c.anchor == Some(target.seq),
            None => c.anchored_at.is_some_and(|at| at.0 <= due.micros()),
        });
        let of = of.unwrap_or(all.len().saturating_sub(1));
        let Some(counting) = all.get_mut(of) else { continue };
        match (counting.is_said(rollout, target, due), is_missed) {
            (true, false) => counting.announced.push(seq),
            (true, true) => counting.missed = Some(seq),
            (false, _) => counting.superseded.push(seq),
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
    names.extend(outcome.announced_checkpoints().map(str::to_owned));
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
