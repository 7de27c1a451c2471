//! A log that is partition 0 of a topic of Apache Kafka.
//!
//! Kafka has no append that asks what the log's end is, so that there is one writer follows from fencing, and that
//! all is right from reading back:
//!
//! - **Take-over.** The writer's transactional id is `ledger-<ledger id>`. Becoming its producer fences all older
//!   ones and decides what they had open. Then the log is read and checked to its end, which nobody moves any more.
//! - **Append.** One transaction, one partition; all deliveries are awaited, then it is committed, and `append`
//!   returns when an own consumer has read the very same entries back. That the commit went well is not enough.
//! - **Doubt.** After any error the log is poisoned: [`InDoubt`](LogError::InDoubt), and opening it again tells
//!   what is there. A transaction is never aborted, and a producer that saw a request lost is not used again:
//!   librdkafka sends the end of a transaction again by itself, and a late copy of it, meeting the next one, may
//!   only ever commit a beginning of it. A beginning of a chain is a chain.
//! - **Fencing.** [`Fenced`](LogError::Fenced): another one writes now. This one never takes the log back unasked.
//! - **Reading.** Committed records alone, each of which must follow the one before; anything else stops the reader
//!   with its offset and its place.
//!
//! An entry's payload cannot be taken out of a topic: [`erase`](Log::erase) says so with
//! [`ErasurePending`](LogError::ErasurePending), and the payload goes when the log is copied to its next topic.
//! An entry that comes without its payload is stored so.

use std::{
    fmt,
    sync::{Mutex, PoisonError, RwLock},
};

use self::{
    access::{Access, named},
    check::Inspector,
    client::lock,
    places::Places,
    pool::Pool,
    producer::Producer,
    reader::{NO_END, PATIENCE, Reader, truncated},
};
pub use self::{
    address::{Anchor, InvalidKafkaAddress, KafkaAddress, KafkaOptions},
    board::KafkaBoard,
    candidate::{KafkaCandidate, Turn},
    check::Inspection,
    cluster::KafkaCluster,
    record::{CONTENT_TYPE, LEDGER_ERASED, LEDGER_HEADER},
};
use crate::{
    chain::Head,
    entry::{Entry, Seq},
    envelope::Envelope,
    log::{Log, LogError, assert_follows, refusal::Refusals},
};

mod access;
mod address;
mod board;
mod candidate;
mod check;
mod client;
mod cluster;
mod create;
mod places;
mod pool;
mod producer;
mod reader;
mod record;

/// A log in a topic. See the module's text for what it promises.
pub struct KafkaLog {
    address: KafkaAddress,
    options: KafkaOptions,
    allowed: Refusals,
    unknown: Refusals,
    end: RwLock<End>,
    places: Mutex<Places>,
    /// Reads what is new. The writer's way back.
    tail: Mutex<Reader>,
    /// Read what is old.
    pool: Pool,
    writer: Option<Mutex<Writer>>,
    as_what: As,
}

/// Whose transactional id the producer has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Writer,
    /// A copy must not fence the ledger's writer off, who may be at work on another topic of the same cluster.
    Copier,
}

/// How far the log is known and verified.
#[derive(Clone, Copy)]
struct End {
    head: Head,
    anchor: Option<Anchor>,
}

/// Who the writer is, and whether it may go on.
struct Writer {
    /// `None` while it is not known how the last append ended.
    producer: Option<Producer>,
    /// For `ledger-<id>`, and the key of entries about no rollout.
    ledger: Option<String>,
    fenced: bool,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaLog({}, {:?})", self.address, self.end().head)
    }
}

impl KafkaLog {
    /// Makes the topic, with every setting as a ledger needs it, and opens it for writing.
    ///
    /// Fails with [`Exists`](LogError::Exists) if there is such a topic.
    pub fn create(address: &KafkaAddress, options: &KafkaOptions) -> Result<KafkaLog, LogError> {
        create::topic(address, options).map_err(named(address, options, Access::Make))?;
        KafkaLog::open(address, options)
    }

    /// Takes the log over: from now on, every older writer's append fails with [`Fenced`](LogError::Fenced).
    ///
    /// Fails with [`Unsafe`](LogError::Unsafe), before anyone is fenced, if the topic or cluster could lose entries
    /// and that was not allowed; with [`Corrupt`](LogError::Corrupt) if the log does not chain or lacks its anchor.
    pub fn open(address: &KafkaAddress, options: &KafkaOptions) -> Result<KafkaLog, LogError> {
        KafkaLog::open_as(address, options, As::Writer).map_err(named(
            address,
            options,
            Access::Write(None),
        ))
    }

    /// Opens a topic that [`copy`](mod@crate::copy) fills, and makes it if it is not there. Other copies into it are
    /// fenced off, and no writer is: nothing but a copy may write there until the ledger has moved.
    pub fn open_for_copy(
        address: &KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<KafkaLog, LogError> {
        let made = create::topic(address, options);
        match made.map_err(named(address, options, Access::Make)) {
            Ok(()) | Err(LogError::Exists(_)) => KafkaLog::open_as(address, options, As::Copier)
                .map_err(named(address, options, Access::Write(None))),
            Err(e) => Err(e),
        }
    }

    fn open_as(
        address: &KafkaAddress,
        options: &KafkaOptions,
        as_what: As,
    ) -> Result<KafkaLog, LogError> {
        let inspector = Inspector::new(address, options)?;
        let allow = |refusals: Refusals| match refusals {
            Refusals(all) if !all.is_empty() && !options.allow_unsafe => {
                Err(LogError::Unsafe(Refusals(all)))
            }
            refusals => Ok(refusals),
        };
        allow(inspector.refusals()?)?;
        let mut log = KafkaLog { as_what, ..KafkaLog::start(address, options)? };
        let mut ledger = log.ledger_id()?;
        let mut producer = log.take_over(ledger.as_deref())?;
        // What another writer may have begun meanwhile is decided now.
        if ledger.is_none() {
            ledger = log.ledger_id()?;
            if ledger.is_some() {
                producer = log.take_over(ledger.as_deref())?;
            }
        }
        log.catch_up()?;
        // Again: the first take-over of a cluster makes the topic of transactions.
        let Inspection { refusals, unknown } = inspector.found()?;
        (log.allowed, log.unknown) = (allow(refusals)?, unknown);
        let writer = Writer { producer: Some(producer), ledger, fenced: false };
        log.writer = Some(Mutex::new(writer));
        Ok(log)
    }

    /// Reads and checks the log to its end as it is now, and never writes.
    pub fn open_read_only(
        address: &KafkaAddress,
        options: &KafkaOptions,
    ) -> Result<KafkaLog, LogError> {
        let log = KafkaLog::follow(address, options)?;
        log.catch_up()?;
        Ok(log)
    }

    /// A log whose head is the anchor, or the empty chain's without one; [`advance`](KafkaLog::advance) moves it on.
    pub fn follow(address: &KafkaAddress, options: &KafkaOptions) -> Result<KafkaLog, LogError> {
        let ready = Inspector::new(address, options)?.is_ready();
        if !ready.map_err(named(address, options, Access::Read))? {
            return Err(LogError::Missing(address.path()));
        }
        KafkaLog::start(address, options)
    }

    /// Reads and checks what is new, at most `limit` entries of it, and returns the head then. Waits a tenth of a
    /// second for the first one, if `wait` says so. Entries are read by [`read`](Log::read).
    ///
    /// After an error the head stays where it is, and damage stays damage. A writer's log moves by its appends
    /// alone: here it tells its head.
    pub fn advance(&self, limit: usize, wait: bool) -> Result<Head, LogError> {
        if self.writer.is_some() {
            return Ok(self.head());
        }
        let mut tail = lock(&self.tail);
        let mut left = limit;
        if wait && left > 0 {
            left -= 1;
            if self.next(&mut tail, NO_END, 0)?.is_none() {
                left = 0;
            }
        }
        if left > 0 {
            let (_, end) = tail.bounds()?;
            while left > 0 && self.next(&mut tail, end, PATIENCE)?.is_some() {
                left -= 1;
            }
        }
        Ok(self.end().head)
    }

    /// The last record that was verified, to be kept outside and given to the next opening.
    pub fn anchor(&self) -> Option<Anchor> {
        self.end().anchor
    }

    /// Up to which offset everything is decided: the log's lag is the way from the anchor to there.
    pub fn last_stable_offset(&self) -> Result<i64, LogError> {
        lock(&self.tail).bounds().map(|(_, end)| end)
    }

    /// What was wrong with the topic and the cluster when it was opened for writing, and was allowed.
    pub fn allowed(&self) -> &Refusals {
        &self.allowed
    }

    /// What of the topic and the cluster could not be asked when it was opened for writing.
    pub fn unknown(&self) -> &Refusals {
        &self.unknown
    }

    /// Where the log is.
    pub fn address(&self) -> &KafkaAddress {
        &self.address
    }

    fn start(address: &KafkaAddress, options: &KafkaOptions) -> Result<KafkaLog, LogError> {
        let mut tail = Reader::new(address, options)?;
        let (first, end) = tail.bounds()?;
        if first != 0 {
            let what = format!("topic {} begins at offset {first} and not at 0", address.topic());
            return Err(truncated(Seq(0), what));
        }
        let mut known = End { head: Head::GENESIS, anchor: None };
        match options.anchor {
            None => tail.seek(0, Some(Head::GENESIS))?,
            Some(anchor) => {
                known.head = anchored(&mut tail, anchor, end)?;
                known.anchor = Some(anchor);
            }
        }
        let mut places = Places::default();
        known.anchor.iter().for_each(|anchor| places.keep(anchor.seq, anchor.offset));
        Ok(KafkaLog {
            address: address.clone(),
            options: options.clone(),
            allowed: Refusals::default(),
            unknown: Refusals::default(),
            end: RwLock::new(known),
            places: Mutex::new(places),
            tail: Mutex::new(tail),
            pool: Pool::default(),
            writer: None,
            as_what: As::Writer,
        })
    }

    /// Reads and checks to where everything is decided now.
    fn catch_up(&self) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        let (_, end) = tail.bounds()?;
        while self.next(&mut tail, end, PATIENCE)?.is_some() {}
        Ok(())
    }

    /// The next new entry. The head moves past it.
    fn next(&self, tail: &mut Reader, end: i64, waits: u32) -> Result<Option<Entry>, LogError> {
        let Some((entry, offset)) = tail.next(end, waits)? else { return Ok(None) };
        lock(&self.places).pass(entry.seq(), offset);
        self.publish(tail.head, &entry, offset);
        Ok(Some(entry))
    }

    fn publish(&self, head: Option<Head>, last: &Entry, offset: i64) {
        let anchor = Anchor { offset, seq: last.seq(), hash: last.hash() };
        let mut end = self.end.write().unwrap_or_else(PoisonError::into_inner);
        *end = End { head: head.unwrap_or(end.head), anchor: Some(anchor) };
    }

    fn end(&self) -> End {
        *self.end.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What entry 0 says, if it is there. The topic's name for a chain that does not begin with `ledger.opened`.
    fn ledger_id(&self) -> Result<Option<String>, LogError> {
        let mut reader = Reader::new(&self.address, &self.options)?;
        let (_, end) = reader.bounds()?;
        reader.seek(0, Some(Head::GENESIS))?;
        let first = reader.next(end, PATIENCE)?;
        Ok(first.map(|(entry, _)| ledger_id(&entry).unwrap_or(self.address.topic().to_owned())))
    }

    /// Before there is an entry, the topic's name is the ledger's id, so that one alone writes the first.
    fn take_over(&self, ledger: Option<&str>) -> Result<Producer, LogError> {
        let id = self.transactional_id(ledger);
        Producer::take_over(&self.address, &self.options, &id).map_err(self.denied(&id))
    }

    fn transactional_id(&self, ledger: Option<&str>) -> String {
        let topic = self.address.topic();
        match self.as_what {
            As::Writer => format!("ledger-{}", ledger.unwrap_or(topic)),
            As::Copier => format!("ledger-copy-{topic}"),
        }
    }

    /// For `map_err`: names what a writer lacks.
    fn denied(&self, id: &str) -> impl FnOnce(LogError) -> LogError {
        named(&self.address, &self.options, Access::Write(Some(id)))
    }

    /// A fresh producer. Whether another writer was there meanwhile, the log tells: before it is made, so that a
    /// writer that has begun is not shut out, and after it, when none can begin any more.
    fn renewed(&self, ledger: Option<&str>, head: Head) -> Result<Producer, LogError> {
        self.catch_up()?;
        if self.end().head != head {
            return Err(LogError::Fenced);
        }
        let producer = self.take_over(ledger)?;
        self.catch_up()?;
        if self.end().head == head { Ok(producer) } else { Err(LogError::Fenced) }
    }

    fn write(&self, writer: &mut Writer, entries: &[Entry], head: Head) -> Result<(), LogError> {
        if writer.fenced {
            return Err(LogError::Fenced);
        }
        // Put back after a clean commit alone: whatever happens in between leaves the log poisoned.
        let mut producer = writer.producer.take().ok_or(LogError::InDoubt(None))?;
        if producer.is_suspect() {
            drop(producer);
            producer = self.renewed(writer.ledger.as_deref(), head)?;
        }
        let key = writer.ledger.as_deref().unwrap_or(self.address.topic());
        let first = entries.first().filter(|_| writer.ledger.is_none());
        let opened = first.map(|entry| ledger_id(entry).unwrap_or(self.address.topic().to_owned()));
        let key = opened.as_deref().unwrap_or(key);
        let records: Vec<_> = entries.iter().map(|entry| record::of_entry(entry, key)).collect();
        producer.commit(&records)?;
        self.read_back(entries)?;
        if let Some(opened) = opened {
            // The ledger has its id now, which every later writer knows.
            if opened != self.address.topic() {
                drop(producer);
                producer = self.renewed(Some(&opened), self.end().head)?;
            }
            writer.ledger = Some(opened);
        }
        writer.producer = Some(producer);
        Ok(())
    }

    /// The head moves when all of them are there.
    fn read_back(&self, entries: &[Entry]) -> Result<(), LogError> {
        let mut tail = lock(&self.tail);
        let mut last = None;
        for entry in entries {
            let Some((read, offset)) = tail.next(NO_END, PATIENCE)? else {
                return Err(LogError::InDoubt(None));
            };
            if read != *entry {
                // Chained all the same: another writer's, who took over in between.
                return Err(LogError::Fenced);
            }
            lock(&self.places).pass(entry.seq(), offset);
            last = Some((entry, offset));
        }
        if let Some((entry, offset)) = last {
            self.publish(tail.head, entry, offset);
        }
        Ok(())
    }
}

impl Log for KafkaLog {
    fn head(&self) -> Head {
        self.end().head
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        let mut writer = lock(self.writer.as_ref().ok_or(LogError::ReadOnly)?);
        let head = self.end().head;
        if writer.producer.is_some() {
            assert_follows(head, entries);
        }
        if entries.is_empty() && writer.producer.is_some() {
            return Ok(());
        }
        let written = self.write(&mut writer, entries, head);
        writer.fenced |= matches!(written, Err(LogError::Fenced));
        let id = self.transactional_id(writer.ledger.as_deref());
        match written {
            // The append may have happened all the same.
            Err(LogError::Unavailable { source, .. }) => Err(LogError::InDoubt(Some(source))),
            written => written,
        }
        .map_err(self.denied(&id))
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        let len = limit.min(self.end().head.len_from(from));
        if len == 0 {
            return Ok(Vec::new());
        }
        let mut reader = self.pool.take(from, || Reader::new(&self.address, &self.options))?;
        let mut entries = Vec::with_capacity(len);
        if reader.at() != Some(from) {
            entries.push(self.find(&mut reader, from)?);
        }
        while entries.len() < len {
            let (entry, _) = expected(reader.next(NO_END, PATIENCE)?, from)?;
            entries.push(entry);
        }
        self.pool.give_back(reader);
        Ok(entries)
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        match self.read(target, 1)?.first() {
            Some(entry) if entry.payload().is_some() => Err(LogError::ErasurePending(target)),
            _ => Ok(()),
        }
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

/// Reads the record that was known from before, and returns the head after it.
fn anchored(tail: &mut Reader, anchor: Anchor, end: i64) -> Result<Head, LogError> {
    let Anchor { offset, seq, hash } = anchor;
    if offset >= end {
        let what = format!("the record at offset {offset} was there, and the topic ends at {end}");
        return Err(truncated(seq, what));
    }
    tail.seek(offset, None)?;
    let found = tail
        .next(end, PATIENCE)?
        .filter(|(entry, at)| (*at, entry.seq(), entry.hash()) == (offset, seq, hash));
    let head = found.and(tail.head);
    head.ok_or_else(|| {
        truncated(seq, format!("the record at offset {offset} is not {hash} any more"))
    })
}

fn ledger_id(entry: &Entry) -> Option<String> {
    let envelope = Envelope::read(entry.payload()?).ok()?;
    (envelope.event_type() == crate::envelope::OPENED).then(|| envelope.ledger_text("ledger_id"))?
}

/// The log was read this far once, so not to get there is no end of it.
fn expected<T>(read: Option<T>, seq: Seq) -> Result<T, LogError> {
    read.ok_or_else(|| {
        let doing = format!("reading entry {seq}, which does not come");
        LogError::Unavailable { doing, source: std::io::ErrorKind::TimedOut.into() }
    })
}
