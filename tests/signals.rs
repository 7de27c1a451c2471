//! Ctrl-C, SIGTERM and SIGKILL in commands that make something: nothing half-made stays, or the next
//! command takes it away.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Instant,
};

use crate::harness::{Ledger, PATIENCE, Ran, binary, notes, signal};

/// What unfinished things beside a target are called.
const PREFIX: &str = ".rollout-ledger-tmp-";

/// Entries that keep a command at work long enough to be seen at it.
const ENTRIES: usize = 1_000;

/// How often a command is begun again that was done before it was seen at work.
const ROUNDS_MAX: usize = 200;

fn names(dir: &Path) -> Vec<String> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten();
    found.map(|file| file.file_name().into_string().unwrap()).collect()
}

/// What lies in a directory and is not finished.
fn unfinished(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.starts_with(PREFIX)).collect()
}

/// Files that are being written below a directory.
fn being_written(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = file.path();
        if path.is_dir() {
            found.extend(being_written(&path));
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            found.push(path);
        }
    }
    found
}

/// Begins a command that takes signals, whatever whoever runs this test ignores.
fn begin(ledger: &Ledger, args: &[&str]) -> Child {
    let mut command = ledger.prefixed(&["env", "--default-signal=INT,TERM,HUP"], args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap())
}

/// Sends a signal to a command that is seen at work, and returns how it ended. A command that is done
/// sooner is begun again with another number.
fn interrupted(
    ledger: &Ledger,
    name: &str,
    args: &dyn Fn(usize) -> Vec<String>,
    at_work: &dyn Fn(usize) -> bool,
) -> (usize, Ran) {
    for round in 0..ROUNDS_MAX {
        let args = args(round);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut child = begin(ledger, &args);
        let seen = loop {
            if at_work(round) {
                break true;
            }
            if child.try_wait().unwrap().is_some() {
                break false;
            }
        };
        if seen {
            signal("STOP", child.id());
            // Perhaps it was done between the two.
            let still = at_work(round);
            signal(name, child.id());
            signal("CONT", child.id());
            let ran = ended(child);
            if still && ran.code != Some(0) {
                return (round, ran);
            }
        } else {
            ended(child).ok();
        }
    }
    panic!("{name}: the command was never seen at work");
}

/// An import that waits for more input.
fn waiting_import(ledger: &Ledger, text: &str, to: &str) -> (Child, ChildStdin) {
    let mut child = begin(ledger, &["log", "import", "-", "--to", to]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    let begun = Instant::now();
    while unfinished(ledger.temp.path()).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the import never began");
    }
    (child, stdin)
}

fn told(entries: usize) -> Ledger {
    let ledger = Ledger::new();
    ledger.append(&notes("n", entries)).ok();
    ledger
}

#[test]
fn an_import_that_is_interrupted_leaves_nothing_and_says_so() {
    let ledger = told(50);
    let text = ledger.run(&["log", "export"]).ok().out;
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (child, stdin) = waiting_import(&ledger, &text, "copy");
        signal(name, child.id());
        let ran = ended(child).exits(code);
        drop(stdin);
        assert_eq!(
            ran.err.trim_end(),
            "interrupted: nothing was made in copy; run the same command again"
        );
        assert_eq!(names(ledger.temp.path()), ["ledger"], "{name}");
    }
    ledger.run_with(&["log", "import", "-", "--to", "copy"], &text).ok();
}

#[test]
fn what_whoever_started_it_ignores_is_ignored() {
    let ledger = told(50);
    let text = ledger.run(&["log", "export"]).ok().out;
    let mut command = ledger.prefixed(
        &["env", "--ignore-signal=HUP", "--default-signal=TERM"],
        &["log", "import", "-", "--to", "copy"],
    );
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&text.as_bytes()[..100]).unwrap();
    let begun = Instant::now();
    while unfinished(ledger.temp.path()).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the import never began");
    }
    signal("HUP", child.id());
    stdin.write_all(&text.as_bytes()[100..]).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_init_an_export_and_a_restore_that_are_interrupted_leave_nothing() {
    let ledger = told(ENTRIES);
    ledger.run(&["backup", "backup"]).ok();
    let place = ledger.temp.path();
    let at_work = |_| !unfinished(place).is_empty();
    let commands: [(&str, &[&str]); 3] = [
        ("made", &["init", "--data-dir", "made"]),
        ("log.jsonl", &["log", "export", "-o", "log.jsonl"]),
        ("restored", &["restore", "backup", "--accept-loss", "--to", "restored"]),
    ];
    for (made, args) in commands {
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            let numbered = |round: usize| {
                let mut args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
                *args.last_mut().unwrap() += &["-", name, "-", &round.to_string()].concat();
                args
            };
            let (round, ran) = interrupted(&ledger, name, &numbered, &at_work);
            let ran = ran.exits(code).says("interrupted: ").says("run the same command again");
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
            assert_eq!(unfinished(place), [""; 0], "{made}");
            let target = place.join(format!("{made}-{name}-{round}"));
            assert!(!target.exists(), "{}", target.display());
        }
    }
}

#[test]
fn a_backup_that_is_interrupted_is_finished_by_the_next() {
    let ledger = told(ENTRIES);
    let place = |round: usize| ledger.temp.path().join(format!("backup-{round}"));
    let args = |round: usize| vec!["backup".to_owned(), format!("backup-{round}")];
    let at_work = |round: usize| !being_written(&place(round)).is_empty();
    for (name, code) in [("INT", 130), ("TERM", 143), ("KILL", -1)] {
        let (round, ran) = interrupted(&ledger, name, &args, &at_work);
        let dir = place(round);
        if name == "KILL" {
            assert_eq!(ran.code, None);
        } else {
            let ran =
                ran.exits(code).says("was not brought up to date; run the same command again");
            assert_eq!(being_written(&dir), Vec::<PathBuf>::new(), "{name}: {}", ran.err);
        }
        let again = ledger.run(&["backup", &format!("backup-{round}"), "--output", "json"]).ok();
        assert_eq!(again.json()["entries"], ENTRIES + 1);
        assert_eq!(being_written(&dir), Vec::<PathBuf>::new(), "{name}");
        for round in 0..=round {
            fs::remove_dir_all(place(round)).unwrap();
        }
    }
}

#[test]
fn what_a_killed_command_left_is_removed_by_the_next_and_no_other() {
    let ledger = told(50);
    let place = ledger.temp.path();
    let text = ledger.run(&["log", "export"]).ok().out;
    let (mut killed, _stdin) = waiting_import(&ledger, &text, "copy");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = unfinished(place);
    assert_eq!(left.len(), 1, "SIGKILL leaves what it was at");
    assert!(left[0].starts_with(&format!("{PREFIX}{}-", killed.id())), "{left:?}");
    // Another one, at work beside it, and what is none of ours.
    fs::rename(place.join(&left[0]), place.join("aside")).unwrap();
    let (live, stdin) = waiting_import(&ledger, &text, "slow");
    let working = unfinished(place);
    fs::rename(place.join("aside"), place.join(&left[0])).unwrap();
    let strange = [format!("{PREFIX}letter"), format!("{PREFIX}{}", killed.id())];
    for name in &strange {
        fs::write(place.join(name), "x").unwrap();
    }
    std::os::unix::fs::symlink("ledger", place.join(format!("{PREFIX}1-link"))).unwrap();
    let foreign = format!("{PREFIX}{}-another-accounts", killed.id());
    fs::create_dir(place.join(&foreign)).unwrap();
    let chowned = std::os::unix::fs::chown(place.join(&foreign), Some(4_321), None).is_ok();
    ledger.run(&["log", "export", "-o", "log.jsonl"]).ok();
    let now = unfinished(place);
    assert!(!now.contains(&left[0]), "{now:?}");
    for name in working.iter().chain(&strange).chain([&format!("{PREFIX}1-link")]) {
        assert!(now.contains(name), "{name} is gone: {now:?}");
    }
    assert_eq!(now.contains(&foreign), chowned, "another account's is left alone");
    ledger.verifies();
    // The one at work was not disturbed.
    let mut stdin = stdin;
    stdin.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    drop(stdin);
    ended(live).ok();
    let copied = Command::new(binary()).args(["verify", "slow"]).current_dir(place).output();
    assert!(copied.unwrap().status.success());
}
