//! A log made again from entries that were recorded elsewhere: same headers, same commits.
//!
//! Nobody is told that anything is recorded before all of it is, so there is one sync a segment and
//! not one a commit. Whoever builds does so in a directory that is not in use yet.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    chain::Head,
    draft::{BATCH_LEN_MAX, PAYLOAD_SIZE_MAX},
    entry::{Hash, Header, Seq},
    log::{
        LogError,
        segments::{
            SEGMENT_SIZE,
            disk::{Disk, DiskFile, RealDisk, write_all_at},
            files, frame,
        },
    },
    verify::rules::{COMPARE, Checks, Findings, Known, RESTORE, Rules, damage},
};

/// Bytes that are gathered before they are written: 1 MiB, about what one commit can have.
const BUFFER_SIZE: usize = 1024 * 1024;

/// A log on its way.
#[derive(Debug)]
pub struct Build {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_size: u64,
    file: Box<dyn DiskFile>,
    /// Bytes of the segment that are written.
    written: u64,
    buffer: Vec<u8>,
    checks: Checks,
    state: BuildState,
}

#[derive(Debug)]
struct BuildState {
    head: Head,
    findings: Findings,
    /// How many entries of the commit must still follow.
    left: u16,
}

impl Build {
    /// Begins in `dir`, which is made, and must hold no log. `expect` is a head from elsewhere,
    /// which must be among what is pushed.
    pub fn create(dir: &Path, expect: Option<(Seq, Hash)>) -> Result<Build, LogError> {
        Build::create_sized(Arc::new(RealDisk), dir, expect, SEGMENT_SIZE)
    }

    /// [`create`](Build::create) with smaller segments, so that tests see many of them.
    #[cfg(feature = "testing")]
    pub fn create_with_segment_size(dir: &Path, segment_size: u64) -> Result<Build, LogError> {
        Build::create_sized(Arc::new(RealDisk), dir, None, segment_size)
    }

    fn create_sized(
        disk: Arc<dyn Disk>,
        dir: &Path,
        expect: Option<(Seq, Hash)>,
        segment_size: u64,
    ) -> Result<Build, LogError> {
        files::make_dir(&*disk, dir)?;
        if !files::segments(dir)?.is_empty() {
            return Err(LogError::Exists(dir.to_path_buf()));
        }
        let known = expect.map(|(seq, hash)| Known {
            seq,
            hash,
            code: "head_mismatch",
            from: "the head that was expected",
        });
        let known = known.into_iter().collect();
        let state = BuildState { head: Head::GENESIS, findings: Findings::default(), left: 0 };
        let file = new_segment(&*disk, dir, Seq(0))?;
        Ok(Build {
            disk,
            dir: dir.to_path_buf(),
            segment_size,
            file,
            written: 0,
            buffer: Vec::with_capacity(2 * BUFFER_SIZE),
            checks: Checks { payloads: true, opened_first: true, known, claims: None },
            state,
        })
    }

    /// The end of what was pushed.
    pub fn head(&self) -> Head {
        self.state.head
    }

    /// Adds the next entry, after which `left` entries of its commit follow. It must follow the
    /// chain, its payload must match its digest and be a canonical event.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when the entry does not belong there.
    pub fn push(
        &mut self,
        header: &Header,
        payload: Option<&[u8]>,
        left: u16,
    ) -> Result<Hash, LogError> {
        let (seq, hash) = (self.state.head.next, header.hash());
        if payload.is_some_and(|payload| payload.len() > PAYLOAD_SIZE_MAX) {
            return Err(damage(seq, "unknown", "its payload is too large", COMPARE).into());
        }
        let mut rules = Rules::new(&self.checks, self.state.head);
        rules.findings = mem::take(&mut self.state.findings);
        let stepped = rules.step(header, hash, payload);
        (self.state.head, self.state.findings) = (rules.head, rules.findings);
        stepped?;
        let starts_commit = self.state.left == 0;
        let counts = if starts_commit {
            usize::from(left) < BATCH_LEN_MAX
        } else {
            left + 1 == self.state.left
        };
        if !counts {
            let what = "it does not count down the entries left in its commit";
            return Err(damage(seq, "commit_count", what, COMPARE).into());
        }
        if starts_commit && self.written + self.buffer.len() as u64 >= self.segment_size {
            self.finish_segment()?;
            self.file = new_segment(&*self.disk, &self.dir, seq)?;
            self.written = 0;
        }
        frame::encode(&mut self.buffer, header, payload, left);
        self.state.left = left;
        if self.buffer.len() >= BUFFER_SIZE {
            self.write()?;
        }
        Ok(hash)
    }

    /// Ends the log: judges what can only be judged at the end, writes the floor, and makes it all
    /// durable.
    pub fn finish(mut self) -> Result<Head, LogError> {
        let head = self.state.head;
        if self.state.left > 0 {
            let what = "the commit that it belongs to is not complete";
            return Err(damage(head.next, "truncated", what, RESTORE).into());
        }
        if let Some(missing) = self.state.findings.first_missing() {
            return Err(missing.into());
        }
        if let Some(known) = self.checks.known.iter().find(|known| known.seq >= head.next) {
            let what =
                format!("the log ends before it, but {} names entry {}", known.from, known.seq);
            return Err(damage(head.next, "cut_off", what, RESTORE).into());
        }
        self.finish_segment()?;
        if let Some(last) = head.last_seq() {
            files::write_floor(&*self.disk, &self.dir, last, head.hash)?;
        }
        files::sync_parent(&*self.disk, &self.dir)?;
        Ok(head)
    }

    fn write(&mut self) -> Result<(), LogError> {
        let writing = LogError::while_(format!("writing in {}", self.dir.display()));
        write_all_at(&mut *self.file, &self.buffer, self.written).map_err(writing)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish_segment(&mut self) -> Result<(), LogError> {
        self.write()?;
        let syncing = LogError::while_(format!("syncing a segment in {}", self.dir.display()));
        self.file.sync_all().map_err(syncing)
    }
}

fn new_segment(disk: &dyn Disk, dir: &Path, first: Seq) -> Result<Box<dyn DiskFile>, LogError> {
    files::create_segment(disk, dir, first)?;
    let path = files::segment(dir, first);
    disk.open(&path).map_err(LogError::while_(format!("opening {}", path.display())))
}
