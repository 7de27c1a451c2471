//! A page of the events that fit a filter, by the indexes.

use std::ops::Range;

use ledger::{Entry, Log, Seq};

use super::{Filter, is_of, is_whole};
use crate::{
    index::{Index, List, Matches, Order, Reads, Span},
    recorded::Recorded,
    store::StoreError,
    views::{ViewsError, about::read_entry, events::Source},
};

/// Some of the events that fit.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Left empty for whoever asked for entries alone.
    pub events: Vec<Recorded>,
    /// The same events as the log holds them.
    pub entries: Vec<Entry>,
    /// Where the next page goes on: pass it as `after`. `None` at the end.
    pub next: Option<u64>,
    /// What the answer has cost.
    pub reads: Reads,
}

/// What a page is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::views) enum What {
    /// Events and entries.
    Events,
    /// Entries alone: reading what they say is most of what a page costs.
    Entries,
}

/// Entries that are read from the log in one go.
const READ_LEN: usize = 64;

/// The entries at which the clock may have gone back, and no others.
const CLOCK_STEPPED: &str = "rollout.ledger.clock_stepped.v1";

/// Seqs in the order that was asked for.
type Seqs<'a> = dyn Iterator<Item = Result<u64, StoreError>> + 'a;

impl Filter {
    /// The events that fit, `limit` at most. The indexes choose the entries; only the moments of
    /// the first and the last hour are told apart by reading the event itself.
    pub(in crate::views) fn page(
        &self,
        source: &Source<'_>,
        next: u64,
        order: Order,
        after: Option<u64>,
        limit: usize,
        what: What,
    ) -> Result<Page, ViewsError> {
        let mut page = Page::default();
        let conditions = self.conditions(source, &mut page.reads)?;
        let ranges = self.recorded(source, next, &mut page.reads)?;
        if conditions.is_empty() && ranges.is_none() {
            let mut seqs = all(next, order, after).map(Ok);
            self.fill(&mut page, source, &mut seqs, limit, what)?;
            return Ok(page);
        }
        let mut matches = Matches::new(source.store, conditions, order, after);
        if let Some(ranges) = ranges {
            matches = matches.within(ranges);
        }
        self.fill(&mut page, source, &mut matches, limit, what)?;
        let Reads { blocks, seqs, .. } = matches.reads();
        page.reads.blocks += blocks;
        page.reads.seqs += seqs;
        Ok(page)
    }

    fn fill(
        &self,
        page: &mut Page,
        source: &Source<'_>,
        seqs: &mut Seqs<'_>,
        limit: usize,
        what: What,
    ) -> Result<(), ViewsError> {
        let timed = self.from_us.is_some() || self.before_us.is_some();
        loop {
            let wanted = (limit - page.entries.len()).saturating_add(1).min(READ_LEN);
            let run = seqs.take(wanted).collect::<Result<Vec<u64>, _>>()?;
            if run.is_empty() {
                return Ok(());
            }
            page.reads.entries += run.len() as u64;
            for entry in in_order(source, &run)? {
                let event = (timed || what == What::Events).then(|| read_entry(&entry));
                if event.as_ref().is_some_and(|event| !self.admits_time(event)) {
                    continue;
                }
                if page.entries.len() == limit {
                    page.next = page.entries.last().map(|entry| entry.seq().0);
                    return Ok(());
                }
                page.events.extend(event.filter(|_| what == What::Events));
                page.entries.push(entry);
            }
        }
    }

    /// For each condition the lists of which at least one must hold an entry.
    fn conditions(
        &self,
        source: &Source<'_>,
        reads: &mut Reads,
    ) -> Result<Vec<Vec<List>>, ViewsError> {
        let mut conditions = Vec::new();
        let mut one = |list: List| conditions.push(vec![list]);
        let list = |index, value: &str| List::new(index, value.as_bytes());
        match (&self.rollout, &self.stage) {
            (Some(id), Some(stage)) => one(List::stage(id.as_str(), stage.as_str())),
            (Some(id), None) => one(list(Index::Rollout, id.as_str())),
            (None, Some(stage)) => one(list(Index::StageKey, stage.as_str())),
            (None, None) => {}
        }
        if let Some(key) = &self.flag {
            one(list(Index::Flag, key.as_str()));
        }
        let single =
            [(Index::Actor, &self.actor), (Index::Source, &self.source), (Index::Link, &self.link)];
        for (index, value) in single {
            if let Some(value) = value {
                one(list(index, value));
            }
        }
        self.words.iter().for_each(|word| one(list(Index::Word, word)));
        let any = |index, words: Vec<&str>| words.iter().map(|word| list(index, word)).collect();
        if !self.bases.is_empty() {
            let words = self.bases.iter().map(|basis| basis.as_str());
            conditions.push(any(Index::Basis, words.collect()));
        }
        if !self.severities.is_empty() {
            let words = self.severities.iter().map(|severity| severity.as_str());
            conditions.push(any(Index::Severity, words.collect()));
        }
        if !self.types.is_empty() {
            conditions.push(self.type_lists(source, reads)?);
        }
        if self.from_us.is_some() || self.before_us.is_some() {
            conditions.push(self.time_lists(source, reads)?);
        }
        Ok(conditions)
    }

    /// The lists of the types that are wanted: of a beginning all those that an entry has.
    fn type_lists(&self, source: &Source<'_>, reads: &mut Reads) -> Result<Vec<List>, ViewsError> {
        let mut types: Vec<Vec<u8>> = self.types.iter().map(|t| t.as_bytes().to_vec()).collect();
        if !self.types.iter().all(|wanted| is_whole(wanted)) {
            let mut before: Option<Vec<u8>> = None;
            while let Some(value) = List::value_after(source.store, Index::Type, before.as_deref())?
            {
                reads.blocks += 1;
                let name = str::from_utf8(&value).unwrap_or_default();
                if self.types.iter().any(|wanted| is_of(name, wanted)) {
                    types.push(value.clone());
                }
                before = Some(value);
            }
        }
        types.sort();
        types.dedup();
        Ok(types.iter().map(|name| List::new(Index::Type, name)).collect())
    }

    /// The lists of the whole days within the time that is wanted, and of the hours around them.
    fn time_lists(&self, source: &Source<'_>, reads: &mut Reads) -> Result<Vec<List>, ViewsError> {
        let from = self.from_us.unwrap_or(i64::MIN);
        let last = self.before_us.unwrap_or(i64::MAX).saturating_sub(1);
        let mut lists = Vec::new();
        if last < from {
            return Ok(lists);
        }
        let (first_day, last_day) = (Span::Day.of(from), Span::Day.of(last));
        let (first_hour, last_hour) = (Span::Hour.of(from), Span::Hour.of(last));
        if first_day == last_day {
            lists_of(source, Span::Hour, first_hour, last_hour, &mut lists, reads)?;
            return Ok(lists);
        }
        // Without a bound on one side its day is whole.
        let whole_from = first_day.saturating_add(i32::from(self.from_us.is_some()));
        let whole_to = last_day.saturating_sub(i32::from(self.before_us.is_some()));
        if self.from_us.is_some() {
            let end = last_hour_of(first_day);
            lists_of(source, Span::Hour, first_hour, end, &mut lists, reads)?;
        }
        lists_of(source, Span::Day, whole_from, whole_to, &mut lists, reads)?;
        if self.before_us.is_some() {
            let start = last_hour_of(last_day.saturating_sub(1)).saturating_add(1);
            lists_of(source, Span::Hour, start, last_hour, &mut lists, reads)?;
        }
        Ok(lists)
    }

    /// The ranges of seqs that were recorded in the time that is wanted. Between two steps of the
    /// clock the times of entries never go back, so each such run holds one range at most.
    fn recorded(
        &self,
        source: &Source<'_>,
        next: u64,
        reads: &mut Reads,
    ) -> Result<Option<Vec<Range<u64>>>, ViewsError> {
        if self.recorded_from_us.is_none() && self.recorded_before_us.is_none() {
            return Ok(None);
        }
        let mut starts = source.seqs(&List::new(Index::Type, CLOCK_STEPPED.as_bytes()))?;
        reads.seqs += starts.len() as u64;
        starts.retain(|seq| (1..next).contains(seq));
        starts.insert(0, 0);
        let ends = starts.iter().skip(1).copied().chain([next]).collect::<Vec<_>>();
        let mut ranges = Vec::new();
        for (start, end) in starts.into_iter().zip(ends) {
            let mut first = |bound: Option<i64>, otherwise| match bound {
                Some(at) => first_recorded(source.log, start..end, at, &mut reads.entries),
                None => Ok(otherwise),
            };
            let range = first(self.recorded_from_us, start)?..first(self.recorded_before_us, end)?;
            if !range.is_empty() {
                ranges.push(range);
            }
        }
        Ok(Some(ranges))
    }
}

/// The first entry of a run that was recorded at `at` or later; the run's end if none was.
fn first_recorded(
    log: &dyn Log,
    run: Range<u64>,
    at: i64,
    entries: &mut u64,
) -> Result<u64, ViewsError> {
    let (mut low, mut high) = (run.start, run.end);
    while low < high {
        let middle = low + (high - low) / 2;
        *entries += 1;
        let header = log.headers(Seq(middle), 1)?;
        let recorded = header.first().map(|header| header.recorded_at_us);
        if recorded.is_some_and(|us| i64::try_from(us).is_ok_and(|us| us < at)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn last_hour_of(day: i32) -> i32 {
    day.saturating_mul(24).saturating_add(23)
}

/// Adds the lists of those days or hours of a range that any event falls on.
fn lists_of(
    source: &Source<'_>,
    span: Span,
    first: i32,
    last: i32,
    lists: &mut Vec<List>,
    reads: &mut Reads,
) -> Result<(), ViewsError> {
    let mut next = Some(first);
    while let Some(number) = next.filter(|number| *number <= last) {
        let found = List::first_span(source.store, span, number)?;
        reads.blocks += 1;
        let Some(found) = found.filter(|found| *found <= last) else { break };
        lists.push(List::span(span, found));
        next = found.checked_add(1);
    }
    Ok(())
}

/// Every seq after `after` in this order.
fn all(next: u64, order: Order, after: Option<u64>) -> Box<dyn Iterator<Item = u64>> {
    match order {
        Order::Ascending => Box::new(after.map_or(0, |seq| seq.saturating_add(1))..next),
        Order::Descending => Box::new((0..after.unwrap_or(next).min(next)).rev()),
    }
}

/// These entries, read, in the order in which they were asked for.
fn in_order(source: &Source<'_>, seqs: &[u64]) -> Result<Vec<Entry>, ViewsError> {
    if seqs.is_sorted() {
        return source.entries(seqs);
    }
    let ascending: Vec<u64> = seqs.iter().rev().copied().collect();
    let mut entries = source.entries(&ascending)?;
    entries.reverse();
    Ok(entries)
}
