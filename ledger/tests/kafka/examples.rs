//! The example consumers of a topic, as programs of their own: they miss nothing and take nothing twice when they
//! are killed, see nothing that was not committed, and stop before what was changed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use ledger::{
    Entry, Head, KafkaAddress, KafkaLog, Log,
    log::kafka::{LEDGER_ERASED, LEDGER_HEADER},
};
use tempfile::TempDir;

use crate::{
    brokers::{cluster, fresh, options},
    foreign::{Headers, open_transaction, smuggle},
    story::{chain, note_saying},
};

/// The consumers, and where each is.
pub(crate) const PROGRAMS: [&str; 2] = ["python", "kcat"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/consumers").join(name)
}

/// A Python with the packages that the examples need.
pub(crate) fn python() -> String {
    #[expect(clippy::disallowed_methods, reason = "which Python is a setting of the tests alone")]
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import blake3, confluent_kafka"]).output();
    assert!(
        has.is_ok_and(|ran| ran.status.success()),
        "{python} lacks the packages blake3 and confluent-kafka; type: make test (it makes an environment that \
         has them), or `python3 -m pip install --requirement tests/requirements.txt`",
    );
    python
}

fn kcat() {
    let version = Command::new("kcat").arg("-V").output();
    assert!(
        version.is_ok_and(|ran| ran.status.success()),
        "kcat is missing; type: apt-get install --no-install-recommends kcat"
    );
}

pub(crate) fn program(name: &str, address: &KafkaAddress, state: &Path) -> Command {
    let python = python();
    let mut command = if name == "python" {
        let mut command = Command::new(python);
        command.arg(example("python/kafka_consumer.py"));
        command
    } else {
        kcat();
        let mut command = Command::new(example("kcat/follow.sh"));
        command.env("PYTHON", python);
        command
    };
    command.env_remove("KAFKA_PROPERTIES");
    command.args([address.brokers(), address.topic()]).arg(state);
    command
}

/// A program and all that it started, read line by line. Dropped, they are killed.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    /// What it prints next, up to so many lines.
    fn lines(&mut self, len: usize) -> Vec<String> {
        self.lines.by_ref().take(len).map(Result::unwrap).collect()
    }

    /// Waits for its end: the exit code, and what it printed meanwhile.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let rest = self.lines(usize::MAX);
        (self.child.wait().unwrap().code(), rest)
    }

    /// All of it at once, as if the machine's power went.
    fn kill(&mut self) {
        let group = format!("-{}", self.child.id());
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a consumer prints for these entries.
pub(crate) fn shown(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let kind = match (entry.payload(), entry.seq().0) {
            (None, _) => "(erased)",
            (_, 0) => "rollout.ledger.opened.v1",
            _ => "rollout.note.added.v1",
        };
        format!("{} {} {kind}", entry.seq().0, entry.hash())
    };
    entries.iter().map(line).collect()
}

fn place(state: &Path) -> (u64, String) {
    let text = fs::read(state).unwrap_or_else(|e| panic!("{}: {e}", state.display()));
    let place: serde_json::Value = serde_json::from_slice(&text).unwrap();
    (place["seq"].as_u64().unwrap(), place["hash"].as_str().unwrap().to_owned())
}

pub(crate) fn until(mut command: Command, seq: usize) -> Command {
    command.args(["--until", &seq.to_string()]);
    command
}

/// Kills a consumer. What it has seen for good: what it printed and did not store, it prints again.
fn killed(mut consumer: Running, mut seen: Vec<String>, state: &Path) -> Vec<String> {
    consumer.kill();
    // It was further than we have read.
    seen.extend(consumer.lines(usize::MAX));
    seen.truncate(usize::try_from(place(state).0).unwrap() + 1);
    seen
}

#[test]
fn a_consumer_that_is_killed_goes_on_and_sees_what_was_committed_alone() {
    let (dir, address) = (TempDir::new().unwrap(), fresh());
    let mut entries = chain(60);
    entries[7] = Entry::stored(*entries[7].header(), None);
    let log = KafkaLog::create(&address, &options()).unwrap();
    for commit in entries[..30].chunks(7) {
        log.append(commit).unwrap();
    }
    // A record of a writer that died in the middle of a commit: nobody may ever see it.
    drop(log);
    let open = open_transaction(&address, &Head::GENESIS.seal(note_saying("never", "never"), 1));
    let mut running: Vec<_> = PROGRAMS
        .iter()
        .map(|name| Running::start(program(name, &address, &dir.path().join(name))))
        .collect();
    let seen: Vec<_> = running.iter_mut().map(|consumer| consumer.lines(30)).collect();
    let stopped = PROGRAMS.iter().zip(running).zip(seen);
    let mut seen: Vec<_> = stopped
        .map(|((name, consumer), seen)| killed(consumer, seen, &dir.path().join(name)))
        .collect();
    open.abort();

    let log = KafkaLog::open(&address, &options()).unwrap();
    for commit in entries[30..].chunks(3) {
        log.append(commit).unwrap();
    }
    for (name, seen) in PROGRAMS.iter().zip(&mut seen) {
        let state = dir.path().join(name);
        // In the middle of what there is.
        let mut consumer = Running::start(program(name, &address, &state));
        seen.extend(consumer.lines(11));
        *seen = killed(consumer, std::mem::take(seen), &state);
        let (code, rest) = Running::start(until(program(name, &address, &state), 59)).end();
        assert_eq!(code, Some(0), "{name}");
        seen.extend(rest);
        assert_eq!(*seen, shown(&entries), "{name}");
        assert_eq!(place(&state), (59, entries[59].hash().to_string()), "{name}");
    }
}

/// What a consumer says of a topic with this record behind three that are good.
fn halts(what: &str, headers: Headers<'_>, value: Option<&[u8]>, entries: &[Entry]) {
    let (dir, address) = (TempDir::new().unwrap(), fresh());
    let log = KafkaLog::create(&address, &options()).unwrap();
    log.append(&entries[..3]).unwrap();
    smuggle(&address, headers, value);
    let mut started = Vec::new();
    for name in PROGRAMS {
        let state = dir.path().join(name);
        started.push((name, state.clone(), Running::start(program(name, &address, &state))));
    }
    for (name, state, consumer) in started {
        assert_eq!(consumer.end(), (Some(3), shown(&entries[..3])), "{name}, {what}");
        assert_eq!(place(&state), (2, entries[2].hash().to_string()), "{name}, {what}");
        // And it does not get past it by being started again.
        let again = Running::start(program(name, &address, &state)).end();
        assert_eq!(again, (Some(3), Vec::new()), "{name}, {what}");
    }
}

#[test]
fn a_consumer_stops_before_what_was_changed_and_stays_there() {
    let entries = chain(5);
    let (good, payload) = (entries[3].header().encode(), entries[3].payload().unwrap());
    let skipped = entries[4].header().encode();
    let fork = Head::GENESIS.seal(note_saying("fork", "all is lost"), 1);
    let forked = fork.header().encode();
    let mut unknown = good;
    unknown[0] = 9;
    let one: Headers<'_> = &[(LEDGER_HEADER, &good)];
    let twice: Headers<'_> = &[(LEDGER_HEADER, &good), (LEDGER_HEADER, &good)];
    let erased: Headers<'_> = &[(LEDGER_HEADER, &good), (LEDGER_ERASED, b"1")];
    halts("no header", &[], Some(b"garbage"), &entries);
    halts("two headers", twice, Some(payload), &entries);
    halts("a short header", &[(LEDGER_HEADER, &good[..80])], Some(payload), &entries);
    halts("another version", &[(LEDGER_HEADER, &unknown)], Some(payload), &entries);
    halts("a tombstone", one, None, &entries);
    halts("an erased tombstone", erased, None, &entries);
    halts("an empty value", one, Some(b""), &entries);
    halts("erased with a value", erased, Some(payload), &entries);
    halts("another value", one, Some(b"{}"), &entries);
    halts("an entry left out", &[(LEDGER_HEADER, &skipped)], entries[4].payload(), &entries);
    halts("a fork", &[(LEDGER_HEADER, &forked)], fork.payload(), &entries);
}

/// Deleted, and made anew with fewer, as many or more records: all are seen by the place that was kept.
#[test]
fn a_topic_that_was_made_anew_is_not_read_on() {
    for len in [1, 5, 6, 9] {
        let (dir, address, entries) = (TempDir::new().unwrap(), fresh(), chain(5));
        KafkaLog::create(&address, &options()).unwrap().append(&entries).unwrap();
        for name in PROGRAMS {
            let state = dir.path().join(name);
            let ended = Running::start(until(program(name, &address, &state), 4)).end();
            assert_eq!(ended, (Some(0), shown(&entries)), "{name}");
        }
        cluster().tool("kafka-topics.sh", &["--delete", "--topic", address.topic()]);
        let log = loop {
            // The name is free when the cluster has forgotten the old topic.
            if let Ok(log) = KafkaLog::create(&address, &options()) {
                break log;
            }
        };
        log.append(&chain(len)).unwrap();
        for name in PROGRAMS {
            let state = dir.path().join(name);
            let ended = Running::start(program(name, &address, &state)).end();
            assert_eq!(ended, (Some(3), Vec::new()), "{name}, {len}");
        }
    }
}
