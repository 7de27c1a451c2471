//! The rollouts of a rebuild, whose rows are made once: when nothing more is expected of them.
//!
//! Nobody sees the rows of a rebuild before its end, so each is made when there is no more room for
//! its rollout, or at the end. A rollout that cannot be folded on, because an event happened before
//! others that are folded already, is folded again from the log, at the end and once.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use schemas::RolloutId;

use super::{in_threads, touch::Touch};
use crate::{
    recorded::Recorded,
    views::{ViewsError, events::Source, folds::Folded, rows::RolloutRow},
};

/// How many events the held rollouts are folded from; about a kilobyte each. Few in tests, so that
/// they reach it.
const HELD_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 200_000 };

/// How many events are read again together.
const AGAIN_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 100_000 };

#[derive(Debug, Default)]
pub(super) struct Unmade {
    rollouts: HashMap<RolloutId, State>,
    /// Who was touched when, of those that are held; the first is the next to be made early.
    by_touch: BTreeMap<u64, RolloutId>,
    touches: u64,
    events: usize,
}

#[derive(Debug)]
enum State {
    /// Folded so far.
    Held { folded: Box<Folded>, touched: u64 },
    /// Its row has been made of everything so far.
    Made,
    /// Its row is to be made from the log.
    Stale,
}

impl Unmade {
    /// Takes in what a batch says, and makes the rows for which there is no room.
    pub(super) fn collect(
        &mut self,
        batch: &[Arc<Recorded>],
        touched: BTreeMap<RolloutId, Touch>,
        threads: usize,
    ) -> Result<Vec<RolloutRow>, ViewsError> {
        let work = touched.into_iter().map(|(id, touch)| {
            let folded = match self.take(&id) {
                Some(State::Held { folded, .. }) => Some(folded),
                None => Some(Box::new(Folded::empty(&id))),
                Some(State::Made | State::Stale) => None,
            };
            (id, touch, folded)
        });
        let work: Vec<(RolloutId, Touch, Option<Box<Folded>>)> = work.collect();
        let done = in_threads(work, threads, |(id, touch, folded)| {
            let later: Vec<Arc<Recorded>> = touch.events(batch).cloned().collect();
            let goes_on = |folded: &Folded| !touch.gains && folded.goes_on_with(&later);
            let folded = folded.filter(|folded| goes_on(folded)).map(|mut folded| {
                folded.extend(&later);
                folded
            });
            Ok((id, folded))
        })?;
        for (id, folded) in done {
            match folded {
                Some(folded) => self.hold(id, folded),
                None => drop(self.rollouts.insert(id, State::Stale)),
            }
        }
        Ok(self.shrink())
    }

    /// Makes all the rows that are left.
    pub(super) fn finish(
        mut self,
        source: &Source<'_>,
        threads: usize,
    ) -> Result<Vec<RolloutRow>, ViewsError> {
        let (mut held, mut stale) = (vec![], vec![]);
        for (id, state) in mem::take(&mut self.rollouts) {
            match state {
                State::Held { folded, .. } => held.push((id, folded)),
                State::Stale => stale.push(id),
                State::Made => {}
            }
        }
        let mut rows = in_threads(held, threads, |(id, folded)| Ok(folded.row(&id)))?;
        while !stale.is_empty() {
            rows.extend(again(source, &mut stale, threads)?);
        }
        Ok(rows)
    }

    fn take(&mut self, id: &RolloutId) -> Option<State> {
        let state = self.rollouts.remove(id)?;
        if let State::Held { folded, touched } = &state {
            self.events -= folded.events;
            self.by_touch.remove(touched);
        }
        Some(state)
    }

    fn hold(&mut self, id: RolloutId, folded: Box<Folded>) {
        self.touches += 1;
        self.events += folded.events;
        self.by_touch.insert(self.touches, id.clone());
        self.rollouts.insert(id, State::Held { folded, touched: self.touches });
    }

    /// Makes rows of those that were touched longest ago until the others fit.
    fn shrink(&mut self) -> Vec<RolloutRow> {
        let mut made = Vec::new();
        while self.events > HELD_EVENTS_MAX {
            let Some(id) = self.by_touch.first_key_value().map(|(_, id)| id.clone()) else { break };
            if let Some(State::Held { folded, .. }) = self.take(&id) {
                made.push(folded.row(&id));
            }
            self.rollouts.insert(id, State::Made);
        }
        made
    }
}

/// Folds some of the rollouts again from the log: as many as fit into memory together, because
/// their events lie between each other and are so read in one go.
fn again(
    source: &Source<'_>,
    stale: &mut Vec<RolloutId>,
    threads: usize,
) -> Result<Vec<RolloutRow>, ViewsError> {
    let (mut ids, mut seqs) = (vec![], vec![]);
    while seqs.len() < AGAIN_EVENTS_MAX
        && let Some(id) = stale.pop()
    {
        seqs.extend(source.own_seqs(&id)?);
        ids.push(id);
    }
    seqs.sort_unstable();
    seqs.dedup();
    let shares = seqs.chunks(seqs.len().div_ceil(threads.max(1)).max(1)).collect();
    let known: Vec<Recorded> =
        in_threads(shares, threads, |share| source.read(share))?.into_iter().flatten().collect();
    let source = Source { known: &known, ..*source };
    in_threads(ids, threads, |id| Ok(Folded::fresh(&id, &source.of_rollout(&id)?).row(&id)))
}
