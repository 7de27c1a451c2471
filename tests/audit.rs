//! The ready questions of an audit, from outside: the command line and HTTP say the same, every event
//! that an answer names is in the log under that hash, and what does not apply is shown as that.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, copy_dir, note},
    story,
};

const ID: &str = "appointment-reminders";
const FLAG: &str = "appointment_reminders_enabled";
const AT: &str = "2026-12-20T00:00:00Z";

/// The story of `examples/`, a correction of a reading, one that names a wrong hash, a plan that
/// nobody went on with, and a flag that belongs to nothing.
static STORY: LazyLock<Ledger> = LazyLock::new(|| {
    let ledger = Ledger::new();
    story::tell(&ledger);
    let entries = ledger.entries();
    let reading = entries.iter().find(|e| {
        let event = &e["event"];
        event["type"] == "rollout.stage.results_recorded.v1" && event["subject"] == ID
    });
    let reading = reading.unwrap();
    let mut replacement = reading["event"]["data"].clone();
    replacement["results"]["unique_users"] = json!({ "raw": "7", "value": "7" });
    let correction = |id: &str, hash: &Value| {
        json!({
            "specversion": "1.0", "id": id, "source": "https://tests.example/it", "subject": ID,
            "type": "rollout.event.corrected.v1",
            "data": {
                "target": { "seq": reading["seq"], "hash": hash }, "replacement": replacement,
                "reason": "Seven came.", "basis": "reported",
            },
        })
    };
    let loose = json!({
        "specversion": "1.0", "id": "loose", "source": "https://tests.example/flags",
        "type": "rollout.flag.changed.v1", "time": "2026-03-01T10:00:00Z",
        "data": {
            "key": "nobodys_flag", "operation": "enable", "gate": "boolean", "service": "flags",
            "environment": "production", "basis": "observed",
        },
    });
    let wrong = json!("1".repeat(64));
    let events = [
        correction("right", &reading["hash"]),
        correction("wrong-hash", &wrong),
        loose,
        note("quiet", "said once"),
    ];
    ledger.append(&events).ok();
    ledger
});

/// A server records that it began, so it serves a copy: the story stays as it is.
fn copied() -> Ledger {
    let copy = Ledger::absent();
    copy_dir(&STORY.dir, &copy.dir);
    copy
}

/// Each question as a command and as a path.
fn questions() -> Vec<(Vec<String>, String)> {
    let flag = |more: &[&str], query: &str, what: &str| {
        let mut args = vec![what, FLAG];
        args.extend(more);
        (args.into_iter().map(str::to_owned).collect(), format!("{what}/{FLAG}{query}"))
    };
    let words = |args: &[&str]| args.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    vec![
        flag(&[], "", "who-changed"),
        flag(&["--limit", "3"], "?limit=3", "who-changed"),
        flag(&["--at", "2026-01-23"], "?at=2026-01-23", "state"),
        flag(&["--known-at", "2026-01-23"], "?known_at=2026-01-23", "state"),
        (words(&["actor", "acct-0142", "--limit", "500"]), "actor/acct-0142?limit=500".to_owned()),
        (words(&["actor", "nobody"]), "actor/nobody".to_owned()),
        (
            words(&["between", "2026-01-22", "2026-01-23", "--limit", "9"]),
            "between?from=2026-01-22&until=2026-01-23&limit=9".to_owned(),
        ),
        (
            words(&["between", "2026-01-22", "2100-01-01", "--by", "recorded", "--limit", "9"]),
            "between?from=2026-01-22&until=2100-01-01&by=recorded&limit=9".to_owned(),
        ),
        (
            words(&["between", "2026-01-22", "2026-01-23", "--rollout", "elsewhere"]),
            "between?from=2026-01-22&until=2026-01-23&rollout=elsewhere".to_owned(),
        ),
        (words(&["approvals", ID]), format!("approvals/{ID}")),
        (
            words(&["approvals", ID, "--as-of", "2026-01-20"]),
            format!("approvals/{ID}?as_of=2026-01-20"),
        ),
        (words(&["restated", ID]), format!("restated/{ID}")),
        (words(&["gaps", "--at", AT]), format!("gaps?at={AT}")),
        (
            words(&["gaps", "--at", AT, "--limit", "1", "--quiet-days", "1", "--silent-days", "2"]),
            format!("gaps?at={AT}&limit=1&quiet_days=1&silent_days=2"),
        ),
    ]
}

fn command(args: &[String]) -> Value {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    STORY.run(&[&["audit"], &args[..], &["--output", "json"]].concat()).ok().json()
}

fn asked(args: &[&str]) -> Value {
    command(&args.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())["data"].take()
}

/// Every `{seq, hash}` anywhere in an answer.
fn named(value: &Value, found: &mut Vec<(u64, String)>) {
    match value {
        Value::Object(members) => {
            let seq = members.get("seq").and_then(Value::as_u64);
            let hash = members.get("hash").and_then(Value::as_str);
            found.extend(seq.zip(hash.map(str::to_owned)));
            members.values().for_each(|value| named(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| named(value, found)),
        _ => {}
    }
}

#[test]
fn the_command_line_and_http_say_the_same_and_name_events_that_are_there() {
    let entries = STORY.entries();
    let hashes: BTreeMap<u64, &str> =
        entries.iter().map(|e| (e["seq"].as_u64().unwrap(), e["hash"].as_str().unwrap())).collect();
    let said: Vec<_> = questions().into_iter().map(|(args, path)| (command(&args), path)).collect();
    let copy = copied();
    let server = copy.serve();
    server.ready();
    for (by_command, path) in said {
        let answer = server.get(&format!("/api/v1/audit/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let body = answer.json();
        assert_eq!(body["data"], by_command["data"], "{path}");
        let (seq, hash) = (&body["as_of"]["seq"], body["as_of"]["hash"].as_str().unwrap());
        assert_eq!(answer.as_of, Some(format!("{seq}:{hash}")), "{path}");
        let mut found = Vec::new();
        named(&body["data"], &mut found);
        named(&by_command, &mut found);
        assert!(!found.is_empty(), "{path}");
        for (seq, hash) in found {
            assert_eq!(hashes.get(&seq).copied(), Some(hash.as_str()), "{path}: entry {seq}");
        }
    }
    server.stop();
}

#[test]
fn pages_of_an_answer_hold_every_row_once() {
    let whole = asked(&["who-changed", FLAG, "--limit", "500"]);
    let whole: Vec<_> =
        whole["changes"].as_array().unwrap().iter().map(|c| &c["seq"]).cloned().collect();
    assert_eq!(whole.len(), 13);
    let (mut rows, mut after) = (Vec::new(), None::<u64>);
    loop {
        let mut args = vec!["who-changed".to_owned(), FLAG.to_owned(), "--limit=4".to_owned()];
        args.extend(after.map(|after| format!("--after={after}")));
        let page = command(&args)["data"].take();
        rows.extend(page["changes"].as_array().unwrap().iter().map(|c| c["seq"].clone()));
        after = page["page"]["next_after"].as_u64();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(rows, whole);
}

#[test]
fn a_wrong_hash_changes_nothing_and_the_time_line_says_so() {
    let restated = asked(&["restated", ID]);
    let void = restated["not_applied"].as_array().unwrap();
    assert_eq!(void.len(), 1, "{void:?}");
    assert_eq!(void[0]["why"]["code"], "other_hash");
    let corrected: Vec<_> = restated["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["kind"] == "corrected")
        .collect();
    assert_eq!(corrected.len(), 1);
    let users = |d: &&Value| d["pointer"] == "/results/unique_users/value";
    let users = corrected[0]["values"].as_array().unwrap().iter().find(users).unwrap();
    assert_eq!((&users["old"], &users["new"]), (&json!("6"), &json!("7")));
    assert!(!corrected[0]["relied"].as_array().unwrap().is_empty(), "{}", corrected[0]);
    let timeline = STORY.run(&["rollout", "timeline", ID]).ok().out;
    let said = "Not applied: it names event";
    assert_eq!(timeline.matches(said).count(), 1, "{timeline}");
}

#[test]
fn gaps_name_the_quiet_the_loose_and_the_missing() {
    let gaps = asked(&["gaps", "--at", AT]);
    let quiet: Vec<_> = gaps["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| !r["quiet_for_days"].is_null())
        .map(|r| r["rollout"].as_str().unwrap())
        .collect();
    assert!(quiet.contains(&"trial"), "{quiet:?}");
    assert!(!quiet.contains(&ID), "a rollout that has ended is quiet by right");
    assert_eq!(gaps["flags_without_rollout"][0]["flag"], "nobodys_flag");
    let rows: u64 =
        gaps["row_gaps"].as_array().unwrap().iter().map(|g| g["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 18);
    let sources = gaps["sources"].as_array().unwrap();
    assert!(sources.iter().all(|s| s["state"] == "cannot_be_told"));
    let silent = asked(&["gaps", "--at", "2099-01-01", "--silent-days", "3"]);
    assert!(silent["sources"].as_array().unwrap().iter().all(|s| s["state"] == "silent"));
}

#[test]
fn what_cannot_be_asked_is_a_problem() {
    let copy = copied();
    let server = copy.serve();
    let rows = [
        ("who-changed/a%20b%00", 400, "invalid_request"),
        ("who-changed/nosuch", 404, "not_found"),
        ("gaps?at=2026-01-01", 400, "invalid_request"),
        ("who-changed/f?limit=0", 400, "invalid_request"),
        ("who-changed/f?limit=501", 400, "invalid_request"),
        ("who-changed/appointment_reminders_enabled?after=0", 400, "invalid_request"),
        ("actor/a?page=2", 400, "invalid_request"),
        ("between?from=2026-01-01", 400, "invalid_request"),
        ("between?from=2026-01-02&until=2026-01-01", 400, "invalid_request"),
        ("between?from=soon&until=later", 400, "invalid_request"),
        ("between?from=2026-01-01&until=2026-01-02&by=chance", 400, "invalid_request"),
        ("state/f?at=soon", 400, "invalid_request"),
        ("approvals/nowhere", 404, "not_found"),
        ("approvals/appointment-reminders?at=2026-01-01", 400, "invalid_request"),
        ("restated/NOT%20AN%20ID", 400, "invalid_request"),
        ("restated/appointment-reminders?as_of=2026-01-01", 400, "invalid_request"),
        ("gaps?quiet_days=-1", 400, "invalid_request"),
        ("gaps?after=NOT%20AN%20ID", 400, "invalid_request"),
    ];
    for (path, status, code) in rows {
        server.get(&format!("/api/v1/audit/{path}")).problem(status, code);
    }
    server.stop();
    STORY.run(&["audit", "restated", "nowhere"]).exits(4);
    let slip = STORY.run(&["audit", "who-changed", &FLAG.replace("enabled", "enabeld")]).exits(4);
    assert!(slip.err.contains(&format!("did you mean {FLAG}?")), "{}", slip.err);
    let past = STORY.run(&["audit", "gaps", "--at", "2026-01-01"]).exits(2);
    assert!(past.err.contains("before the newest entry"), "{}", past.err);
    let nobody = STORY.run(&["audit", "actor", "acct-9999"]).ok();
    assert!(nobody.err.contains("never heard of acct-9999"), "{}", nobody.err);
    STORY.run(&["audit", "between", "2026-01-02", "2026-01-01"]).exits(2);
    STORY.run(&["audit", "approvals", ID, "--output", "csv"]).exits(2);
}

#[test]
fn between_goes_by_either_time() {
    let entries = STORY.entries();
    let moment = |seq: usize| entries[seq]["recorded_at"].as_str().unwrap();
    let (from, until) = (moment(20), moment(40));
    let found = |by: &str, rollout: &[&str]| -> Vec<u64> {
        let args = ["between", from, until, "--by", by, "--limit", "500"];
        let answer = asked(&[&args[..], rollout].concat());
        answer["events"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect()
    };
    // Of those recorded in one moment either all are in it or none.
    let within = |entry: &&Value| (from..until).contains(&entry["recorded_at"].as_str().unwrap());
    let seq = |entry: &Value| entry["seq"].as_u64().unwrap();
    let expected: Vec<u64> = entries.iter().filter(within).map(seq).collect();
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(found("recorded", &[]), expected);
    // All of it had happened before, and without a word that is what counts.
    assert_eq!(found("happened", &[]), Vec::<u64>::new());
    let ours = found("recorded", &["--rollout", ID]);
    assert!(ours.iter().all(|seq| expected.contains(seq)), "{ours:?}");
}

#[test]
fn a_redaction_says_which_entries_repeat_what_it_erased() {
    let copy = copied();
    let entries = copy.entries();
    let of = |id: &str| entries.iter().find(|e| e["event"]["id"] == id).unwrap();
    let correction = of("right");
    let target = &correction["event"]["data"]["target"]["seq"];
    let ran = copy.run(&["event", "redact", &target.to_string(), "--reason", "law"]).ok();
    // The one that names a wrong hash corrects nothing, and repeats it all the same.
    let both = format!("Look at {}, {}, and redact", correction["seq"], of("wrong-hash")["seq"]);
    assert!(ran.err.contains(&both), "{}", ran.err);
    let loose = of("loose")["seq"].to_string();
    let args = ["event", "redact", &loose, "--reason", "law", "--output", "json"];
    let ran = copy.run(&args).ok();
    assert_eq!(ran.json()[0]["repeated_by"], json!([]));
    assert!(!ran.err.contains("may repeat"), "{}", ran.err);
}

#[test]
fn what_happened_between_is_marked_when_it_was_corrected() {
    let entries = STORY.entries();
    let correction = entries.iter().find(|e| e["event"]["id"] == "right").unwrap();
    let target = &correction["event"]["data"]["target"]["seq"];
    let between = asked(&["between", "2020-01-01", "2030-01-01", "--rollout", ID, "--limit=500"]);
    let marked: Vec<_> = between["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["corrected_by"] != json!([]))
        .map(|e| (&e["seq"], &e["corrected_by"]))
        .collect();
    assert_eq!(marked, [(target, &json!([correction["seq"]]))]);
    let rests_on = between["rests_on"].as_array().unwrap();
    assert!(rests_on.iter().any(|c| c["seq"] == correction["seq"]), "{rests_on:?}");
}
