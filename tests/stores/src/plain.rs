//! The baseline: a plain file to which the same bytes are written and synced.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use ledger::{Digest, HASH_CONTEXT, HEADER_SIZE};

use crate::{events::PAYLOAD_SIZE, store::Fault};

/// Bytes of one event as the ledger lays it down: a frame around header and payload.
const FRAME_SIZE: usize = 11 + HEADER_SIZE + PAYLOAD_SIZE;

/// Where the header begins in it.
const HEADER_AT: usize = 7;

/// Frames read at once.
const PAGE_LEN: usize = 1_024;

/// A file that grows by frames.
pub(crate) struct Plain {
    file: File,
    path: PathBuf,
    frames: Vec<u8>,
    len: u64,
}

impl Plain {
    pub(crate) fn create(path: &Path) -> Result<Plain, Fault> {
        let file = File::options().create_new(true).read(true).append(true).open(path)?;
        Ok(Plain { file, path: path.to_owned(), frames: Vec::new(), len: 0 })
    }

    /// One write and one fdatasync.
    pub(crate) fn append(&mut self, events: usize) -> Result<(), Fault> {
        self.frames.resize(events * FRAME_SIZE, b'x');
        self.file.write_all(&self.frames)?;
        self.file.sync_data()?;
        self.len += events as u64;
        Ok(())
    }

    /// One positioned read.
    pub(crate) fn read(&self, seq: u64) -> Result<Vec<u8>, Fault> {
        let mut payload = vec![0; PAYLOAD_SIZE];
        let frame = (seq % self.len) * FRAME_SIZE as u64;
        self.file.read_exact_at(&mut payload, frame + (HEADER_AT + HEADER_SIZE) as u64)?;
        Ok(payload)
    }

    /// Every byte, once.
    pub(crate) fn scan(&self) -> Result<(), Fault> {
        let mut file = File::open(&self.path)?;
        let mut page = vec![0; PAGE_LEN * FRAME_SIZE];
        while file.read(&mut page)? > 0 {
            std::hint::black_box(&page);
        }
        Ok(())
    }

    /// Reads one of `parts` parts of the file and hashes header and payload of each frame in it.
    pub(crate) fn hash(&self, part: u64, parts: u64) -> Result<(), Fault> {
        let context = blake3::hazmat::hash_derive_key_context(HASH_CONTEXT);
        let (mut at, end) = (self.len * part / parts, self.len * (part + 1) / parts);
        let mut page = vec![0; PAGE_LEN * FRAME_SIZE];
        while at < end {
            let frames = usize::try_from(end - at)?.min(PAGE_LEN);
            page.resize(frames * FRAME_SIZE, 0);
            self.file.read_exact_at(&mut page, at * FRAME_SIZE as u64)?;
            for frame in page.chunks_exact(FRAME_SIZE) {
                let (_, frame) = frame.split_at(HEADER_AT);
                let (header, payload) = frame.split_at(HEADER_SIZE);
                let (payload, _) = payload.split_at(PAYLOAD_SIZE);
                let mut hasher: blake3::Hasher =
                    blake3::hazmat::HasherExt::new_from_context_key(&context);
                std::hint::black_box(hasher.update(header).finalize());
                std::hint::black_box(Digest::of(payload));
            }
            at += frames as u64;
        }
        Ok(())
    }
}
