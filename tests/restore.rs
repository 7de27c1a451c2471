//! A copy becomes the ledger's home: with a head that was kept elsewhere, or with a loss on record.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, copy_dir, files, note, notes},
    space::Tmpfs,
    tokens::{create, get},
};

/// A ledger with a backup beside it, and the backup's head.
fn backed_up() -> (Ledger, String) {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 10)).ok();
    let told = ledger.run(&["backup", "backup", "--output", "json"]).ok().json();
    let head = format!("{}:{}", told["head"]["seq"], told["head"]["hash"].as_str().unwrap());
    (ledger, head)
}

fn at(ledger: &Ledger, name: &str) -> Ledger {
    Ledger { temp: tempfile::tempdir().unwrap(), dir: ledger.temp.path().join(name) }
}

fn home(dir: &Path) -> String {
    fs::read_to_string(dir.join("home")).unwrap().trim().to_owned()
}

fn last(ledger: &Ledger) -> Value {
    ledger.entries().pop().unwrap()["event"].clone()
}

#[test]
fn a_backup_is_restored_and_written_to() {
    let (ledger, head) = backed_up();
    let before = files(&ledger.temp.path().join("backup"));
    let args = ["restore", "backup", "--to", "new", "--head", &head, "--reason", "The disk failed"];
    let told = ledger.run(&[&args[..], &["--output", "json"]].concat()).ok();
    let new = at(&ledger, "new");
    assert_eq!(files(&ledger.temp.path().join("backup")), before, "the backup stays as it is");
    let moved = last(&new);
    assert_eq!(moved["type"], "rollout.ledger.moved.v1");
    assert_eq!(moved["data"]["to"], json!({ "kind": "directory", "id": home(&new.dir) }));
    let reason = "The disk failed; restored from a copy that ends at entry 10; it holds entry 10 \
                  with the hash kept elsewhere";
    assert_eq!(moved["data"]["reason"], reason);
    assert_eq!(told.json()["head"]["seq"], 11);
    told.says("pseudonym.key is not there");
    new.append(&[note("goes-on", "x")]).ok();
    // A retry of what was recorded in the old one is known.
    let again = new.append(&notes("n", 10)).ok().lines();
    assert!(again.iter().all(|receipt| receipt["duplicate"] == true));
    let server = new.serve();
    server.ready();
    assert_eq!(server.post(&note("served", "x")).status, 201);
    server.stop();
    new.run(&["verify", "--head", &head]).ok();
    new.run(&["views", "diff"]).ok();
    new.run(&["restore", "nowhere", "--accept-loss"]).exits(4);
    new.run(&["restore", new.dir.to_str().unwrap(), "--accept-loss"]).exits(5).says("already");
    // The backup goes on with the new home, and so may a second move.
    let backup = ledger.temp.path().join("backup");
    new.run(&["backup", backup.to_str().unwrap()]).ok();
    let args = ["restore", "backup", "--to", "third", "--accept-loss"];
    ledger.run(&args).ok();
    let third = at(&ledger, "third");
    third.append(&[note("in-the-third", "x")]).ok();
    third.verifies();
    // Whoever brings the log of a newer home back to an older directory is told.
    copy_dir(&third.dir.join("log"), &new.dir.join("log"));
    new.append(&[note("in-the-second", "x")]).exits(5).says("moved to another home");
}

#[test]
fn a_restore_wants_a_head_or_an_accepted_loss() {
    let (ledger, head) = backed_up();
    let backup = ledger.temp.path().join("backup");
    let before = files(&backup);
    ledger.run(&["restore", "backup"]).exits(2).says("--accept-loss");
    let wrong = format!("4:{}", "0".repeat(64));
    ledger.run(&["restore", "backup", "--head", &wrong]).exits(3);
    ledger.run(&["restore", "backup", "--head", &wrong, "--accept-loss"]).exits(3);
    ledger.append(&notes("later", 5)).ok();
    let later = ledger.verifies();
    let later = format!("15:{}", later["head"]["hash"].as_str().unwrap());
    ledger.run(&["restore", "backup", "--head", &later]).exits(3).says("ends at entry 10");
    let personal = ["--accept-loss", "--reason", "Ask pat@mail.example"];
    ledger.run(&[&["restore", "backup"], &personal[..]].concat()).exits(7);
    assert_eq!(files(&backup), before, "nothing was changed");
    ledger.run(&["restore", "backup", "--head", &later, "--accept-loss"]).ok();
    let restored = at(&ledger, "backup");
    let reason = last(&restored)["data"]["reason"].clone();
    assert_eq!(
        reason,
        "restored from a copy that ends at entry 10; entries 11 to 15 are lost, which is accepted"
    );
    restored.run(&["verify", "--head", &head]).ok();
    // It is a ledger now, and the old one's backups do not go there any more.
    ledger.run(&["backup", "backup"]).exits(5).says("home");
    assert!(!backup.join("backup.json").exists());
}

#[test]
fn a_backup_that_was_never_finished_is_not_restored_unasked() {
    let (ledger, head) = backed_up();
    let mark = ledger.temp.path().join("backup/backup.json");
    let mut unfinished: Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    unfinished["head"] = Value::Null;
    fs::write(&mark, unfinished.to_string()).unwrap();
    let refused = ledger.run(&["restore", "backup", "--head", &head]).exits(5);
    refused.says("never finished");
    ledger.run(&["restore", "backup", "--accept-loss"]).ok();
    let reason = last(&at(&ledger, "backup"))["data"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("never finished"), "{reason}");
}

#[test]
fn a_restore_does_not_make_two_of_a_ledger_that_is_there() {
    let (ledger, _) = backed_up();
    let source = ledger.dir.to_str().unwrap();
    ledger.run(&["restore", source, "--accept-loss"]).exits(5).says("home already");
    ledger.run(&["restore", source, "--to", "two", "--accept-loss"]).exits(5).says("home already");
    assert!(!ledger.temp.path().join("two").exists());
    // A plain copy of everything cannot be told from its original, until it says what it is.
    copy_dir(&ledger.dir, &ledger.temp.path().join("plain"));
    ledger.run(&["restore", "plain", "--accept-loss"]).exits(5).says("remove the file `home`");
    fs::remove_file(ledger.temp.path().join("plain/home")).unwrap();
    ledger.run(&["restore", "plain", "--accept-loss"]).ok();
    at(&ledger, "plain").append(&[note("goes-on", "x")]).ok();
}

#[test]
fn what_was_imported_is_restored_too() {
    let (ledger, head) = backed_up();
    ledger.run(&["event", "redact", "3", "--reason", "asked for"]).ok();
    ledger.run(&["log", "export", "-o", "log.jsonl"]).ok();
    ledger.run(&["log", "import", "log.jsonl", "--to", "copy"]).ok();
    ledger.run(&["restore", "copy", "--head", &head]).ok();
    let copy = at(&ledger, "copy");
    let report = copy.verifies();
    assert_eq!(report["redactions"], json!([{ "seq": 3, "by": 11, "erased": true }]));
    let retried = copy.append(&notes("n", 10)[2..3]).ok().lines();
    assert_eq!((&retried[0]["seq"], &retried[0]["redacted"]), (&json!(3), &json!(true)));
}

#[test]
fn a_damaged_copy_is_not_restored() {
    let (ledger, head) = backed_up();
    let backup = at(&ledger, "backup");
    let file = backup.newest_segment();
    let mut bytes = fs::read(&file).unwrap();
    bytes[1200] ^= 1;
    fs::write(&file, bytes).unwrap();
    for to in [&[][..], &["--to", "new"]] {
        ledger.run(&[&["restore", "backup", "--head", &head], to].concat()).exits(3);
    }
    assert!(!backup.dir.join("home").exists() && !ledger.temp.path().join("new").exists());
}

#[test]
fn nothing_beside_the_log_of_a_copy_opens_a_door_or_sends() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let hook = ["webhook", "add", "https://hooks.example/in", "--output", "json"];
    let id = ledger.run(&hook).ok().json()["id"].as_str().unwrap().to_owned();
    ledger.run(&["backup", "backup"]).ok();
    // What is refused takes nothing from a ledger that works.
    ledger.run(&["restore", ledger.dir.to_str().unwrap(), "--accept-loss"]).exits(5);
    assert!(ledger.dir.join("state/tokens.json").exists());
    for (to, name) in [(&["--to", "new"][..], "new"), (&[], "backup")] {
        let told = ledger.run(&[&["restore", "backup", "--accept-loss"], to].concat()).ok();
        told.says("tokens were left out").says("webhooks are paused");
        let new = at(&ledger, name);
        assert!(!new.dir.join("state/tokens.json").exists());
        let shown = new.run(&["webhook", "show", &id, "--output", "json"]).ok().json();
        assert_eq!(shown["state"], "paused");
        let server = new.serve();
        get(&server, "/api/v1/rollouts", "").0.problem(401, "token_wanted");
        get(&server, "/api/v1/rollouts", &token.text).0.problem(401, "wrong_token");
        let made = create(&new, &[]);
        assert_eq!(get(&server, "/api/v1/rollouts", &made.text).0.status, 200);
        server.stop();
    }
}

#[test]
fn a_copy_with_a_link_in_it_is_not_restored() {
    let (ledger, head) = backed_up();
    let elsewhere = ledger.temp.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, ledger.temp.path().join("backup/state")).unwrap();
    ledger.run(&["restore", "backup", "--head", &head]).exits(5).says("state is a link");
    assert!(!ledger.temp.path().join("backup/home").exists());
}

#[test]
fn a_restore_into_the_copy_itself_is_refused() {
    let (ledger, head) = backed_up();
    let place = ledger.temp.path();
    let before = files(&place.join("backup"));
    std::os::unix::fs::symlink("backup", place.join("link")).unwrap();
    fs::create_dir(place.join("aside")).unwrap();
    for to in ["backup/new", "backup/deep/new", "link/new", "aside/../backup/new", "backup"] {
        let ran = ledger.run(&["restore", "backup", "--to", to, "--head", &head]).exits(5);
        ran.says("lies in the copy itself").says("name another");
        assert_eq!(files(&place.join("backup")), before, "{to}");
    }
    ledger.run(&["restore", "link", "--to", "link/../new", "--head", &head]).ok();
    assert!(place.join("new/log").is_dir());
}

#[test]
fn a_restore_to_a_file_is_refused_and_a_full_disk_is_named_with_a_way_out() {
    let (ledger, head) = backed_up();
    ledger.file("letter", "kept");
    let to = |to: &str| ledger.run(&["restore", "backup", "--to", to, "--head", &head]);
    to("letter").exits(5).says("letter is a file").says("name another");
    to("letter/below").exits(5).says("letter is a file");
    assert_eq!(fs::read_to_string(ledger.temp.path().join("letter")).unwrap(), "kept");
    let Some(disk) = Tmpfs::mount(&ledger.temp.path().join("disk"), "16k") else {
        eprintln!("no tmpfs may be mounted here: a full disk was not tested");
        return;
    };
    to("disk/new").exits(1).says("no room left for disk/new").says("make room");
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 0, "nothing is left");
    disk.resize("64m");
    to("disk/new").ok();
}
