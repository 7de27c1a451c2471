//! What falls due for a rollout: announcements that wait for an instant, or for being recorded.
//!
//! A pure function of the rollout. It knows no present: what lies behind the caller's clock has
//! fallen due, what lies ahead is next. Each announcement is an event whose bytes follow from the
//! ledger alone, so that whoever announces it, and how often, it is one event.

#[cfg(test)]
mod tests;

use jiff::civil::Date;
use ledger::Digest;
use schemas::{
    FlagKey, RolloutId,
    event::flag::FlagRole,
    values::{Target, Window},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    checkpoints::{self, Period},
    deviations::{FULL_US_MAX, full_since},
    recorded::Moment,
    rollout::{
        Rollout,
        outcome::{Anchor, Said},
    },
};

/// The `source` of everything that a scheduler announces, wherever it runs.
pub const SOURCE: &str = "urn:rollout-ledger:scheduler";

/// Who says so: a service, in the events' own words.
const ACTOR: &str = "scheduler";

/// Something that falls due at an instant and is not recorded yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Scheduled {
    /// When it falls due, or fell due: the event's `time`, however late it is recorded.
    pub at: Moment,
    pub what: What,
}

/// What falls due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A snapshot is to be taken.
    CheckpointDue(Counted),
    /// The grace of a snapshot ends.
    CheckpointMissed(Counted),
    /// A flag that is on for everyone is to be removed.
    CleanupDue { flag: FlagKey, ticket: Option<String> },
}

/// A checkpoint, counted from one anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Counted {
    pub checkpoint: String,
    /// The event that it is counted from.
    pub anchor: Target,
    /// When the snapshot falls due.
    pub due: Moment,
    /// The local days that its results are to cover.
    pub window: Window,
}

/// Everything that is to be announced and is not recorded, by the instant at which it falls due.
pub fn of(rollout: &Rollout) -> Vec<Scheduled> {
    let mut all = Vec::new();
    if !rollout.moves.is_empty() {
        for name in checkpoints::names(rollout) {
            for period in checkpoints::periods(rollout, &name) {
                all.extend(of_period(rollout, &name, &period));
            }
        }
    }
    all.extend(cleanup(rollout));
    all.sort_by_key(|scheduled| scheduled.at);
    all
}

/// The instant of the first of them.
pub fn next(rollout: &Rollout) -> Option<Moment> {
    of(rollout).first().map(|scheduled| scheduled.at)
}

fn of_period(rollout: &Rollout, name: &str, period: &Period) -> Vec<Scheduled> {
    let Some(anchor) = rollout.target(period.anchor.seq) else { return vec![] };
    let stood_by = |at: Moment| {
        checkpoints::snapshots_of(rollout, name)
            .filter(|s| checkpoints::counts(s, Some(period.anchor), period.until))
            .any(|s| s.time().is_none_or(|taken| taken <= at))
    };
    // After a relaunch nobody waits for the snapshot of the launch before.
    let falls = |at: Moment| period.until.is_none_or(|until| at < until) && !stood_by(at);
    let counted = || Counted {
        checkpoint: name.to_owned(),
        anchor: anchor.clone(),
        due: period.due,
        window: period.window.clone(),
    };
    let said = |of: fn(String, Option<Anchor>, i64) -> Said| {
        let counted_from = (anchor.seq, anchor.hash.as_str().to_owned());
        rollout.outcome.has_said(&of(name.to_owned(), Some(counted_from), period.due.0))
    };
    let mut all = Vec::new();
    if falls(period.due) && !said(Said::Due) {
        all.push(Scheduled { at: period.due, what: What::CheckpointDue(counted()) });
    }
    if falls(period.grace_ends) && !said(Said::Missed) {
        all.push(Scheduled { at: period.grace_ends, what: What::CheckpointMissed(counted()) });
    }
    all
}

/// Flags that are on for everyone: each is to be removed on the day that somebody planned, else 90
/// days after it came to be so.
fn cleanup(rollout: &Rollout) -> Vec<Scheduled> {
    let removable = || {
        let registered = rollout.flags.registered();
        registered.filter(|(_, flag)| flag.role() == Some(FlagRole::Rollout))
    };
    let only = removable().count() == 1;
    let mut all = Vec::new();
    for (key, flag) in removable() {
        let Some(since) = full_since(flag).and_then(|full| full.time) else { continue };
        let planned = rollout.outcome.open_cleanup().filter(|planned| {
            // A ticket for the clean-up names no flag, and means the only one.
            planned.value.flag.as_ref().map_or(only, |flag| flag == key)
        });
        let planned: Vec<_> = planned.collect();
        let day = planned.iter().rev().find_map(|p| p.value.due.as_ref());
        let due = day.and_then(|day| {
            let date = day.as_str().parse::<Date>().ok()?;
            checkpoints::due_on(date, &checkpoints::zone(rollout.plan.time_zone())?)
        });
        // A day that is over when the flag reaches everyone falls due then.
        let at = due.map_or(Moment(since.0 + FULL_US_MAX), |due| due.max(since));
        if !rollout.outcome.has_said(&Said::Cleanup(key.to_string(), at.0)) {
            let ticket = planned.iter().rev().find_map(|p| p.value.ticket.clone());
            all.push(Scheduled { at, what: What::CleanupDue { flag: key.clone(), ticket } });
        }
    }
    all
}

impl What {
    /// The event's type.
    pub fn type_name(&self) -> &'static str {
        match self {
            What::CheckpointDue(_) => "rollout.checkpoint.due.v1",
            What::CheckpointMissed(_) => "rollout.checkpoint.missed.v1",
            What::CleanupDue { .. } => "rollout.cleanup.due.v1",
        }
    }
}

impl Scheduled {
    /// The event that announces it, as a sender gives it. Equal announcements are equal events.
    pub fn event(&self, rollout: &RolloutId) -> Value {
        let at = self.at.to_string();
        let mut data = match &self.what {
            What::CheckpointDue(of) | What::CheckpointMissed(of) => json!({
                "checkpoint": of.checkpoint, "anchor": of.anchor, "due": of.due.to_string(),
                "window": of.window,
            }),
            What::CleanupDue { flag, ticket } => {
                let mut data = json!({ "flag": flag, "due": at });
                if let (Some(ticket), Some(data)) = (ticket, data.as_object_mut()) {
                    data.insert("ticket".to_owned(), json!(ticket));
                }
                data
            }
        };
        if let Some(data) = data.as_object_mut() {
            data.insert("basis".to_owned(), json!("observed"));
            data.insert("actor".to_owned(), json!({ "kind": "service", "id": ACTOR }));
            data.insert(
                "occurrence".to_owned(),
                json!({ "earliest": at, "latest": at, "precision": "instant" }),
            );
        }
        json!({
            "specversion": "1.0", "id": self.id(rollout), "source": SOURCE, "subject": rollout,
            "type": self.what.type_name(), "time": at, "data": data,
        })
    }

    /// The event's id: its kind and the SHA-256 of everything in which two such events can differ,
    /// a line each. So one id is one event, and another due instant is another one.
    pub fn id(&self, rollout: &RolloutId) -> String {
        let day = |day: &Option<_>| day.as_ref().map_or_else(String::new, ToString::to_string);
        let mut lines = vec![self.what.type_name().to_owned(), rollout.to_string()];
        match &self.what {
            What::CheckpointDue(of) | What::CheckpointMissed(of) => lines.extend([
                of.checkpoint.clone(),
                format!("{}:{}", of.anchor.seq, of.anchor.hash),
                of.due.to_string(),
                format!("{}/{}", day(&of.window.start), day(&of.window.end)),
            ]),
            What::CleanupDue { flag, ticket } => {
                lines.extend([flag.to_string(), ticket.clone().unwrap_or_default()]);
            }
        }
        lines.push(self.at.to_string());
        let kind = self.what.type_name().trim_start_matches("rollout.").trim_end_matches(".v1");
        format!("{}-{}", kind.replace('.', "-"), Digest::of(lines.join("\n").as_bytes()))
    }
}
