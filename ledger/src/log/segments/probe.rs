//! What the reader of frames makes of any bytes: for tests and fuzz targets, in words of their own.

use std::io::{self, Read};

use crate::{
    entry::{Entry, Hash, Seq},
    log::segments::frame::{self, FrameReader, NoFrame},
};

/// A frame whose checksum holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What lies in it.
    pub entry: Entry,
    /// How many entries of its commit follow.
    pub left: u16,
    /// Bytes of the frame.
    pub size: usize,
}

/// Reads the frame that `bytes` begin with; a word for why there is none.
pub fn decode(bytes: &[u8]) -> Result<Found, &'static str> {
    frame::decode(bytes).map(found).map_err(word)
}

/// Reads frame after frame from a source, as files are read; the word for why it ended.
pub fn read_all(source: impl Read, buffer: usize) -> io::Result<(Vec<Found>, &'static str)> {
    let mut frames = FrameReader::sized(source, 0, buffer);
    let mut all = Vec::new();
    loop {
        let next = frames.peek()?.map(found);
        match next {
            Ok(found) => {
                frames.skip(found.size);
                all.push(found);
            }
            Err(why) => return Ok((all, word(why))),
        }
    }
}

/// The bytes of a frame after which `left` entries of the same commit follow.
pub fn encode(entry: &Entry, left: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, entry.header(), entry.payload(), left);
    bytes
}

/// The first seq of a later commit than the one in pieces that `bytes` begin with, if there is one.
pub fn later_commit(bytes: &[u8], seq: Seq, parent: Hash) -> Option<Seq> {
    frame::later_commit(bytes, seq, parent)
}

fn found(frame: frame::Frame<'_>) -> Found {
    let entry = Entry::stored(frame.header, frame.payload.map(<[u8]>::to_vec));
    Found { entry, left: frame.left, size: frame.size() }
}

fn word(why: NoFrame) -> &'static str {
    match why {
        NoFrame::End => "end",
        NoFrame::CutOff => "cut off",
        NoFrame::Damaged => "damaged",
        NoFrame::Unknown(_) => "unknown",
    }
}
