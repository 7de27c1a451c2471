//! Access tokens from outside: made, listed, used and revoked beside a running server and alone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Ledger, PATIENCE, SOURCE, Server, files, ndjson, note};

/// The `source` of the ledger's own events.
const OWN: &str = "urn:rollout-ledger:self";

/// A token as `token create` prints it.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// Makes a token for reading and for notes of the tests' source.
pub(crate) fn create(ledger: &Ledger, more: &[&str]) -> Token {
    let mut args = vec!["token", "create", "--for", "the tests", "--output", "json"];
    args.extend(["--scope", "events:read", "--scope", "events:append:rollout.note"]);
    args.extend(["--source", SOURCE]);
    args.extend(more);
    if !more.contains(&"--expires") {
        args.extend(["--expires", "P1D"]);
    }
    let made = ledger.run(&args).ok().json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Token { id: text("id"), text: text("token") }
}

/// An answer and its header `WWW-Authenticate`.
pub(crate) fn get(client: &Client, path: &str, token: &str) -> (Answer, String) {
    let asked = client.agent().get(format!("{}{path}", client.url));
    let asked = if token.is_empty() {
        asked
    } else {
        asked.header("authorization", format!("Bearer {token}"))
    };
    let response = asked.call().unwrap();
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map_or("", |value| value.to_str().unwrap()).to_owned();
    (Answer::of(response), challenge)
}

fn post(client: &Client, kind: &str, body: &str, token: &str) -> Answer {
    let asked = client.agent().post(format!("{}/api/v1/events", client.url));
    let asked = asked.header("authorization", format!("Bearer {token}"));
    Answer::of(asked.header("content-type", kind).send(body).unwrap())
}

fn post_json(client: &Client, body: &Value, token: &str) -> Answer {
    post(client, "application/json", &body.to_string(), token)
}

/// The events that tokens left, as type and token.
fn recorded(ledger: &Ledger) -> Vec<(String, String)> {
    let entries = ledger.entries();
    let own = entries.iter().map(|entry| &entry["event"]).filter(|event| {
        event["source"] == OWN && event["type"].as_str().unwrap().starts_with("rollout.token.")
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    own.map(|event| (text(&event["type"]), text(&event["data"]["token_id"]))).collect()
}

fn listed(ledger: &Ledger) -> Vec<(String, String)> {
    let rows = ledger.run(&["token", "list", "--output", "jsonl"]).ok().lines();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(&row["id"]), text(&row["state"]))).collect()
}

fn path(ledger: &Ledger) -> PathBuf {
    ledger.dir.join("state").join("tokens.json")
}

/// Changes what the file says of its one token, as a crash would have left it.
fn set_stage(ledger: &Ledger, stage: &Value) {
    let mut stored: Value = serde_json::from_slice(&fs::read(path(ledger)).unwrap()).unwrap();
    stored["tokens"][0]["stage"] = stage.clone();
    fs::write(path(ledger), stored.to_string()).unwrap();
}

fn pair(kind: &str, token: &Token) -> (String, String) {
    (format!("rollout.token.{kind}.v1"), token.id.clone())
}

#[test]
fn a_token_opens_the_door_from_its_making_to_its_revocation() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let events = "/api/v1/events";
    assert_eq!(get(&server, events, "").0.status, 200);
    let token = create(&ledger, &[]);
    let (answer, challenge) = get(&server, events, "");
    answer.problem(401, "token_wanted");
    assert_eq!(challenge, "Bearer realm=\"rollout-ledger\"");
    assert_eq!(get(&server, events, &token.text).0.status, 200);
    for public in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(get(&server, public, "").0.status, 200, "{public}");
    }
    let (answer, challenge) = get(&server, events, &token.text.replace("rlt_", "rlt_a"));
    answer.problem(401, "wrong_token");
    assert!(challenge.contains("invalid_token"), "{challenge}");
    // Commands of this machine show the token of serve.json.
    ledger.append(&[note("by-command", "said")]).ok();
    assert_eq!(listed(&ledger), [(token.id.clone(), "live".to_owned())]);
    ledger.run(&["token", "revoke", &token.id, "--reason", "the host moved"]).ok();
    get(&server, events, &token.text).0.problem(401, "token_revoked");
    get(&server, events, "").0.problem(401, "token_wanted");
    server.stop();
    assert_eq!(listed(&ledger), [(token.id.clone(), "revoked".to_owned())]);
    assert_eq!(recorded(&ledger), [pair("created", &token), pair("revoked", &token)]);
    ledger.verifies();
}

#[test]
fn a_token_writes_what_its_scopes_and_sources_allow_and_its_id_is_witnessed() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let server = ledger.serve();
    let receipts = post_json(&server, &note("mine", "said"), &token.text);
    assert_eq!(receipts.status, 201, "{}", receipts.text);
    let seq = receipts.json()["receipts"][0]["seq"].as_u64().unwrap();
    let entry = get(&server, &format!("/api/v1/events/{seq}"), &token.text).0.json();
    assert_eq!(entry["event"]["authtype"], "token");
    assert_eq!(entry["event"]["authid"], token.id.as_str());
    assert_eq!(entry["event"]["recordedvia"], "http");

    let mut foreign = note("foreign", "said");
    foreign["source"] = json!("https://elsewhere.example/it");
    let refused = post_json(&server, &json!([note("one", "said"), foreign]), &token.text);
    let problem = refused.problem(403, "source_not_allowed");
    assert_eq!((&problem["index"], &problem["pointer"]), (&json!(1), &json!("/source")));
    let lines = ndjson(&[note("two", "said"), note("three", "said"), foreign.clone()]);
    let refused = post(&server, "application/x-ndjson", &lines, &token.text);
    let problem = refused.problem(403, "source_not_allowed");
    assert_eq!((&problem["index"], problem["receipts"].as_array().unwrap().len()), (&json!(2), 2));
    let mut started = note("started", "said");
    started["type"] = json!("rollout.stage.started.v1");
    let problem = post_json(&server, &started, &token.text).problem(403, "scope_missing");
    assert_eq!(problem["pointer"], "/type");
    let asked = server.agent().post(format!("{}/api/v1/views/diff", server.url));
    let asked = asked.header("authorization", format!("Bearer {}", token.text));
    let problem = Answer::of(asked.send_empty().unwrap()).problem(403, "scope_missing");
    assert!(problem["detail"].as_str().unwrap().contains("admin"), "{problem}");
    server.stop();
    assert_eq!(ledger.noted(), ["mine", "two", "three"]);
}

#[test]
fn nobody_writes_as_the_ledger() {
    let ledger = Ledger::new();
    let any = ["token", "create", "--scope", "admin", "--any-source", "--expires", "P1D"];
    let made = ledger.run(&[&any[..], &["--for", "ops"]].concat()).ok();
    let token = made.out.trim();
    let forged = json!({
        "specversion": "1.0", "id": "forged", "source": OWN, "type": "rollout.token.revoked.v1",
        "data": { "token_id": "abcdefghijkl", "basis": "observed" },
    });
    let mut own_note = note("forged", "said");
    own_note["source"] = json!(OWN);
    let server = ledger.serve();
    // Nor does anyone else tell of tokens, which are this ledger's own.
    let mut told = forged.clone();
    told["source"] = json!("https://tokens.example/service");
    let mut refused = vec![(forged, "/type"), (told, "/type"), (own_note, "/source")];
    for source in [
        "URN:ROLLOUT-LEDGER:SELF",
        "urn:rollout-ledger:self#a",
        "urn:rollout-ledger:%73elf",
        "urn:rollout-ledger:scheduler",
        "urn:rollout-ledger:plan:letters",
        "urn:rollout-ledger:flags:main:production",
        "urn:rollout-ledger:cli",
    ] {
        let mut forged = note("forged", "said");
        forged["source"] = json!(source);
        refused.push((forged, "/source"));
    }
    for (event, pointer) in &refused {
        let problem = post_json(&server, event, token).problem(403, "own_door");
        assert_eq!(&problem["pointer"], pointer, "{event}");
        let lines = ndjson(std::slice::from_ref(event));
        post(&server, "application/x-ndjson", &lines, token).problem(403, "own_door");
        ledger.append(std::slice::from_ref(event)).exits(7);
    }
    server.stop();
    let open = Ledger::new();
    let server = open.serve();
    for (event, _) in &refused {
        server.post(event).problem(403, "own_door");
    }
    server.stop();
    for (event, _) in &refused {
        open.append(std::slice::from_ref(event)).exits(7);
    }
}

#[test]
fn a_token_ends_at_its_moment() {
    let ledger = Ledger::new();
    let token = create(&ledger, &["--expires", "PT2S"]);
    let server = ledger.serve();
    let begun = Instant::now();
    loop {
        let (answer, challenge) = get(&server, "/api/v1/rollouts", &token.text);
        if answer.status == 401 {
            answer.problem(401, "token_expired");
            assert!(challenge.contains("invalid_token"));
            break;
        }
        // Asked without a pause, a live token may also meet its rate.
        assert!([200, 429].contains(&answer.status), "{}", answer.text);
        assert!(begun.elapsed() < PATIENCE, "the token never expired");
    }
    get(&server, "/api/v1/rollouts", "").0.problem(401, "token_wanted");
    server.stop();
    assert_eq!(listed(&ledger), [(token.id, "expired".to_owned())]);
}

#[test]
fn alone_a_command_does_the_same_and_doing_it_again_changes_nothing() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let revoke = ["token", "revoke", &token.id, "--reason", "not needed"];
    let first = ledger.run(&revoke).ok();
    assert_eq!(first.out.trim(), format!("token {} is revoked", token.id));
    let again = ledger.run(&revoke).ok();
    assert!(again.out.contains("was revoked at"), "{}", again.out);
    ledger.run(&["token", "revoke", "nobodyknowsit", "--reason", "x"]).exits(4);
    assert_eq!(recorded(&ledger), [pair("created", &token), pair("revoked", &token)]);
    let row = ledger.run(&["token", "list", "--output", "json"]).ok().json()[0].clone();
    assert_eq!(row["scopes"], json!(["events:append:rollout.note", "events:read"]));
    assert_eq!((&row["sources"], &row["for"]), (&json!([SOURCE]), &json!("the tests")));
    assert_eq!((&row["reason"], &row["recorded"]), (&json!("not needed"), &json!(true)));
}

#[test]
fn what_a_crash_left_between_file_and_event_is_settled() {
    let unrecorded = json!({ "revoked": { "at_us": 5, "reason": "moved", "recorded": false } });
    let rows = [
        // The event was recorded and the token never became live.
        ("the next start of serve", json!("pending")),
        ("the next command", json!("pending")),
        // It was revoked in the file alone.
        ("the next start of serve", unrecorded.clone()),
        ("the next command", unrecorded),
    ];
    for (who, stage) in rows {
        let ledger = Ledger::new();
        let token = create(&ledger, &[]);
        set_stage(&ledger, &stage);
        let mut expected = vec![pair("created", &token), pair("revoked", &token)];
        if who == "the next command" {
            expected.push(pair("created", &create(&ledger, &[])));
        }
        let server = ledger.serve();
        get(&server, "/api/v1/events", &token.text).0.problem(401, "token_revoked");
        server.stop();
        // A second start finds nothing to do.
        ledger.serve().stop();
        assert_eq!(recorded(&ledger), expected, "{who}: {stage}");
        assert_eq!(listed(&ledger)[0], (token.id, "revoked".to_owned()), "{who}: {stage}");
    }
}

#[test]
fn a_token_that_is_not_recorded_yet_opens_no_door() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let token = create(&ledger, &[]);
    assert_eq!(get(&server, "/api/v1/events", &token.text).0.status, 200);
    set_stage(&ledger, &json!("pending"));
    get(&server, "/api/v1/events", &token.text).0.problem(401, "wrong_token");
    // A damaged file opens none either, and says that it is the file.
    fs::write(path(&ledger), "{").unwrap();
    get(&server, "/api/v1/events", &token.text).0.problem(503, "tokens_unreadable");
    get(&server, "/api/v1/events", "").0.problem(503, "tokens_unreadable");
    server.stop();
}

#[test]
fn a_token_is_printed_once_and_stands_nowhere_else() {
    let ledger = Ledger::new();
    let mut command = ledger.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ROLLOUT_LEDGER_LOG", "trace");
    let server = Server::start(command);
    let token = create(&ledger, &[]);
    let secret = token.text.rsplit_once(&format!("{}_", token.id)).unwrap().1;
    assert_eq!(secret.len(), 43);
    let mut told = String::new();
    told += &get(&server, "/api/v1/events", &token.text).0.text;
    told += &post_json(&server, &note("mine", "said"), &token.text).text;
    told += &get(&server, "/api/v1/events", &format!("{}x", token.text)).0.text;
    let list = ledger.run(&["token", "list", "--output", "json"]).ok();
    told += &(list.out + &list.err);
    for (place, bytes) in files(&ledger.dir) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(secret), "{} while serving", place.display());
    }
    let revoked = ledger.run(&["token", "revoke", &token.id, "--reason", "not needed"]).ok();
    told += &(revoked.out + &revoked.err);
    told += &get(&server, "/api/v1/events", &token.text).0.text;
    told += &server.stop();
    told += &ledger.run(&["event", "list", "--all", "--output", "jsonl"]).ok().out;
    assert!(told.contains(&token.id) && !told.contains(secret));
    for (place, bytes) in files(&ledger.dir) {
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", place.display());
    }
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path(&ledger)), 0o600);
    assert_eq!(mode(path(&ledger).parent().unwrap().to_owned()), 0o700);
}

#[test]
fn a_token_that_would_be_too_much_is_not_made() {
    let ledger = Ledger::new();
    let good = ["token", "create", "--for", "ci", "--expires", "P1D"];
    let rows: [(&[&str], i32, &str); 8] = [
        (&["--scope", "everything"], 2, "events:append"),
        (&[], 2, "--scope"),
        (&["--scope", "events:append"], 2, "--source"),
        (&["--scope", "admin"], 2, "--any-source"),
        (&["--scope", "events:append", "--source", OWN], 7, "as the product"),
        (&["--scope", "events:append", "--source", "a b"], 2, "--source"),
        (&["--scope", "events:read", "--expires", "P2Y"], 2, "366 days"),
        (&["--scope", "events:read", "--for", "pat.engineer@example.com"], 7, "personal data"),
    ];
    for (more, code, says) in rows {
        let named = |flag: &str| more.contains(&flag);
        let keep = good.chunks(2).filter(|pair| !named(pair[0])).flatten();
        let args: Vec<&str> = keep.chain(more).copied().collect();
        ledger.run(&args).exits(code).says(says);
    }
    assert!(!path(&ledger).exists(), "nothing is written for what is refused");
    assert_eq!(recorded(&ledger), []);
}

#[test]
fn beyond_this_machine_only_with_a_token_that_works() {
    let ledger = Ledger::new();
    let serve = |address: &str| ledger.command(&["serve", "--listen", address]);
    let refused = |command| Server::try_start(command).err().expect("it must not listen");
    refused(serve("0.0.0.0:0")).exits(7).says("token create");
    let read_only = ["serve", "--listen", "127.0.0.1:0", "--listen-read-only", "0.0.0.0:0"];
    refused(ledger.command(&read_only)).exits(7).says("token create");
    let said = ledger.serve().stop();
    assert!(said.contains("no access token was ever made"), "{said}");
    let token = create(&ledger, &[]);
    let server = Server::start(serve("0.0.0.0:0"));
    get(&server, "/api/v1/rollouts", "").0.problem(401, "token_wanted");
    assert_eq!(get(&server, "/api/v1/rollouts", &token.text).0.status, 200);
    // Whoever has a token may call the server by any name.
    let asked = server.agent().get(format!("{}/api/v1/rollouts", server.url));
    let asked = asked.header("authorization", format!("Bearer {}", token.text));
    assert_eq!(asked.header("host", "ledger.example").call().unwrap().status(), 200);
    ledger.append(&[note("by-command", "said")]).ok();
    let said = server.stop();
    assert!(said.contains("whoever connects needs an access token"), "{said}");
    ledger.run(&["token", "revoke", &token.id, "--reason", "not needed"]).ok();
    refused(serve("0.0.0.0:0")).exits(7).says("no access token works any more");
    let said = ledger.serve().stop();
    assert!(said.contains("no access token works any more"), "{said}");
}

#[test]
fn an_older_file_of_tokens_brings_no_revoked_one_back_and_a_lost_one_opens_no_door() {
    let ledger = Ledger::new();
    let (kept, gone) = (create(&ledger, &[]), create(&ledger, &[]));
    let file = ledger.dir.join("state").join("tokens.json");
    let older = fs::read(&file).unwrap();
    let server = ledger.serve();
    let rollouts = "/api/v1/rollouts";
    assert_eq!(get(&server, rollouts, &gone.text).0.status, 200);
    ledger.run(&["token", "revoke", &gone.id, "--reason", "moved"]).ok();
    get(&server, rollouts, &gone.text).0.problem(401, "token_revoked");
    // While it runs, and over a start.
    fs::write(&file, &older).unwrap();
    get(&server, rollouts, &gone.text).0.problem(401, "token_revoked");
    assert_eq!(get(&server, rollouts, &kept.text).0.status, 200);
    server.stop();
    fs::write(&file, &older).unwrap();
    let server = ledger.serve();
    get(&server, rollouts, &gone.text).0.problem(401, "token_revoked");
    assert_eq!(get(&server, rollouts, &kept.text).0.status, 200);
    server.stop();
    let listed = ledger.run(&["token", "list", "--output", "json"]).ok().json();
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|t| &t["state"]).collect();
    assert!(states.iter().any(|state| *state == "revoked"), "{listed}");
    fs::remove_file(&file).unwrap();
    let server = ledger.serve();
    get(&server, rollouts, "").0.problem(401, "token_wanted");
    get(&server, rollouts, &kept.text).0.problem(401, "wrong_token");
    let new = create(&ledger, &[]);
    assert_eq!(get(&server, rollouts, &new.text).0.status, 200);
    server.stop();
}
