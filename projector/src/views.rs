//! Every answer that is kept as rows: lists of rollouts and flags, and audit questions.
//!
//! The rows are disposable: `rebuild` makes the same ones from the log, and `diff` shows it. Every
//! answer says how far the log had been read for it.

pub(crate) mod about;
mod diff;
pub(crate) mod events;
pub mod facets;
mod filter;
pub(crate) mod folds;
pub mod links;
mod missing;
pub mod rows;
pub mod words;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use ledger::{Hash, Head, Log, LogError, Seq};
use schemas::{FlagKey, RolloutId};

pub use about::{About, read_entry};
pub use diff::{DIFFERENCES_LEN_MAX, Difference};
use filter::What;
pub use filter::{Filter, Page, about};
pub use missing::{
    FILLS_LEN_MAX, IMPORTS_LEN_MAX, LOOSE_FLAGS_LEN_MAX, SOURCES_LEN_MAX, SOURCES_SEEN_MAX, rows_of,
};
pub use rows::{Counts, FlagHome, FlagRow, RolloutRow};

use crate::{
    index::{Index, List, Order},
    projection::{Projection, START, lock},
    recorded::{Moment, Read, Recorded},
    rollout::Rollout,
    store::{Place, Position, Store, StoreError},
    views::{
        events::Source,
        folds::Folds,
        rows::{DUE, DueRow, FLAGS, ROLLOUTS, due_at, due_key, flag_key, rollout_key},
    },
};

/// To be raised with every change to the rows or to what they are made from: older rows are then
/// thrown away and made again.
pub const VERSION: u32 = 3;

/// The rows of one ledger, and the right to write them.
#[derive(Debug)]
pub struct Views {
    place: Place,
    /// What is answered from. Writers take it only to put a finished batch in.
    current: RwLock<Current>,
    /// Taken by whoever makes rows. `None` until then, and after an error.
    projection: Mutex<Option<Projection>>,
    folds: Mutex<Folds>,
}

#[derive(Debug)]
struct Current {
    /// `None` if a rebuilt store could not be opened.
    store: Option<Store>,
    position: Position,
    counts: Counts,
}

/// In what state the rows were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// At some position of this log.
    Ready,
    /// None yet.
    Empty,
    /// Made by another version, and thrown away.
    OtherVersion,
    /// Unreadable; the files are kept here.
    Quarantined(PathBuf),
}

/// Why views have no answer. There is one variant for each thing that a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// As the store says: wait, make room, or rebuild.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As the log says.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Stop, and call a person: the log has lost entries, or is another one.
    #[error(
        "the views hold {views} entries ending in {}, and the log {log} that do not lead there: \
         the log has lost entries, or is another one", Hash(*.hash)
    )]
    LogLostEntries {
        /// How many entries the rows are made from.
        views: u64,
        /// The hash of the last of them.
        hash: [u8; 32],
        /// How many entries the log has.
        log: u64,
    },
}

/// An answer, and how far the log had been read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    /// The last entry that had been read; `None` in an empty ledger.
    pub seq: Option<u64>,
    /// Its hash.
    pub hash: Hash,
    /// How many events this version cannot read, of those that the answer may rest on.
    pub unread_events: u64,
}

impl Views {
    /// Opens the rows in `dir` and compares their position with the log. Appends and reads nothing
    /// else: [`catch_up`](Views::catch_up) makes them answer.
    pub fn open(dir: &Path, log: &dyn Log) -> Result<(Views, Found), ViewsError> {
        let place = Place::claim(dir)?;
        let opened = place.open()?;
        let mut store = opened.store;
        let (position, found) = match (store.position()?, opened.quarantined) {
            (_, Some(aside)) => (START, Found::Quarantined(aside)),
            (None, None) => (START, Found::Empty),
            (Some(position), None) if position.version != VERSION => {
                let new = place.fresh("new")?;
                store = place.replace(Some(store), new)?;
                (START, Found::OtherVersion)
            }
            (Some(position), None) => {
                check(&position, log)?;
                (position, Found::Ready)
            }
        };
        let counts = store.get(rows::COUNTS)?.unwrap_or_default();
        let current = RwLock::new(Current { store: Some(store), position, counts });
        let views = Views { place, current, projection: Mutex::default(), folds: Mutex::default() };
        Ok((views, found))
    }

    /// How far the rows are made.
    pub fn position(&self) -> Position {
        self.current().position
    }

    /// Makes the rows of all entries before `to`, which `log` must hold, reading in so many
    /// threads. An error leaves the rows at an earlier position, whole.
    pub fn catch_up(&self, log: &dyn Log, to: Head, threads: usize) -> Result<(), ViewsError> {
        let mut projection = lock(&self.projection);
        let behind = to.len_from(Seq(self.position().next));
        if self.position().next == 0 && behind > crate::projection::LIVE_BATCH_LEN_MAX {
            drop(projection);
            return self.rebuild(log, to, threads);
        }
        let mut going = match projection.take() {
            Some(going) => going,
            None => Projection::resume(self.current().store()?.clone(), self.position())?,
        };
        loop {
            let len = going.batch_len(&to);
            if len == 0 {
                break;
            }
            let batch = going.step(log, len, threads, &self.folds)?;
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            going.store(batch, &self.folds)?;
            (current.position, current.counts) = (going.position(), going.counts());
        }
        let position = going.position();
        *projection = Some(going);
        arrived(&position, to, log)
    }

    /// Makes all rows again, from the first entry up to `to`, and then puts them in the place of
    /// those in use.
    pub fn rebuild(&self, log: &dyn Log, to: Head, threads: usize) -> Result<(), ViewsError> {
        let mut projection = lock(&self.projection);
        // Its store must be closed before another one takes its place.
        *projection = None;
        let (store, position) = Projection::rebuild(self.place.fresh("new")?, log, &to, threads)?;
        arrived(&position, to, log)?;
        let counts = store.get(rows::COUNTS)?.unwrap_or_default();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.store.take();
        let store = self.place.replace(old, store)?;
        *current = Current { store: Some(store), position, counts };
        *lock(&self.folds) = Folds::default();
        Ok(())
    }

    /// Makes all rows again up to the position of those in use, beside them, and compares all
    /// keys and rows. The first [`DIFFERENCES_LEN_MAX`] differences; nothing is changed. No rows
    /// are made meanwhile.
    pub fn diff(&self, log: &dyn Log, threads: usize) -> Result<Vec<Difference>, ViewsError> {
        let making = lock(&self.projection);
        let live = self.current();
        let to = Head {
            next: Seq(live.position.next),
            hash: Hash(live.position.hash),
            recorded_at_us: 0,
        };
        let store = self.place.fresh("diff")?;
        let (again, position) = Projection::rebuild(store, log, &to, threads)?;
        let differences = diff::compare(live.store()?, &again)?;
        self.place.discard(again)?;
        drop(making);
        arrived(&position, to, log)?;
        Ok(differences)
    }

    /// Every rollout, by id.
    pub fn rollouts(&self) -> Result<At<Vec<RolloutRow>>, ViewsError> {
        let current = self.current();
        let rows = current.store()?.scan::<RolloutRow>(ROLLOUTS, None);
        Ok(current.at(rows.map(|row| Ok(row?.1)).collect::<Result<_, StoreError>>()?))
    }

    /// The row of one rollout.
    pub fn rollout_row(&self, id: &RolloutId) -> Result<At<Option<RolloutRow>>, ViewsError> {
        let current = self.current();
        Ok(current.at(current.store()?.get(&rollout_key(id.as_str()))?))
    }

    /// The rollouts for which something is to be announced, by the instant of the first, `limit` at
    /// most, after one of them or from the beginning. The caller's clock says which of them have
    /// fallen due.
    pub fn due(
        &self,
        after: Option<&(Moment, RolloutId)>,
        limit: usize,
    ) -> Result<At<Vec<(Moment, RolloutId)>>, ViewsError> {
        let current = self.current();
        let after = after.map(|(at, id)| due_key(at.0, id.as_str()));
        let found = current.store()?.scan::<DueRow>(DUE, after.as_deref()).take(limit);
        let read = |(key, row): (Vec<u8>, DueRow)| {
            let damaged = || StoreError::Damaged("a row of what falls due".to_owned());
            let id = row.rollout.parse().map_err(|_| damaged())?;
            Ok((Moment(due_at(&key).ok_or_else(damaged)?), id))
        };
        let due = found.map(|row| read(row?)).collect::<Result<_, StoreError>>()?;
        Ok(current.at(due))
    }

    /// Every flag, by key.
    pub fn flags(&self) -> Result<At<Vec<FlagRow>>, ViewsError> {
        let current = self.current();
        let rows = current.store()?.scan::<FlagRow>(FLAGS, None);
        Ok(current.at(rows.map(|row| Ok(row?.1)).collect::<Result<_, StoreError>>()?))
    }

    /// The row of one flag.
    pub fn flag_row(&self, key: &FlagKey) -> Result<At<Option<FlagRow>>, ViewsError> {
        let current = self.current();
        Ok(current.at(current.store()?.get(&flag_key(key.as_str()))?))
    }

    /// Numbers about the whole ledger.
    pub fn counts(&self) -> At<Counts> {
        let current = self.current();
        current.at(current.counts)
    }

    /// The state of a rollout by all its events, or `None` if there are none. Kept in memory until
    /// an event changes it.
    pub fn rollout(
        &self,
        log: &dyn Log,
        id: &RolloutId,
    ) -> Result<At<Option<Arc<Rollout>>>, ViewsError> {
        let current = self.current();
        let store = current.store()?;
        let Some(row) = store.get::<RolloutRow>(&rollout_key(id.as_str()))? else {
            return Ok(current.at(None));
        };
        let cached = lock(&self.folds).get(id).filter(|folded| folded.last_seq == row.last_seq);
        let source = Source::new(store, log);
        let folded = cached.map_or_else(|| source.fold(id, &self.folds), Ok)?;
        let rollout = Some(folded.rollout.clone());
        Ok(At { unread_events: row.unread_events, ..current.at(rollout) })
    }

    /// The events of a rollout by seq: its own, what its flags' services said of them, and what
    /// confirms, corrects, withdraws, redacts or restates one of these.
    pub fn rollout_events(
        &self,
        log: &dyn Log,
        id: &RolloutId,
    ) -> Result<At<Vec<Recorded>>, ViewsError> {
        let current = self.current();
        let events = Source::new(current.store()?, log).of_rollout(id)?;
        let unread = |event: &&Recorded| matches!(event.event, Read::Unknown { .. });
        let unread_events = events.iter().filter(unread).count() as u64;
        Ok(At { unread_events, ..current.at(events) })
    }

    /// Everything about a flag by seq, corrections included.
    pub fn flag_events(
        &self,
        log: &dyn Log,
        key: &FlagKey,
    ) -> Result<At<Vec<Recorded>>, ViewsError> {
        let current = self.current();
        let source = Source::new(current.store()?, log);
        let seqs = source.seqs(&List::new(Index::Flag, key.as_str().as_bytes()))?;
        Ok(current.at(source.read(&seqs)?))
    }

    /// The events that fit a filter, from `after` on in this order, `limit` at most.
    pub fn events(
        &self,
        log: &dyn Log,
        filter: &Filter,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<At<Page>, ViewsError> {
        let current = self.current();
        let source = Source::new(current.store()?, log);
        let page =
            filter.page(&source, current.position.next, order, after, limit, What::Events)?;
        Ok(current.at(page))
    }

    /// The same page for whoever passes entries on as they are: its `events` stay empty.
    pub fn entries(
        &self,
        log: &dyn Log,
        filter: &Filter,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<At<Page>, ViewsError> {
        let current = self.current();
        let source = Source::new(current.store()?, log);
        let next = current.position.next;
        Ok(current.at(filter.page(&source, next, order, after, limit, What::Entries)?))
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        // Every change is complete before it can be seen.
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn store(&self) -> Result<&Store, StoreError> {
        self.store.as_ref().ok_or_else(|| StoreError::Damaged("no rows could be opened".to_owned()))
    }

    fn at<T>(&self, value: T) -> At<T> {
        let Position { next, hash, .. } = self.position;
        let unread_events = self.counts.unread_events;
        At { value, seq: next.checked_sub(1), hash: Hash(hash), unread_events }
    }
}

impl ViewsError {
    pub(crate) fn lost(position: &Position, log: &dyn Log) -> ViewsError {
        let (views, hash) = (position.next, position.hash);
        ViewsError::LogLostEntries { views, hash, log: log.head().next.0 }
    }
}

/// Whether the log still leads to where the rows are.
fn check(position: &Position, log: &dyn Log) -> Result<(), ViewsError> {
    let Some(last) = position.next.checked_sub(1) else { return Ok(()) };
    match log.headers(Seq(last), 1)?.first() {
        Some(header) if header.hash().0 == position.hash => Ok(()),
        _ => Err(ViewsError::lost(position, log)),
    }
}

/// Whether the rows are where the caller's head is, if they are as far as that.
fn arrived(position: &Position, to: Head, log: &dyn Log) -> Result<(), ViewsError> {
    if position.next == to.next.0 && position.hash != to.hash.0 {
        return Err(ViewsError::lost(position, log));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
