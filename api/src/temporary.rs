//! What a command makes beside the place that it is to have, until it is whole.
//!
//! Nobody sees half of it: it is renamed to its place at the end, and taken away when the command
//! fails or is interrupted. What a killed process or a power cut left is removed by the next command
//! that makes something in the same directory: its name begins with [`PREFIX`] and the number of the
//! process, which holds a lock on it for as long as it lives.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    home::random_hex,
    interrupt::{Begun, before_the_end},
};

/// What all names of unfinished things beside a target begin with.
pub const PREFIX: &str = ".rollout-ledger-tmp-";

/// How often what is being filled by another thread is removed again: it may gain a file meanwhile.
const REMOVALS_MAX: u32 = 100;

/// A file or directory beside its place. Dropped before [`put`](Temporary::put), it is removed.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    /// Open and locked for as long as this process lives; the file's own contents go there too.
    file: fs::File,
    begun: Option<Begun>,
}

impl Temporary {
    /// An empty file beside `target`, for this account alone.
    pub fn file_beside(target: &Path) -> anyhow::Result<Temporary> {
        let says = format!("{} was not written; run the same command again", target.display());
        Temporary::make(target, says, |path| {
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        })
    }

    /// An empty directory beside `target`. `mode` is what the account's umask is taken from.
    pub fn dir_beside(target: &Path, mode: u32) -> anyhow::Result<Temporary> {
        let says = format!("nothing was made in {}; run the same command again", target.display());
        Temporary::make(target, says, |path| {
            fs::DirBuilder::new().mode(mode).create(path)?;
            fs::File::open(path)
        })
    }

    fn make(
        target: &Path,
        says: String,
        make: impl FnOnce(&Path) -> io::Result<fs::File>,
    ) -> anyhow::Result<Temporary> {
        let dir = parent(target);
        sweep(dir);
        let path = dir.join(format!("{PREFIX}{}-{}", std::process::id(), random_hex::<6>()));
        let undone = path.clone();
        let begun = Begun::note(says, move || remove(&undone))
            .context("cannot wait for signals, and so not clean up after one")?;
        let file = before_the_end(|| make(&path))
            .with_context(|| format!("cannot write in {}", dir.display()))?;
        let made = Temporary { path, file, begun: Some(begun) };
        made.file.try_lock().with_context(|| format!("cannot lock {}", made.path.display()))?;
        Ok(made)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is written here is the file's contents.
    pub fn file(&self) -> &fs::File {
        &self.file
    }

    /// Moves it to its place, durable once this returns.
    pub fn put(mut self, target: &Path) -> io::Result<()> {
        let moved = || fs::rename(&self.path, target);
        match self.begun.take() {
            Some(begun) => begun.conclude(moved)?,
            None => moved()?,
        }
        // There is nothing to remove any more.
        self.path = PathBuf::new();
        fs::File::open(parent(target))?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Removed before it is forgotten, so that a signal in between does it again.
        if !self.path.as_os_str().is_empty() {
            let _ = remove(&self.path);
        }
    }
}

/// The directory that a path lies in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a file, or a directory with all that is in it, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let mut removed = Ok(());
    for _ in 0..REMOVALS_MAX {
        removed = match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(e) => Err(e),
        };
        match &removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => return removed,
        }
    }
    removed
}

/// Removes what dead processes of this account left in a directory. What cannot be looked at or
/// removed stays: it is in nobody's way but the disk's.
fn sweep(dir: &Path) {
    let Ok(me) = fs::metadata("/proc/self").map(|process| process.uid()) else { return };
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        if is_left(&file.path(), &file.file_name(), me) {
            let _ = remove(&file.path());
        }
    }
}

/// Whether a dead process of this account left it.
fn is_left(path: &Path, name: &OsStr, me: u32) -> bool {
    let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
    let Some(pid) = pid.and_then(|(pid, _)| pid.parse::<u32>().ok()) else { return false };
    let own = |found: fs::Metadata| found.uid() == me && (found.is_dir() || found.is_file());
    if !fs::symlink_metadata(path).is_ok_and(own) {
        return false;
    }
    // One that was begun this moment is not locked yet; the number may have gone to another program.
    let name_of = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    if name_of(&pid.to_string()).is_some_and(|name| Some(name) == name_of("self")) {
        return false;
    }
    // Seen from another container its maker seems dead, and is not.
    fs::File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}
