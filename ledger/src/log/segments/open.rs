//! Creating a log, opening one, and what opening finds after a crash.
//!
//! Only the last commit, above the floor and incomplete or unreadable, may be cut off, and whole;
//! its bytes are kept. All else that is not as it was written stops the opening.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use crate::{
    chain::Head,
    entry::{Hash, Seq},
    log::{
        Damage, LogError,
        segments::{
            Active, SEGMENT_SIZE, SegmentLog, State, TornTail,
            append::{Appender, file_id},
            check::{SegmentCheck, Start, Stop, check},
            disk::{Disk, RealDisk},
            erase::Erasures,
            files::{self, Floor},
            frame,
            manifest::{self, Line},
            map::Segment,
            mend::{cut, make_durable, read_from, remove_temporaries},
        },
    },
    verify::rules::{COMPARE, Checks, Known, RESTORE, damage},
};

const FLOOR_ADVICE: &str = "run `verify` with a head that was kept elsewhere; if it holds, write \
                            that head as one line `SEQ HASH` to the file `head` of the log";

impl SegmentLog {
    /// Makes a log in `dir`, which is made too if need be, and opens it for writing.
    pub fn create(dir: impl Into<PathBuf>) -> Result<SegmentLog, LogError> {
        SegmentLog::create_sized(Arc::new(RealDisk), dir.into(), SEGMENT_SIZE)
    }

    /// Opens a log for writing: locks the directory, reads what is not known to be sound from an
    /// earlier clean stop, cuts off a torn tail, and finishes an erasure that a crash interrupted.
    pub fn open(dir: impl Into<PathBuf>) -> Result<SegmentLog, LogError> {
        SegmentLog::open_sized(Arc::new(RealDisk), dir.into(), SEGMENT_SIZE)
    }

    /// Opens a log for reading: takes no lock and never writes a byte, so it works on a copy that
    /// cannot be written, and beside a writer. A torn tail is left alone and not seen.
    pub fn open_read_only(dir: impl Into<PathBuf>) -> Result<SegmentLog, LogError> {
        let dir = dir.into();
        let Loaded { state, torn, floor_missing, .. } = load_beside_writer(&dir)?;
        let torn = torn.map(|(seq, bytes)| TornTail { seq, bytes, kept_at: None });
        let (state, segment_size) = (RwLock::new(state), SEGMENT_SIZE);
        let disk = Arc::new(RealDisk);
        Ok(SegmentLog { disk, dir, segment_size, state, appender: None, torn, floor_missing })
    }

    /// Opens what an earlier run of [`copy`](mod@crate::copy) has made, or makes a log. What is there may lack
    /// payloads whose redactions are still to come.
    pub fn open_for_copy(dir: impl Into<PathBuf>) -> Result<SegmentLog, LogError> {
        let (disk, dir) = (Arc::new(RealDisk), dir.into());
        match SegmentLog::open_judged(disk.clone(), dir, SEGMENT_SIZE, |_| Ok(())) {
            Err(LogError::Missing(dir)) => SegmentLog::create_sized(disk, dir, SEGMENT_SIZE),
            opened => opened,
        }
    }

    /// [`create`](SegmentLog::create) with smaller segments, so that tests see many of them.
    #[cfg(feature = "testing")]
    pub fn create_with_segment_size(
        dir: impl Into<PathBuf>,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        SegmentLog::create_sized(Arc::new(RealDisk), dir.into(), segment_size)
    }

    /// [`open`](SegmentLog::open) with smaller segments, so that tests see many of them.
    #[cfg(feature = "testing")]
    pub fn open_with_segment_size(
        dir: impl Into<PathBuf>,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        SegmentLog::open_sized(Arc::new(RealDisk), dir.into(), segment_size)
    }

    /// [`create`](SegmentLog::create) on a disk of the test's own.
    #[cfg(feature = "testing")]
    pub fn create_on(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        SegmentLog::create_sized(disk, dir.into(), segment_size)
    }

    /// [`open`](SegmentLog::open) on a disk of the test's own.
    #[cfg(feature = "testing")]
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        SegmentLog::open_sized(disk, dir.into(), segment_size)
    }

    fn create_sized(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        files::make_dir(&*disk, &dir)?;
        let lock = files::lock(&*disk, &dir)?;
        if !files::segments(&dir)?.is_empty() || files::read_floor(&dir)? != Floor::Absent {
            return Err(LogError::Exists(dir));
        }
        files::create_segment(&*disk, &dir, Seq(0))?;
        let appender = Some(Mutex::new(Appender::new(&*disk, &dir, Seq(0), lock)?));
        let active = Active::empty(Head::GENESIS, file_id(&dir, Seq(0))?);
        let state = RwLock::new(State { sealed: Vec::new(), active });
        let floor_missing = false;
        Ok(SegmentLog { disk, dir, segment_size, state, appender, torn: None, floor_missing })
    }

    fn open_sized(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        segment_size: u64,
    ) -> Result<SegmentLog, LogError> {
        SegmentLog::open_judged(disk, dir, segment_size, State::check_missing)
    }

    fn open_judged(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        segment_size: u64,
        judge: fn(&State) -> Result<(), LogError>,
    ) -> Result<SegmentLog, LogError> {
        // Looked at before the lock, so that a misspelled path stays untouched.
        if files::segments(&dir)?.is_empty() && files::read_floor(&dir)? == Floor::Absent {
            return Err(LogError::Missing(dir));
        }
        let lock = files::lock(&*disk, &dir)?;
        remove_temporaries(&*disk, &dir)?;
        let Loaded { mut state, torn, scanned, listed, floor, floor_missing } = load(&dir)?;
        judge(&state)?;
        let active = &mut state.active;
        let torn = torn.map(|(seq, _)| cut(&*disk, &dir, active, seq)).transpose()?;
        make_durable(&*disk, &dir, active, floor)?;
        for segment in scanned {
            // Derived: if it cannot be written, the next opening scans again.
            let _ = segment.save(&*disk, &dir);
        }
        let _ = manifest::save(&*disk, &dir, &state.sealed, &listed);
        let appender = Some(Mutex::new(Appender::new(&*disk, &dir, active.first, lock)?));
        let state = RwLock::new(state);
        let log = SegmentLog { disk, dir, segment_size, state, appender, torn, floor_missing };
        log.finish_erasures()?;
        Ok(log)
    }

    /// Looks again how far the log reaches, for one that was opened for reading while another
    /// process writes. A log that is open for writing always knows.
    pub fn refresh(&self) -> Result<(), LogError> {
        if self.appender.is_some() {
            return Ok(());
        }
        let mut state = self.state_mut();
        loop {
            let Active { first, head, size, file_id: known, .. } = state.active;
            if file_id(&self.dir, first)? != known {
                *state = load_beside_writer(&self.dir)?.state;
                return Ok(());
            }
            let path = files::segment(&self.dir, first);
            let read = check(&path, Start::After(head, size), &Checks::default())?;
            if let Stop::Damage(damage) = read.stop {
                return Err(damage.into());
            }
            state.active.extend(read);
            let head = state.active.head;
            // Only a segment that is whole has a successor, so one that is there now was made
            // after all that we have just read.
            if head.next == first || !files::segment(&self.dir, head.next).exists() {
                return Ok(());
            }
            let new = Active::empty(head, file_id(&self.dir, head.next)?);
            let Active { size, offsets, erasures, .. } = std::mem::replace(&mut state.active, new);
            let sealed = Segment::known(&self.dir, (first, head), size, erasures, offsets);
            state.sealed.push(Arc::new(sealed));
        }
    }

    /// Reads the directory again from the start.
    pub(super) fn reload(&self) -> Result<(), LogError> {
        let loaded = load_beside_writer(&self.dir)?;
        *self.state_mut() = loaded.state;
        Ok(())
    }
}

impl Active {
    pub(super) fn empty(head: Head, file_id: u64) -> Active {
        let (offsets, erasures) = (Vec::new(), Erasures::default());
        Active { first: head.next, head, size: 0, offsets, erasures, file_id }
    }

    fn extend(&mut self, read: SegmentCheck) {
        self.head = read.head;
        self.size = read.end;
        self.offsets.extend(read.offsets);
        self.erasures.append(Erasures::of(read.findings));
    }
}

/// What is in a directory.
struct Loaded {
    state: State,
    /// A torn tail's first seq and its size in bytes.
    torn: Option<(Seq, u64)>,
    /// Segments whose map was of no use.
    scanned: Vec<Arc<Segment>>,
    /// What the manifest says.
    listed: Vec<Line>,
    /// What the file `head` promises.
    floor: Floor,
    /// Whether a floor was written once and is gone.
    floor_missing: bool,
}

/// Reads a directory in which another process may be writing, and refuses missing payloads.
fn load_beside_writer(dir: &Path) -> Result<Loaded, LogError> {
    loop {
        let loaded = load(dir)?;
        let Err(missing) = loaded.state.check_missing() else { return Ok(loaded) };
        // A redaction is durable before its target goes, but it may lie in a segment that was
        // begun after the files were listed.
        if files::segments(dir)?.last() == Some(&loaded.state.active.first) {
            return Err(missing);
        }
    }
}

/// Reads a directory without changing it.
///
/// What is derived may hide nothing and stop nothing: where there is damage by its account, all
/// segments are read, and only what they say themselves counts.
fn load(dir: &Path) -> Result<Loaded, LogError> {
    let believing = load_by(dir, manifest::read(dir), true);
    let believing = believing.and_then(|loaded| loaded.state.check_missing().map(|()| loaded));
    match believing {
        Err(LogError::Corrupt(_)) => match load_by(dir, Vec::new(), false) {
            Err(LogError::Corrupt(damage)) => Err(manifest::explain(dir, *damage).into()),
            other => other,
        },
        other => other,
    }
}

/// What the segments themselves say, without anything derived.
pub(super) fn read_all(dir: &Path) -> Result<State, LogError> {
    Ok(load_by(dir, Vec::new(), false)?.state)
}

/// The same, by what is derived or without it.
fn load_by(dir: &Path, listed: Vec<Line>, believe: bool) -> Result<Loaded, LogError> {
    let (floor, names) = files::floor_and_segments(dir)?;
    let Some((last, sealed_names)) = names.split_last() else {
        return Err(match floor {
            Floor::Absent => LogError::Missing(dir.to_path_buf()),
            _ => missing_segment(Seq(0), None).into(),
        });
    };
    check_floor_file(floor, *last, sealed_names.is_empty())?;
    let (mut sealed, mut scanned, mut head) = (Vec::new(), Vec::new(), Head::GENESIS);
    for first in sealed_names {
        if *first != head.next {
            return Err(missing_segment(head.next, Some(*first)).into());
        }
        let known = || {
            let mapped = || Segment::load(dir, *first).filter(|segment| segment.fits(dir, head));
            manifest::segment(dir, &listed, *first, head).or_else(mapped)
        };
        let segment = if let Some(segment) = believe.then(known).flatten() {
            Arc::new(segment)
        } else {
            let segment = Arc::new(scan(dir, *first, head)?);
            scanned.push(segment.clone());
            segment
        };
        head = segment.head;
        sealed.push(segment);
    }
    if *last != head.next {
        return Err(missing_segment(head.next, Some(*last)).into());
    }
    let (active, torn) = load_active(dir, head, floor)?;
    let state = State { sealed, active };
    state.check_floor(dir, floor)?;
    let floor_missing = floor == Floor::Absent && state.active.head.next > Seq(1);
    Ok(Loaded { state, torn, scanned, listed, floor, floor_missing })
}

/// Reads a sealed segment whose map is of no use.
fn scan(dir: &Path, first: Seq, before: Head) -> Result<Segment, LogError> {
    let path = files::segment(dir, first);
    let read = check(&path, Start::After(before, 0), &Checks::default())?;
    match read.stop.as_damage(&path) {
        Some(damage) => Err(damage.into()),
        None if read.offsets.is_empty() => Err(missing_segment(first, None).into()),
        None => Ok(Segment::of(dir, first, read)),
    }
}

/// Reads the last segment whole, and tells a torn tail from damage.
fn load_active(
    dir: &Path,
    before: Head,
    floor: Floor,
) -> Result<(Active, Option<(Seq, u64)>), LogError> {
    let first = before.next;
    let path = files::segment(dir, first);
    // Asked before reading: if the file is replaced meanwhile, the next look notices.
    let file_id = file_id(dir, first)?;
    let known = match floor {
        Floor::At(seq, hash) => vec![Known { seq, hash, code: "floor", from: "the file `head`" }],
        _ => Vec::new(),
    };
    let checks = Checks { known, ..Checks::default() };
    let read = check(&path, Start::After(before, 0), &checks)?;
    let (next, hash, end) = (read.head.next, read.head.hash, read.end);
    let torn = match (&read.stop, read.stop.as_damage(&path)) {
        (Stop::Unfinished { .. }, Some(damage)) => {
            Some((next, judge_tail(&path, (next, hash), end, floor, damage)?))
        }
        (_, Some(damage)) => return Err(damage.into()),
        (_, None) => None,
    };
    let mut active = Active::empty(before, file_id);
    active.extend(read);
    Ok((active, torn))
}

/// The size of a torn tail that begins at byte `end` with the entry `next`, if it is one.
pub(crate) fn judge_tail(
    path: &Path,
    (next, parent): (Seq, Hash),
    end: u64,
    floor: Floor,
    damage: Damage,
) -> Result<u64, LogError> {
    if matches!(floor, Floor::At(seq, _) if seq >= next) {
        return Err(damage.into());
    }
    let bytes = read_from(path, end)?;
    if frame::later_commit(&bytes, next, parent).is_some() {
        return Err(damage.into());
    }
    Ok(bytes.len() as u64)
}

impl State {
    /// Checks that the floor's entry is there and is the one that was promised.
    fn check_floor(&self, dir: &Path, floor: Floor) -> Result<(), LogError> {
        let Floor::At(seq, hash) = floor else { return Ok(()) };
        let next = self.active.head.next;
        if seq >= next {
            let what = format!("the log ends before it, but the file `head` promises entry {seq}");
            return Err(damage(next, "truncated", what, RESTORE).into());
        }
        // One in the active segment has been compared when that was read.
        if seq >= self.active.first {
            return Ok(());
        }
        let pieces = self.pieces(dir, seq, 1)?;
        let mut entries = Vec::new();
        for piece in pieces {
            piece.read(&mut entries)?;
        }
        if entries.first().is_some_and(|entry| entry.hash() == hash) {
            return Ok(());
        }
        let what = format!("its hash is not {hash}, which the file `head` promises");
        Err(damage(seq, "floor", what, COMPARE).into())
    }
}

fn check_floor_file(floor: Floor, last: Seq, only_segment: bool) -> Result<(), LogError> {
    let what = match floor {
        Floor::Unreadable => "the file `head` cannot be read, so a loss could not be noticed",
        Floor::Absent if !only_segment => "the file `head` is gone, so a loss could not be noticed",
        _ => return Ok(()),
    };
    Err(damage(last, "floor_unreadable", what, FLOOR_ADVICE).into())
}

pub(crate) fn missing_segment(expected: Seq, found: Option<Seq>) -> Damage {
    let what = match found {
        Some(found) => {
            format!("no segment file begins with it; the next one is named after entry {found}")
        }
        None => "no segment file holds it".to_owned(),
    };
    damage(expected, "segment_missing", what, RESTORE)
}
