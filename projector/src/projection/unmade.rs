//! The rollouts of a rebuild, whose rows are made once, at its end.
//!
//! Nobody sees the rows of a rebuild before its end, so the events that a row repeats something of
//! are kept until then and folded once, in the order of what happened and with all that amends
//! them. For the others a [`Tally`] is enough. When too many are kept, only the seqs stay of those
//! of the rollouts that were quiet for longest, and the events are read again at the end.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use schemas::RolloutId;

use super::{in_threads, tally::Tally, touch::Touch};
use crate::{
    recorded::Recorded,
    views::{ViewsError, events::Source, folds::Folded, rows::RolloutRow},
};

/// How many events are kept, one that is part of two rollouts twice; about a kilobyte each. Few in
/// tests, so that they reach it.
const KEPT_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 200_000 };

/// How many events are read again together. Few in tests, so that they need several.
const AGAIN_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 100_000 };

#[derive(Debug, Default)]
pub(super) struct Unmade {
    rollouts: HashMap<RolloutId, State>,
    /// Who was touched when, of those that are kept; the first is the next to go.
    by_touch: BTreeMap<u64, RolloutId>,
    touches: u64,
    events: usize,
}

/// What is known of a rollout until its row is made.
#[derive(Debug, Default)]
struct State {
    tally: Tally,
    touched: u64,
    told: Told,
}

/// The events that a row repeats something of, by seq.
#[derive(Debug)]
enum Told {
    Kept(Vec<Arc<Recorded>>),
    /// To be read again.
    Seqs(Vec<u64>),
    /// All of its events are to be read again, by the indexes: something was said of one that is
    /// counted only, or that is from before it was the rollout's.
    All,
}

impl Default for Told {
    fn default() -> Told {
        Told::Kept(Vec::new())
    }
}

impl Unmade {
    /// Takes in what a batch says.
    pub(super) fn collect(&mut self, batch: &[Arc<Recorded>], touched: BTreeMap<RolloutId, Touch>) {
        for (id, touch) in touched {
            let mut state = self.rollouts.remove(&id).unwrap_or_default();
            state.tally.add(touch.tally);
            self.by_touch.remove(&state.touched);
            let events = touch.events(batch);
            match &mut state.told {
                Told::Kept(kept) if touch.again => {
                    self.events -= kept.len();
                    state.told = Told::All;
                }
                Told::Kept(kept) => {
                    let before = kept.len();
                    kept.extend(events.cloned());
                    self.events += kept.len() - before;
                    self.touches += 1;
                    state.touched = self.touches;
                    self.by_touch.insert(state.touched, id.clone());
                }
                told @ Told::Seqs(_) if touch.again => *told = Told::All,
                Told::Seqs(seqs) => seqs.extend(events.map(|event| event.seq)),
                Told::All => {}
            }
            self.rollouts.insert(id, state);
        }
        self.shrink();
    }

    /// Makes all the rows.
    pub(super) fn finish(
        mut self,
        source: &Source<'_>,
        threads: usize,
    ) -> Result<Vec<RolloutRow>, ViewsError> {
        let (mut kept, mut again) = (vec![], vec![]);
        for (id, state) in mem::take(&mut self.rollouts) {
            match state.told {
                Told::Kept(events) => kept.push((id, state.tally, events)),
                Told::Seqs(seqs) => again.push(Again { id, tally: Some(state.tally), seqs }),
                Told::All => again.push(Again { seqs: source.own_seqs(&id)?, id, tally: None }),
            }
        }
        let row = |(id, tally, events): (RolloutId, Tally, Vec<Arc<Recorded>>)| {
            Ok(tally.row(Folded::fresh(&id, events.iter().map(AsRef::as_ref)).row(&id)))
        };
        let mut rows = in_threads(kept, threads, row)?;
        // Rollouts that ran at the same time lie together in the log.
        again.sort_by_key(|again| Reverse(again.seqs.first().copied()));
        while !again.is_empty() {
            rows.extend(read_again(source, &mut again, threads)?);
        }
        Ok(rows)
    }

    fn shrink(&mut self) {
        while self.events > KEPT_EVENTS_MAX {
            let Some((_, id)) = self.by_touch.pop_first() else { break };
            let Some(state) = self.rollouts.get_mut(&id) else { continue };
            if let Told::Kept(kept) = &state.told {
                self.events -= kept.len();
                state.told = Told::Seqs(kept.iter().map(|event| event.seq).collect());
            }
        }
    }
}

/// A rollout whose row is made from events that are read again.
struct Again {
    id: RolloutId,
    /// Of the events that are not read again; `None` if all are.
    tally: Option<Tally>,
    seqs: Vec<u64>,
}

/// Makes the rows of some of the rollouts, the last first: of as many as fit into memory together,
/// because their events lie between each other and are so read in one go.
fn read_again(
    source: &Source<'_>,
    rollouts: &mut Vec<Again>,
    threads: usize,
) -> Result<Vec<RolloutRow>, ViewsError> {
    let (mut together, mut seqs) = (vec![], vec![]);
    while seqs.len() < AGAIN_EVENTS_MAX
        && let Some(again) = rollouts.pop()
    {
        seqs.extend_from_slice(&again.seqs);
        together.push(again);
    }
    seqs.sort_unstable();
    seqs.dedup();
    let shares = seqs.chunks(seqs.len().div_ceil(threads.max(1)).max(1)).collect();
    let known: Vec<Recorded> =
        in_threads(shares, threads, |share| source.read(share))?.into_iter().flatten().collect();
    let source = Source { known: &known, ..*source };
    in_threads(together, threads, |Again { id, tally, seqs }| {
        let Some(tally) = tally else {
            return Ok(Folded::fresh(&id, source.of_rollout(&id)?.iter()).row(&id));
        };
        let place = |seq: &u64| known.binary_search_by_key(seq, |event| event.seq).ok();
        let events = seqs.iter().filter_map(|seq| known.get(place(seq)?));
        Ok(tally.row(Folded::fresh(&id, events).row(&id)))
    })
}
