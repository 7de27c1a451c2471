//! A ledger copied and moved between segments and topics: the same entries, one home, and the old one refuses.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, Ran, Server, copy_dir, feed, ndjson, note, notes, wait},
    kafka_broker::{self, UNSAFE, cluster, fresh, joined, topic},
};

/// A ledger in segments that has recorded something.
fn recorded(len: usize) -> Ledger {
    let ledger = Ledger::new();
    ledger.append(&notes("a", len)).ok();
    ledger
}

/// Sends events to a ledger on Kafka.
fn append(ledger: &Ledger, events: &[Value]) -> Ran {
    feed(&mut ledger.command(&["event", "append", UNSAFE]), ndjson(events).as_bytes())
}

fn copy(ledger: &Ledger, to: &str) -> Ran {
    ledger.run(&["log", "copy", "--to", to, UNSAFE, "--output", "json"])
}

fn move_to(ledger: &Ledger, to: &str) -> Ran {
    ledger.run(&["log", "move", "--to", to, UNSAFE, "--reason", "tried", "--output", "json"])
}

/// A server on a log that the ledger left, or a copy: it must not start.
#[track_caller]
fn refuses_to_serve(ledger: &Ledger, args: &[&str]) -> Ran {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    ledger.run(&[serve.as_slice(), args].concat()).exits(5)
}

/// The directory as it is now, elsewhere: as on a machine that heard nothing of a move.
fn kept(ledger: &Ledger) -> Ledger {
    let old = Ledger::absent();
    copy_dir(&ledger.dir, &old.dir);
    old
}

#[track_caller]
fn head(ledger: &Ledger) -> Value {
    ledger.verifies()["head"].clone()
}

/// Hash by hash, payload by payload.
fn hashes(entries: &[Value]) -> Vec<(Value, Value)> {
    entries.iter().map(|e| (e["hash"].clone(), e["event"].clone())).collect()
}

#[test]
fn a_copy_on_kafka_is_brought_up_to_date_and_is_no_home() {
    let (ledger, address) = (recorded(30), fresh());
    let before = ledger.entries();
    let first = copy(&ledger, &address).ok().json();
    assert_eq!((&first["entries"], &first["stored"]), (&json!(31), &json!(31)));
    ledger.append(&notes("b", 10)).ok();
    let second = copy(&ledger, &address).ok().json();
    assert_eq!((&second["entries"], &second["stored"]), (&json!(41), &json!(10)));
    assert_eq!(second["head"], head(&ledger));
    assert_eq!(ledger.entries()[..31], before, "the copy appends nothing");

    // Another ledger does not go there.
    let other = recorded(3);
    copy(&other, &address).exits(5).says("it holds another ledger");
    // The copy is nobody's home.
    let (reader, ran) = joined(&ledger, &address);
    ran.exits(5).says("is a copy and is read-only");
    assert!(!reader.dir.exists());
}

#[test]
fn a_move_to_kafka_takes_the_directory_along_and_the_old_log_refuses_writers() {
    let (ledger, address) = (recorded(40), fresh());
    let server = ledger.serve();
    server.ready();
    server.stop();
    let (entries, old_head) = (ledger.entries(), head(&ledger));
    let old = kept(&ledger);
    let moved = move_to(&ledger, &address).ok().json();
    assert_eq!(moved["entries"], json!(entries.len() + 1));
    assert!(ledger.dir.join("log.moved").is_dir() && !ledger.dir.join("log").exists());

    // The same entries, and one that says where to.
    let now = ledger.entries();
    assert_eq!(hashes(&now)[..entries.len()], hashes(&entries)[..]);
    let last = &now[entries.len()]["event"];
    assert_eq!(last["type"], "rollout.ledger.moved.v1");
    let log: Value =
        serde_json::from_slice(&fs::read(ledger.dir.join("log.json")).unwrap()).unwrap();
    let id = format!("{}/{}", log["cluster"].as_str().unwrap(), topic(&address));
    assert_eq!(last["data"]["to"], json!({ "kind": "topic", "id": id }));
    let known = format!("{}:{}", old_head["seq"], old_head["hash"].as_str().unwrap());
    ledger.run(&["verify", "--head", &known]).ok();

    // It goes on there.
    append(&ledger, &[note("after", "on Kafka")]).ok();
    assert_eq!(ledger.noted().len(), 41);
    // The views of before go on, too.
    let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    let server = Server::start(ledger.command(&args));
    server.ready();
    assert_eq!(server.get("/api/v1/rollouts/trial").status, 200);
    assert_eq!(server.post(&note("served", "on Kafka")).status, 201);
    server.stop();

    // The old segments end with the move, and a service on them names the new home.
    fs::remove_dir_all(old.dir.join("log")).unwrap();
    copy_dir(&ledger.dir.join("log.moved"), &old.dir.join("log"));
    refuses_to_serve(&old, &[]).says("moved to another home").says(&id);
    old.append(&[note("late", "to the old log")]).exits(5).says(&id);
    assert_eq!(old.entries().len(), entries.len() + 1, "it still reads");
    // And so does a directory that was made before, and then asked for the topic.
    refuses_to_serve(&old, &["--log", &address]).says("the log of");
}

#[test]
fn a_payload_redacted_on_kafka_goes_with_the_next_topic() {
    let ledger = recorded(20);
    let (first, second) = (fresh(), fresh());
    move_to(&ledger, &first).ok();
    append(&ledger, &[note("secret", "a name that must go")]).ok();
    let secret =
        ledger.entries().iter().find(|e| e["event"]["id"] == "secret").unwrap()["seq"].clone();
    let seq = secret.to_string();
    let redacted = ledger.run(&["event", "redact", &seq, "--reason", "by law", UNSAFE]).ok();
    redacted.says("the payload stays there").says("log move");
    assert_eq!(ledger.verifies()["redactions"][0]["erased"], false);
    let old = kept(&ledger);

    let moved = move_to(&ledger, &second).ok();
    let told = format!("--delete --topic {}", topic(&first));
    let object = moved.says(&told).json();
    assert_eq!(object["erased"], 1);
    let report = ledger.verifies();
    assert_eq!(report["redactions"][0]["seq"], secret);
    assert_eq!(report["redactions"][0]["erased"], true);
    let bytes = cluster().tool("kafka-topics.sh", &["--list"]);
    assert!(bytes.contains(topic(&first)), "nothing is deleted unasked");
    append(&ledger, &[note("next", "on the next topic")]).ok();

    // A machine that still has the old topic in its directory.
    refuses_to_serve(&old, &[]).says("moved to another home").says(topic(&second));
    append(&old, &[note("late", "to the old topic")]).exits(5).says(topic(&second));
    // There the same command only sets the directory right.
    let again = move_to(&old, &second).ok().json();
    assert_eq!(again["stored"], 0);
    append(&old, &[note("other", "from the other machine")]).ok();
    assert!(old.noted().contains(&"next".to_owned()));
    // A service that is told to use the old topic, and a new machine.
    refuses_to_serve(&ledger, &["--log", &first]).says("--log names topic");
    joined(&ledger, &first).1.exits(5).says("moved to another home");
}

/// The last entry of a topic tells who still follows it where the ledger went: nothing comes after it.
#[test]
fn a_topic_that_the_ledger_left_stays_as_it_ended() {
    let ((ledger, first), second) = (kafka_broker::ledger(), fresh());
    append(&ledger, &notes("a", 3)).ok();
    let (other, ran) = joined(&ledger, &first);
    ran.ok();
    let kept = kept(&other);
    let key = ledger.dir.join("keys/pseudonym.key");
    let joins = |dir: &Ledger, address: &str| {
        dir.run(&["kafka", "join", address, "--key", key.to_str().unwrap()])
    };
    move_to(&ledger, &second).ok();
    append(&ledger, &notes("b", 3)).ok();
    let ended = head(&other);

    let told = move_to(&ledger, &first).exits(5);
    told.says("has been this ledger's home before").says(topic(&second)).says("nothing was");
    copy(&ledger, &first).exits(5).says("home before").says(topic(&second));
    copy(&ledger, &second).exits(5).says("is the ledger's home");
    // Nor from a copy of it that is elsewhere.
    let back = Ledger::absent();
    copy(&ledger, back.dir.to_str().unwrap()).ok();
    copy(&back, &first).exits(5).says("home before");
    assert_eq!(head(&kept), ended, "nothing came after the move");
    assert_eq!(head(&other), ended);

    // So whoever knows the old topic alone still hears where to go, and gets there.
    joins(&Ledger::absent(), &first).exits(5).says("moved to another home").says(topic(&second));
    append(&other, &[note("late", "to the old topic")]).exits(5).says(topic(&second));
    move_to(&other, &second).ok();
    append(&other, &[note("c", "from the other machine")]).ok();
    assert_eq!(ledger.noted().len(), 7);
}

#[test]
fn a_ledger_goes_back_to_a_new_directory() {
    let (ledger, address) = (recorded(25), fresh());
    move_to(&ledger, &address).ok();
    append(&ledger, &notes("b", 5)).ok();
    let entries = ledger.entries();
    let back = Ledger::absent();
    let copied = copy(&ledger, back.dir.to_str().unwrap()).ok().json();
    assert_eq!(copied["entries"].as_u64().unwrap(), entries.len() as u64);
    back.append(&[note("x", "to a copy")]).exits(5).says("copy");
    assert_eq!(hashes(&back.entries()), hashes(&entries));

    append(&ledger, &notes("c", 5)).ok();
    move_to(&ledger, back.dir.to_str().unwrap()).ok();
    back.append(&[note("home", "again")]).ok();
    assert_eq!(back.noted().len(), 36);
    back.verifies();
    assert!(
        back.dir.join("keys/pseudonym.key").is_file() && !back.dir.join("backup.json").exists()
    );
    refuses_to_serve(&ledger, &[]).says("moved to another home, directory");
    // From segments to segments there are other commands.
    let nowhere = ledger.temp.path().join("nowhere");
    move_to(&back, nowhere.to_str().unwrap()).exits(2).says("backup");
}

#[test]
fn a_ledger_with_a_running_server_does_not_move() {
    let (ledger, address) = (recorded(3), fresh());
    let server = ledger.serve();
    copy(&ledger, &address).ok();
    move_to(&ledger, &address).exits(75).says("a server holds this directory; stop it");
    assert_eq!(server.post(&note("b", "goes on")).status, 201);
    server.stop();
    move_to(&ledger, &address).ok();
}

/// A topic cannot erase, and the law is not met by a move that takes the payload along.
#[test]
fn a_topic_that_was_copied_to_before_a_redaction_is_not_moved_to() {
    let (ledger, address) = (recorded(5), fresh());
    copy(&ledger, &address).ok();
    ledger.run(&["event", "redact", "2", "--reason", "by law"]).ok();
    move_to(&ledger, &address).exits(5).says("before it was redacted").says("nothing was moved");
    let copied = copy(&ledger, &address).ok();
    assert!(copied.json()["stored"].as_u64() > Some(0), "a refused move brings nothing");
    assert_eq!(copied.says("cannot erase them").json()["pending"], json!([2]));
    move_to(&ledger, &address).exits(5).says("before it was redacted").says("nothing was moved");
    ledger.append(&[note("b", "goes on")]).ok();
    assert_eq!(move_to(&ledger, &fresh()).ok().json()["erased"], 1);
    assert_eq!(ledger.verifies()["redactions"][0]["erased"], true);
}

/// It hears of the move when it writes.
#[test]
fn a_server_on_another_machine_is_shut_out_by_a_move_and_does_not_start_again() {
    let ((ledger, first), second) = (kafka_broker::ledger(), fresh());
    let (other, ran) = joined(&ledger, &first);
    ran.ok();
    let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    let server = Server::start(other.command(&args));
    server.ready();
    assert_eq!(server.post(&note("a", "before")).status, 201);
    move_to(&ledger, &second).ok();
    let answer = server.try_post(&note("b", "after"));
    assert!(answer.is_ok_and(|answer| answer.status != 201), "it is told that nothing is certain");
    server.ended().exits(75);
    refuses_to_serve(&other, &[]).says(topic(&second));
    assert_eq!(ledger.noted(), ["a"]);
}

/// As `docs/KAFKA.md` says under Disasters.
#[test]
fn a_topic_that_is_lost_is_made_good_from_a_copy() {
    let (ledger, first, second) = (recorded(5), fresh(), fresh());
    move_to(&ledger, &first).ok();
    append(&ledger, &notes("b", 3)).ok();
    let back = Ledger::absent();
    let dir = back.dir.to_str().unwrap();
    let head = copy(&ledger, dir).ok().json()["head"].clone();
    cluster().tool("kafka-topics.sh", &["--delete", "--topic", topic(&first)]);

    // Nobody is told to make another ledger under its name.
    let told = ledger.run(&["event", "list"]).exits(4).says("it was deleted").says("Disasters");
    assert!(!told.err.contains("kafka init"), "{}", told.err);

    // A copy is no home yet.
    move_to(&back, &second)
        .exits(5)
        .says("`rollout-ledger restore` makes this one the ledger's home");
    let known = format!("{}:{}", head["seq"], head["hash"].as_str().unwrap());
    back.run(&["restore", dir, "--head", &known, "--reason", "the topic is lost"]).ok();
    fs::create_dir_all(back.dir.join("keys")).unwrap();
    let key = "keys/pseudonym.key";
    fs::copy(ledger.dir.join(key), back.dir.join(key)).unwrap();
    move_to(&back, &second).ok();
    append(&back, &[note("c", "goes on")]).ok();
    assert_eq!(back.noted().len(), 9);
    let (other, ran) = joined(&back, &second);
    ran.ok();
    assert_eq!(other.noted().len(), 9);
}

/// Killed again and again, each time a little later, until one run gets through.
#[test]
fn a_move_that_is_killed_is_finished_by_the_same_command() {
    let ledger = recorded(6_000);
    for back in [false, true] {
        let (address, target) = (fresh(), Ledger::absent());
        let to = if back { target.dir.to_str().unwrap() } else { &address };
        let entries = ledger.entries();
        let mut kills = 0;
        for round in 1.. {
            let args = ["log", "move", "--to", to, UNSAFE];
            let mut child = ledger.command(&args).spawn().unwrap();
            let end = std::time::Instant::now() + Duration::from_millis(120) * round;
            let ended = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break Some(status);
                }
                if std::time::Instant::now() > end {
                    break None;
                }
                std::thread::yield_now();
            };
            if let Some(status) = ended {
                assert!(status.success(), "round {round}: {status}");
                break;
            }
            child.kill().unwrap();
            wait(child);
            kills += 1;
        }
        assert!(kills > 2, "killed {kills} times");
        let home = if back { &target } else { &ledger };
        let now = home.entries();
        assert_eq!(hashes(&now)[..entries.len()], hashes(&entries)[..]);
        let moves = |e: &&Value| e["event"]["type"] == "rollout.ledger.moved.v1";
        assert_eq!(now.iter().filter(moves).count(), if back { 2 } else { 1 });
        home.verifies();
        append(home, &[note(&format!("after-{back}"), "it goes on")]).ok();
    }
}

#[test]
fn a_copy_that_is_interrupted_says_how_to_go_on() {
    let (ledger, address) = (recorded(6_000), fresh());
    let mut command = ledger.command(&["log", "copy", "--to", &address, UNSAFE]);
    command.stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    // Its topic is there, so it has begun.
    while !cluster().tool("kafka-topics.sh", &["--list"]).contains(topic(&address)) {}
    crate::harness::signal("INT", child.id());
    let ran = Ran::of(child.wait_with_output().unwrap());
    if ran.code == Some(130) {
        ran.says("run the same command again, which goes on");
    }
    let done = copy(&ledger, &address).ok().json();
    assert_eq!(done["entries"], 6_001);
    assert!(Path::new(&ledger.dir).join("log").is_dir());
}
