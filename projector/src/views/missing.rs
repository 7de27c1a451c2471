//! What `audit gaps` is folded from, by rows and indexes: never a scan of the log.

use std::collections::BTreeMap;

use ledger::{Log, Seq};
use schemas::Event;

use super::{
    At, FLAGS, FlagRow, ROLLOUTS, RolloutRow, Views, ViewsError, events::Source, rollout_key,
};
use crate::{
    audit::{
        Cited,
        gaps::{Facts, LooseFlag, NextRollout, may_fill},
        silence::{SAID_LEN_MAX, Spoke},
    },
    index::{Index, List, Matches, Order},
    recorded::Recorded,
};

/// Sources of events that are looked at, at most.
pub const SOURCES_LEN_MAX: usize = 200;

/// Sources that are gone through, those that are passed over included, at most.
pub const SOURCES_SEEN_MAX: usize = 2_000;

/// Newest imports of flag logs that are looked at, at most.
pub const IMPORTS_LEN_MAX: usize = 1_000;

/// Imports whose rows are read to see whether they fill an earlier gap, at most.
pub const FILLS_LEN_MAX: usize = 64;

/// Flags without a rollout that are told, at most.
pub const LOOSE_FLAGS_LEN_MAX: usize = 500;

impl Views {
    /// What the question for gaps is answered from: a page of rollouts behind `after`, by id, and
    /// what belongs to none. `passed_over` are sources that nobody waits to hear of.
    pub fn gaps(
        &self,
        log: &dyn Log,
        passed_over: fn(&str) -> bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<At<Facts>, ViewsError> {
        let current = self.current();
        let source = Source::new(current.store()?, log);
        let mut facts = Facts::default();
        let behind = after.map(rollout_key);
        for row in source.store.scan::<RolloutRow>(ROLLOUTS, behind.as_deref()) {
            let (_, row) = row?;
            if facts.rollouts.len() == limit {
                let next_after = facts.rollouts.last().map(|(id, _)| id.clone());
                facts.next = NextRollout { has_more: true, next_after };
                break;
            }
            let Ok(id) = row.id.parse() else { continue };
            facts.rollouts.push((row.id, source.of_rollout(&id)?));
        }
        loose_flags(&source, &mut facts)?;
        imports(&source, &mut facts)?;
        sources(&source, passed_over, &mut facts)?;
        Ok(current.at(facts))
    }
}

fn loose_flags(source: &Source, facts: &mut Facts) -> Result<(), ViewsError> {
    for row in source.store.scan::<FlagRow>(FLAGS, None) {
        let (_, row) = row?;
        let newest = row.homes.iter().map(|home| home.last_change_seq).max();
        let Some(newest) = newest.filter(|_| row.rollouts.is_empty()) else { continue };
        if facts.flags_without_rollout.len() == LOOSE_FLAGS_LEN_MAX {
            facts.cut_off.push("flags_without_rollout");
            break;
        }
        let newest_change = source.read(&[newest])?.first().map(Cited::of);
        facts
            .flags_without_rollout
            .extend(newest_change.map(|newest_change| LooseFlag { flag: row.key, newest_change }));
    }
    Ok(())
}

fn imports(source: &Source, facts: &mut Facts) -> Result<(), ViewsError> {
    let list = List::new(Index::Type, b"rollout.source.imported.v1");
    let newest = Matches::new(source.store, vec![vec![list]], Order::Descending, None);
    let mut seqs = newest.take(IMPORTS_LEN_MAX + 1).collect::<Result<Vec<u64>, _>>()?;
    if seqs.len() > IMPORTS_LEN_MAX {
        seqs.truncate(IMPORTS_LEN_MAX);
        facts.cut_off.push("row_gaps");
    }
    seqs.reverse();
    facts.imports = source.read(&seqs)?;
    let (rows, all) = rows_of(&facts.imports, |seqs| source.read(seqs))?;
    facts.rows = rows;
    if !all && !facts.cut_off.contains(&"row_gaps") {
        facts.cut_off.push("row_gaps");
    }
    Ok(())
}

/// The numbers of the rows that later imports brought, and whether all of these were read. An
/// import is one commit: its rows are the entries before its `source.imported`.
pub fn rows_of<E>(
    imports: &[Recorded],
    read: impl Fn(&[u64]) -> Result<Vec<Recorded>, E>,
) -> Result<(BTreeMap<u64, Vec<u64>>, bool), E> {
    let later = may_fill(imports);
    let all = later.len() <= FILLS_LEN_MAX;
    let mut rows = BTreeMap::new();
    for (seq, recorded) in later.into_iter().take(FILLS_LEN_MAX) {
        let recorded = recorded.min(ledger::BATCH_LEN_MAX as u64);
        let seqs: Vec<u64> = (seq.saturating_sub(recorded)..seq).collect();
        let row = |recorded: &Recorded| match recorded.known()? {
            Event::FlagChanged(change) => change.row,
            _ => None,
        };
        rows.insert(seq, read(&seqs)?.iter().filter_map(row).collect());
    }
    Ok((rows, all))
}

fn sources(
    source: &Source,
    passed_over: fn(&str) -> bool,
    facts: &mut Facts,
) -> Result<(), ViewsError> {
    let (mut behind, mut seen) = (None, 0);
    while let Some(seq) = List::first_seq(source.store, Index::Source, behind.as_ref())? {
        let Some(first) = source.read(&[seq])?.pop() else { break };
        let list = List::new(Index::Source, first.source.as_bytes());
        seen += 1;
        if passed_over(&first.source) && seen <= SOURCES_SEEN_MAX {
            behind = Some(list);
            continue;
        }
        if facts.sources.len() == SOURCES_LEN_MAX || seen > SOURCES_SEEN_MAX {
            facts.cut_off.push("sources");
            break;
        }
        let newest = Matches::new(source.store, vec![vec![list.clone()]], Order::Descending, None);
        let seqs = newest.take(SAID_LEN_MAX).collect::<Result<Vec<u64>, _>>()?;
        let newest = seqs.first().map(|seq| source.read(&[*seq])).transpose()?;
        let newest = newest.and_then(|mut read| read.pop()).map(|read| Cited::of(&read));
        let mut recorded_at_us = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let headers = source.log.headers(Seq(seq), 1)?;
            let at = headers.first().map(|header| header.recorded_at_us);
            recorded_at_us.extend(at.and_then(|at| i64::try_from(at).ok()));
        }
        let spoke = |newest| Spoke { source: first.source.clone(), recorded_at_us, newest };
        facts.sources.extend(newest.map(spoke));
        behind = Some(list);
    }
    Ok(())
}
