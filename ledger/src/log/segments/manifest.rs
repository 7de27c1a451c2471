//! `manifest`: one line for each sealed segment, for people to compare with what is in the
//! directory, and for an opening that then need not read the segments' maps.
//!
//! Derived: whatever is missing, garbled or does not fit its segment is made again from that, and no
//! line is believed before the first and the last header of the file have been compared with it.
//! `docs/FORMAT.md` specifies the text. It also lets damage be named for what it is: a segment that
//! is listed here was there, so if it is not, somebody took it away.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    chain::Head,
    entry::{Hash, Seq},
    log::{
        Damage, LogError,
        segments::{
            disk::Disk,
            files,
            map::{Segment, header_at},
        },
    },
    regular,
};

const FILE: &str = "manifest";
/// Bytes of it that are read: the lines of a hundred thousand segments, 6 TiB of log. A longer one
/// counts as missing.
const SIZE_MAX: u64 = 16 * 1024 * 1024;
/// The first line. A later layout has another.
const TITLE: &str =
    "rollout-ledger manifest 1: file last hash size last_at redactions erased recorded_at_us";
/// Stands before the checksum in the last line.
const CRC: &str = "crc32 ";

/// A sealed segment, as it was when the line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) first: Seq,
    /// After its last entry.
    pub(crate) head: Head,
    /// Bytes in the file.
    pub(crate) size: u64,
    /// Where the frame of its last entry begins.
    pub(crate) last_at: u32,
    pub(crate) redactions: usize,
    pub(crate) erased: usize,
}

impl Line {
    fn of(segment: &Segment) -> Option<Line> {
        Some(Line {
            first: segment.first,
            head: segment.head,
            size: segment.size,
            last_at: segment.last_at()?,
            redactions: segment.erasures.redacted.len(),
            erased: segment.erasures.erased.len(),
        })
    }

    fn last(&self) -> u64 {
        self.head.next.0.saturating_sub(1)
    }

    fn parse(line: &str) -> Option<Line> {
        let mut words = line.split(' ');
        let first = Seq(words.next()?.strip_suffix(".seg")?.parse().ok()?);
        let next = Seq(words.next()?.parse::<u64>().ok()?.checked_add(1)?);
        let hash: Hash = words.next()?.parse().ok()?;
        let size = words.next()?.parse().ok()?;
        let last_at = words.next()?.parse().ok()?;
        let redactions = words.next()?.parse().ok()?;
        let erased = words.next()?.parse().ok()?;
        let recorded_at_us = words.next()?.parse().ok()?;
        let head = Head { next, hash, recorded_at_us };
        let whole = words.next().is_none() && first < next;
        whole.then_some(Line { first, head, size, last_at, redactions, erased })
    }
}

/// The lines of the manifest; none if it is missing, unreadable or not as it was written.
pub(crate) fn read(dir: &Path) -> Vec<Line> {
    let bytes = regular::read(&dir.join(FILE), SIZE_MAX).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Option<Vec<Line>> {
    let (checked, crc) = text.strip_suffix('\n')?.rsplit_once(CRC)?;
    if format!("{:08x}", crc32fast::hash(checked.as_bytes())) != crc {
        return None;
    }
    let mut lines = checked.lines();
    (lines.next() == Some(TITLE)).then(|| lines.map(Line::parse).collect())?
}

fn text(lines: &[Line]) -> String {
    let mut text = format!("{TITLE}\n");
    for line in lines {
        let Line { first, head, size, last_at, redactions, erased } = line;
        let (last, hash, at) = (line.last(), head.hash, head.recorded_at_us);
        let _ = writeln!(
            text,
            "{:020}.seg {last} {hash} {size} {last_at} {redactions} {erased} {at}",
            first.0
        );
    }
    let crc = crc32fast::hash(text.as_bytes());
    let _ = writeln!(text, "{CRC}{crc:08x}");
    text
}

/// Lists these segments, unless `known` does already. Losing the file costs time alone, so whoever
/// calls this may go on without.
pub(super) fn save(
    disk: &dyn Disk,
    dir: &Path,
    sealed: &[Arc<Segment>],
    known: &[Line],
) -> Result<(), LogError> {
    let lines: Option<Vec<_>> = sealed.iter().map(|segment| Line::of(segment)).collect();
    match lines {
        Some(lines) if lines != known => {
            files::replace_derived(disk, &dir.join(FILE), text(&lines).as_bytes())
        }
        _ => Ok(()),
    }
}

/// The segment as it is listed, if nothing but its map can tell more about it, and it fits.
pub(super) fn segment(dir: &Path, lines: &[Line], first: Seq, before: Head) -> Option<Segment> {
    let at = lines.binary_search_by_key(&first, |line| line.first).ok()?;
    let line = lines.get(at).filter(|line| line.redactions == 0 && line.erased == 0)?;
    let segment = Segment::listed(dir, line);
    let size = fs::metadata(files::segment(dir, first)).ok()?.len();
    (size == line.size && segment.fits(dir, before)).then_some(segment)
}

/// Adds to a damage what the manifest knows about the first segment that is not as it lists it.
pub(crate) fn explain(dir: &Path, mut damage: Damage) -> Damage {
    let lines = read(dir);
    let until = lines.iter().take_while(|line| line.first <= damage.seq);
    let other = until.clone().find_map(|line| Some((line, difference(dir, line)?)));
    let own = until.last().filter(|line| damage.seq < line.head.next && damage.place.is_some());
    let same = || own.map(|line| (line, "bytes in it were changed; its size was not".to_owned()));
    if let Some((line, what)) = other.or_else(same) {
        let (first, last) = (line.first, line.last());
        let _ = write!(
            damage.what,
            "; log/manifest lists {:020}.seg with entries {first} to {last}: {what}",
            first.0
        );
    }
    damage
}

/// How the file of a segment differs from its line.
fn difference(dir: &Path, line: &Line) -> Option<String> {
    let path = files::segment(dir, line.first);
    let Ok(metadata) = fs::metadata(&path) else {
        return Some(match renamed(dir, line) {
            Some(name) => format!("it is named {name} now"),
            None => "it was deleted, or taken elsewhere".to_owned(),
        });
    };
    let (size, listed) = (metadata.len(), line.size);
    let ends = regular::open(&path).ok().and_then(|file| header_at(&file, line.last_at.into()));
    let replaced = ends.is_none_or(|header| header.hash() != line.head.hash);
    match (replaced, size == listed) {
        (false, true) => None,
        (true, true) => Some("a file of the same size with another end is in its place".to_owned()),
        (_, false) => Some(format!("it had {listed} bytes, and has {size}: cut off or replaced")),
    }
}

/// Another name under which the listed segment is in the directory.
fn renamed(dir: &Path, line: &Line) -> Option<String> {
    let names = fs::read_dir(dir).ok()?.filter_map(|file| Some(file.ok()?.path()));
    let holds = |path: &PathBuf| {
        let read = || {
            let file = File::open(path).ok()?;
            let size = file.metadata().ok()?.len();
            Some((size, header_at(&file, line.last_at.into())?.hash()))
        };
        read() == Some((line.size, line.head.hash))
    };
    let found = names.filter(|path| path.is_file()).find(holds)?;
    Some(found.file_name()?.to_string_lossy().into_owned())
}

/// What a person should know of a manifest that lists another history than the one that is here.
/// `ends` are the segments in order, each with what comes after it. `docs/verify.py` says the same.
pub(crate) fn note(dir: &Path, ends: &[(Seq, Head)]) -> Option<String> {
    let lines = read(dir);
    let fits = |line: &&Line| {
        ends.iter().any(|(first, head)| {
            (*first, head.next, head.hash) == (line.first, line.head.next, line.head.hash)
        })
    };
    let odd = lines.iter().find(|line| !fits(line))?;
    Some(format!(
        "log/manifest lists a segment of entries {} to {} that the log does not have: it is stale, \
         or entries were cut off or exchanged; compare with a head kept elsewhere",
        odd.first,
        odd.last()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_is_read() {
        let head = Head { next: Seq(5), hash: Hash([10; 32]), recorded_at_us: 7 };
        let line = Line { first: Seq(0), head, size: 900, last_at: 800, redactions: 1, erased: 2 };
        let written = text(&[line]);
        assert_eq!(parse(&written), Some(vec![line]));
        for at in 0..written.len() {
            let mut bytes = written.clone().into_bytes();
            bytes[at] ^= 1;
            let text = String::from_utf8(bytes).unwrap_or_default();
            assert_eq!(parse(&text), None, "byte {at}");
            assert_eq!(parse(&written[..at]), None, "cut at {at}");
        }
        assert_eq!(parse(&text(&[])), Some(Vec::new()));
    }
}
