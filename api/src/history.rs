//! The log, read without a lock: what commands answer from when they fold what they need.
//!
//! One pass over the log reads each envelope and keeps only the events that belong to the question,
//! so no answer needs the views, and reading never waits for a writer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ledger::{Entry, Hash, Head, Log, Seq};
use projector::{
    index::Order,
    recorded::{Read, Recorded},
    views::{Filter, about, facets, read_entry},
};
use schemas::{Envelope, Event, RolloutId};

use crate::{
    exit::{Code, fail},
    filter::Question,
    home::Home,
    logs,
};

/// Entries read at once.
const PAGE_LEN: usize = 1_024;

/// A log up to one head.
#[derive(Clone)]
pub struct History {
    pub log: Arc<dyn Log>,
    /// The state that every answer is computed at.
    pub head: Head,
}

/// What happens to a flag, whichever rollout it belongs to.
const FLAG_TYPES: [&str; 3] =
    ["rollout.flag.changed.v1", "rollout.flag.drifted.v1", "rollout.flag.retired.v1"];

/// What allows an entry to have no payload.
pub const REDACTED: &str = "rollout.event.redacted.v1";

/// Events about events.
const AMENDMENT_TYPES: [&str; 4] = [
    "rollout.value.confirmed.v1",
    "rollout.event.corrected.v1",
    "rollout.event.withdrawn.v1",
    REDACTED,
];

impl History {
    /// Opens the log for reading; it may be written to meanwhile.
    pub fn open(home: &Home) -> anyhow::Result<History> {
        Ok(History::of(logs::readable(home)?))
    }

    /// A log that is open already.
    pub fn of(log: Arc<dyn Log>) -> History {
        let head = log.head();
        History { log, head }
    }

    /// Seq and hash of the newest entry that the answers rest on.
    pub fn as_of(&self) -> (Option<u64>, String) {
        (self.head.next.0.checked_sub(1), self.head.hash.to_string())
    }

    /// Calls `visit` for each entry from `from` on, until it returns `false`.
    pub fn each(
        &self,
        from: u64,
        mut visit: impl FnMut(&Entry) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut next = Seq(from);
        while next < self.head.next {
            let left = usize::try_from(self.head.next.0 - next.0).unwrap_or(usize::MAX);
            let page = self.log.read(next, left.min(PAGE_LEN))?;
            let Some(last) = page.last().map(Entry::seq) else { break };
            for entry in &page {
                if !visit(entry)? {
                    return Ok(());
                }
            }
            next = Seq(last.0 + 1);
        }
        Ok(())
    }

    /// Calls `visit` for each entry behind `after` in this order, until it returns `false`.
    pub fn each_in(
        &self,
        order: Order,
        after: Option<u64>,
        mut visit: impl FnMut(&Entry) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        if order == Order::Ascending {
            return self.each(after.map_or(0, |after| after.saturating_add(1)), visit);
        }
        let mut end = after.unwrap_or(u64::MAX).min(self.head.next.0);
        while end > 0 {
            let start = end.saturating_sub(PAGE_LEN as u64);
            let len = usize::try_from(end - start).unwrap_or(PAGE_LEN);
            for entry in self.log.read(Seq(start), len)?.iter().rev() {
                if !visit(entry)? {
                    return Ok(());
                }
            }
            end = start;
        }
        Ok(())
    }

    /// The entries that a question is about, until `visit` returns `false`.
    pub fn each_of(
        &self,
        question: &Question,
        mut visit: impl FnMut(&Entry) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let everything = question.filter == Filter::default();
        self.each_in(question.order, question.after, |entry| {
            if !everything {
                let recorded = read_entry(entry);
                let about = about(&*self.log, &recorded)?;
                if !question.filter.admits(&recorded, &about) {
                    return Ok(true);
                }
            }
            visit(entry)
        })
    }

    /// One entry.
    pub fn entry(&self, seq: u64) -> anyhow::Result<Entry> {
        let found =
            if Seq(seq) < self.head.next { self.log.read(Seq(seq), 1)?.pop() } else { None };
        found.ok_or_else(|| {
            let last = self.head.next.0.saturating_sub(1);
            fail(Code::NotFound, format!("there is no entry {seq}; the newest is {last}"))
        })
    }

    /// The hash of one entry.
    pub fn hash_of(&self, seq: u64) -> anyhow::Result<Hash> {
        Ok(self.entry(seq)?.hash())
    }

    /// The ids of all rollouts, in the order in which they were first heard of.
    pub fn rollouts(&self) -> anyhow::Result<Vec<RolloutId>> {
        let (mut seen, mut ids) = (BTreeSet::new(), Vec::new());
        self.each(0, |entry| {
            let envelope = entry.payload().and_then(|p| Envelope::read(p).ok());
            if let Some(id) = envelope.and_then(|e| e.subject)
                && seen.insert(id.clone())
            {
                ids.push(id);
            }
            Ok(true)
        })?;
        Ok(ids)
    }

    /// Everything that bears on each of these rollouts; an empty list for one never heard of.
    pub fn of_rollouts(
        &self,
        ids: &[RolloutId],
    ) -> anyhow::Result<BTreeMap<RolloutId, Vec<Recorded>>> {
        let mut found: BTreeMap<RolloutId, Vec<Recorded>> =
            ids.iter().map(|id| (id.clone(), Vec::new())).collect();
        let (mut flags, mut amendments) = (Vec::new(), Vec::new());
        let mut erased: BTreeMap<u64, Recorded> = BTreeMap::new();
        self.each(0, |entry| {
            let Some(payload) = entry.payload() else {
                let recorded = read(entry);
                erased.insert(recorded.seq, recorded);
                return Ok(true);
            };
            let Ok(envelope) = Envelope::read(payload) else { return Ok(true) };
            let wanted = envelope.subject.as_ref().filter(|s| found.contains_key(*s)).cloned();
            let about_flag = FLAG_TYPES.contains(&&*envelope.type_name);
            let amends = AMENDMENT_TYPES.contains(&&*envelope.type_name);
            if wanted.is_none() && !about_flag && !amends {
                return Ok(true);
            }
            let recorded = read(entry);
            if about_flag {
                flags.push(recorded.clone());
            }
            if amends {
                amendments.push(recorded.clone());
            }
            if let Some(events) = wanted.and_then(|id| found.get_mut(&id)) {
                events.push(recorded);
            }
            Ok(true)
        })?;
        for events in found.values_mut() {
            complete(events, &flags, &amendments, &erased);
        }
        Ok(found)
    }

    /// Everything that bears on one rollout.
    ///
    /// # Errors
    /// When it was never heard of.
    pub fn of_rollout(&self, id: &RolloutId) -> anyhow::Result<Vec<Recorded>> {
        let events = self.of_rollouts(std::slice::from_ref(id))?.remove(id).unwrap_or_default();
        if events.is_empty() {
            let hint = "`rollout-ledger rollout list` names those there are";
            return Err(fail(Code::NotFound, format!("there is no rollout {id}; {hint}")));
        }
        Ok(events)
    }

    /// The redaction that allows each of these entries to have no payload. One that is in no pair
    /// was taken away by somebody: that is tampering.
    pub fn redactions(&self, erased: &[&Entry]) -> anyhow::Result<BTreeMap<u64, u64>> {
        if erased.is_empty() {
            return Ok(BTreeMap::new());
        }
        let redactions = self.of_types(|name| name == REDACTED)?;
        Ok(allowed(erased, &redactions))
    }

    /// Every entry that `keep` wants, by its type.
    pub fn of_types(&self, keep: impl Fn(&str) -> bool) -> anyhow::Result<Vec<Recorded>> {
        let mut events = Vec::new();
        self.each(0, |entry| {
            let envelope = entry.payload().and_then(|p| Envelope::read(p).ok());
            if envelope.is_some_and(|e| keep(&e.type_name)) {
                events.push(read(entry));
            }
            Ok(true)
        })?;
        Ok(events)
    }
}

/// For each erased entry that one of these redactions allows to be so, that redaction.
pub fn allowed(erased: &[&Entry], redactions: &[Recorded]) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    for redaction in redactions {
        let Some(Event::EventRedacted(said)) = redaction.known() else { continue };
        let target = erased.iter().find(|entry| {
            let hash = entry.hash().to_string();
            entry.seq().0 == said.target.seq && hash == said.target.hash.as_str()
        });
        if target.is_some_and(|target| target.seq().0 < redaction.seq) {
            found.insert(said.target.seq, redaction.seq);
        }
    }
    found
}

/// Reads one entry.
pub fn read(entry: &Entry) -> Recorded {
    let at = i64::try_from(entry.recorded_at_us()).unwrap_or(i64::MAX);
    Recorded::read(entry.seq().0, &entry.hash().to_string(), at, entry.payload())
}

/// Adds to a rollout's own events what happened to its flags, what later events say about them,
/// and the erased entries that they name.
fn complete(
    events: &mut Vec<Recorded>,
    flags: &[Recorded],
    amendments: &[Recorded],
    erased: &BTreeMap<u64, Recorded>,
) {
    let keys: BTreeSet<String> = events
        .iter()
        .filter_map(|e| match e.known() {
            Some(Event::FlagRegistered(flag)) => Some(flag.key.to_string()),
            _ => None,
        })
        .collect();
    let mut seqs: BTreeMap<u64, String> = events.iter().map(|e| (e.seq, e.hash.clone())).collect();
    for flag in flags {
        let ours = flag_key(flag).is_some_and(|key| keys.contains(key));
        if ours && seqs.insert(flag.seq, flag.hash.clone()).is_none() {
            events.push(flag.clone());
        }
    }
    for amendment in amendments {
        // By seq and hash, as an amendment binds: one that names another hash is about nothing here.
        let target = amendment.known().and_then(facets::target);
        let ours = target.is_some_and(|t| seqs.get(&t.seq).is_some_and(|h| h == t.hash.as_str()));
        if ours && seqs.insert(amendment.seq, amendment.hash.clone()).is_none() {
            events.push(amendment.clone());
        }
    }
    let named: Vec<u64> = events.iter().filter_map(target_of).collect();
    for entry in named.iter().filter_map(|seq| erased.get(seq)) {
        if seqs.insert(entry.seq, entry.hash.clone()).is_none() {
            events.push(entry.clone());
        }
    }
    events.sort_by_key(|e| e.seq);
}

fn flag_key(recorded: &Recorded) -> Option<&str> {
    match recorded.known()? {
        Event::FlagChanged(e) => Some(e.key.as_str()),
        Event::FlagDrifted(e) => Some(e.key.as_str()),
        Event::FlagRetired(e) => Some(e.key.as_str()),
        _ => None,
    }
}

fn target_of(recorded: &Recorded) -> Option<u64> {
    match &recorded.event {
        Read::Known(Event::ValueConfirmed(e)) => Some(e.target.seq),
        Read::Known(Event::EventCorrected(e)) => Some(e.target.seq),
        Read::Known(Event::EventWithdrawn(e)) => Some(e.target.seq),
        Read::Known(Event::EventRedacted(e)) => Some(e.target.seq),
        _ => None,
    }
}
