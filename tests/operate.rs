//! A ledger taken elsewhere: what the log consists of, a file of it, a copy from that file.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Ledger, PATIENCE, Ran, binary, examples, files, note, notes, segments},
    space::Tmpfs,
};

/// A ledger with a redaction, in commits of one and of several entries.
fn told() -> Ledger {
    let ledger = Ledger::new();
    ledger.append(&notes("first", 40)).ok();
    ledger.append(&[note("quoted", "said \"yes\" \\ and a tab\tand é")]).ok();
    ledger.append(&notes("more", 3)).ok();
    ledger.run(&["event", "redact", "7", "--reason", "asked for"]).ok();
    ledger
}

fn head(ledger: &Ledger) -> String {
    let report = ledger.verifies();
    let (seq, hash) = (&report["head"]["seq"], report["head"]["hash"].as_str().unwrap());
    format!("{seq}:{hash}")
}

/// What lies in the directory besides the one that a test works in, hidden files too.
fn left_beside(ledger: &Ledger) -> Vec<String> {
    let found = fs::read_dir(ledger.temp.path()).unwrap();
    let mut found: Vec<_> = found.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    found
}

#[test]
fn log_stat_tells_what_is_there_and_writes_nothing() {
    let ledger = told();
    let server = ledger.serve();
    server.post(&note("by-server", "x"));
    let before = files(&ledger.dir.join("log"));
    let stat = ledger.run(&["log", "stat", "--output", "json"]).ok().json();
    let words = ledger.run(&["log", "stat"]).ok().out;
    assert_eq!(files(&ledger.dir.join("log")), before);
    server.stop();
    let entries = ledger.entries();
    assert_eq!(stat["entries"], entries.len());
    let last = entries.last().unwrap();
    assert_eq!(stat["head"], json!({ "seq": last["seq"], "hash": last["hash"] }));
    assert_eq!(stat["first_recorded_at"], entries[0]["recorded_at"]);
    assert_eq!(stat["last_recorded_at"], last["recorded_at"]);
    assert_eq!((&stat["erased"], &stat["torn"]), (&json!(1), &Value::Null));
    let size = fs::metadata(ledger.newest_segment()).unwrap().len();
    assert_eq!(stat["bytes"], size);
    assert_eq!(stat["bytes_per_entry"], size / entries.len() as u64);
    let segment = json!({
        "file": "00000000000000000000.seg", "first_seq": 0, "last_seq": last["seq"],
        "bytes": size, "sealed": false,
    });
    assert_eq!(stat["segments"], json!([segment]));
    for told in ["entries", "1 of them erased", "00000000000000000000.seg"] {
        assert!(words.contains(told), "{words}");
    }
    // A commit in pieces is told apart from what is recorded.
    let mut bytes = fs::read(ledger.newest_segment()).unwrap();
    bytes.extend_from_slice(b"in pieces");
    fs::write(ledger.newest_segment(), bytes).unwrap();
    let stat = ledger.run(&["log", "stat", "--output", "json"]).ok().json();
    assert_eq!(stat["torn"], json!({ "seq": entries.len(), "bytes": 9 }));
    assert_eq!(stat["bytes"], size);
}

/// The hash of a header, made without our code.
fn hash_of(header: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("rollout-ledger 2026-11 entry v1");
    hasher.update(header).finalize().to_hex().to_string()
}

#[test]
fn a_stranger_verifies_an_export() {
    let ledger = told();
    let lines = ledger.run(&["log", "export"]).ok().lines();
    let (trailer, entries) = lines.split_last().unwrap();
    let (mut parent, mut left) = (vec![0; 32], 0);
    let mut erased = Vec::new();
    for (n, line) in entries.iter().enumerate() {
        assert_eq!(line["seq"], n);
        let header = STANDARD.decode(line["header"].as_str().unwrap()).unwrap();
        assert_eq!(header.len(), 81);
        assert_eq!(header[1..9], (n as u64).to_be_bytes());
        assert_eq!(header[17..49], parent);
        assert_eq!(line["hash"], hash_of(&header));
        match line["payload"].as_str() {
            Some(payload) => assert_eq!(header[49..], Sha256::digest(payload)[..]),
            None => erased.push((n, line["erased"].clone())),
        }
        let found = line["left"].as_u64().unwrap();
        assert!(left == 0 || found == left - 1, "{line}");
        left = found;
        parent = hash_of(&header)
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
    }
    assert_eq!((erased, left), (vec![(7, json!(true))], 0));
    let last = entries.last().unwrap();
    let expected = json!({
        "format": "rollout-ledger log 1", "count": entries.len(), "first_seq": 0,
        "last_seq": last["seq"], "head": { "seq": last["seq"], "hash": last["hash"] },
        "complete": true,
    });
    assert_eq!(trailer["trailer"], expected);
    // From the middle on, the same lines.
    let part = ledger.run(&["log", "export", "--from", "40"]).ok().lines();
    assert_eq!(part[..part.len() - 1], entries[40..]);
    assert_eq!(part.last().unwrap()["trailer"]["first_seq"], 40);
    ledger.run(&["log", "export", "--from", "1000"]).exits(4).says("past the log's end");
}

#[test]
fn an_import_is_the_same_log_byte_for_byte_and_read_only() {
    let ledger = told();
    let head = head(&ledger);
    let said = ledger.run(&["log", "export", "-o", "log.jsonl"]).ok();
    assert_eq!(said.err.trim(), format!("exported {} entries; head: {head}", 46));
    let made = ledger.run(&["log", "import", "log.jsonl", "--to", "copy", "--head", &head]).ok();
    made.says("for reading");
    let copy = Ledger { temp: tempfile::tempdir().unwrap(), dir: ledger.temp.path().join("copy") };
    let bytes = |dir: &Path| segments(dir).iter().map(|p| fs::read(p).unwrap()).collect::<Vec<_>>();
    assert_eq!(bytes(&copy.dir), bytes(&ledger.dir));
    assert_eq!(copy.entries(), ledger.entries());
    copy.run(&["verify", "--head", &head]).ok();
    let refused = copy.append(&[note("into-a-copy", "x")]);
    refused.exits(5).says("read-only");
    copy.run(&["serve", "--listen", "127.0.0.1:0"]).exits(5).says("restore");
    // From standard input it is the same; where something is, nothing is made.
    let text = fs::read(ledger.temp.path().join("log.jsonl")).unwrap();
    ledger.run_with(&["log", "import", "-", "--to", "second"], &text).ok();
    ledger.run_with(&["log", "import", "-", "--to", "second"], &text).exits(5);
}

#[test]
fn an_import_that_is_not_whole_and_sound_leaves_nothing() {
    let ledger = told();
    let good = ledger.run(&["log", "export"]).ok().out;
    let lines: Vec<&str> = good.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let swap = |a: usize, b: usize| {
        let mut lines = lines.clone();
        lines.swap(a, b);
        joined(&lines)
    };
    let last = lines.len() - 1;
    let without = |n: usize| joined(&[&lines[..n], &lines[n + 1..]].concat());
    let cut_commit = without(last - 1);
    let no_redaction = {
        let mut kept = lines[..last - 1].to_vec();
        let line: Value = serde_json::from_str(kept.last().unwrap()).unwrap();
        let trailer = json!({ "trailer": {
            "format": "rollout-ledger log 1", "count": last - 1, "first_seq": 0,
            "last_seq": line["seq"], "head": { "seq": line["seq"], "hash": line["hash"] },
            "complete": true,
        }})
        .to_string();
        kept.push(&trailer);
        joined(&kept)
    };
    let broken = [
        ("", "cut off"),
        (&joined(&lines[..last]), "cut off"),
        (&good[..good.len() - 1], "cut off inside it"),
        (&good[..good.len() / 2], "cut off inside it"),
        (&good.replacen("said", "sayd", 1), "digest"),
        (&good.replacen("\"left\":0", "\"left\":5", 2), "commit"),
        (&swap(3, 4), "entry 4"),
        (&without(9), "entry 9"),
        (&cut_commit, "line"),
        (&no_redaction, "payload is missing"),
        (&format!("{good}{}\n", lines[0]), "behind the last line"),
        (&good.replacen("{\"seq\":5,", "{\"seq\":5,\"more\":1,", 1), "no line"),
        (&good.replacen("\"erased\":true", "\"erased\":false", 1), "neither"),
        (&good.replacen("\"complete\":true", "\"complete\":false", 1), "something else"),
    ];
    for (text, what) in broken {
        let ran = ledger.run_with(&["log", "import", "-", "--to", "copy"], text).exits(3);
        assert!(ran.err.contains(what), "{what}: {}", ran.err);
        assert!(ran.err.contains("nothing was made"), "{}", ran.err);
    }
    let wrong = format!("3:{}", "0".repeat(64));
    let beyond = format!("300:{}", "0".repeat(64));
    for head in [&wrong, &beyond] {
        let args = ["log", "import", "-", "--to", "copy", "--head", head];
        ledger.run_with(&args, &good).exits(3);
    }
    let part = ledger.run(&["log", "export", "--from", "4"]).ok().out;
    ledger.run_with(&["log", "import", "-", "--to", "copy"], part).exits(5).says("--from");
    assert_eq!(left_beside(&ledger), ["ledger"], "nothing that looks like a ledger is left");
}

/// What the help of a command shows under `Examples:`.
fn examples_of(ledger: &Ledger, command: &[&str]) -> Vec<String> {
    let help = ledger.run(&[command, &["--help"]].concat()).ok().out;
    let shown = help.split("Examples:").nth(1).unwrap_or_else(|| panic!("{command:?}:\n{help}"));
    let lines = shown.lines().map(str::trim).filter(|line| line.contains("rollout-ledger "));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_examples_in_the_help_work_one_after_another() {
    let ledger = told();
    let bin = ledger.temp.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(binary(), bin.join("rollout-ledger")).unwrap();
    let head = head(&ledger);
    let commands: [&[&str]; 5] =
        [&["log", "stat"], &["log", "export"], &["log", "import"], &["backup"], &["restore"]];
    let mut run = 0;
    for line in commands.iter().flat_map(|command| examples_of(&ledger, command)) {
        let mut command = Command::new("bash");
        let line = format!("PATH=\"$PWD/bin:$PATH\"; {}", line.replace("SEQ:HASH", &head));
        command.args(["-o", "pipefail", "-c", &line]).env("ROLLOUT_LEDGER_DATA", &ledger.dir);
        let ran = command.current_dir(ledger.temp.path()).stdin(Stdio::null()).output().unwrap();
        let ran = Ran::of(ran);
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.err);
        run += 1;
    }
    assert!(run >= 10, "only {run} examples were found");
}

/// Runs an export whose reader does not read yet, with stderr on a terminal or not, and returns
/// what its stderr, and the terminal, showed until the first sign of a bar or for two seconds.
fn shown_while_it_waits(ledger: &Ledger, terminal: bool) -> (bool, String) {
    let fifo = ledger.temp.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let line = format!("'{}' log export > '{}'", binary().display(), fifo.display());
    let mut command = if terminal {
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdout(Stdio::piped());
        script
    } else {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("({line}) 2>&1")]).stdout(Stdio::piped());
        shell
    };
    command.env("ROLLOUT_LEDGER_DATA", &ledger.dir).env("TERM", "xterm").stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Opened for reading, so that the shell can open it for writing; a pipe holds 64 KiB, and the
    // export is larger, so it waits until somebody reads.
    let reader = fs::File::open(&fifo).unwrap();
    let mut seen = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    let watcher = thread::spawn(move || {
        let (mut text, mut piece) = (String::new(), [0; 256]);
        while let Ok(size @ 1..) = seen.read(&mut piece) {
            text.push_str(&String::from_utf8_lossy(&piece[..size]));
            if text.contains("exporting") {
                let _ = tell.send(());
            }
        }
        text
    });
    let wait = if terminal { PATIENCE } else { Duration::from_secs(2) };
    let bar = told.recv_timeout(wait).is_ok();
    let lines = BufReader::new(reader).lines().count();
    assert!(lines > 100, "the export goes on once it is read");
    assert!(child.wait().unwrap().success());
    fs::remove_file(&fifo).unwrap();
    (bar, watcher.join().unwrap())
}

#[test]
fn a_bar_is_shown_on_a_terminal_after_a_second_and_never_in_a_pipe() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 1000)).ok();
    let (bar, shown) = shown_while_it_waits(&ledger, true);
    assert!(bar && shown.contains("of 1,001 entries"), "{shown}");
    let (bar, shown) = shown_while_it_waits(&ledger, false);
    assert!(!bar, "{shown}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

#[test]
fn a_target_in_the_way_of_an_import_or_export_is_named() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 10)).ok();
    ledger.run(&["log", "export", "-o", "log.jsonl"]).ok();
    let import = |file: &str, to: &str| ledger.run(&["log", "import", file, "--to", to]);
    import("log.jsonl", "log.jsonl").exits(5).says("is a file").says("name another directory");
    import("log.jsonl", "log.jsonl/x").exits(5).says("is a file");
    import("ledger", "copy").exits(1).says("is a directory; name a file");
    ledger.run(&["log", "export", "-o", "ledger"]).exits(5).says("is a directory; name a file");
    assert_eq!(left_beside(&ledger), ["ledger", "log.jsonl"]);
    let Some(disk) = Tmpfs::mount(&ledger.temp.path().join("disk"), "8k") else {
        eprintln!("no tmpfs may be mounted here: a full disk was not tested");
        return;
    };
    import("log.jsonl", "disk/copy").exits(1).says("no room left for disk/copy").says("make room");
    fs::write(disk.0.join("filler"), vec![7; 4096]).unwrap();
    let ran = ledger.run(&["log", "export", "-o", "disk/log.jsonl"]).exits(1);
    ran.says("no room left for disk/log.jsonl").says("make room");
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1, "nothing is left");
    disk.resize("64m");
    import("log.jsonl", "disk/copy").ok();
}

#[test]
fn reading_a_plan_shows_on_a_terminal_for_how_long_it_takes() {
    let ledger = Ledger::new();
    let fifo = ledger.temp.path().join("plan.md");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let line = format!("'{}' plan import plan.md --rollout big", binary().display());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
    script.env("ROLLOUT_LEDGER_DATA", &ledger.dir).env("TERM", "xterm");
    let mut child = script.current_dir(ledger.temp.path()).spawn().unwrap();
    let mut writer = fs::File::options().write(true).open(&fifo).unwrap();
    let mut seen = child.stdout.take().unwrap();
    let (mut text, mut piece) = (String::new(), [0; 256]);
    // The plan does not come before the bar does.
    while !text.contains("reading the plan") {
        let size = seen.read(&mut piece).unwrap();
        assert_ne!(size, 0, "it ended first: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..size]));
    }
    let plan = fs::read(&examples("plans", "md")[0]).unwrap();
    std::io::Write::write_all(&mut writer, &plan).unwrap();
    drop(writer);
    seen.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("events recorded"), "{text}");
}

#[test]
fn a_start_that_waits_for_the_views_says_so_before_it_listens() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 3_000)).ok();
    let first = ledger.serve();
    first.ready();
    let said = first.stop();
    assert!(said.contains("not listening yet"), "{said}");
    let second = ledger.serve();
    second.ready();
    assert!(!second.stop().contains("not listening yet"), "the views are there");
}
