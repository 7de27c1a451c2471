//! Reads a run of entries and notes, for each index, which of them stand where.

use std::{collections::HashMap, sync::Arc, thread};

use ledger::{Entry, Log, LogError, Seq};
use schemas::{Event, RolloutId};

use crate::{
    index::{Gathered, Index},
    projection::tally::Tally,
    recorded::{Read, Recorded, Seen},
    views::{about, facets, links, rows, words},
};

/// Fewer entries than this are not worth a thread.
const PART_LEN_MIN: usize = 256;

/// What is kept of the entries that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Every event.
    All,
    /// Those of which a row repeats something; the others are counted.
    Telling,
}

/// A run of entries without gaps.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// How many entries there are.
    pub len: u64,
    /// What is kept of them, by seq.
    pub events: Vec<Arc<Recorded>>,
    /// Of what is not kept, how much each rollout has.
    pub tallies: HashMap<RolloutId, Tally>,
    pub gathered: Gathered,
    /// Hash of the entry before the first, as the first says.
    pub parent: [u8; 32],
    /// Hash of the last entry.
    pub hash: [u8; 32],
    /// Events whose type this version does not know, or whose data it cannot read.
    pub unread: u64,
    /// Events whose payload was erased.
    pub erased: u64,
}

/// Entries read from the log at once: few, so that their bytes stay near the processor.
const PAGE_LEN: usize = 256;

/// Reads `len` entries from `from` on, in so many threads. Parts come in order.
pub(super) fn read(
    log: &dyn Log,
    from: u64,
    len: usize,
    threads: usize,
    keep: Keep,
) -> Result<Vec<Part>, LogError> {
    let share = len.div_ceil(threads.max(1)).max(PART_LEN_MIN);
    let shares: Vec<(u64, usize)> = (0..len)
        .step_by(share)
        .map(|start| (from + start as u64, share.min(len - start)))
        .collect();
    if let [(from, len)] = shares[..] {
        return Ok(vec![read_part(log, from, len, keep)?]);
    }
    thread::scope(|scope| {
        let start = |(from, len)| scope.spawn(move || read_part(log, from, len, keep));
        let readers: Vec<_> = shares.into_iter().map(start).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect()
    })
}

fn read_part(log: &dyn Log, from: u64, len: usize, keep: Keep) -> Result<Part, LogError> {
    let mut part = Part::default();
    while part.len < len as u64 {
        let page = PAGE_LEN.min(len - usize::try_from(part.len).unwrap_or(len));
        let entries = log.read(Seq(from + part.len), page)?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { break };
        if part.len == 0 {
            part.parent = first.header().parent.0;
        } else if part.hash != first.header().parent.0 {
            // What was read so far is good; whoever reads on from there finds the break.
            break;
        }
        part.hash = last.hash().0;
        part.len += entries.len() as u64;
        for entry in &entries {
            let seen = Seen::of(entry.payload());
            part.post(&seen, entry.seq().0);
            part.take(entry, seen, keep);
        }
    }
    Ok(part)
}

impl Part {
    /// Keeps the event, or counts it.
    fn take(&mut self, entry: &Entry, mut seen: Seen<'_>, keep: Keep) {
        let counts_only = |event: &Event| {
            keep == Keep::Telling && rows::is_silent(event) && facets::target(event).is_none()
        };
        if !seen.known().is_some_and(counts_only) {
            if keep == Keep::Telling {
                seen.slim();
            }
            self.events.push(Arc::new(about::keep(entry, seen)));
            return;
        }
        let at = seen.time().unwrap_or_else(|| about::recorded_at_us(entry));
        let Some(rollout) = seen.attributes.and_then(|attributes| attributes.subject) else {
            return;
        };
        match self.tallies.get_mut(&rollout) {
            Some(tally) => tally.count(at, entry.seq().0),
            None => self.tallies.entry(rollout).or_default().count(at, entry.seq().0),
        }
    }

    /// Notes what the entry says of itself. What it is about only through its target needs the
    /// log, and is added later.
    fn post(&mut self, seen: &Seen<'_>, seq: u64) {
        let lists = &mut self.gathered;
        let event = match &seen.event {
            Read::Redacted => {
                self.erased += 1;
                lists.post(Index::Erased, &[], seq);
                return;
            }
            Read::Unknown { type_name } => {
                self.unread += 1;
                lists.post(Index::Unread, &[], seq);
                lists.post(Index::Type, type_name.as_bytes(), seq);
                None
            }
            Read::Known(event) => {
                lists.post(Index::Type, event.type_name().as_bytes(), seq);
                Some(event)
            }
        };
        let attributes = seen.attributes.as_ref();
        let subject = attributes.and_then(|attributes| attributes.subject.as_ref());
        let source = attributes.map_or("", |attributes| &attributes.source);
        lists.post(Index::Source, source.as_bytes(), seq);
        match seen.time() {
            Some(time) => lists.post_time(time, seq),
            None => lists.post(Index::Undated, &[], seq),
        }
        if let Some(rollout) = subject {
            lists.post(Index::Rollout, rollout.as_str().as_bytes(), seq);
        }
        let Some(event) = event else { return };
        lists.post(Index::Basis, event.common().basis.as_str().as_bytes(), seq);
        if let Some(flag) = facets::flag(event) {
            lists.post(Index::Flag, flag.as_str().as_bytes(), seq);
        }
        for actor in facets::actors(event) {
            lists.post(Index::Actor, actor.as_bytes(), seq);
        }
        if let Some(stage) = facets::stage(event) {
            lists.post(Index::StageKey, stage.as_str().as_bytes(), seq);
            if let Some(rollout) = subject {
                lists.post_stage(rollout.as_str(), stage.as_str(), seq);
            }
        }
        if let Some(severity) = facets::severity(event) {
            lists.post(Index::Severity, severity.as_str().as_bytes(), seq);
        }
        links::each_name(event, |name| lists.post(Index::Link, name.as_bytes(), seq));
        words::each_word(event, |word| lists.post(Index::Word, word.as_bytes(), seq));
    }
}
