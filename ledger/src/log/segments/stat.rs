//! What a log consists of, told without reading its entries.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    chain::Head,
    entry::Seq,
    log::{
        LogError,
        segments::{SegmentLog, files, manifest},
    },
};

/// One segment file, up to the last commit that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The file.
    pub path: PathBuf,
    /// The entry that it is named after.
    pub first: Seq,
    /// The chain after its last entry; as before it, if it holds none yet.
    pub head: Head,
    /// Bytes up to the end of its last whole commit.
    pub size: u64,
    /// Whether another segment follows it, so that only an erasure changes it any more.
    pub sealed: bool,
}

/// What lies beside the segments: derived from them, or set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The directory's name, below the log's.
    pub name: String,
    /// How many files are in it.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// What `manifest`, which is derived, says beside what was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// It lists every sealed segment as it is.
    Complete,
    /// It is missing, cannot be read, or lacks a sealed segment.
    Incomplete,
    /// It lists a segment that the log does not have.
    Differs {
        /// The first entry of that segment.
        first: Seq,
        /// The last one.
        last: Seq,
    },
}

impl SegmentLog {
    /// Compares `manifest` with the segments that are here. A writer may have written it since.
    pub fn manifest(&self) -> Manifest {
        let lines = manifest::read(&self.dir);
        let state = self.state();
        let is = |line: &manifest::Line, first: Seq, head: Head| {
            (line.first, line.head.next, line.head.hash) == (first, head.next, head.hash)
        };
        let active = &state.active;
        let odd = lines.iter().find(|line| {
            let mut sealed = state.sealed.iter();
            // One that was sealed since it was opened is the newest here.
            !sealed.any(|s| is(line, s.first, s.head)) && !is(line, active.first, active.head)
        });
        if let Some(odd) = odd {
            let last = Seq(odd.head.next.0.saturating_sub(1));
            return Manifest::Differs { first: odd.first, last };
        }
        let listed = |first, head| lines.iter().any(|line| is(line, first, head));
        if state.sealed.iter().all(|segment| listed(segment.first, segment.head)) {
            Manifest::Complete
        } else {
            Manifest::Incomplete
        }
    }

    /// The segments in order; the last one is not sealed.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.state();
        let info = |first, head, size, sealed| SegmentInfo {
            path: files::segment(&self.dir, first),
            first,
            head,
            size,
            sealed,
        };
        let sealed = state.sealed.iter().map(|s| info(s.first, s.head, s.size, true));
        let active = &state.active;
        sealed.chain([info(active.first, active.head, active.size, false)]).collect()
    }

    /// How many payloads are erased.
    pub fn erased_len(&self) -> u64 {
        let state = self.state();
        let sealed = state.sealed.iter().map(|segment| segment.erasures.erased.len());
        sealed.sum::<usize>() as u64 + state.active.erasures.erased.len() as u64
    }

    /// The directories beside the segments, by name: where entries begin, the index of ids, what a
    /// crash left in pieces.
    pub fn beside(&self) -> Result<Vec<Beside>, LogError> {
        let listing = || LogError::while_(format!("listing {}", self.dir.display()));
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(listing())? {
            let entry = entry.map_err(listing())?;
            if entry.file_type().map_err(listing())?.is_dir() {
                let (files, bytes) = measure(&entry.path()).map_err(listing())?;
                let name = entry.file_name().to_string_lossy().into_owned();
                found.push(Beside { name, files, bytes });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// Files in a directory and their bytes. One that a writer removes meanwhile does not count.
fn measure(dir: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(dir)? {
        match entry?.metadata() {
            Ok(metadata) if metadata.is_file() => {
                files += 1;
                bytes += metadata.len();
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok((files, bytes))
}
