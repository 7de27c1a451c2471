//! A sorted file of the ids of one stretch of the chain, with its filter.
//!
//! Derived data, so its layout may change: an unknown one is made again from the log.
//!
//! | bytes           | field                                                            |
//! |-----------------|------------------------------------------------------------------|
//! | 0 - 7           | `RLIDX001`                                                       |
//! | 8 - 15, 16 - 23 | the first seq of the stretch, and the seq after it               |
//! | 24 - 55         | hash of the stretch's last entry: a run fits one chain only      |
//! | 56 - 63         | number of keys                                                   |
//! | 64 - 71         | number of words of the filter                                    |
//! | then            | a u64 for each page: the first 8 bytes of its first key          |
//! | then            | the filter's words                                               |
//! | then            | CRC-32 of all before it                                          |
//! | then, pages     | up to 256 keys of 16 bytes, each with its seq, and their CRC-32  |

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{
    draft::Key,
    entry::{Hash, Seq},
    index::filter::{Filter, Probe},
    regular,
};

const MAGIC: &[u8; 8] = b"RLIDX001";
const FIXED_SIZE: usize = 72;
/// Keys in a page: one read of 6 KiB finds a key.
const PAGE_LEN: usize = 256;
const ROW_SIZE: usize = 24;
const PAGE_SIZE: usize = PAGE_LEN * ROW_SIZE + 4;
/// The most keys that an entry gives: its own, and of a redaction its target's.
const KEYS_PER_ENTRY: u64 = 2;

/// A stretch of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: Seq,
    /// After its last entry.
    pub(crate) next: Seq,
    /// Hash of its last entry.
    pub(crate) hash: Hash,
}

/// An open run. The keys stay in the file.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stretch: Stretch,
    path: PathBuf,
    file: File,
    len: usize,
    fences: Vec<u64>,
    filter: Filter,
    /// Where the pages begin in the file.
    pages_at: u64,
}

/// The file is not a run, or no longer one.
#[derive(Debug)]
pub(crate) struct Damaged;

impl From<io::Error> for Damaged {
    fn from(_: io::Error) -> Damaged {
        // What cannot be read is made again, whatever the reason.
        Damaged
    }
}

impl Run {
    /// Opens a run of a log of at most so many entries. Its pages are checked when they are read.
    ///
    /// Nothing is believed about its size before it is compared with what such a log can have: a
    /// file may claim more than there is memory, and have the length for it without the bytes.
    pub(crate) fn open(path: &Path, entries_max: u64) -> Result<Run, Damaged> {
        let file = regular::open(path)?;
        let mut fixed = [0; FIXED_SIZE];
        file.read_exact_at(&mut fixed, 0)?;
        let (stretch, len, words) = parse_fixed(&fixed).ok_or(Damaged)?;
        let Stretch { first, next, .. } = stretch;
        let entries =
            next.0.checked_sub(first.0).filter(|_| next.0 <= entries_max).ok_or(Damaged)?;
        if len as u64 > entries.saturating_mul(KEYS_PER_ENTRY) || words != Filter::words_for(len) {
            return Err(Damaged);
        }
        let pages = len.div_ceil(PAGE_LEN);
        let pages_at = FIXED_SIZE + (pages + words) * 8 + 4;
        let size = pages_at + len * ROW_SIZE + pages * 4;
        if file.metadata()?.len() != size as u64 {
            return Err(Damaged);
        }
        let mut front = vec![0; pages_at];
        file.read_exact_at(&mut front, 0)?;
        let (front, crc) = front.split_last_chunk::<4>().ok_or(Damaged)?;
        if crc32fast::hash(front) != u32::from_be_bytes(*crc) {
            return Err(Damaged);
        }
        let (numbers, _) = front.get(FIXED_SIZE..).unwrap_or_default().as_chunks::<8>();
        let (fences, words) = numbers.split_at_checked(pages).ok_or(Damaged)?;
        let fences = fences.iter().map(|fence| u64::from_be_bytes(*fence)).collect();
        let (blocks, _) = words.as_chunks::<8>();
        let filter = blocks.iter().map(|block| block.map(u64::from_be_bytes)).collect();
        let (filter, path) = (Filter::from_blocks(filter), path.to_path_buf());
        Ok(Run { stretch, path, file, len, fences, filter, pages_at: pages_at as u64 })
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place that is recorded for a key.
    pub(crate) fn find(&self, key: Key, probe: &Probe) -> Result<Option<Seq>, Damaged> {
        if !self.filter.may_hold(probe) {
            return Ok(None);
        }
        // Keys with the same first bytes may begin at the end of the page before.
        let first = self.fences.partition_point(|fence| *fence < key.prefix()).saturating_sub(1);
        let end = self.fences.partition_point(|fence| *fence <= key.prefix());
        for page in first..end {
            let rows = self.read_page(page)?;
            let (rows, _) = rows.as_chunks::<ROW_SIZE>();
            let found = rows.iter().map(parse_row).find(|(found, _)| *found == key);
            if let Some((_, seq)) = found {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// The keys of a page, in order; none past the last page.
    pub(crate) fn page(&self, page: usize) -> Result<Vec<(Key, Seq)>, Damaged> {
        if page >= self.fences.len() {
            return Ok(Vec::new());
        }
        let rows = self.read_page(page)?;
        Ok(rows.as_chunks::<ROW_SIZE>().0.iter().map(parse_row).collect())
    }

    /// Calls `row` with every key in order. `false`: a search would not find each of them.
    pub(crate) fn for_each_row(&self, mut row: impl FnMut(Key, Seq)) -> Result<bool, Damaged> {
        let (mut before, mut found) = (None, true);
        for (page, fence) in self.fences.iter().enumerate() {
            let rows = self.page(page)?;
            found &= rows.first().is_some_and(|(key, _)| key.prefix() == *fence);
            for (key, seq) in rows {
                found &= before <= Some(key) && self.filter.may_hold(&Probe::of(key));
                before = Some(key);
                row(key, seq);
            }
        }
        Ok(found)
    }

    /// Whether an entry lies in the run's stretch.
    pub(crate) fn covers(&self, seq: Seq) -> bool {
        (self.stretch.first..self.stretch.next).contains(&seq)
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the file. If that fails, the next opening finds a run that it does not need.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn read_page(&self, page: usize) -> Result<Vec<u8>, Damaged> {
        let len = PAGE_LEN.min(self.len.saturating_sub(page * PAGE_LEN));
        let mut bytes = vec![0; len * ROW_SIZE + 4];
        self.file.read_exact_at(&mut bytes, self.pages_at + (page * PAGE_SIZE) as u64)?;
        let (rows, crc) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
        if crc32fast::hash(rows) != u32::from_be_bytes(*crc) {
            return Err(Damaged);
        }
        bytes.truncate(len * ROW_SIZE);
        Ok(bytes)
    }
}

/// A run in the making: pages as keys come, in order, and what stands before them at the end. A
/// file that was left unfinished begins with zeros and is no run.
#[derive(Debug)]
pub(crate) struct RunWriter {
    stretch: Stretch,
    /// Where it will be, and where it is until it is whole.
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    len: usize,
    written: usize,
    fences: Vec<u64>,
    filter: Filter,
    /// The page that is not full yet.
    rows: Vec<u8>,
    pages_at: u64,
}

impl RunWriter {
    /// Begins a run of exactly so many keys.
    pub(crate) fn create(dir: &Path, stretch: Stretch, len: usize) -> io::Result<RunWriter> {
        let path = dir.join(format!("{:020}-{:020}.ids", stretch.first.0, stretch.next.0));
        let temporary = path.with_added_extension("tmp");
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&temporary)?;
        let (filter, pages) = (Filter::with_capacity(len), len.div_ceil(PAGE_LEN));
        let pages_at = (FIXED_SIZE + (pages + filter.words().len()) * 8 + 4) as u64;
        let (fences, rows) = (Vec::with_capacity(pages), Vec::with_capacity(PAGE_SIZE));
        let written = 0;
        Ok(RunWriter {
            stretch,
            path,
            temporary,
            file,
            len,
            written,
            fences,
            filter,
            rows,
            pages_at,
        })
    }

    /// How many keys it will have.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The stretch that it will cover.
    pub(crate) fn stretch(&self) -> Stretch {
        self.stretch
    }

    /// Adds the next key in order.
    pub(crate) fn push(&mut self, key: Key, seq: Seq) -> io::Result<()> {
        if self.rows.is_empty() {
            self.fences.push(key.prefix());
        }
        self.filter.insert(key);
        self.rows.extend_from_slice(&key.0);
        self.rows.extend_from_slice(&seq.0.to_be_bytes());
        self.written += 1;
        if self.rows.len() == PAGE_LEN * ROW_SIZE { self.end_page() } else { Ok(()) }
    }

    fn end_page(&mut self) -> io::Result<()> {
        push_crc(&mut self.rows, 0);
        let at = self.pages_at + ((self.fences.len() - 1) * PAGE_SIZE) as u64;
        self.file.write_all_at(&self.rows, at)?;
        self.rows.clear();
        Ok(())
    }

    /// Ends a run whose keys were all added.
    pub(crate) fn finish(mut self) -> io::Result<Run> {
        if !self.rows.is_empty() {
            self.end_page()?;
        }
        if self.written != self.len {
            return Err(io::Error::other("there are more or fewer ids than there were"));
        }
        let mut front = Vec::with_capacity(usize::try_from(self.pages_at).unwrap_or(0));
        front.extend_from_slice(MAGIC);
        front.extend_from_slice(&self.stretch.first.0.to_be_bytes());
        front.extend_from_slice(&self.stretch.next.0.to_be_bytes());
        front.extend_from_slice(&self.stretch.hash.0);
        let words = self.filter.words();
        let numbers = [self.len as u64, words.len() as u64];
        for number in numbers.iter().chain(&self.fences).chain(words) {
            front.extend_from_slice(&number.to_be_bytes());
        }
        push_crc(&mut front, 0);
        self.file.write_all_at(&front, 0)?;
        std::fs::rename(&self.temporary, &self.path)?;
        Ok(Run {
            stretch: self.stretch,
            path: self.path,
            file: self.file,
            len: self.len,
            fences: self.fences,
            filter: self.filter,
            pages_at: self.pages_at,
        })
    }

    /// Deletes what was written so far. If that fails, the next opening does it.
    pub(crate) fn abandon(self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn push_crc(bytes: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(bytes.get(start..).unwrap_or_default());
    bytes.extend_from_slice(&crc.to_be_bytes());
}

fn parse_row(row: &[u8; ROW_SIZE]) -> (Key, Seq) {
    let (key, seq) = row.split_first_chunk().expect("24 bytes hold 16");
    (Key(*key), Seq(u64::from_be_bytes(*seq.first_chunk().expect("8 bytes are left"))))
}

fn parse_fixed(fixed: &[u8; FIXED_SIZE]) -> Option<(Stretch, usize, usize)> {
    // Larger numbers are damage, and would overflow the sizes that are made of them.
    let small = |bytes: &[u8; 8]| {
        usize::try_from(u64::from_be_bytes(*bytes)).ok().filter(|number| *number < 1 << 40)
    };
    let (magic, rest) = fixed.split_first_chunk::<8>()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (next, rest) = rest.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk()?;
    let (len, words) = rest.split_first_chunk()?;
    let stretch = Stretch {
        first: Seq(u64::from_be_bytes(*first)),
        next: Seq(u64::from_be_bytes(*next)),
        hash: Hash(*hash),
    };
    (magic == MAGIC).then_some((stretch, small(len)?, small(words.first_chunk()?)?))
}
