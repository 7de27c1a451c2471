//! The task of one receiver: the next event that it wants, until it has it, and then the next.

use std::{sync::Arc, time::Duration};

use ledger::{Entry, Head, Log, LogError};
use projector::views::{Filter, about, read_entry};
use serde_json::Value;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    Held, Webhooks,
    client::{Answer, Client, Message, NoAnswer},
    endpoint::State,
    locked,
    record::Delivery,
    schedule::Schedule,
    sign,
    store::Store,
    test_body,
};
use crate::{
    clock::wall_us,
    home::random_hex,
    metrics::{self, Metrics},
    tail::Tail,
    wire::{self, Body},
};

/// Deliveries that may be on disk later than they were made: after a crash, so many may be repeated.
const UNSAVED_LEN_MAX: usize = 32;

/// Entries that the receiver does not want, after which the cursor is stored all the same.
const PASSED_LEN_MAX: usize = 10_000;

/// How long an attempt that is on its way may take when it is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for a log that cannot be read.
const READ_WAIT: Duration = Duration::from_secs(5);

/// A wait is looked at again after so long, in case the clock was set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Follows the log for one receiver.
pub(super) struct Follower {
    held: Held,
    filter: Filter,
    tail: Tail,
    log: Arc<dyn Log>,
    heads: watch::Receiver<Head>,
    client: Client,
    metrics: Arc<Metrics>,
    schedule: Schedule,
    store: Store,
    stop: CancellationToken,
    /// Deliveries, and entries passed over, since the cursor was stored.
    unsaved: usize,
    passed: usize,
}

/// The receiver gets nothing more: it was told to stop, or has given up.
struct Ended;

impl Follower {
    pub(super) fn new(all: &Webhooks, held: Held, filter: Filter, stop: CancellationToken) -> Self {
        let next = ledger::Seq(locked(&held).progress.next);
        let (log, heads) = (all.log.clone(), all.heads.clone());
        let tail = Tail::new(log.clone(), heads.clone(), stop.clone(), next);
        Follower {
            held,
            filter,
            tail,
            log,
            heads,
            client: all.client.clone(),
            metrics: all.metrics.clone(),
            schedule: all.settings.schedule.clone(),
            store: all.store.clone(),
            stop,
            unsaved: 0,
            passed: 0,
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(page) = self.page().await {
            let ended = match page {
                Ok(page) => self.send_all(page).await.is_err(),
                Err(error) => {
                    tracing::warn!(%error, "a webhook cannot read the log; trying again");
                    self.pause(READ_WAIT).await.is_err()
                }
            };
            if ended {
                break;
            }
        }
        self.save().await;
    }

    /// The next entries and whether they are wanted. What is not stored yet is stored before a wait.
    async fn page(&mut self) -> Option<Result<Vec<(Entry, bool)>, LogError>> {
        if self.tail.position() >= self.heads.borrow().next && self.unsaved + self.passed > 0 {
            self.save().await;
        }
        let start = self.tail.position();
        let page = match self.tail.page().await? {
            Ok(page) => page,
            Err(e) => return Some(Err(e)),
        };
        let (log, filter) = (self.log.clone(), self.filter.clone());
        let sorted = spawn_blocking(move || {
            let wanted = |entry: &Entry| -> Result<bool, LogError> {
                let recorded = read_entry(entry);
                Ok(filter.admits(&recorded, &about(&*log, &recorded)?))
            };
            page.into_iter().map(|entry| Ok((wanted(&entry)?, entry))).collect()
        });
        let sorted: Result<Vec<(bool, Entry)>, LogError> =
            sorted.await.expect("filtering does not panic");
        if sorted.is_err() {
            self.tail.seek(start);
        }
        Some(sorted.map(|page| page.into_iter().map(|(wanted, entry)| (entry, wanted)).collect()))
    }

    async fn send_all(&mut self, page: Vec<(Entry, bool)>) -> Result<(), Ended> {
        for (entry, wanted) in page {
            if wanted {
                self.deliver(&entry).await?;
                self.unsaved += 1;
            }
            locked(&self.held).progress.pass(entry.seq().0);
            self.passed += 1;
            if self.unsaved >= UNSAVED_LEN_MAX || self.passed >= PASSED_LEN_MAX {
                self.save().await;
            }
        }
        Ok(())
    }

    /// Sends one event until the receiver has it.
    async fn deliver(&mut self, entry: &Entry) -> Result<(), Ended> {
        let (seq, thin) = (entry.seq().0, locked(&self.held).terms.thin);
        let body = if thin { wire::thin(entry) } else { wire::full(entry) };
        let id = format!("evt_{seq}");
        loop {
            let (due_us, failures) = {
                let progress = &locked(&self.held).progress;
                (progress.due_us, progress.failures)
            };
            self.wait_until(due_us).await?;
            let sending = attempt(&self.client, &self.held, &id, Some(seq), failures + 1, &body);
            let answer = tokio::select! {
                answer = sending => answer,
                () = self.grace() => {
                    let what = "stopped before an answer came".to_owned();
                    locked(&self.held).deliveries.add(unanswered(&id, seq, failures + 1, what));
                    return Err(Ended);
                }
            };
            if answer.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status)) {
                self.metrics.delivered(metrics::Delivery::Delivered);
                return Ok(());
            }
            self.failed(&answer);
            self.save().await;
            if locked(&self.held).progress.state != State::Active {
                return Err(Ended);
            }
        }
    }

    /// What a failure means for the receiver: later, or no more.
    fn failed(&self, answer: &Result<Answer, NoAnswer>) {
        let endpoint = &mut *locked(&self.held);
        let id = endpoint.terms.id.as_str();
        let progress = &mut endpoint.progress;
        let answered = answer.as_ref().ok();
        if answered.is_some_and(|answer| answer.status == 410) {
            progress.state = State::Gone;
            self.metrics.delivered(metrics::Delivery::Gone);
            tracing::warn!(id, seq = progress.next, "a webhook's receiver is gone; it is disabled");
            return;
        }
        let asked = answered.and_then(|answer| answer.retry_after);
        progress.fail(&self.schedule, wall_us(), random_byte(), asked);
        let (seq, attempts) = (progress.next, progress.failures);
        let outcome = if progress.state == State::Exhausted {
            tracing::warn!(id, seq, attempts, "a webhook failed for good; it is disabled");
            metrics::Delivery::GivenUp
        } else {
            tracing::info!(id, seq, attempts, "a webhook failed; it is tried again later");
            match answer {
                Err(NoAnswer::Refused(_)) => metrics::Delivery::Blocked,
                _ => metrics::Delivery::Retried,
            }
        };
        self.metrics.delivered(outcome);
    }

    /// Waits for a moment of the wall clock.
    async fn wait_until(&self, due_us: u64) -> Result<(), Ended> {
        let begun_us = wall_us();
        let longest = u64::try_from(Schedule::longest().as_micros()).unwrap_or(u64::MAX);
        let due_us = due_us.min(begun_us.saturating_add(longest));
        loop {
            let left = Duration::from_micros(due_us.saturating_sub(wall_us()));
            if left.is_zero() {
                return if self.stop.is_cancelled() { Err(Ended) } else { Ok(()) };
            }
            self.pause(left.min(LOOK_AGAIN)).await?;
        }
    }

    async fn pause(&self, wait: Duration) -> Result<(), Ended> {
        self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.ok_or(Ended)
    }

    /// Until whatever is on its way has had its time.
    async fn grace(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Stores how far the receiver is. If that fails, some is sent again after a crash.
    async fn save(&mut self) {
        let (store, endpoint) = (self.store.clone(), locked(&self.held).clone());
        let saved = spawn_blocking(move || store.save_progress(&endpoint)).await;
        match saved.expect("storing does not panic") {
            Ok(()) => (self.unsaved, self.passed) = (0, 0),
            Err(e) => tracing::warn!(error = format!("{e:#}"), "a webhook's cursor is not stored"),
        }
    }
}

/// Sends a message that is no event and says what came of it.
pub(super) async fn test_attempt(client: &Client, held: &Held) -> Value {
    let id = format!("test_{}", random_hex::<8>());
    let body = test_body(&id, wall_us());
    // What came of it is in the record, answered or not.
    let _ = attempt(client, held, &id, None, 1, &body).await;
    let endpoint = locked(held);
    let delivery = endpoint.deliveries.newest().find(|delivery| delivery.webhook_id == id);
    delivery.map(Delivery::shown).unwrap_or_default()
}

/// One attempt, recorded.
async fn attempt(
    client: &Client,
    held: &Held,
    id: &str,
    seq: Option<u64>,
    attempt: u32,
    body: &Body,
) -> Result<Answer, NoAnswer> {
    let sent_us = wall_us();
    let (url, message) = {
        let terms = &locked(held).terms;
        let timestamp = sent_us / 1_000_000;
        let signature =
            sign::signatures(terms.secrets(sent_us), id, timestamp, body.text.as_bytes());
        let message = Message { id: id.to_owned(), timestamp, signature, body: body.clone() };
        (terms.url.clone(), message)
    };
    let answer = client.post(&url, message).await;
    let delivery = Delivery {
        webhook_id: id.to_owned(),
        seq,
        attempt,
        sent_us,
        took_ms: wall_us().saturating_sub(sent_us) / 1_000,
        status: answer.as_ref().ok().map(|answer| answer.status),
        error: answer.as_ref().err().map(ToString::to_string),
    };
    locked(held).deliveries.add(delivery);
    answer
}

fn unanswered(id: &str, seq: u64, attempt: u32, error: String) -> Delivery {
    Delivery {
        webhook_id: id.to_owned(),
        seq: Some(seq),
        attempt,
        sent_us: wall_us(),
        took_ms: 0,
        status: None,
        error: Some(error),
    }
}

/// Chance, for the jitter of a wait.
fn random_byte() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the system has randomness");
    let [byte] = byte;
    byte
}
