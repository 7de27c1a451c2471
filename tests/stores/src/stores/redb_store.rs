//! redb: two tables in one transaction, which is durable once it is committed.

use std::{ops::Range, path::Path, sync::Arc};

use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::{
    chain::{Chain, parts},
    events::Event,
    store::{CACHE_SIZE, Fault, Reader, Receipt, See, Store},
};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const IDS: TableDefinition<'_, [u8; 16], u64> = TableDefinition::new("ids");

/// redb, and where the chain ends.
pub(crate) struct RedbStore {
    db: Arc<Database>,
    chain: Chain,
}

impl RedbStore {
    pub(crate) fn open(dir: &Path) -> Result<RedbStore, Fault> {
        std::fs::create_dir_all(dir)?;
        let db = Database::builder().set_cache_size(CACHE_SIZE).create(dir.join("redb"))?;
        let write = db.begin_write()?;
        let chain = {
            write.open_table(IDS)?;
            let entries = write.open_table(ENTRIES)?;
            let last = entries.last()?;
            Chain::ending(last.as_ref().map(|(_, value)| value.value()))?
        };
        write.commit()?;
        Ok(RedbStore { db: Arc::new(db), chain })
    }
}

impl Store for RedbStore {
    fn len(&self) -> u64 {
        self.chain.next
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        let mut write = self.db.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        let plan = {
            let mut entries = write.open_table(ENTRIES)?;
            let mut ids = write.open_table(IDS)?;
            let plan =
                self.chain.plan(&events, |key| Ok(ids.get(key)?.map(|found| found.value())))?;
            for row in &plan.rows {
                entries.insert(row.seq, row.value().as_slice())?;
                ids.insert(row.key, row.seq)?;
            }
            plan
        };
        write.commit()?;
        self.chain = plan.after;
        Ok(plan.receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(TableReader(self.db.clone())))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

struct TableReader(Arc<Database>);

impl Reader for TableReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        let value = self.0.begin_read()?.open_table(ENTRIES)?.get_owned(seq)?;
        Ok(parts(value.ok_or("nothing is there")?.value())?.1.to_vec())
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        for found in self.0.begin_read()?.open_table(ENTRIES)?.range(seqs)? {
            let (_, value) = found?;
            let (header, payload) = parts(value.value())?;
            see(header, payload)?;
        }
        Ok(())
    }
}
