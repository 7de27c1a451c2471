//! Durable commits of 1, 64 and 1,024 events by one writer, the stores and a plain file in turns.

use std::{path::Path, time::Duration};

use crate::{
    events::events,
    measures::time,
    plain::Plain,
    report::{Results, percentile_us, rate},
    store::{Fault, Kind, Store},
};

/// Events a commit, rounds, and commits of each store in a round.
const SHAPES: [(usize, usize, usize); 3] = [(1, 20, 20), (64, 20, 10), (1_024, 15, 4)];

/// One of those that take turns.
struct Runner {
    kind: Kind,
    store: Box<dyn Store>,
    commits: Vec<Duration>,
    baseline: Vec<Duration>,
}

/// Measures every store in each shape.
pub(crate) fn measure(kinds: &[Kind], dir: &Path, results: &mut Results) -> Result<(), Fault> {
    let mut runners = Vec::new();
    for kind in kinds {
        let store = kind.open(&dir.join(kind.name()))?;
        let (commits, baseline) = (Vec::new(), Vec::new());
        runners.push(Runner { kind: *kind, store, commits, baseline });
    }
    let mut plain = Plain::create(&dir.join("plain"))?;
    for (len, rounds, turn) in SHAPES {
        for runner in &mut runners {
            runner.commits.clear();
            runner.baseline.clear();
        }
        for _ in 0..rounds {
            for runner in &mut runners {
                runner.turn(len, turn, &mut plain)?;
            }
        }
        for runner in &mut runners {
            runner.report(len, results);
        }
    }
    runners.into_iter().try_for_each(|runner| runner.store.close())
}

impl Runner {
    fn turn(&mut self, len: usize, commits: usize, plain: &mut Plain) -> Result<(), Fault> {
        for _ in 0..commits {
            let events = events(self.store.len(), len)?;
            let (receipts, elapsed) = time(|| self.store.append(events))?;
            if receipts.iter().any(|receipt| receipt.duplicate) {
                return Err("a new event was taken for a known one".into());
            }
            self.commits.push(elapsed);
            self.baseline.push(time(|| plain.append(len))?.1);
        }
        Ok(())
    }

    fn report(&mut self, len: usize, results: &mut Results) {
        let name = self.kind.name();
        let per_second = |commits: &[Duration]| {
            rate((commits.len() * len) as u64, commits.iter().sum::<Duration>())
        };
        let (ours, plain) = (per_second(&self.commits), per_second(&self.baseline));
        results.add((name, &format!("append_{len}")), "events/s", ours, plain);
        for percent in [50, 99] {
            let ours = percentile_us(&mut self.commits, percent);
            let plain = percentile_us(&mut self.baseline, percent);
            results.add((name, &format!("append_{len}_p{percent}")), "us/commit", ours, plain);
        }
    }
}
