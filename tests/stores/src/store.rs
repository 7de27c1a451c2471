//! What each store must do to be measured: the duties of a ledger, and no more.

use std::{ops::Range, path::Path};

use crate::{
    events::Event,
    stores::{FjallStore, LedgerStore, PostgresStore, RedbStore, SledStore, SqliteStore, Syncing},
};

/// Whatever went wrong. A benchmark stops at the first fault.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of cache that each store gets, where it has one of its own.
pub(crate) const CACHE_SIZE: usize = 512 * 1024 * 1024;

/// Where an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) seq: u64,
    /// It was recorded before.
    pub(crate) duplicate: bool,
}

/// The one writer of a store.
pub(crate) trait Store: Send {
    /// How many events there are.
    fn len(&self) -> u64;

    /// Records events in one commit, chained to what is there, and an id that is known not again.
    /// Once it returns they survive a power cut.
    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault>;

    /// A way to read that needs no writer's turn.
    fn reader(&self) -> Result<Box<dyn Reader>, Fault>;

    /// A clean stop.
    fn close(self: Box<Self>) -> Result<(), Fault>;
}

/// What [`Reader::scan`] calls with an event's header and payload.
pub(crate) type See<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Fault> + 'a;

/// Reads what is recorded, on a thread of its own.
pub(crate) trait Reader: Send {
    /// The payload at a place.
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault>;

    /// Every event of a range, in order.
    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault>;
}

/// The stores, in the order in which they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ledger,
    Sled,
    /// sled that acknowledges what its own flush has done: faster, and not as durable.
    SledFlush,
    Redb,
    Fjall,
    Sqlite,
    Postgres,
}

impl Kind {
    /// Those that do all that a ledger must.
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Ledger, Kind::Sled, Kind::Redb, Kind::Fjall, Kind::Sqlite, Kind::Postgres];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ledger => "ledger",
            Kind::Sled => "sled",
            Kind::SledFlush => "sled_flush",
            Kind::Redb => "redb",
            Kind::Fjall => "fjall",
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Kind> {
        let mut all = Kind::ALL.into_iter().chain([Kind::SledFlush]);
        all.find(|kind| kind.name() == name)
    }

    /// Opens the store in a directory, and makes it if there is none.
    pub(crate) fn open(self, dir: &Path) -> Result<Box<dyn Store>, Fault> {
        Ok(match self {
            Kind::Ledger => Box::new(LedgerStore::open(dir)?),
            Kind::Sled => Box::new(SledStore::open(dir, Syncing::Whole)?),
            Kind::SledFlush => Box::new(SledStore::open(dir, Syncing::FlushAlone)?),
            Kind::Redb => Box::new(RedbStore::open(dir)?),
            Kind::Fjall => Box::new(FjallStore::open(dir)?),
            Kind::Sqlite => Box::new(SqliteStore::open(dir)?),
            Kind::Postgres => Box::new(PostgresStore::open(dir)?),
        })
    }
}
