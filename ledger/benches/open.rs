//! How fast a ledger is opened for writing, its index of ids included: `cargo bench -p ledger --bench
//! open`. With the argument `open10m` it is one of ten million entries (9 GB of disk).
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

mod measure;

use std::{path::Path, sync::Arc};

use ledger::{Index, Log as _, SegmentLog, Writer};
use measure::{
    PAYLOAD_SIZE, SMALL_SEGMENT_SIZE, payloads, record, report, scratch, submissions, time, writer,
};

fn main() {
    let dir = scratch();
    let (mut writer, log) = writer(dir.path(), SMALL_SEGMENT_SIZE);
    for commit in 0..400 {
        record(&mut writer, submissions(payloads(commit * 1_024, 1_024, PAYLOAD_SIZE)));
    }
    log.close().expect("the disk has room");
    drop((writer, log));
    open(dir.path());
}

/// Opening after a clean stop, index included, beside the time that is allowed.
fn open(dir: &Path) {
    let log = dir.join("log");
    let ours = time(|| {
        let log = Arc::new(SegmentLog::open(&log).expect("a log"));
        let index = Index::in_dir(log.index_dir());
        Writer::open(log, index).expect("a writer");
    });
    report("open", "s", ours.as_secs_f64(), 1.0, ("<=", 1.0));
}
