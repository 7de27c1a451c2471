//! What somebody with the format at hand can do to a ledger, and what `verify` calls it: the code,
//! the place, and words of the sentence. Bits that flip by accident are in `flips`.

use std::{fs, path::Path};

use ledger::{Digest, Header, Report, SegmentLog, Seq, VerifyOptions, verify_dir};

use crate::{
    forge::{Frame, Ledger, frames, ledger},
    story::{note, opened, record, strict},
};

/// One row of the table. The ledger's segments begin at 0, 5 and 9, its commits at 0, 1, 5, 7, 8, 9,
/// 10 and 12; it ends with 14. The other ledger has as many entries in the same places.
struct Row {
    name: &'static str,
    act: fn(&Ledger, &Ledger),
    code: &'static str,
    seq: u64,
    says: &'static str,
}

const fn row(
    name: &'static str,
    act: fn(&Ledger, &Ledger),
    code: &'static str,
    seq: u64,
    says: &'static str,
) -> Row {
    Row { name, act, code, seq, says }
}

/// Another ledger with commits and segments in the same places.
fn other(dir: &Path) -> Ledger {
    let other = ledger(dir);
    let (mut parent, mut target) = (None, None::<(String, String)>);
    for segment in 0..3 {
        other.forge(segment, |frames| {
            for frame in frames {
                let (old, text) =
                    (frame.decoded(), String::from_utf8(frame.payload.clone()).unwrap());
                match (old.seq.0, &target) {
                    (0, _) => frame.rewrite(text.replace("\"l\"", "\"m\"").as_bytes()),
                    // The redaction names its target by its hash.
                    (8, Some((old, new))) => {
                        frame.rewrite(text.replace(old.as_str(), new).as_bytes());
                    }
                    _ => {}
                }
                relink(frame, &mut parent);
                if old.seq.0 == 2 {
                    target = Some((old.hash().to_string(), frame.decoded().hash().to_string()));
                }
            }
        });
    }
    let last = frames(&fs::read(&other.segments()[2]).unwrap()).pop().unwrap().decoded();
    other.write_head(last.seq.0, &last.hash());
    other
}

/// Makes an entry follow another one, as somebody would who rewrites history from there on.
fn relink(frame: &mut Frame, before: &mut Option<Header>) {
    if let Some(before) = before {
        let (seq, parent) = (before.seq.next(), before.hash());
        frame.change(|header| {
            header.seq = seq;
            header.parent = parent;
        });
    }
    *before = Some(frame.decoded());
}

fn theirs(other: &Ledger, segment: usize) -> Vec<Frame> {
    frames(&fs::read(&other.segments()[segment]).unwrap())
}

/// An entry of one's own making for this place, which follows the one before it.
fn made_up(before: &Frame, left: u16) -> Frame {
    let mut frame = before.clone();
    frame.rewrite(note("made-up").payload());
    (frame.left, frame.flags) = (left, 0);
    relink(&mut frame, &mut Some(before.decoded()));
    frame
}

fn truncations() -> Vec<Row> {
    vec![
        row("inside a frame", |l, _| l.cut(2, 1), "truncated", 14, "ends before it, or inside"),
        row("at a frame", |l, _| l.forge(2, |f| f.truncate(5)), "truncated", 14, "ends before it"),
        row(
            "at a commit",
            |l, _| l.forge(2, |f| f.truncate(3)),
            "truncated",
            12,
            "the log ends before it, but the file `head` names entry 14",
        ),
        row(
            "at a segment",
            |l, _| fs::remove_file(&l.segments()[2]).unwrap(),
            "truncated",
            9,
            "the log ends before it, but the file `head` names entry 14",
        ),
        row("inside a sealed segment", |l, _| l.cut(1, 10), "truncated", 8, "cut off or replaced"),
        row(
            "a sealed segment at a commit",
            |l, _| l.forge(1, |f| f.truncate(2)),
            "segment_missing",
            7,
            "cut off or replaced",
        ),
    ]
}

fn moves() -> Vec<Row> {
    vec![
        row(
            "two entries exchanged",
            |l, _| l.forge(1, |f| f.swap(1, 2)),
            "swapped",
            6,
            "entries 6 and 7 stand in each other's place",
        ),
        row(
            "two segments exchanged",
            |l, _| {
                let (a, b) = (&l.segments()[1], &l.segments()[2]);
                let (one, two) = (fs::read(a).unwrap(), fs::read(b).unwrap());
                fs::write(a, two).unwrap();
                fs::write(b, one).unwrap();
            },
            "segment_exchanged",
            5,
            "segments were exchanged",
        ),
        row(
            "an entry twice",
            |l, _| l.forge(1, |f| f.insert(1, f[1].clone())),
            "duplicate",
            7,
            "entry 6 stands here once more",
        ),
        row(
            "a segment twice",
            |l, _| drop(fs::copy(&l.segments()[1], l.log().join("00000000000000000015.seg"))),
            "segment_exchanged",
            15,
            "one was copied over another",
        ),
        row(
            "an entry taken out",
            |l, _| l.forge(1, |f| drop(f.remove(1))),
            "gap",
            6,
            "entry 6 was expected and entry 7 was found",
        ),
    ]
}

fn splices() -> Vec<Row> {
    vec![
        row(
            "an entry of another ledger",
            |l, other| l.forge(1, |f| f[1] = theirs(other, 1)[1].clone()),
            "spliced",
            6,
            "neither what is before nor what is behind fits: put in the place of others was entry 6",
        ),
        row(
            "a commit of another ledger",
            |l, other| {
                l.forge(2, |f| {
                    f.splice(1..3, theirs(other, 2)[1..3].iter().cloned());
                });
            },
            "spliced",
            10,
            "put in the place of others was all from entry 10 to 11",
        ),
        row(
            "a segment of another ledger",
            |l, other| drop(fs::copy(&other.segments()[1], &l.segments()[1])),
            "spliced",
            5,
            "put in the place of others was all from entry 5 to 8",
        ),
        row(
            "the last segment of another ledger",
            |l, other| drop(fs::copy(&other.segments()[2], &l.segments()[2])),
            "spliced",
            9,
            "leads to another end than the one that the file `head` promises",
        ),
        row(
            "an entry of another ledger, and all behind it linked again",
            |l, other| {
                l.forge(2, |f| {
                    f[1].rewrite(theirs(other, 2)[1].payload.as_slice());
                    f[1].rewrite(note("foreign").payload());
                    let mut before = Some(f[0].decoded());
                    f[1..].iter_mut().for_each(|frame| relink(frame, &mut before));
                });
            },
            "floor",
            14,
            "says",
        ),
    ]
}

fn forgeries() -> Vec<Row> {
    vec![
        row(
            "an entry made up and put in, linked to the one before",
            |l, _| l.forge(1, |f| f.insert(2, made_up(&f[1], 0))),
            "inserted",
            8,
            "two different entries claim place 7",
        ),
        row(
            "an entry made up and put in, linked to nothing",
            |l, _| {
                l.forge(1, |f| {
                    let mut frame = made_up(&f[1], 0);
                    frame.change(|header| header.parent = ledger::Hash([7; 32]));
                    f.insert(2, frame);
                });
            },
            "inserted",
            7,
            "put in was entry 7",
        ),
        row(
            "an entry changed with its digest and checksum",
            |l, _| l.forge(0, |f| f[3].rewrite(note("n9").payload())),
            "parent",
            4,
            "so entry 3 was changed, together with its digest and checksum",
        ),
        row(
            "a digest changed",
            |l, _| l.forge(0, |f| f[3].change(|h| h.digest = Digest::of(b"other"))),
            "digest",
            3,
            "its payload is not the one",
        ),
    ]
}

fn files() -> Vec<Row> {
    fn remove(l: &Ledger, segment: usize) {
        fs::remove_file(&l.segments()[segment]).unwrap();
    }
    let renamed = |l: &Ledger, _: &Ledger| {
        fs::rename(&l.segments()[1], l.log().join("00000000000000000006.seg")).unwrap();
    };
    let hidden = |l: &Ledger, _: &Ledger| {
        fs::rename(&l.segments()[1], l.log().join("old.seg")).unwrap();
    };
    let shorter = |l: &Ledger, _: &Ledger| l.forge(2, |f| f.truncate(1));
    vec![
        row("the first", |l, _| remove(l, 0), "segment_missing", 0, "it was deleted"),
        row("a middle one", |l, _| remove(l, 1), "segment_missing", 5, "it was deleted"),
        row("the last", |l, _| remove(l, 2), "truncated", 9, "the log ends before it"),
        row("renamed", renamed, "segment_missing", 5, "it is named 00000000000000000006.seg now"),
        row("hidden", hidden, "segment_missing", 5, "it is named old.seg now"),
        row("the last as it was earlier", shorter, "truncated", 10, "the log ends before it"),
        row(
            "a payload taken out without a redaction",
            |l, _| {
                l.forge(1, |f| {
                    f[1].flags = 1;
                    f[1].payload.clear();
                });
            },
            "missing",
            6,
            "no redaction in the chain allows that",
        ),
        row(
            "a head of another ledger",
            |l, other| drop(fs::copy(other.log().join("head"), l.log().join("head"))),
            "floor",
            14,
            "says",
        ),
    ]
}

fn verified(ledger: &Ledger) -> Report {
    verify_dir(&ledger.log(), &strict()).unwrap()
}

#[test]
fn each_manipulation_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    let other = other(&dir.path().join("other"));
    assert!(verified(&other).is_good(), "{:?}", verified(&other));
    let rows = [truncations(), moves(), splices(), forgeries(), files()];
    let mut wrong = Vec::new();
    for (n, row) in rows.into_iter().flatten().enumerate() {
        let copy = whole.copy_to(&dir.path().join(n.to_string()));
        (row.act)(&copy, &other);
        let report = verified(&copy);
        let bad = report.first_bad.unwrap_or_else(|| panic!("{}: it verifies", row.name));
        let named = (bad.code, bad.seq.0) == (row.code, row.seq) && bad.what.contains(row.says);
        if !named {
            wrong.push(format!("{}: {} at {}: {}", row.name, bad.code, bad.seq, bad.what));
        }
        let threads = VerifyOptions { threads: 1, ..strict() };
        assert_eq!(verify_dir(&copy.log(), &threads).unwrap().first_bad, Some(bad), "{}", row.name);
        // Whoever opens it to write does not make it worse.
        let before: Vec<_> = copy.segments().iter().map(|file| fs::read(file).unwrap()).collect();
        drop(SegmentLog::open(copy.log()));
        let after: Vec<_> = copy.segments().iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(before == after, "{}: an opening changed the segments", row.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The last commit is cut off, and `head` is made to fit: only a head from outside shows that.
#[test]
fn a_cut_with_a_head_to_fit_shows_against_a_head_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let copy = ledger(dir.path());
    let head = verified(&copy).head;
    copy.forge(2, |f| f.truncate(3));
    let last = frames(&fs::read(&copy.segments()[2]).unwrap())[2].decoded();
    copy.write_head(11, &last.hash());
    assert!(verified(&copy).is_good());
    let options = VerifyOptions { expect_head: Some((Seq(14), head.hash)), ..strict() };
    let bad = verify_dir(&copy.log(), &options).unwrap().first_bad.unwrap();
    assert_eq!((bad.code, bad.seq), ("cut_off", Seq(12)));
    assert!(bad.what.contains("the head that was expected names entry 14"), "{bad}");
}

/// A segment as it was before a redaction brings the payload back. That is listed, no tampering by
/// itself: a crash before the erasure looks the same, and the next writer erases it again.
#[test]
fn a_segment_as_it_was_before_a_redaction_is_listed_as_not_erased() {
    let dir = tempfile::tempdir().unwrap();
    let copy = ledger(&dir.path().join("ours"));
    // The same history without the redaction: its first segment is the older copy of ours.
    let older = Ledger { dir: dir.path().join("older") };
    let log = SegmentLog::create_with_segment_size(older.log(), crate::forge::SEGMENT_SIZE);
    let notes = |from: u64, to: u64| (from..=to).map(|n| note(&format!("n{n}"))).collect();
    record(&std::sync::Arc::new(log.unwrap()), vec![vec![opened()], notes(1, 4), notes(5, 6)]);
    let redacted = fs::read(&copy.segments()[0]).unwrap();
    fs::copy(&older.segments()[0], &copy.segments()[0]).unwrap();
    let report = verified(&copy);
    assert!(report.is_good(), "{report:?}");
    assert!(!report.redactions[0].erased && report.redactions[0].target == Seq(2));
    drop(SegmentLog::open(copy.log()).unwrap());
    assert!(verified(&copy).redactions[0].erased);
    assert_eq!(fs::read(&copy.segments()[0]).unwrap(), redacted);
}
