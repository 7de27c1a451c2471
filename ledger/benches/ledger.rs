//! How fast the ledger records, beside what the machine can do at best: `cargo bench -p ledger --bench ledger`.
//!
//! Each line is `bench NAME VALUE UNIT baseline VALUE ratio R target >= T`, both values from one run
//! in which the two took turns, so that a busy machine slows both. With the argument `flat` it
//! measures instead whether appending stays as fast up to ten million ids (2 GB of disk).
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod measure;

use std::{fs::File, io::Write as _, path::Path, time::Duration};

use ledger::{Log as _, log::segments::SEGMENT_SIZE};
use measure::{
    FRAME_OVERHEAD, PAYLOAD_SIZE, payloads, rate, record, report, scratch, submissions, time,
    writer,
};

fn main() {
    let dir = scratch();
    if std::env::args().any(|arg| arg == "flat") {
        return flat(dir.path());
    }
    append(&dir.path().join("1"), "append_durable_1", 1, 400, 0.5);
    append(&dir.path().join("64"), "append_durable_64", 64, 300, 0.5);
    append(&dir.path().join("1024"), "append_durable_1024", 1_024, 160, 0.5);
    let one_thread = Drafting::InTurn;
    append_drafting(&dir.path().join("1t"), "append_one_thread_1024", 1_024, 60, 0.4, one_thread);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drafting {
    /// Drafts were made before, as by the threads of many callers.
    Before,
    /// Each is read and hashed in the writer's own turn.
    InTurn,
}

fn append(dir: &Path, name: &str, batch_len: usize, commits: usize, target: f64) {
    append_drafting(dir, name, batch_len, commits, target, Drafting::Before);
}

/// Durable commits through the writer, each beside a write of the same bytes to a plain file.
fn append_drafting(
    dir: &Path,
    name: &str,
    batch_len: usize,
    commits: usize,
    target: f64,
    drafting: Drafting,
) {
    let (mut writer, _log) = writer(dir, SEGMENT_SIZE);
    let mut plain = File::create(dir.join("plain")).expect("a file can be made");
    let bytes = vec![b'x'; batch_len * (PAYLOAD_SIZE + FRAME_OVERHEAD)];
    let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
    for commit in 0..commits {
        let payloads = payloads(commit * batch_len, batch_len, PAYLOAD_SIZE);
        let elapsed = match drafting {
            Drafting::Before => {
                let submissions = submissions(payloads);
                time(|| record(&mut writer, submissions))
            }
            Drafting::InTurn => time(|| record(&mut writer, submissions(payloads))),
        };
        ours += elapsed;
        baseline += time(|| {
            plain.write_all(&bytes).expect("the disk has room");
            plain.sync_data().expect("the disk syncs");
        });
    }
    let events = batch_len * commits;
    report(name, "events/s", rate(events, ours), rate(events, baseline), (">=", target));
}

/// Appends ten million ids and compares the first million with the last.
fn flat(dir: &Path) {
    const COMMITS: usize = 1_000;
    let (mut writer, log) = writer(dir, SEGMENT_SIZE);
    let mut rates = Vec::new();
    for million in 0..10 {
        let mut elapsed = Duration::ZERO;
        for commit in 0..COMMITS {
            let first = (million * COMMITS + commit) * 1_000;
            let submissions = submissions(payloads(first, 1_000, 120));
            elapsed += time(|| record(&mut writer, submissions));
        }
        rates.push(rate(COMMITS * 1_000, elapsed));
        println!("after {} million ids: {:.0} events/s", million + 1, rates[million]);
    }
    report("append_flat", "events/s", rates[9], rates[0], (">=", 0.8));
    log.close().expect("the disk has room");
}
