//! The directory itself: is it one, who may do what in it, how much room its disk has.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use ledger::{Log as _, SegmentLog, Seq};

use super::{Check, command, quoted};
use crate::{
    clock,
    home::Home,
    shell,
    space::{Disk, shown},
};

/// The most files that are looked at; a ledger of a terabyte has fewer.
const FILES_MAX: usize = 100_000;

/// The most paths that a line names.
const NAMED_MAX: usize = 3;

/// What is its owner's alone, if it is there.
const PRIVATE: [&str; 4] = ["keys", "state", "serve.json", "kafka.properties"];

/// Files that a disk should have room for: a segment, its map, an index run and a store of views.
const INODES_MIN: u64 = 64;

/// The days that the growth is measured over.
const GROWTH_DAYS: u64 = 7;

/// Days of room that are few.
const DAYS_LEFT_MIN: u64 = 14;

const DAY_US: u64 = 86_400_000_000;

/// Whether there is a ledger at all.
pub(super) fn directory(home: &Home) -> Check {
    let (dir, shown) = (home.dir(), home.dir().display());
    let here = |finding: String, remedy: String| Check::problem("directory", finding, remedy);
    match fs::metadata(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return here(
                format!("there is no {shown}"),
                format!(
                    "name the right one with --data-dir, or make a ledger: `{}`",
                    command("init", home)
                ),
            );
        }
        Err(e) => return here(format!("{shown} cannot be looked at: {e}"), as_owner(dir)),
        Ok(found) if !found.is_dir() => {
            return here(
                format!("{shown} is a file"),
                "name the directory with --data-dir".to_owned(),
            );
        }
        Ok(_) => {}
    }
    if home.log_json().is_file() && !home.log().exists() {
        return Check::ok("directory", format!("{shown} says which topic of Kafka holds its log"));
    }
    match fs::read_dir(home.log()) {
        Ok(_) => Check::ok("directory", format!("{shown} holds a log")),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let empty = fs::read_dir(dir).is_ok_and(|mut files| files.next().is_none());
            if empty {
                let remedy = format!("`{}` makes a ledger there", command("init", home));
                return here(format!("{shown} is empty"), remedy);
            }
            here(
                format!("{shown} holds no log, but something else"),
                "name the ledger's directory with --data-dir; if it is this one, put its log/ back \
                 from a backup"
                    .to_owned(),
            )
        }
        Err(e) => here(format!("{shown}/log cannot be listed: {e}"), as_owner(dir)),
    }
}

/// How to look again with the right to.
fn as_owner(dir: &Path) -> String {
    let owner = fs::metadata(dir).map(|found| found.uid());
    let doctor = shell::command("doctor", dir);
    match owner {
        Ok(uid) => format!("look as its owner, account {uid}, or as root: `{doctor}`"),
        Err(_) => format!("look as the ledger's account, or as root: `{doctor}`"),
    }
}

/// What is to be told of files by their modes and owners.
#[derive(Default)]
struct Seen {
    unreadable: Vec<PathBuf>,
    /// Anybody may change them.
    open_to_all: Vec<PathBuf>,
    open_to_group: Vec<PathBuf>,
    /// Secrets that others may read.
    exposed: Vec<PathBuf>,
    foreign: Vec<PathBuf>,
}

/// Who may read and write, and whose it is.
pub(super) fn permissions(home: &Home) -> Vec<Check> {
    let Ok(top) = fs::metadata(home.dir()) else { return Vec::new() };
    let mut seen = Seen::default();
    let mut left = FILES_MAX;
    look(home.dir(), false, top.uid(), &mut seen, &mut left);
    let mut checks = modes(home, &seen);
    checks.extend(owner(home, (top.uid(), top.gid()), &seen));
    checks
}

fn look(path: &Path, secret: bool, owner: u32, seen: &mut Seen, left: &mut usize) {
    let Some(rest) = left.checked_sub(1) else { return };
    *left = rest;
    // What was there a moment ago may be gone.
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let (mode, link) = (found.mode(), found.is_symlink());
    if !link && mode & 0o002 != 0 {
        seen.open_to_all.push(path.to_owned());
    }
    if !link && mode & 0o020 != 0 {
        seen.open_to_group.push(path.to_owned());
    }
    if secret && !link && mode & 0o077 != 0 {
        seen.exposed.push(path.to_owned());
    }
    if found.uid() != owner {
        seen.foreign.push(path.to_owned());
    }
    if !found.is_dir() {
        return;
    }
    let Ok(files) = fs::read_dir(path) else {
        seen.unreadable.push(path.to_owned());
        return;
    };
    for file in files.flatten() {
        let private = file.file_name().to_str().is_some_and(|name| PRIVATE.contains(&name));
        look(&file.path(), secret || private, owner, seen, left);
    }
}

fn modes(home: &Home, seen: &Seen) -> Vec<Check> {
    let (dir, name) = (quoted(home.dir()), "permissions");
    let mut checks = Vec::new();
    let secrets: Vec<_> = PRIVATE
        .map(|name| home.dir().join(name))
        .into_iter()
        .filter(|path| seen.exposed.iter().any(|exposed| exposed.starts_with(path)))
        .map(|path| quoted(&path))
        .collect();
    if !secrets.is_empty() {
        let finding = format!("others may read secrets: {}", named(home, &seen.exposed));
        let remedy = format!("`chmod -R go= {}`", secrets.join(" "));
        checks.push(Check::problem(name, finding, remedy));
    }
    if !seen.open_to_all.is_empty() {
        let finding = format!("anybody may change {}", named(home, &seen.open_to_all));
        checks.push(Check::problem(name, finding, format!("`chmod -R o-w {dir}`")));
    }
    if !seen.unreadable.is_empty() {
        let finding = format!("not all can be read: {}", named(home, &seen.unreadable));
        checks.push(Check::warning(name, finding, as_owner(home.dir())));
    }
    if !seen.open_to_group.is_empty() {
        let finding = format!("its group may change {}", named(home, &seen.open_to_group));
        checks.push(Check::warning(name, finding, format!("`chmod -R g-w {dir}`")));
    }
    if checks.is_empty() {
        let finding =
            "only the owner may write; keys/, state/ and serve.json are the owner's alone";
        checks.push(Check::ok(name, finding));
    }
    checks
}

fn owner(home: &Home, (uid, gid): (u32, u32), seen: &Seen) -> Vec<Check> {
    let (name, mut checks) = ("owner", Vec::new());
    if !seen.foreign.is_empty() {
        let finding = format!(
            "the directory is account {uid}'s, but {} belongs to another, so a server may be unable \
             to write it",
            named(home, &seen.foreign)
        );
        let remedy = format!("as root: `chown -hR {uid}:{gid} {}`", quoted(home.dir()));
        checks.push(Check::problem(name, finding, remedy));
    }
    let me = fs::metadata("/proc/self").map_or(uid, |process| process.uid());
    if me == uid {
        if checks.is_empty() {
            checks.push(Check::ok(name, format!("everything is this account's ({uid})")));
        }
        return checks;
    }
    let what = if me == 0 {
        "what the superuser records here makes files that the owner cannot write"
    } else {
        "this account cannot record here"
    };
    let finding = format!("the directory is account {uid}'s, and this one is {me}: {what}");
    checks.push(Check::warning(name, finding, format!("record as its owner, account {uid}")));
    checks
}

/// The first paths, as seen from the directory.
fn named(home: &Home, paths: &[PathBuf]) -> String {
    let inside = |path: &PathBuf| match path.strip_prefix(home.dir()) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.display().to_string(),
        _ => "the directory".to_owned(),
    };
    let first: Vec<_> = paths.iter().take(NAMED_MAX).map(inside).collect();
    let rest = paths.len().saturating_sub(NAMED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// Room on the log's disk, and for how long.
pub(super) fn space(home: &Home, log: Option<&SegmentLog>) -> Check {
    let disk = match Disk::of(&home.disk()) {
        Ok(disk) => disk,
        Err(e) => {
            let remedy = format!("`df -h {}`", quoted(home.dir()));
            return Check::warning(
                "space",
                format!("the disk does not tell its room: {e}"),
                remedy,
            );
        }
    };
    let limit = home.min_free();
    let (free, size) = (shown(disk.free), shown(disk.size));
    let room = format!("make room on the disk of {}, or move the ledger", quoted(home.dir()));
    if disk.free < limit {
        let stops = format!("{free} of {size} are free and recording stops below {}", shown(limit));
        let remedy = format!("{room}; `--min-free SIZE` sets the limit");
        return Check::problem("space", stops, remedy);
    }
    let until = disk.free - limit;
    let finding = format!("{free} of {size} are free; recording stops below {}", shown(limit));
    match log.and_then(|log| growth_a_day(home, log)) {
        Some(growth) if until / growth.max(1) < DAYS_LEFT_MIN => {
            let days = until / growth.max(1);
            let rate = shown(growth);
            Check::warning(
                "space",
                format!("{finding}, in about {days} days at {rate} of entries a day"),
                room,
            )
        }
        Some(growth) => {
            let rate = shown(growth);
            Check::ok("space", format!("{finding}; the log grows by {rate} a day, views on top"))
        }
        None if until < limit => Check::warning("space", finding, room),
        None => {
            Check::ok("space", format!("{finding}; the ledger is too young to say for how long"))
        }
    }
}

/// Bytes a day that the log grew by lately: the entries of the last days at the log's mean size.
/// `None` before there is a day to measure.
fn growth_a_day(home: &Home, log: &SegmentLog) -> Option<u64> {
    let head = log.head();
    let at = |seq: u64| {
        let header = log.headers(Seq(seq), 1).ok()?;
        header.first().map(|header| header.recorded_at_us)
    };
    let now_us = clock::wall_us();
    let since_us = at(0)?.max(now_us.saturating_sub(GROWTH_DAYS * DAY_US));
    let span_us = now_us.checked_sub(since_us).filter(|span| *span >= DAY_US)?;
    // Entries lie in the order of their times, but for a clock that was set back.
    let (mut low, mut high) = (0, head.next.0);
    while low < high {
        let middle = low.midpoint(high);
        if at(middle)? < since_us { low = middle + 1 } else { high = middle }
    }
    let entries = u128::from(head.next.0 - low);
    let all = u128::from(head.next.0.max(1));
    let bytes = u128::from(segments_size(&home.log())?) * entries / all;
    u64::try_from(bytes * u128::from(DAY_US) / u128::from(span_us)).ok()
}

fn segments_size(log: &Path) -> Option<u64> {
    let files = fs::read_dir(log).ok()?.flatten();
    let segments = files.filter(|file| file.path().extension().is_some_and(|e| e == "seg"));
    Some(segments.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum())
}

/// Whether files can still be made.
pub(super) fn inodes(home: &Home) -> Check {
    match Disk::of(&home.disk()) {
        Ok(Disk { inodes: 0, .. }) => {
            Check::ok("inodes", "this file system does not count its files")
        }
        Ok(disk) if disk.inodes_free < INODES_MIN => Check::problem(
            "inodes",
            format!("only {} more files can be made on the log's disk", disk.inodes_free),
            format!("delete files there: `df -i {}`", quoted(home.dir())),
        ),
        Ok(disk) => {
            let (free, all) = (disk.inodes_free, disk.inodes);
            Check::ok("inodes", format!("{free} of {all} files can still be made"))
        }
        Err(e) => Check::warning(
            "inodes",
            format!("the disk does not tell: {e}"),
            format!("`df -i {}`", quoted(home.dir())),
        ),
    }
}
