//! `PostgreSQL`: a hash-chained audit table.
//!
//! Two ways to chain. With one connection the client does: it knows the end of the chain, so a
//! commit is one statement and one round trip, whatever its size. With many connections a function
//! in the database does, under a lock that is held until the commit: also one round trip.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use postgres::{Client, Statement, error::SqlState, fallible_iterator::FallibleIterator as _};

use crate::{
    chain::{Chain, Plan},
    events::{Event, Key},
    store::{Fault, Reader, Receipt, See, Store},
    stores::postgres_server::{Server, connect},
};

const SCHEMA: &str = include_str!("audit.sql");

/// The server, the writer's connection, and where the chain ends.
pub(crate) struct PostgresStore {
    dir: PathBuf,
    client: Client,
    insert: Statement,
    chain: Chain,
    // Dropped after the connection.
    _server: Server,
}

impl PostgresStore {
    pub(crate) fn open(dir: &Path) -> Result<PostgresStore, Fault> {
        let mut server = Server::start(dir)?;
        let mut client = server.connect()?;
        Server::assert_durable(&mut client)?;
        client.batch_execute(SCHEMA)?;
        let last = "SELECT header FROM entry ORDER BY seq DESC LIMIT 1";
        let last = client.query_opt(last, &[])?;
        let chain = Chain::ending(last.as_ref().map(|row| row.get(0)))?;
        let insert = client.prepare(
            "INSERT INTO entry (seq, id, header, payload)
             SELECT * FROM unnest($1::int8[], $2::bytea[], $3::bytea[], $4::bytea[])",
        )?;
        Ok(PostgresStore { dir: dir.to_owned(), client, insert, chain, _server: server })
    }

    /// One transaction, or `None` if the index knows an id already: then nothing is changed.
    fn store(&mut self, plan: &Plan<'_>) -> Result<Option<()>, Fault> {
        let seqs: Result<Vec<_>, _> = plan.rows.iter().map(|row| i64::try_from(row.seq)).collect();
        let ids: Vec<_> = plan.rows.iter().map(|row| row.key.as_slice()).collect();
        let headers: Vec<_> = plan.rows.iter().map(|row| row.header.as_slice()).collect();
        let payloads: Vec<_> = plan.rows.iter().map(|row| row.payload).collect();
        match self.client.execute(&self.insert, &[&seqs?, &ids, &headers, &payloads]) {
            Err(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(None),
            stored => Ok(Some(stored.map(|_| ())?)),
        }
    }
}

fn find(client: &mut Client, key: &Key) -> Result<Option<u64>, Fault> {
    let found = client.query_opt("SELECT seq FROM entry WHERE id = $1", &[&key.as_slice()])?;
    Ok(found.map(|row| u64::try_from(row.get::<_, i64>(0))).transpose()?)
}

impl Store for PostgresStore {
    fn len(&self) -> u64 {
        self.chain.next
    }

    fn append(&mut self, events: Vec<Event>) -> Result<Vec<Receipt>, Fault> {
        // Most ids are new, and the unique index says when one is not; only then each is looked up.
        let mut plan = self.chain.plan(&events, |_| Ok(None))?;
        if self.store(&plan)?.is_none() {
            plan = self.chain.plan(&events, |key| find(&mut self.client, key))?;
            self.store(&plan)?.ok_or("the index knows an id that it does not find")?;
        }
        self.chain = plan.after;
        Ok(plan.receipts)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        let mut client = connect(&self.dir)?;
        let read = client.prepare("SELECT payload FROM entry WHERE seq = $1")?;
        let scan = "SELECT header, payload FROM entry WHERE seq >= $1 AND seq < $2 ORDER BY seq";
        let scan = client.prepare(scan)?;
        Ok(Box::new(TableReader { client, read, scan }))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        // Dropping the server stops it, and waits for its last checkpoint.
        Ok(())
    }
}

struct TableReader {
    client: Client,
    read: Statement,
    scan: Statement,
}

impl Reader for TableReader {
    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Fault> {
        Ok(self.client.query_one(&self.read, &[&i64::try_from(seq)?])?.get(0))
    }

    fn scan(&mut self, seqs: Range<u64>, see: &mut See<'_>) -> Result<(), Fault> {
        let range = [i64::try_from(seqs.start)?, i64::try_from(seqs.end)?];
        let mut rows = self.client.query_raw(&self.scan, range)?;
        while let Some(row) = rows.next()? {
            see(row.get(0), row.get(1))?;
        }
        Ok(())
    }
}

/// A server for many connections, each of which records single events by itself.
pub(crate) struct Callers {
    dir: PathBuf,
    _server: Server,
}

impl Callers {
    pub(crate) fn open(dir: &Path) -> Result<Callers, Fault> {
        let mut server = Server::start(dir)?;
        server.connect()?.batch_execute(SCHEMA)?;
        Ok(Callers { dir: dir.to_owned(), _server: server })
    }

    /// A connection that can call the SQL function `function`, waiting for others `delay_us`
    /// before it syncs (`commit_delay`).
    pub(crate) fn caller(&self, function: &str, delay_us: u32) -> Result<Caller, Fault> {
        let mut client = connect(&self.dir)?;
        Server::assert_durable(&mut client)?;
        client.batch_execute(&format!("SET commit_delay = {delay_us}"))?;
        let append = client.prepare(&format!("SELECT {function}($1, $2, $3)"))?;
        Ok(Caller { client, append })
    }

    /// Checks the chain that the function made, in the database.
    pub(crate) fn verify(&self) -> Result<u64, Fault> {
        let mut client = connect(&self.dir)?;
        let row = client.query_one("SELECT * FROM audit_verify()", &[])?;
        let (entries, broken): (i64, i64) = (row.get(0), row.get(1));
        if broken > 0 {
            return Err(format!("{broken} of {entries} entries do not follow").into());
        }
        Ok(u64::try_from(entries)?)
    }
}

/// One of many connections.
pub(crate) struct Caller {
    client: Client,
    append: Statement,
}

impl Caller {
    /// Records an event in a transaction of its own.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), Fault> {
        let digest = event.digest().0;
        let values: [&(dyn postgres::types::ToSql + Sync); 3] =
            [&event.key.as_slice(), &digest.as_slice(), &event.payload()];
        self.client.query_one(&self.append, &values)?;
        Ok(())
    }
}
