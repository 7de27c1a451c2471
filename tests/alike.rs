//! The same conditions give the same events, whichever way they come: pages, exports, the stream,
//! `event list`, `event tail` and webhooks.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, PATIENCE, Server, note},
    query::{options, parts, query, questions, recorded, seqs},
    stream::Stream,
    webhooks::receiver::Receiver,
};

/// Everything that can be asked for, and an erased event.
fn story() -> Ledger {
    let ledger = Ledger::new();
    recorded(&ledger);
    ledger.append(&[note("erased", "a grey button")]).ok();
    let entries = ledger.entries();
    let erased = entries.iter().find(|e| e["event"]["id"] == "erased").unwrap();
    let seq = erased["seq"].to_string();
    ledger.run(&["event", "redact", &seq, "--reason", "Asked for by law"]).ok();
    ledger
}

fn serve(ledger: &Ledger) -> Server {
    let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", "--webhook-loopback"];
    Server::start(ledger.command(&args))
}

/// A command with the options between its first and its last words.
fn command<'a>(first: &[&'a str], options: &'a [String], last: &[&'a str]) -> Vec<&'a str> {
    let options = options.iter().map(String::as_str);
    first.iter().copied().chain(options).chain(last.iter().copied()).collect()
}

/// What the stream sends until it has reached the head.
fn streamed(server: &Server, query: &str, head: u64) -> Vec<u64> {
    let mut stream = Stream::open(server, &format!("?{query}"));
    let mut found = Vec::new();
    loop {
        let message = stream.next().expect("the stream goes on");
        if message.event == "position" {
            assert_eq!(message.id, Some(head), "{query}");
            return found;
        }
        found.push(message.id.unwrap());
    }
}

/// The first lines of `event tail --follow`.
fn followed(ledger: &Ledger, options: &[String], count: usize) -> Vec<u64> {
    let args = command(&["event", "tail", "--follow"], options, &["--output", "jsonl"]);
    let mut child = ledger.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
    let lines: Vec<Value> = lines.map(|l| serde_json::from_str(&l.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    seqs(&lines)
}

/// What a new webhook gets until it is at the head.
fn delivered(ledger: &Ledger, options: &[String], from: &str, count: usize) -> Vec<u64> {
    let receiver = Receiver::new();
    let last = ["--from", from, "--output", "json"];
    let args = command(&["webhook", "add", &receiver.url], options, &last);
    let id = ledger.run(&args).ok().json()["id"].as_str().unwrap().to_owned();
    let seq = |id: &str| id.strip_prefix("evt_").unwrap().parse().unwrap();
    let found = (0..count).map(|_| seq(receiver.next().id())).collect();
    let begun = Instant::now();
    while ledger.run(&["webhook", "show", &id, "--output", "json"]).ok().json()["behind"] != 0 {
        assert!(begun.elapsed() < PATIENCE, "it never reached the head: {options:?}");
        thread::yield_now();
    }
    assert_eq!(receiver.unread(), 0, "more came than fits {options:?}");
    ledger.run(&["webhook", "remove", &id]).ok();
    found
}

#[test]
fn a_filter_gives_the_same_events_whichever_way_they_come() {
    let ledger = story();
    let server = serve(&ledger);
    server.ready();
    let head = ledger.entries().len() as u64 - 1;
    let mut asked = 0;
    for question in questions() {
        // What follows the log has its order.
        if question.iter().any(|(name, _)| *name == "order") {
            continue;
        }
        asked += 1;
        let all = options(&question);
        let run = |first: &[&str], last: &[&str]| ledger.run(&command(first, &all, last)).ok();
        let expected = seqs(&run(&["event", "list"], &["--all", "--output", "jsonl"]).lines());
        let page = server.get(&format!("/api/v1/events?{}", query(&question))).json();
        assert_eq!(seqs(page["data"].as_array().unwrap()), expected, "page of {question:?}");
        let export = server.get(&format!("/api/v1/events/export?{}", query(&question)));
        assert_eq!(seqs(&parts(&export.text).0), expected, "export of {question:?}");
        let tail = run(&["event", "tail"], &["--output", "jsonl"]).lines();
        assert_eq!(seqs(&tail), expected, "tail of {question:?}");
        assert_eq!(streamed(&server, &query(&question), head), expected, "stream of {question:?}");
        assert_eq!(followed(&ledger, &all, expected.len()), expected, "followed {question:?}");

        // A webhook has no `after`; it begins with an entry.
        let (place, conditions): (Vec<_>, Vec<_>) =
            question.iter().partition(|(name, _)| *name == "after");
        let from = place.first().map_or(0, |(_, seq)| seq.parse::<u64>().unwrap() + 1);
        let got = delivered(&ledger, &options(&conditions), &from.to_string(), expected.len());
        assert_eq!(got, expected, "webhook of {question:?}");
    }
    assert!(asked > 20, "{asked}");
    server.stop();
}

#[test]
fn what_follows_the_log_has_no_pages() {
    let ledger = Ledger::new();
    let server = serve(&ledger);
    for name in ["order", "limit", "cursor"] {
        let says = |problem: Value, place: &str| {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(name) && detail.contains(place), "{detail}");
        };
        let path = format!("/api/v1/events/stream?type=note&{name}=1");
        says(server.get(&path).problem(400, "invalid_request"), "after says where");
        let wish = json!({ "url": "http://127.0.0.1:9/in", "filter": { name: "1" } });
        let agent = server.agent().post(format!("{}/api/v1/webhooks", server.url));
        let answer = crate::harness::Answer::of(agent.send_json(&wish).unwrap());
        says(answer.problem(400, "invalid_request"), "from says where");
        ledger.run(&["event", "tail", &format!("--{name}"), "1"]).exits(2);
        ledger
            .run(&["webhook", "add", "http://127.0.0.1:9/in", &format!("--{name}"), "1"])
            .exits(2);
    }
    server.stop();
}
