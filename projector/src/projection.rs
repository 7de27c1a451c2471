//! Brings rows to a head of the log: reads entries in batches, folds what they touch, stores rows.
//!
//! The rows are a function of the entries alone. How many entries make a batch, and how many
//! threads read them, changes nothing in them.

mod part;
mod tally;
mod touch;
mod unmade;

use std::{
    collections::{BTreeMap, HashMap},
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use ledger::{Head, Log};
use schemas::RolloutId;

use crate::{
    index::{Gathered, Writer},
    projection::{
        part::{Keep, Part},
        tally::Tally,
        touch::{Touch, Touched},
        unmade::Unmade,
    },
    recorded::Recorded,
    store::{Position, Rows, Store},
    views::{
        VERSION, ViewsError,
        events::Source,
        folds::{Folded, Folds},
        rows::{COUNTS, Counts, DueRow, RolloutRow, due_key, flag_key, rollout_key},
    },
};

/// Most entries that are folded into rows that are in use: a crash repeats no more than these. Few
/// in tests, so that they need several.
pub(crate) const LIVE_BATCH_LEN_MAX: usize = if cfg!(test) { 200 } else { 1_000 };

/// Most entries in a batch of a rebuild. Few in tests, so that they need several.
const REBUILD_BATCH_LEN_MAX: usize = if cfg!(test) { 250 } else { 50_000 };

/// Writes the rows of one store.
#[derive(Debug)]
pub(crate) struct Projection {
    store: Store,
    position: Position,
    writer: Writer,
    counts: Counts,
    /// `Some` in a rebuild: the rollouts whose rows are still to be made.
    unmade: Option<Unmade>,
}

impl Projection {
    /// Goes on where the rows of this store are.
    pub(crate) fn resume(store: Store, position: Position) -> Result<Projection, ViewsError> {
        let counts = store.get(COUNTS)?.unwrap_or_default();
        Ok(Projection { store, position, writer: Writer::default(), counts, unmade: None })
    }

    /// Begins in an empty store that nobody reads before [`finish`](Projection::finish).
    fn begin(store: Store) -> Projection {
        let (position, unmade) = (START, Some(Unmade::default()));
        let (writer, counts) = (Writer::default(), Counts::default());
        Projection { store, position, writer, counts, unmade }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many entries to take next on the way to `to`.
    pub(crate) fn batch_len(&self, to: &Head) -> usize {
        to.len_from(ledger::Seq(self.position.next)).min(LIVE_BATCH_LEN_MAX)
    }

    /// Makes all rows up to `to` in an empty store, and says how far that is. While one batch is
    /// folded and stored, the next is read.
    pub(crate) fn rebuild(
        store: Store,
        log: &dyn Log,
        to: &Head,
        threads: usize,
    ) -> Result<(Store, Position), ViewsError> {
        let folds = Mutex::default();
        let mut making = Projection::begin(store);
        thread::scope(|scope| {
            let read = |from: u64| {
                let len = to.len_from(ledger::Seq(from)).min(REBUILD_BATCH_LEN_MAX);
                (len > 0).then(|| {
                    scope.spawn(move || part::read(log, from, len, threads, Keep::Telling))
                })
            };
            let mut ahead = read(making.position.next);
            while let Some(reader) = ahead {
                let parts = reader.join().unwrap_or_else(|panic| resume_unwind(panic))?;
                let len = parts.iter().map(|part| part.len).sum::<u64>();
                ahead = read(making.position.next + len);
                let batch = making.take(log, parts, threads, &folds)?;
                making.store(batch, &folds)?;
            }
            Ok::<(), ViewsError>(())
        })?;
        let position = making.position;
        Ok((making.finish(log, threads)?, position))
    }

    /// Reads the next `len` entries and makes the rows that they change. `store` is called with
    /// the rows, which the caller guards against readers.
    ///
    /// After an error nothing is stored, and this projection is to be dropped.
    pub(crate) fn step(
        &mut self,
        log: &dyn Log,
        len: usize,
        threads: usize,
        folds: &Mutex<Folds>,
    ) -> Result<Batch, ViewsError> {
        let parts = part::read(log, self.position.next, len, threads, Keep::All)?;
        self.take(log, parts, threads, folds)
    }

    /// The same for entries that have been read.
    fn take(
        &mut self,
        log: &dyn Log,
        parts: Vec<Part>,
        threads: usize,
        folds: &Mutex<Folds>,
    ) -> Result<Batch, ViewsError> {
        let Run { events, tallies, mut gathered, position, counts } = self.join(log, parts)?;
        let mut touched = Touched::new(&self.store);
        touched.count(tallies);
        touched.note(log, &events, &mut gathered)?;
        let mut rows = Rows::default();
        let folded = if let Some(unmade) = &mut self.unmade {
            unmade.collect(&events, touched.rollouts);
            vec![]
        } else {
            let source = Source { gathered: Some(&gathered), ..Source::new(&self.store, log) };
            fold(&source, &events, touched.rollouts, folds, threads)?
        };
        let made: Vec<RolloutRow> = folded.iter().map(|(id, folded)| folded.row(id)).collect();
        put_rollouts(&self.store, &mut rows, &made)?;
        for (key, row) in &touched.flags {
            rows.put(flag_key(key), row)?;
        }
        self.writer.append(&self.store, gathered, &mut rows)?;
        rows.put(COUNTS.to_vec(), &counts)?;
        Ok(Batch { rows, position, counts, folded })
    }

    /// Stores a batch. Readers must not look while this runs.
    pub(crate) fn store(&mut self, batch: Batch, folds: &Mutex<Folds>) -> Result<(), ViewsError> {
        if self.unmade.is_some() {
            self.store.apply_unsynced(batch.rows, &batch.position)?;
        } else {
            self.store.apply(batch.rows, &batch.position)?;
        }
        (self.position, self.counts) = (batch.position, batch.counts);
        let mut folds = lock(folds);
        batch.folded.into_iter().for_each(|(id, folded)| folds.put(id, folded));
        Ok(())
    }

    /// Makes the rows that a rebuild has left for the end, and gives the store back.
    fn finish(mut self, log: &dyn Log, threads: usize) -> Result<Store, ViewsError> {
        let source = Source::new(&self.store, log);
        let mut rows = Rows::default();
        let made = self.unmade.take().unwrap_or_default().finish(&source, threads)?;
        put_rollouts(&self.store, &mut rows, &made)?;
        self.store.apply(rows, &self.position)?;
        Ok(self.store)
    }

    /// These entries, checked to follow the rows' position.
    fn join(&self, log: &dyn Log, parts: Vec<Part>) -> Result<Run, ViewsError> {
        let (mut position, mut counts) = (self.position, self.counts);
        let (mut events, mut gathered) = (Vec::new(), Gathered::default());
        let mut tallies: HashMap<RolloutId, Tally> = HashMap::new();
        for part in parts {
            if part.len == 0 || part.parent != position.hash {
                return Err(ViewsError::lost(&self.position, log));
            }
            position.next += part.len;
            position.hash = part.hash;
            counts.events += part.len;
            counts.unread_events += part.unread;
            counts.erased_events += part.erased;
            events.extend(part.events);
            gathered.extend(part.gathered);
            for (rollout, tally) in part.tallies {
                tallies.entry(rollout).or_default().add(tally);
            }
        }
        Ok(Run { events, tallies, gathered, position, counts })
    }
}

fn put_rollouts(store: &Store, rows: &mut Rows, made: &[RolloutRow]) -> Result<(), ViewsError> {
    for row in made {
        let before = store.get::<RolloutRow>(&rollout_key(&row.id))?;
        let before = before.and_then(|before| before.next_due_us);
        if before != row.next_due_us {
            if let Some(at) = before {
                rows.remove(due_key(at, &row.id));
            }
            if let Some(at) = row.next_due_us {
                rows.put(due_key(at, &row.id), &DueRow { rollout: row.id.clone() })?;
            }
        }
        rows.put(rollout_key(&row.id), row)?;
    }
    Ok(())
}

/// Where every store begins.
pub(crate) const START: Position = Position { next: 0, hash: [0; 32], version: VERSION };

/// Entries, read.
struct Run {
    events: Vec<Arc<Recorded>>,
    tallies: HashMap<RolloutId, Tally>,
    gathered: Gathered,
    position: Position,
    counts: Counts,
}

/// What one batch of entries makes of the rows.
pub(crate) struct Batch {
    rows: Rows,
    position: Position,
    counts: Counts,
    folded: Vec<(RolloutId, Arc<Folded>)>,
}

/// Folds each touched rollout once, on from where it was if nothing forbids.
fn fold(
    source: &Source<'_>,
    events: &[Arc<Recorded>],
    touched: BTreeMap<RolloutId, Touch>,
    folds: &Mutex<Folds>,
    threads: usize,
) -> Result<Vec<(RolloutId, Arc<Folded>)>, ViewsError> {
    in_threads(touched.into_iter().collect(), threads, |(id, touch): (RolloutId, Touch)| {
        let later: Vec<Arc<Recorded>> = touch.events(events).cloned().collect();
        let cached = lock(folds).take(&id);
        let known = || source.store.get::<RolloutRow>(&rollout_key(id.as_str()));
        let before = match cached {
            Some(folded) => Some(folded),
            None if known()?.is_none() => Some(Arc::new(Folded::empty(&id))),
            None => None,
        };
        let folded = match before.filter(|folded| !touch.again && folded.goes_on_with(&later)) {
            Some(folded) => {
                let mut folded = Arc::unwrap_or_clone(folded);
                folded.extend(&later);
                folded
            }
            None => Folded::fresh(&id, source.of_rollout(&id)?.iter()),
        };
        Ok((id, Arc::new(folded)))
    })
}

/// Does the work in so many threads; results come in the order of the work.
fn in_threads<T: Send, R: Send>(
    work: Vec<T>,
    threads: usize,
    each: impl Fn(T) -> Result<R, ViewsError> + Sync,
) -> Result<Vec<R>, ViewsError> {
    if threads < 2 || work.len() < 2 {
        return work.into_iter().map(each).collect();
    }
    let waiting = Mutex::new(work.into_iter().enumerate());
    let run = || {
        let mut done = Vec::new();
        loop {
            let next = lock(&waiting).next();
            let Some((place, work)) = next else { return Ok(done) };
            done.push((place, each(work)?));
        }
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        workers.into_iter().map(join).collect::<Result<Vec<Vec<(usize, R)>>, ViewsError>>()
    })?
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// What a panic leaves half-done is a cache or a queue that is dropped with the error.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
