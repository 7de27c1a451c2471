//! Which ids are recorded, and where: so that a retry gets its first receipt.
//!
//! Derived from the log alone, and made again from it where it is missing or damaged. The newest ids
//! are in memory; older ones lie in sorted [`run`]s, each with a small [`filter`] in memory, so that
//! an id that was never seen costs no read, however many there are. Runs are merged by fours until
//! they are large. An id's entry is never believed to be the same event: the writer compares.
//!
//! Runs are written and merged bit by bit, a little for each id that comes in ([`upkeep`]), so that
//! no commit waits for the whole of one.

mod building;
pub(crate) mod claims;
mod filter;
mod run;
mod upkeep;

use std::{
    collections::HashMap,
    fs,
    hash::{BuildHasherDefault, Hasher},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    chain::Head,
    draft::Key,
    entry::{Entry, Hash, Header, Seq},
    envelope::{Envelope, Mark},
    index::{
        filter::Probe,
        run::{Damaged, Run, Stretch},
        upkeep::Upkeep,
    },
    log::{Log, LogError, pages},
};

/// Ids in memory before they are written as a run.
const TAIL_LEN: usize = 1 << 16;

/// The index of ids. It becomes useful once a [`Writer`](crate::Writer) has brought it to the head.
#[derive(Debug)]
pub struct Index {
    /// `None`: nothing is written, and all is in memory.
    dir: Option<PathBuf>,
    tail_len: usize,
    /// In the order of the chain, without gaps, from seq 0.
    runs: Vec<Arc<Run>>,
    /// What is after the last run and is being written as the next one.
    frozen: Ids,
    /// What is after that.
    tail: Ids,
    /// Where the tail begins, and where it ends.
    tail_first: Seq,
    next: Seq,
    upkeep: Upkeep,
    /// Set when somebody has seen it lie: see [`IndexWatch`].
    doubted: Arc<AtomicBool>,
}

/// Compares an index that a writer uses with the log, from another thread: see
/// [`verify_with_index`](crate::verify_with_index).
#[derive(Clone, Debug)]
pub struct IndexWatch {
    dir: Option<PathBuf>,
    doubted: Arc<AtomicBool>,
}

impl IndexWatch {
    /// Where the files are, if there are any.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Has the writer make the index again from the log before it believes it once more.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }
}

type Ids = HashMap<Key, Seq, BuildHasherDefault<KeyHasher>>;

impl Index {
    /// An index that is lost with the process, for tests and small logs.
    pub fn in_memory() -> Index {
        Index::new(None, usize::MAX)
    }

    /// An index that is kept in a directory of its own, which is made when it is first needed.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Index {
        Index::new(Some(dir.into()), TAIL_LEN)
    }

    /// [`in_dir`](Index::in_dir) with small runs, so that tests see many of them.
    #[cfg(feature = "testing")]
    pub fn in_dir_with_tail_len(dir: impl Into<PathBuf>, tail_len: usize) -> Index {
        Index::new(Some(dir.into()), tail_len)
    }

    fn new(dir: Option<PathBuf>, tail_len: usize) -> Index {
        // Growing it bit by bit would cost a writer's turn now and then.
        let room = if dir.is_some() { tail_len * 5 / 4 } else { 0 };
        let ids = || HashMap::with_capacity_and_hasher(room, BuildHasherDefault::default());
        Index {
            dir,
            tail_len,
            runs: Vec::new(),
            frozen: ids(),
            tail: ids(),
            tail_first: Seq(0),
            next: Seq(0),
            upkeep: Upkeep::default(),
            doubted: Arc::default(),
        }
    }

    /// For a thread that compares it with the log while a writer uses it.
    pub(crate) fn watch(&self) -> IndexWatch {
        IndexWatch { dir: self.dir.clone(), doubted: self.doubted.clone() }
    }

    /// How many entries of the log it covers.
    pub fn covered(&self) -> Seq {
        self.next
    }

    /// Brings the index to the head of the log, by what is on disk and what must be read.
    pub(crate) fn catch_up(&mut self, log: &dyn Log) -> Result<(), LogError> {
        if self.next == Seq(0) {
            self.load_runs(log)?;
        }
        self.read_to(log, log.head().next)
    }

    /// Brings the index at most so many entries nearer to the head of a log that another one writes, so that a
    /// [`Writer`](crate::Writer) that takes over finds it on disk.
    pub fn follow(&mut self, log: &dyn Log, limit: usize) -> Result<(), LogError> {
        if self.next == Seq(0) {
            self.load_runs(log)?;
        }
        let end = self.next.0.saturating_add(limit as u64);
        self.read_to(log, log.head().next.min(Seq(end)))
    }

    fn read_to(&mut self, log: &dyn Log, end: Seq) -> Result<(), LogError> {
        let head = log.head();
        for page in pages(log, self.next, end) {
            let page = page?;
            let Some(last) = page.last() else { break };
            let head = Head { next: last.seq().next(), hash: last.hash(), ..head };
            for entry in &page {
                if let Some(key) = own_key(entry) {
                    self.insert(key, entry.seq());
                }
                if let Some((key, target)) = redacted_key(&entry.mark()) {
                    self.insert_redacted(key, target);
                }
            }
            self.advance(head);
        }
        Ok(())
    }

    /// Where the event with this key is recorded.
    pub(crate) fn find(&mut self, key: Key, log: &dyn Log) -> Result<Option<Seq>, LogError> {
        let doubted = self.doubted.load(Ordering::Relaxed);
        if let Ok(found) = self.find_here(key)
            && !doubted
        {
            return Ok(found);
        }
        self.make_again(log)?;
        self.doubted.store(false, Ordering::Relaxed);
        self.find_here(key).map_err(|Damaged| {
            let source = std::io::Error::other("it cannot be read even when just written");
            LogError::Unavailable { doing: "using the index of ids".to_owned(), source }
        })
    }

    fn find_here(&self, key: Key) -> Result<Option<Seq>, Damaged> {
        if let Some(seq) = self.tail.get(&key).or_else(|| self.frozen.get(&key)) {
            return Ok(Some(*seq));
        }
        let probe = Probe::of(key);
        for run in self.runs.iter().rev() {
            if let Some(seq) = run.find(key, &probe)? {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Remembers one id of the entries that the next [`advance`](Index::advance) covers.
    pub(crate) fn insert(&mut self, key: Key, seq: Seq) {
        self.tail.insert(key, seq);
        self.upkeep.one_more();
    }

    /// Remembers the id that a redaction says its target had, whose payload can no longer tell. An
    /// id that is known is not given to another entry, whatever a redaction says.
    pub(crate) fn insert_redacted(&mut self, key: Key, target: Seq) {
        if !matches!(self.find_here(key), Ok(Some(_))) {
            self.insert(key, target);
        }
    }

    /// Says that all ids below this head are inserted, and does a little of the upkeep.
    pub(crate) fn advance(&mut self, head: Head) {
        self.next = head.next;
        if self.tail.len() >= self.tail_len {
            self.freeze(head.hash);
        }
        self.keep_up();
    }

    /// Opens the runs that fit the log, and removes all other files.
    fn load_runs(&mut self, log: &dyn Log) -> Result<(), LogError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let Ok(files) = fs::read_dir(dir) else { return Ok(()) };
        let mut runs = Vec::new();
        for path in files.filter_map(|file| Some(file.ok()?.path())) {
            match Run::open(&path, log.head().next.0) {
                Ok(run) => runs.push(Arc::new(run)),
                Err(Damaged) => drop(fs::remove_file(&path)),
            }
        }
        // After a crash inside a merge both the parts and the whole are there: the whole wins.
        runs.sort_by_key(|run| (run.stretch.first, std::cmp::Reverse(run.stretch.next)));
        for run in runs {
            let Stretch { first, next, hash } = run.stretch;
            // Every entry has an id, and tells it as long as it has its payload: with fewer keys
            // than that, a writer would take for new what is recorded.
            let telling = next.0.saturating_sub(first.0).saturating_sub(log.erased(first, next));
            let fits = first == self.next
                && next > first
                && run.len() as u64 >= telling
                && hash_at(log, next)? == Some(hash);
            if fits {
                self.next = next;
                self.runs.push(run);
            } else {
                run.remove();
            }
        }
        self.tail_first = self.next;
        self.plan_merges();
        Ok(())
    }

    /// Makes the index from the log alone, when it has said what the log does not.
    pub(crate) fn make_again(&mut self, log: &dyn Log) -> Result<(), LogError> {
        self.forget();
        self.catch_up(log)
    }

    /// Starts from nothing.
    fn forget(&mut self) {
        self.abandon_upkeep();
        self.runs.drain(..).for_each(|run| run.remove());
        self.tail.clear();
        self.frozen.clear();
        (self.tail_first, self.next) = (Seq(0), Seq(0));
    }
}

/// The hash of the last entry before `next`, if the log holds it.
fn hash_at(log: &dyn Log, next: Seq) -> Result<Option<Hash>, LogError> {
    let Some(last) = next.0.checked_sub(1) else { return Ok(None) };
    Ok(log.headers(Seq(last), 1)?.first().map(Header::hash))
}

/// The id of a stored event, unless it is erased.
pub(crate) fn own_key(entry: &Entry) -> Option<Key> {
    let envelope = Envelope::read(entry.payload()?).ok()?;
    Some(Key::of(envelope.source(), envelope.id()))
}

/// The id of the event that an entry with this mark redacts.
pub(crate) fn redacted_key(mark: &Mark) -> Option<(Key, Seq)> {
    match mark {
        Mark::Redacted(redaction) => {
            Some((Key::of(&redaction.source, &redaction.id), redaction.target))
        }
        _ => None,
    }
}

/// Keys are hashes already: hashing them again would be most of a lookup's cost.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    // An array hashes its length too, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
