//! How often each store really tells the disk to keep what it wrote, counted by the system.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    events::events,
    store::{Fault, Kind},
};

/// Single-event commits that are counted.
const COMMITS: u64 = 200;

/// The calls that make bytes durable; `openat` shows files whose every write does (`O_DSYNC`).
const CALLS: &str = "trace=fsync,fdatasync,msync,sync_file_range,sync,syncfs,openat";

/// Counts the syncs of a run with commits, less those of a run without.
pub(crate) fn count(kind: Kind, dir: &Path) -> Result<(), Fault> {
    let idle = traced(kind, dir, 0)?;
    let busy = traced(kind, dir, COMMITS)?;
    let counted: Vec<_> =
        idle.iter().zip(busy).map(|((call, idle), (_, busy))| (call, *idle, busy)).collect();
    // `sync_file_range` leaves the disk's own cache and the file's length alone.
    let durable = counted.iter().filter(|(call, ..)| **call != "sync_file_range");
    let more: u64 = durable.map(|(_, idle, busy)| busy.saturating_sub(*idle)).sum();
    let calls: Vec<_> = counted
        .iter()
        .filter(|(.., busy)| *busy > 0)
        .map(|(call, idle, busy)| format!("{call} {busy} (without commits {idle})"))
        .collect();
    println!("syncs {} {COMMITS} commits: {}", kind.name(), calls.join(", "));
    if more < COMMITS && kind != Kind::SledFlush {
        return Err(format!("{} acknowledges before it is synced", kind.name()).into());
    }
    Ok(())
}

/// How often each call was made while a store of its own was opened, written to and closed.
fn traced(kind: Kind, dir: &Path, commits: u64) -> Result<Vec<(&'static str, u64)>, Fault> {
    let dir = dir.join(format!("{}-{commits}", kind.name()));
    // Making the store is not what is counted.
    kind.open(&dir)?.close()?;
    let trace = dir.join("trace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", CALLS, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args(["commit", kind.name()])
        .arg(&dir)
        .arg(commits.to_string())
        .stdout(Stdio::null())
        .status()
        .map_err(|_| "strace is missing; type: apt-get install strace")?;
    if !status.success() {
        return Err("the traced run failed".into());
    }
    let trace = fs::read_to_string(&trace)?;
    let calls = ["fsync(", "fdatasync(", "msync(", "sync_file_range(", "O_DSYNC", "O_SYNC"];
    let made = |call: &str| {
        // Each line opens with the process, and a call that waits is resumed on another line.
        let begins = |line: &&str| {
            let rest = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
            if call.starts_with('O') { rest.contains(call) } else { rest.starts_with(call) }
        };
        trace.lines().filter(begins).count() as u64
    };
    Ok(calls.map(|call| (call.trim_end_matches('('), made(call))).to_vec())
}

/// The run that is traced.
pub(crate) fn commit(kind: Kind, dir: &Path, commits: u64) -> Result<(), Fault> {
    let mut store = kind.open(dir)?;
    for _ in 0..commits {
        let events = events(store.len(), 1)?;
        store.append(events)?;
    }
    store.close()
}
