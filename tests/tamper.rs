//! Somebody changes the files: `verify` names the entry, and so does the verifier that was written
//! from `docs/FORMAT.md` alone. This test knows the format from that page too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::harness::{Ledger, Ran, copy_dir, note, notes, root, segments};

/// Where a frame lies in its segment.
#[derive(Clone, Copy, Debug)]
struct Frame {
    seq: u64,
    start: usize,
    end: usize,
    /// Entries that follow in the same commit.
    left: u16,
}

const HEADER: usize = 7;
const PAYLOAD: usize = 88;

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut found, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let size = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
        let left = u16::from_be_bytes(bytes[start + 5..start + 7].try_into().unwrap());
        let seq = u64::from_be_bytes(bytes[start + 8..start + 16].try_into().unwrap());
        let end = start + PAYLOAD + size + 4;
        found.push(Frame { seq, start, end, left });
        start = end;
    }
    found
}

/// CRC-32/IEEE, bit by bit.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    let sum = bytes.iter().fold(u32::MAX, |sum, b| (0..8).fold(sum ^ u32::from(*b), step));
    (!sum).to_be_bytes()
}

/// Makes a frame's checksum fit again, as somebody with intent would.
fn mend(bytes: &mut [u8], frame: Frame) {
    let sum = crc(&bytes[frame.start..frame.end - 4]);
    bytes[frame.end - 4..frame.end].copy_from_slice(&sum);
}

/// A Python that has the package blake3.
pub(crate) fn python() -> String {
    #[expect(clippy::disallowed_methods, reason = "which Python is a setting of the tests alone")]
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import blake3"]).output();
    assert!(
        has.is_ok_and(|ran| ran.status.success()),
        "{python} cannot check the chain without the package blake3; type: make test (it makes an \
         environment that has it), or `python3 -m pip install blake3==1.0.8`",
    );
    python
}

/// What `docs/verify.py` says of each directory, in one process.
fn second_opinions(dirs: &[PathBuf]) -> Vec<Value> {
    let script = "import json, sys; sys.path.insert(0, sys.argv[1]); import verify\n\
                  for d in sys.argv[2:]: print(json.dumps(verify.verify(d)))";
    let mut command = Command::new(python());
    command.args(["-B", "-c", script]).arg(root().join("docs")).args(dirs);
    Ran::of(command.output().unwrap()).ok().lines()
}

/// A ledger of several commits: 1 entry, 3, 1, 4, 1.
fn ledger() -> Ledger {
    let ledger = Ledger::new();
    ledger.append(&notes("a", 3)).ok();
    ledger.append(&[note("long", &"A long text. ".repeat(200))]).ok();
    ledger.append(&notes("b", 4)).ok();
    ledger.append(&[note("last", "x")]).ok();
    ledger
}

/// A copy of a ledger with something done to it, and the entries that may be named for it.
struct Tampered {
    what: String,
    dir: PathBuf,
    named: Vec<u64>,
}

/// Makes copies, and asks both verifiers about each.
struct Cases<'a> {
    ledger: &'a Ledger,
    cases: Vec<Tampered>,
}

impl<'a> Cases<'a> {
    fn of(ledger: &'a Ledger) -> Cases<'a> {
        Cases { ledger, cases: Vec::new() }
    }

    /// Adds a copy; `named` are the entries that the damage may be found at, none for none at all.
    fn add(&mut self, what: String, named: &[u64], tamper: impl FnOnce(&Path)) {
        let dir = self.ledger.temp.path().join(format!("case-{}", self.cases.len()));
        copy_dir(&self.ledger.dir, &dir);
        tamper(&dir);
        self.cases.push(Tampered { what, dir, named: named.to_vec() });
    }

    /// [`add`](Cases::add) with the only segment's bytes changed.
    fn change(&mut self, what: String, named: &[u64], change: impl FnOnce(&mut Vec<u8>)) {
        self.add(what, named, |dir| {
            let segment = segments(dir).pop().unwrap();
            let mut bytes = fs::read(&segment).unwrap();
            change(&mut bytes);
            fs::write(segment, bytes).unwrap();
        });
    }

    fn check(self) {
        let dirs: Vec<_> = self.cases.iter().map(|case| case.dir.clone()).collect();
        for (case, second) in self.cases.iter().zip(second_opinions(&dirs)) {
            let dir = case.dir.to_str().unwrap();
            let ran = self.ledger.run(&["verify", dir, "--output", "json"]);
            let (ours, what) = (ran.json(), &case.what);
            assert_eq!(second["chain"], "checked");
            assert_eq!(ours["ok"], second["ok"], "{what}: {ours} {second}");
            assert_eq!(ours["ok"], case.named.is_empty(), "{what}: {ours}");
            assert_eq!(ran.code, Some(if case.named.is_empty() { 0 } else { 3 }), "{what}");
            let seq = &ours["first_bad"]["seq"];
            assert_eq!(seq, &second["first_bad"]["seq"], "{what}: {ours} {second}");
            if let Some(seq) = seq.as_u64() {
                assert!(case.named.contains(&seq), "{what}: names {seq}, not {:?}", case.named);
                assert!(ran.err.contains("does not verify"), "{what}: {}", ran.err);
                for member in ["what", "advice", "code"] {
                    assert!(ours["first_bad"][member].is_string(), "{what}: {ours}");
                }
            } else {
                assert_eq!(ours["head"], second["head"], "{what}");
            }
        }
    }
}

#[test]
fn the_page_describes_what_is_written() {
    let ledger = ledger();
    let bytes = fs::read(ledger.newest_segment()).unwrap();
    let frames = frames(&bytes);
    let seqs: Vec<_> = frames.iter().map(|frame| frame.seq).collect();
    assert_eq!(seqs, (0..10).collect::<Vec<_>>());
    let left: Vec<_> = frames.iter().map(|frame| frame.left).collect();
    assert_eq!(left, [0, 2, 1, 0, 0, 3, 2, 1, 0, 0]);
    for frame in frames {
        assert_eq!(crc(&bytes[frame.start..frame.end - 4]), bytes[frame.end - 4..frame.end]);
    }
    let mut cases = Cases::of(&ledger);
    cases.add("untouched".to_owned(), &[], |_| {});
    cases.check();
}

#[test]
fn a_flipped_byte_is_named_at_its_entry() {
    let ledger = ledger();
    let bytes = fs::read(ledger.newest_segment()).unwrap();
    let mut cases = Cases::of(&ledger);
    for frame in frames(&bytes) {
        let size = frame.end - frame.start;
        // Size, flags, left, version, seq, time, parent, digest, payload, checksum.
        let fields = [
            0,
            3,
            4,
            6,
            7,
            15,
            23,
            40,
            70,
            PAYLOAD,
            usize::midpoint(PAYLOAD, size),
            size - 5,
            size - 1,
        ];
        for (n, offset) in (frame.seq..).zip(fields) {
            let bit = 1 << (n % 8);
            let what = format!("bit {bit} of byte {offset} of entry {}", frame.seq);
            cases.change(what, &[frame.seq], |bytes| bytes[frame.start + offset] ^= bit);
        }
    }
    cases.check();
}

#[test]
fn a_change_with_a_checksum_to_fit_is_named_where_the_chain_breaks() {
    let ledger = ledger();
    let bytes = fs::read(ledger.newest_segment()).unwrap();
    let frames = frames(&bytes);
    let last = frames.last().unwrap().seq;
    let mut cases = Cases::of(&ledger);
    for frame in &frames {
        let (frame, here) = (*frame, frame.seq);
        // The hash of the last one stands in the floor.
        let next = if here == last { here } else { here + 1 };
        let rows = [
            ("payload", PAYLOAD + 30, vec![here]),
            ("digest", HEADER + 60, vec![here]),
            ("seq", HEADER + 8, vec![here]),
            ("parent", HEADER + 20, vec![here]),
            ("time", HEADER + 16, vec![here, next]),
            ("left", 6, vec![here, here + 1]),
        ];
        for (what, offset, named) in rows {
            cases.change(format!("{what} of entry {here}"), &named, |bytes| {
                bytes[frame.start + offset] ^= 1;
                mend(bytes, frame);
            });
        }
    }
    cases.check();
}

#[test]
fn entries_removed_exchanged_repeated_or_cut_off_are_noticed() {
    let ledger = ledger();
    let bytes = fs::read(ledger.newest_segment()).unwrap();
    let frames = frames(&bytes);
    let mut cases = Cases::of(&ledger);
    for pair in frames.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let whole = |f: Frame| bytes[f.start..f.end].to_vec();
        let named = [a.seq, b.seq];
        cases.change(format!("entry {} removed", a.seq), &named, |bytes| {
            bytes.drain(a.start..a.end);
        });
        cases.change(format!("entry {} twice", a.seq), &named, |bytes| {
            bytes.splice(a.end..a.end, whole(a));
        });
        cases.change(format!("entries {} and {} exchanged", a.seq, b.seq), &named, |bytes| {
            bytes.splice(a.start..b.end, [whole(b), whole(a)].concat());
        });
        cases.change(format!("cut off from entry {}", b.seq), &[a.seq, b.seq, 9], |bytes| {
            bytes.truncate(b.start);
        });
    }
    cases.change("everything cut off".to_owned(), &[0, 9], Vec::clear);
    cases.change("a repeated end".to_owned(), &[9, 10], |bytes| {
        let last = frames[9];
        bytes.extend_from_within(last.start..last.end);
    });
    cases.check();
}

/// Splits the only segment at the ends of commits: the page says that sizes mean nothing.
fn split(dir: &Path, firsts: &[u64]) -> Vec<PathBuf> {
    let segment = segments(dir).pop().unwrap();
    let bytes = fs::read(&segment).unwrap();
    let frames = frames(&bytes);
    let start = |seq: u64| frames.iter().find(|f| f.seq == seq).map_or(bytes.len(), |f| f.start);
    let ends = firsts[1..].iter().map(|seq| start(*seq)).chain([bytes.len()]);
    let mut paths = Vec::new();
    for (first, end) in firsts.iter().zip(ends) {
        let path = dir.join(format!("log/{first:020}.seg"));
        fs::write(&path, &bytes[start(*first)..end]).unwrap();
        paths.push(path);
    }
    paths
}

#[test]
fn segments_exchanged_removed_repeated_or_of_another_ledger_are_noticed() {
    let (ledger, other) = (ledger(), ledger());
    let firsts = [0, 1, 4, 5, 9];
    let mut cases = Cases::of(&ledger);
    cases.add("split".to_owned(), &[], |dir| drop(split(dir, &firsts)));
    for (n, first) in firsts.into_iter().enumerate() {
        let (what, end) = (format!("segment {first}"), firsts.get(n + 1).copied().unwrap_or(10));
        cases.add(format!("{what} removed"), &[first, 9], |dir| {
            fs::remove_file(&split(dir, &firsts)[n]).unwrap();
        });
        cases.add(format!("{what} emptied"), &[first, end, 9], |dir| {
            fs::write(&split(dir, &firsts)[n], b"").unwrap();
        });
        cases.add(format!("{what} of another ledger"), &[first, end, 9], |dir| {
            let theirs = fs::read(other.newest_segment()).unwrap();
            let frames = frames(&theirs);
            let start = frames[usize::try_from(first).unwrap()].start;
            let stop = frames.get(usize::try_from(end).unwrap()).map_or(theirs.len(), |f| f.start);
            fs::write(&split(dir, &firsts)[n], &theirs[start..stop]).unwrap();
        });
        cases.add(format!("{what} again at the end"), &[10], |dir| {
            let paths = split(dir, &firsts);
            fs::copy(&paths[n], dir.join(format!("log/{:020}.seg", 10))).unwrap();
        });
        if let Some(next) = firsts.get(n + 1) {
            cases.add(format!("{what} exchanged with {next}"), &[first, *next], |dir| {
                let paths = split(dir, &firsts);
                let (a, b) = (fs::read(&paths[n]).unwrap(), fs::read(&paths[n + 1]).unwrap());
                fs::write(&paths[n], b).unwrap();
                fs::write(&paths[n + 1], a).unwrap();
            });
        }
    }
    cases.check();
}

#[test]
fn an_erased_payload_needs_its_redaction() {
    let ledger = ledger();
    ledger.run(&["event", "redact", "4", "--reason", "asked for", "--approver", "acct-0042"]).ok();
    assert_eq!(ledger.run(&["event", "redact", "4", "--reason", "again"]).code, Some(5));
    ledger.run(&["event", "redact", "0", "--reason", "hide the beginning"]).exits(7);
    ledger.run(&["event", "redact", "10", "--reason", "hide the redaction"]).exits(7);
    let entries = ledger.entries();
    assert_eq!((&entries[4]["redacted"], &entries[4]["event"]), (&Value::Bool(true), &Value::Null));
    for (path, bytes) in crate::harness::files(&ledger.dir) {
        let found = bytes.windows(12).any(|piece| piece == b"A long text.");
        assert!(!found, "{} still holds the payload", path.display());
    }
    // A retry of the erased event gets its first receipt.
    let again = ledger.append(&[note("long", &"A long text. ".repeat(200))]).ok().lines();
    assert_eq!((&again[0]["seq"], &again[0]["redacted"]), (&4.into(), &true.into()));
    let mut cases = Cases::of(&ledger);
    cases.add("redacted".to_owned(), &[], |_| {});
    let bytes = fs::read(ledger.newest_segment()).unwrap();
    // Without the redaction, what it had erased is missing.
    for (victim, named) in [(2, 2), (7, 7), (10, 4)] {
        let frame = frames(&bytes)[victim];
        cases.change(format!("entry {victim} erased by hand"), &[named], |bytes| {
            let mut erased = bytes[frame.start..frame.start + PAYLOAD].to_vec();
            erased[..5].copy_from_slice(&[0, 0, 0, 0, 1]);
            erased.extend(crc(&erased));
            bytes.splice(frame.start..frame.end, erased);
        });
    }
    cases.check();
}
