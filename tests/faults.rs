//! The machine says no: a second writer, a full disk, a directory that may not be written.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, Ran, Server, files, ndjson, note, notes},
    space::Tmpfs,
};

#[test]
fn a_second_writer_is_told_to_try_again() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 3)).ok();
    let server = ledger.serve();
    let writers: [&[&str]; 3] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["event", "redact", "2", "--reason", "asked for"],
        &["clock", "step", "--reason", "set back"],
    ];
    for writer in writers {
        ledger.run(writer).exits(75).says("a server holds this directory");
    }
    // Without the announcement there is still the lock.
    fs::remove_file(ledger.dir.join("serve.json")).unwrap();
    for writer in writers {
        ledger.run(writer).exits(75);
    }
    ledger.append(&[note("second", "x")]).exits(75);
    // Readers need no lock.
    assert_eq!(ledger.noted().len(), 3);
    ledger.verifies();
    assert_eq!(server.post(&note("first", "x")).status, 201);
    server.stop();
    ledger.append(&[note("second", "x")]).ok();
    assert_eq!(ledger.noted().len(), 5);
}

/// Limits the size of any file to so many blocks of 512 bytes; a write beyond fails.
pub(crate) const LIMITED: [&str; 3] =
    ["sh", "-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\""];

/// Asserts that a command that ran out of space kept what it acknowledged, and returns how many.
fn check_kept(ledger: &Ledger, full: &Ran, events: &[Value]) -> usize {
    assert_ne!(full.code, Some(0));
    assert!(full.code.is_some(), "it ends by itself: {}", full.err);
    assert!(full.err.contains("error:"), "it says what happened: {}", full.err);
    let receipts = full.lines();
    assert!(receipts.len() < events.len());
    let entries = ledger.entries();
    for receipt in &receipts {
        let seq = usize::try_from(receipt["seq"].as_u64().unwrap()).unwrap();
        assert_eq!(entries[seq]["hash"], receipt["hash"]);
    }
    ledger.run(&["verify"]).ok();
    receipts.len()
}

#[test]
fn a_file_that_may_not_grow_loses_nothing_acknowledged() {
    let ledger = Ledger::new();
    let events = notes("n", 6000);
    let args = ["event", "append", "--output", "jsonl"];
    let mut command = ledger.prefixed(&LIMITED, &args);
    let full = crate::harness::feed(&mut command, ndjson(&events).as_bytes());
    check_kept(&ledger, &full, &events);
    assert!(full.err.contains("00000000000000000000.seg: "), "it names the file: {}", full.err);
    let again = ledger.append(&events).ok().lines();
    assert_eq!(again.len(), events.len());
    assert_eq!(ledger.noted().len(), events.len());
    ledger.verifies();
}

#[test]
fn a_server_that_runs_out_of_space_says_so_and_keeps_what_it_acknowledged() {
    let ledger = Ledger::new();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let server = Server::start(ledger.prefixed(&LIMITED, &serve));
    let mut acknowledged = Vec::new();
    let refused = (0..400).find_map(|n| {
        let events = notes(&format!("batch-{n}"), 10);
        match server.try_post(&json!(events)) {
            Ok(answer) if answer.status == 201 => {
                acknowledged.extend(answer.json()["receipts"].as_array().unwrap().clone());
                None
            }
            other => Some(other),
        }
    });
    // In doubt, or gone: both are true, and neither is 201.
    if let Ok(answer) = refused.expect("it never ran out") {
        assert!(answer.status >= 500, "{answer:?}");
    }
    drop(server);
    assert!(acknowledged.len() > 100);
    let entries = ledger.entries();
    for receipt in &acknowledged {
        let seq = usize::try_from(receipt["seq"].as_u64().unwrap()).unwrap();
        assert_eq!(entries[seq]["hash"], receipt["hash"]);
    }
    ledger.run(&["verify"]).ok();
    let server = ledger.serve();
    assert_eq!(server.post(&note("with-space", "x")).status, 201);
    server.ready();
    server.stop();
    ledger.verifies();
    ledger.run(&["views", "diff"]).ok();
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    let mut ledger = Ledger::absent();
    let Some(disk) = Tmpfs::mount(&ledger.temp.path().join("disk"), "1m") else {
        eprintln!("no tmpfs may be mounted here: only the limit of a file's size was tested");
        return;
    };
    ledger.dir = disk.0.join("ledger");
    ledger.run(&["init"]).ok();
    // No limit keeps it from the last byte.
    let append = ["event", "append", "--output", "jsonl", "--min-free", "0"];
    let events = notes("n", 6000);
    let full = ledger.run_with(&append, ndjson(&events));
    check_kept(&ledger, &full, &events);
    // Still full: it says so again, and nothing that is there is harmed.
    check_kept(&ledger, &ledger.run_with(&append, ndjson(&events)), &events);
    assert_ne!(
        ledger.run(&["init", "--data-dir", disk.0.join("other").to_str().unwrap()]).code,
        Some(0)
    );
    disk.resize("64m");
    let all = ledger.run_with(&append, ndjson(&events)).ok();
    assert_eq!(all.lines().len(), events.len());
    assert_eq!(ledger.noted().len(), events.len());
    ledger.verifies();
    // A half-made ledger is not left behind.
    let left: Vec<_> = fs::read_dir(&disk.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["ledger"]);
}

/// Lets nobody write below a directory, or its owner again.
fn writable(dir: &Path, writable: bool) {
    let mode = if writable { "u+w" } else { "a-w" };
    assert!(Command::new("chmod").args(["-R", mode]).arg(dir).status().unwrap().success());
}

#[test]
fn a_directory_that_may_not_be_written_is_read_and_verified() {
    let ledger = Ledger::new();
    let paths = crate::harness::examples("events", "json");
    for path in paths.iter().take(20) {
        ledger.run(&["event", "append", "-f", path.to_str().unwrap()]).ok();
    }
    ledger.append(&notes("n", 5)).ok();
    ledger.run(&["views", "rebuild"]).ok();
    let before = files(&ledger.dir);
    writable(&ledger.dir, false);
    // To the superuser modes mean nothing, so that power is put down.
    let drop_power: &[&str] =
        match fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)) {
            Ok(0) => &["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"],
            _ => &[],
        };
    let run = |args: &[&str]| Ran::of(ledger.prefixed(drop_power, args).output().unwrap());
    let readers: [&[&str]; 10] = [
        &["verify"],
        &["event", "list", "--all", "--output", "jsonl"],
        &["event", "get", "3"],
        &["rollout", "list"],
        &["rollout", "show", "trial"],
        &["rollout", "timeline", "trial"],
        &["rollout", "deviations", "trial"],
        &["report", "trial"],
        &["flags", "list"],
        &["flags", "show", "some_flag", "--output", "json"],
    ];
    for reader in readers {
        let ran = run(reader);
        assert_eq!(ran.code, Some(0), "{reader:?}: {}", ran.err);
    }
    let refused = run(&["record", "note", "added", "--rollout", "trial", "--text", "x"]);
    assert!(refused.code != Some(0) && !refused.err.is_empty());
    writable(&ledger.dir, true);
    assert_eq!(files(&ledger.dir), before, "reading changes no byte");
}
