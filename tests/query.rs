//! Audit questions: the same answer from the command line and over HTTP, exports that say whether
//! they are complete, and answers that wait for what was recorded.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::harness::{Client, Ledger, PATIENCE, note, notes};

/// An event of a rollout.
fn event(id: &str, name: &str, subject: &str, time: Option<&str>, data: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": id, "source": "https://tests.example/query",
        "type": format!("rollout.{name}.v1"), "subject": subject, "data": data,
    });
    event["data"]["basis"] = if id.contains("seen") { "observed" } else { "reported" }.into();
    if let Some(time) = time {
        event["time"] = time.into();
    }
    event
}

/// Some of everything that can be asked for.
pub(crate) fn recorded(ledger: &Ledger) {
    let who = |id: &str| json!({ "kind": "person", "id": id });
    let at = |n: u32| format!("2026-03-{:02}T{:02}:30:00Z", 1 + n, n);
    let events = [
        event(
            "a",
            "stage.started",
            "one",
            Some(&at(1)),
            json!({ "stage": "stage-a",
            "reason": "The canary may begin", "actor": who("acct-1") }),
        ),
        event(
            "b-seen",
            "alert.raised",
            "one",
            Some(&at(2)),
            json!({ "monitor": "errors",
            "severity": "high", "title": "Grey button", "stage": "stage-a",
            "link": "https://tracker.example/issues/1234" }),
        ),
        event(
            "c",
            "bug.found",
            "two",
            Some(&at(3)),
            json!({ "bug": "#1234", "severity": "critical",
            "title": "=A grey, \"quoted\" button\nover two lines" }),
        ),
        event(
            "d",
            "flag.registered",
            "one",
            None,
            json!({ "key": "note_finder", "role": "rollout" }),
        ),
        event(
            "e-seen",
            "flag.changed",
            "one",
            Some(&at(4)),
            json!({ "key": "note_finder",
            "operation": "enable", "service": "flags", "environment": "production",
            "reason": "canary at ten percent", "actor": who("acct-2") }),
        ),
        event("f", "stage.completed", "two", Some(&at(5)), json!({ "stage": "stage-a" })),
        event(
            "g",
            "note.added",
            "two",
            Some(&at(6)),
            json!({ "text": "Größe of the button is fine",
            "link": "https://tracker.example/issues/77" }),
        ),
    ];
    ledger.append(&events).ok();
    let entries = ledger.entries();
    let target = json!({ "seq": entries[2]["seq"], "hash": entries[2]["hash"] });
    let withdrawn = event(
        "h",
        "event.withdrawn",
        "one",
        Some(&at(7)),
        json!({ "target": target,
        "reason": "Raised twice" }),
    );
    ledger.append(&[withdrawn]).ok();
}

/// Every question of one parameter, and some of several, as options and their values.
pub(crate) fn questions() -> Vec<Vec<(&'static str, &'static str)>> {
    vec![
        vec![],
        vec![("rollout", "one")],
        vec![("rollout", "two"), ("order", "desc")],
        vec![("flag", "note_finder")],
        vec![("stage", "stage-a")],
        vec![("stage", "stage-a"), ("rollout", "one")],
        vec![("actor", "acct-2")],
        vec![("type", "stage")],
        vec![("type", "rollout.stage.started.v1,bug")],
        vec![("type", "rollout.st")],
        vec![("source", "https://tests.example/query")],
        vec![("basis", "observed")],
        vec![("ticket", "1234")],
        vec![("ticket", "#77")],
        vec![("ticket", "https://tracker.example/issues/1234")],
        vec![("severity", "high,critical")],
        vec![("text", "button GREY")],
        vec![("text", "größe")],
        vec![("text", "but")],
        vec![("since", "2026-03-03"), ("until", "2026-03-05 04:31")],
        vec![("until", "2026-03-03T02:30:00Z")],
        vec![("recorded_since", "2026-01-01")],
        vec![("recorded_until", "2026-01-01")],
        vec![("after", "4")],
        vec![("after", "4"), ("order", "desc"), ("type", "rollout.stage,rollout.bug")],
        vec![("text", "canary"), ("basis", "reported"), ("rollout", "one")],
    ]
}

pub(crate) fn query(question: &[(&str, &str)]) -> String {
    let encoded = |value: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        value
            .bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    let pairs: Vec<_> =
        question.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

pub(crate) fn options(question: &[(&str, &str)]) -> Vec<String> {
    let option = |(name, value): &(&str, &str)| {
        [format!("--{}", name.replace('_', "-")), (*value).to_owned()]
    };
    question.iter().flat_map(option).collect()
}

pub(crate) fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

/// The lines of an export and its trailer.
#[track_caller]
pub(crate) fn parts(text: &str) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let trailer = lines.pop().unwrap()["trailer"].take();
    assert_eq!(trailer["complete"], true, "{trailer}");
    (lines, trailer)
}

#[test]
fn command_line_and_http_give_the_same_answers() {
    let ledger = Ledger::new();
    recorded(&ledger);
    let server = ledger.serve();
    server.ready();
    let mut answered = 0;
    for question in questions() {
        let options = options(&question);
        let command = |first: &[&str], last: &[&str]| {
            let args = first.iter().copied().chain(options.iter().map(String::as_str));
            ledger.run(&args.chain(last.iter().copied()).collect::<Vec<_>>()).ok()
        };
        let listed = command(&["event", "list"], &["--all", "--output", "jsonl"]).lines();
        let page = server.get(&format!("/api/v1/events?{}", query(&question))).json();
        assert_eq!(page["data"], json!(listed), "{question:?}");
        answered += usize::from(!listed.is_empty());

        for format in ["jsonl", "csv"] {
            let here = command(&["event", "export"], &["--format", format]).out;
            let path = format!("/api/v1/events/export?format={format}&{}", query(&question));
            let there = server.get(&path);
            assert_eq!((there.status, &there.text), (200, &here), "{question:?}");
            assert!(there.as_of.is_some());
        }
        let here = command(&["event", "export"], &[]).out;
        let (lines, trailer) = parts(&here);
        assert_eq!(lines, listed, "{question:?}");
        assert_eq!(trailer["count"], listed.len());
        assert_eq!(trailer["first_seq"], json!(seqs(&listed).first()));
        assert_eq!(trailer["last_seq"], json!(seqs(&listed).last()));
        assert_eq!(trailer["head"], page["as_of"]);
    }
    // All but the three that nothing fits.
    assert_eq!(answered, questions().len() - 3);
    server.stop();
}

#[test]
fn pages_go_on_in_both_orders_and_only_with_their_own_question() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 30)).ok();
    let server = ledger.serve();
    server.ready();
    for order in ["asc", "desc"] {
        let (mut found, mut cursor) = (vec![], String::new());
        loop {
            let base = format!("/api/v1/events?type=note&text=said&order={order}&limit=7");
            let page = server.get(&format!("{base}{cursor}")).json();
            found.extend(seqs(page["data"].as_array().unwrap()));
            let Some(next) = page["page"]["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            for other in ["type=note&text=said", "type=note&text=other", "type=stage"] {
                let other = format!("/api/v1/events?{other}{cursor}");
                if order == "desc" || !other.contains("said") {
                    let problem = server.get(&other).problem(400, "invalid_request");
                    assert!(problem["detail"].as_str().unwrap().contains("cursor"), "{problem}");
                }
            }
        }
        let mut expected: Vec<u64> = (1..=30).collect();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(found, expected, "{order}");
    }
    // The command line goes on with the same cursor.
    let first = ["event", "list", "--type", "note", "--limit", "12", "--output", "jsonl"];
    let ran = ledger.run(&first).ok();
    let cursor = ran.err.split("--cursor ").nth(1).unwrap().split(' ').next().unwrap();
    let rest =
        ledger.run(&["event", "list", "--type", "note", "--cursor", cursor, "--output", "jsonl"]);
    assert_eq!(seqs(&rest.ok().lines()), (13..=30).collect::<Vec<_>>());
    ledger.run(&["event", "list", "--cursor", cursor]).exits(2);
    server.stop();
}

#[test]
fn what_cannot_be_asked_is_refused_by_name() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let rows = [
        ("severity=awful", "severity"),
        ("basis=guessed", "basis"),
        ("type=Stage*", "type"),
        ("text=%21%21", "text"),
        ("recorded_since=then", "recorded_since"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        ("order=sideways", "order"),
        ("rollout=a&rollout=b", "rollout"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("nonsense=1", "parameter"),
    ];
    for (query, name) in rows {
        let problem =
            server.get(&format!("/api/v1/events?{query}")).problem(400, "invalid_request");
        assert!(problem["detail"].as_str().unwrap().contains(name), "{query}: {problem}");
    }
    server.get("/api/v1/events/export?format=xml").problem(400, "invalid_request");
    server.get("/api/v1/events/export?limit=5").problem(400, "invalid_request");
    server.stop();
    ledger.run(&["event", "list", "--severity", "awful"]).exits(2).says("severity");
}

#[test]
fn an_export_is_a_whole_file_or_none() {
    let ledger = Ledger::new();
    recorded(&ledger);
    let seq = ledger.entries()[1]["seq"].to_string();
    ledger.run(&["event", "redact", &seq, "--reason", "Asked for by law"]).ok();
    for format in ["jsonl", "csv"] {
        let file = ledger.file(&format!("out.{format}"), "older");
        let export = ["event", "export", "--format", format, "-o", &file];
        assert_eq!(ledger.run(&export).ok().out, "");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, ledger.run(&export[..4]).ok().out);
        let check = |file: &str| ledger.run(&["event", "export", "--check", file]);
        assert!(check(&file).ok().out.contains("complete: 10 events"));
        // Cut anywhere, or with a line less, it is not.
        let last = text.trim_end().rfind('\n').unwrap() + 1;
        let second = text.find('\n').unwrap() + 1;
        let third = second + text[second..].find('\n').unwrap() + 1;
        let cuts = [
            &text[..last],
            &text[..last - 9],
            &text[..second],
            &[&text[..second], &text[third..]].concat(),
        ];
        for (n, cut) in cuts.into_iter().enumerate() {
            check(&ledger.file("cut", cut)).exits(3).says(if n < 3 { "cut off" } else { "lines" });
        }
    }
    // What is erased is shown as such, and what a spreadsheet would run is not run.
    let csv = ledger.run(&["event", "export", "--format", "csv"]).ok().out;
    assert!(csv.contains(",redacted by 9,\n"), "{csv}");
    assert!(csv.contains("\"'=A grey, \"\"quoted\"\" button\nover two lines\""), "{csv}");
    let (lines, _) = parts(&ledger.run(&["event", "export"]).ok().out);
    assert_eq!((&lines[1]["event"], &lines[1]["redacted_by"]), (&json!(null), &json!(9)));
    // A file that cannot be written leaves nothing behind.
    let missing = ledger.temp.path().join("missing/out.jsonl");
    ledger.run(&["event", "export", "-o", missing.to_str().unwrap()]).exits(1);
    let left = fs::read_dir(ledger.temp.path()).unwrap().map(|e| e.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".tmp")));
}

#[test]
fn an_export_that_breaks_off_has_no_trailer() {
    let ledger = Ledger::new();
    let long = "word ".repeat(4_000);
    let events: Vec<Value> = (0..800).map(|n| note(&format!("n-{n}"), &long)).collect();
    for events in events.chunks(40) {
        ledger.append(events).ok();
    }
    let mut server = ledger.serve();
    server.ready();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /api/v1/events/export HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // The server makes no more than its reader takes, so 16 MB are not under way yet.
    let mut start = vec![0; 100_000];
    stream.read_exact(&mut start).unwrap();
    server.kill();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let got = String::from_utf8_lossy(&rest);
    assert!(rest.len() < 15_000_000, "{} bytes were under way", rest.len());
    assert!(!got.contains("\"trailer\"") && !got.ends_with("0\r\n\r\n"));
}

#[test]
fn a_reader_may_wait_for_what_was_recorded() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let paths = [
        "/api/v1/events",
        "/api/v1/events/1",
        "/api/v1/events/export",
        "/api/v1/rollouts",
        "/api/v1/rollouts/trial",
        "/api/v1/rollouts/trial/timeline",
        "/api/v1/flags/some/history",
    ];
    for (n, path) in paths.iter().enumerate() {
        let seq = server.post(&note(&format!("n-{n}"), "x")).json()["receipts"][0]["seq"].clone();
        let answer = server.get(&format!("{path}?min_seq={seq}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let as_of = answer.as_of.unwrap();
        let at: u64 = as_of.split(':').next().unwrap().parse().unwrap();
        assert!(at >= seq.as_u64().unwrap(), "{path}: {as_of}");
    }
    server.get("/api/v1/events?min_seq=x").problem(400, "invalid_request");
    let far = not_there(&server, "/api/v1/rollouts?min_seq=100000");
    assert_eq!(far.as_deref(), Some("1"), "it says when to ask again");
    server.stop();
}

/// `Retry-After` of an answer that is not there yet.
fn not_there(client: &Client, path: &str) -> Option<String> {
    let answer = client.agent().get(format!("{}{path}", client.url)).call().unwrap();
    let after = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
    crate::harness::Answer::of(answer).problem(503, "not_there_yet");
    after
}
