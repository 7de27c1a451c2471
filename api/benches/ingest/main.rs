//! How fast the service records: `cargo bench -p api --bench ingest`, or a part of it: `-- tasks`,
//! `-- posts`.
//!
//! Tasks hand events to the writer's thread as handlers do; posts come over loopback to the real
//! binary. The baseline is a plain file, to which commits of the size that was reached are written
//! and synced, the two taking turns. `docs/PERFORMANCE.md` says what is measured.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

#[path = "../load/connection.rs"]
mod connection;
mod plain;
mod posts;
#[path = "../load/process.rs"]
mod process;
mod tasks;

use std::time::Duration;

/// The size of a usual payload in bytes.
const PAYLOAD_SIZE: usize = 600;
/// What a frame adds to it.
const FRAME_OVERHEAD: usize = 92;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if wanted("tasks") {
        tasks::run(dir.path());
    }
    if wanted("posts") {
        posts::run(dir.path());
    }
}

/// How long each of many took.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn per_mille(&mut self, rank: usize) -> f64 {
        self.0.sort_unstable();
        self.0[(self.0.len() - 1) * rank / 1_000].as_secs_f64() * 1e6
    }

    fn report(&mut self, name: &str) {
        let (p50, p99) = (self.per_mille(500), self.per_mille(990));
        println!("bench {name}_p50 {p50:.0} us");
        println!("bench {name}_p99 {p99:.0} us");
    }
}

/// Events a second, beside the same of a plain file.
fn report(name: &str, events: usize, ours: Duration, baseline: Duration, target: Option<f64>) {
    let rate = |elapsed: Duration| events as f64 / elapsed.as_secs_f64();
    let (ours, baseline) = (rate(ours), rate(baseline));
    let target = target.map(|target| format!(" target >= {target}")).unwrap_or_default();
    let ratio = ours / baseline;
    println!("bench {name} {ours:.0} events/s baseline {baseline:.0} ratio {ratio:.2}{target}");
}
