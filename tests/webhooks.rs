//! Events sent to other services: order, signatures, retries, restarts, and where nothing is sent.

pub(crate) mod receiver;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::receiver::{Receiver, Reply};
use crate::harness::{Answer, Ledger, PATIENCE, Ran, Server, feed, note, notes, root};

const NOTES: &str = "rollout.note.added";

/// Serves with receivers on this machine allowed and no wait between attempts.
fn serve(ledger: &Ledger) -> Server {
    serve_with(ledger, &["--webhook-loopback", "--webhook-retries", "0s,0s,0s"])
}

fn serve_with(ledger: &Ledger, settings: &[&str]) -> Server {
    Server::start(ledger.command(&[&["serve", "--listen", "127.0.0.1:0"], settings].concat()))
}

/// A command about webhooks, its answer as JSON.
#[track_caller]
fn webhook(ledger: &Ledger, args: &[&str]) -> Value {
    ledger.run(&[&["webhook"], args, &["--output", "json"]].concat()).ok().json()
}

/// A webhook of notes; its id and its secret.
#[track_caller]
fn add(ledger: &Ledger, receiver: &Receiver) -> (String, String) {
    let added = webhook(ledger, &["add", &receiver.url, "--type", NOTES]);
    let text = |name: &str| added[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Asks until the webhook is as wanted.
#[track_caller]
fn until(ledger: &Ledger, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let shown = webhook(ledger, &["show", id]);
        if wanted(&shown) {
            return shown;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came to that: {shown}");
        thread::yield_now();
    }
}

fn seq_of(ledger: &Ledger, id: &str) -> u64 {
    let entries = ledger.entries();
    entries.iter().find(|e| e["event"]["id"] == id).unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn events_arrive_in_order_signed_and_again_after_a_failure() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, secret) = add(&ledger, &receiver);
    receiver.reply(&[Reply::Status(204), Reply::Status(500), Reply::Status(302)]);
    server.post(&Value::from(notes("n", 3)));
    let messages: Vec<_> = (0..5).map(|_| receiver.next()).collect();
    let events: Vec<_> = messages.iter().map(receiver::Message::event_id).collect();
    assert_eq!(events, ["n-0", "n-1", "n-1", "n-1", "n-2"], "a redirect is a failure too");
    assert!(messages.iter().all(|message| message.signed_with(&secret)));
    let entries = ledger.entries();
    for message in &messages {
        let entry = entries.iter().find(|e| e["event"]["id"] == message.event_id()).unwrap();
        assert_eq!(message.id(), format!("evt_{}", entry["seq"]), "stable over attempts");
        assert_eq!(message.event()["ledgerhash"], entry["hash"]);
        assert_eq!(message.headers["content-type"], "application/cloudevents+json");
        assert_eq!(message.event()["data"]["text"], "said");
    }
    until(&ledger, &id, |shown| shown["behind"] == 0);
    let sent = webhook(&ledger, &["deliveries", &id]);
    let told: Vec<_> =
        sent.as_array().unwrap().iter().map(|d| (&d["attempt"], &d["status"])).collect();
    let told = format!("{told:?}").replace("Number", "");
    assert_eq!(told, "[((1), (204)), ((3), (204)), ((2), (302)), ((1), (500)), ((1), (204))]");
    server.stop();
}

#[test]
fn a_receiver_that_is_gone_is_left_alone_until_a_person_says_so() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, _) = add(&ledger, &receiver);
    receiver.reply(&[Reply::Status(410)]);
    server.post(&Value::from(notes("n", 2)));
    assert_eq!(receiver.next().event_id(), "n-0");
    let shown = until(&ledger, &id, |shown| shown["state"] == "gone");
    assert_eq!(shown["next_seq"], seq_of(&ledger, "n-0"), "its place is kept");
    assert_eq!(receiver.unread(), 0);
    webhook(&ledger, &["resume", &id]);
    assert_eq!([receiver.next().event_id(), receiver.next().event_id()], ["n-0", "n-1"]);
    server.stop();
}

#[test]
fn after_the_last_attempt_nothing_is_skipped() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, _) = add(&ledger, &receiver);
    receiver.reply(&[Reply::Status(500), Reply::Status(503), Reply::Status(404)]);
    server.post(&Value::from(notes("n", 2)));
    let shown = until(&ledger, &id, |shown| shown["state"] == "exhausted");
    assert_eq!(
        (&shown["next_seq"], &shown["failures"]),
        (&seq_of(&ledger, "n-0").into(), &3.into())
    );
    let ids: Vec<_> = (0..3).map(|_| receiver.next().event_id()).collect();
    assert_eq!(ids, ["n-0"; 3]);
    // That stands after a restart too.
    server.stop();
    let server = serve(&ledger);
    assert_eq!(webhook(&ledger, &["show", &id])["state"], "exhausted");
    webhook(&ledger, &["resume", &id]);
    assert_eq!([receiver.next().event_id(), receiver.next().event_id()], ["n-0", "n-1"]);
    server.stop();
}

#[test]
fn both_secrets_sign_during_a_rotation_and_none_is_ever_shown_again() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, first) = add(&ledger, &receiver);
    let rotated = webhook(&ledger, &["rotate", &id]);
    let second = rotated["secret"].as_str().unwrap().to_owned();
    server.post(&note("a", "one"));
    let message = receiver.next();
    assert_eq!(message.signatures().len(), 2);
    assert!(message.signed_with(&first) && message.signed_with(&second));
    let third = webhook(&ledger, &["rotate", &id, "--overlap", "0s"]);
    let third = third["secret"].as_str().unwrap().to_owned();
    server.post(&note("b", "two"));
    let message = receiver.next();
    assert_eq!(message.signatures().len(), 1);
    assert!(message.signed_with(&third) && !message.signed_with(&second));

    let mut said = String::new();
    for args in
        [&["list"][..], &["show", &id], &["deliveries", &id], &["pause", &id], &["test", &id]]
    {
        said += &webhook(&ledger, args).to_string();
    }
    for path in ["", &format!("/{id}"), &format!("/{id}/deliveries")] {
        said += &server.get(&format!("/api/v1/webhooks{path}")).text;
    }
    said += &server.get("/metrics").text;
    said += &server.stop();
    assert!(said.contains(&id));
    for secret in [first, second, third] {
        assert!(!said.contains(&secret[6..]), "a secret is shown again");
    }
}

#[test]
fn nothing_is_lost_between_a_delivery_and_its_cursor() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let mut server = serve(&ledger);
    let (id, secret) = add(&ledger, &receiver);
    receiver.reply(&[Reply::Status(204), Reply::Silence]);
    server.post(&Value::from(notes("n", 3)));
    assert_eq!(receiver.next().event_id(), "n-0");
    let torn = receiver.next();
    server.kill();
    let server = serve(&ledger);
    // n-0 may come again; n-1 must.
    let mut again = receiver.next();
    if again.event_id() == "n-0" {
        again = receiver.next();
    }
    assert_eq!((again.id(), again.event_id()), (torn.id(), "n-1".to_owned()));
    assert_eq!(receiver.next().event_id(), "n-2");
    assert!(again.signed_with(&secret), "the secret has survived");

    // A clean stop repeats nothing.
    until(&ledger, &id, |shown| shown["behind"] == 0);
    server.stop();
    let server = serve(&ledger);
    server.post(&note("later", "x"));
    assert_eq!(receiver.next().event_id(), "later");
    server.stop();
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, _) = add(&ledger, &receiver);
    receiver.reply(&[Reply::With(503, "retry-after: 2")]);
    server.post(&note("a", "one"));
    let first = receiver.next();
    let begun = Instant::now();
    let second = receiver.next();
    // The moment is one of the wall clock, which may be set a little meanwhile.
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?}", begun.elapsed());
    assert_eq!(first.id(), second.id());
    let time = |m: &receiver::Message| m.headers["webhook-timestamp"].parse::<u64>().unwrap();
    assert!(time(&second) >= time(&first) + 2, "each attempt has its own time");
    until(&ledger, &id, |shown| shown["behind"] == 0);
    server.stop();
}

#[test]
fn pause_resume_test_and_replay() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (id, secret) = add(&ledger, &receiver);
    server.post(&note("a", "one"));
    let first = receiver.next();
    webhook(&ledger, &["pause", &id]);
    server.post(&note("b", "two"));
    // A test goes out all the same, is signed, and is no event.
    let tested = webhook(&ledger, &["test", &id]);
    assert_eq!((&tested["status"], &tested["delivered"]), (&204.into(), &true.into()));
    let test = receiver.next();
    assert_eq!(test.event()["type"], "webhook.test");
    assert!(test.signed_with(&secret) && test.id().starts_with("test_"));
    webhook(&ledger, &["resume", &id]);
    assert_eq!(receiver.next().event_id(), "b");

    let from = seq_of(&ledger, "a").to_string();
    webhook(&ledger, &["replay", &id, "--from", &from]);
    let again = receiver.next();
    assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    assert_eq!(receiver.next().event_id(), "b");
    // What was never sent cannot be replayed: that would skip it.
    ledger.run(&["webhook", "replay", &id, "--from", "999"]).exits(5).says("entry");
    receiver.reply(&[Reply::Status(400)]);
    let failed = ledger.run(&["webhook", "test", &id]).exits(1);
    assert!(failed.out.contains("400"), "{failed:?}");

    ledger.run(&["webhook", "remove", &id]).ok();
    ledger.run(&["webhook", "show", &id]).exits(4);
    ledger.run(&["webhook", "pause", "../events"]).exits(4);
    server.get(&format!("/api/v1/webhooks/{id}")).problem(404, "not_found");
    server.stop();
}

#[test]
fn a_url_and_a_filter_hold_nothing_of_people_and_no_query_is_shown() {
    let ledger = Ledger::new();
    let refused = |ledger: &Ledger, args: &[&str]| {
        let ran = ledger.run(&[&["webhook", "add"], args].concat()).exits(7);
        assert!(ran.err.contains("personal data") && !ran.err.contains("pat"), "{}", ran.err);
    };
    let hook = "https://receiver.example/in?key=s3cret";
    let person = "https://receiver.example/in?for=pat%40mail.example";
    refused(&ledger, &[person]);
    refused(&ledger, &[hook, "--actor", "pat@mail.example"]);
    let added = ledger.run(&["webhook", "add", hook, "--output", "json"]).ok();
    let id = added.json()["id"].as_str().unwrap().to_owned();
    let server = ledger.serve();
    refused(&ledger, &[person]);
    for args in [&["webhook", "list"][..], &["webhook", "show", &id]] {
        let shown = ledger.run(&[args, &["--output", "json"]].concat()).ok().out;
        assert!(shown.contains("https://receiver.example/in?(withheld)"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let url = format!("{}/api/v1/webhooks", server.url);
    let post = |body: &str| {
        let asked = server.agent().post(&url).header("content-type", "application/json");
        Answer::of(asked.send(body).unwrap())
    };
    post(&"x".repeat(3 << 20)).problem(413, "too_large");
    post("{").problem(400, "not_json");
    post("{}").problem(400, "invalid_request");
    let long = "w".repeat(5_000);
    let long = json!({ "url": hook, "filter": { "q": long } });
    post(&long.to_string()).problem(400, "invalid_request");
    server.stop();
}

#[test]
fn nothing_is_sent_where_it_must_not_go() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let urls = [
        ("https://10.0.0.1/", "private"),
        ("https://169.254.169.254/latest/meta-data/", "private"),
        ("https://[fd00::1]/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://0.0.0.0/", "private"),
        ("http://hooks.example/", "https"),
        ("https://pat:word@hooks.example/", "user"),
        ("file:///etc/passwd", "https://HOST"),
        (receiver.url.as_str(), "--webhook-loopback"),
        ("https://localhost/", "--webhook-loopback"),
    ];
    let refuse = |ledger: &Ledger| {
        for (url, why) in urls {
            ledger.run(&["webhook", "add", url]).exits(7).says(why);
        }
    };
    refuse(&ledger);
    let server = serve_with(&ledger, &["--webhook-retries", "0s"]);
    refuse(&ledger);
    server.stop();

    // Added under another rule, it is refused again when something is to be sent.
    let add = ["webhook", "add", &receiver.url, "--type", NOTES, "--webhook-loopback"];
    let added = ledger.run(&[&add[..], &["--output", "json"]].concat()).ok().json();
    let id = added["id"].as_str().unwrap();
    let server = serve_with(&ledger, &["--webhook-retries", "0s"]);
    server.post(&note("a", "one"));
    until(&ledger, id, |shown| shown["state"] == "exhausted");
    let sent = webhook(&ledger, &["deliveries", id]);
    assert!(sent[0]["error"].as_str().unwrap().contains("loopback"), "{sent}");
    assert_eq!(receiver.unread(), 0);
    server.stop();
}

#[test]
fn webhooks_are_kept_privately_and_can_be_changed_without_a_server() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    ledger.append(&notes("old", 2)).ok();
    let alone = |args: &[&str]| -> Ran {
        let args = [&["webhook"], args, &["--output", "json"]].concat();
        let mut command = ledger.command(&args);
        Ran::of(command.env("ROLLOUT_LEDGER_WEBHOOK_LOOPBACK", "true").output().unwrap())
    };
    let url = receiver.url.as_str();
    let added = alone(&["add", url, "--type", NOTES, "--from", "0", "--thin"]).ok().json();
    let (id, secret) = (added["id"].as_str().unwrap(), added["secret"].as_str().unwrap());
    assert_eq!(alone(&["list"]).ok().json()[0]["behind"], 3);
    assert_eq!(alone(&["pause", id]).ok().json()["state"], "paused");
    assert_eq!(alone(&["test", id]).ok().json()["delivered"], true);
    assert_eq!(receiver.next().event()["type"], "webhook.test");
    assert_eq!(alone(&["resume", id]).ok().json()["state"], "active");
    let server = serve(&ledger);
    let message = receiver.next();
    assert!(message.signed_with(secret));
    let event = message.event();
    assert_eq!((event.get("data"), &event["type"]), (None, &format!("{NOTES}.v1").into()));
    assert_eq!(receiver.next().event_id(), "old-1");
    for (path, mode) in [("", 0o700), (id, 0o700)] {
        let path = ledger.dir.join("state/webhooks").join(path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
        for entry in fs::read_dir(&path).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            let mode = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(meta.permissions().mode() & 0o777, mode, "{:?}", entry.path());
        }
    }
    until(&ledger, id, |shown| shown["behind"] == 0);
    server.stop();
    ledger.run(&["webhook", "remove", id]).ok();
    assert_eq!(alone(&["list"]).ok().out.trim(), "[]");
    ledger.verifies();
}

#[test]
fn what_is_refused_over_http_is_a_problem_document() {
    let ledger = Ledger::new();
    let server = serve(&ledger);
    let post = |path: &str, kind: &str, body: &str| {
        let url = format!("{}/api/v1/webhooks{path}", server.url);
        let sent = server.agent().post(url).header("content-type", kind).send(body);
        Answer::of(sent.unwrap())
    };
    let json = "application/json";
    let rows = [
        ("", json, "{", 400, "not_json"),
        ("", json, "{}", 400, "invalid_request"),
        ("", json, r#"{"url":"https://hooks.example/","colour":"red"}"#, 400, "invalid_request"),
        ("", json, r#"{"url":"https://hooks.example/","from":99}"#, 400, "invalid_request"),
        ("", json, r#"{"url":"https://10.0.0.1/"}"#, 422, "refused"),
        (
            "",
            json,
            r#"{"url":"https://hooks.example/","filter":{"colour":"red"}}"#,
            400,
            "invalid_request",
        ),
        ("", "text/plain", "{}", 415, "unsupported_media_type"),
        ("/wh-0/pause", json, "{}", 404, "not_found"),
        ("/wh-0/replay", json, r#"{"from":0}"#, 404, "not_found"),
    ];
    for (path, kind, body, status, code) in rows {
        post(path, kind, body).problem(status, code);
    }
    for _ in 0..16 {
        let added = post("", json, r#"{"url":"https://hooks.example/"}"#);
        assert_eq!(added.status, 201, "{}", added.text);
    }
    post("", json, r#"{"url":"https://hooks.example/"}"#).problem(409, "conflict");
    server.stop();
}

#[test]
fn the_examples_of_receivers_take_what_is_sent_and_nothing_else() {
    let (ledger, receiver) = (Ledger::new(), Receiver::new());
    let server = serve(&ledger);
    let (_, secret) = add(&ledger, &receiver);
    server.post(&note("a", "text with \u{e4}\u{f6} and \u{1f600}"));
    let message = receiver.next();
    let mut forged = message.clone();
    forged.body = forged.body.replace("text", "test");
    let mut late = message.clone();
    late.headers.insert("webhook-timestamp".to_owned(), "1614265330".to_owned());
    // Both need nothing beyond their languages, so the system's own will do.
    for (program, file) in [("python3", "verify.py"), ("node", "verify.mjs")] {
        let run = |message: &receiver::Message| {
            let mut command = Command::new(program);
            command.arg(root().join("examples/webhooks").join(file)).env("WEBHOOK_SECRET", &secret);
            feed(&mut command, message.as_json().to_string().as_bytes())
        };
        assert_eq!(run(&message).ok().out.trim(), message.id(), "{file}");
        run(&forged).exits(1).says("no signature fits");
        run(&late).exits(1).says("too old");
    }
    server.stop();
}
