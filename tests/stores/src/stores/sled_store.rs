//! sled: one tree for both, because a batch is atomic in one tree only.
//!
//! On Linux `flush` ends in `sync_file_range`, of which its manual says that it does not flush the
//! disk's own cache and writes no metadata. To be as durable as the others, each commit syncs sled's
//! file once more.

use std::{fs::File, ops::Range, path::Path};

use sled::{Batch, Config, Db};

use crate::{
    chain::{Chain, parts},
    events::{Event, Key},
    store::{CACHE_SIZE, Fault, Reader, Receipt, See, Store},
};

/// sled, and where the chain ends.
pub(crate) struct SledStore {
    db: Db,
    /// The file that sled writes to, if a flush alone is not to be enough.
    file: Option<File>,
    chain: Chain,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncing {
    /// What sled calls durable.
    FlushAlone,
    /// What survives a power cut.
    Whole,
}

/// An entry's key: `e` and its place, so that entries lie in the order of the chain.
fn place(seq: u64) -> [u8; 9] {
    let mut key = [b'e'; 9];
    key.iter_mut().skip(1).zip(seq.to_be_bytes()).for_each(|(to, from)| *to = from);
    key
}

/// An id's key: `i` and its 16 bytes.
fn id(key: &Key) -> Vec<u8> {
    [b"i".as_slice(), key].concat()
}

impl SledStore {
    pub(crate) fn open(dir: &Path, syncing: Syncing) -> Result<SledStore, Fault> {
        // Every commit flushes; a flush by the clock would only be a second one.
        let config = Config::new().path(dir.join("sled")).flush_every_ms(None);
        let db = config.cache_capacity(CACHE_SIZE as u64).open()?;
        let last = db.range(place(0)..=place(u64::MAX)).next_back().transpose()?;
        let chain = Chain::ending(last.as_ref().map(|(_, value)| value.as_ref()))?;
        let file = match syncing {
            Syncing::FlushAlone => None,
            Syncing::Whole => Some(File::open(dir.join("sled/db"))?),
        };
        Ok(SledStore { db, file, chain })
    }
}

impl Store for SledStore {
    fn len(&self) -> u64 {
        self.chain.next
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        let db = &self.db;
        let plan = self.chain.plan(&events, |key| match db.get(id(key))? {
            Some(seq) => Ok(Some(u64::from_be_bytes(seq.as_ref().try_into()?))),
            None => Ok(None),
        })?;
        let mut batch = Batch::default();
        for row in &plan.rows {
            batch.insert(&place(row.seq), row.value());
            batch.insert(id(&row.key), &row.seq.to_be_bytes());
        }
        db.apply_batch(batch)?;
        db.flush()?;
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        self.chain = plan.after;
        Ok(plan.receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(TreeReader(self.db.clone())))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        self.db.flush()?;
        Ok(())
    }
}

struct TreeReader(Db);

impl Reader for TreeReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        let value = self.0.get(place(seq))?.ok_or("nothing is there")?;
        Ok(parts(&value)?.1.to_vec())
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        for found in self.0.range(place(seqs.start)..place(seqs.end)) {
            let (_, value) = found?;
            let (header, payload) = parts(&value)?;
            see(header, payload)?;
        }
        Ok(())
    }
}
