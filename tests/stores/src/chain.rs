//! The chain of the stores that know none: the ledger's own headers and hashes, made by the client.

use std::collections::HashMap;

use ledger::{Digest, HEADER_SIZE, Hash, Header, Seq};

use crate::{
    events::{Event, Key},
    store::{Fault, Receipt},
};

/// 2026-01-01T00:00:00Z in Unix microseconds: when everything here was recorded.
pub(crate) const NOW_US: u64 = 1_767_225_600_000_000;

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) next: u64,
    hash: Hash,
}

/// A new event with its place.
pub(crate) struct Row<'a> {
    pub(crate) seq: u64,
    pub(crate) key: Key,
    pub(crate) header: [u8; HEADER_SIZE],
    pub(crate) payload: &'a [u8],
}

impl Row<'_> {
    /// Header and payload in one value, for stores that know only one.
    pub(crate) fn value(&self) -> Vec<u8> {
        [&self.header, self.payload].concat()
    }
}

/// Events of one commit: the new ones, what to answer, and where the chain ends afterwards.
pub(crate) struct Plan<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) after: Chain,
}

impl Chain {
    pub(crate) const EMPTY: Chain = Chain { next: 0, hash: Hash([0; 32]) };

    /// The chain whose last header is this.
    pub(crate) fn ending(last: Option<&[u8]>) -> Result<Chain, Fault> {
        let Some(last) = last else { return Ok(Chain::EMPTY) };
        let header = decode(last)?;
        Ok(Chain { next: header.seq.0 + 1, hash: header.hash() })
    }

    /// Gives places to the events whose ids `find` does not know.
    pub(crate) fn plan(
        self,
        events: &[Event],
        mut find: impl FnMut(&Key) -> Result<Option<u64>, Fault>,
    ) -> Result<Plan<'_>, Fault> {
        let (mut after, mut own) = (self, HashMap::with_capacity(events.len()));
        let mut rows = Vec::with_capacity(events.len());
        let mut receipts = Vec::with_capacity(events.len());
        for event in events {
            let known = match own.get(&event.key) {
                Some(seq) => Some(*seq),
                None => find(&event.key)?,
            };
            if let Some(seq) = known {
                receipts.push(Receipt { seq, duplicate: true });
                continue;
            }
            let (seq, key) = (after.next, event.key);
            let header = after.link(event.digest());
            own.insert(key, seq);
            receipts.push(Receipt { seq, duplicate: false });
            rows.push(Row { seq, key, header, payload: event.payload() });
        }
        Ok(Plan { rows, receipts, after })
    }

    fn link(&mut self, digest: Digest) -> [u8; HEADER_SIZE] {
        let seq = Seq(self.next);
        let header = Header { seq, recorded_at_us: NOW_US, parent: self.hash, digest };
        *self = Chain { next: self.next + 1, hash: header.hash() };
        header.encode()
    }

    /// The chain from the entry on that this header is of, whatever came before it.
    pub(crate) fn before(header: &[u8]) -> Result<Chain, Fault> {
        let header = decode(header)?;
        Ok(Chain { next: header.seq.0, hash: header.parent })
    }

    /// Checks that an entry follows, and that its payload is the one of its header.
    pub(crate) fn check(&mut self, header: &[u8], payload: &[u8]) -> Result<(), Fault> {
        let header = decode(header)?;
        if header.seq != Seq(self.next) || header.parent != self.hash {
            return Err(format!("the chain breaks at {}", self.next).into());
        }
        if Digest::of(payload) != header.digest {
            return Err(format!("the payload at {} is another one", self.next).into());
        }
        *self = Chain { next: self.next + 1, hash: header.hash() };
        Ok(())
    }
}

fn decode(header: &[u8]) -> Result<Header, Fault> {
    Ok(Header::decode(header.first_chunk().ok_or("a header is too short")?)?)
}

/// Header and payload of a value that [`Row::value`] made.
pub(crate) fn parts(value: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    value.split_at_checked(HEADER_SIZE).ok_or_else(|| "a value is too short".into())
}
