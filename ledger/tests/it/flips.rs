//! Bits are flipped one at a time in a ledger that holds something of everything, and `verify` names
//! the entry whose frame holds the bit.
//!
//! A frame's checksum covers all of it, its size and its flags too, so whatever the bit stood for,
//! the entry that the frame belongs to is the first that is not as it was written.
//! `FLIPS=all` flips every bit; without it, `FLIPS_SEED=N` replays what chance chose.

use std::{
    fs,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use ledger::{
    Index, Log as _, Report, SegmentLog, Seq, Submission, VerifyOptions, Writer, verify_dir,
};

use crate::{
    chance::{Chance, setting},
    forge::{Ledger, frames},
    story::{START_US, entry, event, note, note_saying, opened, record, redaction},
};

/// A dozen segments of a thousand entries.
const SEGMENT_SIZE: u64 = 12_000;
/// Copies of the ledger in which bits are flipped at once.
const THREADS: usize = 2;

/// A bit of a file, and the entry that is to be named for it.
#[derive(Clone, Debug)]
struct Bit {
    /// Below `log/`.
    file: PathBuf,
    at: usize,
    mask: u8,
    seq: u64,
}

/// A frame of a segment.
#[derive(Clone, Debug)]
struct Place {
    file: PathBuf,
    bytes: Range<usize>,
    seq: u64,
    /// Entries that follow in its commit.
    left: u16,
}

/// Where there is room in memory: a million small writes spare the disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A ledger of this many entries that was stopped cleanly: commits of 1 to 40, an erased payload, a
/// clock step, long and short payloads.
fn ledger_of(dir: &Path, len: u64, segment_size: u64) -> Ledger {
    let log = SegmentLog::create_with_segment_size(dir.join("log"), segment_size).unwrap();
    let log = Arc::new(log);
    let index = Index::in_dir_with_tail_len(log.index_dir(), 64);
    let mut writer = Writer::open(log.clone(), index).unwrap();
    let mut chance = Chance::of(len);
    let mut now_us = START_US;
    let mut commit = |writer: &mut Writer, drafts, step: i64| {
        now_us = now_us.checked_add_signed(step).unwrap();
        writer.commit(vec![Submission::new(drafts).unwrap()], now_us).unwrap();
    };
    commit(&mut writer, vec![opened()], 0);
    let (mut redacted, mut stepped) = (false, false);
    while writer.head().next.0 < len {
        let next = writer.head().next.0;
        let most = if chance.below(8) == 0 { 40 } else { 4 };
        let batch = 1 + chance.below(most) as u64;
        let drafts = (next..len.min(next + batch)).map(|n| match n % 97 {
            96 => note_saying(&n.to_string(), &"long ".repeat(chance.below(200))),
            _ => event("n", &n.to_string(), "{}"),
        });
        commit(&mut writer, drafts.collect(), 7);
        if !redacted && writer.head().next.0 > len / 2 {
            redacted = true;
            let target = entry(&*log, len / 3);
            let now_us = START_US + 1_000_000;
            let draft = redaction("r", &target, &target.seq().to_string());
            writer.redact(draft, now_us).unwrap();
        }
        if !stepped && writer.head().next.0 > len * 2 / 3 {
            stepped = true;
            let step = event("rollout.ledger.clock_stepped.v1", "step", "{}");
            commit(&mut writer, vec![step], 0);
        }
    }
    log.close().unwrap();
    let ledger = Ledger { dir: dir.to_path_buf() };
    let report = verify_dir(&ledger.log(), &once()).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert!(report.redactions[0].erased && report.clock_steps.len() == 1);
    assert!(report.entries >= len && ledger.segments().len() > 2);
    ledger
}

/// On one thread: it is the flips that are spread.
fn once() -> VerifyOptions {
    VerifyOptions { threads: 1, ..VerifyOptions::default() }
}

/// Every frame, in order.
fn places(ledger: &Ledger) -> Vec<Place> {
    let mut found = Vec::new();
    for path in ledger.segments() {
        let (mut start, file) = (0, PathBuf::from(path.file_name().unwrap()));
        for frame in frames(&fs::read(&path).unwrap()) {
            let bytes = start..start + frame.bytes().len();
            start = bytes.end;
            let seq = found.len() as u64;
            assert_eq!(frame.decoded().seq, Seq(seq));
            found.push(Place { file: file.clone(), bytes, seq, left: frame.left });
        }
    }
    found
}

fn bits_of(place: &Place) -> impl Iterator<Item = Bit> {
    let Place { file, bytes, seq, .. } = place.clone();
    bytes.flat_map(move |at| {
        let file = file.clone();
        (0..8).map(move |bit| Bit { file: file.clone(), at, mask: 1 << bit, seq })
    })
}

/// Flips each bit in a frame, and asserts that its entry is named.
fn flip_each(whole: &Ledger, bits: &[Bit]) {
    judge_each(whole, bits, |bit, report| {
        let found = report.first_bad.as_ref().map(|bad| bad.seq.0);
        assert_eq!(found, Some(bit.seq), "{bit:?}: {report:?}");
        assert_eq!(report.entries, bit.seq, "{bit:?}: {report:?}");
    });
}

/// Flips each bit in one of several copies, and has judged what `verify` says of that.
fn judge_each(whole: &Ledger, bits: &[Bit], judge: impl Fn(&Bit, &Report) + Sync) {
    let copies = scratch();
    let part = bits.len().div_ceil(THREADS).max(1);
    thread::scope(|scope| {
        for (n, bits) in bits.chunks(part).enumerate() {
            let dir = copies.path().join(n.to_string());
            copy_all(&whole.dir, &dir);
            let (copy, judge) = (Ledger { dir }, &judge);
            scope.spawn(move || {
                for bit in bits {
                    with_flipped(&copy, bit, |report| judge(bit, report));
                }
                let report = verify_dir(&copy.log(), &once()).unwrap();
                assert!(report.is_good(), "every bit is back: {report:?}");
            });
        }
    });
}

fn with_flipped(ledger: &Ledger, bit: &Bit, judge: impl FnOnce(&Report)) {
    let file = fs::File::options().read(true).write(true).open(ledger.log().join(&bit.file));
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit.at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ bit.mask], bit.at as u64).unwrap();
    judge(&verify_dir(&ledger.log(), &once()).unwrap());
    file.write_all_at(&byte, bit.at as u64).unwrap();
}

/// One frame of each kind: the first and the last of the ledger, of a segment and of a commit; an
/// erased one and its redaction, a clock step, a long one, and one in the middle of a commit.
fn of_each_kind(ledger: &Ledger, places: &[Place]) -> Vec<Place> {
    let report = verify_dir(&ledger.log(), &once()).unwrap();
    let redaction = report.redactions[0];
    let segment = places.iter().rfind(|place| place.bytes.start == 0).unwrap();
    let commit = places.windows(2).find(|pair| pair[0].left > 0 && pair[1].left > 0).unwrap();
    let ends = places.windows(2).find(|pair| pair[0].left == 1).unwrap();
    let long = places.iter().max_by_key(|place| place.bytes.len()).unwrap();
    let last = places.len() as u64 - 1;
    let seqs = [
        0,
        last,
        segment.seq,
        segment.seq - 1,
        commit[1].seq,
        ends[1].seq,
        redaction.target.0,
        redaction.by.0,
        report.clock_steps[0].seq.0,
        long.seq,
    ];
    seqs.iter().map(|seq| places[usize::try_from(*seq).unwrap()].clone()).collect()
}

#[expect(clippy::disallowed_methods, reason = "make soak asks for the whole")]
fn all() -> bool {
    std::env::var("FLIPS").is_ok_and(|which| which == "all")
}

/// Every bit of a thousand entries; unless all are asked for, every bit of a frame of each kind in a
/// smaller ledger, and bits of the thousand by chance.
#[test]
fn a_flipped_bit_is_named_at_the_entry_whose_frame_holds_it() {
    let dir = scratch();
    let thousand = ledger_of(&dir.path().join("thousand"), 1_000, SEGMENT_SIZE);
    let everywhere = places(&thousand);
    let every_bit: Vec<_> = everywhere.iter().flat_map(bits_of).collect();
    if all() {
        println!("flipping each of {} bits of {} entries", every_bit.len(), everywhere.len());
        flip_each(&thousand, &every_bit);
        return;
    }
    let small = ledger_of(&dir.path().join("small"), 40, 900);
    let kinds = of_each_kind(&small, &places(&small));
    let bits: Vec<_> = kinds.iter().flat_map(bits_of).collect();
    let seed = Chance::seed("FLIPS_SEED");
    let mut chance = Chance::of(seed);
    let some: Vec<_> = (0..150).map(|_| chance.pick(&every_bit).clone()).collect();
    println!(
        "flipping {} bits of 40 entries, {} of 1,000: FLIPS_SEED={seed}",
        bits.len(),
        some.len()
    );
    flip_each(&small, &bits);
    flip_each(&thousand, &some);
}

/// One bit in so many bytes of a ledger of `FLIPS_ENTRIES` entries, anywhere in these bytes.
#[test]
fn in_a_larger_ledger_a_bit_here_and_there_is_named() {
    let len = setting("FLIPS_ENTRIES").unwrap_or(3_000);
    let step = if all() { 16 * 1_024 } else { 8 * 1_024 };
    let seed = Chance::seed("FLIPS_SEED");
    let mut chance = Chance::of(seed);
    let dir = scratch();
    let ledger = ledger_of(&dir.path().join("large"), len, 60 * len);
    let (mut bits, mut passed) = (Vec::new(), 0);
    let mut next = chance.below(step);
    for place in places(&ledger) {
        while next < passed + place.bytes.len() {
            let at = place.bytes.start + (next - passed);
            let mask = 1 << chance.below(8);
            bits.push(Bit { file: place.file.clone(), at, mask, seq: place.seq });
            next = (next / step + 1) * step + chance.below(step);
        }
        passed += place.bytes.len();
    }
    println!("flipping {} bits of {len} entries: FLIPS_SEED={seed}", bits.len());
    assert!(!bits.is_empty());
    flip_each(&ledger, &bits);
}

/// A ledger of commits of these lengths, killed: `head` names the first entry alone.
pub(crate) fn killed(dir: &Path, commits: &[usize]) -> Ledger {
    let log = Arc::new(SegmentLog::create(dir.join("log")).unwrap());
    record(&log, vec![vec![opened()]]);
    log.close().unwrap();
    let notes = |n: usize, len| (0..len).map(|at| note(&format!("{n}-{at}"))).collect();
    let groups = commits.iter().enumerate().map(|(n, len)| notes(n, *len));
    record(&log, groups.collect());
    Ledger { dir: dir.to_path_buf() }
}

/// What an attacker found: a bit of `left` or `seq`, and acknowledged commits behind it counted as
/// pieces of a torn one. In the last commit nothing tells damage from pieces.
#[test]
fn above_the_floor_a_flipped_bit_is_named_unless_it_is_in_the_last_commit() {
    let dir = scratch();
    let ends: [&[usize]; 5] = [&[1, 1, 1], &[1, 3], &[3, 1], &[2, 2], &[1, 2, 1]];
    for (n, commits) in ends.into_iter().enumerate() {
        let ledger = killed(&dir.path().join(n.to_string()), commits);
        let places = places(&ledger);
        let last = (places.len() - commits.last().unwrap()) as u64;
        let bits: Vec<_> = places[1..].iter().flat_map(bits_of).collect();
        judge_each(&ledger, &bits, |bit, report| {
            let torn = report.torn.as_ref().map(|torn| torn.seq.0);
            let found = report.first_bad.as_ref().map(|bad| bad.seq.0);
            let expected = if bit.seq < last { (None, Some(bit.seq)) } else { (Some(last), None) };
            assert_eq!((torn, found), expected, "{commits:?} {bit:?}: {report:?}");
        });
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_all(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

/// The files below `dir` that are no segments, with their sizes.
fn other_files(dir: &Path) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            found.extend(other_files(&file));
        } else if file.extension().is_none_or(|extension| extension != "seg") {
            let size = fs::read(&file).unwrap().len();
            found.push((file, size));
        }
    }
    found.sort();
    found
}

/// Every bit of the files that are no history: `head` is minded, or said to be unreadable; all else
/// is derived, and changes nothing of what `verify` says.
#[test]
fn a_flipped_bit_that_is_no_history_changes_no_answer() {
    let dir = scratch();
    let ledger = ledger_of(&dir.path().join("thousand"), 1_000, SEGMENT_SIZE);
    let expected = verify_dir(&ledger.log(), &once()).unwrap();
    let mut bits = Vec::new();
    for (file, size) in other_files(&ledger.log()) {
        let file = file.strip_prefix(ledger.log()).unwrap().to_path_buf();
        let bit = |at, mask| Bit { file: file.clone(), at, mask, seq: 0 };
        bits.extend(
            (0..size)
                .flat_map(|at| (0..8).map(move |n| (at, 1 << n)))
                .map(|(at, mask)| bit(at, mask)),
        );
    }
    let seed = Chance::seed("FLIPS_SEED");
    if !all() {
        let mut chance = Chance::of(seed);
        bits.retain(|bit| bit.file == Path::new("head") || chance.below(1_500) == 0);
    }
    println!("flipping {} bits that are no history: FLIPS_SEED={seed}", bits.len());
    assert!(bits.len() > 600, "{}", bits.len());
    judge_each(&ledger, &bits, |bit, report| {
        if bit.file == Path::new("head") {
            assert!(!report.is_good() || !report.notes.is_empty(), "{bit:?}: {report:?}");
        } else {
            assert_eq!(format!("{report:?}"), format!("{expected:?}"), "{bit:?}");
        }
    });
}
