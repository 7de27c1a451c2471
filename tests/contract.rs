//! What scripts may rely on: exit codes, members of JSON answers, all or none, resending.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::harness::{Ledger, examples, files, ndjson, note, notes};

#[test]
fn init_makes_a_ledger_once_and_touches_nothing_that_is_there() {
    let ledger = Ledger::absent();
    ledger.run(&["init", "--origin", "with space"]).exits(2).says("--origin");
    assert!(!ledger.dir.exists());
    ledger.run(&["init", "--origin", "ledger.example/trial"]).ok();
    let opened = &ledger.entries()[0]["event"];
    assert_eq!(opened["type"], "rollout.ledger.opened.v1");
    assert_eq!(opened["data"]["origin"], "ledger.example/trial");
    let key = ledger.dir.join("keys/pseudonym.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);

    let before = files(&ledger.dir);
    ledger.run(&["init"]).exits(5).says("already");
    assert_eq!(files(&ledger.dir), before);

    let ledger = Ledger::absent();
    fs::create_dir(&ledger.dir).unwrap();
    fs::write(ledger.dir.join("letter.txt"), "mine").unwrap();
    ledger.run(&["init"]).exits(5).says("there are files");
    assert_eq!(files(&ledger.dir).len(), 1);
}

#[test]
fn without_an_origin_it_is_named_after_the_ledgers_id() {
    let ledger = Ledger::new();
    let data = ledger.entries()[0]["event"]["data"].clone();
    let id = data["ledger_id"].as_str().unwrap();
    assert_eq!(data["origin"], format!("rollout-ledger.invalid/{id}"));
}

#[test]
fn a_misspelled_directory_is_not_found_and_not_made() {
    let ledger = Ledger::absent();
    let commands: [&[&str]; 7] = [
        &["event", "list"],
        &["event", "append"],
        &["rollout", "list"],
        &["flags", "list"],
        &["verify"],
        &["views", "rebuild"],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for command in commands {
        let ran = ledger.run_with(command, note("a", "b").to_string()).exits(4);
        assert!(ran.err.contains("rollout-ledger init --data-dir"), "{command:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{command:?}");
        assert!(!ledger.dir.exists(), "{command:?}");
    }
}

#[test]
fn what_is_not_there_is_exit_4_and_wrong_usage_exit_2() {
    let ledger = Ledger::new();
    let rows: [(&[&str], i32); 8] = [
        (&["event", "get", "7"], 4),
        (&["rollout", "show", "nowhere"], 4),
        (&["report", "nowhere", "--format", "json"], 4),
        (&["correct", "7", "--withdraw", "--reason", "mistaken"], 4),
        (&["event", "frobnicate"], 2),
        (&["verify", "--head", "nonsense"], 2),
        (&["event", "list", "--since", "yesterday-ish"], 2),
        (&["record", "bug", "found", "--rollout", "trial"], 2),
    ];
    for (command, code) in rows {
        let ran = ledger.run(command);
        assert_eq!(ran.code, Some(code), "{command:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{command:?}");
        assert!(!ran.err.is_empty(), "{command:?}");
    }
}

/// The members of a receipt, and what each must look like.
#[track_caller]
fn check_receipt(receipt: &Value, seq: u64, duplicate: bool) {
    let members: BTreeSet<_> = receipt.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["seq", "hash", "recorded_at", "duplicate"]), "{receipt}");
    assert_eq!((&receipt["seq"], &receipt["duplicate"]), (&json!(seq), &json!(duplicate)));
    let hash = receipt["hash"].as_str().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{receipt}");
    let time = receipt["recorded_at"].as_str().unwrap();
    assert!(time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'), "{time}");
}

#[test]
fn one_object_an_array_and_lines_are_taken() {
    let ledger = Ledger::new();
    let append = ["event", "append", "--output", "jsonl"];
    let pretty = serde_json::to_string_pretty(&note("one", "a")).unwrap();
    let one = ledger.run_with(&append, pretty).ok().lines();
    check_receipt(&one[0], 1, false);
    let array = serde_json::to_string_pretty(&notes("array", 3)).unwrap();
    let three = ledger.run_with(&append, array).ok().lines();
    for (receipt, seq) in three.iter().zip(2..=4) {
        check_receipt(receipt, seq, false);
    }
    let blank_lines = format!("\n{}\n{}", note("line-0", "a"), ndjson(&notes("more", 2)));
    assert_eq!(ledger.run_with(&append, blank_lines).ok().lines().len(), 3);
    let file = ledger.file("events.ndjson", ndjson(&notes("file", 2)));
    let from_file = ledger.run(&["event", "append", "-f", &file, "--output", "json"]).ok();
    assert_eq!(from_file.json().as_array().unwrap().len(), 2);
    ledger.run_with(&append, "").exits(1);
    ledger.run_with(&append, "[]").exits(1);
    ledger.run_with(&append, "{\"specversion\":").exits(1);
    assert_eq!(ledger.entries().len(), 10);
}

#[test]
fn an_array_is_recorded_whole_or_not_at_all() {
    let ledger = Ledger::new();
    let append = ["event", "append", "--output", "jsonl"];
    ledger.append(&[note("taken", "first")]).ok();
    let mut bad = note("bad", "x");
    bad["data"]["surprise"] = json!(1);
    let rows: [(Vec<Value>, i32); 3] = [
        (vec![note("a", "x"), bad, note("b", "x")], 1),
        (vec![note("a", "x"), note("taken", "second")], 5),
        (vec![note("twice", "x"), note("twice", "y")], 5),
    ];
    for (events, code) in rows {
        let ran = ledger.run_with(&append, json!(events).to_string()).exits(code);
        assert_eq!(ran.out, "");
        assert!(ran.err.contains("event 2"), "names which: {}", ran.err);
        assert_eq!(ledger.noted(), ["taken"]);
    }
    // The same event twice is one entry, and no conflict.
    let same = json!([note("same", "x"), note("same", "x")]).to_string();
    let receipts = ledger.run_with(&append, same).ok().lines();
    assert_eq!(receipts[0]["seq"], receipts[1]["seq"]);
    assert_eq!(ledger.noted(), ["taken", "same"]);
}

#[test]
fn a_refused_line_stops_after_the_receipts_of_what_precedes() {
    let mut invalid = note("n-3", "x");
    invalid["type"] = json!("rollout.note.sung.v1");
    let mut float = note("n-3", "x").to_string();
    float = float.replace("\"said\"", "0.5").replace("\"x\"", "0.5");
    let rows = [
        (invalid.to_string(), 1),
        ("{\"not\":".to_owned(), 1),
        (float, 1),
        (note("n-0", "something else").to_string(), 5),
        (note("n-3", "write to someone@mail.example").to_string(), 7),
    ];
    for (line, code) in rows {
        let ledger = Ledger::new();
        let events = notes("n", 6);
        let text = [&ndjson(&events[..3]), &line, "\n", &ndjson(&events[3..])].concat();
        let append = ["event", "append", "--output", "jsonl"];
        let stopped = ledger.run_with(&append, text).exits(code).says("line 4");
        let receipts = stopped.lines();
        assert_eq!(receipts.len(), 3, "{line}");
        assert_eq!(ledger.noted(), ["n-0", "n-1", "n-2"], "{line}");
        // Mended and sent again as a whole.
        let again = ledger.append(&events).ok().lines();
        for (n, receipt) in again.iter().enumerate() {
            check_receipt(receipt, n as u64 + 1, n < 3);
        }
        assert_eq!(again[0]["hash"], receipts[0]["hash"]);
    }
}

#[test]
fn a_refused_line_behind_several_batches_is_named_by_its_own_number() {
    let ledger = Ledger::new();
    let events = notes("n", 2500);
    let text = [&ndjson(&events[..2400]), "{}\n", &ndjson(&events[2400..])].concat();
    let append = ["event", "append", "--output", "jsonl"];
    let stopped = ledger.run_with(&append, text).exits(1).says("line 2401");
    assert_eq!(stopped.lines().len(), 2400);
    let again = ledger.append(&events).ok().lines();
    let duplicates = again.iter().filter(|r| r["duplicate"] == true).count();
    assert_eq!((again.len(), duplicates), (2500, 2400));
    assert_eq!(ledger.verifies()["entries"], 2501);
}

#[test]
fn the_same_id_with_other_data_is_a_conflict_and_with_the_same_a_duplicate() {
    let ledger = Ledger::new();
    let first = ledger.append(&[note("a", "one")]).ok().lines();
    let second = ledger.append(&[note("a", "one")]).ok().lines();
    check_receipt(&second[0], 1, true);
    assert_eq!(first[0]["hash"], second[0]["hash"]);
    assert_eq!(first[0]["recorded_at"], second[0]["recorded_at"]);
    ledger.append(&[note("a", "two")]).exits(5).says("entry 1");
    // Another sender may use the same id.
    let mut other = note("a", "two");
    other["source"] = json!("https://other.example/");
    ledger.append(&[other]).ok();
    assert_eq!(ledger.entries().len(), 3);
}

#[test]
fn every_entry_is_listed_with_its_place_hash_time_and_event() {
    let ledger = Ledger::new();
    let receipts = ledger.append(&notes("n", 1200)).ok().lines();
    let entries = ledger.entries();
    assert_eq!(entries.len(), 1201);
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(entry["seq"], n);
        if let Some(receipt) = n.checked_sub(1).map(|n| &receipts[n]) {
            assert_eq!(
                (&entry["hash"], &entry["recorded_at"]),
                (&receipt["hash"], &receipt["recorded_at"])
            );
            assert_eq!(entry["event"]["id"], format!("n-{}", n - 1));
        }
    }
    let one = ledger.run(&["event", "get", "700", "--output", "json"]).ok().json();
    assert_eq!(one, entries[700]);
    // What the intake adds stands beside what was sent.
    for added in ["salt", "authtype", "authid", "recordedvia"] {
        assert!(one["event"][added].is_string(), "{added}");
    }
    let salts: BTreeSet<_> = entries.iter().map(|e| e["event"]["salt"].to_string()).collect();
    assert_eq!(salts.len(), entries.len(), "each payload has a salt of its own");
}

#[test]
fn the_list_filters_and_says_when_there_is_more() {
    let ledger = Ledger::new();
    let mut events = notes("n", 60);
    events[7]["subject"] = json!("other");
    events[8]["time"] = json!("2026-03-04T10:00:00Z");
    events[9]["data"]["actor"] = json!({ "kind": "person", "id": "acct-0042" });
    ledger.append(&events).ok();
    let list = |args: &[&str]| {
        let ran = ledger.run(&[&["event", "list", "--output", "jsonl"], args].concat()).ok();
        let seqs = ran.lines().iter().map(|e| e["seq"].as_u64().unwrap()).collect::<Vec<_>>();
        (seqs, ran.err)
    };
    assert_eq!(list(&["--rollout", "other"]).0, [8]);
    assert_eq!(list(&["--actor", "acct-0042"]).0, [10]);
    assert_eq!(list(&["--until", "2026-04-01"]).0, [9]);
    assert_eq!(list(&["--type", "rollout.ledger."]).0, [0]);
    assert_eq!(list(&["--after", "58"]).0, [59, 60]);
    let (seqs, said) = list(&[]);
    assert_eq!(seqs.len(), 50);
    assert!(said.contains("--all"), "{said}");
    let table = ledger.run(&["event", "list", "--limit", "2"]).ok();
    assert!(table.out.contains("SEQ"), "{}", table.out);
    let csv = ledger.run(&["event", "list", "--limit", "2", "--output", "csv"]).ok();
    assert!(csv.out.starts_with("seq,"), "{}", csv.out);
}

#[test]
fn verify_names_entries_head_and_what_was_cut() {
    let ledger = Ledger::new();
    let receipts = ledger.append(&notes("n", 4)).ok().lines();
    let report = ledger.verifies();
    assert_eq!(report["entries"], 5);
    assert_eq!(report["head"], json!({ "seq": 4, "hash": receipts[3]["hash"] }));
    assert!(report.get("first_bad").is_none());

    let head = |seq: u64, hash: &str| {
        let head = format!("{seq}:{hash}");
        ledger.run(&["verify", "--output", "json", "--head", &head])
    };
    for receipt in &receipts {
        head(receipt["seq"].as_u64().unwrap(), receipt["hash"].as_str().unwrap()).ok();
    }
    let wrong = head(3, receipts[3]["hash"].as_str().unwrap()).exits(3).json();
    assert_eq!((&wrong["ok"], &wrong["first_bad"]["seq"]), (&json!(false), &json!(3)));
    let beyond = head(5, receipts[3]["hash"].as_str().unwrap()).exits(3).json();
    assert!(beyond["first_bad"]["what"].as_str().is_some_and(|what| !what.is_empty()));
    let elsewhere = ledger.dir.to_str().unwrap().to_owned();
    Ledger::absent().run(&["verify", &elsewhere]).ok();
}

#[test]
fn every_example_is_taken_at_both_doors() {
    let (ledger, served) = (Ledger::new(), Ledger::new());
    let server = served.serve();
    let paths = examples("events", "json");
    for path in &paths {
        let file = path.to_str().unwrap();
        let receipt = ledger.run(&["event", "append", "-f", file, "--output", "jsonl"]).ok();
        assert_eq!(receipt.lines()[0]["duplicate"], false, "{file}");
        let answer = server.post_as("application/cloudevents+json", &fs::read(path).unwrap());
        assert_eq!(answer.status, 201, "{file}: {}", answer.text);
    }
    server.stop();
    for ledger in [&ledger, &served] {
        ledger.verifies();
        ledger.run(&["views", "diff"]).ok();
        ledger.run(&["rollout", "show", "appointment-reminders"]).ok();
    }
    assert_eq!(ledger.entries().len(), paths.len() + 1);
}

#[test]
fn the_ledgers_own_events_are_refused_at_both_doors() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let count = ledger.entries().len();
    let own = [
        "rollout.ledger.opened.v1",
        "rollout.ledger.writer_opened.v1",
        "rollout.ledger.tail_cut.v1",
        "rollout.ledger.clock_stepped.v1",
        "rollout.ledger.moved.v1",
        "rollout.event.redacted.v1",
    ];
    for kind in own {
        let mut event = note(kind, "x");
        event["type"] = json!(kind);
        server.post(&event).problem(403, "own_door");
        ledger.append(&[event]).exits(7);
    }
    assert_eq!(ledger.entries().len(), count);
    server.stop();
    for kind in own {
        let mut event = note(kind, "x");
        event["type"] = json!(kind);
        ledger.append(&[event]).exits(7);
    }
    assert_eq!(ledger.entries().len(), count);
}

#[test]
fn a_sender_sets_no_attribute_of_the_intake_and_no_unknown_one() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    for name in ["salt", "authid", "authtype", "recordedvia", "datacontenttype", "mood"] {
        let mut event = note("a", "x");
        event[name] = json!("mine");
        server.post(&event).problem(422, "invalid_event");
        ledger.append(&[event]).exits(1).says("line 1");
    }
    for (name, value) in [("specversion", json!("0.3")), ("id", json!("")), ("data", json!(null))] {
        let mut event = note("a", "x");
        event[name] = value;
        assert_eq!(server.post(&event).status, 422, "{name}");
        event.as_object_mut().unwrap().remove(name);
        assert_eq!(server.post(&event).status, 422, "{name} absent");
    }
    server.stop();
    assert!(ledger.noted().is_empty());
}

#[test]
fn views_are_rebuilt_from_the_log_and_a_difference_is_shown() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 30)).ok();
    ledger.run(&["views", "rebuild"]).ok();
    ledger.run(&["views", "diff"]).ok();
    // Views that are ahead of the log prove that the log lost something.
    let other = Ledger::new();
    other.append(&notes("other", 30)).ok();
    other.run(&["views", "rebuild"]).ok();
    fs::remove_dir_all(ledger.dir.join("views")).unwrap();
    crate::harness::copy_dir(&other.dir.join("views"), &ledger.dir.join("views"));
    ledger.run(&["views", "diff"]).exits(3);
    ledger.verifies();
}
