//! Finds the events of one rollout or flag through the indexes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use ledger::{Entry, Log, Seq};
use schemas::{Event, FlagKey, RolloutId};

use super::{
    ViewsError,
    about::{Events, read_entry},
    facets,
    folds::{Folded, Folds},
};
use crate::{
    index::{Gathered, Index, List, Matches, Order},
    projection::lock,
    recorded::Recorded,
    store::Store,
};

/// Entries that lie this close are read in one go.
const GAP_LEN_MAX: u64 = 16;

/// Most entries that are read in one go.
const RUN_LEN_MAX: u64 = 1_000;

/// What is stored, and what a batch is about to add.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub store: &'a Store,
    pub log: &'a dyn Log,
    pub gathered: Option<&'a Gathered>,
    /// Events that were read before, by seq.
    pub known: &'a [Recorded],
}

impl<'a> Source<'a> {
    /// What is stored.
    pub(crate) fn new(store: &'a Store, log: &'a dyn Log) -> Source<'a> {
        Source { store, log, gathered: None, known: &[] }
    }

    /// The seqs of the events that are about a rollout by themselves or through their targets.
    pub(crate) fn own_seqs(&self, id: &RolloutId) -> Result<Vec<u64>, ViewsError> {
        self.seqs(&List::new(Index::Rollout, id.as_str().as_bytes()))
    }

    /// The events of a rollout by seq: its own, what its flags' services said of them, and what
    /// confirms, corrects, withdraws, redacts or restates one of these.
    pub(crate) fn of_rollout(&self, id: &RolloutId) -> Result<Vec<Recorded>, ViewsError> {
        let own = self.own_seqs(id)?;
        let mut events = self.read(&own)?;
        let mut of_flags = BTreeSet::new();
        for flag in self.flags_of(&events)? {
            of_flags.extend(self.seqs(&List::new(Index::Flag, flag.as_str().as_bytes()))?);
        }
        let own: BTreeSet<u64> = own.into_iter().collect();
        events.extend(self.read(&of_flags.difference(&own).copied().collect::<Vec<_>>())?);
        events.sort_by_key(|event| event.seq);
        let mut chosen: BTreeSet<u64> = BTreeSet::new();
        events.retain(|e| {
            let of_flag = || e.known().is_some_and(facets::is_of_service);
            let target = || e.known().and_then(facets::target).map(|target| target.seq);
            let belongs = own.contains(&e.seq)
                || of_flag()
                || target().is_some_and(|target| chosen.contains(&target));
            if belongs {
                chosen.insert(e.seq);
            }
            belongs
        });
        Ok(events)
    }

    /// The state of a rollout by all its events, remembered for the next who asks.
    pub(crate) fn fold(
        &self,
        id: &RolloutId,
        folds: &Mutex<Folds>,
    ) -> Result<Arc<Folded>, ViewsError> {
        let folded = Arc::new(Folded::fresh(id, self.of_rollout(id)?.iter()));
        lock(folds).put(id.clone(), folded.clone());
        Ok(folded)
    }

    /// The flags that a rollout's own events register, by the same rule that links them.
    fn flags_of(&self, own: &[Recorded]) -> Result<BTreeSet<FlagKey>, ViewsError> {
        let events = Events { log: self.log, batch: &[] };
        let mut flags = BTreeSet::new();
        for event in own {
            let known = event.known();
            let may = |known| {
                matches!(known, &Event::FlagRegistered(_)) || facets::target(known).is_some()
            };
            if known.is_some_and(may) {
                flags.extend(events.about(event)?.registers);
            }
        }
        Ok(flags)
    }

    /// Every seq of a list, ascending.
    pub(crate) fn seqs(&self, list: &List) -> Result<Vec<u64>, ViewsError> {
        let stored = Matches::new(self.store, vec![vec![list.clone()]], Order::Ascending, None);
        let mut seqs = stored.collect::<Result<Vec<u64>, _>>()?;
        seqs.extend(self.gathered.map_or(&[][..], |gathered| gathered.seqs(list)));
        Ok(seqs)
    }

    /// These entries, given in ascending order.
    pub(crate) fn read(&self, seqs: &[u64]) -> Result<Vec<Recorded>, ViewsError> {
        let place = |seq: &u64| self.known.binary_search_by_key(seq, |event| event.seq).ok();
        let known = |seq| self.known.get(place(seq)?).cloned();
        if let Some(known) = seqs.iter().map(known).collect() {
            return Ok(known);
        }
        Ok(self.entries(seqs)?.iter().map(read_entry).collect())
    }

    /// The same as the log holds them.
    pub(crate) fn entries(&self, seqs: &[u64]) -> Result<Vec<Entry>, ViewsError> {
        let mut found = Vec::with_capacity(seqs.len());
        let mut rest = seqs;
        while let [first, ..] = rest {
            let near = |pair: &[u64]| match pair {
                [a, b] => b - a <= GAP_LEN_MAX && b - first < RUN_LEN_MAX,
                _ => false,
            };
            let len = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
            let (run, behind) = rest.split_at(len);
            let last = run.last().unwrap_or(first);
            let limit = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            let entries = self.log.read(Seq(*first), limit)?;
            found.extend(entries.into_iter().filter(|e| run.binary_search(&e.seq().0).is_ok()));
            rest = behind;
        }
        Ok(found)
    }
}
