//! Whether recording stays as fast when ids gather: `cargo bench -p ledger --bench flat -- flat`
//! (up to ten million events, 4 GB of disk). Without that argument it goes to a hundred thousand. A
//! directory after it, in memory for instance, shows what is left where syncing costs nothing.
//!
//! Every decade from 10^4 on ends with a window in which commits take turns with a plain file, and
//! each window's ratio is compared with the first one's. Beside it stands the processor time of an
//! event, which other programs of the machine change less, and the most that one commit took: what
//! the index does now and then, and a sealed segment, must not make anyone wait for long.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

mod measure;

use std::time::Duration;

use ledger::log::segments::SEGMENT_SIZE;
use measure::{
    FRAME_OVERHEAD, Plain, payloads, rate, record, report, scratch, submissions, time, writer,
};

/// Events a commit.
const BATCH_LEN: usize = 1_000;
/// Smaller than usual, so that ten million need little room and the ids weigh more.
const SIZE: usize = 200;
/// A window is the last tenth of its decade, and no more than this.
const WINDOW_MAX: usize = 300_000;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let last = if args.iter().any(|arg| arg == "flat") { 10_000_000 } else { 100_000 };
    let dir =
        args.get(1).map_or_else(scratch, |dir| tempfile::tempdir_in(dir).expect("a directory"));
    let (mut writer, _log) = writer(dir.path(), SEGMENT_SIZE);
    let mut plain = Plain::create(dir.path());
    let (mut next, mut decade, mut first) = (0, 10_000, None);
    let (mut longest, mut longest_at, mut most) = (Duration::ZERO, 0, Duration::ZERO);
    while decade <= last {
        let window = decade - (decade / 2).min(WINDOW_MAX)..decade;
        let (mut ours, mut baseline, mut slowest) =
            (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut processor = Duration::ZERO;
        while next < decade {
            let submissions = submissions(payloads(next, BATCH_LEN, SIZE));
            let begun = processor_time();
            let elapsed = time(|| record(&mut writer, submissions));
            let worked = processor_time().saturating_sub(begun);
            most = most.max(worked);
            if elapsed > longest {
                (longest, longest_at) = (elapsed, next);
            }
            if window.contains(&next) {
                processor += worked;
                ours += elapsed;
                let plain = plain.commit(BATCH_LEN * (SIZE + FRAME_OVERHEAD));
                baseline += plain;
                slowest = slowest.max(plain);
            }
            next += BATCH_LEN;
        }
        let rates = (rate(window.len(), ours), rate(window.len(), baseline));
        let ratio = rates.0 / rates.1;
        let target = 0.8 * *first.get_or_insert(ratio);
        let target = (target * 100.0).round() / 100.0;
        report(&format!("append_flat_{decade}"), "events/s", rates.0, rates.1, (">=", target));
        let of_one =
            processor.as_secs_f64() * 1e6 / f64::from(u32::try_from(window.len()).unwrap_or(1));
        println!(
            "append_flat_{decade}: {of_one:.2} us of processor time an event, {} ms in one commit at \
             most; the slowest so far took {} ms, at event {longest_at}; of the plain file {} ms",
            most.as_millis(),
            longest.as_millis(),
            slowest.as_millis()
        );
        decade *= 10;
    }
}

/// What the system has counted of this thread, as of its last tick.
fn processor_time() -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = counted.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
