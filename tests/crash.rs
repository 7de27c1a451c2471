//! The power goes at any moment: nothing that was acknowledged is lost, and the ledger starts again.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use serde_json::{Value, json};

use crate::harness::{
    Client, Ledger, PATIENCE, Server, ndjson, note, notes, segments, signal, wait,
};

/// Threads that send at once.
const SENDERS: usize = 6;

/// Sends notes from several threads until the server is gone, which `end` sees to once so many are
/// acknowledged. Returns the ids that were acknowledged with their hashes.
fn send_until(
    server: Server,
    round: usize,
    enough: usize,
    end: fn(Server),
) -> Vec<(String, Value)> {
    let (acknowledged, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let (reached, wait) = mpsc::channel();
    let (url, pid) = (server.url.clone(), server.pid());
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (acknowledged, count, reached) = (&acknowledged, &count, reached.clone());
            let client = Client::of(&url);
            scope.spawn(move || {
                for n in 0.. {
                    let id = format!("r{round}-s{sender}-{n}");
                    let Ok(answer) = client.try_post(&note(&id, "under load")) else { return };
                    // A stopping server may say so; it may not say 201 and forget.
                    if answer.status != 201 {
                        continue;
                    }
                    // The answer may break off behind its status.
                    let Ok(body) = serde_json::from_str::<Value>(&answer.text) else { return };
                    let hash = body["receipts"][0]["hash"].clone();
                    acknowledged.lock().unwrap().push((id, hash));
                    if count.fetch_add(1, Ordering::SeqCst) + 1 == enough {
                        reached.send(()).unwrap();
                    }
                }
            });
        }
        wait.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("process {pid} took nothing"));
        end(server);
    });
    acknowledged.into_inner().unwrap()
}

/// Asserts that each acknowledged event is there, under the hash of its receipt.
fn check_kept(ledger: &Ledger, acknowledged: &[(String, Value)]) {
    let entries = ledger.entries();
    let hashes: std::collections::HashMap<_, _> =
        entries.iter().map(|e| (e["event"]["id"].as_str().unwrap(), &e["hash"])).collect();
    for (id, hash) in acknowledged {
        assert_eq!(hashes.get(id.as_str()), Some(&hash), "{id} was acknowledged");
    }
}

#[test]
fn a_killed_server_keeps_what_it_acknowledged() {
    let ledger = Ledger::new();
    let mut acknowledged = Vec::new();
    for (round, enough) in [5, 60, 200, 1, 120].into_iter().enumerate() {
        let server = ledger.serve();
        acknowledged.extend(send_until(server, round, enough, |mut server| server.kill()));
        check_kept(&ledger, &acknowledged);
        ledger.run(&["verify"]).ok();
    }
    // It starts again, answers from up-to-date views, and knows the ids.
    let server = ledger.serve();
    server.ready();
    let answer = server.post(&note(&acknowledged[0].0, "under load"));
    assert_eq!((answer.status, &answer.json()["receipts"][0]["duplicate"]), (200, &json!(true)));
    server.stop();
    ledger.verifies();
    ledger.run(&["views", "diff"]).ok();
}

#[test]
fn a_stop_under_load_answers_what_it_took() {
    let ledger = Ledger::new();
    let mut acknowledged = Vec::new();
    for (round, enough) in [30, 150].into_iter().enumerate() {
        let server = ledger.serve();
        acknowledged.extend(send_until(server, round, enough, |server| drop(server.stop())));
        check_kept(&ledger, &acknowledged);
    }
    let report = ledger.verifies();
    assert!(report.get("torn").is_none(), "{report}");
    let floor = fs::read_to_string(ledger.dir.join("log/head")).unwrap();
    let seq = report["head"]["seq"].to_string();
    assert!(floor.starts_with(&format!("{seq} ")), "a clean stop writes the floor: {floor}");
}

#[test]
fn a_killed_append_keeps_its_receipts_and_is_sent_again_whole() {
    let ledger = Ledger::new();
    let events = notes("big", 30_000);
    let text = ndjson(&events);
    let mut heard = Vec::new();
    for receipts in [1, 3000, 9000] {
        let mut command = ledger.command(&["event", "append", "--output", "jsonl"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = text.clone();
        let writer = thread::spawn(move || {
            // It is killed while this is written.
            let _ = stdin.write_all(text.as_bytes());
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..receipts {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended before it was killed");
            let receipt: Value = serde_json::from_str(&line).unwrap();
            let seq = usize::try_from(receipt["seq"].as_u64().unwrap()).unwrap();
            heard.push((
                events[seq - 1]["id"].as_str().unwrap().to_owned(),
                receipt["hash"].clone(),
            ));
        }
        signal("KILL", child.id());
        drop(out);
        wait(child);
        writer.join().unwrap();
        check_kept(&ledger, &heard);
        ledger.run(&["verify"]).ok();
    }
    assert!(!ledger.dir.join("serve.json").exists());
    let again = ledger.append(&events).ok().lines();
    assert!(again.iter().any(|r| r["duplicate"] == true));
    let ids = ledger.noted();
    assert_eq!(ids.len(), events.len(), "each is there once, torn tails or not");
    check_kept(&ledger, &heard);
    ledger.verifies();
}

#[test]
fn a_restart_forgets_nothing() {
    let ledger = Ledger::new();
    let mut answers = Vec::new();
    for round in 0..4 {
        let server = ledger.serve();
        server.post(&json!(notes(&format!("round-{round}"), 20)));
        server.ready();
        answers.push(server.get("/api/v1/rollouts/trial/timeline").json()["data"].clone());
        if round % 2 == 0 {
            server.stop();
        }
        // Otherwise it is killed where it stands.
    }
    let rows: Vec<_> = answers.iter().map(|a| a.as_array().unwrap().clone()).collect();
    for pair in rows.windows(2) {
        assert_eq!(pair[1].len(), pair[0].len() + 20);
        assert_eq!(pair[1][..pair[0].len()], pair[0][..], "earlier answers still hold");
    }
    let timeline = ledger.run(&["rollout", "timeline", "trial", "--output", "jsonl"]).ok().lines();
    assert_eq!(timeline.len(), 80);
}

/// Kills a server that recorded ten notes one by one, so that its floor is below all of them. Its
/// views are not on the disk yet: had they read an entry, its loss would not pass for a torn tail.
fn killed() -> Ledger {
    let ledger = Ledger::new();
    let mut server = ledger.serve();
    for event in notes("n", 10) {
        assert_eq!(server.post(&event).status, 201);
    }
    server.kill();
    fs::remove_dir_all(ledger.dir.join("views")).unwrap();
    ledger
}

fn truncate(ledger: &Ledger, bytes: u64) {
    let file = fs::OpenOptions::new().write(true).open(ledger.newest_segment()).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size - bytes).unwrap();
}

#[test]
fn a_torn_tail_is_cut_kept_recorded_and_said() {
    // Bytes cut off the last commit, bytes written behind it, notes that remain.
    let garbage: Vec<u8> = (0..300_u32).map(|n| (n * 7 % 251) as u8).collect();
    let rows: [(u64, &[u8], usize); 6] = [
        (1, b"", 9),
        (50, b"", 9),
        (0, b"\0", 10),
        (0, &[0; 64], 10),
        (0, &garbage, 10),
        (9, b"overwritten", 9),
    ];
    for (cut, behind, remain) in rows {
        let ledger = killed();
        let segment = ledger.newest_segment();
        truncate(&ledger, cut);
        let mut file = fs::OpenOptions::new().append(true).open(&segment).unwrap();
        file.write_all(behind).unwrap();
        drop(file);
        let damaged = fs::read(&segment).unwrap();

        // Readers pass over it and change nothing.
        let report = ledger.verifies();
        let torn = usize::try_from(report["torn"]["bytes"].as_u64().unwrap()).unwrap();
        assert_eq!(ledger.noted().len(), remain, "{cut} {behind:?}");
        assert_eq!(fs::read(&segment).unwrap(), damaged);

        let server = ledger.serve();
        assert_eq!(server.post(&note("n-9", "said")).status, if remain == 9 { 201 } else { 200 });
        let said = server.stop();
        let entries = ledger.entries();
        let cuts: Vec<_> =
            entries.iter().filter(|e| e["event"]["type"] == "rollout.ledger.tail_cut.v1").collect();
        assert_eq!(cuts.len(), 1);
        let data = &cuts[0]["event"]["data"];
        assert_eq!(data["bytes"], torn);
        assert_eq!(data["first_seq"], report["torn"]["seq"]);
        let kept = data["kept_as"].as_str().unwrap();
        let bytes = fs::read(ledger.dir.join(kept)).unwrap();
        assert_eq!(bytes, damaged[damaged.len() - torn..], "{kept}");
        assert!(said.contains("torn"), "stderr tells of the cut: {said}");
        assert_eq!(ledger.noted().len(), 10);
        assert!(ledger.verifies().get("torn").is_none());
    }
}

#[test]
fn a_command_that_cuts_a_torn_tail_says_so_too() {
    let ledger = killed();
    truncate(&ledger, 3);
    ledger.append(&[note("next", "x")]).ok().says("torn");
    let types: Vec<_> = ledger.entries().iter().map(|e| e["event"]["type"].clone()).collect();
    assert_eq!(types.iter().filter(|t| *t == "rollout.ledger.tail_cut.v1").count(), 1);
}

#[test]
fn a_tail_that_the_views_have_read_is_no_torn_one() {
    let ledger = Ledger::new();
    let mut server = ledger.serve();
    server.post(&json!(notes("n", 10)));
    server.ready();
    let read = server.get("/api/v1/rollouts/trial/timeline").json()["as_of"]["seq"].clone();
    assert_eq!(read, 11);
    server.kill();
    ledger.run(&["views", "rebuild"]).ok();
    truncate(&ledger, 20);
    let command = ledger.command(&["serve", "--listen", "127.0.0.1:0"]);
    let Err(ran) = Server::try_start(command) else { panic!("it started with entries lost") };
    ran.exits(3).says("has lost entries");
}

#[test]
fn what_is_lost_below_the_floor_stops_the_start() {
    let ledger = Ledger::new();
    ledger.append(&notes("n", 10)).ok();
    let before = fs::read(ledger.newest_segment()).unwrap();
    // The last command ended well, so the floor is the head: nothing may be cut off.
    for cut in [1, 100, before.len() as u64 / 2, before.len() as u64] {
        fs::write(ledger.newest_segment(), &before).unwrap();
        truncate(&ledger, cut);
        let damaged = fs::read(ledger.newest_segment()).unwrap();
        let Err(ran) = Server::try_start(ledger.command(&["serve", "--listen", "127.0.0.1:0"]))
        else {
            panic!("it started with {cut} bytes lost");
        };
        ran.exits(3).says("entry");
        ledger.append(&[note("next", "x")]).exits(3);
        ledger.run(&["verify"]).exits(3);
        assert_eq!(fs::read(ledger.newest_segment()).unwrap(), damaged, "nothing is cut off");
    }
    // A lost segment file is loss too.
    fs::remove_file(&segments(&ledger.dir)[0]).unwrap();
    ledger.run(&["verify"]).exits(3);
    ledger.append(&[note("next", "x")]).exits(3);
}
