//! How bytes stand for a log's directory: pieces, one after another, each a file.
//!
//! | bytes | field  | meaning                                             |
//! |-------|--------|-----------------------------------------------------|
//! | 0     | `kind` | what the file is, and what is mended in it: [`Kind`] |
//! | 1     | `which`| the first seq of a segment, or the choice of a name |
//! | 2-3   | `size` | bytes that follow, or fewer at the end              |
//!
//! A flipped bit is found by a checksum and nothing behind that is ever tried, so there are kinds in
//! which the checksums, or the whole chain, are made to fit again.

use std::{fs, path::Path};

use ledger::{Digest, HEADER_SIZE, Hash, Header, Seq};

/// What a piece is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A segment, as it is.
    Segment = 0,
    /// A segment whose frames get checksums that fit.
    Summed = 1,
    /// A segment whose frames get a place, a parent, a digest and a checksum that fit.
    Chained = 2,
    /// The file `head`, as it is.
    Head = 3,
    /// The file `head`, naming one of the chained entries.
    TrueHead = 4,
    /// The map of a segment, as it is.
    Map = 5,
    /// The map of a segment with checksums that fit.
    SummedMap = 6,
    /// A run of the index, as it is.
    Run = 7,
    /// A run of the index with a first checksum that fits.
    SummedRun = 8,
    /// Something else that may lie in the directory.
    Other = 9,
    /// A segment under any number.
    Far = 10,
}

const KINDS: [Kind; 11] = [
    Kind::Segment,
    Kind::Summed,
    Kind::Chained,
    Kind::Head,
    Kind::TrueHead,
    Kind::Map,
    Kind::SummedMap,
    Kind::Run,
    Kind::SummedRun,
    Kind::Other,
    Kind::Far,
];

/// Files that are neither history nor derived from it.
const OTHERS: [&str; 6] =
    ["lock", "head.tmp", "torn/00000000000000000001-0.torn", "notes.txt", "1.seg", "x.seg"];

/// Whether the derived files were only damaged, or made up to pass for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    Honest,
    Forged,
}

/// One file of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) which: u8,
    pub(crate) bytes: Vec<u8>,
}

/// The bytes that stand for these pieces.
pub(crate) fn pack(pieces: &[Piece]) -> Vec<u8> {
    let mut packed = Vec::new();
    for Piece { kind, which, bytes } in pieces {
        let size = u16::try_from(bytes.len()).expect("a piece is under 64 KiB");
        packed.extend([*kind as u8, *which]);
        packed.extend(size.to_be_bytes());
        packed.extend(bytes);
    }
    packed
}

/// The pieces that these bytes stand for.
fn pieces(mut packed: &[u8]) -> Vec<Piece> {
    let mut found = Vec::new();
    while let Some((&[kind, which, high, low], rest)) = packed.split_first_chunk() {
        let size = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (bytes, rest) = rest.split_at(size);
        let kind = KINDS[usize::from(kind) % KINDS.len()];
        found.push(Piece { kind, which, bytes: bytes.to_vec() });
        packed = rest;
    }
    found
}

/// Writes the files, with what is derived or without.
pub(crate) fn unpack(packed: &[u8], log: &Path, derived: bool) -> Derived {
    let mut chain = Chain::default();
    let mut honest = Derived::Honest;
    for Piece { kind, which, mut bytes } in pieces(packed) {
        let segment = |seq: u64| format!("{seq:020}.seg");
        let name = match kind {
            Kind::Segment => segment(which.into()),
            Kind::Summed => {
                for_each_frame(&mut bytes, |_| ());
                segment(which.into())
            }
            Kind::Chained => {
                let first = chain.entries.len() as u64;
                chain.mend(&mut bytes);
                segment(first)
            }
            Kind::Head => "head".to_owned(),
            Kind::TrueHead => {
                let last = chain.entries.len().saturating_sub(1);
                let at = last.saturating_sub(usize::from(which) % 8);
                let Some(hash) = chain.entries.get(at) else { continue };
                bytes = format!("{at} {hash}\n").into_bytes();
                "head".to_owned()
            }
            Kind::Map | Kind::SummedMap | Kind::Run | Kind::SummedRun if !derived => continue,
            Kind::Map => format!("map/{which:020}.map"),
            Kind::SummedMap => {
                honest = Derived::Forged;
                sum_map(&mut bytes);
                format!("map/{which:020}.map")
            }
            Kind::Run => run_name(which),
            Kind::SummedRun => {
                honest = Derived::Forged;
                sum_run(&mut bytes);
                run_name(which)
            }
            Kind::Other => OTHERS[usize::from(which) % OTHERS.len()].to_owned(),
            Kind::Far => {
                let number = bytes.first_chunk().map_or(u64::MAX, |b| u64::from_be_bytes(*b));
                bytes.drain(..bytes.len().min(8));
                segment(number)
            }
        };
        let path = log.join(name);
        fs::create_dir_all(path.parent().expect("it lies in the log")).expect("it can be made");
        fs::write(path, bytes).expect("it can be written");
    }
    honest
}

/// The upper half of a byte is the first seq of the stretch, the lower half its length; by fours.
pub(crate) fn run_name(which: u8) -> String {
    let (first, len) = (u32::from(which >> 4) * 4, u32::from(which & 15) * 4);
    format!("index/{first:020}-{:020}.ids", first + len)
}

/// The hashes of the entries of the chained segments so far.
#[derive(Default)]
struct Chain {
    entries: Vec<Hash>,
}

impl Chain {
    /// Makes frames follow the chain. What they hold stays: time, flags, count, payload.
    fn mend(&mut self, bytes: &mut [u8]) {
        for_each_frame(bytes, |frame| {
            let payload_end = frame.len() - 4;
            let digest = Digest::of(&frame[88..payload_end]);
            let erased = frame[4] == 1;
            let header: [u8; HEADER_SIZE] = frame[7..88].try_into().expect("81 bytes");
            let Ok(header) = Header::decode(&header) else { return };
            let parent = self.entries.last().copied().unwrap_or(Hash([0; 32]));
            let seq = Seq(self.entries.len() as u64);
            let digest = if erased { header.digest } else { digest };
            let header = Header { seq, parent, digest, ..header };
            frame[7..88].copy_from_slice(&header.encode());
            self.entries.push(header.hash());
        });
    }
}

/// Changes each frame that is whole, and makes its checksum fit.
fn for_each_frame(mut bytes: &mut [u8], mut change: impl FnMut(&mut [u8])) {
    while let Some(size) = bytes.first_chunk() {
        let size = u32::from_be_bytes(*size) as usize;
        let Some((frame, rest)) = bytes.split_at_mut_checked(size.saturating_add(92)) else {
            return;
        };
        change(frame);
        sum(frame);
        bytes = rest;
    }
}

/// Puts the checksum of what is before them into the last four bytes.
fn sum(bytes: &mut [u8]) {
    if let Some((checked, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(checked).to_be_bytes();
    }
}

/// Mends both checksums of a map; where the first one is, its counts say.
fn sum_map(bytes: &mut [u8]) {
    let Some(counts) = bytes.get(72..80) else { return };
    let number =
        |at: usize| u32::from_be_bytes(counts[at..at + 4].try_into().expect("four")) as usize;
    let front = number(0).saturating_add(number(4)).saturating_mul(40).saturating_add(84);
    if let Some((front, offsets)) = bytes.split_at_mut_checked(front) {
        sum(front);
        sum(offsets);
    }
}

/// Mends the first checksum of a run; where it is, its counts say.
fn sum_run(bytes: &mut [u8]) {
    let Some(counts) = bytes.get(56..72) else { return };
    let number = |at: usize| u64::from_be_bytes(counts[at..at + 8].try_into().expect("eight"));
    let words = number(0).div_ceil(256).saturating_add(number(8));
    let front = usize::try_from(words.saturating_mul(8).saturating_add(76)).unwrap_or(usize::MAX);
    if let Some((front, _)) = bytes.split_at_mut_checked(front) {
        sum(front);
    }
}
