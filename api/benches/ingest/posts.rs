//! `POST /api/v1/events` over loopback to the real binary: one event, an array, NDJSON.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    FRAME_OVERHEAD, Latencies, PAYLOAD_SIZE, connection::Connection, plain::Plain, process::Server,
    report,
};

/// Clients, each with a connection that is kept, and a request at a time.
const CLIENTS: usize = 16;
/// Turns that clients and plain file take.
const ROUNDS: usize = 6;

/// One way to send events.
struct Way {
    name: &'static str,
    content_type: &'static str,
    /// Events a request, and requests of each client in a turn.
    len: usize,
    requests: usize,
}

const WAYS: [Way; 3] = [
    Way { name: "post_one", content_type: "application/json", len: 1, requests: 60 },
    Way { name: "post_array", content_type: "application/json", len: 100, requests: 6 },
    Way { name: "post_ndjson", content_type: "application/x-ndjson", len: 1_000, requests: 1 },
];

pub(crate) fn run(dir: &Path) {
    let data = dir.join("posts");
    api::engine::init(&data, None).unwrap();
    let server = Server::of(&data, &dir.join("serve.log"));
    let mut plain = Plain::create(&dir.join("plain"));
    for way in &WAYS {
        measure(&server, &mut plain, way);
    }
    server.stop();
}

fn measure(server: &Server, plain: &mut Plain, way: &Way) {
    let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
    let (mut latencies, mut all_commits) = (Latencies::default(), 0);
    let events = CLIENTS * way.requests * way.len;
    for round in 0..ROUNDS {
        let before = commits(server);
        let bodies = |client| (0..way.requests).map(move |n| body(way, round, client, n)).collect();
        let prepared: Vec<Vec<String>> = (0..CLIENTS).map(bodies).collect();
        let begun = Instant::now();
        let took = thread::scope(|scope| {
            let send = |bodies: Vec<String>| scope.spawn(|| send_all(server, way, bodies));
            let clients: Vec<_> = prepared.into_iter().map(send).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        ours += begun.elapsed();
        latencies.0.extend(took);
        let reached = commits(server) - before;
        all_commits += reached;
        let size = events * (PAYLOAD_SIZE + FRAME_OVERHEAD) / reached;
        baseline += plain.commits(reached, size).iter().sum::<Duration>();
    }
    let events = events * ROUNDS;
    report(way.name, events, ours, baseline, None);
    println!("{}: {all_commits} commits of {} events on average", way.name, events / all_commits);
    latencies.report(way.name);
}

fn send_all(server: &Server, way: &Way, bodies: Vec<String>) -> Vec<Duration> {
    let mut connection = Connection::open(server.address);
    let send = |body: String| {
        let begun = Instant::now();
        connection.post_as(way.content_type, &body).expect("it is recorded");
        begun.elapsed()
    };
    bodies.into_iter().map(send).collect()
}

/// How many commits the server has made.
fn commits(server: &Server) -> usize {
    let metrics = server.get("/metrics");
    let count = metrics.lines().find_map(|line| {
        line.strip_prefix("rollout_ledger_commit_seconds_count ")?.trim().parse().ok()
    });
    count.expect("the server counts its commits")
}

fn body(way: &Way, round: usize, client: usize, n: usize) -> String {
    let event = |m: usize| {
        // What the intake adds makes it the size of the others.
        let text = "words ".repeat(PAYLOAD_SIZE / 20);
        json!({
            "specversion": "1.0", "id": format!("{}-{round}-{client}-{n}-{m}", way.name),
            "source": "https://bench.example/ingest", "type": "rollout.note.added.v1",
            "subject": "bench-posts", "data": { "text": text.trim_end(), "basis": "observed" },
        })
        .to_string()
    };
    let events: Vec<_> = (0..way.len).map(event).collect();
    match way.content_type {
        "application/x-ndjson" => events.join("\n"),
        _ if way.len == 1 => events.concat(),
        _ => format!("[{}]", events.join(",")),
    }
}
