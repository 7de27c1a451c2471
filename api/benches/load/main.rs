//! How the service holds under load: `make bench-api`.
//!
//! Each line is `bench NAME VALUE UNIT baseline VALUE ratio R target <= T`. The server is the real
//! binary over a generated directory; the baseline is a route that answers a constant, asked in the
//! same run by the same clients, the two taking turns. `docs/PERFORMANCE.md` says what is measured.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod connection;
mod constant;
mod data;
#[path = "../../../projector/benches/data/mixed.rs"]
mod mixed;
mod open_loop;
mod process;
mod reads;
mod streams;
mod subscribers;

use std::{fmt::Write as _, path::Path};

/// Files that generator and server may each have open at once: every idle subscriber is one.
const OPEN_FILES_MIN: u64 = 12_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if args.first().is_some_and(|arg| arg == constant::COMMAND) {
        return constant::serve();
    }
    let wanted = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    enough_files();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load");
    std::fs::create_dir_all(&dir).unwrap();
    if wanted("reads") {
        reads::run(&dir);
    }
    if wanted("streams") {
        streams::run(&dir);
    }
}

fn enough_files() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = line.split_whitespace().nth(3).unwrap();
    let enough = soft.parse::<u64>().map_or(soft == "unlimited", |n| n >= OPEN_FILES_MIN);
    assert!(
        enough,
        "10,000 subscribers need {OPEN_FILES_MIN} open files here and in the server, and the limit \
         is {soft}; type: ulimit -n {OPEN_FILES_MIN}"
    );
}

/// Prints one measure. Milliseconds, unless the unit says otherwise.
fn report(name: &str, unit: &str, value: f64, baseline: Option<f64>, target: Option<f64>) {
    let digits = |value: f64| if value < 10.0 { 3 } else { 0 };
    let mut line = format!("bench {name} {value:.0$} {unit}", digits(value));
    if let Some(baseline) = baseline {
        let ratio = value / baseline;
        let _ = write!(line, " baseline {baseline:.0$} ratio {ratio:.2}", digits(baseline));
    }
    if let Some(target) = target {
        let _ = write!(line, " target <= {target}");
        line += if value <= target { " met" } else { " MISSED" };
    }
    println!("{line}");
}
