//! Whether an answer about one rollout stays as fast while the ledger grows:
//! `cargo bench -p projector --bench current`, `-- 10000000` for another end than a million events.
//!
//! All rollouts are of one size, so only the ledger grows, ten times at each step. Each line is
//! `bench NAME VALUE us baseline VALUE ratio R target <= T`: the median of many answers, and beside
//! it the median with the first ledger, which is kept and asked in turns with the larger one. So a
//! ratio says what growing alone costs.
//!
//! - `row`: the row of a rollout, the rollouts in random order.
//! - `current`: where one of a few hundred rollouts is that were asked for before.
//! - `cold`: the same of a rollout of which nothing is kept: its events are read and folded. They
//!   are read once before, so that a disk slower than memory is not what is measured.
//! - `live`: 100 entries more, until the rows that they change are durable.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

#[path = "../data/mod.rs"]
#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod data;

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

use data::{BEGIN_US, Growing, padded};
use ledger::Log;
use projector::{
    rollout::Rollout,
    views::{Found, Views},
};
use schemas::RolloutId;

/// Events of the first ledger, to which the others are compared.
const FIRST: usize = 10_000;
/// Events of the last one unless an argument says otherwise.
const LAST: usize = 1_000_000;
/// Events of each rollout.
const ROLLOUT_LEN: usize = 100;
/// Rollouts that run at the same time.
const BESIDE: usize = 100;
const THREADS: usize = 2;
/// Between two events, in microseconds.
const PACE_US: i64 = 1_000_000;
/// Rollouts that are asked for again and again.
const WARM: usize = 100;
/// Entries of one live batch.
const LIVE_LEN: usize = 100;
/// How much slower than the first ledger an answer may be.
const TARGET: f64 = 1.2;

/// A ledger and its views.
struct Asked {
    growing: Growing,
    views: Views,
    dir: PathBuf,
    events: usize,
    /// The events of a rollout, in their order.
    templates: Vec<padded::Template>,
    /// The state of a generator of numbers, the same in each run.
    chance: u64,
}

fn main() {
    let last = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(LAST);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut first = Asked::new(&dir.path().join("first"));
    let mut large = Asked::new(&dir.path().join("large"));
    first.grow(FIRST);
    let mut events = FIRST;
    while events <= last {
        large.grow(events);
        large.start();
        first.start();
        measure("row", events, 20_000, &mut first, &mut large, Asked::row);
        measure("current", events, 4_000, &mut first, &mut large, Asked::current);
        measure("cold", events, 400, &mut first, &mut large, Asked::cold);
        measure("live", events, 40, &mut first, &mut large, Asked::live);
        let size = size(&large.dir.join("views"));
        let per_event = size as f64 / large.events as f64;
        println!("views_{events} {per_event:.0} bytes/event, resident {} MiB", resident_mib());
        events *= 10;
    }
}

fn measure(
    name: &str,
    events: usize,
    times: usize,
    first: &mut Asked,
    large: &mut Asked,
    ask: fn(&mut Asked) -> f64,
) {
    let (mut ours, mut baseline) = (vec![], vec![]);
    for _ in 0..times {
        baseline.push(ask(first));
        ours.push(ask(large));
    }
    let median = |mut us: Vec<f64>| {
        us.sort_by(f64::total_cmp);
        us[us.len() / 2]
    };
    let (ours, baseline) = (median(ours), median(baseline));
    let ratio = ours / baseline;
    println!(
        "bench {name}_{events} {ours:.1} us baseline {baseline:.1} ratio {ratio:.2} \
         target <= {TARGET}"
    );
}

impl Asked {
    fn new(dir: &Path) -> Asked {
        let growing = Growing::new(&dir.join("log"));
        let (views, _) = Views::open(&dir.join("views"), &growing.log).expect("new views");
        let templates = (0..ROLLOUT_LEN).map(padded::Template::of).collect();
        Asked { growing, views, dir: dir.to_owned(), events: 0, templates, chance: 1 }
    }

    /// Adds events until there are so many, and makes the rows again.
    fn grow(&mut self, events: usize) {
        self.push(events.saturating_sub(self.events));
        let (log, begin) = (&self.growing.log, Instant::now());
        self.views.rebuild(log, log.head(), THREADS).expect("a rebuild");
        let rate = self.events as f64 / begin.elapsed().as_secs_f64();
        println!("rebuilt {} events, {rate:.0} a second", self.events);
    }

    fn push(&mut self, len: usize) {
        for n in self.events..self.events + len {
            let at = BEGIN_US + n as i64 * PACE_US;
            // So many rollouts beside each other, then the next so many.
            let group = n / (BESIDE * ROLLOUT_LEN);
            let template = &self.templates[n / BESIDE % ROLLOUT_LEN];
            self.growing.push(template.payload(n, group * BESIDE + n % BESIDE, at), at);
        }
        self.growing.flush();
        self.events += len;
    }

    /// Opens the views as a start does, and asks once for what is then in memory.
    fn start(&mut self) {
        let log = &self.growing.log;
        let elsewhere = self.dir.join("empty");
        let closed = Views::open(&elsewhere, &ledger::MemoryLog::default()).expect("views").0;
        drop(std::mem::replace(&mut self.views, closed));
        let begin = Instant::now();
        let (views, found) = Views::open(&self.dir.join("views"), log).expect("the same views");
        assert_eq!(found, Found::Ready);
        views.catch_up(log, log.head(), THREADS).expect("nothing to do");
        println!(
            "opened views of {} events in {:.3} s",
            self.events,
            begin.elapsed().as_secs_f64()
        );
        self.views = views;
        for _ in 0..4 * WARM {
            self.current();
        }
    }

    fn row(&mut self) -> f64 {
        let id = id(self.random(self.rollouts()));
        self.timed(|asked| black_box(asked.views.rollout_row(&id).unwrap().value).is_some())
    }

    fn current(&mut self) -> f64 {
        let id = id(self.random(WARM.min(self.rollouts())));
        self.timed(|asked| {
            let log = &asked.growing.log;
            let rollout = asked.views.rollout(log, &id).unwrap().value.unwrap();
            !black_box(rollout.current()).rests_on.is_empty()
        })
    }

    fn cold(&mut self) -> f64 {
        let id = id(self.random(self.rollouts()));
        self.views.rollout_events(&self.growing.log, &id).unwrap();
        self.timed(|asked| {
            let events = asked.views.rollout_events(&asked.growing.log, &id).unwrap().value;
            !black_box(Rollout::fold(&events).current()).rests_on.is_empty()
        })
    }

    fn live(&mut self) -> f64 {
        self.push(LIVE_LEN);
        self.timed(|asked| {
            let log = &asked.growing.log;
            asked.views.catch_up(log, log.head(), THREADS).unwrap();
            asked.views.position().next == asked.events as u64
        })
    }

    fn timed(&mut self, ask: impl FnOnce(&mut Asked) -> bool) -> f64 {
        let begin = Instant::now();
        let answered = ask(self);
        let took = begin.elapsed();
        assert!(answered);
        took.as_secs_f64() * 1e6
    }

    /// Rollouts all of whose events are there.
    fn rollouts(&self) -> usize {
        self.events / (BESIDE * ROLLOUT_LEN) * BESIDE
    }

    fn random(&mut self, below: usize) -> usize {
        // A step of an xorshift generator.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance % below as u64).unwrap()
    }
}

fn id(rollout: usize) -> RolloutId {
    padded::rollout(rollout).parse().expect("an id")
}

fn size(dir: &Path) -> u64 {
    let sizes = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { size(&entry.path()) } else { meta.len() }
    });
    sizes.sum()
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
