//! Announces what falls due: snapshots, snapshots that were missed, flags to be removed.
//!
//! A scheduler asks a [`Board`] what has fallen due and hands it the events that say so. What is due
//! follows from the ledger alone, and so do the events, so several schedulers, restarts and outages
//! change nothing but when something is recorded. The board of `serve` is in [`serving`], that of a
//! scheduler of its own in [`remote`].

pub mod remote;
pub mod serving;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use projector::{recorded::Moment, schedule::Scheduled};
use schemas::RolloutId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    exit::{Code, Failure},
    remote::Receipt,
};

/// How long a scheduler sleeps at most. The clock may be set meanwhile, and nothing tells.
pub const SLEEP_MAX: Duration = Duration::from_secs(30);

/// How long it rests between two looks while the ledger grows.
pub const LOOK_GAP: Duration = Duration::from_millis(250);

/// How long it waits after it could not look or record.
pub const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Rollouts that one look at what has fallen due takes in.
pub const LOOK_LEN_MAX: usize = 64;

/// Announcements that are recorded together.
pub const BATCH_LEN_MAX: usize = 128;

/// Announcements that are remembered as settled although the views do not show them, such as those
/// whose payload was erased.
const SETTLED_LEN_MAX: usize = 10_000;

/// Something that falls due for a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Announcement {
    /// When it falls due, RFC 3339.
    pub at: String,
    pub rollout: RolloutId,
    /// Whether it has fallen due by the instant of the answer.
    pub fallen_due: bool,
    /// The event that announces it, to be sent as it is.
    pub event: Value,
}

/// What falls due, a page of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Due {
    /// By when it was looked, RFC 3339.
    pub now: String,
    pub announcements: Vec<Announcement>,
    /// The first instant behind these at which something falls due, RFC 3339.
    pub next: Option<String>,
    /// Where the next page begins, if there is one.
    pub after: Option<String>,
}

/// Where a scheduler looks and where it records.
pub trait Board {
    /// What has fallen due and is not recorded, from a place on. `None` when that cannot be said
    /// now; the board then soon has news.
    fn due(&self, after: Option<&str>) -> anyhow::Result<Option<Due>>;

    /// Records events, all or none.
    fn record(&self, events: &[Value]) -> anyhow::Result<Vec<Receipt>>;
}

/// A scheduler between two looks.
#[derive(Debug, Default)]
pub struct Scheduler {
    /// Ids that need no further try in this process.
    settled: BTreeSet<String>,
    /// How many announcements were refused for good in this process.
    refused: u64,
}

/// What one look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many announcements were recorded now.
    pub recorded: usize,
    /// How many stood in the ledger already.
    pub known: usize,
    /// When something falls due next.
    pub next: Option<Moment>,
}

impl Scheduler {
    /// Announces everything that has fallen due.
    ///
    /// # Errors
    /// When the board cannot be asked or does not record now. What was recorded until then stays,
    /// and the next look goes on.
    pub fn look(&mut self, board: &impl Board) -> anyhow::Result<Looked> {
        let mut looked = Looked::default();
        let mut after: Option<String> = None;
        loop {
            let Some(due) = board.due(after.as_deref())? else { return Ok(looked) };
            let fallen = due.announcements.into_iter().filter(|a| a.fallen_due);
            let mut events: Vec<Value> =
                fallen.map(|a| a.event).filter(|e| !self.settled.contains(id_of(e))).collect();
            while !events.is_empty() {
                let rest = events.split_off(events.len().min(BATCH_LEN_MAX));
                self.record(board, std::mem::replace(&mut events, rest), &mut looked)?;
            }
            looked.next = due.next.as_deref().and_then(moment);
            after = due.after;
            if after.is_none() {
                return Ok(looked);
            }
        }
    }

    /// Records a batch. An announcement that is refused for good is set aside, said, and does not
    /// keep the others from being recorded.
    fn record(
        &mut self,
        board: &impl Board,
        mut events: Vec<Value>,
        looked: &mut Looked,
    ) -> anyhow::Result<()> {
        while !events.is_empty() {
            let error = match board.record(&events) {
                Ok(receipts) => {
                    for (event, receipt) in events.iter().zip(receipts) {
                        if receipt.duplicate {
                            looked.known += 1;
                            self.settle(id_of(event));
                        } else {
                            looked.recorded += 1;
                        }
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            // Whoever may not record this has to be told so, and not that all is announced.
            let index = error
                .downcast_ref::<Failure>()
                .filter(|f| !matches!(f.code, Code::TryAgain | Code::Auth));
            let index = index.and_then(|f| f.index).filter(|index| *index < events.len());
            let Some(index) = index else { return Err(error) };
            let refused = events.remove(index);
            tracing::warn!(id = id_of(&refused), error = %error, "an announcement was not recorded");
            self.settle(id_of(&refused));
            self.refused += 1;
        }
        Ok(())
    }

    /// How many announcements were refused for good since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn settle(&mut self, id: &str) {
        if self.settled.len() == SETTLED_LEN_MAX {
            // Trying them once more costs a duplicate each.
            self.settled.clear();
        }
        self.settled.insert(id.to_owned());
    }
}

/// How long to sleep until an instant, which may never come.
pub fn sleep(now: Moment, next: Option<Moment>) -> Duration {
    let Some(next) = next else { return SLEEP_MAX };
    let us = u64::try_from(next.0.saturating_sub(now.0)).unwrap_or(0);
    Duration::from_micros(us).min(SLEEP_MAX)
}

/// Everything that is due of these rollouts, by the instant, as a page that nothing follows.
pub fn page(now: Moment, by: Moment, all: Vec<(RolloutId, Vec<Scheduled>)>) -> Due {
    let mut due = Due { now: now.to_string(), ..Due::default() };
    let mut next = None;
    for (rollout, scheduled) in all {
        for scheduled in scheduled {
            if scheduled.at > by {
                next = [next, Some(scheduled.at)].into_iter().flatten().min();
                continue;
            }
            due.announcements.push(Announcement {
                at: scheduled.at.to_string(),
                fallen_due: scheduled.at <= now,
                event: scheduled.event(&rollout),
                rollout: rollout.clone(),
            });
        }
    }
    due.announcements.sort_by(|a, b| (&a.at, &a.rollout).cmp(&(&b.at, &b.rollout)));
    due.next = next.map(|next| next.to_string());
    due
}

fn id_of(event: &Value) -> &str {
    event.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn moment(text: &str) -> Option<Moment> {
    Some(Moment(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()))
}
