//! Clients that ask at a fixed rate, whatever the server does.
//!
//! Each request has a moment at which it is due, and its latency runs from then, also when it was
//! sent late because every connection still waited: nothing is left out of what users would see.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::connection::Connection;

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
