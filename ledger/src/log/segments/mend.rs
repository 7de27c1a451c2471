//! What opening a log for writing changes before anything is appended.
//!
//! It may only build on what is on the disk, and what it reads may not be: the process before may
//! have died between a write and its sync, or its sync failed, after which the system shows bytes
//! that it has given up writing, and a sync of them succeeds without doing anything. The same goes
//! for the name of a file. So unless a clean stop says that all is durable, the segment that is
//! written to is written again as a new file and put in the old one's place.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::{
    entry::Seq,
    log::{
        LogError,
        segments::{
            Active, TornTail,
            append::file_id,
            disk::{Disk, write_all_at},
            files::{self, Floor},
        },
    },
};

/// Bytes copied at once.
const COPY_SIZE: usize = 1024 * 1024;

/// Removes what a crash left of files that were being written: an erased payload may be in one.
pub(super) fn remove_temporaries(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let removing = || LogError::while_(format!("looking for temporary files in {}", dir.display()));
    let files = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for file in files.map_err(removing())? {
        if file.path().extension().is_some_and(|extension| extension == "tmp") {
            disk.remove(&file.path()).map_err(LogError::while_(leftover(&file.path())))?;
        }
    }
    Ok(())
}

/// What is to be said of a temporary file that cannot be removed.
fn leftover(path: &Path) -> String {
    let (place, elsewhere) =
        (path.display(), path.with_added_extension("moved").display().to_string());
    if path.is_dir() {
        return format!(
            "removing {place}: names that end in .tmp are for files that a crash left, and this is a \
             directory that somebody made; look what is in it, and type: mv '{place}' '{elsewhere}'"
        );
    }
    format!("removing {place}, which a crash left and which may hold an erased payload")
}

/// Keeps a torn tail elsewhere, then cuts it off. Either can be done again after a crash.
pub(super) fn cut(
    disk: &dyn Disk,
    dir: &Path,
    active: &Active,
    seq: Seq,
) -> Result<TornTail, LogError> {
    let path = files::segment(dir, active.first);
    let bytes = read_from(&path, active.size)?;
    let kept_at = files::keep_torn(disk, dir, seq, &bytes)?;
    let cutting = || LogError::while_(format!("cutting off the torn tail of {}", path.display()));
    let mut file = disk.open(&path).map_err(cutting())?;
    file.set_len(active.size).map_err(cutting())?;
    file.sync_all().map_err(cutting())?;
    Ok(TornTail { seq, bytes: bytes.len() as u64, kept_at: Some(kept_at) })
}

pub(super) fn read_from(path: &Path, offset: u64) -> Result<Vec<u8>, LogError> {
    let mut bytes = Vec::new();
    let mut read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.read_to_end(&mut bytes)
    };
    read().map_err(LogError::while_(format!("reading {}", path.display())))?;
    Ok(bytes)
}

/// Makes sure that the active segment is on the disk as it was read, under its name.
///
/// Earlier segments are: each was made sure of while it was the active one, and whatever fails
/// later about an erasure in it is finished again.
pub(super) fn make_durable(
    disk: &dyn Disk,
    dir: &Path,
    active: &mut Active,
    floor: Floor,
) -> Result<(), LogError> {
    // A floor is written only when every commit up to it is durable, and every name.
    let stopped =
        active.head.last_seq().is_some_and(|seq| floor == Floor::At(seq, active.head.hash));
    // But a segment is begun after the floor is written, and an erasure at a start replaces the
    // file after the clean stop before it.
    if stopped && !active.offsets.is_empty() && active.erasures.erased.is_empty() {
        return Ok(());
    }
    let path = files::segment(dir, active.first);
    let temporary = path.with_added_extension("tmp");
    copy(disk, &path, &temporary, active.size)
        .and_then(|()| disk.rename(&temporary, &path))
        .map_err(LogError::while_(format!("writing {} again", path.display())))?;
    files::sync_parent(disk, &path)?;
    active.file_id = file_id(dir, active.first)?;
    Ok(())
}

/// Copies the first `size` bytes of a file to a new one, durable once this returns.
fn copy(disk: &dyn Disk, from: &Path, to: &Path, size: u64) -> io::Result<()> {
    let mut from = File::open(from)?.take(size);
    let mut to = disk.create(to)?;
    let (mut buffer, mut at) = (Vec::with_capacity(COPY_SIZE), 0);
    while at < size {
        buffer.clear();
        if from.by_ref().take(COPY_SIZE as u64).read_to_end(&mut buffer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all_at(&mut *to, &buffer, at)?;
        at += buffer.len() as u64;
    }
    to.sync_all()
}
