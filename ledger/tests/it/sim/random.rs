//! Longer stories that chance tells: many starts, one fault in each, and any crash after it.
//!
//! `LEDGER_SIM_SEED` and `LEDGER_SIM_ROUNDS` tell the same again, or more of them.

use std::path::Path;

use crate::{
    chance::{Chance, setting},
    sim::{
        disk::{Fault, SimDisk},
        image::Image,
        table::scratch,
        truth::{Act, Known, Process},
    },
};

/// Stories that `cargo test` tells. `make soak` asks for many more.
const ROUNDS: u64 = 150;
/// Starts in a story, before the last one in which nothing fails.
const STARTS: usize = 6;
/// What is done in a start before the machine is stopped, if nothing fails.
const ACTS_MAX: usize = 14;

#[test]
fn what_was_acknowledged_survives_any_story() {
    let seed = Chance::seed("LEDGER_SIM_SEED");
    let rounds = setting("LEDGER_SIM_ROUNDS").unwrap_or(ROUNDS);
    println!("LEDGER_SIM_SEED={seed} LEDGER_SIM_ROUNDS={rounds}");
    let scratch = scratch();
    let mut told = Told::default();
    for seed in seed..seed + rounds {
        tell(scratch.path(), seed, &mut told);
    }
    println!("{told:?}");
    assert!(rounds < 100 || told.is_worth_something(), "{told:?}");
}

/// What the stories were about, so that a mistake in the machinery does not pass for success.
#[derive(Debug, Default)]
struct Told {
    openings: usize,
    crashes: usize,
    failures: usize,
    failed_starts: usize,
    torn: usize,
    doubts_stored: usize,
    entries: usize,
}

impl Told {
    fn note(&mut self, process: &Process) {
        let count = |what| process.found.iter().filter(|found| found.0.contains(what)).count();
        self.openings += process.found.len();
        self.torn += count("t");
        self.doubts_stored += count("+");
    }

    fn is_worth_something(&self) -> bool {
        let Told { openings, crashes, failures, failed_starts, torn, doubts_stored, entries } =
            self;
        [openings, crashes, failures, failed_starts, torn, doubts_stored, entries]
            .iter()
            .all(|count| **count > 0)
    }
}

/// Says on the way out of a failing test where in the story it was.
pub(super) struct SaidIfItFails {
    pub(super) place: String,
    pub(super) disk: SimDisk,
}

impl Drop for SaidIfItFails {
    #[expect(clippy::print_stdout, reason = "shown with the test that fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (len, last) = (self.disk.steps_len(), self.disk.steps().pop());
            println!("{}; the last of {len} steps was {last:?}", self.place);
        }
    }
}

fn tell(scratch: &Path, seed: u64, told: &mut Told) {
    let mut chance = Chance::of(seed);
    let (root, durable) = (scratch.join("story"), scratch.join("durable"));
    let (mut image, mut known) = (Image::empty(), Known::default());
    for start in 0..=STARTS {
        let disk = SimDisk::new(&root, &image);
        let place = format!("again: LEDGER_SIM_SEED={seed} LEDGER_SIM_ROUNDS=1; start {start}");
        let _said = SaidIfItFails { place, disk: disk.clone() };
        let mut process = Process::new(disk, &root, known);
        if start == STARTS {
            process.recover();
            process.close_and_cut_power(&durable);
            told.entries += process.known.hashes.len();
            return told.note(&process);
        }
        let faults = [Fault::Crash, Fault::Crash, Fault::Lost, Fault::Kept, Fault::Full];
        let fault = if chance.below(9) == 0 { Fault::Short } else { *chance.pick(&faults) };
        let within = *chance.pick(&[12, 60]);
        process.disk.fail_at(chance.below(within), fault);
        if live(&mut process, &mut chance).is_err() && !process.disk.crashed() {
            told.failures += 1;
            told.failed_starts += usize::from(!process.is_open());
            process.assert_poisoned();
            // The process ends, and another one works with what the cache shows.
            if chance.below(2) == 0 {
                process.recover();
                process.assert_durable(&durable);
                if chance.below(2) == 0 {
                    let _ = live(&mut process, &mut chance);
                }
            }
        }
        told.crashes += 1;
        told.note(&process);
        image = process.disk.any_image(&mut chance);
        known = process.known;
    }
}

/// What a process does until something fails, or it is enough.
fn live(process: &mut Process, chance: &mut Chance) -> Result<(), String> {
    process.act(Act::Stop)?;
    process.open_again()?;
    for _ in 0..chance.below(ACTS_MAX) {
        match chance.below(10) {
            0 | 1 => {
                let len = process.known.hashes.len().max(1);
                process.act(Act::Redact(chance.below(len) as u64))?;
            }
            2 => process.act(Act::Close)?,
            3 => {
                process.act(Act::Stop)?;
                process.open_again()?;
            }
            4 => {
                process.act(Act::Close)?;
                process.act(Act::Stop)?;
                process.open_again()?;
            }
            _ => process.act(Act::Commit(1 + chance.below(4)))?,
        }
    }
    Ok(())
}
