//! Live subscribers: the stream from outside, over real connections.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, Ledger, PATIENCE, Ran, Server, note, notes, signal},
    tokens::create,
};

/// One message of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    data: Value,
}

/// An open stream, read message by message.
pub(crate) struct Stream {
    lines: BufReader<ureq::BodyReader<'static>>,
}

impl Stream {
    pub(crate) fn open(client: &Client, query: &str) -> Stream {
        Stream::try_open(client, query, None).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    fn resume(client: &Client, query: &str, last: &str) -> Stream {
        Stream::try_open(client, query, Some(last)).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    fn try_open(client: &Client, query: &str, last: Option<&str>) -> Result<Stream, Answer> {
        let mut request = client.agent().get(format!("{}/api/v1/events/stream{query}", client.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.call().unwrap();
        if response.status() != 200 {
            return Err(Answer::of(response));
        }
        let kind = response.headers().get("content-type").unwrap().to_str().unwrap();
        assert_eq!(kind, "text/event-stream; charset=utf-8");
        assert!(response.headers().contains_key("ledger-as-of"));
        Ok(Stream { lines: BufReader::new(response.into_body().into_reader()) })
    }

    /// The next message; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", id)) => message.id = Some(id.parse().unwrap()),
                Some(("event", name)) => name.clone_into(&mut message.event),
                Some(("data", data)) => message.data = serde_json::from_str(data).unwrap(),
                Some(("retry", ms)) => assert_eq!(ms, "3000"),
                Some(("", _)) => {}
                _ if line == "\n" && !message.event.is_empty() => return Some(message),
                _ => assert_eq!(line, "\n"),
            }
        }
    }

    /// The next one that is an entry.
    fn entry(&mut self) -> Message {
        loop {
            let message = self.next().expect("the stream goes on");
            assert_ne!(message.event, "bye", "{message:?}");
            if message.event != "position" {
                return message;
            }
        }
    }

    /// The next `count` entries.
    fn take(&mut self, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.entry()).collect()
    }
}

fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|m| m.id.unwrap()).collect()
}

/// Records notes over HTTP and returns the newest seq.
fn record(server: &Server, prefix: &str, count: usize) -> u64 {
    let answer = server.post(&json!(notes(prefix, count)));
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["receipts"][count - 1]["seq"].as_u64().unwrap()
}

#[test]
fn a_message_is_the_event_with_its_proof() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let newest = record(&server, "a", 3);
    let mut stream = Stream::open(&server, "");
    let messages = stream.take(usize::try_from(newest).unwrap() + 1);
    assert_eq!(seqs(&messages), (0..=newest).collect::<Vec<_>>());
    let mut parent = "0".repeat(64);
    for message in &messages {
        let listed = server.get(&format!("/api/v1/events/{}", message.id.unwrap())).json();
        assert_eq!(message.data["ledgerprev"], parent);
        parent = message.data["ledgerhash"].as_str().unwrap().to_owned();
        assert_eq!(listed["hash"], parent);
        assert_eq!(message.event, listed["event"]["type"].as_str().unwrap());
        let mut event = message.data.clone();
        for member in ["ledgerhash", "ledgerheader", "ledgerprev"] {
            event.as_object_mut().unwrap().remove(member).unwrap();
        }
        assert_eq!(event, listed["event"]);
    }
    let position = stream.next().unwrap();
    assert_eq!((position.event.as_str(), position.id), ("position", Some(newest)));
    assert_eq!(position.data, json!({ "ledgerhash": parent, "seq": newest }));
}

#[test]
fn no_gap_and_no_double_while_others_record_and_the_stream_breaks() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let (writers, each) = (4, 60);
    let done = AtomicBool::new(false);
    let total = 2 + writers * each;
    thread::scope(|scope| {
        for writer in 0..writers {
            let server = &server;
            scope.spawn(move || {
                for n in 0..each {
                    assert_eq!(server.post(&note(&format!("w{writer}-{n}"), "x")).status, 201);
                }
            });
        }
        for reader in 0..3_usize {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let mut seen: Vec<u64> = Vec::new();
                let mut hash = "0".repeat(64);
                // Each connection takes another number of entries, from one on.
                for round in 1.. {
                    let last = seen.last().map(u64::to_string);
                    // What the page was loaded with counts for nothing once there is an id.
                    let query = if last.is_some() { "?after=0" } else { "" };
                    let opened = Stream::try_open(server, query, last.as_deref());
                    let mut stream = opened.unwrap_or_else(|refused| panic!("{refused:?}"));
                    let count = ((round * 7 + reader * 13) % 23 + 1).min(total - seen.len());
                    for message in stream.take(count) {
                        assert_eq!(message.data["ledgerprev"], hash);
                        hash = message.data["ledgerhash"].as_str().unwrap().to_owned();
                        seen.push(message.id.unwrap());
                    }
                    if seen.len() == total {
                        break;
                    }
                }
                assert_eq!(seen, (0..total as u64).collect::<Vec<_>>());
                done.store(true, Ordering::Relaxed);
            });
        }
    });
    assert!(done.load(Ordering::Relaxed));
}

#[test]
fn a_place_is_named_by_id_before_parameter_and_head_means_news() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let newest = record(&server, "a", 4);
    assert_eq!(seqs(&Stream::open(&server, "?after=2").take(1)), [3]);
    assert_eq!(seqs(&Stream::resume(&server, "?after=0", "3").take(1)), [4]);
    assert_eq!(seqs(&Stream::resume(&server, "?after=head", "1").take(1)), [2]);
    let mut news = Stream::open(&server, "?after=head");
    // So that whoever begins here knows which entry the first news follows.
    assert_eq!(news.next().unwrap().id, Some(newest));
    record(&server, "b", 1);
    assert_eq!(seqs(&news.take(1)), [newest + 1]);

    for (query, last) in [
        ("?after=minus", None),
        ("?after=18446744073709551615", None),
        ("?headers=some", None),
        ("?names=all", None),
        ("?nonsense=3", None),
        ("?since=someday", None),
        ("", Some("abc")),
    ] {
        let refused = Stream::try_open(&server, query, last).err().unwrap();
        refused.problem(400, "invalid_request");
    }
    let ahead = Stream::try_open(&server, "", Some("1000")).err().unwrap();
    ahead.problem(409, "ahead_of_log");
    assert!(ahead.as_of.unwrap().starts_with(&format!("{}:", newest + 1)));
}

#[test]
fn a_filter_sends_what_fits_and_the_cursor_goes_on_all_the_same() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let mut other = note("other", "elsewhere");
    other["subject"] = json!("elsewhere");
    record(&server, "a", 70);
    let wanted = server.post(&other).json()["receipts"][0]["seq"].as_u64().unwrap();
    let newest = record(&server, "b", 40);

    let mut fitting = Stream::open(&server, "?rollout=elsewhere&type=note");
    let first = fitting.next().unwrap();
    assert_eq!((first.id, &first.data["id"]), (Some(wanted), &json!("other")));
    let position = fitting.next().unwrap();
    assert_eq!((position.event.as_str(), position.id), ("position", Some(newest)));
    other["id"] = json!("news");
    server.post(&other);
    assert_eq!(fitting.entry().data["id"], "news");

    // A filter that nothing fits still tells how far it has looked.
    let nothing = Stream::open(&server, "?type=rollout.bug.found.v1").next().unwrap();
    assert_eq!((nothing.event.as_str(), nothing.id), ("position", Some(newest + 1)));

    let mut chain = Stream::open(&server, "?rollout=elsewhere&headers=all");
    let mut parent = "0".repeat(64);
    for seq in 0..=newest {
        let message = chain.next().unwrap();
        assert_eq!(message.id, Some(seq));
        assert_eq!(message.data["ledgerprev"], parent);
        parent = message.data["ledgerhash"].as_str().unwrap().to_owned();
        let fits = seq == wanted;
        assert_eq!(message.event == "header", !fits, "{message:?}");
        assert_eq!(message.data.get("id").is_some(), fits);
    }
}

#[test]
fn without_names_every_event_is_a_plain_message() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let newest = record(&server, "a", 2);
    let url = format!("{}/api/v1/events/stream?names=none&after={}", server.url, newest - 1);
    let body = server.agent().get(url).call().unwrap().into_body();
    let mut lines = BufReader::new(body.into_reader()).lines().map(Result::unwrap);
    let mut next = || lines.by_ref().find(|line| !line.is_empty()).unwrap();
    assert_eq!(next(), "retry: 3000");
    assert_eq!(next(), format!("id: {newest}"));
    assert!(next().starts_with("data: {\"authid\":"));
    assert_eq!(next(), format!("id: {newest}"));
    assert_eq!(next(), "event: position");
}

#[test]
fn an_erased_event_leaves_its_proof_in_the_stream() {
    let ledger = Ledger::new();
    ledger.append(&notes("a", 3)).ok();
    ledger.run(&["event", "redact", "2", "--reason", "a court order"]).ok();
    let server = ledger.serve();
    let messages = Stream::open(&server, "").take(5);
    let mut parent = "0".repeat(64);
    for message in &messages {
        assert_eq!(message.data["ledgerprev"], parent);
        parent = message.data["ledgerhash"].as_str().unwrap().to_owned();
    }
    let erased = &messages[2];
    assert_eq!((erased.event.as_str(), &erased.data["redacted"]), ("redacted", &json!(true)));
    assert_eq!(erased.data.as_object().unwrap().len(), 4);
    assert_eq!(messages[4].data["data"]["target"]["seq"], 2);
}

#[test]
fn a_stop_says_goodbye_and_a_kill_loses_no_one_their_place() {
    let ledger = Ledger::new();
    let mut server = ledger.serve();
    let newest = record(&server, "a", 3);
    let mut stream = Stream::open(&server, &format!("?after={}", newest - 1));
    assert_eq!(stream.entry().id, Some(newest));
    server.kill();
    while let Some(message) = stream.next() {
        assert_eq!(message.event, "position");
    }

    let server = ledger.serve();
    let mut stream = Stream::resume(&server, "", &newest.to_string());
    // The new writer says that it took over.
    assert_eq!(stream.entry().id, Some(newest + 1));
    assert_eq!(stream.next().unwrap().event, "position");
    let begun = Instant::now();
    signal("TERM", server.pid());
    let bye = stream.next().unwrap();
    assert_eq!(bye.event, "bye");
    assert_eq!(bye.data, json!({ "reason": "stopping", "resume_after": newest + 1 }));
    assert!(bye.id.is_none() && stream.next().is_none());
    server.stop();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn more_than_the_set_number_is_refused_until_one_leaves() {
    let ledger = Ledger::new();
    let args = ["serve", "--listen", "127.0.0.1:0", "--max-streams", "2"];
    let server = Server::start(ledger.command(&args));
    let (one, _two) = (Stream::open(&server, ""), Stream::open(&server, ""));
    let refused = Stream::try_open(&server, "", None).err().unwrap();
    refused.problem(503, "too_many_subscribers");
    drop(one);
    let begun = Instant::now();
    while Stream::try_open(&server, "", None).is_err() {
        assert!(begun.elapsed() < PATIENCE, "a seat that was left is never free");
    }
}

#[test]
fn who_reads_nothing_is_cut_off_and_goes_on_by_id() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let text = "x".repeat(100_000);
    let mut newest = 0;
    for n in 0..160 {
        newest = server.post(&note(&format!("n{n}"), &text)).json()["receipts"][0]["seq"]
            .as_u64()
            .unwrap();
    }
    let address = server.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET /api/v1/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let open = |count| format!("rollout_ledger_subscribers {count}\n");
    let begun = Instant::now();
    let waits = |shown: &str| {
        while !server.get("/metrics").text.contains(shown) {
            assert!(begun.elapsed() < PATIENCE, "{}", server.get("/metrics").text);
        }
    };
    waits(&open(1));
    waits(&open(0));
    waits("rollout_ledger_subscribers_cut_off_total 1\n");

    // What the connection had taken is there; the rest comes with the last whole message's id.
    let mut taken = Vec::new();
    let _ = socket.read_to_end(&mut taken);
    let taken = String::from_utf8_lossy(&taken);
    let (whole, _) = taken.rsplit_once("\n\n").unwrap();
    let last: u64 =
        whole.lines().filter_map(|l| l.strip_prefix("id: ")?.parse().ok()).next_back().unwrap();
    assert!(last < newest, "a connection takes {} bytes", taken.len());
    let before = last - 1;
    let mut again = Stream::resume(&server, "", &before.to_string());
    let rest = again.take(usize::try_from(newest - before).unwrap());
    assert_eq!(seqs(&rest), (before + 1..=newest).collect::<Vec<_>>());
}

#[test]
fn tail_prints_what_is_there_and_follows_over_a_restart() {
    let ledger = Ledger::new();
    ledger.append(&notes("a", 3)).ok();
    let printed = ledger.run(&["event", "tail", "--output", "jsonl"]).ok().lines();
    assert_eq!(printed, ledger.entries());
    let some = ledger.run(&["event", "tail", "--after", "1", "--output", "jsonl"]).ok().lines();
    assert_eq!(some, ledger.entries()[2..]);
    ledger.run(&["event", "tail", "--follow"]).exits(75).says("rollout-ledger serve");

    let mut server = ledger.serve();
    let mut command =
        ledger.command(&["event", "tail", "--follow", "--type", "note", "--output", "jsonl"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let before: Vec<Value> = (0..3).map(|_| next()).collect();
    assert_eq!(before, ledger.entries()[1..4]);
    server.kill();
    let server = ledger.serve();
    let newest = record(&server, "b", 1);
    assert_eq!(next()["seq"], newest);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_shows_a_token_to_a_server_elsewhere() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let newest = ledger.append(&notes("a", 3)).ok().lines()[2]["seq"].clone();
    let server = ledger.serve();
    // Somewhere else: the directory is another one.
    let elsewhere = Ledger::absent();
    let file = elsewhere.file("token", format!("{}\n", token.text));
    let tail = ["event", "tail", "--follow", "--output", "jsonl", "--url", &server.url];
    let with = |file: &str| elsewhere.command(&[&tail[..], &["--token-file", file]].concat());
    let mut child = with(&file).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    while next()["seq"] != newest {}
    ledger.append(&notes("b", 1)).ok();
    while next()["event"]["id"] != "b-0" {}
    child.kill().unwrap();
    child.wait().unwrap();

    elsewhere.run(&tail).exits(6).says("token");
    let refused = |file: &str| Ran::of(with(file).output().unwrap());
    refused(&elsewhere.file("unknown", "rlt_unknown")).exits(6).says("token");
    refused(&elsewhere.file("none", "")).exits(2).says("--token-file");
    elsewhere.run(&["event", "tail", "--follow", "--token-file", &file]).exits(2);
    server.stop();
}
