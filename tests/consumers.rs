//! The example consumers, as programs of their own: they miss nothing over a crash of the server,
//! and take nothing that was changed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, Server, binary, notes, root, wait},
    tamper::python,
    tokens::create,
};

/// The consumers that are programs; the page is the fourth.
const PROGRAMS: [&str; 3] = ["python", "node", "rust"];

fn found(program: &str, advice: &str) -> String {
    let version = Command::new(program).arg("--version").output();
    assert!(version.is_ok_and(|v| v.status.success()), "{program} is missing; type: {advice}");
    program.to_owned()
}

fn node() -> String {
    found("node", "apt-get install nodejs (version 18 or newer)")
}

fn examples() -> PathBuf {
    root().join("examples/consumers")
}

fn program(name: &str) -> Command {
    let mut command = bare(name);
    command.env_remove("LEDGER_TOKEN");
    command
}

fn bare(name: &str) -> Command {
    match name {
        "python" => {
            let mut command = Command::new(python());
            command.arg(examples().join("python/consumer.py"));
            command
        }
        "node" => {
            let mut command = Command::new(node());
            command.arg(examples().join("javascript/consumer.mjs"));
            command
        }
        _ => Command::new(binary().parent().unwrap().join("examples/consumer")),
    }
}

/// A program that runs, read line by line. Dropped, it is killed.
struct Running {
    child: Option<Child>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child: Some(child), lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it prints another line").unwrap()
    }

    /// Waits for its end. The exit code and what it printed meanwhile.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let rest = self.lines.by_ref().map(Result::unwrap).collect();
        (wait(self.child.take().unwrap()).code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The page's server and a browser that looks at the page.
struct Page {
    _server: Running,
    browser: Running,
}

impl Page {
    fn open(ledger: &str, dir: &Path, conditions: &[&str]) -> Page {
        Page::open_with(ledger, "", dir, conditions)
    }

    /// With a token that the page's server shows.
    fn open_with(ledger: &str, token: &str, dir: &Path, conditions: &[&str]) -> Page {
        let chromium = found("chromium", "apt-get install --no-install-recommends chromium");
        let script = examples().join("javascript/serve.mjs");
        let mut command = Command::new(node());
        command.arg(script).arg(ledger).env("LEDGER_TOKEN", token);
        let mut server = Running::start(&mut command);
        let url = server.line().strip_prefix("listening on ").unwrap().to_owned();
        let mut command = Command::new(node());
        command.arg(root().join("tests/browser.mjs"));
        command.args([&chromium, dir.join("profile").to_str().unwrap(), &url]).args(conditions);
        Page { _server: server, browser: Running::start(&mut command) }
    }

    /// What it shows once the next condition holds.
    fn shows(&mut self) -> Value {
        serde_json::from_str(&self.browser.line()).unwrap()
    }
}

fn serve_at(ledger: &Ledger, address: &str) -> Server {
    Server::start(ledger.command(&["serve", "--listen", address]))
}

/// The hash of the newest entry.
fn head(server: &Server, seq: u64) -> String {
    let hash = server.get(&format!("/api/v1/events/{seq}")).json()["hash"].clone();
    hash.as_str().unwrap().to_owned()
}

#[test]
fn every_consumer_misses_nothing_and_takes_nothing_twice_over_a_crash() {
    let ledger = Ledger::new();
    let mut server = ledger.serve();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let url = server.url.clone();
    server.post(&json!(notes("before", 5)));
    // Two of the ledger's own, five notes; then its own once more and five notes.
    let (half, last) = (6, 12);
    let state = |name: &str| ledger.temp.path().join(format!("{name}.json"));
    let start = |name: &&str| {
        let mut command = program(name);
        command.arg(&url).arg(state(name)).args(["--until", &last.to_string()]);
        Running::start(&mut command)
    };
    let mut running: Vec<_> = PROGRAMS.iter().map(start).collect();
    let conditions = [format!("status.seq === '{half}'"), format!("status.seq === '{last}'")];
    let conditions = conditions.each_ref().map(String::as_str);
    let mut page = Page::open(&url, ledger.temp.path(), &conditions);
    let mut seen: Vec<Vec<String>> = Vec::new();
    for consumer in &mut running {
        seen.push((0..=half).map(|_| consumer.line()).collect());
    }
    assert_eq!(page.shows()["hash"], head(&server, half));

    server.kill();
    let server = serve_at(&ledger, &address);
    server.post(&json!(notes("after", 5)));
    let head = head(&server, last);
    for ((consumer, mut seen), name) in running.into_iter().zip(seen).zip(PROGRAMS) {
        let (code, rest) = consumer.end();
        assert_eq!(code, Some(0), "{name}");
        seen.extend(rest);
        let seqs: Vec<u64> =
            seen.iter().map(|l| l.split(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(seqs, (0..=last).collect::<Vec<_>>(), "{name}");
        assert_eq!(seen.last().unwrap().split(' ').nth(1), Some(head.as_str()), "{name}");
        let kept: Value = serde_json::from_slice(&fs::read(state(name)).unwrap()).unwrap();
        assert_eq!(kept, json!({ "seq": last, "hash": head }), "{name}");
    }
    let shown = page.shows();
    assert_eq!((&shown["hash"], &shown["state"]), (&json!(head), &json!("live")));
    // It begins with an empty list when it has to be loaded again.
    let entries = shown["entries"].as_array().unwrap();
    let newest = |place: usize| json!(last - place as u64);
    assert!(entries.iter().enumerate().all(|(place, seq)| *seq == newest(place)), "{shown}");
    assert!(entries.len() >= 6, "{shown}");
    server.stop();
}

/// Answers every request for the stream with the same messages.
fn imposter(messages: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for socket in listener.incoming() {
            let messages = messages.clone();
            // One that goes away half-way is its own affair.
            thread::spawn(move || answer(socket?, &messages));
        }
    });
    url
}

fn answer(mut socket: TcpStream, messages: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(socket.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    write!(socket, "{head}{messages}")?;
    // Stays open until the other end has had enough.
    socket.read_to_end(&mut Vec::new()).map(drop)
}

/// What the server sends up to the first position, without the type of events if `unnamed`.
fn recorded(server: &Server, unnamed: bool) -> Vec<String> {
    let mut socket = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let query = if unnamed { "?names=none" } else { "" };
    write!(socket, "GET /api/v1/events/stream{query} HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    let lines = BufReader::new(socket).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| !line.is_empty()).skip(1);
    let text: Vec<String> = lines.by_ref().take_while(|line| line != "event: position").collect();
    let text = text.join("\n");
    let messages: Vec<String> = text.split("\n\n").map(|m| format!("{m}\n\n")).collect();
    // Without `retry` and the id of the position.
    messages[1..messages.len() - 1].to_vec()
}

/// What somebody could do to the messages on their way.
fn changed(case: &str, mut messages: Vec<String>) -> String {
    match case {
        "nothing" => {}
        "a word" => messages[4] = messages[4].replacen("said", "paid", 1),
        "an entry left out" => drop(messages.remove(3)),
        "two entries exchanged" => messages.swap(3, 4),
        "an entry twice" => messages.insert(3, messages[3].clone()),
        "another hash" => {
            let hash = |m: &str| m.split("\"ledgerhash\":\"").nth(1).unwrap()[..64].to_owned();
            let (from, to) = (hash(&messages[3]), hash(&messages[4]));
            messages[3] = messages[3].replace(&from, &to);
        }
        other => panic!("{other}"),
    }
    messages.concat()
}

#[test]
fn no_consumer_takes_what_was_changed() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    server.post(&json!(notes("a", 5)));
    let last = 6;
    let (named, unnamed) = (recorded(&server, false), recorded(&server, true));
    assert_eq!((named.len(), unnamed.len()), (last + 1, last + 1));
    let cases = [
        ("nothing", 0, last),
        ("a word", 3, 3),
        ("an entry left out", 3, 2),
        ("two entries exchanged", 3, 2),
        ("an entry twice", 3, 3),
        ("another hash", 3, 2),
    ];
    for (case, expected, good) in cases {
        let url = imposter(changed(case, named.clone()));
        for name in PROGRAMS {
            let state = ledger.temp.path().join(format!("{name} {case}.json"));
            let mut command = program(name);
            command.arg(&url).arg(&state).args(["--until", &last.to_string()]);
            let (code, seen) = Running::start(&mut command).end();
            assert_eq!(code, Some(expected), "{name}, {case}: {seen:?}");
            // What was good is kept, and nothing else.
            let kept: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
            assert_eq!((seen.len(), &kept["seq"]), (good + 1, &json!(good)), "{name}, {case}");
        }
    }
    for (case, state, good) in [("a word", "broken", 3), ("nothing", "live", last)] {
        let url = imposter(changed(case, unnamed.clone()));
        let condition = format!("status.state === 'broken' || status.seq === '{last}'");
        let dir = ledger.temp.path().join(case);
        let shown = Page::open(&url, &dir, &[&condition]).shows();
        let expected = (json!(state), json!(good.to_string()));
        assert_eq!((shown["state"].clone(), shown["seq"].clone()), expected, "{shown}");
    }
    // A log that is shorter than what was seen of it is no log to go on with.
    for name in PROGRAMS {
        let state = ledger
            .file(&format!("{name} ahead.json"), json!({ "seq": 99, "hash": "" }).to_string());
        let (code, _) = Running::start(program(name).arg(&server.url).arg(state)).end();
        assert_eq!(code, Some(3), "{name}");
    }
}

#[test]
fn every_consumer_shows_its_token_and_says_when_it_is_refused() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    ledger.append(&notes("a", 3)).ok();
    let server = ledger.serve();
    server.ready();
    let last = ledger.entries().len() as u64 - 1;
    let url = server.url.as_str();
    for name in PROGRAMS {
        for (given, code) in [(token.text.as_str(), 0), ("rlt_unknown", 1), ("", 1)] {
            let state = ledger.temp.path().join(format!("{name} {code}.json"));
            let mut command = program(name);
            command.arg(url).arg(&state).args(["--until", &last.to_string()]);
            let (ended, seen) = Running::start(command.env("LEDGER_TOKEN", given)).end();
            assert_eq!(ended, Some(code), "{name}: {seen:?}");
            assert_eq!(seen.len() as u64, if code == 0 { last + 1 } else { 0 }, "{name}");
        }
    }
    let reached = format!("status.seq === '{last}'");
    for (given, condition, state) in [
        (token.text.as_str(), reached.as_str(), "live"),
        ("", "status.state === 'refused'", "refused"),
    ] {
        let dir = ledger.temp.path().join(state);
        let shown = Page::open_with(url, given, &dir, &[condition]).shows();
        assert_eq!(shown["state"], state, "{shown}");
    }
    server.stop();
}
