//! The process is killed with SIGKILL again and again, at its start, under load, while it seals a
//! segment, makes views or stops: each time every acknowledged event is there with its hash, and the
//! chain verifies. One ledger lives through all of it.
//!
//! `KILLS=N` sets how often, `KILLS_SEED=N` chooses the same moments and loads again. When exactly a
//! signal arrives is the system's affair, so a seed repeats what is tried and not each instant.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::harness::{
    Client, Ledger, PATIENCE, Server, ndjson, note, notes, segments, signal, wait,
};

/// Without `KILLS`.
const KILLS: u64 = 8;
/// Connections that send at once.
const SENDERS: usize = 4;
/// One round in so many fills a segment, which takes 64 MiB, until it is sealed.
const SEAL_EVERY: u64 = 40;
/// Four of them fit a request, and 37 requests a segment.
const LARGE_TEXT: usize = 450_000;

/// A number in the environment.
#[expect(clippy::disallowed_methods, reason = "a test is told by make how long to run")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// When the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Moment {
    /// Before or soon after it listens.
    Start,
    /// Once so many requests are answered, and a little later.
    Load,
    /// The same, while the views are asked for.
    Views,
    /// As soon as another segment is there.
    Seal,
    /// Soon after SIGTERM, under load.
    Stop,
    /// While `event append` reads.
    Append,
}

/// What was acknowledged: id, place, hash.
type Heard = Vec<(String, u64, String)>;

/// The ledger that lives through it, and all that it has promised.
struct Story {
    ledger: Ledger,
    chance: Chance,
    round: u64,
    /// The last entry that the check before has seen.
    head: u64,
    promised: HashMap<String, (u64, String)>,
    moments: HashMap<Moment, usize>,
    torn: usize,
}

/// The same notes about the rollout of this life: no real one has all events of a ledger.
fn of_life(round: u64, mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        event["subject"] = format!("trial-{round}").into();
    }
    events
}

/// Bodies that a sender sends: one event, an array, or NDJSON.
fn body(sender: u64, id: &str, large: bool, len: u64) -> (&'static str, Vec<Value>) {
    if large {
        let text = "x".repeat(LARGE_TEXT);
        return ("ndjson", (0..4).map(|n| note(&format!("{id}-{n}"), &text)).collect());
    }
    match sender % 3 {
        0 => ("one", vec![note(&format!("{id}-0"), "alone")]),
        1 => ("array", notes(id, usize::try_from(len).unwrap())),
        _ => ("ndjson", notes(id, usize::try_from(len).unwrap())),
    }
}

/// Sends one body; the receipts of what is recorded, or `None` once the server is gone.
fn send(client: &Client, kind: &str, events: &[Value]) -> Option<Heard> {
    let answer = match kind {
        "one" => client.try_post(&events[0]),
        "array" => client.try_post(&Value::Array(events.to_vec())),
        _ => client.try_post_as("application/x-ndjson", ndjson(events).as_bytes()),
    };
    let answer = answer.ok()?;
    // Also an answer that says no may hold the receipts of what was recorded before. One that
    // breaks off behind its status says nothing.
    let body: Value = serde_json::from_str(&answer.text).ok()?;
    let receipts = body["receipts"].as_array().cloned().unwrap_or_default();
    let heard = events.iter().zip(&receipts).map(|(event, receipt)| {
        let id = event["id"].as_str().unwrap().to_owned();
        (id, receipt["seq"].as_u64().unwrap(), receipt["hash"].as_str().unwrap().to_owned())
    });
    Some(heard.collect())
}

/// Waits so long, or until the process says on its standard output that it listens.
fn listens_within(child: &mut Child, time: Duration) -> bool {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let listens = out.read_line(&mut line).is_ok() && line.starts_with("listening");
        let _ = said.send(listens);
        let _ = out.read_to_string(&mut line);
    });
    heard.recv_timeout(time).unwrap_or(false)
}

/// Lets this much time pass, and does nothing that the process could notice.
fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        thread::yield_now();
    }
}

impl Story {
    fn new(seed: u64) -> Story {
        Story {
            ledger: Ledger::new(),
            chance: Chance(seed),
            round: 0,
            head: 0,
            promised: HashMap::new(),
            moments: HashMap::new(),
            torn: 0,
        }
    }

    fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.chance.below(most))
    }

    /// One life and its end; then the ledger is asked what it kept.
    fn live(&mut self, moment: Moment) {
        self.round += 1;
        *self.moments.entry(moment).or_default() += 1;
        let heard = match moment {
            Moment::Start => self.kill_at_start(),
            Moment::Append => self.kill_append(),
            _ => self.kill_under_load(moment),
        };
        self.check(moment, heard);
    }

    fn kill_at_start(&mut self) -> Heard {
        let time = self.micros(400_000);
        let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off"];
        let mut command = self.ledger.command(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        if listens_within(&mut child, time) {
            spin(self.micros(20_000));
        }
        child.kill().unwrap();
        wait(child);
        Vec::new()
    }

    fn kill_append(&mut self) -> Heard {
        let (receipts, prefix) = (1 + self.chance.below(3_000), format!("r{}", self.round));
        let events = of_life(self.round, notes(&prefix, 6_000));
        let mut command = self.ledger.command(&["event", "append", "--output", "jsonl"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().unwrap();
        let (mut stdin, text) = (child.stdin.take().unwrap(), ndjson(&events));
        let writer = thread::spawn(move || {
            // It is killed while this is written.
            let _ = stdin.write_all(text.as_bytes());
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut heard = Vec::new();
        let mut hear = |out: &mut BufReader<_>| {
            let mut line = String::new();
            let whole = out.read_line(&mut line).is_ok() && line.ends_with('\n');
            let receipt: Value = serde_json::from_str(&line).unwrap_or_default();
            if whole && let Some(seq) = receipt["seq"].as_u64() {
                let id = format!("{prefix}-{}", heard.len());
                heard.push((id, seq, receipt["hash"].as_str().unwrap().to_owned()));
            }
            whole
        };
        for _ in 0..receipts {
            assert!(hear(&mut out), "it ended before it was killed");
        }
        child.kill().unwrap();
        // What it had printed before counts too.
        while hear(&mut out) {}
        wait(child);
        writer.join().unwrap();
        heard
    }

    fn kill_under_load(&mut self, moment: Moment) -> Heard {
        let server = self.ledger.serve();
        let (heard, answered) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let enough = usize::try_from(1 + self.chance.below(60)).unwrap();
        let (len, later) = (1 + self.chance.below(60), self.micros(30_000));
        let (large, round) = (moment == Moment::Seal, self.round);
        let sealed = segments(&self.ledger.dir).len();
        thread::scope(|scope| {
            let (heard, answered) = (&heard, &answered);
            for sender in 0..SENDERS as u64 {
                let client = Client::of(&server.url);
                scope.spawn(move || {
                    for n in 0.. {
                        let id = format!("r{round}-s{sender}-{n}");
                        let (kind, events) = body(sender, &id, large, len);
                        let events = of_life(round, events);
                        let Some(receipts) = send(&client, kind, &events) else { return };
                        heard.lock().unwrap().extend(receipts);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            if moment == Moment::Views {
                let client = Client::of(&server.url);
                scope.spawn(
                    move || {
                        while client.try_get("/api/v1/rollouts/trial/timeline").is_ok() {}
                    },
                );
            }
            let begun = Instant::now();
            let reached = || match moment {
                Moment::Seal => segments(&self.ledger.dir).len() > sealed,
                _ => answered.load(Ordering::SeqCst) >= enough,
            };
            while !reached() {
                assert!(begun.elapsed() < PATIENCE * 5, "{moment:?}: the server took nothing");
                thread::yield_now();
            }
            if moment == Moment::Stop {
                signal("TERM", server.pid());
            }
            if moment != Moment::Seal {
                spin(later);
            }
            kill(server);
        });
        heard.into_inner().unwrap()
    }

    /// Every promise of this life is kept, and the whole chain leads to the newest of them.
    fn check(&mut self, moment: Moment, heard: Heard) {
        let what = format!("round {} ({moment:?})", self.round);
        let after = self.head.to_string();
        let list = ["event", "list", "--after", &after, "--all", "--output", "jsonl"];
        let entries = self.ledger.run(&list).ok().lines();
        let found = |entry: &Value| {
            let id = entry["event"]["id"].as_str().unwrap().to_owned();
            (id, (entry["seq"].as_u64().unwrap(), entry["hash"].as_str().unwrap().to_owned()))
        };
        let kept: HashMap<_, _> = entries.iter().map(found).collect();
        assert_eq!(kept.len(), entries.len(), "{what}: an id is recorded twice");
        for (id, seq, hash) in &heard {
            assert_eq!(kept.get(id), Some(&(*seq, hash.clone())), "{what}: {id} is promised");
        }
        let last = heard.iter().max_by_key(|(_, seq, _)| *seq);
        let head = last.map(|(_, seq, hash)| format!("{seq}:{hash}"));
        let mut args = vec!["verify", "--output", "json"];
        args.extend(head.iter().flat_map(|head| ["--head", head]));
        let report = self.ledger.run(&args).ok().json();
        assert_eq!(report["ok"], true, "{what}: {report}");
        self.torn += usize::from(report.get("torn").is_some());
        self.head = report["head"]["seq"].as_u64().unwrap();
        self.promised.extend(heard.into_iter().map(|(id, seq, hash)| (id, (seq, hash))));
    }

    /// All promises of all lives, each once; and views that are as if they were made anew.
    fn end(self) -> String {
        let mut kept = 0;
        for entry in self.ledger.entries() {
            let id = entry["event"]["id"].as_str().unwrap();
            if let Some((seq, hash)) = self.promised.get(id) {
                assert_eq!((&entry["seq"], &entry["hash"]), (&(*seq).into(), &hash.clone().into()));
                kept += 1;
            }
        }
        assert_eq!(kept, self.promised.len(), "each is there once");
        let server = self.ledger.serve();
        server.ready();
        server.stop();
        let report = self.ledger.verifies();
        assert!(report.get("torn").is_none(), "{report}");
        self.ledger.run(&["views", "diff"]).ok();
        let (round, moments, torn, last) =
            (self.round, &self.moments, self.torn, &report["head"]["seq"]);
        let files = segments(&self.ledger.dir).len();
        format!(
            "killed {round} times ({moments:?}): {kept} events acknowledged, the last entry is \
             {last}, {files} segments, {torn} torn tails",
        )
    }
}

/// `kill -9`, and its end is waited for.
fn kill(mut server: Server) {
    server.kill();
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let kills = setting("KILLS").unwrap_or(KILLS);
    let seed = setting("KILLS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("killing {kills} times: KILLS_SEED={seed}");
    let mut story = Story::new(seed);
    let moments = [Moment::Start, Moment::Load, Moment::Views, Moment::Stop, Moment::Append];
    for round in 0..kills {
        let by_chance = moments[usize::try_from(story.chance.below(5)).unwrap()];
        // A short run has one of each; a long one fills a segment now and then.
        let moment = match moments.get(usize::try_from(round).unwrap()) {
            Some(moment) => *moment,
            None if round % SEAL_EVERY == SEAL_EVERY - 1 => Moment::Seal,
            None => by_chance,
        };
        story.live(moment);
        if story.round.is_multiple_of(50) {
            println!("{} kills, {} entries", story.round, story.head + 1);
        }
    }
    println!("{}", story.end());
}
