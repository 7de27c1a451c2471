//! Reads lists: one, several at once, or those entries that stand in all of them.

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::Range,
};

use super::{List, block::Block, writer::first_of};
use crate::store::{Store, StoreError};

/// From old to new, or from new to old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

impl Order {
    /// A number that grows in this order. Doing it again gives the seq back.
    fn rank(self, seq: u64) -> u64 {
        match self {
            Order::Ascending => seq,
            Order::Descending => !seq,
        }
    }
}

/// What a question has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Blocks that were decoded.
    pub blocks: u64,
    /// Seqs in those blocks.
    pub seqs: u64,
    /// Entries that were read from the log, those included whose header alone was wanted.
    pub entries: u64,
}

/// The seqs that stand in at least one list of every condition, in order. Nothing after an error.
#[derive(Debug)]
pub struct Matches<'a> {
    lists: Lists<'a>,
    conditions: Vec<AnyOf>,
    /// Where a match must lie: ascending and apart. Anywhere if `None`.
    within: Option<Vec<Range<u64>>>,
    /// The least rank that may still match; `None` at the end.
    next: Option<u64>,
}

/// What every cursor needs.
#[derive(Debug)]
struct Lists<'a> {
    store: &'a Store,
    order: Order,
    reads: Cell<Reads>,
}

impl<'a> Matches<'a> {
    /// The entries after `after` that meet all the conditions. A condition is the lists of which at
    /// least one must hold the entry; without lists it matches nothing.
    ///
    pub fn new(
        store: &'a Store,
        conditions: Vec<Vec<List>>,
        order: Order,
        after: Option<u64>,
    ) -> Matches<'a> {
        let next = after.map_or(Some(0), |seq| order.rank(seq).checked_add(1));
        let conditions = conditions.into_iter().map(AnyOf::new).collect();
        let lists = Lists { store, order, reads: Cell::default() };
        Matches { lists, conditions, within: None, next }
    }

    /// Only entries in these ranges, which are ascending and apart. A question to the indexes has a
    /// condition or a range: without either it never ends.
    #[must_use]
    pub fn within(self, ranges: Vec<Range<u64>>) -> Matches<'a> {
        Matches { within: Some(ranges), ..self }
    }

    /// What it has cost so far.
    pub fn reads(&self) -> Reads {
        self.lists.reads.get()
    }

    /// The least rank from `rank` on that all conditions share. Each skips to where the one before
    /// it is, so the list with the widest gaps sets the pace.
    fn shared(&mut self, mut rank: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let from = rank;
            if let Some(ranges) = &self.within {
                match nearest_within(ranges, self.lists.order, rank) {
                    Some(found) => rank = found,
                    None => return Ok(None),
                }
            }
            for condition in &mut self.conditions {
                match condition.seek(&self.lists, rank)? {
                    Some(found) => rank = found,
                    None => return Ok(None),
                }
            }
            if rank == from {
                return Ok(Some(rank));
            }
        }
    }
}

impl Iterator for Matches<'_> {
    type Item = Result<u64, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.next.take()?;
        let rank = self.shared(from).transpose()?;
        self.next = rank.as_ref().ok().and_then(|rank| rank.checked_add(1));
        Some(rank.map(|rank| self.lists.order.rank(rank)))
    }
}

/// The union of some lists.
#[derive(Debug)]
struct AnyOf {
    /// Each with the rank that it stands at, least first. One that has ended is dropped.
    cursors: BinaryHeap<Reverse<(u64, Cursor)>>,
}

impl AnyOf {
    fn new(lists: Vec<List>) -> AnyOf {
        // Rank 0 is a lower bound of where each really begins; the first seek finds out.
        let at_start = |list| Reverse((0, Cursor { list, block: None }));
        AnyOf { cursors: lists.into_iter().map(at_start).collect() }
    }

    fn seek(&mut self, lists: &Lists<'_>, rank: u64) -> Result<Option<u64>, StoreError> {
        while let Some(mut first) = self.cursors.peek_mut() {
            let Reverse((at, cursor)) = &mut *first;
            if *at >= rank && cursor.block.is_some() {
                return Ok(Some(*at));
            }
            match cursor.seek(lists, rank)? {
                Some(found) => *at = found,
                None => drop(PeekMut::pop(first)),
            }
        }
        Ok(None)
    }
}

/// A place in one list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    list: List,
    /// The block that was decoded last: its seqs, ascending. Never empty.
    block: Option<Vec<u64>>,
}

impl Cursor {
    /// The least rank from `rank` on in this list.
    fn seek(&mut self, lists: &Lists<'_>, rank: u64) -> Result<Option<u64>, StoreError> {
        let seq = lists.order.rank(rank);
        let seqs = match self.block.take() {
            Some(seqs) if spans(&seqs, seq) => Some(seqs),
            // What lies outside may be in any other block.
            _ => self.block_for(lists, seq)?,
        };
        let found = seqs.as_deref().and_then(|seqs| nearest(seqs, lists.order, seq));
        self.block = seqs;
        Ok(found.map(|seq| lists.order.rank(seq)))
    }

    /// The seqs of the block that a seek to `seq` ends in.
    fn block_for(&self, lists: &Lists<'_>, seq: u64) -> Result<Option<Vec<u64>>, StoreError> {
        // Only the last block that begins at or before `seq` may hold it.
        let key = self.list.block_key(seq);
        let floor = lists.store.floor::<Block>(self.list.key(), &key)?;
        let found = match (lists.order, floor) {
            (Order::Ascending, Some((_, block))) if block.last < seq => {
                lists.store.ceiling::<Block>(self.list.key(), &key)?
            }
            (Order::Ascending, None) => lists.store.ceiling::<Block>(self.list.key(), &key)?,
            (_, floor) => floor,
        };
        let Some((key, block)) = found else { return Ok(None) };
        let seqs = first_of(&key).and_then(|first| block.seqs(first));
        let seqs = seqs.ok_or(StoreError::Damaged("a block of seqs does not add up".to_owned()))?;
        let mut reads = lists.reads.get();
        reads.blocks += 1;
        reads.seqs += seqs.len() as u64;
        lists.reads.set(reads);
        Ok(Some(seqs))
    }
}

/// The least rank from `rank` on that lies in one of the ranges.
fn nearest_within(ranges: &[Range<u64>], order: Order, rank: u64) -> Option<u64> {
    let seq = order.rank(rank);
    match order {
        Order::Ascending => {
            let range = ranges.get(ranges.partition_point(|range| range.end <= seq))?;
            Some(rank.max(range.start))
        }
        Order::Descending => {
            let before = ranges.get(..ranges.partition_point(|range| range.start <= seq))?;
            let last = before.last()?.end.checked_sub(1)?;
            Some(order.rank(seq.min(last)))
        }
    }
}

fn spans(seqs: &[u64], seq: u64) -> bool {
    seqs.first().is_some_and(|first| *first <= seq) && seqs.last().is_some_and(|last| *last >= seq)
}

/// The first of the seqs in this order that is not before `seq`.
fn nearest(seqs: &[u64], order: Order, seq: u64) -> Option<u64> {
    match order {
        Order::Ascending => seqs.get(seqs.partition_point(|s| *s < seq)).copied(),
        Order::Descending => {
            seqs.get(..seqs.partition_point(|s| *s <= seq)).and_then(|s| s.last().copied())
        }
    }
}
