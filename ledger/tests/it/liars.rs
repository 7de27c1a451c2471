//! Derived files that lie, with every checksum that they should have: an index that hides ids, and
//! things beside the segments that are no files, or claim to be longer than memory.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use ledger::{
    Hash, Index, Log, LogError, Outcome, Receipt, Report, SegmentLog, Seq, Writer,
    verify_dir_with_ids, verify_with_index,
};

use crate::{
    chance::Chance,
    forge::{Ledger, SEGMENT_SIZE, ledger},
    story::{START_US, entry, note, opened, redaction, strict},
};

/// Ids in memory before there is a run.
const TAIL_LEN: usize = 8;

/// A ledger whose ids are in an index beside it: entry 0, then `n1` to `n40`, in commits of one.
fn indexed(dir: &Path) -> Ledger {
    let log =
        Arc::new(SegmentLog::create_with_segment_size(dir.join("log"), SEGMENT_SIZE).unwrap());
    let mut writer = with_index(&log);
    record(&mut writer, opened());
    (1..=40).for_each(|n| assert!(!record(&mut writer, note(&format!("n{n}"))).duplicate));
    log.close().unwrap();
    let ledger = Ledger { dir: dir.to_path_buf() };
    assert!(!runs(&ledger).is_empty());
    ledger
}

fn with_index(log: &Arc<SegmentLog>) -> Writer {
    let index = Index::in_dir_with_tail_len(log.index_dir(), TAIL_LEN);
    Writer::open(log.clone(), index).unwrap()
}

fn open(ledger: &Ledger) -> (Arc<SegmentLog>, Writer) {
    let log = Arc::new(SegmentLog::open_with_segment_size(ledger.log(), SEGMENT_SIZE).unwrap());
    let writer = with_index(&log);
    (log, writer)
}

fn record(writer: &mut Writer, draft: ledger::Draft) -> Receipt {
    let outcome = writer.commit(vec![draft.into()], START_US).unwrap().pop().unwrap();
    let Outcome::Recorded(receipts) = outcome else { panic!("{outcome:?}") };
    receipts[0]
}

fn record_notes(writer: &mut Writer, numbers: std::ops::Range<u64>) {
    for n in numbers {
        record(writer, note(&format!("n{n}")));
    }
}

fn verified(ledger: &Ledger) -> Report {
    let report = verify_dir_with_ids(&ledger.log(), &strict(), &|_| {}).unwrap();
    assert!(report.is_good(), "{report:?}");
    report
}

fn runs(ledger: &Ledger) -> Vec<PathBuf> {
    let files = fs::read_dir(ledger.log().join("index")).into_iter().flatten();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ids"));
    files.sort();
    files
}

/// The key of a note's id, by the index's own rule.
fn key(id: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("rollout-ledger 2026-11 event id v1");
    for part in ["test", id] {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    hasher.finalize().as_bytes()[..16].try_into().unwrap()
}

/// A run of the entries before `next` as somebody would make it who knows the layout.
struct Forged {
    next: u64,
    rows: Vec<([u8; 16], u64)>,
    filter: u8,
    /// Added to what each page is said to begin with.
    fence: u64,
}

impl Forged {
    /// What a run of this ledger's first 41 entries holds.
    fn honest() -> Forged {
        let mut rows = vec![(key("opened"), 0)];
        rows.extend((1..=40).map(|n| (key(&format!("n{n}")), n)));
        Forged { next: 41, rows, filter: 0xff, fence: 0 }
    }

    fn write(mut self, ledger: &Ledger) -> PathBuf {
        let log = SegmentLog::open_read_only(ledger.log()).unwrap();
        self.rows.sort_unstable();
        let Hash(hash) = entry(&log, self.next - 1).hash();
        let words = (self.rows.len().max(1) * 16).div_ceil(512) * 8;
        let mut bytes = b"RLIDX001".to_vec();
        bytes.extend([0, self.next].iter().flat_map(|number| number.to_be_bytes()));
        bytes.extend(hash);
        let numbers = [self.rows.len(), words].map(|number| number as u64);
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        for page in self.rows.chunks(256) {
            let fence = u64::from_be_bytes(page[0].0[..8].try_into().unwrap());
            bytes.extend(fence.wrapping_add(self.fence).to_be_bytes());
        }
        bytes.resize(bytes.len() + words * 8, self.filter);
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        for page in self.rows.chunks(256) {
            let rows = page.iter().flat_map(|(key, seq)| [&key[..], &seq.to_be_bytes()].concat());
            let rows: Vec<_> = rows.collect();
            bytes.extend(&rows);
            bytes.extend(crc32fast::hash(&rows).to_be_bytes());
        }
        let dir = ledger.log().join("index");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        let path = dir.join(format!("{:020}-{:020}.ids", 0, self.next));
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn an_index_that_tells_the_truth_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = indexed(dir.path());
    let report = verified(&ledger);
    assert_eq!((report.notes, report.doubled), (Vec::new(), Vec::new()));
    // The forger of this test makes what the ledger makes.
    let path = Forged::honest().write(&ledger);
    assert_eq!(verified(&ledger).notes, Vec::<String>::new());
    let (_log, mut writer) = open(&ledger);
    assert_eq!(record(&mut writer, note("n7")).seq, Seq(7));
    assert!(path.exists(), "it is believed");
}

/// Whatever a ledger lives through that is lawful, nobody is told that its index lies.
#[test]
fn lawful_redactions_restarts_and_lost_indexes_raise_no_alarm() {
    let seed = Chance::seed("LIARS_SEED");
    println!("LIARS_SEED={seed} replays this");
    let mut chance = Chance::of(seed);
    for round in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let log = SegmentLog::create_with_segment_size(dir.path().join("log"), SEGMENT_SIZE);
        let mut log = Arc::new(log.unwrap());
        let ledger = Ledger { dir: dir.path().to_path_buf() };
        let mut writer = with_index(&log);
        record(&mut writer, opened());
        for n in 0..120 {
            match chance.below(12) {
                0 => {
                    drop((writer, log));
                    if chance.below(2) == 0 {
                        let _ = fs::remove_dir_all(ledger.log().join("index"));
                    }
                    (log, writer) = open(&ledger);
                }
                1 | 2 => {
                    let target = entry(
                        &*log,
                        chance.below(usize::try_from(log.head().next.0).unwrap()) as u64,
                    );
                    let id = target.payload().and_then(|payload| {
                        let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
                        event["id"].as_str().map(str::to_owned)
                    });
                    if let Some(id) = id.filter(|id| id.starts_with('n')) {
                        let draft = redaction(&format!("r{n}"), &target, &id);
                        writer.redact(draft, START_US).unwrap();
                    }
                }
                _ => record_notes(&mut writer, n..n + 1),
            }
            if chance.below(30) == 0 {
                let report = verify_with_index(&*log, &writer.index_watch(), &strict()).unwrap();
                assert_eq!(report.notes, Vec::<String>::new(), "round {round}, {n}");
            }
        }
        let report = verify_with_index(&*log, &writer.index_watch(), &strict()).unwrap();
        assert_eq!(report.notes, Vec::<String>::new(), "round {round}");
        drop((writer, log));
        let told = |ledger: &Ledger| verified(ledger).notes.join(" ").replace("log/head", "");
        assert!(!told(&ledger).contains("id"), "round {round}: {}", told(&ledger));
    }
}

#[test]
fn a_run_with_fewer_keys_than_the_entries_tell_is_removed_at_the_start() {
    let few: [fn(&mut Forged); 3] = [
        |forged| forged.rows.clear(),
        |forged| forged.rows.truncate(20),
        |forged| _ = forged.rows.remove(7),
    ];
    for change in few {
        let dir = tempfile::tempdir().unwrap();
        let ledger = indexed(dir.path());
        let mut forged = Forged::honest();
        change(&mut forged);
        let path = forged.write(&ledger);
        let lie = fs::read(&path).unwrap();
        let report = verified(&ledger);
        assert_eq!(report.lying, [path.as_path()]);
        let (_log, mut writer) = open(&ledger);
        // The true one may have its name.
        assert_ne!(fs::read(&path).ok(), Some(lie));
        for n in 1..=40 {
            let receipt = record(&mut writer, note(&format!("n{n}")));
            assert_eq!((receipt.seq, receipt.duplicate), (Seq(n), true));
        }
        drop(writer);
        assert_eq!(verified(&ledger).notes, Vec::<String>::new());
    }
}

/// As many keys as there should be: only who reads the log can tell.
#[test]
fn a_run_that_lies_in_the_right_number_of_keys_is_named_and_made_again() {
    type Change = fn(&mut Forged);
    let cases: [(&str, Change); 4] = [
        ("another key", |forged| forged.rows[7].0 = key("other")),
        ("another place", |forged| forged.rows[7].1 = 8),
        ("a filter that denies all", |forged| forged.filter = 0),
        ("a page that begins elsewhere", |forged| forged.fence = u64::MAX / 2),
    ];
    for (name, change) in cases {
        let dir = tempfile::tempdir().unwrap();
        let ledger = indexed(dir.path());
        let mut forged = Forged::honest();
        change(&mut forged);
        let path = forged.write(&ledger);
        let report = verified(&ledger);
        assert_eq!(report.lying, [path.as_path()], "{name}");
        assert!(report.notes[0].contains("does not say what the log says"), "{name}: {report:?}");
        // Beside a writer: it makes the index again, and takes nothing twice from then on.
        let (log, mut writer) = open(&ledger);
        let beside = verify_with_index(&*log, &writer.index_watch(), &strict()).unwrap();
        assert_eq!(beside.lying, [path.as_path()], "{name}");
        let receipt = record(&mut writer, note("n7"));
        assert_eq!((receipt.seq, receipt.duplicate), (Seq(7), true), "{name}");
        let beside = verify_with_index(&*log, &writer.index_watch(), &strict()).unwrap();
        assert_eq!(beside.notes, Vec::<String>::new(), "{name}");
    }
}

/// What a forged run has brought about is named for as long as the log is kept, with the index, with
/// one that was made again, and without any.
#[test]
fn an_event_that_was_recorded_twice_is_named_with_both_entries() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = indexed(dir.path());
    let (log, mut writer) = open(&ledger);
    let target = entry(&*log, 9);
    writer.redact(redaction("r", &target, "n9"), START_US).unwrap();
    drop((writer, log));
    // One that covers the redaction as well, which gives the id that it erased.
    let mut forged = Forged { next: 42, ..Forged::honest() };
    forged.rows.push((key("r"), 41));
    forged.rows[7].0 = key("other");
    forged.rows[9].0 = key("another");
    forged.write(&ledger);
    let (log, mut writer) = open(&ledger);
    for (id, again) in [("n7", 42), ("n9", 43)] {
        let receipt = record(&mut writer, note(id));
        assert_eq!((receipt.seq, receipt.duplicate), (Seq(again), false), "the forgery works");
    }
    let pairs = [(Seq(7), Seq(42)), (Seq(9), Seq(43))];
    let beside = verify_with_index(&*log, &writer.index_watch(), &strict()).unwrap();
    assert_eq!(beside.doubled, pairs);
    // Until they are in one run, too.
    record_notes(&mut writer, 44..120);
    log.close().unwrap();
    drop((writer, log));
    for round in 0..3 {
        let report = verified(&ledger);
        assert_eq!(report.doubled, pairs, "round {round}: {report:?}");
        let told = report.notes.join("\n");
        assert!(told.contains("entries 7 and 42 have the same source and id"), "{told}");
        let _ = fs::remove_dir_all(ledger.log().join("index"));
        if round == 1 {
            let (_log, mut writer) = open(&ledger);
            assert!(record(&mut writer, note("n7")).duplicate);
            assert!(!runs(&ledger).is_empty());
        }
    }
}

/// Two entries with one id in one stretch have one row in its run, which is no lie.
#[test]
fn a_run_of_a_log_with_an_id_twice_is_not_called_a_liar() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(SegmentLog::create(dir.path().join("log")).unwrap());
    let mut writer = with_index(&log);
    for draft in [opened(), note("a")] {
        record(&mut writer, draft);
    }
    drop(writer);
    // A writer that was made to forget.
    let mut head = log.head();
    let again = head.seal(note("a"), START_US);
    head = head.accept(&again).unwrap();
    log.append(&[again]).unwrap();
    let mut writer = with_index(&log);
    record_notes(&mut writer, 0..20);
    drop(writer);
    assert!(log.head().next > head.next);
    log.close().unwrap();
    drop(log);
    let ledger = Ledger { dir: dir.path().to_path_buf() };
    assert!(!runs(&ledger).is_empty());
    let report = verified(&ledger);
    assert_eq!((report.lying, report.doubled), (Vec::new(), vec![(Seq(1), Seq(2))]));
}

/// Whether an id is recorded decides which directory is a ledger's home and which token is revoked.
#[test]
fn no_row_makes_an_id_recorded_that_the_log_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = indexed(dir.path());
    let mut forged = Forged::honest();
    forged.rows.push((key("never"), 5));
    forged.rows.push((key("beyond"), 400));
    forged.write(&ledger);
    let (_log, mut writer) = open(&ledger);
    assert_eq!(writer.recorded("test", "never").unwrap(), None);
    assert_eq!(writer.recorded("test", "beyond").unwrap(), None);
    assert_eq!(writer.recorded("test", "n5").unwrap(), Some(Seq(5)));
}

/// A file that has the length for what it claims, and none of the bytes.
#[test]
fn what_a_file_claims_is_compared_with_the_log_before_there_is_memory_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = indexed(dir.path());
    let keys = 1_u64 << 37;
    let words = keys * 16 / 64;
    let pages = keys / 256;
    for (next, keys, words) in [(41, keys, words), (1 << 40, keys, words), (41, 41, 1 << 36)] {
        let path = ledger.log().join("index/a.ids");
        let pages = if keys == 41 { 1 } else { pages };
        let mut front = b"RLIDX001".to_vec();
        front.extend([0, next].iter().flat_map(|number: &u64| number.to_be_bytes()));
        front.extend([7; 32]);
        front.extend([keys, words].iter().flat_map(|number| number.to_be_bytes()));
        let file = fs::File::create(&path).unwrap();
        file.write_all_at(&front, 0).unwrap();
        file.set_len(72 + (pages + words) * 8 + 4 + keys * 24 + pages * 4).unwrap();
        assert_eq!(verified(&ledger).lying, Vec::<PathBuf>::new());
        let (_log, mut writer) = open(&ledger);
        assert!(record(&mut writer, note("n1")).duplicate);
        assert!(!path.exists());
    }
    // The map of a sealed segment, whose counts are the last numbers of its front.
    let map = ledger.log().join("map").join(format!("{:020}.map", 0));
    let mut bytes = fs::read(&map).unwrap();
    bytes[72..80].fill(0xff);
    fs::write(&map, &bytes).unwrap();
    fs::File::options().write(true).open(&map).unwrap().set_len(1 << 42).unwrap();
    fs::remove_file(ledger.log().join("manifest")).unwrap();
    fs::File::create(ledger.log().join("manifest")).unwrap().set_len(1 << 42).unwrap();
    let (log, _writer) = open(&ledger);
    assert_eq!(log.read(Seq(0), 99).unwrap().len(), 41);
}

/// Does something in a thread of its own, and fails if it hangs.
fn in_time<T: Send + 'static>(name: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(act()));
    told.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    let first = format!("{:020}", 0);
    let derived = [
        "manifest".to_owned(),
        "manifest.tmp".to_owned(),
        format!("map/{first}.map"),
        format!("map/{first}.map.tmp"),
        "index/a.ids".to_owned(),
        "index/a.ids.tmp".to_owned(),
        "head.tmp".to_owned(),
    ];
    let evidence = [format!("{first}.seg"), "head".to_owned(), "lock".to_owned()];
    for (name, stops) in
        derived.iter().map(|name| (name, false)).chain(evidence.iter().map(|name| (name, true)))
    {
        let dir = tempfile::tempdir().unwrap();
        let whole = ledger(dir.path());
        let path = whole.log().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let log = whole.log();
        let opened = in_time(name, move || {
            let _ = verify_dir_with_ids(&log, &strict(), &|_| {});
            let _ = SegmentLog::open_read_only(&log);
            let log = Arc::new(SegmentLog::open_with_segment_size(&log, SEGMENT_SIZE)?);
            let mut writer = with_index(&log);
            record_notes(&mut writer, 0..40);
            log.close()
        });
        match opened {
            Ok(()) => assert!(!stops, "{name}"),
            Err(e) => {
                let told = format!("{e}: {:?}", std::error::Error::source(&e));
                let places = told.contains(name.as_str()) && told.contains("no regular file");
                assert!(stops && places, "{name}: {told}");
            }
        }
    }
}

#[test]
fn a_directory_named_like_a_temporary_file_is_named_with_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(dir.path());
    let odd = whole.log().join("a.tmp");
    fs::create_dir(&odd).unwrap();
    let Err(LogError::Unavailable { doing, .. }) = SegmentLog::open(whole.log()) else {
        panic!("it must not be removed");
    };
    let typed = doing.split_once("type: ").unwrap().1;
    assert!(doing.contains(odd.to_str().unwrap()) && odd.exists(), "{doing}");
    assert!(Command::new("sh").args(["-c", typed]).status().unwrap().success(), "{doing}");
    SegmentLog::open(whole.log()).unwrap();
}
