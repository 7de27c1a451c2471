//! How an entry extends a chain. Writing and checking share this one rule.

use crate::{
    draft::Draft,
    entry::{Entry, Hash, Header, RECORDED_AT_US_MAX, Seq},
    envelope::Mark,
};

/// The end of a chain: what the next entry must follow.
///
/// Its hash commits to all of history. Whoever keeps an old head outside can check that a later
/// ledger still holds the same past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The place of the entry to come; also how many entries there are.
    pub next: Seq,
    /// Hash of the last entry; zeros in an empty chain.
    pub hash: Hash,
    /// When the last entry was recorded, in Unix microseconds; 0 in an empty chain.
    pub recorded_at_us: u64,
}

/// Why an entry does not follow a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// Another place than the next one: entries are missing, repeated or out of order.
    #[error("entry {expected} was expected and entry {found} was found")]
    Place {
        /// The place that the head asks for.
        expected: Seq,
        /// The place that the entry claims.
        found: Seq,
    },
    /// It was made to follow another entry than the one before it.
    #[error("entry {seq} follows {found}, but the entry before it is {expected}")]
    Parent {
        /// The entry's place.
        seq: Seq,
        /// The hash of the entry before.
        expected: Hash,
        /// The hash that the entry claims to follow.
        found: Hash,
    },
    /// Time went back, in an entry that is no `ledger.clock_stepped`.
    #[error(
        "entry {seq} was recorded at {found_us} us, before the entry before it at {before_us} us"
    )]
    ClockBack {
        /// The entry's place.
        seq: Seq,
        /// When the entry before was recorded.
        before_us: u64,
        /// When this one claims to have been recorded.
        found_us: u64,
    },
    /// Recorded after the year 9999.
    #[error("entry {seq} was recorded at {found_us} us, after the year 9999")]
    TimeOutOfRange {
        /// The entry's place.
        seq: Seq,
        /// When it claims to have been recorded.
        found_us: u64,
    },
}

impl Head {
    /// The head of the empty chain.
    pub const GENESIS: Head = Head { next: Seq(0), hash: Hash([0; 32]), recorded_at_us: 0 };

    /// The place of the last entry, if there is one.
    pub fn last_seq(&self) -> Option<Seq> {
        self.next.0.checked_sub(1).map(Seq)
    }

    /// How many entries there are from `seq` on.
    pub fn len_from(&self, seq: Seq) -> usize {
        usize::try_from(self.next.0.saturating_sub(seq.0)).unwrap_or(usize::MAX)
    }

    /// Gives a draft its place after this head, stamped `now_us`.
    ///
    /// A clock that lags behind the chain does not take it back: the time of the entry before is
    /// used, but in a `ledger.clock_stepped`, whose purpose is to say that time goes back.
    ///
    /// # Panics
    ///
    /// If `now_us` is after the year 9999: such a clock must not get this far.
    pub fn seal(self, draft: Draft, now_us: u64) -> Entry {
        assert!(now_us <= RECORDED_AT_US_MAX, "the clock shows a year after 9999");
        let recorded_at_us = match draft.mark() {
            Mark::ClockStepped => now_us,
            _ => now_us.max(self.recorded_at_us),
        };
        let header =
            Header { seq: self.next, recorded_at_us, parent: self.hash, digest: draft.digest() };
        let (payload, mark) = draft.into_parts();
        Entry::sealed(header, payload, mark)
    }

    /// Checks that an entry follows this head, and moves past it. Its payload is not hashed here.
    pub fn accept(self, entry: &Entry) -> Result<Head, Break> {
        self.accept_header(entry.header(), entry.hash(), || {
            matches!(entry.mark(), Mark::ClockStepped)
        })
    }

    /// The same for a header whose hash is known. `steps_clock` is asked only if time goes back.
    pub(crate) fn accept_header(
        self,
        header: &Header,
        hash: Hash,
        steps_clock: impl FnOnce() -> bool,
    ) -> Result<Head, Break> {
        let Header { seq, recorded_at_us, parent, .. } = *header;
        if seq != self.next {
            return Err(Break::Place { expected: self.next, found: seq });
        }
        if parent != self.hash {
            return Err(Break::Parent { seq, expected: self.hash, found: parent });
        }
        if recorded_at_us > RECORDED_AT_US_MAX {
            return Err(Break::TimeOutOfRange { seq, found_us: recorded_at_us });
        }
        if recorded_at_us < self.recorded_at_us && !steps_clock() {
            let before_us = self.recorded_at_us;
            return Err(Break::ClockBack { seq, before_us, found_us: recorded_at_us });
        }
        Ok(Head { next: seq.next(), hash, recorded_at_us })
    }
}
