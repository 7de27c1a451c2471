//! Folded rollouts in memory, so that an answer or the next event does not fold all again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use schemas::RolloutId;

use super::rows::RolloutRow;
use crate::{
    recorded::{Recorded, resolve},
    rollout::Rollout,
    views::facets,
};

/// How many events the folded rollouts in memory may hold together; about a kilobyte each.
/// Few in tests, so that they reach it.
const FOLDED_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 100_000 };

/// A rollout and how far it is folded.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    /// Shared with whoever asked for it.
    pub rollout: Arc<Rollout>,
    /// The place, in the order of what happened, of the last event.
    last: (i64, u64),
    /// The newest entry in it.
    pub last_seq: u64,
    pub events: usize,
}

impl Folded {
    /// Of no events yet.
    pub(crate) fn empty(id: &RolloutId) -> Folded {
        let mut rollout = Rollout::default();
        rollout.id = Some(id.clone());
        Folded { rollout: Arc::new(rollout), last: (i64::MIN, 0), last_seq: 0, events: 0 }
    }

    /// The fold of all its events.
    pub(crate) fn fresh<'a>(
        id: &RolloutId,
        events: impl Iterator<Item = &'a Recorded> + Clone,
    ) -> Folded {
        let mut folded = Folded::empty(id);
        if events.clone().any(amends) {
            for event in &resolve(events) {
                folded.apply(event);
            }
        } else {
            // Nothing to resolve, so the order is all that resolving would give.
            let mut events: Vec<&Recorded> = events.collect();
            events.sort_by_key(|event| event.order_key());
            for event in events {
                folded.apply(event);
            }
        }
        folded
    }

    /// Whether folding these later entries on gives what folding all again would: they happened
    /// after all that is folded, and change nothing in it.
    pub(crate) fn goes_on_with(&self, later: &[Arc<Recorded>]) -> bool {
        later.iter().all(|event| event.order_key() > self.last && !amends(event))
    }

    /// Takes in entries that [`goes_on_with`](Folded::goes_on_with) allows.
    pub(crate) fn extend(&mut self, later: &[Arc<Recorded>]) {
        let mut later: Vec<&Recorded> = later.iter().map(AsRef::as_ref).collect();
        later.sort_by_key(|event| event.order_key());
        for event in later {
            self.apply(event);
        }
    }

    fn apply(&mut self, event: &Recorded) {
        Arc::make_mut(&mut self.rollout).apply(event);
        self.last = event.order_key();
        self.last_seq = self.last_seq.max(event.seq);
        self.events += 1;
    }

    /// The row that lists show of it.
    pub(crate) fn row(&self, id: &RolloutId) -> RolloutRow {
        RolloutRow {
            newest_us: self.last.0,
            events: self.events as u64,
            last_seq: self.last_seq,
            ..RolloutRow::of(id.as_str(), &self.rollout)
        }
    }
}

/// Whether an event says something about another one.
fn amends(event: &Recorded) -> bool {
    event.known().is_some_and(|event| facets::target(event).is_some())
}

/// The rollouts that were used last.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    by_id: HashMap<RolloutId, (u64, Arc<Folded>)>,
    /// Who was used when; the first is the next to go.
    by_use: BTreeMap<u64, RolloutId>,
    uses: u64,
    events: usize,
}

impl Folds {
    pub(crate) fn get(&mut self, id: &RolloutId) -> Option<Arc<Folded>> {
        let folded = self.take(id)?;
        self.put(id.clone(), folded.clone());
        Some(folded)
    }

    pub(crate) fn take(&mut self, id: &RolloutId) -> Option<Arc<Folded>> {
        let (used, folded) = self.by_id.remove(id)?;
        self.by_use.remove(&used);
        self.events -= folded.events;
        Some(folded)
    }

    /// Remembers it, and forgets those that were not used for longest when there are too many.
    pub(crate) fn put(&mut self, id: RolloutId, folded: Arc<Folded>) {
        drop(self.take(&id));
        self.uses += 1;
        self.events += folded.events;
        self.by_use.insert(self.uses, id.clone());
        self.by_id.insert(id, (self.uses, folded));
        while self.events > FOLDED_EVENTS_MAX {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            if let Some((_, folded)) = self.by_id.remove(&oldest) {
                self.events -= folded.events;
            }
        }
    }
}
