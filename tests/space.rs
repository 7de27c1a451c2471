//! A disk that is nearly full: recording stops before a write fails, and goes on once there is room.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Ledger, PATIENCE, Server, note, notes};

/// A small disk, taken away at the end.
pub(crate) struct Tmpfs(pub(crate) PathBuf);

impl Tmpfs {
    /// `None` where this account may not mount one.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Tmpfs> {
        fs::create_dir(at).unwrap();
        let option = format!("size={size}");
        let ran =
            Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(at).output();
        ran.is_ok_and(|ran| ran.status.success()).then(|| Tmpfs(at.to_owned()))
    }

    pub(crate) fn resize(&self, size: &str) {
        let option = format!("remount,size={size}");
        let ran = Command::new("mount").args(["-o", &option]).arg(&self.0).status().unwrap();
        assert!(ran.success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, for a failing test may leave files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A ledger on a disk of its own, of so many MiB.
fn on_disk(size: &str) -> Option<(Ledger, Tmpfs)> {
    let mut ledger = Ledger::absent();
    let Some(disk) = Tmpfs::mount(&ledger.temp.path().join("disk"), size) else {
        eprintln!("no tmpfs may be mounted here: a nearly full disk was not tested");
        return None;
    };
    ledger.dir = disk.0.join("ledger");
    ledger.run(&["init"]).ok();
    Some((ledger, disk))
}

#[test]
fn a_command_records_nothing_below_the_limit_and_says_what_to_do() {
    let ledger = Ledger::new();
    let before = ledger.entries().len();
    let words = ["record", "note", "added", "--rollout", "trial", "--text", "x"];
    let low = [&words[..], &["--min-free", "8000TiB"]].concat();
    ledger.run(&low).exits(75).says("make room, then send it again").says("--min-free");
    assert_eq!(ledger.entries().len(), before);
    let mut command = ledger.command(&words);
    command.env("ROLLOUT_LEDGER_MIN_FREE", "8000TiB");
    assert_eq!(command.output().unwrap().status.code(), Some(75), "the variable says it too");
    ledger.run(&[&words[..], &["--min-free", "0"]].concat()).ok();
    ledger.run(&[&words[..], &["--min-free", "a lot"]].concat()).exits(2).says("256MiB");
    ledger.verifies();
}

#[test]
fn a_server_stops_taking_in_before_the_disk_is_full_and_goes_on_by_itself() {
    let Some((ledger, disk)) = on_disk("64m") else { return };
    let serve = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", "--min-free", "16MiB"];
    let server = Server::start(ledger.command(&serve));
    server.ready();
    assert_eq!(server.post(&note("with-room", "x")).status, 201);
    // Somebody else fills the disk.
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![7; 46 << 20]).unwrap();
    let begun = std::time::Instant::now();
    let mut sent = 0;
    let refused = loop {
        let answer = server.post(&note(&format!("n-{sent}"), "x"));
        if answer.status != 201 {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it never stopped");
        sent += 1;
    };
    let problem = refused.problem(503, "space_low");
    assert!(problem["detail"].as_str().unwrap().contains("16.0 MiB"), "{problem}");
    let waits = server.agent().post(format!("{}/api/v1/events", server.url));
    let waits = waits.header("content-type", "application/json");
    let waits = waits.send(note("later", "x").to_string()).unwrap();
    assert_eq!(waits.headers()["retry-after"], "30");
    server.get("/readyz").problem(503, "space_low");
    let metrics = server.get("/metrics").text;
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(value("rollout_ledger_disk_min_free_bytes "), 16 << 20);
    assert!(value("rollout_ledger_disk_free_bytes ") < 19 << 20, "{metrics}");
    assert!(value("rollout_ledger_refusals_total{code=\"space_low\"") >= 3);
    // Commands are refused by the server; questions are answered.
    ledger.append(&notes("command", 1)).exits(75).says("make room");
    assert_eq!(server.get("/api/v1/rollouts/trial").status, 200);
    let space =
        ledger.run(&["doctor", "--min-free", "16MiB", "--output", "jsonl"]).exits(1).lines();
    let space = space.iter().find(|check| check["check"] == "space").unwrap();
    assert_eq!(space["verdict"], "problem", "{space}");
    // A clean stop and a start need no room to speak of.
    server.stop();
    ledger.verifies();
    let server = Server::start(ledger.command(&serve));
    server.get("/readyz").problem(503, "space_low");
    fs::remove_file(&filler).unwrap();
    server.ready();
    assert_eq!(server.post(&note("later", "x")).status, 201);
    server.stop();
    ledger.verifies();
}
