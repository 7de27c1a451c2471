//! `doctor`: it finds what is wrong, says what to type, and changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{
    harness::{Ledger, Ran, copy_dir, note, notes},
    reading::listing,
};

/// What `doctor` says, by check. It changes nothing, whatever it finds.
#[track_caller]
fn doctor(ledger: &Ledger, code: i32) -> BTreeMap<String, Value> {
    let before = ledger.dir.exists().then(|| listing(&ledger.dir));
    let ran = ledger.run(&["doctor", "--output", "json"]).exits(code);
    let words = ledger.run(&["doctor"]).exits(code);
    assert_eq!(ledger.dir.exists().then(|| listing(&ledger.dir)), before, "it changed something");
    let found = ran.json();
    let checks = found["checks"].as_array().unwrap();
    assert_eq!(words.out.lines().count(), checks.len(), "a line for each check");
    for (line, check) in words.out.lines().zip(checks) {
        assert!(line.starts_with(check["verdict"].as_str().unwrap()), "{line}");
        let remedy = check["remedy"].as_str();
        assert_eq!(
            check["verdict"] == "ok",
            remedy.is_none(),
            "what is wrong has a remedy: {check}"
        );
        assert!(remedy.is_none_or(|remedy| line.contains(remedy)), "{line}");
    }
    checks
        .iter()
        .map(|check| (check["check"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

/// Asserts one check's verdict and that its remedy names something.
#[track_caller]
fn says(checks: &BTreeMap<String, Value>, check: &str, verdict: &str, remedy: &str) {
    let found = checks.get(check).unwrap_or_else(|| panic!("no {check}: {checks:?}"));
    assert_eq!(found["verdict"], verdict, "{found}");
    assert!(found["remedy"].as_str().unwrap_or_default().contains(remedy), "{found}");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets modes as an installation does, whatever the umask here is.
fn tidy(ledger: &Ledger) {
    let tidied = Command::new("chmod").args(["-R", "go-w"]).arg(&ledger.dir).status().unwrap();
    assert!(tidied.success());
}

#[test]
fn a_well_directory_has_no_problem_with_and_without_a_server() {
    let ledger = Ledger::new();
    tidy(&ledger);
    let checks = doctor(&ledger, 0);
    says(&checks, "last_verify", "warning", "rollout-ledger verify --data-dir");
    for check in ["permissions", "writer", "log", "head", "torn_tail", "home", "clock", "format"] {
        says(&checks, check, "ok", "");
    }
    let server = ledger.serve();
    server.ready();
    let checks = doctor(&ledger, 0);
    says(&checks, "last_verify", "ok", "");
    says(&checks, "views", "ok", "");
    let writer = checks["writer"]["finding"].as_str().unwrap().to_owned();
    assert!(writer.contains(&format!("process {} ", server.pid())), "{writer}");
    server.stop();
    says(&doctor(&ledger, 0), "last_verify", "ok", "");
}

#[test]
fn a_directory_that_is_none_is_named_as_what_it_is() {
    let ledger = Ledger::absent();
    says(&doctor(&ledger, 1), "directory", "problem", "rollout-ledger init --data-dir");
    fs::create_dir(&ledger.dir).unwrap();
    says(&doctor(&ledger, 1), "directory", "problem", "rollout-ledger init --data-dir");
    fs::write(ledger.dir.join("letter.txt"), "x").unwrap();
    says(&doctor(&ledger, 1), "directory", "problem", "--data-dir");
    fs::create_dir(ledger.dir.join("log")).unwrap();
    says(&doctor(&ledger, 1), "log", "problem", "put log/ back");
    let file = ledger.file("file", "x");
    ledger.run(&["doctor", "--data-dir", &file]).exits(1);
}

#[test]
fn secrets_that_others_may_read_and_files_that_others_may_change_are_problems() {
    let ledger = Ledger::new();
    tidy(&ledger);
    ledger
        .run(&["token", "create", "--for", "t", "--scope", "events:read", "--expires", "P30D"])
        .ok();
    mode(&ledger.dir.join("keys").join("pseudonym.key"), 0o644);
    says(&doctor(&ledger, 1), "permissions", "problem", "chmod -R go= ");
    let remedy = doctor(&ledger, 1)["permissions"]["remedy"].as_str().unwrap().replace('`', "");
    assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success(), "{remedy}");
    says(&doctor(&ledger, 0), "permissions", "ok", "");
    mode(&ledger.dir.join("state").join("tokens.json"), 0o640);
    says(&doctor(&ledger, 1), "permissions", "problem", "state");
    mode(&ledger.dir.join("state").join("tokens.json"), 0o600);
    mode(&ledger.dir.join("log"), 0o777);
    says(&doctor(&ledger, 1), "permissions", "problem", "chmod -R o-w");
    mode(&ledger.dir.join("log"), 0o775);
    says(&doctor(&ledger, 0), "permissions", "warning", "chmod -R g-w");
    mode(&ledger.dir.join("log"), 0o755);
    says(&doctor(&ledger, 0), "permissions", "ok", "");
    if fs::metadata(&ledger.dir).unwrap().uid() == 0 {
        std::os::unix::fs::chown(ledger.dir.join("home"), Some(4_321), None).unwrap();
        says(&doctor(&ledger, 1), "owner", "problem", "sudo chown -R 0:");
    }
}

#[test]
fn a_killed_server_a_torn_tail_and_a_lost_floor_are_warnings() {
    let ledger = Ledger::new();
    tidy(&ledger);
    let mut server = ledger.serve();
    server.ready();
    assert_eq!(server.post(&note("a", "x")).status, 201);
    server.kill();
    let segment = ledger.newest_segment();
    let torn = [fs::read(&segment).unwrap(), vec![0, 0, 1]].concat();
    fs::write(&segment, torn).unwrap();
    fs::remove_file(ledger.dir.join("log").join("head")).unwrap();
    fs::create_dir(ledger.dir.join("views.quarantine-1")).unwrap();
    mode(&ledger.dir.join("views.quarantine-1"), 0o755);
    let checks = doctor(&ledger, 0);
    says(&checks, "writer", "warning", "rm ");
    says(&checks, "torn_tail", "warning", "the next start");
    says(&checks, "head", "warning", "verify --head SEQ:HASH");
    says(&checks, "views", "warning", "rm -r ");
}

#[test]
fn what_does_not_verify_ends_with_3() {
    let ledger = Ledger::new();
    tidy(&ledger);
    ledger.append(&notes("n", 3)).ok();
    let segment = ledger.newest_segment();
    let mut bytes = fs::read(&segment).unwrap();
    let whole = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    says(&doctor(&ledger, 3), "log", "problem", "rollout-ledger verify --data-dir");
    fs::write(&segment, whole).unwrap();
    doctor(&ledger, 0);
    // What a server verified is not there any more: another ledger's log lies in its place.
    let server = ledger.serve();
    server.ready();
    server.stop();
    let other = Ledger::new();
    other.append(&notes("other", 9)).ok();
    fs::remove_dir_all(ledger.dir.join("log")).unwrap();
    copy_dir(&other.dir.join("log"), &ledger.dir.join("log"));
    tidy(&ledger);
    let checks = doctor(&ledger, 3);
    says(&checks, "last_verify", "problem", "rollout-ledger verify");
    says(&checks, "home", "warning", "verify --head");
}

#[test]
fn a_copy_and_damaged_tokens_are_named() {
    let ledger = Ledger::new();
    ledger
        .run(&["token", "create", "--for", "t", "--scope", "events:read", "--expires", "P30D"])
        .ok();
    let mut copy = Ledger::absent();
    copy_dir(&ledger.dir, &copy.dir);
    copy.dir = copy.dir.canonicalize().unwrap();
    fs::write(copy.dir.join("home"), "0123\n").unwrap();
    fs::write(copy.dir.join("state").join("tokens.json"), "{").unwrap();
    let ran: Ran = copy.run(&["doctor", "--output", "json"]).exits(1);
    let found = ran.json();
    let of = |name: &str| {
        let checks = found["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap().clone()
    };
    assert_eq!(of("home")["verdict"], "warning");
    assert_eq!(of("format")["verdict"], "problem");
    assert_eq!(of("permissions")["verdict"], "problem", "a plain copy exposes secrets");
    assert_eq!(found["verdict"], "problem");
}
