//! The scheduler of a running server: looks when something falls due and when the ledger grows.

use std::sync::Arc;

use projector::{recorded::Moment, schedule};
use schemas::RolloutId;
use serde_json::Value;
use tokio::{runtime::Handle, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{Board, Due, LOOK_GAP, LOOK_LEN_MAX, RETRY_WAIT, Scheduler, page, sleep};
use crate::{
    answers::AsOf,
    clock,
    engine::conflict,
    exit::{Code, fail},
    facts::Facts,
    ingest::Intake,
    intake::{self, Submitter, own::Own},
    metrics::Metrics,
    remote::Receipt,
};

/// The present, and the passing of time. Tests set both.
pub trait Wall: Clone + Send + Sync + 'static {
    /// The present by the wall clock.
    fn now(&self) -> Moment;

    /// Returns when so long has passed, by a clock that nobody sets.
    fn pass(&self, time: std::time::Duration) -> impl Future<Output = ()> + Send;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemWall;

impl Wall for SystemWall {
    fn now(&self) -> Moment {
        Moment(clock::now().as_microsecond())
    }

    async fn pass(&self, time: std::time::Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Announces what falls due until told to stop.
pub async fn run<W: Wall>(
    facts: Arc<Facts>,
    intake: Intake,
    wall: W,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
) {
    let mut scheduler = Scheduler::default();
    let mut news = facts.news();
    loop {
        news.borrow_and_update();
        let now = wall.now();
        let board = Serving {
            facts: facts.clone(),
            intake: intake.clone(),
            now,
            handle: Handle::current(),
        };
        let looked = spawn_blocking(move || {
            let looked = scheduler.look(&board);
            (scheduler, looked)
        });
        let Ok((back, looked)) = looked.await else {
            tracing::error!("the scheduler panicked; nothing falls due any more until a restart");
            return;
        };
        scheduler = back;
        metrics.announcements_refused(scheduler.refused());
        let wait = match looked {
            Ok(looked) => {
                if looked.recorded > 0 {
                    tracing::info!(events = looked.recorded, "announced what has fallen due");
                }
                sleep(now, looked.next)
            }
            Err(_) if stopping.is_cancelled() => return,
            Err(e) => {
                tracing::warn!(error = %e, "what has fallen due could not be announced; trying again");
                RETRY_WAIT
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = wall.pass(wait) => {}
            changed = news.changed() => if changed.is_err() { return },
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = wall.pass(LOOK_GAP) => {}
        }
    }
}

/// The board of a server: its views and its writer, by a given present.
struct Serving {
    facts: Arc<Facts>,
    intake: Intake,
    now: Moment,
    handle: Handle,
}

impl Board for Serving {
    fn due(&self, after: Option<&str>) -> anyhow::Result<Option<Due>> {
        let durable = self.intake.heads().borrow().next.0;
        let (now, after) = (self.now, after.map(str::to_owned));
        let asked = self.facts.ask(move |facts| facts.due(now, now, after.as_deref()));
        let (due, as_of) = self.handle.block_on(asked)?;
        // Older views may show as standing what was withdrawn since.
        Ok((as_of.seq.map_or(0, |seq| seq + 1) >= durable).then_some(due))
    }

    fn record(&self, events: &[Value]) -> anyhow::Result<Vec<Receipt>> {
        let admitted = intake::admit_all(events, &Submitter::here(Own::Scheduler));
        let submission = admitted.map_err(|refusal| refusal.failure())?;
        let outcome = self.handle.block_on(self.intake.record(submission));
        match outcome.map_err(|e| fail(Code::TryAgain, e.to_string()))? {
            ledger::Outcome::Recorded(receipts) => {
                Ok(receipts.into_iter().map(Receipt::from).collect())
            }
            ledger::Outcome::Conflict { index, seq } => Err(conflict(index, seq)),
        }
    }
}

impl Facts {
    /// What falls due by an instant and is not recorded, from a place on, in pages of
    /// [`LOOK_LEN_MAX`] rollouts; nothing else is folded for it.
    ///
    /// # Errors
    /// When the place is none, or the views cannot be read.
    pub fn due(&self, now: Moment, by: Moment, after: Option<&str>) -> anyhow::Result<(Due, AsOf)> {
        let after = after.map(place).transpose()?;
        let (listed, as_of) = self.listed_due(after.as_ref(), LOOK_LEN_MAX + 1)?;
        let mut all = Vec::new();
        let mut last = None;
        let mut later = None;
        for (at, id) in listed.iter().take(LOOK_LEN_MAX) {
            if *at > by {
                later = Some(*at);
                break;
            }
            last = Some((*at, id));
            if let Some(rollout) = self.folded(id)? {
                all.push((id.clone(), schedule::of(&rollout)));
            }
        }
        let mut due = page(now, by, all);
        let first = [due.next.take(), later.map(|at| at.to_string())].into_iter().flatten().min();
        due.next = first;
        if later.is_none() && listed.len() > LOOK_LEN_MAX {
            due.after = last.map(|(at, id)| format!("{at}/{id}"));
        }
        Ok((due, as_of))
    }
}

/// A place in the list of what falls due: `INSTANT/ROLLOUT`.
fn place(text: &str) -> anyhow::Result<(Moment, RolloutId)> {
    let read = || {
        let (at, id) = text.split_once('/')?;
        Some((super::moment(at)?, id.parse().ok()?))
    };
    read().ok_or_else(|| fail(Code::Usage, "this is no place in the list; begin without one"))
}
