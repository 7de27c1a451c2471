//! Which rollouts and flags a batch of events is about.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ledger::{Log, LogError};
use schemas::{Event, RolloutId};

use crate::{
    index::{Gathered, Index, List},
    projection::tally::Tally,
    recorded::Recorded,
    store::{Store, StoreError},
    views::{
        ViewsError,
        about::{About, Events},
        facets,
        rows::{self, FlagHome, FlagRow, flag_key},
    },
};

/// What a batch changes of one rollout.
#[derive(Debug, Default)]
pub(super) struct Touch {
    /// Places in the batch, ascending.
    places: Vec<usize>,
    /// Its events that are counted only.
    pub tally: Tally,
    /// Whether it also gains events from before the batch, or something is said of one that was
    /// counted only: then only all of its events tell what it is.
    pub again: bool,
}

impl Touch {
    /// The events of the batch that are about the rollout.
    pub(super) fn events<'a>(
        &'a self,
        batch: &'a [Arc<Recorded>],
    ) -> impl Iterator<Item = &'a Arc<Recorded>> {
        self.places.iter().filter_map(|place| batch.get(*place))
    }
}

/// Everything that a batch touches.
pub(super) struct Touched<'a> {
    store: &'a Store,
    pub rollouts: BTreeMap<RolloutId, Touch>,
    /// Rows of the touched flags, by key.
    pub flags: BTreeMap<String, FlagRow>,
}

impl<'a> Touched<'a> {
    pub(super) fn new(store: &'a Store) -> Touched<'a> {
        Touched { store, rollouts: BTreeMap::new(), flags: BTreeMap::new() }
    }

    /// Notes the events that are counted only.
    pub(super) fn count(&mut self, tallies: HashMap<RolloutId, Tally>) {
        for (rollout, tally) in tallies {
            self.rollouts.entry(rollout).or_default().tally.add(tally);
        }
    }

    /// Notes what the events of a batch are about, and adds to the indexes what they are about
    /// only through their targets.
    pub(super) fn note(
        &mut self,
        log: &dyn Log,
        batch: &[Arc<Recorded>],
        gathered: &mut Gathered,
    ) -> Result<(), ViewsError> {
        let events = Events { log, batch };
        for (place, recorded) in batch.iter().enumerate() {
            let event = recorded.known();
            let through_target = event.is_some_and(|event| facets::target(event).is_some());
            match event {
                Some(event) if through_target => {
                    let about = events.about(recorded)?;
                    inherit(&about, recorded.seq, gathered);
                    self.note_about(place, recorded, &about)?;
                    if corrects_silent(&events, event)? {
                        self.again(&about);
                    }
                }
                Some(event) if facets::flag(event).is_some() => {
                    self.note_about(place, recorded, &events.about(recorded)?)?;
                }
                _ => {
                    if let Some(rollout) = &recorded.subject {
                        self.touch(rollout, place, false);
                    }
                }
            }
        }
        Ok(())
    }

    fn note_about(
        &mut self,
        place: usize,
        recorded: &Recorded,
        about: &About,
    ) -> Result<(), StoreError> {
        for key in &about.flags {
            let row = self.flag(key.as_str())?;
            row.last_seq = recorded.seq;
            if let Some(event) = recorded.known() {
                row.take(event, recorded.seq);
            }
            if about.of_service {
                for rollout in row.rollouts.clone() {
                    let id = rollout.parse::<RolloutId>();
                    self.touch(&id.expect("only ids of rollouts are linked"), place, false);
                }
            }
        }
        let mut gains = false;
        if let Some(key) = &about.registers {
            let row = self.flag(key.as_str())?;
            // What the service said before the registration becomes part of the rollout.
            gains |= row.words > 0;
            for rollout in &about.rollouts {
                if let Err(free) =
                    row.rollouts.binary_search_by(|r| r.as_str().cmp(rollout.as_str()))
                {
                    row.rollouts.insert(free, rollout.as_str().to_owned());
                }
            }
        }
        for rollout in &about.rollouts {
            self.touch(rollout, place, gains);
        }
        Ok(())
    }

    fn again(&mut self, about: &About) {
        for rollout in &about.rollouts {
            if let Some(touch) = self.rollouts.get_mut(rollout) {
                touch.again = true;
            }
        }
    }

    fn touch(&mut self, rollout: &RolloutId, place: usize, again: bool) {
        if !self.rollouts.contains_key(rollout) {
            self.rollouts.insert(rollout.clone(), Touch::default());
        }
        let Some(touch) = self.rollouts.get_mut(rollout) else { return };
        touch.again |= again;
        if touch.places.last() != Some(&place) {
            touch.places.push(place);
        }
    }

    fn flag(&mut self, key: &str) -> Result<&mut FlagRow, StoreError> {
        if !self.flags.contains_key(key) {
            let stored = self.store.get::<FlagRow>(&flag_key(key))?;
            let new = || FlagRow { key: key.to_owned(), ..FlagRow::default() };
            self.flags.insert(key.to_owned(), stored.unwrap_or_else(new));
        }
        Ok(self.flags.get_mut(key).expect("just inserted"))
    }
}

impl FlagRow {
    /// Takes in an event that is about the flag.
    fn take(&mut self, event: &Event, seq: u64) {
        self.words += u64::from(facets::is_of_service(event));
        let Event::FlagChanged(change) = event else { return };
        let of = |home: &FlagHome| {
            (home.service.as_str(), home.environment.as_str())
                .cmp(&(change.service.as_str(), change.environment.as_str()))
        };
        let place = self.homes.binary_search_by(of).unwrap_or_else(|free| {
            let (service, environment) = (change.service.clone(), change.environment.clone());
            self.homes.insert(free, FlagHome { service, environment, ..FlagHome::default() });
            free
        });
        if let Some(home) = self.homes.get_mut(place) {
            home.changes += 1;
            home.last_change_seq = seq;
        }
    }
}

/// Whether the event puts other words in the place of those of an event that is counted only: then
/// it counts at another moment, or is none of those any more.
fn corrects_silent(events: &Events, event: &Event) -> Result<bool, LogError> {
    let Event::EventCorrected(correction) = event else { return Ok(false) };
    let found = events.find(correction.target.seq)?;
    Ok(found.is_some_and(|found| found.known().is_some_and(rows::is_silent)))
}

/// Adds an entry to the lists of what it is about.
fn inherit(about: &About, seq: u64, gathered: &mut Gathered) {
    for rollout in &about.rollouts {
        gathered.insert(&List::new(Index::Rollout, rollout.as_str().as_bytes()), seq);
    }
    for flag in &about.flags {
        gathered.insert(&List::new(Index::Flag, flag.as_str().as_bytes()), seq);
    }
    for stage in &about.stages {
        gathered.insert(&List::new(Index::StageKey, stage.as_str().as_bytes()), seq);
        for rollout in &about.rollouts {
            gathered.insert(&List::stage(rollout.as_str(), stage.as_str()), seq);
        }
    }
}
