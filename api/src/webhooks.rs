//! Webhooks out, by Standard Webhooks 1.0: each receiver gets the events that it wants, in order, at
//! least once, signed, until it says that it has them.
//!
//! A receiver has a task that follows the log from its own cursor, one message in flight. The cursor
//! moves on a 2xx and on nothing else: a receiver that fails through the whole schedule is stopped
//! at the event it failed on, and goes on there when a person says so.
//!
//! | file | holds |
//! |---|---|
//! | `endpoint.rs` | what is known of a receiver, and every change to it |
//! | `store.rs` | the same, on disk |
//! | `follow.rs` | the task of a receiver |
//! | `client.rs`, `address.rs` | one message over HTTP, and to whom never |
//! | `sign.rs`, `schedule.rs`, `record.rs` | signatures, waits, what was sent lately |

pub mod address;
pub mod client;
pub mod endpoint;
mod follow;
pub mod record;
pub mod schedule;
pub mod sign;
pub mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use ledger::{Head, Log};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, watch},
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use self::{
    address::Rules,
    client::Client,
    endpoint::{Conditions, Endpoint, OVERLAP_MAX, Progress, State, Terms, filter_of},
    follow::{Follower, test_attempt},
    record::Deliveries,
    schedule::Schedule,
    store::{ENDPOINTS_LEN_MAX, Lock, Store},
};
use crate::{
    clock::wall_us,
    exit::{Code, fail},
    home::{Home, random_hex},
    intake,
    json::set,
    metrics::Metrics,
    wire::{self, Body},
};

/// The names and values of a filter together, in bytes: each is looked at for every entry.
pub const FILTER_SIZE_MAX: usize = 4_096;

/// What an operator may set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub rules: Rules,
    pub schedule: Schedule,
}

/// What somebody asks for who adds a receiver.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub url: String,
    /// Conditions of `GET /api/v1/events` by name; all events without any.
    #[serde(default)]
    pub filter: Conditions,
    /// The first entry to be sent; without it, what is recorded from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Send events without their `data`.
    #[serde(default)]
    pub thin: bool,
}

/// What may be done with a receiver that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Pause,
    Resume,
    Replay { from: u64 },
    Rotate { overlap: Duration },
}

/// Every receiver of a running server.
pub struct Webhooks {
    store: Store,
    /// Nobody else changes the files while this runs.
    _lock: Lock,
    settings: Settings,
    client: Client,
    log: Arc<dyn Log>,
    heads: watch::Receiver<Head>,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
    /// Changes are made one after another.
    running: Mutex<BTreeMap<String, Running>>,
}

/// A receiver, shared with its task.
type Held = Arc<std::sync::Mutex<Endpoint>>;

struct Running {
    held: Held,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Wish {
    /// A receiver as it is wished for. `head` is the number of entries in the log.
    ///
    /// # Errors
    /// When the URL, the filter or the place cannot be one.
    pub fn grant(self, rules: &Rules, head: u64, now_us: u64) -> anyhow::Result<Endpoint> {
        let url = rules.url(&self.url).map_err(|e| fail(Code::Policy, e.to_string()))?;
        // Looked at before the filter is read, so that no other message can come to repeat it.
        intake::check_words("the webhook's URL", &self.url)?;
        for (name, value) in &self.filter {
            intake::check_words("the webhook's filter", name)?;
            intake::check_words("the webhook's filter", value)?;
        }
        let size: usize = self.filter.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > FILTER_SIZE_MAX {
            let what = format!("the filter of a webhook has at most {FILTER_SIZE_MAX} bytes");
            return Err(fail(Code::Usage, what));
        }
        filter_of(&self.filter)?;
        if self.from.is_some_and(|from| from > head) {
            let what = format!("the log has {head} entries; --from names one of them or the next");
            return Err(fail(Code::Usage, what));
        }
        let id = format!("wh-{}", random_hex::<8>());
        let terms = Terms::new(id, url.into(), self.filter, self.thin, now_us);
        let progress = Progress::at(self.from.unwrap_or(head));
        Ok(Endpoint { terms, progress, deliveries: Deliveries::default() })
    }
}

/// Whether one more receiver may be added.
///
/// # Errors
/// When there are [`ENDPOINTS_LEN_MAX`].
pub fn has_room(len: usize) -> anyhow::Result<()> {
    if len < ENDPOINTS_LEN_MAX {
        return Ok(());
    }
    let what = format!("there are {len} webhooks, as many as there may be; remove one first");
    Err(fail(Code::Conflict, what))
}

impl Change {
    /// Makes the change and stores it.
    ///
    /// # Errors
    /// When it cannot be made or stored; then nothing is changed.
    pub fn apply(self, endpoint: &mut Endpoint, store: &Store, now_us: u64) -> anyhow::Result<()> {
        let mut changed = endpoint.clone();
        match self {
            Change::Pause => changed.progress.state = State::Paused,
            Change::Resume => changed.progress.resume(),
            Change::Replay { from } => changed.progress.replay(from)?,
            Change::Rotate { overlap } if overlap > OVERLAP_MAX => {
                return Err(fail(Code::Usage, "an old secret signs for a week (168h) at most"));
            }
            Change::Rotate { overlap } => {
                changed.terms.rotate(now_us, overlap);
                store.save_terms(&changed)?;
            }
        }
        if changed.progress != endpoint.progress {
            store.save_progress(&changed)?;
        }
        *endpoint = changed;
        Ok(())
    }

    fn name(self) -> &'static str {
        match self {
            Change::Pause => "paused",
            Change::Resume => "resumed",
            Change::Replay { .. } => "replayed",
            Change::Rotate { .. } => "given a new secret",
        }
    }
}

impl Webhooks {
    /// Reads the receivers and starts their tasks.
    ///
    /// # Errors
    /// When one cannot be read, or another process is changing them.
    pub fn start(
        home: &Home,
        settings: Settings,
        log: Arc<dyn Log>,
        heads: watch::Receiver<Head>,
        metrics: Arc<Metrics>,
        stopping: CancellationToken,
    ) -> anyhow::Result<Arc<Webhooks>> {
        let store = Store::of(home);
        let lock = store.lock()?;
        let found = store.load()?;
        let client = Client::new(settings.rules.clone());
        let running = Mutex::new(BTreeMap::new());
        let mut webhooks = Webhooks {
            store,
            _lock: lock,
            settings,
            client,
            log,
            heads,
            metrics,
            stopping,
            running,
        };
        let mut running = BTreeMap::new();
        for mut endpoint in found {
            let head = webhooks.head();
            if endpoint.progress.next > head {
                let id = endpoint.terms.id.as_str();
                tracing::warn!(
                    id,
                    "a webhook was sent more than the log holds; it goes on at its end"
                );
                endpoint.progress =
                    Progress { state: endpoint.progress.state, ..Progress::at(head) };
            }
            running.insert(endpoint.terms.id.clone(), webhooks.run(endpoint)?);
        }
        webhooks.running = Mutex::new(running);
        Ok(Arc::new(webhooks))
    }

    /// Waits for the tasks, which end once the service is stopping.
    pub async fn stop(&self) {
        for running in self.running.lock().await.values_mut() {
            running.halt().await;
        }
    }

    /// Adds a receiver. The answer shows its secret, for the only time.
    pub async fn add(&self, wish: Wish, by: &str) -> anyhow::Result<Value> {
        let mut running = self.running.lock().await;
        has_room(running.len())?;
        let endpoint = wish.grant(&self.settings.rules, self.head(), wall_us())?;
        let (store, stored) = (self.store.clone(), endpoint.clone());
        spawn_blocking(move || store.add(&stored)).await??;
        let id = endpoint.terms.id.clone();
        let mut shown = self.shown(&endpoint);
        set(&mut shown, "secret", endpoint.terms.newest_secret());
        running.insert(id.clone(), self.run(endpoint)?);
        tracing::info!(id, by, "a webhook was added");
        Ok(shown)
    }

    pub async fn list(&self) -> Vec<Value> {
        let running = self.running.lock().await;
        running.values().map(|running| self.shown(&locked(&running.held))).collect()
    }

    /// # Errors
    /// When there is none of that id, as every method that names one.
    pub async fn show(&self, id: &str) -> anyhow::Result<Value> {
        Ok(self.shown(&locked(&self.held(id).await?)))
    }

    /// What was sent lately, the newest first.
    pub async fn deliveries(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        let held = self.held(id).await?;
        let endpoint = locked(&held);
        Ok(endpoint.deliveries.newest().map(record::Delivery::shown).collect())
    }

    /// Changes a receiver. A rotation shows the new secret, for the only time.
    pub async fn change(&self, id: &str, change: Change, by: &str) -> anyhow::Result<Value> {
        let mut all = self.running.lock().await;
        let running = all.get_mut(id).ok_or_else(no_such)?;
        let rotates = matches!(change, Change::Rotate { .. });
        if !rotates {
            running.halt().await;
        }
        let (held, store) = (running.held.clone(), self.store.clone());
        let changed =
            spawn_blocking(move || change.apply(&mut locked(&held), &store, wall_us())).await?;
        let endpoint = locked(&running.held).clone();
        let mut shown = self.shown(&endpoint);
        if rotates {
            set(&mut shown, "secret", endpoint.terms.newest_secret());
        } else {
            // It goes on whether or not the change could be made.
            *running = self.run(endpoint)?;
        }
        changed?;
        tracing::info!(id, by, "a webhook was {}", change.name());
        Ok(shown)
    }

    pub async fn remove(&self, id: &str, by: &str) -> anyhow::Result<()> {
        let mut all = self.running.lock().await;
        let running = all.get_mut(id).ok_or_else(no_such)?;
        running.halt().await;
        let (store, endpoint) = (self.store.clone(), locked(&running.held).clone());
        let removed = spawn_blocking(move || store.remove(&endpoint)).await?;
        all.remove(id);
        tracing::info!(id, by, "a webhook was removed");
        removed
    }

    /// Sends a message that is no event, beside whatever is on its way, and says what came of it.
    pub async fn test(&self, id: &str) -> anyhow::Result<Value> {
        let held = self.held(id).await?;
        Ok(test_attempt(&self.client, &held).await)
    }

    async fn held(&self, id: &str) -> anyhow::Result<Held> {
        let running = self.running.lock().await;
        running.get(id).map(|running| running.held.clone()).ok_or_else(no_such)
    }

    fn run(&self, endpoint: Endpoint) -> anyhow::Result<Running> {
        let filter = filter_of(&endpoint.terms.filter)?;
        let active = endpoint.progress.state == State::Active;
        let (held, stop) = (Held::new(endpoint.into()), self.stopping.child_token());
        let task = active.then(|| {
            let follower = Follower::new(self, held.clone(), filter, stop.clone());
            tokio::spawn(follower.run())
        });
        Ok(Running { held, stop, task })
    }

    fn head(&self) -> u64 {
        self.heads.borrow().next.0
    }

    fn shown(&self, endpoint: &Endpoint) -> Value {
        endpoint.shown(self.head(), wall_us())
    }
}

impl Running {
    /// Ends the task, which first stores how far it is.
    async fn halt(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && task.await.is_err()
        {
            tracing::error!("the task of a webhook panicked");
        }
    }
}

/// Sends a test without a server, and adds it to what was sent lately.
pub async fn test_alone(rules: &Rules, endpoint: &mut Endpoint) -> Value {
    let held = Held::new(endpoint.clone().into());
    let tested = test_attempt(&Client::new(rules.clone()), &held).await;
    endpoint.deliveries = locked(&held).deliveries.clone();
    tested
}

/// One message that is no event.
fn test_body(id: &str, now_us: u64) -> Body {
    let body = json!({
        "specversion": "1.0",
        "id": id,
        "source": crate::engine::OWN_SOURCE,
        "type": "webhook.test",
        "time": crate::moment::shown_us(now_us),
        "datacontenttype": "application/json",
        "data": { "text": "This is a test and no event of the ledger." },
    });
    Body { kind: wire::EVENT, text: body.to_string() }
}

/// For those who look an id up.
pub fn no_such() -> anyhow::Error {
    fail(Code::NotFound, "there is no such webhook; `webhook list` shows them")
}

fn locked(held: &Held) -> std::sync::MutexGuard<'_, Endpoint> {
    // Every change is complete before it can be seen.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
