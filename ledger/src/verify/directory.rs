//! Verifies the segment files of a directory, several at a time, whatever state it is in.

use std::{
    cmp::Reverse,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    chain::Head,
    entry::Seq,
    index::claims::{Claims, Judged},
    log::{
        Damage, LogError,
        segments::{
            SegmentLog,
            check::{SegmentCheck, Start, Stop, check},
            files::{self, Floor},
            frame::OVERHEAD,
            manifest,
            open::{judge_tail, missing_segment},
        },
    },
    verify::{
        Report, Torn, VerifyOptions,
        cause::Around,
        rules::{Checks, Findings},
    },
};

/// Checks all that a log's directory holds, believing nothing but the segment files and `head`.
///
/// An `Err` is the system's: the files cannot be read. What is wrong with them is in the report.
pub fn verify_dir(dir: &Path, options: &VerifyOptions) -> Result<Report, LogError> {
    verify_dir_watched(dir, options, &|_| {})
}

/// [`verify_dir`], which calls `on_progress` after each segment, from whichever thread has checked
/// it, with the bytes of its file. All calls together give [`segments_size`].
pub fn verify_dir_watched(
    dir: &Path,
    options: &VerifyOptions,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, LogError> {
    verify_by(dir, options, on_progress, false)
}

/// [`verify_dir_watched`], which also compares the index of ids beside the segments with them, if
/// there is one, and the ids in the log with each other.
pub fn verify_dir_with_ids(
    dir: &Path,
    options: &VerifyOptions,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, LogError> {
    verify_by(dir, options, on_progress, true)
}

fn verify_by(
    dir: &Path,
    options: &VerifyOptions,
    on_progress: &(dyn Fn(u64) + Sync),
    ids: bool,
) -> Result<Report, LogError> {
    let (floor, names) = files::floor_and_segments(dir)?;
    if names.is_empty() && floor == Floor::Absent {
        return Err(LogError::Missing(dir.to_path_buf()));
    }
    let mut checks = options.checks(match floor {
        Floor::At(seq, hash) => Some((seq, hash)),
        Floor::Absent | Floor::Unreadable => None,
    });
    if ids {
        let entries_max = segments_size(dir)? / OVERHEAD as u64;
        checks.claims = Some(Arc::new(Claims::open(Some(&files::index(dir)), entries_max)));
    }
    let checked = check_all(dir, &names, &checks, options.threads, on_progress)?;
    let mut whole =
        Whole { dir, floor, head: Head::GENESIS, findings: Findings::default(), torn: None };
    // Of a log that once was, the first segment is there at least.
    let mut first_bad = names.is_empty().then(|| missing_segment(Seq(0), None));
    let mut ends = Vec::with_capacity(names.len());
    for (at, (first, segment)) in names.iter().zip(checked).enumerate() {
        let is_last = at + 1 == names.len();
        first_bad = whole.join(*first, segment, is_last)?;
        if first_bad.is_some() {
            break;
        }
        ends.push((*first, whole.head));
    }
    let entries = first_bad.as_ref().map_or(whole.head.next, |bad| bad.seq);
    let judged = match &checks.claims {
        Some(claims) if first_bad.is_none() => compare_ids(dir, claims, &whole)?,
        _ => None,
    };
    let mut report = Report::conclude(&checks, whole.head, whole.findings, first_bad);
    report.torn = whole.torn;
    report.notes = notes(floor, names.len(), entries);
    let around = Around { dir, names: &names, floor, before: whole.head };
    let named = report.first_bad.map(|damage| around.name(damage));
    report.first_bad = named.map(|damage| manifest::explain(dir, damage));
    if report.is_good() {
        report.notes.extend(manifest::note(dir, &ends));
        report.tell_ids(judged);
    }
    Ok(report)
}

/// Compares the index with the log, and the ids in the log with each other. `None`: the log cannot be
/// opened, which the report will tell.
fn compare_ids(dir: &Path, claims: &Claims, whole: &Whole) -> Result<Option<Judged>, LogError> {
    match SegmentLog::open_read_only(dir) {
        Ok(log) => claims.judge(&whole.findings, whole.head.next, &log).map(Some),
        Err(LogError::Corrupt(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The bytes of all segment files of a log's directory: what verifying it will read.
pub fn segments_size(dir: &Path) -> Result<u64, LogError> {
    let names = files::segments(dir)?;
    names.iter().map(|first| size_of(&files::segment(dir, *first))).sum()
}

fn size_of(path: &Path) -> Result<u64, LogError> {
    let metadata = fs::metadata(path);
    Ok(metadata.map_err(LogError::while_(format!("looking at {}", path.display())))?.len())
}

/// Checks every segment by itself; what joins them is checked afterwards.
///
/// The largest are begun first, so that all threads end at about the same time: the most that one
/// can be late is the time of a segment, a tenth of a second. Of each only what it ends with and
/// what must be listed is kept.
fn check_all(
    dir: &Path,
    names: &[Seq],
    checks: &Checks,
    threads: usize,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<SegmentCheck>, LogError> {
    let path = |first: &Seq| files::segment(dir, *first);
    let mut order: Vec<_> = names.iter().enumerate().collect();
    // One that is gone by now is an error when it is read.
    order.sort_by_cached_key(|(_, first)| Reverse(size_of(&path(first)).unwrap_or(0)));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some((at, first)) = order.get(turn).copied() else { return done };
            let path = path(first);
            let mut checked = check(&path, Start::Unjoined(*first), checks);
            if let Ok(segment) = &mut checked {
                // Only an opening needs them; kept, they would grow with the ledger.
                segment.offsets = Vec::new();
            }
            done.push((at, checked));
            on_progress(size_of(&path).unwrap_or(0));
        }
    };
    let threads = threads.clamp(1, names.len().max(1));
    let mut checked: Vec<_> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut checked = work();
        for helper in helpers {
            checked.extend(helper.join().expect("a check does not panic"));
        }
        checked
    });
    checked.sort_by_key(|(at, _)| *at);
    checked.into_iter().map(|(_, segment)| segment).collect()
}

/// The chain, as far as it is joined.
struct Whole<'a> {
    dir: &'a Path,
    floor: Floor,
    head: Head,
    findings: Findings,
    torn: Option<Torn>,
}

impl Whole<'_> {
    /// Joins the next segment; returns the first thing that is wrong.
    fn join(
        &mut self,
        first: Seq,
        mut segment: SegmentCheck,
        is_last: bool,
    ) -> Result<Option<Damage>, LogError> {
        if first != self.head.next {
            return Ok(Some(missing_segment(self.head.next, Some(first))));
        }
        let path = files::segment(self.dir, first);
        match segment.join(self.head) {
            Ok(head) => self.head = head,
            Err(damage) => return Ok(Some(Damage { place: Some((path, 0)), ..damage })),
        }
        self.findings.append(segment.findings);
        let Some(damage) = segment.stop.as_damage(&path) else { return Ok(None) };
        if !is_last || matches!(segment.stop, Stop::Damage(_)) {
            return Ok(Some(damage));
        }
        let (seq, offset) = (self.head.next, segment.end);
        match judge_tail(&path, (seq, self.head.hash), offset, self.floor, damage) {
            Ok(bytes) => {
                self.torn = Some(Torn { seq, file: path, offset, bytes });
                Ok(None)
            }
            Err(LogError::Corrupt(damage)) => Ok(Some(*damage)),
            Err(e) => Err(e),
        }
    }
}

/// What the file `head` cannot show. `docs/verify.py` says the same in the same words.
fn notes(floor: Floor, segments: usize, entries: Seq) -> Vec<String> {
    let (what, stops) = match floor {
        Floor::At(..) => return Vec::new(),
        Floor::Unreadable => ("no line `SEQ HASH`", true),
        Floor::Absent => ("missing", segments > 1),
    };
    // Without a clean stop since the first entry there is none yet.
    if !stops && entries <= Seq(1) {
        return Vec::new();
    }
    let mend = if stops {
        "; a writer will not start: verify with such a head; if it holds, write it to log/head as \
         one line `SEQ HASH`"
    } else {
        ""
    };
    vec![format!("log/head is {what}, and only a head kept elsewhere shows what was cut{mend}")]
}
