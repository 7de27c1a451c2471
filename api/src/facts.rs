//! Answers of a running server, from the views and the log.
//!
//! A thread keeps the views at the writer's head. A question first waits until everything that was
//! durable when it was asked is in the views, so that whoever recorded something finds it.

mod audit;

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use ledger::{Entry, Head, Log, Seq};
use projector::{
    flag_state::FlagChangedRecorded,
    index::Order,
    recorded::{Moment, Recorded, resolve},
    rollout::Rollout,
    timeline::{self, Row},
    views::{At, Difference, Filter, Found, RolloutRow, Views, ViewsError},
};
use schemas::{FlagKey, RolloutId};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

use serde_json::Value;

use crate::{
    answers::AsOf,
    clock,
    entries::{erased, shown_by, text_by},
    exit::{Code, fail},
    filter::Question,
    history::{self, History},
    home::Home,
    kept::{Kept, Lines, Part, Text},
    progress,
};

/// How long a question waits for the views before it is answered from where they are.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a reader waits for an entry that it asked for by `min_seq`.
const MIN_SEQ_WAIT_MAX: Duration = Duration::from_secs(5);

/// Entries of an export that are in memory at once: few, since each may be half a mebibyte.
const EXPORT_LEN: usize = 64;

/// Some entries of an export.
pub struct Exported {
    pub entries: Vec<Entry>,
    /// For each erased one the redaction that allows it.
    pub allowed: BTreeMap<u64, u64>,
    /// What the next ones come after.
    pub next: Option<u64>,
}

/// What a running server answers from.
pub struct Facts {
    log: Arc<dyn Log>,
    views: Arc<Views>,
    heads: watch::Receiver<Head>,
    /// How far the views are.
    caught_up: watch::Receiver<u64>,
    kept: Kept,
}

/// The thread that keeps the views up to date.
pub struct ViewsThread {
    thread: JoinHandle<anyhow::Result<()>>,
    /// Closed when the thread ends, whatever the reason.
    pub ended: mpsc::Receiver<()>,
}

/// One rollout's events.
pub struct Look {
    pub id: RolloutId,
    pub events: Vec<Recorded>,
    pub as_of: AsOf,
}

impl Facts {
    /// Opens the views, brings them to the head and keeps them there.
    ///
    /// # Errors
    /// Exit 3 when the views have read entries that the log does not hold.
    pub fn start(
        log: Arc<dyn Log>,
        home: &Home,
        heads: watch::Receiver<Head>,
    ) -> anyhow::Result<(Arc<Facts>, ViewsThread)> {
        let views = Arc::new(open_views(home, &*log)?);
        let (publish, caught_up) = watch::channel(views.position().next);
        let (alive, ended) = mpsc::channel(1);
        let keeper =
            Keeper { log: log.clone(), views: views.clone(), heads: heads.clone(), publish };
        let thread = thread::Builder::new().name("views".to_owned()).spawn(move || {
            let result = keeper.run();
            drop(alive);
            result
        })?;
        let facts = Facts { log, views, heads, caught_up, kept: Kept::default() };
        Ok((Arc::new(facts), ViewsThread { thread, ended }))
    }

    /// How many entries the views have read.
    pub fn next(&self) -> u64 {
        self.views.position().next
    }

    /// How many durable entries the views do not hold yet, and how long the oldest of these has been
    /// durable. Blocks.
    pub fn lag(&self) -> (u64, Duration) {
        let next = self.next();
        let behind = self.heads.borrow().next.0.saturating_sub(next);
        if behind == 0 {
            return (0, Duration::ZERO);
        }
        let oldest = self.log.headers(Seq(next), 1).unwrap_or_default();
        let recorded_us = oldest.first().map_or(0, |header| header.recorded_at_us);
        (behind, Duration::from_micros(clock::wall_us().saturating_sub(recorded_us)))
    }

    /// How far the views are, as it changes.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.caught_up.clone()
    }

    /// The rollouts for which something is to be announced, by the instant of the first.
    pub(crate) fn listed_due(
        &self,
        after: Option<&(Moment, RolloutId)>,
        limit: usize,
    ) -> anyhow::Result<(Vec<(Moment, RolloutId)>, AsOf)> {
        Ok(parts(self.views.due(after, limit)?))
    }

    /// A rollout by all its events.
    pub(crate) fn folded(&self, id: &RolloutId) -> anyhow::Result<Option<Arc<Rollout>>> {
        Ok(self.views.rollout(&*self.log, id)?.value)
    }

    /// Answers a question on a thread that may block, once the views hold what was durable when it
    /// was asked.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Facts) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let durable = self.heads.borrow().next.0;
        let mut caught_up = self.caught_up.clone();
        // An answer names the entry that it was computed at, so an older one is still true.
        let _ = tokio::time::timeout(WAIT_MAX, caught_up.wait_for(|next| *next >= durable)).await;
        let facts = self.clone();
        spawn_blocking(move || question(&facts)).await.context("a question panicked")?
    }

    /// Waits until the views hold an entry, for those who know that it was recorded. Says whether
    /// they do; an entry that nobody recorded is waited for as long.
    pub async fn reaches(&self, seq: u64) -> bool {
        let mut caught_up = self.caught_up.clone();
        let reached = caught_up.wait_for(|next| *next > seq);
        matches!(tokio::time::timeout(MIN_SEQ_WAIT_MAX, reached).await, Ok(Ok(_)))
    }

    pub fn rollouts(&self) -> anyhow::Result<(Vec<RolloutRow>, AsOf)> {
        Ok(parts(self.views.rollouts()?))
    }

    /// # Errors
    /// When it was never heard of.
    pub fn rollout(&self, id: &RolloutId) -> anyhow::Result<Look> {
        let (mut events, as_of) = parts(self.views.rollout_events(&*self.log, id)?);
        self.with_erased(&mut events)?;
        if events.is_empty() {
            return Err(no_such_rollout());
        }
        Ok(Look { id: id.clone(), events, as_of })
    }

    /// Where a rollout is, as `render` puts it, and until when (Unix microseconds) that holds
    /// without a new event. Rendered again only when it no longer holds.
    ///
    /// # Errors
    /// When it was never heard of.
    pub fn current(
        &self,
        id: &RolloutId,
        now_us: i64,
        render: impl FnOnce(&Rollout) -> (String, i64),
    ) -> anyhow::Result<(Arc<str>, AsOf)> {
        let (newest, as_of) = self.newest(id)?;
        let key = (id.clone(), Part::Current);
        if let Some(text) = self.kept.text(&key, newest, now_us) {
            return Ok((text, as_of));
        }
        let (rollout, as_of) = parts(self.views.rollout(&*self.log, id)?);
        let (text, until_us) = render(&*rollout.ok_or_else(no_such_rollout)?);
        let text: Arc<str> = text.into();
        // The views may have moved on since; what is kept must be of one state.
        if self.newest(id)?.0 == newest {
            self.kept.keep(key, Text { newest, until_us, text: text.clone() });
        }
        Ok((text, as_of))
    }

    /// A part of a rollout's time line, as `render` puts it.
    ///
    /// # Errors
    /// When it was never heard of.
    pub fn timeline(
        &self,
        id: &RolloutId,
        part: Part,
        render: impl FnOnce(&[Row]) -> String,
    ) -> anyhow::Result<(Arc<str>, AsOf)> {
        let (newest, as_of) = self.newest(id)?;
        let key = (id.clone(), part);
        if let Some(text) = self.kept.text(&key, newest, i64::MIN) {
            return Ok((text, as_of));
        }
        let (lines, as_of) = if let Some(lines) = self.kept.lines(id, newest) {
            (lines, as_of)
        } else {
            let look = self.rollout(id)?;
            let newest = look.events.last().map_or(0, |event| event.seq);
            let rows = timeline::timeline(&look.events, None, None);
            (self.kept.keep_lines(id, Lines { newest, rows }), look.as_of)
        };
        let text: Arc<str> = render(&lines.rows).into();
        let (newest, until_us) = (lines.newest, i64::MAX);
        self.kept.keep(key, Text { newest, until_us, text: text.clone() });
        Ok((text, as_of))
    }

    /// The newest entry about a rollout.
    fn newest(&self, id: &RolloutId) -> anyhow::Result<(u64, AsOf)> {
        let (row, as_of) = parts(self.views.rollout_row(id)?);
        Ok((row.ok_or_else(no_such_rollout)?.last_seq, as_of))
    }

    /// The changes of a flag, as corrections left them.
    pub fn flag(&self, key: &str) -> anyhow::Result<(Vec<FlagChangedRecorded>, AsOf)> {
        let key: FlagKey =
            key.parse().map_err(|e| fail(Code::Usage, format!("a flag's key {e}")))?;
        let (events, as_of) = parts(self.views.flag_events(&*self.log, &key)?);
        let standing = resolve(events.iter());
        let changes = standing.iter().filter_map(FlagChangedRecorded::from_resolved).collect();
        Ok((changes, as_of))
    }

    /// Whether there is an event of this type.
    pub fn holds(&self, type_name: &str) -> anyhow::Result<bool> {
        let filter = Filter { types: vec![type_name.to_owned()], ..Filter::default() };
        let at = self.views.entries(&*self.log, &filter, Order::Ascending, None, 1)?;
        Ok(!at.value.entries.is_empty())
    }

    /// A page of entries, and whether there are more.
    pub fn events(
        &self,
        question: &Question,
        limit: usize,
    ) -> anyhow::Result<(String, Option<u64>, AsOf)> {
        let Question { filter, order, after } = question;
        let at = self.views.entries(&*self.log, filter, *order, *after, limit)?;
        let (page, as_of) = parts(at);
        let allowed = self.redactions(&page.entries)?;
        Ok((text_by(&page.entries, &allowed), page.next, as_of))
    }

    /// Some entries of an export up to its head, the redactions that allow erased ones among them,
    /// and what the next ones come after; `None` at the end.
    pub fn exported(&self, question: &Question, head: u64) -> anyhow::Result<Exported> {
        let Question { filter, order, after } = question;
        // From new to old an export begins at its head; the other way it ends there.
        let after = match order {
            Order::Ascending => *after,
            Order::Descending => Some(after.unwrap_or(u64::MAX).min(head.saturating_add(1))),
        };
        let at = self.views.entries(&*self.log, filter, *order, after, EXPORT_LEN)?;
        let (mut page, _) = parts(at);
        let len = page.entries.len();
        page.entries.retain(|entry| entry.seq().0 <= head);
        let next = page.next.filter(|_| page.entries.len() == len);
        let allowed = self.redactions(&page.entries)?;
        Ok(Exported { entries: page.entries, allowed, next })
    }

    /// For each erased entry among these the redaction that allows it, by the indexes.
    fn redactions(&self, entries: &[Entry]) -> anyhow::Result<BTreeMap<u64, u64>> {
        let erased = erased(entries);
        let mut found = BTreeMap::new();
        let filter = Filter { types: vec![history::REDACTED.to_owned()], ..Filter::default() };
        // A redaction lies behind what it erased.
        let mut after = erased.iter().map(|entry| entry.seq().0).min();
        while let Some(from) = after {
            let order = Order::Ascending;
            let page = self.views.events(&*self.log, &filter, order, Some(from), EXPORT_LEN)?;
            found.extend(history::allowed(&erased, &page.value.events));
            after = page.value.next.filter(|_| found.len() < erased.len());
        }
        Ok(found)
    }

    /// The newest entry that the views have read.
    pub fn as_of(&self) -> AsOf {
        parts(self.views.counts()).1
    }

    /// What a rebuild would change, in words, and how many entries the views have read.
    pub fn diff(&self) -> anyhow::Result<(Vec<String>, u64)> {
        let differences = self.views.diff(&*self.log, threads()).map_err(views_failed)?;
        Ok((differences.iter().map(difference).collect(), self.next()))
    }

    /// Makes the views again; how many entries they have read.
    pub fn rebuild(&self) -> anyhow::Result<u64> {
        self.views.rebuild(&*self.log, self.log.head(), threads()).map_err(views_failed)?;
        Ok(self.next())
    }

    pub fn event(&self, seq: u64) -> anyhow::Result<(Value, AsOf)> {
        let history = History::of(self.log.clone());
        let (newest, hash) = history.as_of();
        let entries = [history.entry(seq)?];
        let shown = shown_by(&entries, &self.redactions(&entries)?).pop().unwrap_or_default();
        Ok((shown, AsOf { seq: newest, hash }))
    }
}

/// What was asked for is not repeated: it may be anything, a person's number too.
fn no_such_rollout() -> anyhow::Error {
    fail(Code::NotFound, "there is no such rollout; GET /api/v1/rollouts lists them")
}

fn parts<T>(at: At<T>) -> (T, AsOf) {
    (at.value, AsOf { seq: at.seq, hash: at.hash.to_string() })
}

/// Opens a directory's views. Views that are damaged or of another version are made again by the
/// first [`Views::catch_up`].
///
/// # Errors
/// Exit 3 when the views have read entries that the log does not hold.
pub fn open_views(home: &Home, log: &dyn Log) -> anyhow::Result<Views> {
    let (views, found) = Views::open(&home.views(), log).map_err(views_failed)?;
    match found {
        Found::Ready | Found::Empty => {}
        Found::OtherVersion => tracing::info!("the views are another version's; making them again"),
        Found::Quarantined(aside) => {
            tracing::warn!(aside = %aside.display(), "the views were damaged; making them again");
        }
    }
    Ok(views)
}

/// The exit code of views that cannot be used.
pub fn views_failed(e: ViewsError) -> anyhow::Error {
    let code = match &e {
        ViewsError::LogLostEntries { .. } => Code::Tampered,
        ViewsError::Store(_) => Code::Failure,
        ViewsError::Log(_) => return e.into(),
    };
    let way_out = match code {
        Code::Tampered => "; run `verify` and put the log back from a backup",
        _ => "; `views rebuild` makes them again",
    };
    fail(code, format!("{e}{way_out}"))
}

/// A difference in words.
pub fn difference(difference: &Difference) -> String {
    let row = |row: &Option<String>| row.clone().unwrap_or_else(|| "no row".to_owned());
    let (live, rebuilt) = (row(&difference.live), row(&difference.rebuilt));
    format!("{}: {live}, and the log gives {rebuilt}", difference.key)
}

/// How many threads may read for the views.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps the views at the head.
struct Keeper {
    log: Arc<dyn Log>,
    views: Arc<Views>,
    heads: watch::Receiver<Head>,
    publish: watch::Sender<u64>,
}

impl Keeper {
    /// Ends with the writer's thread, which owns the other end of `heads`.
    fn run(mut self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let head = *self.heads.borrow_and_update();
        let behind = head.len_from(Seq(self.views.position().next)) as u64;
        progress::reading("catching up", behind, &self.log, |log| {
            self.views.catch_up(log, head, threads()).map_err(views_failed)
        })?;
        self.publish.send_replace(self.views.position().next);
        loop {
            let head = *self.heads.borrow_and_update();
            self.views.catch_up(&*self.log, head, threads()).map_err(views_failed)?;
            self.publish.send_replace(self.views.position().next);
            if runtime.block_on(self.heads.changed()).is_err() {
                return Ok(());
            }
        }
    }
}

impl ViewsThread {
    /// Waits for the thread and says why it ended. Blocks.
    pub fn join(self) -> anyhow::Result<()> {
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("the thread of the views panicked")),
        }
    }
}
