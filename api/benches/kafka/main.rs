//! From a `POST` to a subscriber's receipt on Apache Kafka: `cargo bench -p api --bench kafka`.
//!
//! One broker and the real binary, which this starts. A client records one event after another; a subscriber of the
//! server's stream sees each. The baseline is the same on segments, in turns.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

#[path = "../load/connection.rs"]
mod connection;
#[path = "../load/process.rs"]
mod process;

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use connection::Connection;
use kafka_cluster::{Cluster, Options};
use process::{Server, binary};

/// Events that are recorded, after some that are not counted.
const EVENTS: usize = 300;
const FIRST: usize = 20;
/// Events in a row on one of the two logs before it is the other's turn.
const TURN: usize = 20;
/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cluster = Cluster::start(&Options::default());
    let topic = format!("kafka://{}/ledger.events", cluster.bootstrap());
    let one_broker = "--allow-unsafe-kafka";
    let mut kafka = Ledger::start(
        &dir.path().join("kafka"),
        &["kafka", "init", &topic, one_broker],
        &[one_broker],
    );
    let mut segments = Ledger::start(&dir.path().join("segments"), &["init"], &[]);
    let mut turns = (0..FIRST + EVENTS).peekable();
    while turns.peek().is_some() {
        let turn: Vec<_> = turns.by_ref().take(TURN).collect();
        for ledger in [&mut kafka, &mut segments] {
            for n in &turn {
                ledger.record(*n);
            }
        }
    }
    for (name, pick) in [("answered", 0), ("received", 1)] {
        for of_1000 in [500, 990] {
            let (ours, baseline) =
                (kafka.per_mille(pick, of_1000), segments.per_mille(pick, of_1000));
            let name = format!("kafka_post_{name}_p{}", of_1000 / 10);
            println!(
                "bench {name} {ours:.1} ms baseline {baseline:.1} ratio {:.2}",
                ours / baseline
            );
        }
    }
    kafka.server.stop();
    segments.server.stop();
}

/// A server, who records, and who looks at the stream.
struct Ledger {
    server: Server,
    client: Connection,
    /// When each event came to the subscriber.
    arrivals: Receiver<Instant>,
    /// From sending to the answer, and to the subscriber.
    took: Vec<[Duration; 2]>,
}

impl Ledger {
    fn start(dir: &Path, init: &[&str], serve: &[&str]) -> Ledger {
        let made = Command::new(binary()).args(init).arg("--data-dir").arg(dir).status().unwrap();
        assert!(made.success(), "a ledger is made");
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", "--data-dir"]);
        command.arg(dir).args(serve);
        command.stderr(File::create(dir.with_extension("log")).unwrap());
        let server = Server::start(command);
        let begun = Instant::now();
        while !server.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < PATIENCE, "the server is not ready");
            thread::sleep(Duration::from_millis(20));
        }
        let arrivals = subscribe(&server);
        Ledger { client: Connection::open(server.address), server, arrivals, took: Vec::new() }
    }

    fn record(&mut self, n: usize) {
        let event = format!(
            r#"{{"specversion":"1.0","id":"{n}","source":"bench","type":"rollout.note.added.v1","subject":"bench","data":{{"basis":"reported","text":"note {n}"}}}}"#
        );
        let begun = Instant::now();
        self.client.post(&event).expect("it is recorded");
        let answered = begun.elapsed();
        let received = self.arrivals.recv_timeout(PATIENCE).expect("it comes") - begun;
        if n >= FIRST {
            self.took.push([answered, received]);
        }
    }

    fn per_mille(&self, pick: usize, rank: usize) -> f64 {
        let mut all: Vec<_> = self.took.iter().map(|took| took[pick]).collect();
        all.sort_unstable();
        all[(all.len() - 1) * rank / 1_000].as_secs_f64() * 1e3
    }
}

/// Tells of each note that comes over a stream of the server.
fn subscribe(server: &Server) -> Receiver<Instant> {
    let mut socket = TcpStream::connect(server.address).unwrap();
    write!(socket, "GET /api/v1/events/stream?after=head HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(socket).lines();
    // The position comes when the stream is live.
    assert!(lines.by_ref().any(|line| line.unwrap().starts_with("event: position")));
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line == "event: rollout.note.added.v1" && tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    told
}
