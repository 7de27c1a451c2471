//! fjall: two keyspaces in one batch, synced by `fdatasync` before the commit returns.

use std::{ops::Range, path::Path};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{
    chain::{Chain, parts},
    events::Event,
    store::{CACHE_SIZE, Fault, Reader, Receipt, See, Store},
};

/// fjall, and where the chain ends.
pub(crate) struct FjallStore {
    db: Database,
    entries: Keyspace,
    ids: Keyspace,
    chain: Chain,
}

impl FjallStore {
    pub(crate) fn open(dir: &Path) -> Result<FjallStore, Fault> {
        let db = Database::builder(dir.join("fjall")).cache_size(CACHE_SIZE as u64).open()?;
        let entries = db.keyspace("entries", KeyspaceCreateOptions::default)?;
        let ids = db.keyspace("ids", KeyspaceCreateOptions::default)?;
        let last = entries.last_key_value().map(fjall::Guard::value).transpose()?;
        let chain = Chain::ending(last.as_deref())?;
        Ok(FjallStore { db, entries, ids, chain })
    }
}

impl Store for FjallStore {
    fn len(&self) -> u64 {
        self.chain.next
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        let ids = &self.ids;
        let plan = self.chain.plan(&events, |key| match ids.get(key)? {
            Some(seq) => Ok(Some(u64::from_be_bytes(seq.as_ref().try_into()?))),
            None => Ok(None),
        })?;
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for row in &plan.rows {
            batch.insert(&self.entries, row.seq.to_be_bytes(), row.value());
            batch.insert(&self.ids, row.key, row.seq.to_be_bytes());
        }
        batch.commit()?;
        self.chain = plan.after;
        Ok(plan.receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(KeyspaceReader(self.entries.clone())))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        self.db.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}

struct KeyspaceReader(Keyspace);

impl Reader for KeyspaceReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        let value = self.0.get(seq.to_be_bytes())?.ok_or("nothing is there")?;
        Ok(parts(&value)?.1.to_vec())
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        for found in self.0.range(seqs.start.to_be_bytes()..seqs.end.to_be_bytes()) {
            let value = found.value()?;
            let (header, payload) = parts(&value)?;
            see(header, payload)?;
        }
        Ok(())
    }
}
