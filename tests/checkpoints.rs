//! What falls due is announced, once, with the time at which it fell due; and what it showed.

use std::{fs, io::Read as _, net::TcpListener, process::Stdio, thread, time::Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Ledger, PATIENCE, Ran, SOURCE, Server};

const LAUNCHED: &str = "2025-01-15T15:00:00Z";

const SCHEDULER: &str = "urn:rollout-ledger:scheduler";

fn event(id: &str, kind: &str, rollout: &str, time: &str, data: Value) -> Value {
    let mut data = data;
    data["basis"] = "reported".into();
    json!({
        "specversion": "1.0", "id": id, "source": SOURCE, "type": format!("rollout.{kind}.v1"),
        "subject": rollout, "time": time, "data": data,
    })
}

fn launched(rollout: &str, time: &str) -> Value {
    let data = json!({ "exposures": [{ "kind": "all" }] });
    event(&format!("launched-{rollout}"), "rollout.launched", rollout, time, data)
}

/// A launch, and a flag that is on for everyone since, in the past of every clock.
fn history() -> Vec<Value> {
    let registered = json!({ "key": "letters_on", "role": "rollout" });
    let changed = json!({
        "key": "letters_on", "operation": "enable", "gate": "boolean", "value": "true",
        "service": "app", "environment": "production", "row": 1,
    });
    let mut on = event("on", "flag.changed", "letters", LAUNCHED, changed);
    on.as_object_mut().unwrap().remove("subject");
    vec![
        event("registered", "flag.registered", "letters", "2025-01-10T15:00:00Z", registered),
        on,
        launched("letters", LAUNCHED),
    ]
}

/// What a scheduler announced of a rollout: type, what, `time`, sorted.
fn announced(client: &Client, rollout: &str) -> Vec<String> {
    let page = client.get(&format!("/api/v1/events?rollout={rollout}&limit=500")).json();
    let mut found: Vec<String> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["event"])
        .filter(|event| event["source"] == SCHEDULER)
        .map(|event| {
            let data = &event["data"];
            assert_eq!(data["basis"], "observed");
            assert_eq!(data["actor"], json!({ "kind": "service", "id": "scheduler" }));
            let what = data["checkpoint"].as_str().or(data["flag"].as_str()).unwrap();
            let kind = event["type"].as_str().unwrap();
            format!("{} {kind} {what}", event["time"].as_str().unwrap())
        })
        .collect();
    found.sort();
    found
}

/// Asks until so much is announced.
#[track_caller]
fn until(client: &Client, rollout: &str, len: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let found = announced(client, rollout);
        if found.len() >= len {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "only {found:?}");
        thread::yield_now();
    }
}

const EXPECTED: [&str; 5] = [
    "2025-01-22T14:00:00.000000Z rollout.checkpoint.due.v1 P7D",
    "2025-01-29T14:00:00.000000Z rollout.checkpoint.missed.v1 P7D",
    "2025-02-15T14:00:00.000000Z rollout.checkpoint.due.v1 P1M",
    "2025-02-22T14:00:00.000000Z rollout.checkpoint.missed.v1 P1M",
    "2025-04-15T15:00:00.000000Z rollout.cleanup.due.v1 letters_on",
];

fn serve(ledger: &Ledger) -> Server {
    Server::start(ledger.command(&["serve", "--listen", "127.0.0.1:0"]))
}

#[test]
fn a_server_announces_what_fell_due_while_nobody_was_there() {
    let ledger = Ledger::new();
    ledger.append(&history()).ok();
    let shown = ledger.run(&["schedule", "show", "--output", "jsonl"]).ok().lines();
    assert_eq!(shown.len(), EXPECTED.len());
    assert!(shown.iter().all(|due| due["fallen_due"] == true));

    let server = serve(&ledger);
    assert_eq!(until(&server, "letters", EXPECTED.len()), EXPECTED);
    let entries = server.get("/api/v1/events?type=rollout.checkpoint.due.v1").json();
    assert_eq!(entries["data"][0]["event"]["recordedvia"], "scheduler");
    assert_eq!(entries["data"][0]["event"]["authtype"], "os_account");
    let listed = server.get("/api/v1/schedule").json();
    assert_eq!(listed["data"]["announcements"], json!([]));
    server.stop();

    // Another start says nothing twice: what falls due later comes behind all of it.
    let server = serve(&ledger);
    server.post(&launched("later", "2025-03-03T15:00:00Z"));
    assert_eq!(
        until(&server, "later", 4)[0],
        "2025-03-10T13:00:00.000000Z rollout.checkpoint.due.v1 P7D"
    );
    assert_eq!(announced(&server, "letters"), EXPECTED);
    server.stop();
    ledger.verifies();
    ledger.run(&["views", "diff"]).ok();
    let shown = ledger.run(&["schedule", "show"]).ok();
    shown.says("nothing falls due");
}

#[test]
fn two_schedulers_at_one_server_announce_once() {
    let ledger = Ledger::new();
    ledger.append(&history()).ok();
    let server = ledger.serve();
    let url = server.url.clone();
    // Who merely is on this machine does not speak as the scheduler.
    let args = ["schedule", "run", "--once", "--url", &url];
    let refused = Ran::of(ledger.command(&args).output().unwrap()).ok();
    assert!(refused.out.starts_with("0 announced"), "{refused:?}");
    let made = ["token", "create", "--for", "the scheduler", "--expires", "P1D"];
    let scopes = ["--scope", "events:read", "--scope", "events:append"];
    let token = ledger.run(&[&made[..], &scopes, &["--source", SCHEDULER]].concat()).ok().out;
    let file = ledger.dir.join("scheduler.token");
    fs::write(&file, token).unwrap();
    let file = file.to_str().unwrap();
    let run = || {
        let args = ["schedule", "run", "--once", "--url", &url, "--token-file", file];
        let command = ledger.command(&args).output().unwrap();
        Ran::of(command).ok()
    };
    let ran: Vec<Ran> = thread::scope(|scope| {
        let both = [scope.spawn(run), scope.spawn(run)];
        both.map(|one| one.join().unwrap()).into()
    });
    let entries = ledger.entries();
    let own = entries.iter().filter(|entry| entry["event"]["source"] == SCHEDULER).count();
    assert_eq!(own, EXPECTED.len());
    // Each announced it or found it announced.
    let new: usize =
        ran.iter().map(|ran| ran.out.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(new, EXPECTED.len(), "{ran:?}");
    let again = run();
    assert_eq!(again.out.trim_end(), "0 announced, 0 known already; next: nothing");
    server.stop();
}

#[test]
fn a_directory_has_a_scheduler_without_a_server() {
    let ledger = Ledger::new();
    ledger.append(&history()).ok();
    let out = ledger.run(&["schedule", "run", "--once"]).ok().out;
    assert_eq!(out.trim_end(), "5 announced, 0 known already; next: nothing");
    let out = ledger.run(&["schedule", "run", "--once"]).ok().out;
    assert_eq!(out.trim_end(), "0 announced, 0 known already; next: nothing");
    ledger.run(&["schedule", "run", "--once", "--url", "localhost"]).exits(2).says("--url wants");
}

#[test]
fn a_launch_that_moves_is_announced_anew_and_the_first_announcement_stays() {
    let ledger = Ledger::new();
    ledger.append(&[launched("letters", LAUNCHED)]).ok();
    ledger.run(&["schedule", "run", "--once"]).ok();
    let first = ledger.entries();
    let launch = first.iter().find(|e| e["event"]["source"] == SOURCE).unwrap();
    let data = json!({
        "target": { "seq": launch["seq"], "hash": launch["hash"] }, "reason": "another day",
        "replacement": {
            "basis": "reported", "exposures": [{ "kind": "all" }],
            "occurrence": {
                "precision": "instant", "earliest": "2025-02-03T15:00:00Z",
                "latest": "2025-02-03T15:00:00Z",
            },
        },
    });
    let corrected = event("c", "event.corrected", "letters", "2025-02-10T00:00:00Z", data);
    ledger.append(&[corrected]).ok();
    let out = ledger.run(&["schedule", "run", "--once"]).ok().out;
    assert!(out.starts_with("4 announced"), "{out}");
    let shown = ledger.run(&["rollout", "checkpoints", "letters", "--output", "json"]).ok().json();
    let week = &shown[0];
    assert_eq!(week["due"], "2025-02-10T14:00:00.000000Z");
    assert_eq!(week["superseded"].as_array().unwrap().len(), 2, "{week}");
    assert_eq!(week["announced"].as_array().unwrap().len(), 1, "{week}");
    assert_eq!(week["state"], "missed");
}

const PLAN: &str = "# Release plan: letters

## Post-launch KPIs

- Post-launch KPI 1: Reminders sent of at least 30%
- Post-launch KPI 2: [FILL_IN]

## Post launch metrics

### 1-week results at 100%

- Number of unique users: [FILL_IN]
- Post-launch KPI 1 actual: [FILL_IN]

### 1-month results

- Post-launch KPI 1 actual: [FILL_IN]
";

#[test]
fn a_snapshots_kpis_say_the_same_everywhere() {
    let ledger = Ledger::new();
    let plan = ledger.file("letters.md", PLAN);
    ledger.run(&["plan", "import", &plan]).ok();
    let percent = |raw: &str, more: Value| {
        let mut quantity = json!({ "raw": raw, "value": raw.trim_end_matches('%'), "unit": "%" });
        quantity.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        quantity
    };
    let goal = json!({ "raw": "at least 30%", "value": "30", "unit": "%", "qualifier": "ge" });
    let results = json!({ "checkpoint": "P7D", "results": { "goals": [{
        "name": "Post-launch KPI 1", "quantity": percent("41%", json!({ "source": "Mailer" })),
        "goal": goal,
    }] } });
    let stage = json!({ "stage": "stage-e", "exposures": [{ "kind": "all" }] });
    ledger
        .append(&[
            event("e", "stage.started", "letters", "2025-01-13T15:00:00Z", stage),
            launched("letters", LAUNCHED),
            event("p7d", "checkpoint.recorded", "letters", "2025-01-21T15:00:00Z", results),
        ])
        .ok();
    let server = ledger.serve();
    let answer = server.get("/api/v1/rollouts/letters/checkpoints");
    let over_http = &answer.json()["data"]["checkpoints"];
    let shown = ledger.run(&["rollout", "checkpoints", "letters", "--output", "json"]).ok().json();
    assert_eq!(*over_http, shown);
    assert!(answer.as_of.is_some());
    let (week, month) = (&shown[0], &shown[1]);
    // The week is counted from 100 %, which a stage reached two days before the launch.
    assert_eq!(
        (&week["counted_from"], &week["due"]),
        (&json!("everyone"), &json!("2025-01-20T14:00:00.000000Z"))
    );
    assert_eq!(week["due_local"], "2025-01-20T09:00:00-05:00");
    assert_eq!(week["state"], "recorded");
    assert_eq!(
        (&month["counted_from"], &month["due"]),
        (&json!("launch"), &json!("2025-02-15T14:00:00.000000Z"))
    );
    let kpi = &week["kpis"][0];
    assert_eq!(
        (&kpi["name"], &kpi["verdict"]),
        (&json!("Post-launch KPI 1"), &json!("met")),
        "{kpi}"
    );
    assert_eq!(
        (&kpi["actual"]["source"], &kpi["actual"]["basis"]),
        (&json!("Mailer"), &json!("reported"))
    );
    assert_eq!(week["kpis"][1]["verdict"], "no_data");
    assert_eq!(month["kpis"][0]["verdict"], "no_data");
    // The retrospective, the filled-in plan and the table say the same.
    let report = ledger.run(&["report", "letters", "--format", "json"]).ok().json();
    let reached = &report["data"]["goals"][0]["actual"][0];
    assert_eq!(
        (&reached["checkpoint"], &reached["value"], &reached["reached"]),
        (&json!("P7D"), &json!("41%"), &json!(true))
    );
    let exported = ledger.run(&["plan", "export", "letters"]).ok().out;
    assert!(exported.contains("- Post-launch KPI 1 actual: 41%"), "{exported}");
    let table = ledger.run(&["rollout", "checkpoints", "letters"]).ok().out;
    for part in ["recorded, due 2025-01-20T09:00:00-05:00", "Post-launch KPI 1: met", "Mailer"] {
        let words = |text: &str| text.split_whitespace().collect::<String>();
        assert!(
            words(&table).contains(&words(part)) || part.split(' ').all(|w| table.contains(w)),
            "{part}\n{table}"
        );
    }
    server.stop();
}

/// A token that may read and append as one source; the file that holds it, and its id.
fn token(ledger: &Ledger, name: &str, source: &str, scopes: &[&str]) -> (String, String) {
    let mut args = vec!["token", "create", "--for", name, "--source", source];
    args.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    args.extend(["--expires", "P1D", "--output", "json"]);
    let made = ledger.run(&args).ok().json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (ledger.file(name, format!("{}\n", text("token"))), text("id"))
}

#[test]
fn a_scheduler_elsewhere_shows_a_token_that_may_do_no_more_than_it_needs() {
    let ledger = Ledger::new();
    ledger.append(&history()).ok();
    let appends = ["events:append:rollout.checkpoint", "events:append:rollout.cleanup"];
    let needed = [&["events:read"][..], &appends].concat();
    let (own, id) = token(&ledger, "own", SCHEDULER, &needed);
    let (other, _) = token(&ledger, "other", SOURCE, &needed);
    let (reader, _) = token(&ledger, "reader", SCHEDULER, &["events:read", appends[1]]);
    let (writer, _) = token(&ledger, "writer", SCHEDULER, &appends);
    let server = ledger.serve();
    let run = |file: &str, once: &[&str]| {
        let args = ["schedule", "run", "--url", &server.url, "--token-file", file];
        ledger.run(&[&args[..], once].concat())
    };
    let said = || {
        let entries = ledger.entries();
        let own = entries.into_iter().filter(|entry| entry["event"]["source"] == SCHEDULER);
        own.map(|mut entry| entry["event"].take()).collect::<Vec<_>>()
    };
    // Also when it is not asked to end: trying again would not help.
    for once in [&["--once"][..], &[]] {
        run(&other, once).exits(6).says("source");
        run(&reader, once).exits(6).says("events:append");
        run(&writer, once).exits(6).says("events:read");
        run(&ledger.file("unknown", "rlt_unknown"), once).exits(6).says("token");
    }
    ledger.run(&["schedule", "run", "--once", "--url", &server.url]).exits(6).says("token");
    for none in ["", " \n", "two words", "not\nprintable\u{7}"] {
        run(&ledger.file("none", none), &["--once"]).exits(2).says("--token-file");
    }
    run("nowhere", &["--once"]).exits(1).says("--token-file");
    assert_eq!(said(), [] as [Value; 0]);

    let out = run(&own, &["--once"]).ok().out;
    assert_eq!(out.trim_end(), "5 announced, 0 known already; next: nothing");
    let events = said();
    assert_eq!(events.len(), EXPECTED.len());
    for event in &events {
        assert_eq!((&event["authtype"], &event["authid"]), (&json!("token"), &json!(id)));
        assert_eq!(event["recordedvia"], "http");
    }
    let out = run(&own, &["--once"]).ok().out;
    assert_eq!(out.trim_end(), "0 announced, 0 known already; next: nothing");
    ledger.run(&["token", "revoke", &id, "--reason", "the host moved"]).ok();
    run(&own, &[]).exits(6).says("revoked");
    server.stop();
    ledger.verifies();
}

#[test]
fn a_token_goes_out_encrypted_when_the_address_says_so() {
    /// What a handshake of TLS begins with (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 22;
    let ledger = Ledger::new();
    let token = ledger.file("token", "rlt_secret");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let args = ["schedule", "run", "--once", "--url", &url, "--token-file", &token];
    let command = ledger.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    listener.accept().unwrap().0.read_exact(&mut first).unwrap();
    assert_eq!(first, [HANDSHAKE]);
    Ran::of(command.wait_with_output().unwrap()).exits(75).says("no answer from the server");
}
