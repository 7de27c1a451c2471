//! Which events an audit question is about, and a page of them.

use std::ops::RangeInclusive;

use schemas::{FlagKey, RolloutId, StageKey, values::Basis};

use super::{ViewsError, about::About, about::Events, events::Source, facets};
use crate::{
    index::{Index, List, Matches, Order, Reads},
    projection::day_of,
    recorded::{Read, Recorded},
};

/// Conditions that must all hold. Without any, every event fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// About this rollout, also through the event that it targets.
    pub rollout: Option<RolloutId>,
    /// About this flag, also through the event that it targets.
    pub flag: Option<FlagKey>,
    /// Acted, decided, signed off, approved or confirmed by this account id, as the sender claims.
    pub actor: Option<String>,
    /// Of one of these CloudEvents types; of any if empty.
    pub types: Vec<String>,
    pub source: Option<String>,
    /// About this stage; only together with a rollout.
    pub stage: Option<StageKey>,
    pub basis: Option<Basis>,
    /// Happened then or later, Unix microseconds. Events of unknown time do not fit.
    pub from_us: Option<i64>,
    /// Happened before then, Unix microseconds.
    pub before_us: Option<i64>,
}

/// Some of the events that fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub events: Vec<Recorded>,
    /// Where the next page goes on: pass it as `after`. `None` at the end.
    pub next: Option<u64>,
    /// What the answer has cost in the indexes.
    pub reads: Reads,
}

/// Entries that are read from the log in one go.
const READ_LEN: usize = 64;

impl Filter {
    /// Whether an event fits. `about` is what it is about, its target's subject and flag included;
    /// the indexes go by the same rule.
    pub fn admits(&self, recorded: &Recorded, about: &About) -> bool {
        let event = recorded.known();
        let type_name = match &recorded.event {
            Read::Known(event) => Some(event.type_name()),
            Read::Unknown { type_name } => Some(type_name.as_str()),
            Read::Redacted => None,
        };
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        let readable = !matches!(recorded.event, Read::Redacted);
        self.rollout.as_ref().is_none_or(|id| about.rollouts.contains(id))
            && self.flag.as_ref().is_none_or(|key| about.flags.contains(key))
            && (self.source.is_none() || readable && is(&self.source, &recorded.source))
            && (self.types.is_empty()
                || type_name.is_some_and(|name| self.types.iter().any(|t| t == name)))
            && self.actor.as_ref().is_none_or(|id| {
                event.is_some_and(|event| facets::actors(event).any(|actor| actor == id))
            })
            && self.stage.as_ref().is_none_or(|stage| {
                recorded.subject == self.rollout
                    && event.is_some_and(|event| facets::stage(event) == Some(stage))
            })
            && self.basis.is_none_or(|b| event.is_some_and(|event| event.common().basis == b))
            && self.admits_time(recorded)
    }

    fn admits_time(&self, recorded: &Recorded) -> bool {
        if self.from_us.is_none() && self.before_us.is_none() {
            return true;
        }
        recorded.time.is_some_and(|time| {
            self.from_us.is_none_or(|from| from <= time)
                && self.before_us.is_none_or(|before| time < before)
        })
    }

    /// The events that fit, `limit` at most. The indexes choose the entries; only the moments of a
    /// day are told apart by reading the event itself.
    pub(super) fn page(
        &self,
        source: &Source<'_>,
        next: u64,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page, ViewsError> {
        let conditions = self.conditions(source)?;
        let mut page = Page::default();
        if conditions.is_empty() {
            let seqs = all(next, order, after);
            self.fill(&mut page, source, seqs.map(Ok), limit)?;
            return Ok(page);
        }
        let mut matches = Matches::new(source.store, conditions, order, after);
        self.fill(&mut page, source, matches.by_ref(), limit)?;
        page.reads = matches.reads();
        Ok(page)
    }

    fn fill(
        &self,
        page: &mut Page,
        source: &Source<'_>,
        mut seqs: impl Iterator<Item = Result<u64, crate::store::StoreError>>,
        limit: usize,
    ) -> Result<(), ViewsError> {
        loop {
            // One more than asked for tells whether there is a next page.
            let wanted = (limit + 1 - page.events.len()).min(READ_LEN);
            let run = seqs.by_ref().take(wanted).collect::<Result<Vec<u64>, _>>()?;
            if run.is_empty() {
                return Ok(());
            }
            page.events.extend(in_order(source, &run)?.into_iter().filter(|e| self.admits_time(e)));
            if page.events.len() > limit {
                page.events.truncate(limit);
                page.next = page.events.last().map(|event| event.seq);
                return Ok(());
            }
        }
    }

    fn conditions(&self, source: &Source<'_>) -> Result<Vec<Vec<List>>, ViewsError> {
        let mut conditions = Vec::new();
        let mut one = |list: List| conditions.push(vec![list]);
        let list = |index, value: &str| List::new(index, value.as_bytes());
        match (&self.rollout, &self.stage) {
            (Some(id), Some(stage)) => one(List::stage(id.as_str(), stage.as_str())),
            (Some(id), None) => one(list(Index::Rollout, id.as_str())),
            (None, _) => {}
        }
        if let Some(key) = &self.flag {
            one(list(Index::Flag, key.as_str()));
        }
        if let Some(actor) = &self.actor {
            one(list(Index::Actor, actor));
        }
        if let Some(source) = &self.source {
            one(list(Index::Source, source));
        }
        if let Some(basis) = self.basis {
            one(list(Index::Basis, basis.as_str()));
        }
        if !self.types.is_empty() {
            conditions.push(self.types.iter().map(|name| list(Index::Type, name)).collect());
        }
        if self.from_us.is_some() || self.before_us.is_some() {
            let first = self.from_us.map_or(i32::MIN, day_of);
            let last = self.before_us.map_or(i32::MAX, |before| day_of(before.saturating_sub(1)));
            conditions.push(days(source, first..=last)?);
        }
        Ok(conditions)
    }
}

/// The lists of the days that any event falls on.
fn days(source: &Source<'_>, range: RangeInclusive<i32>) -> Result<Vec<List>, ViewsError> {
    let mut days = Vec::new();
    let mut next = Some(*range.start());
    while let Some(day) = next {
        let Some(found) = List::first_day(source.store, day)? else { break };
        if !range.contains(&found) {
            break;
        }
        days.push(List::day(found));
        next = found.checked_add(1);
    }
    Ok(days)
}

/// Every seq after `after` in this order.
fn all(next: u64, order: Order, after: Option<u64>) -> Box<dyn Iterator<Item = u64>> {
    match order {
        Order::Ascending => Box::new(after.map_or(0, |seq| seq.saturating_add(1))..next),
        Order::Descending => Box::new((0..after.unwrap_or(next).min(next)).rev()),
    }
}

/// These entries, read, in the order in which they were asked for.
fn in_order(source: &Source<'_>, seqs: &[u64]) -> Result<Vec<Recorded>, ViewsError> {
    if seqs.is_sorted() {
        return source.read(seqs);
    }
    let ascending: Vec<u64> = seqs.iter().rev().copied().collect();
    let mut events = source.read(&ascending)?;
    events.reverse();
    Ok(events)
}

/// What an event of this log is about, its target's subject and flag included. For those who scan
/// a log without views.
pub fn about(log: &dyn ledger::Log, recorded: &Recorded) -> Result<About, ledger::LogError> {
    Events { log, batch: &[] }.about(recorded)
}
