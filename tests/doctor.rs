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
    harness::{Ledger, Ran, binary, copy_dir, files, note, notes},
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
    // Several may bear one name, as permissions do: the worst comes first.
    let mut named = BTreeMap::new();
    for check in checks {
        named.entry(check["check"].as_str().unwrap().to_owned()).or_insert(check.clone());
    }
    named
}

/// Every remedy of a directory, as it is printed between backquotes.
fn remedies(ledger: &Ledger) -> Vec<String> {
    let ran = ledger.run(&["doctor", "--output", "json"]);
    let remedies = ran.json()["checks"].as_array().unwrap().clone();
    let remedies = remedies.iter().filter_map(|check| check["remedy"].as_str());
    remedies.filter_map(|remedy| Some(remedy.split('`').nth(1)?.to_owned())).collect()
}

/// Types a remedy into a shell that finds the program.
#[track_caller]
fn typed(ledger: &Ledger, line: &str) -> Ran {
    let dir = binary().parent().unwrap().display().to_string();
    let line = format!("PATH=\"{dir}:$PATH\"; {line}");
    let mut shell = Command::new("sh");
    Ran::of(shell.args(["-c", &line]).current_dir(ledger.temp.path()).output().unwrap())
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
    says(&checks, "last_verify", "warning", "rollout-ledger verify --note --data-dir");
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
        says(&doctor(&ledger, 1), "owner", "problem", "as root: `chown -hR 0:");
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

#[test]
fn a_backup_that_was_never_finished_is_finished_or_removed_as_doctor_says() {
    let ledger = Ledger::new();
    tidy(&ledger);
    ledger.append(&notes("n", 10)).ok();
    ledger.run(&["backup", "backup"]).ok();
    let mut backup = Ledger::absent();
    backup.dir = ledger.temp.path().join("backup");
    tidy(&backup);
    says(&doctor(&backup, 0), "backup", "ok", "");
    says(&doctor(&backup, 0), "last_verify", "ok", "");
    // As a run leaves it that is killed while it copies the log.
    let mark = backup.dir.join("backup.json");
    let mut begun: Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    begun["head"] = Value::Null;
    begun["finished_at"] = Value::Null;
    fs::write(&mark, begun.to_string()).unwrap();
    let segment = backup.newest_segment();
    let half = fs::metadata(&segment).unwrap().len() / 2;
    fs::File::options().write(true).open(&segment).unwrap().set_len(half).unwrap();
    let checks = doctor(&backup, 1);
    says(&checks, "backup", "problem", "or remove it: `rm -r ");
    assert!(!checks.contains_key("log"), "what is not there yet is not judged");
    let finish = remedies(&backup)[0].replace("LEDGER", ledger.dir.to_str().unwrap());
    typed(&ledger, &finish).ok();
    says(&doctor(&backup, 0), "backup", "ok", "");
    backup.verifies();
}

#[test]
fn doctor_and_verify_agree_on_a_floor_that_cannot_be_read() {
    let ledger = Ledger::new();
    tidy(&ledger);
    ledger.append(&notes("n", 3)).ok();
    let told = ledger.verifies();
    let (seq, hash) = (told["head"]["seq"].clone(), told["head"]["hash"].as_str().unwrap());
    let floor = ledger.dir.join("log/head");
    fs::write(&floor, "what is this").unwrap();
    says(&doctor(&ledger, 1), "head", "problem", "as one line `SEQ HASH`");
    ledger.run(&["verify"]).ok();
    ledger.append(&notes("refused", 1)).exits(3);
    // Its remedy: a head that was kept elsewhere holds, so it is the floor.
    ledger.run(&["verify", "--head", &format!("{seq}:{hash}")]).ok();
    fs::write(&floor, format!("{seq} {hash}\n")).unwrap();
    says(&doctor(&ledger, 0), "head", "ok", "");
    ledger.append(&notes("goes-on", 1)).ok();
}

#[test]
fn every_problem_of_permissions_is_told_and_all_remedies_work_as_printed() {
    let ledger = Ledger::new();
    tidy(&ledger);
    mode(&ledger.dir.join("keys/pseudonym.key"), 0o644);
    mode(&ledger.dir.join("log"), 0o777);
    mode(&ledger.dir.join("home"), 0o664);
    let told = ledger.run(&["doctor"]).exits(1).out;
    for finding in ["others may read secrets", "anybody may change", "its group may change"] {
        assert!(told.contains(finding), "{finding}: {told}");
    }
    for line in remedies(&ledger) {
        typed(&ledger, &line).ok();
    }
    says(&doctor(&ledger, 0), "permissions", "ok", "");
    let checks = doctor(&ledger, 0);
    assert!(checks.values().all(|check| check["verdict"] == "ok"), "{checks:?}");
}

#[test]
fn only_verify_with_note_writes_and_only_where_the_ledger_lives() {
    let ledger = Ledger::new();
    tidy(&ledger);
    let before = files(&ledger.dir);
    ledger.run(&["verify"]).ok();
    assert_eq!(files(&ledger.dir), before, "verify alone writes nothing");
    says(&doctor(&ledger, 0), "last_verify", "warning", "verify --note");
    ledger.run(&["verify", "--note"]).ok();
    says(&doctor(&ledger, 0), "last_verify", "ok", "");
    ledger.run(&["backup", "backup"]).ok();
    let copy = ledger.temp.path().join("backup");
    let before = files(&copy);
    ledger.run(&["verify", "backup", "--note"]).exits(5).says("--note would change it");
    assert_eq!(files(&copy), before);
}

#[test]
fn a_directory_with_a_dash_is_named_so_that_a_shell_takes_it() {
    let ledger = Ledger::absent();
    let doctor = "rollout-ledger doctor --data-dir=-dash --output json";
    let found = typed(&ledger, doctor).exits(1).json();
    let remedy = found["checks"][0]["remedy"].as_str().unwrap().to_owned();
    let init = remedy.split('`').nth(1).unwrap();
    assert!(init.starts_with("rollout-ledger init "), "{remedy}");
    typed(&ledger, init).ok();
    assert!(ledger.temp.path().join("-dash/log").is_dir());
    let refused = typed(&ledger, "rollout-ledger event list --data-dir=-none").exits(4);
    let init = refused.err.split('`').nth(1).unwrap();
    typed(&ledger, init).ok();
    assert!(ledger.temp.path().join("-none/log").is_dir());
}

#[test]
fn no_ledger_is_offered_where_something_else_lies() {
    let ledger = Ledger::absent();
    fs::create_dir(&ledger.dir).unwrap();
    fs::write(ledger.dir.join("letter.txt"), "x").unwrap();
    assert!(!ledger.run(&["doctor"]).exits(1).out.contains("init"));
    let refused = ledger.run(&["event", "list"]).exits(4).says("something else is there");
    assert!(!refused.err.contains("init"), "{}", refused.err);
}
