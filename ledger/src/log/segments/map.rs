//! Where each entry of a sealed segment begins, so that reading one needs no scan, and opening a
//! large log no reading of all of it.
//!
//! Derived data: what is missing, damaged or does not fit its segment is made again from it. A map
//! is never believed about an entry; whoever reads one by its help checks the frame that is there.
//!
//! | bytes        | field                                                          |
//! |--------------|----------------------------------------------------------------|
//! | 0 - 7        | `RLMAP002`                                                     |
//! | 8 - 15       | first seq                                                      |
//! | 16 - 23      | seq after the last entry                                       |
//! | 24 - 31      | `recorded_at_us` of the last entry                             |
//! | 32 - 63      | hash of the last entry                                         |
//! | 64 - 71      | size of the segment file in bytes                              |
//! | 72 - 75      | number of redactions: n                                        |
//! | 76 - 79      | number of erased payloads: m                                   |
//! | 40n          | the seq and the hash that each redaction targets               |
//! | 40m          | the seq and the hash of each entry whose payload is erased     |
//! | then         | CRC-32 of all before it                                        |
//! | then         | a u32 for each entry: where its frame begins                   |
//! | 4 more       | CRC-32 of these                                                |

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    chain::Head,
    entry::{Hash, Header, Seq},
    log::{
        LogError,
        segments::{
            check::{SegmentCheck, Start, check},
            disk::Disk,
            erase::Erasures,
            files,
            frame::{FRONT_SIZE, OVERHEAD, peek_header},
            manifest::Line,
        },
    },
    regular,
    verify::rules::Checks,
};

const MAGIC: &[u8; 8] = b"RLMAP002";
const FIXED_SIZE: usize = 80;
const TARGET_SIZE: usize = 40;

/// A sealed segment, as its map describes it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: Seq,
    /// After its last entry.
    pub(crate) head: Head,
    /// Size of the file in bytes.
    pub(crate) size: u64,
    pub(crate) erasures: Erasures,
    /// Read when first needed: all of them would take 40 MB at ten million entries.
    offsets: OnceLock<Vec<u32>>,
    /// Where the last entry begins, once the manifest or the map has told.
    last_at: OnceLock<u32>,
    map: PathBuf,
}

impl Segment {
    /// The segment that a check has read whole.
    pub(crate) fn of(dir: &Path, first: Seq, check: SegmentCheck) -> Segment {
        Segment {
            first,
            head: check.head,
            size: check.end,
            erasures: Erasures::of(check.findings),
            offsets: OnceLock::from(check.offsets),
            last_at: OnceLock::new(),
            map: files::map(dir, first),
        }
    }

    /// A segment of which everything is known.
    pub(crate) fn known(
        dir: &Path,
        (first, head): (Seq, Head),
        size: u64,
        erasures: Erasures,
        offsets: Vec<u32>,
    ) -> Segment {
        let map = files::map(dir, first);
        let offsets = OnceLock::from(offsets);
        Segment { first, head, size, erasures, offsets, last_at: OnceLock::new(), map }
    }

    /// A segment as the manifest lists it, of which no redaction and no erasure is known.
    pub(super) fn listed(dir: &Path, line: &Line) -> Segment {
        let Line { first, head, size, last_at, .. } = *line;
        let (erasures, offsets, map) =
            (Erasures::default(), OnceLock::new(), files::map(dir, first));
        Segment { first, head, size, erasures, offsets, last_at: OnceLock::from(last_at), map }
    }

    /// The segment as its map has it, if that fits the file.
    pub(crate) fn load(dir: &Path, first: Seq) -> Option<Segment> {
        let map = files::map(dir, first);
        let mut file = regular::open(&map).ok()?;
        let mut fixed = [0; FIXED_SIZE];
        file.read_exact(&mut fixed).ok()?;
        let (redacted, erased) = parse_counts(&fixed)?;
        let (head, size) = parse_fixed(&fixed, first)?;
        // A file may have the length for more than there is memory, and none of the bytes: what it
        // claims must fit the segment first.
        let file_size = std::fs::metadata(files::segment(dir, first)).ok()?.len();
        let entries = head.len_from(first);
        let fits = entries as u64 <= size / OVERHEAD as u64 && redacted.max(erased) <= entries;
        if file_size != size || !fits {
            return None;
        }
        let targets = redacted.checked_add(erased)?.checked_mul(TARGET_SIZE)?;
        let mut rest = vec![0; targets + 4];
        file.read_exact(&mut rest).ok()?;
        let (targets, crc) = rest.split_last_chunk::<4>()?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&fixed);
        hasher.update(targets);
        if hasher.finalize() != u32::from_be_bytes(*crc) {
            return None;
        }
        let (targets, _) = targets.as_chunks::<TARGET_SIZE>();
        let (redacted, erased) = targets.split_at_checked(redacted)?;
        let parse = |targets: &[_]| targets.iter().filter_map(parse_target).collect();
        let erasures = Erasures { erased: parse(erased), redacted: parse(redacted) };
        let (offsets, last_at) = (OnceLock::new(), OnceLock::new());
        Some(Segment { first, head, size, erasures, offsets, last_at, map })
    }

    /// How many entries it holds.
    pub(crate) fn len(&self) -> usize {
        self.head.len_from(self.first)
    }

    /// Where each entry begins. A map that has been damaged meanwhile is made up for by a scan.
    pub(crate) fn offsets(&self, dir: &Path) -> Result<&[u32], LogError> {
        if let Some(offsets) = self.offsets.get() {
            return Ok(offsets);
        }
        let offsets = if let Some(offsets) = self.read_offsets() {
            offsets
        } else {
            let path = files::segment(dir, self.first);
            check(&path, Start::Unjoined(self.first), &Checks::default())?.offsets
        };
        Ok(self.offsets.get_or_init(|| offsets))
    }

    fn read_offsets(&self) -> Option<Vec<u32>> {
        let size = self.offsets_at() + (self.len() + 1) * 4;
        let bytes = regular::read(&self.map, size as u64 + 1).ok()?;
        let offsets = bytes.get(self.offsets_at()..)?;
        let (offsets, crc) = offsets.split_last_chunk::<4>()?;
        if crc32fast::hash(offsets) != u32::from_be_bytes(*crc) {
            return None;
        }
        let (offsets, rest) = offsets.as_chunks::<4>();
        let fits = rest.is_empty() && offsets.len() == self.len();
        fits.then(|| offsets.iter().map(|at| u32::from_be_bytes(*at)).collect())
    }

    /// Where in the map the places of the entries begin.
    fn offsets_at(&self) -> usize {
        let targets = self.erasures.redacted.len() + self.erasures.erased.len();
        FIXED_SIZE + targets * TARGET_SIZE + 4
    }

    /// Writes the map. Losing it costs time alone, so whoever calls this may go on without.
    pub(crate) fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let offsets = self.offsets(dir)?;
        let Erasures { erased, redacted } = &self.erasures;
        let mut bytes = Vec::with_capacity(self.offsets_at() + offsets.len() * 4 + 4);
        bytes.extend_from_slice(MAGIC);
        for number in [self.first.0, self.head.next.0, self.head.recorded_at_us] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.head.hash.0);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for targets in [redacted, erased] {
            let len = u32::try_from(targets.len()).expect("a segment has fewer entries");
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        for (seq, hash) in redacted.iter().chain(erased) {
            bytes.extend_from_slice(&seq.0.to_be_bytes());
            bytes.extend_from_slice(&hash.0);
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        let start = bytes.len();
        for at in offsets {
            bytes.extend_from_slice(&at.to_be_bytes());
        }
        let crc = crc32fast::hash(bytes.get(start..).unwrap_or_default());
        bytes.extend_from_slice(&crc.to_be_bytes());
        files::make_map_dir(disk, dir)?;
        files::replace_derived(disk, &self.map, &bytes)
    }

    /// Where the frame of the last entry begins, by what is at hand; not checked.
    pub(super) fn last_at(&self) -> Option<u32> {
        if let Some(at) = self.offsets.get().and_then(|offsets| offsets.last()) {
            return Some(*at);
        }
        if let Some(at) = self.last_at.get() {
            return Some(*at);
        }
        let map = regular::open(&self.map).ok()?;
        let mut last = [0; 4];
        map.read_exact_at(&mut last, map.metadata().ok()?.len().checked_sub(8)?).ok()?;
        Some(*self.last_at.get_or_init(|| u32::from_be_bytes(last)))
    }

    /// Whether the segment begins with the entry after this head, and ends with the one that the map
    /// says, as far as their headers tell. What is appended will hold the hash of the last one, so a
    /// map of another history must not pass, even if the files have one size.
    pub(crate) fn fits(&self, dir: &Path, before: Head) -> bool {
        let read = || {
            let file = regular::open(&files::segment(dir, self.first)).ok()?;
            let first = header_at(&file, 0)?;
            Some((first, header_at(&file, self.last_at()?.into())?))
        };
        read().is_some_and(|(first, last)| {
            let ends = Head {
                next: last.seq.next(),
                hash: last.hash(),
                recorded_at_us: last.recorded_at_us,
            };
            first.seq == before.next && first.parent == before.hash && ends == self.head
        })
    }
}

/// The header of the frame at this byte, of which nothing is checked.
pub(super) fn header_at(file: &File, at: u64) -> Option<Header> {
    let mut front = [0; FRONT_SIZE];
    file.read_exact_at(&mut front, at).ok()?;
    peek_header(&front)
}

/// The head after the segment's last entry, and the size of its file.
fn parse_fixed(fixed: &[u8; FIXED_SIZE], first: Seq) -> Option<(Head, u64)> {
    let (magic, rest) = fixed.split_first_chunk::<8>()?;
    let (found, rest) = rest.split_first_chunk()?;
    let (next, rest) = rest.split_first_chunk()?;
    let (recorded_at_us, rest) = rest.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk()?;
    let (size, _) = rest.split_first_chunk()?;
    if magic != MAGIC || u64::from_be_bytes(*found) != first.0 {
        return None;
    }
    let head = Head {
        next: Seq(u64::from_be_bytes(*next)),
        hash: Hash(*hash),
        recorded_at_us: u64::from_be_bytes(*recorded_at_us),
    };
    (head.next > first).then(|| (head, u64::from_be_bytes(*size)))
}

/// How many redactions, and how many erased payloads, the map lists.
fn parse_counts(fixed: &[u8; FIXED_SIZE]) -> Option<(usize, usize)> {
    let (rest, erased) = fixed.split_last_chunk::<4>()?;
    let (_, redacted) = rest.split_last_chunk::<4>()?;
    Some((u32::from_be_bytes(*redacted) as usize, u32::from_be_bytes(*erased) as usize))
}

fn parse_target(bytes: &[u8; TARGET_SIZE]) -> Option<(Seq, Hash)> {
    let (seq, hash) = bytes.split_first_chunk()?;
    Some((Seq(u64::from_be_bytes(*seq)), Hash(*hash.first_chunk()?)))
}
