//! Inputs to begin with: the bytes of real ledgers, small, each with something that others lack.

use std::{fs, path::Path, sync::Arc};

use ledger::{Draft, Index, Log as _, SegmentLog, Seq, Submission, Writer};

use super::pack::{Kind, Piece, pack};

/// When the ledgers begin, in Unix microseconds.
const START_US: u64 = 1_767_225_600_000_000;

/// Segment files, as the frame decoder gets them, and with ends that a crash leaves.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for ledger in ledgers() {
        for piece in ledger.into_iter().filter(|piece| piece.kind == Kind::Segment) {
            let torn = piece.bytes.len().saturating_sub(20);
            seeds.push(piece.bytes[..torn].to_vec());
            seeds.push(piece.bytes);
        }
    }
    seeds
}

/// Whole directories: as they are; each segment with mended checksums; the whole with a chain that
/// is mended; the derived files with mended checksums; and without a `head`.
pub fn open_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for ledger in ledgers() {
        let as_kinds = |swap: &dyn Fn(Kind) -> Kind| {
            let pieces =
                ledger.iter().map(|piece| Piece { kind: swap(piece.kind), ..piece.clone() });
            pack(&pieces.collect::<Vec<_>>())
        };
        seeds.push(as_kinds(&|kind| kind));
        seeds.push(as_kinds(&|kind| if kind == Kind::Segment { Kind::Summed } else { kind }));
        seeds.push(as_kinds(&|kind| match kind {
            Kind::Segment => Kind::Chained,
            Kind::Head => Kind::TrueHead,
            kind => kind,
        }));
        seeds.push(as_kinds(&|kind| match kind {
            Kind::Map => Kind::SummedMap,
            Kind::Run => Kind::SummedRun,
            kind => kind,
        }));
        let bare = ledger.iter().filter(|piece| piece.kind == Kind::Segment).cloned();
        seeds.push(pack(&bare.collect::<Vec<_>>()));
        if let Some(last) = ledger.iter().rposition(|piece| piece.kind == Kind::Segment) {
            let mut torn = ledger.clone();
            let size = torn[last].bytes.len().saturating_sub(30);
            torn[last].bytes.truncate(size);
            torn.retain(|piece| piece.kind != Kind::Head);
            torn.push(Piece { kind: Kind::Other, which: 2, bytes: vec![7; 40] });
            seeds.push(pack(&torn));
        }
    }
    let far = [u64::MAX.to_be_bytes().as_slice(), &[0; 100]].concat();
    seeds.push(pack(&[Piece { kind: Kind::Far, which: 0, bytes: far }]));
    seeds
}

/// An event whose data is canonical JSON already.
fn event(name: &str, id: &str, data: &str) -> Draft {
    let payload =
        format!(r#"{{"data":{data},"id":"{id}","source":"s","type":"rollout.{name}.v1"}}"#);
    Draft::new(payload.into_bytes()).expect("a seed's event is canonical")
}

fn notes(from: u64, to: u64) -> Vec<Draft> {
    (from..to).map(|n| event("note.added", &format!("n{n}"), r#"{"text":"\u001f"}"#)).collect()
}

/// The ledgers, as pieces: one entry; a commit of several; several segments with an index; those
/// with an erased payload and a clock step.
fn ledgers() -> Vec<Vec<Piece>> {
    let opened = || vec![event("ledger.opened", "o", "{}")];
    let plain = |groups: Vec<Vec<Draft>>, size: u64| made(size, |writer| commit(writer, groups));
    vec![
        plain(vec![opened()], 10_000),
        plain(vec![opened(), notes(1, 5), notes(5, 6)], 10_000),
        plain(vec![opened(), notes(1, 3), notes(3, 4), notes(4, 8)], 500),
        made(600, |writer| {
            commit(writer, vec![opened(), notes(1, 4), notes(4, 7)]);
            let data = format!(
                r#"{{"id":"n6","source":"s","target":{{"hash":"{}","seq":6}}}}"#,
                writer.head().hash
            );
            let draft = event("event.redacted", "r", &data);
            writer.redact(draft, START_US + 10).expect("the target is there");
            commit(writer, vec![vec![event("ledger.clock_stepped", "c", "{}")], notes(7, 9)]);
        }),
    ]
}

fn commit(writer: &mut Writer, groups: Vec<Vec<Draft>>) {
    for group in groups {
        let submission = Submission::new(group).expect("a seed's commit is small");
        let now_us = writer.head().recorded_at_us.max(START_US);
        writer.commit(vec![submission], now_us).expect("a scratch directory can be written");
    }
}

/// Makes a ledger, closes it, and takes its files.
fn made(segment_size: u64, fill: impl FnOnce(&mut Writer)) -> Vec<Piece> {
    let scratch = tempfile::tempdir().expect("a directory can be made");
    let dir = scratch.path().join("log");
    let log = SegmentLog::create_with_segment_size(&dir, segment_size).expect("it is new");
    let log = Arc::new(log);
    let index = Index::in_dir_with_tail_len(log.index_dir(), 4);
    let mut writer = Writer::open(log.clone(), index).expect("it is empty");
    fill(&mut writer);
    log.close().expect("nothing is in doubt");
    files(&dir)
}

fn files(log: &Path) -> Vec<Piece> {
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    let mut pieces = Vec::new();
    for first in (0..64).map(Seq) {
        let which = u8::try_from(first.0).expect("there are few");
        for (kind, name) in [
            (Kind::Segment, format!("{first:020}.seg")),
            (Kind::Map, format!("map/{first:020}.map")),
        ] {
            let path = log.join(name);
            if path.exists() {
                pieces.push(Piece { kind, which, bytes: read(&path) });
            }
        }
    }
    for which in 0..=u8::MAX {
        let path = log.join(super::pack::run_name(which));
        if path.exists() {
            pieces.push(Piece { kind: Kind::Run, which, bytes: read(&path) });
        }
    }
    pieces.push(Piece { kind: Kind::Head, which: 0, bytes: read(&log.join("head")) });
    pieces
}
