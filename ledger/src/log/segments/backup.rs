//! A copy of a log's files, made while a writer is at work, and brought up to date by doing it again.
//!
//! What is copied ends with a whole commit. A sealed segment changes only by an erasure, which makes
//! it shorter; so one of the same size is not copied again, and one of another size is. Each file is
//! checked before it takes its place: what is damaged here never replaces what is sound there. New
//! entries are copied before rewritten segments, so that no payload is gone from the copy before
//! the redaction that allows it is there.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    chain::Head,
    entry::{Hash, Header, Seq},
    log::{
        Damage, Log as _, LogError,
        segments::{
            SegmentLog,
            append::file_id,
            check::{Start, Stop, check},
            disk::{Disk, RealDisk, write_all_at},
            files::{self, Floor},
            frame::FrameReader,
            manifest,
            mend::remove_temporaries,
            stat::SegmentInfo,
        },
    },
    verify::rules::{COMPARE, Checks, damage},
};

/// How often a copy looks again when an erasure has changed a file under its hands.
const LOOKS_MAX: u32 = 4;
/// Bytes copied at once: 1 MiB.
const PIECE_SIZE: usize = 1024 * 1024;

/// What a backup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// The end of the copy.
    pub head: Head,
    /// Segments written, and their bytes.
    pub copied: (u64, u64),
    /// Segments that were there already.
    pub kept: u64,
}

/// Why a log is not copied there. But for [`Log`](BackupError::Log), nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The files here or there failed, or are damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The copy is of another ledger.
    #[error("the copy is of another ledger")]
    OtherLedger,
    /// The copy holds what the log does not hold any more.
    #[error("the copy reaches to entry {copy}, and the log does not: entries were lost from it")]
    Ahead {
        /// The copy's last entry.
        copy: Seq,
    },
    /// From here on, or before, the two have different histories.
    #[error("entry {seq} of the copy is another than the log's: one of the two was changed")]
    Forked {
        /// The entry that was compared.
        seq: Seq,
    },
    /// The copy's files begin at other entries, so it was not made from this log.
    #[error("the copy's files are parted in another way, at entry {first}")]
    OtherSegments {
        /// Where a file of the copy begins and none of the log does.
        first: Seq,
    },
}

impl SegmentLog {
    /// Brings the copy in the directory `to` to this log's end, or begins one there. `fresh` copies
    /// all segments, also those that seem unchanged. Bytes that are done are added to `done`.
    ///
    /// It takes the lock of the copy, and writes nothing here. After a crash the copy is as good as
    /// before, or doing it again finishes it.
    pub fn back_up(
        &self,
        to: &Path,
        fresh: bool,
        done: &AtomicU64,
    ) -> Result<BackedUp, BackupError> {
        self.back_up_on(&RealDisk, to, fresh, done)
    }

    /// [`back_up`](SegmentLog::back_up) onto a disk of the caller's own.
    pub fn back_up_on(
        &self,
        disk: &dyn Disk,
        to: &Path,
        fresh: bool,
        done: &AtomicU64,
    ) -> Result<BackedUp, BackupError> {
        files::make_dir(disk, to)?;
        let _lock = files::lock(disk, to)?;
        remove_temporaries(disk, to)?;
        let mut copied = (0, 0);
        for look in 1..=LOOKS_MAX {
            let copying = Copying { disk, log: self, to, fresh: fresh && look == 1, done };
            done.store(0, Ordering::Relaxed);
            match copying.run(&mut copied) {
                Ok(backed_up) if look == LOOKS_MAX || !copying.changed_since(&backed_up.1)? => {
                    return Ok(backed_up.0);
                }
                Err(BackupError::Log(LogError::Corrupt(damage))) if look == LOOKS_MAX => {
                    return Err(LogError::Corrupt(damage).into());
                }
                // Something has changed under our hands: an erasure puts another file in place.
                Ok(_) | Err(BackupError::Log(LogError::Corrupt(_))) => self.reload()?,
                Err(e) => return Err(e),
            }
        }
        unreachable!("the last look returns")
    }
}

/// One pass.
struct Copying<'a> {
    disk: &'a dyn Disk,
    log: &'a SegmentLog,
    to: &'a Path,
    fresh: bool,
    done: &'a AtomicU64,
}

/// The newest segment of a copy, and the chain after its last sound entry, if it has one.
type Newest = Option<(Seq, Option<Head>)>;

impl Copying<'_> {
    fn run(
        &self,
        copied: &mut (u64, u64),
    ) -> Result<(BackedUp, Vec<(SegmentInfo, u64)>), BackupError> {
        let head = self.log.head();
        let segments: Vec<_> = self.log.segments();
        let present = files::segments(self.to)?;
        let newest = self.compare(&present, &segments, head)?;
        let (mut rewritten, mut before) = (Vec::new(), Head::GENESIS);
        let mut looked = Vec::with_capacity(segments.len());
        for segment in &segments {
            let begins = before;
            before = segment.head;
            looked.push((segment.clone(), file_id(self.log.dir(), segment.first)?));
            if !self.fresh && self.is_there(segment, newest)? {
                self.done.fetch_add(segment.size, Ordering::Relaxed);
                continue;
            }
            let newer = newest.is_none_or(|(first, _)| segment.first >= first);
            if newer || !present.contains(&segment.first) {
                self.copy(segment, begins, copied)?;
            } else {
                rewritten.push((segment, begins));
            }
        }
        for (segment, begins) in rewritten {
            self.copy(segment, begins, copied)?;
        }
        if let Some(last) = head.last_seq() {
            files::write_floor(self.disk, self.to, last, head.hash)?;
        }
        // Derived: without it whoever opens the copy reads all of it.
        let sealed = self.log.state().sealed.clone();
        let _ = manifest::save(self.disk, self.to, &sealed, &[]);
        let kept = (segments.len() as u64).saturating_sub(copied.0);
        Ok((BackedUp { head, copied: *copied, kept }, looked))
    }

    /// Whether the copy has this segment as it is.
    fn is_there(&self, segment: &SegmentInfo, newest: Newest) -> Result<bool, LogError> {
        let path = files::segment(self.to, segment.first);
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(LogError::while_(format!("looking at {}", path.display()))(e)),
        };
        // The copy's newest one may have grown since, and lost as many bytes by an erasure.
        let same_end = match newest {
            Some((first, head)) if first == segment.first => head == Some(segment.head),
            _ => true,
        };
        Ok(size == segment.size && same_end)
    }

    /// Makes sure that the copy is an earlier state of this log.
    fn compare(
        &self,
        present: &[Seq],
        segments: &[SegmentInfo],
        head: Head,
    ) -> Result<Newest, BackupError> {
        let first_here = self.log.headers(Seq(0), 1)?.first().map(Header::hash);
        if first_hash(self.to).is_some_and(|first| first_here != Some(first)) {
            return Err(BackupError::OtherLedger);
        }
        if let Floor::At(seq, hash) = files::read_floor(self.to)? {
            self.same(seq, hash, head)?;
        }
        for first in present {
            if first.0 > head.next.0 {
                return Err(BackupError::Ahead { copy: *first });
            }
        }
        let mut newest = None;
        for first in present.iter().rev() {
            let path = files::segment(self.to, *first);
            let read = check(&path, Start::Unjoined(*first), &Checks::default())?;
            let found = (read.head.next > *first).then_some(read.head);
            newest.get_or_insert((*first, found));
            if let Some(found) = found {
                self.same(Seq(found.next.0 - 1), found.hash, head)?;
                break;
            }
        }
        let known = |first: &&Seq| segments.iter().any(|segment| segment.first == **first);
        match present.iter().find(|first| !known(first)) {
            Some(first) => Err(BackupError::OtherSegments { first: *first }),
            None => Ok(newest),
        }
    }

    fn same(&self, seq: Seq, hash: Hash, head: Head) -> Result<(), BackupError> {
        let here = self.log.headers(seq, 1)?;
        if here.first().is_some_and(|header| header.hash() == hash) {
            return Ok(());
        }
        if seq >= head.next {
            return Err(BackupError::Ahead { copy: seq });
        }
        Err(BackupError::Forked { seq })
    }

    /// Copies a segment up to its last whole commit, checks the copy, and puts it in place.
    fn copy(
        &self,
        segment: &SegmentInfo,
        before: Head,
        copied: &mut (u64, u64),
    ) -> Result<(), LogError> {
        let path = files::segment(self.to, segment.first);
        let temporary = path.with_added_extension("tmp");
        let put = self
            .write(segment, &temporary)
            .and_then(|()| fits(&temporary, segment, before))
            .and_then(|()| {
                let placing = LogError::while_(format!("writing {}", path.display()));
                self.disk.rename(&temporary, &path).map_err(placing)
            });
        if put.is_err() {
            // What failed is told already; a next run removes what cannot be removed now.
            let _ = self.disk.remove(&temporary);
        }
        put?;
        files::sync_parent(self.disk, &path)?;
        *copied = (copied.0 + 1, copied.1 + segment.size);
        Ok(())
    }

    fn write(&self, segment: &SegmentInfo, temporary: &Path) -> Result<(), LogError> {
        let reading = || LogError::while_(format!("reading {}", segment.path.display()));
        let writing = || LogError::while_(format!("writing {}", temporary.display()));
        let mut from = File::open(&segment.path).map_err(reading())?.take(segment.size);
        let mut to = self.disk.create(temporary).map_err(writing())?;
        let (mut piece, mut at) = (vec![0; PIECE_SIZE], 0);
        loop {
            let size = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(size) => size,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(reading()(e)),
            };
            write_all_at(&mut *to, piece.get(..size).unwrap_or_default(), at).map_err(writing())?;
            at += size as u64;
            self.done.fetch_add(size as u64, Ordering::Relaxed);
        }
        to.sync_all().map_err(writing())
    }

    /// Whether an erasure has put another file in place of one that was looked at.
    fn changed_since(&self, looked: &[(SegmentInfo, u64)]) -> Result<bool, LogError> {
        for (segment, id) in looked {
            if file_id(self.log.dir(), segment.first)? != *id {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Checks that a copied file is what the segment was when it was looked at.
fn fits(file: &Path, segment: &SegmentInfo, before: Head) -> Result<(), LogError> {
    let read = check(file, Start::After(before, 0), &Checks::default())?;
    if matches!(read.stop, Stop::End) && read.head == segment.head && read.end == segment.size {
        return Ok(());
    }
    let found = read.stop.as_damage(&segment.path).unwrap_or_else(|| {
        damage(read.head.next, "unreadable", "another entry stands in its place", COMPARE)
    });
    let place = found.place.map(|(_, at)| (segment.path.clone(), at));
    Err(Damage { place, ..found }.into())
}

/// The hash of the entry that a copy begins with, if that can be read.
fn first_hash(dir: &Path) -> Option<Hash> {
    let file = File::open(files::segment(dir, Seq(0))).ok()?;
    let mut frames = FrameReader::new(file, 0);
    frames.peek().ok()?.ok().map(|frame| frame.hash())
}
