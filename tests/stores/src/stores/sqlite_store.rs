//! `SQLite`: one table with a unique index, write-ahead log, synced at every commit.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::{
    chain::{Chain, Plan},
    events::{Event, Key},
    store::{CACHE_SIZE, Fault, Reader, Receipt, See, Store},
};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        header BLOB NOT NULL,
        payload BLOB NOT NULL
    )";

/// The writer's connection, and where the chain ends.
pub(crate) struct SqliteStore {
    path: PathBuf,
    db: Connection,
    chain: Chain,
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // A negative size counts KiB.
    db.pragma_update(None, "cache_size", -i64::try_from(CACHE_SIZE / 1024)?)?;
    Ok(db)
}

impl SqliteStore {
    pub(crate) fn open(dir: &Path) -> Result<SqliteStore, Fault> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("sqlite");
        let db = connect(&path)?;
        db.execute(SCHEMA, [])?;
        let last = "SELECT header FROM entry ORDER BY seq DESC LIMIT 1";
        let last: Option<Vec<u8>> = db.query_row(last, [], |row| row.get(0)).optional()?;
        let chain = Chain::ending(last.as_deref())?;
        Ok(SqliteStore { path, db, chain })
    }

    /// One transaction, or `None` if the index knows an id already: then nothing is changed.
    fn store(&mut self, plan: &Plan<'_>) -> Result<Option<()>, Fault> {
        let transaction = self.db.transaction()?;
        let insert = "INSERT INTO entry (seq, id, header, payload) VALUES (?, ?, ?, ?)";
        {
            let mut insert = transaction.prepare_cached(insert)?;
            for row in &plan.rows {
                let seq = i64::try_from(row.seq)?;
                let inserted = insert.execute(params![seq, row.key, row.header, row.payload]);
                match inserted {
                    Err(rusqlite::Error::SqliteFailure(e, _))
                        if e.code == ErrorCode::ConstraintViolation =>
                    {
                        return Ok(None);
                    }
                    inserted => inserted?,
                };
            }
        }
        transaction.commit()?;
        Ok(Some(()))
    }

    fn find(&self, key: &Key) -> Result<Option<u64>, Fault> {
        let mut find = self.db.prepare_cached("SELECT seq FROM entry WHERE id = ?")?;
        let seq: Option<i64> = find.query_row([key], |row| row.get(0)).optional()?;
        Ok(seq.map(u64::try_from).transpose()?)
    }
}

impl Store for SqliteStore {
    fn len(&self) -> u64 {
        self.chain.next
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        // Most ids are new, and the unique index says when one is not; only then each is looked up.
        let mut plan = self.chain.plan(&events, |_| Ok(None))?;
        if self.store(&plan)?.is_none() {
            plan = self.chain.plan(&events, |key| self.find(key))?;
            self.store(&plan)?.ok_or("the index knows an id that it does not find")?;
        }
        self.chain = plan.after;
        Ok(plan.receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(RowReader(connect(&self.path)?)))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        // The last connection that closes folds the write-ahead log into the file.
        self.db.close().map_err(|(_, e)| e)?;
        Ok(())
    }
}

struct RowReader(Connection);

impl Reader for RowReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        let mut read = self.0.prepare_cached("SELECT payload FROM entry WHERE seq = ?")?;
        Ok(read.query_row([i64::try_from(seq)?], |row| row.get(0))?)
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        let scan = "SELECT header, payload FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq";
        let mut scan = self.0.prepare_cached(scan)?;
        let range = [i64::try_from(seqs.start)?, i64::try_from(seqs.end)?];
        let mut rows = scan.query(range)?;
        while let Some(row) = rows.next()? {
            see(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?)?;
        }
        Ok(())
    }
}
