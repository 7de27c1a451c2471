//! The read API and its one door, asked as a program would ask.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Ledger, PATIENCE, examples, ndjson, note, notes};

/// A ledger with one event of every type.
fn filled() -> Ledger {
    let ledger = Ledger::new();
    let all = examples("events", "json").into_iter().map(|path| fs::read(path).unwrap());
    let events: Vec<Value> = all.map(|text| serde_json::from_slice(&text).unwrap()).collect();
    ledger.append(&events).ok();
    ledger
}

#[test]
fn every_path_answers_and_names_the_state_it_was_computed_at() {
    let ledger = filled();
    let server = ledger.serve();
    server.ready();
    let ready = server.get("/readyz").json();
    let head = &ready["head"];
    let rollout = "/api/v1/rollouts/appointment-reminders";
    let flag = "/api/v1/flags/appointment_reminders_enabled/history";
    let paths = [
        "/api/v1/rollouts".to_owned(),
        rollout.to_owned(),
        format!("{rollout}?as_of=2026-02-01T00:00:00Z&known_at=2099-01-01"),
        format!("{rollout}/stages"),
        format!("{rollout}/checkpoints"),
        format!("{rollout}/timeline"),
        format!("{rollout}/deviations"),
        format!("{rollout}/report"),
        flag.to_owned(),
        format!("{flag}?at=2026-02-01T00:00:00Z"),
        "/api/v1/events".to_owned(),
        "/api/v1/events/3".to_owned(),
    ];
    for path in paths {
        let answer = server.get(&path);
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{path}");
        let body = answer.json();
        assert_eq!(&body["as_of"], head, "{path}");
        let named = format!("{}:{}", head["seq"], head["hash"].as_str().unwrap());
        assert_eq!(answer.as_of, Some(named), "{path}");
        assert!(body.get("data").is_some() || body.get("event").is_some(), "{path}");
    }
    let report = server.get(&format!("{rollout}/report?format=md"));
    assert!(report.kind.starts_with("text/markdown") && report.text.starts_with('#'));
    assert_eq!(server.get("/healthz").status, 200);
    server.stop();
}

#[test]
fn whatever_goes_wrong_is_a_problem_document() {
    let ledger = filled();
    let server = ledger.serve();
    let gets = [
        ("/", 404, "not_found"),
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/events/99999", 404, "not_found"),
        ("/api/v1/events/x", 400, "invalid_request"),
        ("/api/v1/rollouts/nowhere", 404, "not_found"),
        ("/api/v1/rollouts/NOT%20AN%20ID", 400, "invalid_request"),
        ("/api/v1/events?colour=red", 400, "invalid_request"),
        ("/api/v1/events?limit=0", 400, "invalid_request"),
        ("/api/v1/events?limit=501", 400, "invalid_request"),
        ("/api/v1/events?limit=many", 400, "invalid_request"),
        ("/api/v1/events?since=soon", 400, "invalid_request"),
        ("/api/v1/events?cursor=nonsense", 400, "invalid_request"),
        ("/api/v1/rollouts/appointment-reminders?as_of=soon", 400, "invalid_request"),
        ("/api/v1/rollouts/appointment-reminders/report?format=pdf", 400, "invalid_request"),
        ("/api/v1/flags/a/history?when=now", 400, "invalid_request"),
    ];
    for (path, status, code) in gets {
        server.get(path).problem(status, code);
    }
    let url = |path: &str| format!("{}{path}", server.url);
    let delete = server.agent().delete(url("/api/v1/events/3")).call().unwrap();
    Answer::of(delete).problem(405, "method_not_allowed");
    let post = server.agent().post(url("/api/v1/rollouts")).send("{}").unwrap();
    Answer::of(post).problem(405, "method_not_allowed");

    let json = "application/json";
    let huge = vec![b' '; 3 * 1024 * 1024];
    let large = note("large", &"x".repeat(600 * 1024)).to_string();
    let posts: [(&str, &[u8], u16, &str); 9] = [
        (json, b"{", 400, "not_json"),
        (json, b"{\"a\":1,\"a\":1}", 400, "not_json"),
        (json, b"[]", 422, "invalid_event"),
        (json, b"7", 422, "invalid_event"),
        (json, &huge, 413, "too_large"),
        (json, large.as_bytes(), 413, "too_large"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"a=b", 415, "unsupported_media_type"),
        ("application/x-ndjson", b"\n\n", 400, "invalid_request"),
    ];
    for (kind, body, status, code) in posts {
        server.post_as(kind, body).problem(status, code);
    }
    server.stop();
}

#[test]
fn a_post_says_created_known_or_conflict() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let first = server.post(&note("a", "one"));
    assert_eq!(first.status, 201);
    let again = server.post(&note("a", "one"));
    assert_eq!(again.status, 200);
    let (first, again) = (first.json()["receipts"][0].clone(), again.json()["receipts"][0].clone());
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    for member in ["seq", "hash", "recorded_at"] {
        assert_eq!(first[member], again[member]);
    }
    server.post(&note("a", "two")).problem(409, "conflict");

    // Of an array with one conflict nothing is recorded; with one new event it is 201.
    let conflict = json!([note("b", "x"), note("a", "two"), note("c", "x")]);
    assert_eq!(server.post(&conflict).problem(409, "conflict")["index"], 1);
    let known = server.post(&json!([note("a", "one"), note("b", "x")]));
    assert_eq!(known.status, 201);
    let flags: Vec<_> = known.json()["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["duplicate"].clone())
        .collect();
    assert_eq!(flags, [json!(true), json!(false)]);
    assert_eq!(server.post(&json!([note("a", "one"), note("b", "x")])).status, 200);
    server.stop();
    assert_eq!(ledger.noted(), ["a", "b"]);
}

#[test]
fn lines_over_http_stop_at_a_refused_one_with_the_receipts_so_far() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let events = notes("n", 1100);
    let text = [&ndjson(&events[..1050]), "{}\n", &ndjson(&events[1050..])].concat();
    let stopped = server.post_as("application/x-ndjson", text.as_bytes());
    assert_eq!(stopped.status, 422, "{}", stopped.text);
    let problem = stopped.problem(422, "invalid_event");
    assert_eq!(problem["index"], 1050);
    assert_eq!(problem["receipts"].as_array().unwrap().len(), 1050);
    let again = server.post_as("application/x-ndjson", ndjson(&events).as_bytes());
    assert_eq!(again.status, 201);
    let receipts = again.json()["receipts"].as_array().unwrap().clone();
    assert_eq!(receipts.iter().filter(|r| r["duplicate"] == true).count(), 1050);
    server.stop();
    assert_eq!(ledger.noted().len(), 1100);
}

/// All pages of a query, each asked with the cursor of the one before.
fn pages(server: &Client, query: &str) -> Vec<u64> {
    let mut seqs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/api/v1/events?{query}{cursor}")).json();
        let data = page["data"].as_array().unwrap();
        seqs.extend(data.iter().map(|entry| entry["seq"].as_u64().unwrap()));
        assert_eq!(page["page"]["has_more"] == true, page["page"]["next_cursor"].is_string());
        let Some(next) = page["page"]["next_cursor"].as_str() else { return seqs };
        cursor = format!("&cursor={next}");
        assert!(seqs.len() < 10_000, "the pages never end");
    }
}

#[test]
fn paging_gives_every_event_once() {
    let ledger = Ledger::new();
    let mut events = notes("n", 260);
    for event in events.iter_mut().step_by(3) {
        event["subject"] = json!("third");
    }
    ledger.append(&events).ok();
    let server = ledger.serve();
    server.ready();
    // Entry 261 is the server's own.
    let all: Vec<u64> = (0..=261).collect();
    for limit in [1, 7, 50, 262, 500] {
        assert_eq!(pages(&server, &format!("limit={limit}")), all, "{limit}");
    }
    let third: Vec<u64> = (1..=260).step_by(3).collect();
    for limit in [1, 5, 87, 500] {
        assert_eq!(pages(&server, &format!("rollout=third&limit={limit}")), third, "{limit}");
    }
    // A cursor is bound to its filter.
    let page = server.get("/api/v1/events?rollout=third&limit=5").json();
    let cursor = page["page"]["next_cursor"].as_str().unwrap();
    let other = format!("/api/v1/events?rollout=trial&limit=5&cursor={cursor}");
    server.get(&other).problem(400, "invalid_request");
    server.stop();
}

#[test]
fn commands_write_through_the_server_that_holds_the_directory() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let serving = ledger.dir.join("serve.json");
    assert_eq!(fs::metadata(&serving).unwrap().permissions().mode() & 0o777, 0o600);
    let said: Value = serde_json::from_slice(&fs::read(&serving).unwrap()).unwrap();
    assert_eq!(said["url"], server.url);
    let token = said["token"].as_str().unwrap().to_owned();

    ledger.append(&notes("cli", 2)).ok();
    let record =
        ["record", "note", "added", "--rollout", "trial", "--text", "Said aloud", "--id", "typed"];
    ledger.run(&record).ok();
    server.post(&note("http", "x"));
    ledger.append(&[note("cli-0", "other words")]).exits(5);
    server.ready();
    let via: BTreeMap<String, Value> = ledger
        .entries()
        .iter()
        .map(|e| (e["event"]["id"].as_str().unwrap().to_owned(), e["event"]["recordedvia"].clone()))
        .collect();
    assert_eq!(via["cli-0"], "cli");
    assert_eq!(via["typed"], "cli");
    assert_eq!(via["http"], "http");
    let log = server.stop();
    assert!(!log.contains(&token), "the token is not logged");
    assert!(!serving.exists(), "a clean stop takes it back");
}

#[test]
fn a_leftover_announcement_is_noticed_and_passed_over() {
    let ledger = Ledger::new();
    let mut server = ledger.serve();
    let pid = server.pid();
    server.post(&note("served", "x"));
    server.kill();
    assert!(ledger.dir.join("serve.json").exists());
    ledger.append(&[note("after", "x")]).ok().says(&format!("process {pid}"));
    let server = ledger.serve();
    server.post(&note("again", "x"));
    server.stop();
    assert_eq!(ledger.noted(), ["served", "after", "again"]);
    ledger.verifies();
}

#[test]
fn a_foreign_host_is_refused_and_only_loopback_is_listened_on() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let address = server.url.strip_prefix("http://").unwrap();
    for (host, status) in [("ledger.attacker.example", "421"), (address, "200")] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request =
            format!("GET /api/v1/rollouts HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
    server.stop();
    for (address, code) in [("0.0.0.0:0", 7), ("[::]:0", 7), ("nonsense", 2), ("127.0.0.1", 2)] {
        ledger.run(&["serve", "--listen", address]).exits(code);
    }
    assert!(!ledger.dir.join("serve.json").exists());
}

#[test]
fn an_answer_after_a_receipt_holds_what_the_receipt_promised() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    for n in 0..40 {
        let receipt = server.post(&note(&format!("n-{n}"), "x")).json()["receipts"][0].clone();
        let entry = server.get(&format!("/api/v1/events/{}", receipt["seq"])).json();
        assert_eq!(entry["hash"], receipt["hash"]);
        server.ready();
        let timeline = server.get("/api/v1/rollouts/trial/timeline").json();
        assert_eq!(timeline["data"].as_array().unwrap().len(), n + 1);
    }
    server.stop();
}
