//! Which entries are about what: a list of seqs for each value of each index.
//!
//! A list is cut into blocks of [`BLOCK_LEN_MAX`] seqs, one row each, under the key of the list and
//! the block's first seq. A new block begins only when the last one is full, so the rows do not
//! depend on how many events were projected together, and a rebuild makes the same ones. Questions
//! with several conditions step through their lists together, and never through the log.

mod block;
mod cursor;
mod lists;
mod writer;

pub use block::BLOCK_LEN_MAX;
pub use cursor::{Matches, Order, Reads};
pub use writer::{Gathered, Writer};

use crate::{
    codec::{self, CodecError},
    store::{Store, StoreError},
};

/// Longest value that a key holds as it is, in bytes. Of a longer one it holds the SHA-256.
pub const VALUE_SIZE_MAX: usize = 128;

/// What the keys of all postings begin with.
pub const PREFIX: u8 = b'p';

/// Stands in place of a length, and says that a SHA-256 follows.
const HASHED: u8 = 0xff;

/// What entries can be looked up by. The numbers are stored and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Index {
    /// The rollout that an event is about: its subject, or what the event that it targets is about.
    Rollout = 1,
    /// The flag that an event is about, in the same two ways.
    Flag = 2,
    /// Who acted, decided, signed off or approved, as the sender claims.
    Actor = 3,
    /// The CloudEvents `type`.
    Type = 4,
    /// The day in UTC that `time` falls on, as days since 1970-01-01.
    Day = 5,
    /// The CloudEvents `source`.
    Source = 6,
    /// The stage, behind its rollout and a zero byte.
    Stage = 7,
    /// How the sender knows: `observed`, `reported`, ...
    Basis = 8,
    /// Without a value: events whose `time` is unknown.
    Undated = 9,
    /// Without a value: events whose payload was erased.
    Erased = 10,
    /// Without a value: events of types that this version does not know.
    Unread = 11,
    /// The stage, of whichever rollout.
    StageKey = 12,
    /// How bad it is: `critical`, `high`, ...
    Severity = 13,
    /// A name of a ticket or link that an event names.
    Link = 14,
    /// A word that an event says.
    Word = 15,
    /// The hour in UTC that `time` falls on, as hours since 1970-01-01.
    Hour = 16,
}

/// How long a list of a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Day,
    /// For the first and the last day of a question.
    Hour,
}

impl Span {
    fn index(self) -> Index {
        match self {
            Span::Day => Index::Day,
            Span::Hour => Index::Hour,
        }
    }

    /// The number of the span that a moment in Unix microseconds falls on.
    pub fn of(self, time_us: i64) -> i32 {
        let len = match self {
            Span::Day => 24 * HOUR_US,
            Span::Hour => HOUR_US,
        };
        i32::try_from(time_us.div_euclid(len)).unwrap_or(if time_us < 0 {
            i32::MIN
        } else {
            i32::MAX
        })
    }
}

/// Microseconds in an hour.
const HOUR_US: i64 = 3_600_000_000;

/// The key of one list, in front of the seqs of its blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct List(Vec<u8>);

impl List {
    /// The entries whose `index` has this value.
    pub fn new(index: Index, value: &[u8]) -> List {
        let mut key = Vec::with_capacity(value.len().min(VALUE_SIZE_MAX) + 11);
        write_key(index, value, &mut key);
        List(key)
    }

    /// The entries whose time falls on a day or an hour, counted from 1970-01-01 in UTC.
    pub fn span(span: Span, number: i32) -> List {
        List::new(span.index(), &number_value(number))
    }

    /// The entries about one stage.
    pub fn stage(rollout: &str, stage: &str) -> List {
        let mut value = Vec::new();
        write_stage(rollout, stage, &mut value);
        List::new(Index::Stage, &value)
    }

    /// The first day or hour, from `number` on, that any entry falls on.
    pub(crate) fn first_span(
        store: &Store,
        span: Span,
        number: i32,
    ) -> Result<Option<i32>, StoreError> {
        let (from, all) = (List::span(span, number), [PREFIX, span.index() as u8, 4]);
        let found = store.ceiling::<block::Block>(&all, from.key())?;
        let value = found.and_then(|(key, _)| Some(*key.get(3..7)?.first_chunk()?));
        Ok(value.map(|bytes| (u32::from_be_bytes(bytes) ^ 0x8000_0000).cast_signed()))
    }

    /// The least value of an index after `before`, in the order of the keys: shorter ones first.
    /// `None` behind the last that is no longer than [`VALUE_SIZE_MAX`].
    pub(crate) fn value_after(
        store: &Store,
        index: Index,
        before: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let all = [PREFIX, index as u8];
        // No block of the list begins at the greatest seq and goes on, so this is behind them all.
        let from = before.map_or(all.to_vec(), |value| {
            [&List::new(index, value).block_key(u64::MAX)[..], &[0]].concat()
        });
        let found = store.ceiling::<block::Block>(&all, &from)?;
        Ok(found.and_then(|(key, _)| {
            let len = usize::from(*key.get(2)?);
            (len <= VALUE_SIZE_MAX).then(|| key.get(3..3 + len).map(<[u8]>::to_vec))?
        }))
    }

    /// The bytes that the keys of its blocks begin with.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// The key of the block that begins with `seq`.
    fn block_key(&self, seq: u64) -> Vec<u8> {
        [&self.0[..], &seq.to_be_bytes()].concat()
    }
}

/// Writes what the keys of a list begin with. The length in front keeps one value from being the
/// beginning of another.
fn write_key(index: Index, value: &[u8], key: &mut Vec<u8>) {
    key.extend_from_slice(&[PREFIX, index as u8]);
    match u8::try_from(value.len()) {
        Ok(len) if value.len() <= VALUE_SIZE_MAX => {
            key.push(len);
            key.extend_from_slice(value);
        }
        _ => {
            key.push(HASHED);
            key.extend_from_slice(&ledger::Digest::of(value).0);
        }
    }
}

/// The value of a stage: the zero byte is in no id.
fn write_stage(rollout: &str, stage: &str, value: &mut Vec<u8>) {
    value.extend_from_slice(rollout.as_bytes());
    value.push(0);
    value.extend_from_slice(stage.as_bytes());
}

/// A block in words, for whoever compares.
pub(crate) fn shown(key: &[u8], row: &[u8]) -> Result<String, CodecError> {
    let block: block::Block = codec::decode(row)?;
    let seqs = writer::first_of(key).and_then(|first| block.seqs(first));
    Ok(seqs.map_or_else(|| "a block that does not add up".to_owned(), |seqs| format!("{seqs:?}")))
}

/// Days and hours sort by their bytes: the sign bit is turned round.
fn number_value(number: i32) -> [u8; 4] {
    (number.cast_unsigned() ^ 0x8000_0000).to_be_bytes()
}

#[cfg(test)]
mod tests;
