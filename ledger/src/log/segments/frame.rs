//! How an entry lies in a segment file, and the reader of frames one after another.
//!
//! The layout is set in stone. Integers are big-endian.
//!
//! | bytes        | field     | meaning                                                         |
//! |--------------|-----------|-----------------------------------------------------------------|
//! | 0 - 3        | `size`    | bytes of the payload; 0 when it is erased                       |
//! | 4            | `flags`   | 1: the payload is erased, the header alone is left; else 0      |
//! | 5 - 6        | `left`    | entries after this one in its commit; 0: the last               |
//! | 7 - 87       | `header`  | see [`entry`](crate::entry)                                     |
//! | 88 - 87+size | `payload` |                                                                 |
//! | 4 more       | `crc`     | CRC-32/IEEE of all before it: names damage at its own seq       |

use std::io::{self, Read};

use bytes::Bytes;

use crate::{
    draft::{BATCH_LEN_MAX, PAYLOAD_SIZE_MAX},
    entry::{Entry, HEADER_SIZE, HEADER_VERSION, Hash, Header, Seq, hash_of},
};

/// Bytes before the payload.
pub(crate) const FRONT_SIZE: usize = 7 + HEADER_SIZE;
/// Bytes after it.
const CRC_SIZE: usize = 4;
/// What a frame adds to its payload.
pub(crate) const OVERHEAD: usize = FRONT_SIZE + CRC_SIZE;

const ERASED: u8 = 1;

/// How much is read from a file at once. Small enough to stay in the processor's cache.
const READ_SIZE: usize = 256 * 1024;

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) left: u16,
    pub(crate) header: Header,
    /// The header's bytes.
    encoded: &'a [u8; HEADER_SIZE],
    /// `None`: erased.
    pub(crate) payload: Option<&'a [u8]>,
}

impl Frame<'_> {
    /// Bytes in the file.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD + self.payload.map_or(0, <[u8]>::len)
    }

    /// An entry whose payload is a slice of the page in which this frame lies.
    pub(crate) fn to_entry_in(self, page: &Bytes) -> Entry {
        let payload = self.payload.map(|payload| page.slice_ref(payload));
        Entry::read(self.header, self.hash(), payload)
    }

    /// The hash that names the entry.
    pub(crate) fn hash(&self) -> Hash {
        hash_of(self.encoded)
    }
}

/// Why there is no frame at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// The file ends there.
    End,
    /// The file ends inside it.
    CutOff,
    /// The checksum does not hold.
    Damaged,
    /// The checksum holds, but no writer of this version writes such a frame.
    Unknown(&'static str),
}

/// Writes an entry after which `left` entries of the same commit follow.
pub(crate) fn encode(out: &mut Vec<u8>, header: &Header, payload: Option<&[u8]>, left: u16) {
    let start = out.len();
    let size = u32::try_from(payload.map_or(0, <[u8]>::len)).expect("a payload is under 512 KiB");
    out.extend_from_slice(&size.to_be_bytes());
    out.push(if payload.is_some() { 0 } else { ERASED });
    out.extend_from_slice(&left.to_be_bytes());
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(payload.unwrap_or_default());
    let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_be_bytes());
}

/// Reads the frame that `bytes` begin with.
pub(crate) fn decode(bytes: &[u8]) -> Result<Frame<'_>, NoFrame> {
    if bytes.is_empty() {
        return Err(NoFrame::End);
    }
    let front = Front::read(bytes).ok_or(NoFrame::CutOff)?;
    let payload_size = front.payload_size().ok_or(NoFrame::Damaged)?;
    let whole = bytes.get(..OVERHEAD + payload_size).ok_or(NoFrame::CutOff)?;
    let (checked, crc) = whole.split_last_chunk::<CRC_SIZE>().ok_or(NoFrame::CutOff)?;
    if crc32fast::hash(checked) != u32::from_be_bytes(*crc) {
        return Err(NoFrame::Damaged);
    }
    let payload = match (front.flags, checked.get(FRONT_SIZE..).unwrap_or_default()) {
        (0, payload @ [_, ..]) => Some(payload),
        (0, []) => return Err(NoFrame::Unknown("its payload is empty and not marked as erased")),
        (ERASED, []) => None,
        (ERASED, _) => return Err(NoFrame::Unknown("it is marked as erased and has a payload")),
        _ => return Err(NoFrame::Unknown("its flags are unknown to this version")),
    };
    let header = Header::decode(front.header)
        .map_err(|_| NoFrame::Unknown("its header's version is unknown to this version"))?;
    Ok(Frame { left: front.left, header, encoded: front.header, payload })
}

/// What stands before the payload; not checked.
pub(super) struct Front<'a> {
    size: u32,
    flags: u8,
    left: u16,
    header: &'a [u8; HEADER_SIZE],
}

impl<'a> Front<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Front<'a>> {
        let (size, rest) = bytes.split_first_chunk()?;
        let ([flags], rest) = rest.split_first_chunk()?;
        let (left, rest) = rest.split_first_chunk()?;
        let header = rest.first_chunk()?;
        let (size, left) = (u32::from_be_bytes(*size), u16::from_be_bytes(*left));
        Some(Front { size, flags: *flags, left, header })
    }

    /// Bytes of the payload, unless no format allows so many.
    fn payload_size(&self) -> Option<usize> {
        usize::try_from(self.size).ok().filter(|size| *size <= PAYLOAD_SIZE_MAX)
    }

    /// Bytes of the frame that it promises.
    pub(super) fn frame_size(&self) -> usize {
        OVERHEAD + self.payload_size().unwrap_or(0)
    }

    /// The header, if this could be the front of a frame.
    ///
    /// One whose first bytes did not reach the disk holds zeros there: a size of 0 that is not
    /// marked as erased, and a `left` that is not to be believed.
    pub(super) fn plausible(&self) -> Option<Header> {
        let size = self.payload_size()?;
        let known = self.flags <= ERASED && (self.flags == ERASED) == (size == 0);
        if !known {
            return None;
        }
        Header::decode(self.header).ok()
    }
}

/// Bytes of the frame that begins here, as its first bytes promise it.
pub(super) fn size_in_front(bytes: &[u8]) -> usize {
    Front::read(bytes).map_or(OVERHEAD, |front| front.frame_size())
}

/// The header in the first bytes of a frame, of which nothing is checked.
pub(crate) fn peek_header(bytes: &[u8]) -> Option<Header> {
    Front::read(bytes)?.plausible()
}

/// Reads frames one after another, in pieces, from any place of a file on.
pub(crate) struct FrameReader<R> {
    from: R,
    buffer: Vec<u8>,
    /// The frames not yet handed on are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// The place in the file of `buffer[start]`.
    offset: u64,
    at_end: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads from `from`, whose next byte is byte `offset` of the file.
    pub(crate) fn new(from: R, offset: u64) -> FrameReader<R> {
        FrameReader::sized(from, offset, READ_SIZE)
    }

    /// The same for a source that holds about `size` bytes.
    pub(crate) fn sized(from: R, offset: u64, size: usize) -> FrameReader<R> {
        let buffer = vec![0; size.min(READ_SIZE)];
        FrameReader { from, buffer, start: 0, end: 0, offset, at_end: false }
    }

    /// Where the next frame begins in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame. It is stepped over only by [`skip`](FrameReader::skip).
    pub(crate) fn peek(&mut self) -> io::Result<Result<Frame<'_>, NoFrame>> {
        self.fill(FRONT_SIZE)?;
        let front = Front::read(self.buffered());
        let payload_size = front.and_then(|front| front.payload_size()).unwrap_or(0);
        self.fill(OVERHEAD + payload_size)?;
        Ok(decode(self.buffered()))
    }

    /// Steps over a frame of this size.
    pub(crate) fn skip(&mut self, size: usize) {
        self.start = self.end.min(self.start + size);
        self.offset += size as u64;
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Has at least `size` bytes in the buffer, unless the file ends before.
    fn fill(&mut self, size: usize) -> io::Result<()> {
        if self.end - self.start >= size || self.at_end {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        while self.end < size {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.from.read(room) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(len) => self.end += len,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The first seq of a readable frame in `bytes` that cannot belong to the commit that begins with
/// them, at `seq`.
///
/// One commit is one write, so after a crash only the last one can be in pieces. Any readable frame
/// of another commit proves that the pieces were whole once, and are damaged now. All frames of one
/// commit have the same `seq` + `left`: the place of its last entry. Of the first frame that place
/// is known even if one bit of its front is not as it was written; only if more is broken, its
/// `left` may lie, and one readable commit behind it may be taken for its own end.
pub(crate) fn later_commit(bytes: &[u8], seq: Seq, parent: Hash) -> Option<Seq> {
    let mut last = None;
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= OVERHEAD) {
        at += 1;
        // The version is the cheapest thing to look at, and no text holds such a byte.
        if rest.get(7) != Some(&HEADER_VERSION) {
            continue;
        }
        let Ok(frame) = decode(rest) else { continue };
        let found = frame.header.seq;
        if found < seq {
            continue;
        }
        let own = found.0.saturating_add(u64::from(frame.left));
        let left = || {
            mended_left(bytes, seq, parent).or_else(|| {
                let front = Front::read(bytes)?;
                let header = front.plausible()?;
                (header.seq == seq && header.parent == parent).then_some(front.left)
            })
        };
        let last = *last.get_or_insert_with(|| {
            left().map_or(own, |left| seq.0.saturating_add(u64::from(left)))
        });
        if own != last || own - seq.0 >= BATCH_LEN_MAX as u64 {
            return Some(found);
        }
        at += frame.size() - 1;
    }
    None
}

/// What the first frame says of its commit, if it is the entry `seq` once one bit before its payload
/// is flipped: a checksum of 32 bits fits such a frame by chance once in six million times.
fn mended_left(bytes: &[u8], seq: Seq, parent: Hash) -> Option<u16> {
    let mut copy = bytes.get(..bytes.len().min(OVERHEAD + PAYLOAD_SIZE_MAX))?.to_vec();
    (0..FRONT_SIZE * 8).find_map(|bit| {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        *copy.get_mut(at)? ^= mask;
        let frame = decode(&copy).ok().map(|frame| (frame.header, frame.left));
        *copy.get_mut(at)? ^= mask;
        let (header, left) = frame?;
        (header.seq == seq && header.parent == parent).then_some(left)
    })
}
