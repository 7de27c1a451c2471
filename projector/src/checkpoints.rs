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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::given::{given, moment, short};

    #[test]
    fn due_at_nine_local_time_whatever_the_clocks_do() {
        let rows = [
            ("01-15 15:00", "P7D", "America/New_York", "01-22 14:00"),
            // Already the 16th in UTC, still the 15th in New York.
            ("01-16 03:00", "P7D", "America/New_York", "01-22 14:00"),
            // Clocks go forward on 9 March and back on 2 November.
            ("03-05 20:00", "P7D", "America/New_York", "03-12 13:00"),
            ("10-30 15:00", "P7D", "America/New_York", "11-06 14:00"),
            ("02-20 15:00", "P1M", "America/New_York", "03-20 13:00"),
            // Months have no thirty-first day to fall on.
            ("01-31 15:00", "P1M", "America/New_York", "02-28 14:00"),
            ("01-15 15:00", "P3M", "America/Los_Angeles", "04-15 16:00"),
            ("01-15 15:00", "P1D", "UTC", "01-16 09:00"),
        ];
        for (anchor, name, zone, expected) in rows {
            let due = due(moment(anchor), name, zone).map(short);
            assert_eq!(due.as_deref(), Some(expected), "{anchor} {name} {zone}");
        }
        assert_eq!(due(moment("01-15 15:00"), "P7D", "Mars/Base"), None);
    }

    #[test]
    fn grace_is_seven_days_of_local_time() {
        let history = given("03-01 15:00 rollout.launched exposures=all");
        let all = Checkpoints::of(&Rollout::fold(&history));
        let week = all.get("P7D").unwrap();
        // Due before the clocks go forward, at nine o'clock; the grace ends at nine o'clock too.
        assert_eq!(week.due.map(short).as_deref(), Some("03-08 14:00"));
        assert_eq!(week.grace_ends.map(short).as_deref(), Some("03-15 13:00"));
    }

    #[test]
    fn what_became_of_each_by_an_instant() {
        let launched = "01-15 15:00 rollout.launched exposures=all";
        let unknown = "- @01-15 15:00 rollout.launched basis=imported; exposures=all";
        let relaunched = format!("{launched}\n02-03 15:00 rollout.launched relaunch=true");
        let recorded =
            format!("{launched}\n01-23 10:00 checkpoint.recorded checkpoint=P7D; results={{}}");
        let stale = format!("{recorded}\n02-03 15:00 rollout.launched relaunch=true");
        let missed = format!(
            "{launched}\n01-30 10:00 checkpoint.missed checkpoint=P7D; due=2025-01-22T14:00:00Z"
        );
        let quarter = format!(
            "{launched}\n01-15 16:00 checkpoint.due checkpoint=P3M; due=2025-04-15T13:00:00Z"
        );
        let rows = [
            (launched, "01-22 13:59", "P7D pending, P1M pending"),
            (launched, "01-22 14:00", "P7D due, P1M pending"),
            (launched, "01-29 14:00", "P7D overdue, P1M pending"),
            (unknown, "06-01 00:00", "P7D not anchored, P1M not anchored"),
            (&relaunched, "02-04 00:00", "P7D pending, P1M pending"),
            (&recorded, "01-29 14:00", "P7D recorded, P1M pending"),
            (&stale, "02-04 00:00", "P7D pending, P1M pending"),
            (&missed, "01-31 00:00", "P7D missed, P1M pending"),
            (&quarter, "01-16 00:00", "P7D pending, P1M pending, P3M pending"),
        ];
        for (history, now, expected) in rows {
            let all = Checkpoints::of(&Rollout::fold(&given(history)));
            let state = |c: &Checkpoint| format!("{} {}", c.name, c.state(moment(now)).as_str());
            let shown: Vec<_> = all.iter().map(state).collect();
            assert_eq!(shown.join(", "), expected, "{history} by {now}");
        }
    }

    #[test]
    fn a_plan_names_more_checkpoints() {
        assert_eq!(checkpoint_of("checkpoints/P3M/unique_users"), Some("P3M"));
        assert_eq!(checkpoint_of("checkpoints/later/unique_users"), None);
        assert_eq!(checkpoint_of("stages/P3M/results/latency"), None);
    }
}
