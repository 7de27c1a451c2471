//! The rollouts of a rebuild, whose rows are made once: when nothing more is expected of them.
//!
//! Nobody sees the rows of a rebuild before its end. So the events of each rollout are held until
//! then and folded once, however late some of them were recorded. What does not fit into memory is
//! folded early; an event that comes after all makes the rollout fold again from the log.

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

/// How many events are held; about a kilobyte each. Few in tests, so that they reach it.
const HELD_EVENTS_MAX: usize = if cfg!(test) { 300 } else { 200_000 };

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
    Held {
        events: Vec<Arc<Recorded>>,
        touched: u64,
    },
    /// Its row has been made of everything so far.
    Made,
    /// Its row is to be made from the log.
    Stale,
}

impl Unmade {
    /// Takes in what a batch says, and makes the rows for which there is no room.
    pub(super) fn collect(
        &mut self,
        source: &Source<'_>,
        batch: &[Arc<Recorded>],
        touched: BTreeMap<RolloutId, Touch>,
    ) -> Result<Vec<RolloutRow>, ViewsError> {
        for (id, touch) in touched {
            let mut events = match self.take(&id) {
                Some(State::Held { events, .. }) => events,
                None => vec![],
                Some(State::Made | State::Stale) => {
                    self.rollouts.insert(id, State::Stale);
                    continue;
                }
            };
            if touch.gains {
                events = source.of_rollout(&id)?.into_iter().map(Arc::new).collect();
            } else {
                events.extend(touch.events(batch).cloned());
            }
            self.hold(id, events);
        }
        Ok(self.shrink())
    }

    /// Makes all the rows that are left.
    pub(super) fn finish(
        mut self,
        source: &Source<'_>,
        threads: usize,
    ) -> Result<Vec<RolloutRow>, ViewsError> {
        let rollouts = mem::take(&mut self.rollouts).into_iter();
        let left = rollouts.filter(|(_, state)| !matches!(state, State::Made)).collect();
        in_threads(left, threads, |(id, state)| match state {
            State::Held { events, .. } => Ok(Folded::of(&id, &events).row(&id)),
            State::Made | State::Stale => Ok(Folded::fresh(&id, &source.of_rollout(&id)?).row(&id)),
        })
    }

    fn take(&mut self, id: &RolloutId) -> Option<State> {
        let state = self.rollouts.remove(id)?;
        if let State::Held { events, touched } = &state {
            self.events -= events.len();
            self.by_touch.remove(touched);
        }
        Some(state)
    }

    fn hold(&mut self, id: RolloutId, events: Vec<Arc<Recorded>>) {
        self.touches += 1;
        self.events += events.len();
        self.by_touch.insert(self.touches, id.clone());
        self.rollouts.insert(id, State::Held { events, touched: self.touches });
    }

    /// Makes rows of those that were touched longest ago until the others fit.
    fn shrink(&mut self) -> Vec<RolloutRow> {
        let mut made = Vec::new();
        while self.events > HELD_EVENTS_MAX {
            let Some(id) = self.by_touch.first_key_value().map(|(_, id)| id.clone()) else { break };
            if let Some(State::Held { events, .. }) = self.take(&id) {
                made.push(Folded::of(&id, &events).row(&id));
            }
            self.rollouts.insert(id, State::Made);
        }
        made
    }
}
