//! Who reads changes nothing: every command that asks, on a directory that nobody may write, leaves
//! each file as it was. The commands are taken from `--help`, so that none is forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Ledger, binary, note, notes, root};

/// What is known of every file without opening it; only the time of its last reading may change.
pub(crate) fn listing(dir: &Path) -> BTreeMap<PathBuf, [i64; 7]> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(path) = waiting.pop() {
        let file = fs::symlink_metadata(&path).unwrap();
        if file.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let (ino, size) = (file.ino().cast_signed(), file.size().cast_signed());
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        let [m, mn, c, cn] = times;
        found.insert(path, [ino, size, file.mode().into(), m, mn, c, cn]);
    }
    found
}

const ROLLOUT: &str = "appointment-reminders";
const FLAG: &str = "appointment_reminders_enabled";

/// Commands that only ask, with what they are asked here. `{webhook}` is a webhook's id.
const READERS: &[(&str, &[&str])] = &[
    ("audit actor", &["acct-0190"]),
    ("audit approvals", &[ROLLOUT]),
    ("audit between", &["2020-01-01", "2030-01-01"]),
    ("audit gaps", &[]),
    ("audit restated", &[ROLLOUT]),
    ("audit state", &[FLAG]),
    ("audit who-changed", &[FLAG]),
    ("backup", &["backup"]),
    ("doctor", &[]),
    ("event export", &["--format", "jsonl"]),
    ("event get", &["0"]),
    ("event list", &["--all"]),
    ("event tail", &["--after", "2"]),
    ("flags list", &[]),
    ("flags show", &[FLAG]),
    ("log export", &[]),
    ("log stat", &[]),
    ("plan export", &[ROLLOUT]),
    ("plan lint", &["{plan}"]),
    ("report", &[ROLLOUT]),
    ("rollout checkpoints", &[ROLLOUT]),
    ("rollout deviations", &[ROLLOUT]),
    ("rollout list", &[]),
    ("rollout show", &[ROLLOUT]),
    ("rollout timeline", &[ROLLOUT]),
    ("schedule show", &[]),
    ("token list", &[]),
    ("verify", &[]),
    ("webhook deliveries", &["{webhook}"]),
    ("webhook list", &[]),
    ("webhook show", &["{webhook}"]),
];

/// Commands that record, change settings, or make views, and may write. Those below `record` count
/// as one.
const WRITERS: &[&str] = &[
    "clock step",
    "correct",
    "event append",
    "event redact",
    "flags import",
    "init",
    "log import",
    "plan import",
    "record",
    "restore",
    "rollout link",
    "schedule run",
    "serve",
    "token create",
    "token revoke",
    "views diff",
    "views rebuild",
    "webhook add",
    "webhook pause",
    "webhook remove",
    "webhook replay",
    "webhook resume",
    "webhook rotate",
    "webhook test",
];

/// Commands that want a cluster of Apache Kafka: `kafka_ledger.rs`, `kafka_access.rs` and `moves.rs` try them
/// on one.
const ON_KAFKA: &[&str] = &["kafka check", "kafka init", "kafka join", "log copy", "log move"];

/// Every command that `--help` shows.
fn commands(above: &[&str], found: &mut BTreeSet<String>) {
    let help = Command::new(binary()).args(above).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let below = help.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let Some(below) = below.filter(|_| above != ["record"]) else {
        found.insert(above.join(" "));
        return;
    };
    for line in below.lines() {
        // A long description goes on further in.
        let Some(name) = line.strip_prefix("  ").and_then(|line| line.split(' ').next()) else {
            continue;
        };
        if !name.is_empty() && name != "help" {
            commands(&[above, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_is_known_to_read_or_to_write() {
    let mut found = BTreeSet::new();
    commands(&[], &mut found);
    let readers = READERS.iter().map(|(name, _)| (*name).to_owned());
    let others = WRITERS.iter().chain(ON_KAFKA).map(|name| (*name).to_owned());
    let known: BTreeSet<_> = readers.chain(others).collect();
    assert_eq!(found, known, "a new command belongs into one of the lists of this file");
}

/// A directory that is mounted read-only over itself, until the end.
struct ReadOnly<'a>(&'a Path);

impl ReadOnly<'_> {
    fn mount(dir: &Path) -> Option<ReadOnly<'_>> {
        let mount = |args: &[&str]| {
            let ran = Command::new("mount").args(args).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        let path = dir.to_str().unwrap();
        if !mount(&["--bind", path, path]) {
            return None;
        }
        let mounted = ReadOnly(dir);
        mount(&["-o", "remount,bind,ro", path]).then_some(mounted)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// A ledger with something to answer, and what a killed server leaves: its announcement and a tail.
fn left_by_a_crash() -> (Ledger, String) {
    let ledger = Ledger::new();
    let example = |name: &str| root().join("examples").join(name).to_str().unwrap().to_owned();
    let plan = example("plans/appointment-reminders.md");
    ledger.run(&["plan", "import", &plan, "--actor", "acct-0190"]).ok();
    let flags = example("flags/appointment_reminders.csv");
    let map = example("flags/accounts.csv");
    let import = ["flags", "import", &flags, "--source", "portal-flags", "--actors", &map];
    ledger.run(&[&import[..], &["--environment", "production"]].concat()).ok();
    ledger.append(&notes("n", 5)).ok();
    ledger
        .run(&["token", "create", "--for", "t", "--scope", "events:read", "--expires", "P30D"])
        .ok();
    let hook = ["webhook", "add", "https://receiver.example/hook", "--output", "json"];
    let hook = ledger.run(&hook).ok().json()["id"].as_str().unwrap().to_owned();
    let mut server = ledger.serve();
    server.ready();
    ledger.append(&[note("last", "x")]).ok();
    server.kill();
    let segment = ledger.newest_segment();
    let torn = [fs::read(&segment).unwrap(), vec![0, 0, 1, 7]].concat();
    fs::write(&segment, torn).unwrap();
    assert!(ledger.dir.join("serve.json").exists());
    (ledger, hook)
}

#[test]
fn a_reader_changes_nothing() {
    let (ledger, hook) = left_by_a_crash();
    let plan = root().join("examples/plans/appointment-reminders.md");
    let mounted = ReadOnly::mount(&ledger.dir);
    if mounted.is_none() {
        eprintln!("nothing may be mounted here: only the listing shows that nothing was written");
    }
    if mounted.is_some() {
        assert!(fs::write(ledger.dir.join("x"), "x").is_err(), "it is mounted read-only");
    }
    let before = listing(&ledger.dir);
    for (name, args) in READERS {
        let asked = args.iter().map(|arg| match *arg {
            "{webhook}" => hook.as_str(),
            "{plan}" => plan.to_str().unwrap(),
            arg => arg,
        });
        let words: Vec<&str> = name.split(' ').chain(asked).collect();
        let ran = ledger.run(&words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
        assert_eq!(listing(&ledger.dir), before, "{words:?} changed something");
    }
    drop(mounted);
    assert_eq!(listing(&ledger.dir), before);
}
