//! Clients that ask at a fixed rate, whatever the server does.
//!
//! Each request has a moment at which it is due, and its latency runs from then, also when it was
//! sent late because every connection still waited: nothing is left out of what users would see.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Connections, each with a thread that blocks: as many requests may be under way.
const CONNECTIONS: usize = 48;

/// Latencies in the order of size.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn of(mut all: Vec<Duration>) -> Latencies {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort_unstable();
        Latencies(all)
    }

    pub(crate) fn join(mut self, other: Latencies) -> Latencies {
        self.0.extend(other.0);
        Latencies::of(self.0)
    }

    /// The latency that so many of 1,000 do not exceed, in milliseconds.
    pub(crate) fn per_mille(&self, rank: usize) -> f64 {
        let place = (self.0.len() * rank).div_ceil(1_000).max(1) - 1;
        self.0[place].as_secs_f64() * 1_000.0
    }
}

/// Asks for `paths`, in turn, so many times a second for so long.
pub(crate) fn ask(
    address: SocketAddr,
    paths: &[String],
    rate: usize,
    lasting: Duration,
) -> Latencies {
    let count = rate * lasting.as_millis() as usize / 1_000;
    let next = AtomicUsize::new(0);
    let begin = Instant::now() + Duration::from_millis(50);
    let due = |n: usize| begin + Duration::from_nanos((n * 1_000_000_000 / rate) as u64);
    let work = || {
        let mut connection = Connection::open(address);
        let mut latencies = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return latencies;
            }
            let due = due(n);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.get(&paths[n % paths.len()]);
            latencies.push(due.elapsed());
        }
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Latencies::of(all)
}

/// Asks for each path once, as fast as four connections go.
pub(crate) fn each_once(address: SocketAddr, paths: &Arc<Vec<String>>) -> Latencies {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut connection = Connection::open(address);
        let mut latencies = Vec::new();
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            connection.get(path);
            latencies.push(begun.elapsed());
        }
        latencies
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Latencies::of(all)
}

/// A connection that is kept: raw HTTP/1.1, answers with a length.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Connection { stream, buffer: vec![0; 64 * 1_024] }
    }

    /// Asks, and reads the whole answer, which is a success. Returns its size in bytes.
    pub(crate) fn get(&mut self, path: &str) {
        let asked = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.send(asked.as_bytes()).expect("an answer");
    }

    /// Records. The answer if it fits the buffer, or `None` when there is none or no success.
    pub(crate) fn post(&mut self, body: &str) -> Option<String> {
        let len = body.len();
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: localhost";
        let head = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {len}");
        let (start, end) = self.send(format!("{head}\r\n\r\n{body}").as_bytes())?;
        Some(String::from_utf8_lossy(self.buffer.get(start..end).unwrap_or_default()).into_owned())
    }

    /// Where the answer's body lies in the buffer.
    fn send(&mut self, request: &[u8]) -> Option<(usize, usize)> {
        self.stream.write_all(request).ok()?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).ok().filter(|n| *n > 0)?;
            filled += read;
            if let Some(found) = head_of(&self.buffer[..filled]) {
                break found;
            }
        };
        let success = self.buffer.starts_with(b"HTTP/1.1 20");
        let mut left = (head + length).saturating_sub(filled);
        while left > 0 {
            let room = if filled < self.buffer.len() { filled } else { head };
            let read = self.stream.read(&mut self.buffer[room..]).ok().filter(|n| *n > 0)?;
            filled = room + read;
            left = left.saturating_sub(read);
        }
        if !success {
            eprintln!("{}", String::from_utf8_lossy(&self.buffer[..filled]));
        }
        success.then_some((head, head + length))
    }
}

/// Where an answer's head ends and how long its body is, once the head is there.
fn head_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((end, length.expect("an answer with a length")))
}
