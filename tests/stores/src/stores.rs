//! The stores, each as its own documents say that one should use it when nothing may be lost.

mod fjall_store;
mod ledger_store;
pub(crate) mod postgres_server;
mod postgres_store;
mod redb_store;
mod sled_store;
mod sqlite_store;

pub(crate) use fjall_store::FjallStore;
pub(crate) use ledger_store::{LedgerCallers, LedgerStore};
pub(crate) use postgres_store::{Caller, Callers, PostgresStore};
pub(crate) use redb_store::RedbStore;
pub(crate) use sled_store::{SledStore, Syncing};
pub(crate) use sqlite_store::SqliteStore;
