//! Reading entries that lie one after another in a segment file.
//!
//! One positioned read fetches a page, and the payloads of its entries are slices of it: nothing is
//! allocated for each. A file is opened for each reading and never kept open: that costs three
//! microseconds, and an erased payload must not live on in a file that some reader still holds.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf};

use bytes::Bytes;

use crate::{
    entry::{Entry, Hash, Header, Seq},
    log::{
        Damage, LogError,
        segments::frame::{self, FRONT_SIZE, Front, NoFrame},
    },
    verify::rules::{COMPARE, damage},
};

/// Bytes of a page: what entries share, so the most that keeping a small one keeps in memory.
pub(crate) const PAGE_SIZE: usize = 64 * 1024;

/// Bytes an entry from which on headers are read one by one: below, reading and checking the
/// payloads too takes less time than a call of the system for each header.
const APART_SIZE_MIN: u64 = 8 * 1024;

/// Entries that lie one after another in one file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) first: Seq,
    pub(super) len: u64,
    /// Where the first begins and the last ends.
    pub(super) start: u64,
    pub(super) stop: u64,
    /// Hash of the last entry, if it is the last in the file.
    pub(super) end_hash: Option<Hash>,
}

impl Piece {
    /// Appends the entries. Each frame is checked.
    pub(super) fn read(&self, entries: &mut Vec<Entry>) -> Result<(), LogError> {
        self.for_each_page(|page, frame| entries.push(frame.to_entry_in(page)))
    }

    /// Appends the headers alone, each of them checked.
    pub(super) fn headers(&self, headers: &mut Vec<Header>) -> Result<(), LogError> {
        let len = headers.len();
        if (self.stop - self.start) / self.len.max(1) >= APART_SIZE_MIN {
            if self.headers_apart(headers).map_err(|e| self.failed(e))? {
                return Ok(());
            }
            // What is wrong is told by the frames' checksums.
            headers.truncate(len);
        }
        self.for_each_page(|_, frame| headers.push(frame.header))
    }

    fn for_each_page(
        &self,
        mut on_frame: impl FnMut(&Bytes, frame::Frame<'_>),
    ) -> Result<(), LogError> {
        let file = File::open(&self.path).map_err(|e| self.failed(e))?;
        let (mut at, mut size) = (self.start, PAGE_SIZE);
        let mut seqs = self.first.0..self.first.0 + self.len;
        let mut next = seqs.next();
        while let Some(seq) = next {
            let page = read_page(&file, at, size.min(self.left(at))).map_err(|e| self.failed(e))?;
            let mut passed = 0;
            while let Some(seq) = next {
                let rest = page.get(passed..).unwrap_or_default();
                let frame = match frame::decode(rest) {
                    Ok(frame) if frame.header.seq == Seq(seq) => frame,
                    Err(NoFrame::End | NoFrame::CutOff) if passed > 0 => break,
                    Err(NoFrame::CutOff) if size == PAGE_SIZE && page.len() == PAGE_SIZE => break,
                    found => return Err(self.damaged(seq, at + passed as u64, found.err()).into()),
                };
                passed += frame.size();
                on_frame(&page, frame);
                next = seqs.next();
            }
            at += passed as u64;
            // A frame that no page holds is read by itself.
            size = if passed == 0 { frame::size_in_front(&page) } else { PAGE_SIZE };
            if next == Some(seq) && size <= page.len() {
                return Err(self.damaged(seq, at, Some(NoFrame::CutOff)).into());
            }
        }
        Ok(())
    }

    fn left(&self, at: u64) -> usize {
        usize::try_from(self.stop.saturating_sub(at)).unwrap_or(usize::MAX)
    }

    /// Reads header after header without what lies between. Each must have the hash that the next
    /// one names, which is more than a checksum shows. `false`: they do not fit.
    fn headers_apart(&self, headers: &mut Vec<Header>) -> io::Result<bool> {
        let file = File::open(&self.path)?;
        let (mut at, mut expected) = (self.start, None);
        let mut front = [0; FRONT_SIZE];
        let mut read = |at: u64| -> io::Result<Option<(Header, u64)>> {
            match file.read_exact_at(&mut front, at) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(e) => return Err(e),
            }
            let found = Front::read(&front);
            Ok(found.and_then(|found| Some((found.plausible()?, found.frame_size() as u64))))
        };
        for seq in self.first.0..self.first.0 + self.len {
            let Some((header, size)) = read(at)? else { return Ok(false) };
            let follows = expected.is_none_or(|hash| header.parent == hash);
            if header.seq != Seq(seq) || !follows {
                return Ok(false);
            }
            expected = Some(header.hash());
            headers.push(header);
            at += size;
        }
        let end_hash = match self.end_hash {
            Some(hash) => Some(hash),
            None => read(at)?.map(|(header, _)| header.parent),
        };
        Ok(at == self.stop && end_hash == expected)
    }

    fn failed(&self, e: io::Error) -> LogError {
        LogError::while_(format!("reading {}", self.path.display()))(e)
    }

    fn damaged(&self, seq: u64, at: u64, why: Option<NoFrame>) -> Damage {
        let what = match why {
            None => "another entry stands in its place",
            Some(NoFrame::Damaged) => "its checksum does not match its bytes",
            Some(NoFrame::Unknown(why)) => why,
            Some(NoFrame::End | NoFrame::CutOff) => "the file ends before it, or inside it",
        };
        let place = Some((self.path.clone(), at));
        Damage { place, ..damage(Seq(seq), "unreadable", what, COMPARE) }
    }
}

/// Up to `size` bytes from a place on; fewer where the file ends.
fn read_page(file: &File, at: u64, size: usize) -> io::Result<Bytes> {
    let mut page = vec![0; size];
    let mut len = 0;
    while let Some(room) = page.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read_at(room, at + len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    page.truncate(len);
    Ok(Bytes::from(page))
}
