//! The list of sealed segments: what it is worth, and what it can tell.

use std::{fs, path::Path, sync::Arc};

use expect_test::expect;
use ledger::{Log, LogError, SegmentLog, Seq, verify, verify_dir};

use crate::{
    forge::{Ledger, ledger},
    story::{entry, note, opened, record, strict},
};

fn manifest(ledger: &Ledger) -> String {
    fs::read_to_string(ledger.log().join("manifest")).unwrap()
}

/// Changes the text, with a checksum that fits.
fn forge(ledger: &Ledger, change: impl FnOnce(String) -> String) {
    let text = manifest(ledger);
    let (lines, _) = text.rsplit_once("crc32 ").unwrap();
    let lines = change(lines.to_owned());
    let crc = crc32fast::hash(lines.as_bytes());
    fs::write(ledger.log().join("manifest"), format!("{lines}crc32 {crc:08x}\n")).unwrap();
}

#[test]
fn each_sealed_segment_has_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    expect![[r#"
        rollout-ledger manifest 1: file last hash size last_at redactions erased recorded_at_us
        00000000000000000000.seg 4 86b94c42c10f52268667224a0417f11587c3a356932b0d916c0f44f1b0b9730c 915 715 0 1 1767225600001000
        00000000000000000005.seg 8 d11305a54ba6de7a906f9da081e32503d415bb4fa257b0b041421fe98a2c7225 901 600 1 0 1767225600009000
        crc32 832be93c
    "#]].assert_eq(&manifest(&ledger));
    for (segment, line) in ledger.segments().iter().zip(manifest(&ledger).lines().skip(1)).take(2) {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(segment.file_name().unwrap().to_str(), Some(words[0]));
        assert_eq!(fs::metadata(segment).unwrap().len().to_string(), words[3]);
    }
}

#[test]
fn a_manifest_that_is_gone_garbled_stale_or_forged_stops_nothing_and_is_made_again() {
    type Change = fn(&Ledger);
    let cases: [(&str, Change); 11] = [
        ("gone", |l| fs::remove_file(l.log().join("manifest")).unwrap()),
        ("empty", |l| fs::write(l.log().join("manifest"), "").unwrap()),
        ("cut", |l| fs::write(l.log().join("manifest"), &manifest(l)[..300]).unwrap()),
        ("no text", |l| fs::write(l.log().join("manifest"), [0xff; 500]).unwrap()),
        ("stale", |l| forge(l, |text| text.split_inclusive('\n').take(2).collect())),
        ("without lines", |l| forge(l, |text| text.lines().next().unwrap().to_owned() + "\n")),
        ("another size", |l| forge(l, |text| text.replacen(" 8", " 9", 1))),
        ("another last entry", |l| forge(l, |text| text.replacen(".seg 4 ", ".seg 3 ", 1))),
        ("nothing erased", |l| forge(l, |text| text.replace(" 0 1 ", " 0 0 "))),
        ("no redaction", |l| forge(l, |text| text.replace(" 1 0 ", " 0 0 "))),
        ("another time", |l| forge(l, |text| text.replace(" 17", " 97"))),
    ];
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    let good = manifest(&whole);
    let entries = SegmentLog::open_read_only(whole.log()).unwrap().read(Seq(0), 99).unwrap();
    for (name, change) in cases {
        let copy = whole.copy_to(&dir.path().join(name.replace(' ', "-")));
        change(&copy);
        assert_ne!(fs::read(copy.log().join("manifest")).ok(), Some(good.clone().into()), "{name}");
        let read_only = SegmentLog::open_read_only(copy.log()).unwrap();
        assert_eq!(read_only.read(Seq(0), 99).unwrap(), entries, "{name}");
        assert!(verify_dir(&copy.log(), &strict()).unwrap().is_good(), "{name}");
        let log = SegmentLog::open(copy.log()).unwrap();
        assert_eq!(log.read(Seq(0), 99).unwrap(), entries, "{name}");
        // What was taken out of a segment only a reader of all of it knows: `verify`.
        if name != "nothing erased" {
            assert_eq!(manifest(&copy), good, "{name}");
        }
    }
}

/// A line that says less than there is must not hide a payload that somebody took.
#[test]
fn no_line_hides_a_payload_that_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let copy = ledger(dir.path());
    copy.forge(1, |frames| {
        frames[2].flags = 1;
        frames[2].payload.clear();
    });
    let opened = SegmentLog::open(copy.log());
    let Err(LogError::Corrupt(damage)) = opened else { panic!("{opened:?}") };
    assert_eq!((damage.code, damage.seq), ("missing", Seq(7)));
}

/// What `docs/FORMAT.md` says an opening does not find, and what does: a list that was forged along
/// with the segment. Every reader of the entries finds it.
#[test]
fn a_payload_that_a_forged_line_hides_from_an_opening_is_found_by_every_verification() {
    let dir = tempfile::tempdir().unwrap();
    let copy = ledger(dir.path());
    let segment = copy.segments()[1].clone();
    let before = fs::metadata(&segment).unwrap().len();
    copy.forge(1, |frames| {
        frames[2].flags = 1;
        frames[2].payload.clear();
    });
    let size = fs::metadata(&segment).unwrap().len();
    let last_at = 600 - (before - size);
    forge(&copy, |text| {
        let text = text.replace(" 0 1 ", " 0 0 ").replace(" 1 0 ", " 0 0 ");
        text.replace(&format!(" {before} 600 "), &format!(" {size} {last_at} "))
    });
    let log = SegmentLog::open_read_only(copy.log()).unwrap();
    for report in [verify(&log, &strict()), verify_dir(&copy.log(), &strict())] {
        let damage = report.unwrap().first_bad.unwrap();
        assert_eq!((damage.code, damage.seq), ("missing", Seq(7)));
    }
}

#[test]
fn a_segment_that_is_not_what_was_sealed_is_named_for_what_it_is() {
    type Change = fn(&Ledger, &Path);
    let cases: [(&str, Change, &str); 6] = [
        (
            "deleted",
            |l, _| fs::remove_file(&l.segments()[1]).unwrap(),
            "no segment file begins with it; the next one is named after entry 9; log/manifest \
             lists 00000000000000000005.seg with entries 5 to 8: it was deleted, or taken elsewhere",
        ),
        (
            "renamed",
            |l, _| fs::rename(&l.segments()[1], l.log().join("old.seg")).unwrap(),
            "no segment file begins with it; the next one is named after entry 9; log/manifest \
             lists 00000000000000000005.seg with entries 5 to 8: it is named old.seg now",
        ),
        (
            "replaced by another",
            |l, other| assert!(fs::copy(other, &l.segments()[1]).unwrap() > 0),
            "lists 00000000000000000005.seg with entries 5 to 8: it had",
        ),
        (
            "replaced by one of the same size",
            |l, _| l.forge(1, |frames| frames[3].change(|header| header.recorded_at_us += 1)),
            "log/manifest lists 00000000000000000005.seg with entries 5 to 8: a file of the same \
             size with another end is in its place",
        ),
        (
            "changed inside",
            |l, _| l.damage(1, 150),
            "lists 00000000000000000005.seg with entries 5 to 8: bytes in it were changed; its \
             size was not",
        ),
        (
            "cut off",
            |l, _| l.cut(0, 3),
            "lists 00000000000000000000.seg with entries 0 to 4: it had",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    for (name, change, expected) in cases {
        let copy = whole.copy_to(&dir.path().join(name.replace(' ', "-")));
        change(&copy, &whole.segments()[0]);
        let bad = verify_dir(&copy.log(), &strict()).unwrap().first_bad.unwrap();
        assert!(bad.what.contains(expected), "{name}: {}", bad.what);
        match SegmentLog::open(copy.log()) {
            Err(LogError::Corrupt(damage)) => {
                assert_eq!(damage.seq, bad.seq, "{name}");
                assert!(damage.what.contains(expected), "{name}: {}", damage.what);
            }
            // An opening reads sealed segments at their ends alone.
            opened => assert_eq!((name, opened.is_ok()), ("changed inside", true)),
        }
    }
}

/// Somebody cuts whole segments off and makes `head` fit, but forgets the list.
pub(crate) fn cut_with_a_floor_to_fit(dir: &Path) -> Ledger {
    let ledger = Ledger { dir: dir.to_path_buf() };
    let log = Arc::new(SegmentLog::create_with_segment_size(ledger.log(), 1).unwrap());
    record(&log, vec![vec![opened()], vec![note("a")], vec![note("b")], vec![note("c")]]);
    ledger.write_head(1, &entry(&*log, 1).hash());
    drop(log);
    ledger.segments().drain(2..).for_each(|segment| fs::remove_file(segment).unwrap());
    ledger
}

#[test]
fn a_list_of_more_than_the_log_holds_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let report = verify_dir(&cut_with_a_floor_to_fit(dir.path()).log(), &strict()).unwrap();
    let told = "log/manifest lists a segment of entries 2 to 2 that the log does not have";
    assert!(report.is_good() && report.notes[0].starts_with(told), "{report:?}");
}
