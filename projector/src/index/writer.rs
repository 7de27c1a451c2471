//! Makes lists longer.

use std::collections::HashMap;

use super::{
    Index, List, Span, block::BLOCK_LEN_MAX, block::Block, number_value, write_key, write_stage,
};
use crate::store::{Rows, Store, StoreError};

/// How many numbers of indexes there are, the unused 0 included. One that is greater is looked up
/// each time.
const INDEXES_LEN: usize = 17;

/// How many last blocks are remembered between batches. Beyond that all are read again.
const TAILS_LEN_MAX: usize = 1 << 16;

/// The seqs of one batch, by list. Threads gather parts of a batch on their own.
#[derive(Debug, Default)]
pub struct Gathered {
    lists: Vec<(List, Vec<u64>)>,
    /// Where each list is.
    places: HashMap<Vec<u8>, usize>,
    /// Where the list is that was added to last, for each index: the next entry often is of the
    /// same type, day or rollout, and comparing a key is cheaper than looking it up.
    newest: [usize; INDEXES_LEN],
    /// The key being looked up; kept, so that looking up makes no new one.
    key: Vec<u8>,
    /// The same for a value that is put together.
    value: Vec<u8>,
}

impl Gathered {
    /// Adds an entry to a list. Seqs come in ascending order; the same one twice is one.
    pub fn post(&mut self, index: Index, value: &[u8], seq: u64) {
        self.key.clear();
        write_key(index, value, &mut self.key);
        self.push(index, seq);
    }

    /// Adds an entry to the lists of the day and the hour that it falls on, in UTC.
    pub fn post_time(&mut self, time_us: i64, seq: u64) {
        for span in [Span::Day, Span::Hour] {
            self.post(span.index(), &number_value(span.of(time_us)), seq);
        }
    }

    /// Adds an entry to the list of a stage.
    pub fn post_stage(&mut self, rollout: &str, stage: &str, seq: u64) {
        self.value.clear();
        write_stage(rollout, stage, &mut self.value);
        self.key.clear();
        write_key(Index::Stage, &self.value, &mut self.key);
        self.push(Index::Stage, seq);
    }

    /// Adds an entry to the list of the key at hand.
    fn push(&mut self, index: Index, seq: u64) {
        let newest = self.newest.get(index as usize).copied().unwrap_or(0);
        let same = self.lists.get(newest).is_some_and(|(list, _)| *list.key() == *self.key);
        let place = if same {
            newest
        } else if let Some(place) = self.places.get(&self.key) {
            *place
        } else {
            self.begin(self.key.clone())
        };
        if let Some(newest) = self.newest.get_mut(index as usize) {
            *newest = place;
        }
        if let Some((_, seqs)) = self.lists.get_mut(place)
            && seqs.last() != Some(&seq)
        {
            seqs.push(seq);
        }
    }

    fn begin(&mut self, key: Vec<u8>) -> usize {
        let place = self.lists.len();
        self.lists.push((List(key.clone()), Vec::new()));
        self.places.insert(key, place);
        place
    }

    fn list(&mut self, key: &[u8]) -> &mut Vec<u64> {
        let place = self.places.get(key).copied();
        let place = place.unwrap_or_else(|| self.begin(key.to_owned()));
        self.lists.get_mut(place).map(|(_, seqs)| seqs).expect("every place is one of a list")
    }

    /// Adds an entry to a list of which later entries may have been added already.
    pub fn insert(&mut self, list: &List, seq: u64) {
        let seqs = self.list(list.key());
        if let Err(free) = seqs.binary_search(&seq) {
            seqs.insert(free, seq);
        }
    }

    /// Adds what was gathered from the entries behind these.
    pub fn extend(&mut self, later: Gathered) {
        if self.lists.is_empty() {
            *self = later;
            return;
        }
        for (list, seqs) in later.lists {
            self.list(list.key()).extend(seqs);
        }
    }

    /// The seqs gathered for a list so far.
    pub fn seqs(&self, list: &List) -> &[u64] {
        let found = self.places.get(list.key()).and_then(|place| self.lists.get(*place));
        found.map_or(&[], |(_, seqs)| seqs)
    }
}

/// The last block of a list.
#[derive(Clone, Debug)]
struct Tail {
    first: u64,
    block: Block,
}

/// Appends to lists. Remembers their last blocks; whoever fails to store the rows drops it.
#[derive(Debug, Default)]
pub struct Writer {
    tails: HashMap<Vec<u8>, Tail>,
}

impl Writer {
    /// Turns what was gathered into rows.
    pub fn append(
        &mut self,
        store: &Store,
        gathered: Gathered,
        rows: &mut Rows,
    ) -> Result<(), StoreError> {
        if self.tails.len() > TAILS_LEN_MAX {
            self.tails.clear();
        }
        for (list, seqs) in gathered.lists {
            let known = match self.tails.remove(list.key()) {
                Some(tail) => Some(tail),
                None => stored_tail(store, &list)?,
            };
            if let Some(tail) = grow(&list, known, &seqs, rows)? {
                rows.put(list.block_key(tail.first), &tail.block)?;
                self.tails.insert(list.0, tail);
            }
        }
        Ok(())
    }
}

/// The last block that is stored of a list.
fn stored_tail(store: &Store, list: &List) -> Result<Option<Tail>, StoreError> {
    let found = store.floor::<Block>(list.key(), &list.block_key(u64::MAX))?;
    Ok(found.and_then(|(key, block)| Some(Tail { first: first_of(&key)?, block })))
}

/// The first seq of the block under this key.
pub(super) fn first_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Adds seqs behind a tail, stores the blocks that become full, and returns the new tail.
fn grow(
    list: &List,
    mut tail: Option<Tail>,
    seqs: &[u64],
    rows: &mut Rows,
) -> Result<Option<Tail>, StoreError> {
    for &seq in seqs {
        match &mut tail {
            Some(tail) if tail.block.len < BLOCK_LEN_MAX => tail.block.push(seq),
            full => {
                if let Some(tail) = full {
                    rows.put(list.block_key(tail.first), &tail.block)?;
                }
                *full = Some(Tail { first: seq, block: Block::new(seq) });
            }
        }
    }
    Ok(tail)
}
