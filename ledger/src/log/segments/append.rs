//! One commit: one write, one fdatasync. And the sealing of a segment that has grown enough.

use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use crate::{
    entry::{Entry, Seq},
    log::{
        Log as _, LogError, assert_follows,
        segments::{
            Active, SegmentLog,
            disk::{Disk, DiskFile, write_all_at},
            files, frame, manifest,
            map::Segment,
        },
    },
};

/// What only the one writer has.
#[derive(Debug)]
pub(super) struct Appender {
    /// The active segment.
    pub(super) file: Box<dyn DiskFile>,
    /// Held as long as the log is open for writing.
    pub(super) _lock: File,
    /// Kept, so that a commit allocates nothing.
    pub(super) buffer: Vec<u8>,
    /// Set while a file is being changed, and left set when that fails: after a failed fsync the
    /// system may have dropped the bytes and will not say so again, so trying again would lie.
    pub(super) in_doubt: bool,
}

impl Appender {
    pub(super) fn new(
        disk: &dyn Disk,
        dir: &Path,
        active: Seq,
        lock: File,
    ) -> Result<Appender, LogError> {
        let file = open_for_writing(disk, dir, active)?;
        Ok(Appender { file, _lock: lock, buffer: Vec::new(), in_doubt: false })
    }
}

pub(super) fn open_for_writing(
    disk: &dyn Disk,
    dir: &Path,
    first: Seq,
) -> Result<Box<dyn DiskFile>, LogError> {
    let path = files::segment(dir, first);
    let opening = LogError::while_(format!("opening {}", path.display()));
    disk.open(&path).map_err(opening)
}

/// Tells one file from another that took its name.
pub(super) fn file_id(dir: &Path, first: Seq) -> Result<u64, LogError> {
    let path = files::segment(dir, first);
    let metadata = std::fs::metadata(&path);
    Ok(metadata.map_err(LogError::while_(format!("looking at {}", path.display())))?.ino())
}

impl SegmentLog {
    pub(super) fn append_commit(&self, entries: &[Entry]) -> Result<(), LogError> {
        let mut appender = self.appender()?;
        if appender.in_doubt {
            return Err(LogError::InDoubt(None));
        }
        let head = assert_follows(self.head(), entries);
        let Some(left_after_first) = entries.len().checked_sub(1) else { return Ok(()) };

        if self.state().active.size >= self.segment_size {
            self.seal(&mut appender)?;
        }
        let start = self.state().active.size;
        let Appender { file, buffer, in_doubt, .. } = &mut *appender;
        let left_after_first = u16::try_from(left_after_first).expect("a commit is short");
        buffer.clear();
        let mut offsets = Vec::with_capacity(entries.len());
        for (entry, left) in entries.iter().zip((0..=left_after_first).rev()) {
            let at = start + buffer.len() as u64;
            offsets.push(u32::try_from(at).expect("a segment is far under 4 GiB"));
            frame::encode(buffer, entry.header(), entry.payload(), left);
        }

        // Store. A crash before the sync is done leaves all, a part or nothing of the commit: the
        // next opening keeps it if it is whole and cuts it off if not. Nobody has an answer yet.
        *in_doubt = true;
        let in_file = |e: io::Error| {
            let path = files::segment(&self.dir, self.state().active.first);
            LogError::InDoubt(Some(io::Error::new(e.kind(), format!("{}: {e}", path.display()))))
        };
        write_all_at(&mut **file, buffer, start).map_err(in_file)?;
        file.sync_data().map_err(in_file)?;
        *in_doubt = false;

        // Publish. A crash before this line costs nothing: opening reads the same head back.
        let mut state = self.state_mut();
        let active = &mut state.active;
        active.head = head;
        active.size += buffer.len() as u64;
        active.offsets.append(&mut offsets);
        active.erasures.note_commit(entries);
        Ok(())
    }

    /// Ends the active segment, of which every commit is durable, and begins another.
    fn seal(&self, appender: &mut Appender) -> Result<(), LogError> {
        let Active { first, head, .. } = self.state().active;
        appender.in_doubt = true;
        // The floor comes first: whenever a segment follows another, the floor covers the first.
        // A crash from here on leaves a floor at the end of the log, which is right.
        let last = head.last_seq().expect("a segment is sealed only once it holds entries");
        files::write_floor(&*self.disk, &self.dir, last, head.hash)?;
        // A crash after this leaves a last segment without entries, into which writing goes on.
        files::create_segment(&*self.disk, &self.dir, head.next)?;
        appender.file = open_for_writing(&*self.disk, &self.dir, head.next)?;
        let file_id = file_id(&self.dir, head.next)?;

        let mut state = self.state_mut();
        let new = Active::empty(head, file_id);
        let Active { size, offsets, erasures, .. } = std::mem::replace(&mut state.active, new);
        let sealed = Segment::known(&self.dir, (first, head), size, erasures, offsets);
        let sealed = Arc::new(sealed);
        state.sealed.push(sealed.clone());
        let all = state.sealed.clone();
        drop(state);
        // Derived: without them the next opening reads this segment once more.
        let _ = sealed.save(&*self.disk, &self.dir);
        let _ = manifest::save(&*self.disk, &self.dir, &all, &[]);
        appender.in_doubt = false;
        Ok(())
    }
}
