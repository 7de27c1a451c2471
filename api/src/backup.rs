//! A backup's directory: what may be one, what lies in it besides the log, and how it says whether it
//! is finished.
//!
//! | path | holds |
//! |---|---|
//! | `backup.json` | of which ledger it is, and the head that the last finished run reached, 0600 |
//! | `log/` | the segments and `head`, as in the ledger |
//! | `state/` | as in the ledger, 0700 |
//! | `keys/` | as in the ledger, 0700, only when asked for |
//!
//! It has no `home`, so nothing is recorded there. Each file is written beside its place, synced, and
//! renamed; `backup.json` comes first without a head, and last with one.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use ledger::{BackupError, Head, Log, Seq};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Code, fail},
    home::{Found, Home, found_in, remove_if_there, write_private},
};

const MARK: &str = "backup.json";

/// What `backup.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The hash of the ledger's entry 0, which no other ledger has.
    pub ledger: String,
    /// The end of the last run that was finished; `None` before the first one is.
    pub head: Option<MarkHead>,
    /// When that was, RFC 3339 in UTC.
    pub finished_at: Option<String>,
    /// The id that the directory is to have as the ledger's home, while the ledger moves to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

/// A head in `backup.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkHead {
    pub seq: u64,
    pub hash: String,
}

impl MarkHead {
    pub fn of(head: Head) -> MarkHead {
        MarkHead { seq: head.next.0.saturating_sub(1), hash: head.hash.to_string() }
    }
}

impl Mark {
    /// The mark of a backup; `None` where there is none.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Mark>> {
        let path = dir.join(MARK);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let mark = serde_json::from_slice(&bytes);
        mark.map(Some).with_context(|| format!("{} is not as it was written", path.display()))
    }

    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(MARK);
        let text = serde_json::to_vec(self).expect("plain strings are JSON");
        write_private(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes the mark away: the directory is no backup any more.
    pub fn remove(dir: &Path) -> io::Result<()> {
        remove_if_there(&dir.join(MARK))
    }
}

/// Makes sure that `to` is a backup of this ledger, or makes it an empty one. Nobody else writes it
/// for as long as the file is kept. `ours` becomes true as soon as what is unfinished there is ours to
/// [remove](remove_unfinished).
///
/// # Errors
/// Exit 5 when something else is there, or when the two lie in each other.
pub fn prepare(
    source: &Home,
    log: &dyn Log,
    to: &Path,
    ours: &AtomicBool,
) -> anyhow::Result<(Mark, fs::File)> {
    let conflict = |what: &str| {
        let shown = to.display();
        fail(Code::Conflict, format!("{shown} {what}; nothing was changed; name another directory"))
    };
    if let Found::File(file) = found_in(to)? {
        let what = format!("{} is a file; nothing was changed; name a directory", file.display());
        return Err(fail(Code::Conflict, what));
    }
    let (from, place) = (fs::canonicalize(source.dir())?, absolute(to)?);
    if place.starts_with(&from) {
        return Err(conflict("lies in the ledger's own directory, and would be lost with it"));
    }
    if from.starts_with(&place) {
        return Err(conflict("holds the ledger's own directory"));
    }
    let first = log.headers(Seq(0), 1)?;
    let first = first.first().context("the ledger has no entry yet")?.hash().to_string();
    if to.join("home").exists() {
        return Err(conflict("is a ledger's home and no backup"));
    }
    if !to.is_dir() {
        let parent = place.parent().unwrap_or(&place);
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the directory {}", parent.display()))?;
        make_dir(to)?;
    }
    let held = hold(to)?;
    if let Some(mark) = Mark::read(to)? {
        if mark.ledger != first {
            return Err(conflict("is the backup of another ledger"));
        }
        remove_unwritten(to)?;
        refuse_links(to)?;
        ours.store(true, Ordering::SeqCst);
        return Ok((mark, held));
    }
    if !is_empty(to)? {
        return Err(conflict("holds files and is no backup"));
    }
    remove_unwritten(to)?;
    ours.store(true, Ordering::SeqCst);
    let mark = Mark { ledger: first, head: None, finished_at: None, home: None };
    mark.write(to)?;
    Ok((mark, held))
}

/// Whether a path is in a directory, by links and `..` too, or is the directory itself. Its end need
/// not be there yet.
pub fn lies_in(path: &Path, dir: &Path) -> anyhow::Result<bool> {
    Ok(absolute(path)?.starts_with(fs::canonicalize(dir)?))
}

/// A path as the system sees it, though its end need not be there yet.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let mut place = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            // Links before it are followed already, as the system does.
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
        match fs::canonicalize(&place) {
            Ok(found) => place = found,
            // What is missing will be made under its own name.
            // Below a file nothing can be made, which is told where it is tried.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(e).with_context(|| format!("cannot look at {}", path.display())),
        }
    }
    Ok(place)
}

/// Makes sure that one run at a time writes a backup. It holds for as long as what is returned.
///
/// # Errors
/// Exit 75 when another process does.
fn hold(to: &Path) -> anyhow::Result<fs::File> {
    let opened = || format!("cannot open {}", to.display());
    let dir = fs::File::open(to).with_context(opened)?;
    match dir.try_lock() {
        Ok(()) => Ok(dir),
        Err(fs::TryLockError::WouldBlock) => {
            let what = format!("another process brings the backup in {} up to date", to.display());
            Err(fail(Code::TryAgain, format!("{what}; wait for its end, and try again")))
        }
        Err(fs::TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", to.display()))
        }
    }
}

/// Removes marks that were being written. Whoever calls this [holds](hold) the backup.
fn remove_unwritten(to: &Path) -> anyhow::Result<()> {
    for path in unwritten_marks(to) {
        remove_if_there(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Where a mark may be while it is being written.
fn unwritten_marks(to: &Path) -> [PathBuf; 2] {
    let mark = to.join(MARK);
    [mark.with_extension("tmp"), mark.with_added_extension("tmp")]
}

/// Removes every file that was being written when a run ended before its time, those of the log only
/// if its copying had begun. Whoever calls this has [prepared](prepare) the backup.
pub fn remove_unfinished(to: &Path, copying: bool) -> io::Result<()> {
    for file in fs::read_dir(to)?.flatten() {
        let path = file.path();
        if file.file_type()?.is_dir() {
            if copying || file.file_name() != "log" {
                remove_unfinished(&path, true)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// Whether nothing is there, or only what a crash left of a first mark.
fn is_empty(dir: &Path) -> anyhow::Result<bool> {
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e).with_context(|| format!("cannot look into {}", dir.display())),
    };
    let unwritten = unwritten_marks(dir);
    for file in files {
        if !unwritten.contains(&file?.path()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes sure that no link lies below a directory, so that all that is written or removed there is
/// in it. The directory itself may be reached by a link.
///
/// # Errors
/// Exit 5 for the first link found.
pub fn refuse_links(dir: &Path) -> anyhow::Result<()> {
    let looked = || format!("cannot look into {}", dir.display());
    for file in fs::read_dir(dir).with_context(looked)? {
        let file = file.with_context(looked)?;
        let (path, kind) = (file.path(), file.file_type()?);
        if kind.is_symlink() {
            return Err(fail(
                Code::Conflict,
                format!(
                    "{} is a link to another place; nothing was changed; put what it leads to \
                     there, or remove it",
                    path.display()
                ),
            ));
        }
        if kind.is_dir() {
            refuse_links(&path)?;
        }
    }
    Ok(())
}

fn make_dir(dir: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(dir);
    // Looked at itself: behind a link lies what is another's.
    let there = |e: &io::Error| {
        e.kind() == io::ErrorKind::AlreadyExists
            && fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir())
    };
    match made {
        Err(e) if !there(&e) => {
            Err(e).with_context(|| format!("cannot make the directory {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Makes `to` hold the files that `from` holds, for this account alone, and nothing else.
pub fn mirror(from: &Path, to: &Path) -> anyhow::Result<u64> {
    if !from.is_dir() {
        if to.is_dir() {
            fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
        }
        return Ok(0);
    }
    make_dir(to)?;
    let (mut names, mut count) = (BTreeSet::new(), 0);
    for file in fs::read_dir(from)? {
        let file = file?;
        let (path, name) = (file.path(), file.file_name());
        if path.is_dir() {
            count += mirror(&path, &to.join(&name))?;
        } else if path.extension().is_some_and(|ext| ext == "tmp") {
            continue;
        } else {
            // One that the server replaces is there before and after; one that it removes is not.
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
            };
            let target = to.join(&name);
            write_private(&target, &bytes)
                .with_context(|| format!("cannot write {}", target.display()))?;
            count += 1;
        }
        names.insert(name);
    }
    for file in fs::read_dir(to)? {
        let file = file?;
        if names.contains(&file.file_name()) {
            continue;
        }
        let path = file.path();
        let removed = if file.file_type()?.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(count)
}

/// What a person is told when a log cannot be copied there.
pub fn refused(error: BackupError, to: &Path) -> anyhow::Error {
    let advice = match error {
        // Its exit code is its own.
        BackupError::Log(error) => return error.into(),
        BackupError::OtherLedger => "name another directory",
        BackupError::Ahead { .. } | BackupError::Forked { .. } => {
            "keep both as they are, run `verify` on each with a head that was kept elsewhere, and \
             find out which one is right"
        }
        BackupError::OtherSegments { .. } => "make a new backup in another directory",
    };
    let shown = to.display();
    fail(Code::Conflict, format!("{error} ({shown}); nothing was changed; {advice}"))
}
