//! The files of a log directory: their names, how they are listed, written and made durable.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::{
    entry::{Hash, Seq},
    log::{
        LogError,
        segments::disk::{Disk, write_all_at},
    },
    regular,
};

/// The text file that says what must be there: `SEQ HASH` and a line feed.
const FLOOR: &str = "head";
/// Bytes of it that are read: more than its one line can have, so that a longer file does not fit.
const FLOOR_SIZE_MAX: u64 = 256;
/// Held open and locked by the one process that writes.
const LOCK: &str = "lock";
/// Ends of files that were cut off at a start.
const TORN: &str = "torn";
/// Derived: where each entry of a sealed segment begins.
const MAPS: &str = "map";
/// Derived: which ids are recorded.
const INDEX: &str = "index";

/// The file of the segment whose first entry is `first`.
pub(crate) fn segment(dir: &Path, first: Seq) -> PathBuf {
    dir.join(format!("{:020}.seg", first.0))
}

/// Where the derived map of that segment is kept.
pub(crate) fn map(dir: &Path, first: Seq) -> PathBuf {
    dir.join(MAPS).join(format!("{:020}.map", first.0))
}

/// Where the derived index of ids is kept.
pub(crate) fn index(dir: &Path) -> PathBuf {
    dir.join(INDEX)
}

/// The first entries that the segment files in `dir` are named after, in order.
pub(crate) fn segments(dir: &Path) -> Result<Vec<Seq>, LogError> {
    let listing = || LogError::while_(format!("listing {}", dir.display()));
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(LogError::Missing(dir.to_path_buf()));
        }
        Err(e) => return Err(listing()(e)),
    };
    let mut found = Vec::new();
    for file in files {
        let name = file.map_err(listing())?.file_name();
        let Some(digits) = name.to_str().and_then(|name| name.strip_suffix(".seg")) else {
            continue;
        };
        if digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            found.extend(digits.parse().map(Seq));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What `log/head` says must be there at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Nothing was ever promised, or the file is gone.
    Absent,
    /// This entry, with this hash, and all before it.
    At(Seq, Hash),
    /// The file is there and is no `SEQ HASH` line.
    Unreadable,
}

/// Reads `log/head`.
pub(crate) fn read_floor(dir: &Path) -> Result<Floor, LogError> {
    let path = dir.join(FLOOR);
    match regular::read(&path, FLOOR_SIZE_MAX) {
        Ok(bytes) => Ok(parse_floor(&bytes).unwrap_or(Floor::Unreadable)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Floor::Absent),
        Err(e) => Err(LogError::while_(format!("reading {}", path.display()))(e)),
    }
}

fn parse_floor(bytes: &[u8]) -> Option<Floor> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (seq, hash) = line.split_once(' ')?;
    if !seq.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Floor::At(Seq(seq.parse().ok()?), hash.parse().ok()?))
}

/// What `log/head` promises, and the segments that are there.
///
/// The floor is read first: read last, it could promise what a writer has appended since the files
/// were listed, and a sound log would look cut off.
pub(crate) fn floor_and_segments(dir: &Path) -> Result<(Floor, Vec<Seq>), LogError> {
    let (floor, found) = (read_floor(dir)?, segments(dir)?);
    if floor == Floor::Absent && found.len() > 1 {
        // Perhaps the first floor was written in between: it is, before a second segment is.
        return Ok((read_floor(dir)?, segments(dir)?));
    }
    Ok((floor, found))
}

/// Writes `log/head`, whole or not at all, and durable once this returns.
pub(crate) fn write_floor(
    disk: &dyn Disk,
    dir: &Path,
    seq: Seq,
    hash: Hash,
) -> Result<(), LogError> {
    replace(disk, &dir.join(FLOOR), format!("{seq} {hash}\n").as_bytes())
}

/// Gives a file new contents, whole or not at all, and durable once this returns.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, contents: &[u8]) -> Result<(), LogError> {
    let replacing = || LogError::while_(format!("writing {}", path.display()));
    let temporary = path.with_added_extension("tmp");
    let mut file = disk.create(&temporary).map_err(replacing())?;
    write_all_at(&mut *file, contents, 0).map_err(replacing())?;
    file.sync_all().map_err(replacing())?;
    disk.rename(&temporary, path).map_err(replacing())?;
    sync_parent(disk, path)
}

/// The same for a derived file, which a power cut may take or spoil: its checksums will tell, and
/// it is made again. Waiting for the disk would cost a writer's turn.
pub(crate) fn replace_derived(
    disk: &dyn Disk,
    path: &Path,
    contents: &[u8],
) -> Result<(), LogError> {
    let temporary = path.with_added_extension("tmp");
    disk.create(&temporary)
        .and_then(|mut file| write_all_at(&mut *file, contents, 0))
        .and_then(|()| disk.rename(&temporary, path))
        .map_err(LogError::while_(format!("writing {}", path.display())))
}

/// Makes the creation, renaming or removal of a file durable.
pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.sync_dir(parent).map_err(LogError::while_(format!("syncing {}", parent.display())))
}

/// Makes a directory that evidence is kept in, durable once this returns, and what is above it.
pub(crate) fn make_dir(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    match (disk.create_dir(path), path.parent()) {
        (Ok(()), _) => sync_parent(disk, path).inspect_err(|_| {
            // So that the next attempt makes it again: syncing again would prove nothing.
            let _ = disk.remove_dir(path);
        }),
        // Perhaps a crash came before it was durable.
        (Err(e), _) if e.kind() == io::ErrorKind::AlreadyExists => sync_parent(disk, path),
        (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound && parent != path => {
            make_dir(disk, parent)?;
            make_dir(disk, path)
        }
        (Err(e), _) => Err(LogError::while_(format!("creating {}", path.display()))(e)),
    }
}

/// Makes the directory of the maps. Like all that is derived, it need not be durable.
pub(crate) fn make_map_dir(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let maps = dir.join(MAPS);
    match disk.create_dir(&maps) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(LogError::while_(format!("creating {}", maps.display()))(e))
        }
        _ => Ok(()),
    }
}

/// Creates a segment file without entries.
pub(crate) fn create_segment(disk: &dyn Disk, dir: &Path, first: Seq) -> Result<(), LogError> {
    let path = segment(dir, first);
    disk.create_new(&path).map_err(LogError::while_(format!("creating {}", path.display())))?;
    sync_parent(disk, &path)
}

/// Takes the lock of the one writer. It is held until the file is dropped.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK);
    disk.lock(&path).map_err(|e| match e {
        fs::TryLockError::WouldBlock => LogError::Locked(dir.to_path_buf()),
        fs::TryLockError::Error(e) => LogError::while_(format!("locking {}", path.display()))(e),
    })
}

/// Keeps the bytes of a torn tail, durable once this returns, and says where.
///
/// A crash may come between keeping and cutting, so the same bytes may be here already. Other
/// bytes are never overwritten: they may be evidence.
pub(crate) fn keep_torn(
    disk: &dyn Disk,
    dir: &Path,
    seq: Seq,
    bytes: &[u8],
) -> Result<PathBuf, LogError> {
    let torn = dir.join(TORN);
    let keeping = || LogError::while_(format!("keeping a torn tail in {}", torn.display()));
    make_dir(disk, &torn)?;
    for copy in 0..u32::MAX {
        let path = torn.join(format!("{:020}-{copy}.torn", seq.0));
        match regular::read(&path, bytes.len() as u64 + 1) {
            Ok(kept) if kept != bytes => continue,
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(keeping()(e)),
            // The same bytes may be shown and not be on the disk, if a sync has failed.
            _ => replace(disk, &path, bytes)?,
        }
        return Ok(path);
    }
    Err(keeping()(io::Error::other("there are too many")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_that_is_written_is_read_as_a_floor() {
        let hash = "0a".repeat(32);
        let at = Floor::At(Seq(7), Hash([10; 32]));
        for (text, expected) in [
            (format!("7 {hash}\n"), Some(at)),
            (format!("7 {hash}"), None),
            (format!("7  {hash}\n"), None),
            (format!("+7 {hash}\n"), None),
            (format!("7 {}\n", hash.to_uppercase()), None),
            (format!("7 {hash}\n\n"), None),
            (String::new(), None),
        ] {
            assert_eq!(parse_floor(text.as_bytes()), expected, "{text:?}");
        }
    }
}
