//! What audit questions are answered from, by rows and indexes.

use std::collections::BTreeSet;

use ledger::Seq;
use projector::{
    audit::{Wanted, gaps},
    index::Order,
    recorded::Recorded,
    views::{Filter, facets, read_entry},
};
use schemas::{Event, FlagKey};

use super::{Facts, parts};
use crate::{answers::AsOf, audit::passed_over};

impl Facts {
    /// Everything about a flag as it was recorded, corrections included.
    pub fn flag_recorded(&self, key: &FlagKey) -> anyhow::Result<(Vec<Recorded>, AsOf)> {
        Ok(parts(self.views.flag_events(&*self.log, key)?))
    }

    /// The events that fit, by seq, and whether there are more.
    pub fn recorded(
        &self,
        filter: &Filter,
        wanted: Wanted,
    ) -> anyhow::Result<((Vec<Recorded>, bool), AsOf)> {
        let (after, limit) = (wanted.after, wanted.limit);
        let at = self.views.events(&*self.log, filter, Order::Ascending, after, limit)?;
        let (page, as_of) = parts(at);
        Ok(((page.events, page.next.is_some()), as_of))
    }

    /// Every flag that was heard of.
    pub fn flag_keys(&self) -> anyhow::Result<BTreeSet<String>> {
        let (rows, _) = parts(self.views.flags()?);
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    /// When an entry was recorded, Unix microseconds.
    pub fn recorded_at_us(&self, seq: u64) -> anyhow::Result<i64> {
        let entries = self.log.read(Seq(seq), 1)?;
        let entry = entries.first().map(read_entry).filter(|entry| entry.seq == seq);
        Ok(entry.map_or(i64::MIN, |entry| entry.recorded_at_us))
    }

    /// What gaps are found in.
    pub fn gap_facts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<(gaps::Facts, AsOf)> {
        let (mut facts, as_of) = parts(self.views.gaps(&*self.log, passed_over, after, limit)?);
        for (_, events) in &mut facts.rollouts {
            self.with_erased(events)?;
        }
        Ok((facts, as_of))
    }

    /// Adds the erased entries that redactions among these events name: their payload is gone, and
    /// with it every index of it, but their place is known.
    pub(super) fn with_erased(&self, events: &mut Vec<Recorded>) -> anyhow::Result<()> {
        let held: BTreeSet<u64> = events.iter().map(|e| e.seq).collect();
        let mut erased = Vec::new();
        for event in events.iter() {
            let Some(redaction @ Event::EventRedacted(_)) = event.known() else { continue };
            let Some(target) = facets::target(redaction) else { continue };
            if target.seq < event.seq && !held.contains(&target.seq) {
                let entries = self.log.read(Seq(target.seq), 1)?;
                let same = |e: &&ledger::Entry| e.hash().to_string() == target.hash.as_str();
                erased.extend(entries.first().filter(same).map(read_entry));
            }
        }
        if !erased.is_empty() {
            events.append(&mut erased);
            events.sort_by_key(|e| e.seq);
            events.dedup_by_key(|e| e.seq);
        }
        Ok(())
    }
}
