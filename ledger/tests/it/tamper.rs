//! Someone changes a closed ledger, and `verify` names the first entry that is not as it was.

use std::{
    fs,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use ledger::{
    Hash, Log, LogError, MemoryLog, Report, SegmentLog, Seq, VerifyOptions, segments_size, verify,
    verify_dir, verify_dir_watched,
};

use crate::{
    forge::{Ledger, frames, ledger, tampers},
    story::{chain, event, note, opened, record, strict},
};

fn verified(ledger: &Ledger) -> Report {
    verify_dir(&ledger.log(), &strict()).unwrap()
}

fn found(report: &Report) -> Option<(&'static str, u64)> {
    report.first_bad.as_ref().map(|bad| (bad.code, bad.seq.0))
}

#[test]
fn the_first_bad_entry_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    for (n, tamper) in tampers().into_iter().enumerate() {
        let copy = whole.copy_to(&dir.path().join(n.to_string()));
        (tamper.act)(&copy);
        let report = verified(&copy);
        assert_eq!(found(&report), tamper.found, "{}: {report:?}", tamper.name);
        let one_thread = VerifyOptions { threads: 1, ..strict() };
        let again = verify_dir(&copy.log(), &one_thread).unwrap();
        assert_eq!(found(&again), tamper.found, "{}, on one thread", tamper.name);
        if let Some(bad) = report.first_bad {
            assert_eq!(report.entries, bad.seq.0, "{}: what holds is counted", tamper.name);
            assert!(!bad.advice.is_empty() && !bad.what.is_empty());
        }
    }
}

#[test]
fn a_damaged_entry_is_named_with_its_file_and_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let sizes = frames(&fs::read(&ledger.segments()[1]).unwrap());
    let at = sizes[0].bytes().len() as u64;
    ledger.damage(1, usize::try_from(at).unwrap() + 50);
    let bad = verified(&ledger).first_bad.unwrap();
    assert_eq!(bad.place, Some((ledger.segments()[1].clone(), at)));
    assert_eq!(bad.seq, Seq(6));
}

/// Every bit of every file, one at a time.
#[test]
fn every_flipped_bit_is_found_at_its_entry_or_is_no_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create_with_segment_size(dir.path().join("log"), 600).unwrap();
    let log = std::sync::Arc::new(log);
    record(&log, vec![vec![opened()], vec![note("a"), note("b")], vec![note("c")]]);
    log.close().unwrap();
    let ledger = Ledger { dir: dir.path().to_path_buf() };
    assert_eq!(ledger.segments().len(), 2);
    let mut seq = 0;
    for file in ledger.segments() {
        let mut end = 0;
        for frame in frames(&fs::read(&file).unwrap()) {
            let start = end;
            end += frame.bytes().len();
            for_each_flipped_bit(&file, start..end, |flipped| {
                let bad = verified(&ledger).first_bad.map(|bad| bad.seq.0);
                assert_eq!(bad, Some(seq), "{flipped}");
            });
            seq += 1;
        }
    }
    for name in ["head", "lock", "map/00000000000000000000.map"] {
        let file = ledger.log().join(name);
        let size = fs::read(&file).unwrap().len();
        for_each_flipped_bit(&file, 0..size, |flipped| {
            let report = verified(&ledger);
            // A head that can still be read and says something else is noticed; one that cannot be
            // read is a note. Maps and the lock are no evidence.
            let minded = !report.is_good() || !report.notes.is_empty();
            assert_eq!(minded, name == "head", "{flipped}: {report:?}");
        });
    }
    assert!(verified(&ledger).is_good());
}

/// Flips each bit of a part of a file in its place, calls `then`, and flips it back.
fn for_each_flipped_bit(file: &Path, bytes: Range<usize>, then: impl Fn(&str)) {
    let open = fs::OpenOptions::new().write(true).open(file).unwrap();
    let whole = fs::read(file).unwrap();
    for at in bytes {
        for bit in 0..8 {
            open.write_all_at(&[whole[at] ^ 1 << bit], at as u64).unwrap();
            then(&format!("byte {at}, bit {bit} of {}", file.display()));
        }
        open.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
}

#[test]
fn a_cut_that_the_files_cannot_show_is_found_by_a_head_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let whole = verified(&ledger).head;
    let expecting = |seq, hash| {
        let options = VerifyOptions { expect_head: Some((seq, hash)), ..strict() };
        found(&verify_dir(&ledger.log(), &options).unwrap())
    };
    assert_eq!(expecting(Seq(14), whole.hash), None);
    assert_eq!(expecting(Seq(14), Hash([1; 32])), Some(("head_mismatch", 14)));
    // Someone cuts off the last commit and puts the head in line with that.
    ledger.forge(2, |frames| frames.truncate(3));
    let last = frames(&fs::read(&ledger.segments()[2]).unwrap())[2].decoded().hash();
    ledger.write_head(11, &last);
    assert!(verified(&ledger).is_good());
    assert_eq!(expecting(Seq(14), whole.hash), Some(("cut_off", 12)));
    assert_eq!(expecting(Seq(11), last), None);
}

#[test]
fn progress_is_told_by_the_byte_and_ends_at_the_size_of_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let sizes: u64 = ledger.segments().iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert_eq!(segments_size(&ledger.log()).unwrap(), sizes);
    for threads in [1, 2, 8] {
        let done = AtomicU64::new(0);
        let on_progress = |bytes| {
            done.fetch_add(bytes, Ordering::Relaxed);
        };
        let options = VerifyOptions { threads, ..strict() };
        let report = verify_dir_watched(&ledger.log(), &options, &on_progress).unwrap();
        assert!(report.is_good());
        assert_eq!(done.into_inner(), sizes);
    }
}

#[test]
fn a_missing_ledger_is_an_error_and_not_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let found = verify_dir(&dir.path().join("typo"), &strict());
    assert!(matches!(found, Err(LogError::Missing(_))), "{found:?}");
    let found = verify_dir(dir.path(), &strict());
    assert!(matches!(found, Err(LogError::Missing(_))), "{found:?}");
}

#[test]
fn any_log_can_be_verified_entry_by_entry() {
    type Change = fn(&mut Vec<ledger::Entry>);
    type Found = Option<(&'static str, u64)>;
    let cases: [(&str, Change, Found); 7] = [
        ("nothing", |_| {}, None),
        ("remove", |chain| drop(chain.remove(1)), Some(("gap", 1))),
        ("reorder", |chain| chain.swap(1, 2), Some(("swapped", 1))),
        ("repeat", |chain| chain.insert(2, chain[1].clone()), Some(("duplicate", 2))),
        (
            "replace a payload",
            |chain| chain[1] = ledger::Entry::stored(*chain[1].header(), Some(b"{}".to_vec())),
            Some(("digest", 1)),
        ),
        (
            "erase",
            |chain| chain[1] = ledger::Entry::stored(*chain[1].header(), None),
            Some(("missing", 1)),
        ),
        ("begin late", |chain| drop(chain.remove(0)), Some(("gap", 0))),
    ];
    for (name, change, expected) in cases {
        let mut entries = chain(4);
        change(&mut entries);
        let report = verify(&MemoryLog::of(entries), &strict()).unwrap();
        assert_eq!(found(&report), expected, "{name}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_checked() {
    let entry = ledger::Head::GENESIS.seal(event("t", "1", "{}"), 7);
    let log = MemoryLog::of(vec![entry]);
    assert_eq!(found(&verify(&log, &strict()).unwrap()), Some(("not_opened", 0)));
    let lenient = VerifyOptions { opened_first: false, ..strict() };
    assert_eq!(found(&verify(&log, &lenient).unwrap()), None);
}
