//! Reads a run of entries and notes, for each index, which of them stand where.

use std::{sync::Arc, thread};

use ledger::{Log, LogError, Seq};

use crate::{
    index::{Gathered, Index},
    recorded::{Read, Recorded},
    views::{facets, links, read_entry, words},
};

/// Fewer entries than this are not worth a thread.
const PART_LEN_MIN: usize = 256;

/// A run of entries without gaps.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub events: Vec<Arc<Recorded>>,
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
) -> Result<Vec<Part>, LogError> {
    let share = len.div_ceil(threads.max(1)).max(PART_LEN_MIN);
    let shares: Vec<(u64, usize)> = (0..len)
        .step_by(share)
        .map(|start| (from + start as u64, share.min(len - start)))
        .collect();
    if let [(from, len)] = shares[..] {
        return Ok(vec![read_part(log, from, len)?]);
    }
    thread::scope(|scope| {
        let start = |(from, len)| scope.spawn(move || read_part(log, from, len));
        let readers: Vec<_> = shares.into_iter().map(start).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect()
    })
}

fn read_part(log: &dyn Log, from: u64, len: usize) -> Result<Part, LogError> {
    let mut part = Part { events: Vec::with_capacity(len), ..Part::default() };
    while part.events.len() < len {
        let page = PAGE_LEN.min(len - part.events.len());
        let entries = log.read(Seq(from + part.events.len() as u64), page)?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { break };
        if part.events.is_empty() {
            part.parent = first.header().parent.0;
        } else if part.hash != first.header().parent.0 {
            // What was read so far is good; whoever reads on from there finds the break.
            break;
        }
        part.hash = last.hash().0;
        for entry in &entries {
            let recorded = read_entry(entry);
            part.post(&recorded);
            part.events.push(Arc::new(recorded));
        }
    }
    Ok(part)
}

impl Part {
    /// Notes what the entry says of itself. What it is about only through its target needs the
    /// log, and is added later.
    fn post(&mut self, recorded: &Recorded) {
        let (seq, lists) = (recorded.seq, &mut self.gathered);
        let event = match &recorded.event {
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
        lists.post(Index::Source, recorded.source.as_bytes(), seq);
        match recorded.time {
            Some(time) => lists.post_time(time, seq),
            None => lists.post(Index::Undated, &[], seq),
        }
        if let Some(rollout) = &recorded.subject {
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
            if let Some(rollout) = &recorded.subject {
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
