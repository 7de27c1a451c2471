//! Several servers on one topic: one records, the others answer, pass on and take over.

mod forged;
mod outage;
mod views;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, Client, Ledger, PATIENCE, SOURCE, Server, feed, ndjson, note, notes, signal,
    },
    kafka_broker::{UNSAFE, joined, ledger},
    tokens::{create, get},
};

/// Until another server records after the writer was killed: a session of 10 s, a rebalance and an
/// opening, on a machine that is busy with other tests.
const TAKE_OVER_MAX: Duration = Duration::from_secs(30);

/// The same after a writer that was told to stop: no session has to end.
const HAND_OVER_MAX: Duration = Duration::from_secs(9);

const OPENED: &str = "rollout.ledger.writer_opened.v1";

/// A ledger on Kafka with directories on two machines.
struct Two {
    first: Ledger,
    second: Ledger,
    address: String,
}

impl Two {
    fn new() -> Two {
        let (first, address) = ledger();
        let (second, ran) = joined(&first, &address);
        ran.ok();
        Two { first, second, address }
    }

    /// A third one.
    fn third(&self) -> Ledger {
        let (third, ran) = joined(&self.first, &self.address);
        ran.ok();
        third
    }

    /// Writes a record to the control topic, as anybody could who is let.
    fn posts(&self, record: &str) {
        let (brokers, topic) = self.address.trim_start_matches("kafka://").split_once('/').unwrap();
        let topic = format!("{topic}.control");
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-q", "-b", brokers, "-t", &topic, "-p", "0"]);
        feed(&mut kcat, record.as_bytes()).ok();
    }

    /// The entries that say that somebody writes from there on.
    fn opened(&self) -> Vec<u64> {
        let opened = |entry: &&Value| entry["event"]["type"] == OPENED;
        self.first.entries().iter().filter(opened).map(|e| e["seq"].as_u64().unwrap()).collect()
    }
}

fn serve(ledger: &Ledger, more: &[&str]) -> Server {
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    args.extend(more);
    Server::start(ledger.command(&args))
}

fn health(client: &Client) -> Value {
    client.try_get("/healthz").map_or(Value::Null, |answer| answer.json())
}

fn is_writer(client: &Client) -> bool {
    health(client)["role"] == "writer"
}

/// Waits until something is so, and says for how long it was not.
#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
    begun.elapsed()
}

/// The one entry with this id, as a server shows it when it holds `seq`.
#[track_caller]
fn shown(client: &Client, id: &str, seq: u64) -> Value {
    let answer = client.get(&format!("/api/v1/events?limit=500&min_seq={seq}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let as_of = answer.as_of.clone().unwrap();
    assert!(as_of.split(':').next().unwrap().parse::<u64>().unwrap() >= seq, "{as_of}");
    let mut found = answer.json()["data"].as_array().unwrap().clone();
    found.retain(|entry| entry["event"]["id"] == id);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[track_caller]
fn receipt(answer: &Answer, status: u16) -> (u64, bool) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let receipt = &answer.json()["receipts"][0];
    (receipt["seq"].as_u64().unwrap(), receipt["duplicate"].as_bool().unwrap())
}

#[test]
fn one_of_two_servers_writes_and_the_other_passes_on() {
    let two = Two::new();
    let writer = serve(&two.first, &[]);
    assert!(
        is_writer(&writer),
        "a server that is alone is the writer when it says that it listens"
    );
    let reader = serve(&two.second, &[]);
    writer.ready();
    reader.ready();
    assert_eq!(health(&reader)["role"], "standby");
    assert_eq!(health(&reader)["writer_known"], true);
    assert_eq!(reader.get("/readyz").json()["lag_records"], 0);
    for (client, role) in [(&writer, "writer"), (&reader, "standby")] {
        let text = client.get("/metrics").text;
        assert!(text.contains(&format!("rollout_ledger_role{{role=\"{role}\"}} 1\n")), "{text}");
        assert!(text.contains("rollout_ledger_writer_known 1\n"), "{text}");
    }

    // To the reader, and once however often and wherever it is sent again.
    let event = note("passed-on", "said to a reader");
    let (seq, duplicate) = receipt(&reader.post(&event), 201);
    assert!(!duplicate);
    assert_eq!(receipt(&writer.post(&event), 200), (seq, true));
    assert_eq!(receipt(&reader.post(&event), 200), (seq, true));
    for client in [&writer, &reader] {
        let entry = shown(client, "passed-on", seq);
        assert_eq!(entry["seq"], seq);
        assert_eq!(entry["event"]["authid"], "loopback");
        assert_eq!(entry["event"]["authtype"], "loopback");
    }
    // What the writer refuses, it refuses through the reader too, in the same words.
    let other = reader.post(&note("passed-on", "something else"));
    assert_eq!(
        other.problem(409, "conflict")["detail"],
        writer.post(&note("passed-on", "x")).json()["detail"]
    );
    reader.post(&json!({ "specversion": "1.0" })).problem(422, "invalid_event");
    let lines = ndjson(&notes("line", 3));
    let receipts = reader.post_as("application/x-ndjson", lines.as_bytes());
    assert_eq!(receipts.json()["receipts"].as_array().unwrap().len(), 3, "{}", receipts.text);

    // A command beside the reader, and an access token that only the reader's machine knows.
    let ran = two.second.append(&[note("command", "typed beside the reader")]).ok().lines();
    let by_command = shown(&writer, "command", ran[0]["seq"].as_u64().unwrap());
    assert_eq!(by_command["event"]["authtype"], "os_account");
    let token = create(&two.second, &[]);
    let asked = reader.agent().post(format!("{}/api/v1/events", reader.url));
    let asked = asked.header("authorization", format!("Bearer {}", token.text));
    let event = note("with-a-token", "said with a token");
    let answer = asked.header("content-type", "application/json").send(event.to_string());
    let (seq, _) = receipt(&Answer::of(answer.unwrap()), 201);
    let (answer, _) = get(&reader, &format!("/api/v1/events/{seq}?min_seq={seq}"), &token.text);
    let entry = answer.json();
    assert_eq!(entry["event"]["authid"], token.id, "{entry}");
    // The scope is looked at by the writer, whoever asks it.
    let foreign = json!({
        "specversion": "1.0", "id": "foreign", "source": SOURCE, "type": "rollout.bug.reported.v1",
        "subject": "trial", "data": { "bug": "b", "basis": "reported" },
    });
    let asked = reader.agent().post(format!("{}/api/v1/events", reader.url));
    let asked = asked.header("authorization", format!("Bearer {}", token.text));
    let answer = asked.header("content-type", "application/json").send(foreign.to_string());
    Answer::of(answer.unwrap()).problem(403, "scope_missing");
    // Now that a token was made, nobody is let in without one, on either machine.
    for client in [&writer, &reader] {
        until("the door is closed", || client.post(&note("late", "without a token")).status == 401);
    }

    reader.stop();
    writer.stop();
    let opened = two.opened();
    assert_eq!(opened.len(), 1, "the reader never opened the log for writing: {opened:?}");
    two.first.verifies();
    two.second.verifies();
}

#[test]
fn a_writer_that_is_killed_is_taken_over_from_and_nothing_acknowledged_is_lost() {
    let two = Two::new();
    let mut writer = serve(&two.first, &[]);
    let standby = serve(&two.second, &[]);
    let (stop, acknowledged, between) =
        (AtomicBool::new(false), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                let id = format!("n-{n}");
                // The same event until it is acknowledged, as a client does.
                loop {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let url = format!("{}/api/v1/events", standby.url);
                    let asked =
                        standby.agent().post(url).header("content-type", "application/json");
                    let response = asked.send(note(&id, "said").to_string()).unwrap();
                    let wait = response.headers().get("retry-after").is_some();
                    let answer = Answer::of(response);
                    if [200, 201].contains(&answer.status) {
                        let seq = answer.json()["receipts"][0]["seq"].as_u64().unwrap();
                        acknowledged.lock().unwrap().insert(id, seq);
                        break;
                    }
                    between.lock().unwrap().push((answer, wait));
                    thread::park_timeout(Duration::from_millis(50));
                }
            }
        });
        let count = || acknowledged.lock().unwrap().len();
        until("some are recorded", || count() >= 20);
        writer.kill();
        let killed = Instant::now();
        until("the other one is the writer", || is_writer(&standby));
        let before = count();
        until("it records", || count() > before);
        let took = killed.elapsed();
        until("it records more", || count() > before + 10);
        stop.store(true, Ordering::Relaxed);
        took
    });
    eprintln!("took over in {took:?}");
    assert!(took < TAKE_OVER_MAX, "{took:?}");
    let between = between.into_inner().unwrap();
    assert!(between.iter().any(|(answer, _)| answer.status == 503), "{between:?}");
    for (answer, wait) in between {
        match answer.status {
            503 => {
                answer.problem(503, "no_writer");
                assert!(wait, "a client is told how long to wait");
            }
            _ => drop(answer.problem(502, "in_doubt")),
        }
    }
    standby.stop();
    let entries = two.second.entries();
    for (id, seq) in acknowledged.into_inner().unwrap() {
        let same: Vec<_> = entries.iter().filter(|e| e["event"]["id"] == *id).collect();
        assert_eq!(same.len(), 1, "{id}");
        assert_eq!(same[0]["seq"], seq);
    }
    assert_eq!(two.opened().len(), 2);
    two.second.verifies();
}

#[test]
fn a_writer_that_slept_ends_and_writes_nothing_after_the_one_that_took_over() {
    let two = Two::new();
    let first = serve(&two.first, &[]);
    let second = serve(&two.second, &[]);
    receipt(&first.post(&note("before", "said")), 201);
    signal("STOP", first.pid());
    let took = until("the other one is the writer", || is_writer(&second));
    eprintln!("took over from a sleeping writer in {took:?}");
    receipt(&second.post(&note("meanwhile", "said")), 201);
    // A client that reaches the sleeping one is heard when it wakes.
    let late = thread::scope(|scope| {
        let late = scope.spawn(|| first.try_post(&note("late", "said to the sleeping one")));
        thread::park_timeout(Duration::from_millis(500));
        signal("CONT", first.pid());
        late.join().unwrap()
    });
    let ran = first.ended();
    let ran = ran.exits(75).says("another writer has taken the log over");
    drop(ran);
    receipt(&second.post(&note("after", "said")), 201);
    second.stop();
    let entries = two.second.entries();
    let opened = *two.opened().last().unwrap();
    let after: Vec<_> = entries.iter().filter(|e| e["seq"].as_u64().unwrap() > opened).collect();
    let ids: Vec<_> = after.iter().map(|e| e["event"]["id"].as_str().unwrap()).collect();
    match late {
        // It may have been passed on to the new writer before the old one ended.
        Ok(answer) if answer.status == 201 => assert_eq!(ids, ["meanwhile", "late", "after"]),
        _ => assert_eq!(ids, ["meanwhile", "after"]),
    }
    assert_eq!(two.opened().len(), 2, "it did not take the log back");
    two.second.verifies();
}

#[test]
fn a_writer_that_is_told_to_stop_hands_over_at_once() {
    let two = Two::new();
    let first = serve(&two.first, &[]);
    let second = serve(&two.second, &[]);
    let third = two.third();
    let only_reads = serve(&third, &["--standby", "off"]);
    assert_eq!(health(&only_reads)["role"], "reader");
    receipt(&only_reads.post(&note("a", "said")), 201);
    let begun = Instant::now();
    first.stop();
    until("the other one is the writer", || is_writer(&second));
    let took = begun.elapsed();
    eprintln!("handed over in {took:?}");
    assert!(took < HAND_OVER_MAX, "{took:?}");
    until("the reader finds the new writer", || only_reads.post(&note("b", "said")).status == 201);
    // Back again, it stands by, and the place does not move.
    let back = serve(&two.first, &[]);
    back.ready();
    assert_eq!(health(&back)["role"], "standby");
    assert!(is_writer(&second));
    // Whoever never stands by is not the writer when there is none.
    back.stop();
    second.stop();
    only_reads.post(&note("c", "said")).problem(503, "no_writer");
    assert_eq!(only_reads.get("/api/v1/events?min_seq=1").status, 200, "it answers questions");
    assert_eq!(health(&only_reads)["role"], "reader");
    only_reads.stop();
}

#[test]
fn an_address_that_others_cannot_reach_is_not_told() {
    let (ledger, _) = ledger();
    let listen = ["serve", "--listen", "127.0.0.1:0", UNSAFE];
    for (url, says) in [
        ("http://0.0.0.0:8080", "nobody else can reach"),
        ("ledger-1.example:8080", "wants http:// or https://"),
    ] {
        let args = [&listen[..], &["--advertise", url]].concat();
        ledger.run(&args).exits(2).says(says);
    }
    let server = serve(&ledger, &[]);
    create(&ledger, &[]);
    server.stop();
    ledger.run(&["serve", "--listen", "0.0.0.0:0", UNSAFE]).exits(2).says("--advertise");
}
