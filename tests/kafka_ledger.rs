//! A ledger whose log is a topic: made, written, read, served, joined, and refused.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, Server, feed, files, ndjson, note, notes},
    kafka_broker::{UNSAFE, cluster, fresh, joined, ledger, topic},
};

/// Sends events to `event append` as NDJSON.
fn append(ledger: &Ledger, events: &[Value]) -> crate::harness::Ran {
    let args = ["event", "append", "--output", "jsonl", UNSAFE];
    feed(&mut ledger.command(&args), ndjson(events).as_bytes())
}

fn serve(ledger: &Ledger) -> Server {
    let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    Server::start(ledger.command(&args))
}

#[test]
fn a_ledger_on_kafka_is_made_written_read_and_served() {
    let (ledger, address) = ledger();
    let file: Value =
        serde_json::from_slice(&fs::read(ledger.dir.join("log.json")).unwrap()).unwrap();
    assert_eq!(file["log"], address);
    assert!(!ledger.dir.join("log").exists());
    assert_eq!(fs::metadata(ledger.dir.join("log.json")).unwrap().mode() & 0o777, 0o600);

    let receipts = append(&ledger, &notes("a", 3)).ok().lines();
    // Entry 0 and who writes come before.
    assert_eq!(receipts[0]["seq"], 2);
    let again = append(&ledger, &notes("a", 4)).ok().lines();
    assert_eq!(again[0]["duplicate"], true);
    assert_eq!(again[0]["hash"], receipts[0]["hash"]);
    assert_eq!(again[3]["duplicate"], false);

    let server = serve(&ledger);
    let posted = server.post(&note("b", "over HTTP"));
    assert_eq!(posted.status, 201, "{posted:?}");
    // A command beside the server records through it.
    let through = append(&ledger, &[note("c", "through the server")]).ok().lines();
    let seq = through[0]["seq"].as_u64().unwrap();
    assert_eq!(posted.json()["receipts"][0]["seq"], seq - 1);
    server.ready();
    assert_eq!(server.get("/api/v1/rollouts/trial").status, 200);
    server.stop();

    let entries = ledger.entries();
    let home = &entries[0]["event"]["data"]["home"];
    let named = topic(&address);
    assert_eq!(home["kind"], "topic");
    assert_eq!(home["id"], json!(format!("{}/{named}", file["cluster"].as_str().unwrap())));
    assert_eq!(entries[0]["event"]["data"]["ledger_id"], file["ledger"]);
    assert!(entries[0]["event"]["data"]["durability"].as_str().unwrap().starts_with("kafka:"));
    let opened: Vec<_> = entries
        .iter()
        .filter(|entry| entry["event"]["type"] == "rollout.ledger.writer_opened.v1")
        .collect();
    assert_eq!(opened.len(), 3, "two commands and a server");
    let allowed = opened[0]["event"]["data"]["allowed"].as_array().unwrap();
    assert!(allowed.contains(&json!("replication factor")), "{allowed:?}");
    assert_eq!(ledger.noted(), ["a-0", "a-1", "a-2", "a-3", "b", "c"]);

    let report = ledger.verifies();
    assert_eq!(report["entries"], entries.len());
    let got = ledger.run(&["event", "get", "2", "--output", "json"]).ok().json();
    assert_eq!(got["event"]["id"], "a-0");
}

#[test]
fn what_could_lose_entries_is_refused_with_the_command_that_mends_it() {
    let (ledger, _) = ledger();
    let refused = ledger.append(&[note("x", "said")]).exits(7);
    let refused = refused.says("replication factor is 1 and must be 3");
    refused.says("kafka-reassign-partitions.sh --bootstrap-server").says("--allow-unsafe-kafka");
    let fresh_one = Ledger::absent();
    fresh_one.run(&["kafka", "init", &fresh()]).exits(7).says("has 1 of the 3 brokers");
    assert!(!fresh_one.dir.exists());
}

#[test]
fn another_machine_joins_with_the_ledgers_key_and_reads_and_writes() {
    let (ledger, address) = ledger();
    append(&ledger, &notes("a", 2)).ok();
    let (other, ran) = joined(&ledger, &address);
    ran.ok();
    assert_eq!(other.noted(), ["a-0", "a-1"]);
    append(&other, &notes("b", 1)).ok();
    assert_eq!(ledger.noted(), ["a-0", "a-1", "b-0"]);
    assert_eq!(ledger.verifies()["head"], other.verifies()["head"]);

    // The key of another ledger, and a topic that holds a ledger already.
    let stranger = Ledger::new();
    let (third, ran) = joined(&stranger, &address);
    ran.exits(5).says("another ledger's");
    assert!(!third.dir.exists());
    third.run(&["kafka", "init", &address, UNSAFE]).exits(5).says("kafka join");
}

#[test]
fn the_log_that_the_command_line_names_must_be_the_directorys() {
    let (ledger, address) = ledger();
    let other = fresh();
    ledger.run(&["--log", &address, "event", "list"]).ok();
    let refused = ledger.run(&["--log", &other, "event", "list"]).exits(5);
    refused.says(topic(&other)).says("--data-dir");
    let plain = Ledger::new();
    plain.run(&["--log", &address, "event", "list"]).exits(5).says("is in its log/");
    ledger.run(&["--log", "kafka://nowhere/", "event", "list"]).exits(2);

    // The same topic's name on another cluster.
    let file = ledger.dir.join("log.json");
    let mut says: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let right = says.clone();
    says["cluster"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
    fs::write(&file, says.to_string()).unwrap();
    ledger.run(&["event", "list"]).exits(5).says("is cluster");
    // The topic was made anew, or is another ledger's.
    says = right.clone();
    says["ledger"] = json!("00112233445566778899aabbccddeeff");
    fs::write(&file, says.to_string()).unwrap();
    ledger.run(&["event", "list"]).exits(3).says("do not write to it");
    fs::write(&file, right.to_string()).unwrap();
    ledger.run(&["event", "list"]).ok();
}

#[test]
fn a_record_that_is_gone_stops_the_next_start() {
    let (ledger, address) = ledger();
    append(&ledger, &notes("a", 2)).ok();
    let path = ledger.dir.join("state/anchor.json");
    let kept = fs::read_to_string(&path).unwrap();
    let anchor: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(anchor["seq"], 3);
    assert_eq!(anchor["topic"], topic(&address));

    let mut gone = anchor.clone();
    gone["offset"] = json!(anchor["offset"].as_u64().unwrap() + 1_000);
    let mut differs = anchor.clone();
    differs["hash"] = json!("00".repeat(32));
    for (wrong, says) in [(gone, "the topic ends at"), (differs, "is not 0000")] {
        fs::write(&path, wrong.to_string()).unwrap();
        let refused = [ledger.run(&["event", "list"]), append(&ledger, &[note("x", "said")])];
        for ran in refused {
            ran.exits(3).says(says).says("anchor.json").says("do not write to it");
        }
    }
    fs::write(&path, "{}").unwrap();
    ledger.run(&["event", "list"]).exits(3).says("move it away");
    fs::write(&path, kept).unwrap();
    ledger.run(&["event", "list"]).ok();
}

#[test]
fn a_cluster_that_does_not_answer_is_told_with_the_code_for_trying_again() {
    let _ = cluster();
    let absent = Ledger::absent();
    // Nobody listens on the discard port.
    let ran = absent.run(&["kafka", "init", "kafka://127.0.0.1:9/ledger.x", UNSAFE]).exits(75);
    ran.says("no broker of 127.0.0.1:9 answers");
    assert!(!absent.dir.exists());
}

#[test]
fn check_and_doctor_say_what_is_wrong_with_the_topic_and_what_mends_it() {
    let (ledger, address) = ledger();
    let asked = ledger.run(&["kafka", "check", "--output", "json"]).exits(7);
    let found = asked.says("settings could lose entries").json();
    assert_eq!(found["topic"], topic(&address));
    assert_eq!(found["brokers"], 1);
    assert_eq!(found["unknown"], json!([]));
    let settings: Vec<_> =
        found["refusals"].as_array().unwrap().iter().map(|r| r["setting"].clone()).collect();
    assert!(settings.contains(&json!("replication factor")), "{settings:?}");
    // Somebody sets what a ledger must not have; the printed command mends it.
    let alter = ["--entity-type", "topics", "--entity-name", topic(&address), "--alter"];
    let set = |config: &'static str| [alter.as_slice(), &["--add-config", config]].concat();
    cluster().tool("kafka-configs.sh", &set("retention.ms=1000000000"));
    let doctor = ledger.run(&["doctor", "--output", "json"]).exits(1).json();
    let checks = doctor["checks"].as_array().unwrap();
    let named = |name: &str| checks.iter().find(|check| check["check"] == name).unwrap();
    assert_eq!(named("brokers")["verdict"], "ok");
    assert_eq!(named("transactions")["verdict"], "ok");
    assert_eq!(named("log")["verdict"], "ok");
    assert_eq!(named("home")["verdict"], "ok");
    assert_eq!(named("writer")["verdict"], "ok");
    let wrong = checks
        .iter()
        .find(|check| check["finding"].as_str().unwrap().starts_with("retention.ms is 1000000000"));
    let remedy = wrong.unwrap()["remedy"].as_str().unwrap().trim_matches('`').to_owned();
    let mut words = remedy.split_whitespace();
    let tool = words.next().unwrap();
    cluster().tool(tool, &words.collect::<Vec<_>>());
    let again = ledger.run(&["kafka", "check"]).exits(7);
    assert!(!again.out.contains("retention.ms"), "{}", again.out);
    // A topic that is not there yet, without a directory.
    let absent = Ledger::absent();
    absent.run(&["kafka", "check", &fresh()]).exits(4).says("kafka init");
    Ledger::new().run(&["kafka", "check"]).exits(2);
}

#[test]
fn doctor_on_a_cluster_that_lost_a_record_ends_with_3() {
    let (ledger, _) = ledger();
    append(&ledger, &notes("a", 1)).ok();
    let path = ledger.dir.join("state/anchor.json");
    let mut anchor: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    anchor["offset"] = json!(1_000_000);
    fs::write(&path, anchor.to_string()).unwrap();
    let before = files(&ledger.dir);
    let ran = ledger.run(&["doctor"]).exits(3);
    assert!(ran.out.contains("was there, and the topic ends at"), "{}", ran.out);
    assert_eq!(files(&ledger.dir), before, "doctor writes nothing");
}

#[test]
fn every_command_works_on_a_topic_or_names_the_one_that_does() {
    let (ledger, address) = ledger();
    append(&ledger, &notes("a", 5)).ok();
    let stat = ledger.run(&["log", "stat", "--output", "json"]).ok().json();
    assert_eq!(stat["entries"], 7);
    assert_eq!(stat["topic"], topic(&address));
    // The log's own end is the end of the last transaction.
    assert_eq!(stat["decided_offset"], stat["end_offset"]);
    ledger.run(&["log", "stat"]).ok();

    // Out of the topic and into a directory, with the same entries.
    let lines = ledger.temp.path().join("ledger.jsonl");
    let lines = lines.to_str().unwrap();
    ledger.run(&["log", "export", "-o", lines]).ok().says("exported 7 entries");
    let copy = Ledger::absent();
    copy.run(&["log", "import", lines, "--to", copy.dir.to_str().unwrap()]).ok();
    assert_eq!(copy.entries(), ledger.entries());
    assert_eq!(copy.verifies()["head"], ledger.verifies()["head"]);

    let beside = ledger.temp.path().join("beside");
    let beside = beside.to_str().unwrap();
    ledger.run(&["backup", beside]).exits(2).says("rollout-ledger log copy");
    let dir = ledger.dir.to_str().unwrap();
    ledger.run(&["restore", dir, "--accept-loss"]).exits(2).says("a topic of Kafka");

    ledger.run(&["views", "rebuild"]).ok();
    ledger.run(&["views", "diff"]).ok();
    ledger.run(&["rollout", "list"]).ok();
    ledger.run(&["rollout", "timeline", "trial"]).ok();
    ledger.run(&["audit", "gaps"]).ok();
    ledger.run(&["schedule", "show"]).ok();
    let token = ["token", "create", "--for", "ci", "--scope", "events:read", "--expires", "P30D"];
    ledger.run(&[&token[..], &[UNSAFE]].concat()).ok();
    assert_eq!(ledger.run(&["token", "list", "--output", "jsonl"]).ok().lines().len(), 1);
    let made = ledger.entries();
    assert_eq!(made.last().unwrap()["event"]["type"], "rollout.token.created.v1");
    // The payload of an entry on a topic goes when the log is copied.
    let redact = ["event", "redact", "2", "--reason", "by law", UNSAFE];
    ledger.run(&redact).ok();
    let head = ledger.verifies();
    assert_eq!(head["redactions"][0]["erased"], false);
    let pinned = format!("{}:{}", head["head"]["seq"], head["head"]["hash"].as_str().unwrap());
    ledger.run(&["verify", "--head", &pinned, "--note"]).ok();
    let other = format!("{}:{}", head["head"]["seq"], "00".repeat(32));
    ledger.run(&["verify", "--head", &other]).exits(3);
}

/// A command that opened the log would shut the server out, which nobody on the other machine asked for.
#[test]
fn a_command_does_not_shut_out_the_server_of_another_machine() {
    let (ledger, address) = ledger();
    let (other, ran) = joined(&ledger, &address);
    ran.ok();
    let server = serve(&ledger);
    assert_eq!(server.post(&note("a", "said")).status, 201);
    let refused = append(&other, &[note("b", "said")]).exits(75);
    refused.says("1 server of this ledger is at work").says(&server.url);
    let doctor = other.run(&["doctor", "--output", "json"]).exits(1).json();
    let checks = doctor["checks"].as_array().unwrap();
    let writer = checks.iter().find(|check| check["check"] == "writer").unwrap();
    let finding = writer["finding"].as_str().unwrap();
    assert!(finding.contains("1 server is at work") && finding.contains(&server.url), "{finding}");
    // Reading shuts out nobody, and the server goes on.
    assert_eq!(other.noted(), ["a"]);
    assert_eq!(server.post(&note("c", "said")).status, 201);
    server.stop();
    append(&other, &[note("b", "said")]).ok();
    assert_eq!(ledger.noted(), ["a", "c", "b"]);
}
