//! Changes the files of a ledger as someone would who knows the format: with checksums that fit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ledger::{Digest, HEADER_SIZE, Hash, Header, RECORDED_AT_US_MAX, SegmentLog};

use crate::story::{event, note, opened, record, redaction};

/// Small, so that a dozen entries make several segments.
pub(crate) const SEGMENT_SIZE: u64 = 900;

/// A frame, taken apart without the ledger's code.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) flags: u8,
    pub(crate) left: u16,
    pub(crate) header: [u8; HEADER_SIZE],
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn decoded(&self) -> Header {
        Header::decode(&self.header).unwrap()
    }

    /// Gives it another payload, and a digest that fits.
    pub(crate) fn rewrite(&mut self, payload: &[u8]) {
        self.payload = payload.to_vec();
        let digest = Digest::of(payload);
        self.header = Header { digest, ..self.decoded() }.encode();
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Header)) {
        let mut header = self.decoded();
        change(&mut header);
        self.header = header.encode();
    }

    /// The bytes in a file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = u32::try_from(self.payload.len()).unwrap().to_be_bytes().to_vec();
        bytes.push(self.flags);
        bytes.extend(self.left.to_be_bytes());
        bytes.extend(self.header);
        bytes.extend(&self.payload);
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }
}

/// The frames of a segment file.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        frames.push(Frame {
            flags: rest[4],
            left: u16::from_be_bytes(rest[5..7].try_into().unwrap()),
            header: rest[7..88].try_into().unwrap(),
            payload: rest[88..88 + size].to_vec(),
        });
        rest = &rest[92 + size..];
    }
    frames
}

/// A ledger's directory: `log/` inside of it.
pub(crate) struct Ledger {
    pub(crate) dir: PathBuf,
}

impl Ledger {
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The segment files, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.log()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|e| e == "seg")).collect();
        files.sort();
        files
    }

    /// Changes the frames of one segment file.
    pub(crate) fn forge(&self, segment: usize, change: impl FnOnce(&mut Vec<Frame>)) {
        let file = &self.segments()[segment];
        let mut found = frames(&fs::read(file).unwrap());
        change(&mut found);
        fs::write(file, found.iter().flat_map(Frame::bytes).collect::<Vec<_>>()).unwrap();
    }

    pub(crate) fn cut(&self, segment: usize, bytes: u64) {
        let file = fs::OpenOptions::new().write(true).open(&self.segments()[segment]).unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(size - bytes).unwrap();
    }

    /// Flips a bit.
    pub(crate) fn damage(&self, segment: usize, at: usize) {
        let file = &self.segments()[segment];
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
    }

    pub(crate) fn append(&self, segment: usize, bytes: &[u8]) {
        let file = &self.segments()[segment];
        let old = fs::read(file).unwrap();
        fs::write(file, [&old, bytes].concat()).unwrap();
    }

    pub(crate) fn remove_head(&self) {
        fs::remove_file(self.log().join("head")).unwrap();
    }

    pub(crate) fn write_head(&self, seq: u64, hash: &Hash) {
        fs::write(self.log().join("head"), format!("{seq} {hash}\n")).unwrap();
    }

    /// A copy to be damaged.
    pub(crate) fn copy_to(&self, dir: &Path) -> Ledger {
        fs::create_dir_all(dir.join("log/map")).unwrap();
        for sub in ["log", "log/map"] {
            for file in fs::read_dir(self.dir.join(sub)).into_iter().flatten().flatten() {
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), dir.join(sub).join(file.file_name())).unwrap();
                }
            }
        }
        Ledger { dir: dir.to_path_buf() }
    }
}

/// A ledger of several segments that was closed: with a commit of four entries, an erased entry
/// (seq 2, redacted by 8), a clock step (seq 9), and a last commit of three.
pub(crate) fn ledger(dir: &Path) -> Ledger {
    let log = SegmentLog::create_with_segment_size(dir.join("log"), SEGMENT_SIZE).unwrap();
    let log = std::sync::Arc::new(log);
    let notes = |from: u64, to: u64| (from..=to).map(|n| note(&format!("n{n}"))).collect();
    record(&log, vec![vec![opened()], notes(1, 4), notes(5, 6), notes(7, 7)]);
    let target = crate::story::entry(&*log, 2);
    let mut writer = ledger::Writer::open(log.clone(), ledger::Index::in_memory()).unwrap();
    let now_us = crate::story::START_US + 9_000;
    writer.redact(redaction("r", &target, "n2"), now_us).unwrap();
    let step = event("rollout.ledger.clock_stepped.v1", "step", "{}");
    writer.commit(vec![step.into()], now_us - 5_000).unwrap();
    for group in [notes(10, 11), notes(12, 14)] {
        let submission = ledger::Submission::new(group).unwrap();
        writer.commit(vec![submission], now_us).unwrap();
    }
    ledger::Log::close(&*log).unwrap();
    Ledger { dir: dir.to_path_buf() }
}

/// What someone does to a closed ledger.
pub(crate) struct Tamper {
    pub(crate) name: &'static str,
    pub(crate) act: fn(&Ledger),
    /// The code and the place that `verify` names; `None`: it must not mind.
    pub(crate) found: Option<(&'static str, u64)>,
}

/// The tampers of the ledger that [`ledger`] makes, whose segments begin at 0, 5 and 9.
pub(crate) fn tampers() -> Vec<Tamper> {
    let mut tampers = forged_entries();
    tampers.extend(forged_payloads());
    tampers.extend(moved_entries());
    tampers.extend(lost_files());
    tampers.extend(everything_lost());
    tampers
}

const fn tamper(
    name: &'static str,
    act: fn(&Ledger),
    found: Option<(&'static str, u64)>,
) -> Tamper {
    Tamper { name, act, found }
}

/// Changes inside of entries, by someone who can make checksums.
fn forged_entries() -> Vec<Tamper> {
    vec![
        tamper("nothing", |_| {}, None),
        tamper("a payload", |l| l.forge(0, |f| f[1].payload[9] ^= 1), Some(("digest", 1))),
        tamper(
            "a payload and its digest",
            |l| l.forge(0, |f| f[1].rewrite(note("x").payload())),
            Some(("parent", 2)),
        ),
        tamper(
            "a payload and its digest before a new segment",
            |l| l.forge(0, |f| f[4].rewrite(note("x").payload())),
            Some(("parent", 5)),
        ),
        tamper(
            "the last payload and its digest",
            |l| l.forge(2, |f| f[5].rewrite(note("x").payload())),
            Some(("floor", 14)),
        ),
        tamper(
            "a time",
            |l| l.forge(1, |f| f[0].change(|h| h.recorded_at_us += 1)),
            Some(("parent", 6)),
        ),
        tamper(
            "a time goes back",
            |l| l.forge(2, |f| f[5].change(|h| h.recorded_at_us -= 1)),
            Some(("clock_back", 14)),
        ),
        tamper(
            "the last microsecond of the year 9999",
            |l| {
                l.forge(2, |f| f[5].change(|h| h.recorded_at_us = RECORDED_AT_US_MAX));
                let last = frames(&fs::read(&l.segments()[2]).unwrap())[5].decoded().hash();
                l.write_head(14, &last);
            },
            None,
        ),
        tamper(
            "a time after the year 9999",
            |l| l.forge(2, |f| f[5].change(|h| h.recorded_at_us = RECORDED_AT_US_MAX + 1)),
            Some(("time_out_of_range", 14)),
        ),
        tamper("a version", |l| l.forge(1, |f| f[2].header[0] = 2), Some(("unknown", 7))),
        tamper("a flag", |l| l.forge(1, |f| f[2].flags = 2), Some(("unknown", 7))),
        tamper("erased in name", |l| l.forge(1, |f| f[2].flags = 1), Some(("unknown", 7))),
        tamper("an empty payload", |l| l.forge(1, |f| f[2].payload.clear()), Some(("unknown", 7))),
        tamper(
            "erased without a redaction",
            |l| {
                l.forge(1, |f| {
                    f[0].flags = 1;
                    f[0].payload.clear();
                });
            },
            Some(("missing", 5)),
        ),
        tamper("a commit's count", |l| l.forge(0, |f| f[2].left = 5), Some(("commit_count", 2))),
        tamper(
            "the last commit's count",
            |l| l.forge(2, |f| f[5].left = 1),
            Some(("commit_count", 14)),
        ),
    ]
}

/// Payloads that are no events of a ledger, with hashes that fit.
fn forged_payloads() -> Vec<Tamper> {
    let canonical_twin = |l: &Ledger| {
        l.remove_head();
        let spaced = String::from_utf8(note("n14").payload().to_vec()).unwrap().replace(',', ", ");
        l.forge(2, |f| f[5].rewrite(spaced.as_bytes()));
    };
    let no_event = |l: &Ledger| {
        l.remove_head();
        l.forge(2, |f| f[5].rewrite(br#"{"id":"n14","source":"test"}"#));
    };
    let not_opened = |l: &Ledger| {
        l.remove_head();
        l.segments()[1..].iter().for_each(|file| fs::remove_file(file).unwrap());
        l.forge(0, |f| {
            f.truncate(1);
            f[0].rewrite(note("n0").payload());
        });
    };
    vec![
        tamper("not canonical", canonical_twin, Some(("not_canonical", 14))),
        tamper("no event", no_event, Some(("not_canonical", 14))),
        tamper("no opening", not_opened, Some(("not_opened", 0))),
    ]
}

/// Entries out of their places.
fn moved_entries() -> Vec<Tamper> {
    let replaced = |l: &Ledger| {
        fs::copy(&l.segments()[2], &l.segments()[1]).unwrap();
    };
    let repeated_commit = |l: &Ledger| {
        l.forge(2, |f| {
            let last = f[3..].to_vec();
            f.extend(last);
        });
    };
    vec![
        tamper("swapped", |l| l.forge(1, |f| f.swap(1, 2)), Some(("swapped", 6))),
        tamper("removed", |l| l.forge(1, |f| drop(f.remove(1))), Some(("gap", 6))),
        tamper("the first removed", |l| l.forge(1, |f| drop(f.remove(0))), Some(("gap", 5))),
        tamper(
            "the last of a segment removed",
            |l| l.forge(1, |f| drop(f.pop())),
            Some(("segment_missing", 8)),
        ),
        tamper("repeated", |l| l.forge(1, |f| f.insert(1, f[1].clone())), Some(("duplicate", 7))),
        tamper("the last commit repeated", repeated_commit, Some(("duplicate", 15))),
        tamper("a segment replaced by another", replaced, Some(("segment_exchanged", 5))),
    ]
}

/// Files, and ends of files, that are gone or wrong.
fn lost_files() -> Vec<Tamper> {
    fn remove(l: &Ledger, segment: usize) {
        fs::remove_file(&l.segments()[segment]).unwrap();
    }
    let renamed = |l: &Ledger| {
        fs::rename(&l.segments()[1], l.log().join("00000000000000000006.seg")).unwrap();
    };
    let without_head = |l: &Ledger| {
        l.remove_head();
        l.forge(2, |f| f.truncate(3));
    };
    vec![
        tamper("no first segment", |l| remove(l, 0), Some(("segment_missing", 0))),
        tamper("no middle segment", |l| remove(l, 1), Some(("segment_missing", 5))),
        tamper("no last segment", |l| remove(l, 2), Some(("truncated", 9))),
        tamper("a segment renamed", renamed, Some(("segment_missing", 5))),
        tamper("a segment cut", |l| l.cut(1, 10), Some(("truncated", 8))),
        tamper("the last byte cut", |l| l.cut(2, 1), Some(("truncated", 14))),
        tamper("the last entry cut", |l| l.forge(2, |f| drop(f.pop())), Some(("truncated", 14))),
        tamper("the last commit cut", |l| l.forge(2, |f| f.truncate(3)), Some(("truncated", 12))),
        tamper("the last commit cut, and no head", without_head, None),
        tamper(
            "half of the last commit cut, and no head",
            |l| {
                l.remove_head();
                l.cut(2, 1);
            },
            None,
        ),
        tamper(
            "a byte of the last commit, and no head",
            |l| {
                l.remove_head();
                l.damage(2, 700);
            },
            None,
        ),
        tamper(
            "a byte of a commit before the last, and no head",
            |l| {
                l.remove_head();
                l.damage(2, 20);
            },
            Some(("crc", 9)),
        ),
        tamper("bytes after the end", |l| l.append(2, &[7; 300]), None),
        tamper(
            "bytes after a sealed segment's end",
            |l| l.append(1, &[7; 3]),
            Some(("truncated", 9)),
        ),
        tamper("no head", Ledger::remove_head, None),
        tamper("a head that is no head", |l| fs::write(l.log().join("head"), "x").unwrap(), None),
        tamper(
            "a head with another hash",
            |l| l.write_head(13, &Hash([7; 32])),
            Some(("floor", 13)),
        ),
        tamper(
            "a head past the end",
            |l| l.write_head(15, &Hash([7; 32])),
            Some(("truncated", 15)),
        ),
        tamper("no maps", |l| fs::remove_dir_all(l.log().join("map")).unwrap(), None),
    ]
}

/// Found by the fuzzer: what is gone as a whole verified, because there was nothing to object to.
fn everything_lost() -> Vec<Tamper> {
    fn remove_all(l: &Ledger) {
        l.segments().iter().for_each(|file| fs::remove_file(file).unwrap());
    }
    let and_a_spoilt_head = |l: &Ledger| {
        remove_all(l);
        fs::write(l.log().join("head"), "x").unwrap();
    };
    vec![
        tamper("no segment", remove_all, Some(("segment_missing", 0))),
        tamper(
            "no segment, and a head that is no head",
            and_a_spoilt_head,
            Some(("segment_missing", 0)),
        ),
    ]
}
