//! The fuzzer's targets on inputs that a seed decides: a sample of what `make fuzz` does for hours.
//!
//! `FUZZ_SEED=N` replays a run; `FUZZ_RUNS=N` makes it longer.

#[path = "../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "the same file is a library of its own")]
mod targets;

use crate::chance::{Chance, setting};

/// Inputs that each target gets.
const RUNS: u64 = 400;
/// A longer input tries nothing that a shorter one does not.
const INPUT_SIZE_MAX: usize = 16 * 1024;

/// Gives a target its seeds as they are, and then changed at random.
#[expect(clippy::print_stdout, reason = "whoever sees it fail replays the seed")]
fn exercise(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    for seed in seeds {
        target(seed);
    }
    let seed = Chance::seed("FUZZ_SEED");
    let runs = setting("FUZZ_RUNS").unwrap_or(RUNS);
    println!("fuzzing {name}: {runs} inputs, FUZZ_SEED={seed}");
    for run in 0..runs {
        let mut chance = Chance::of(seed.wrapping_add(run));
        let mut input = chance.pick(seeds).clone();
        for _ in 0..=chance.below(6) {
            change(&mut input, seeds, &mut chance);
        }
        input.truncate(INPUT_SIZE_MAX);
        let done = std::panic::catch_unwind(|| target(&input));
        assert!(done.is_ok(), "replay it: FUZZ_SEED={} FUZZ_RUNS=1", seed.wrapping_add(run));
    }
}

/// One change, as a fuzzer makes them.
fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let end = (at + 1 + chance.below(200)).min(input.len());
    match chance.below(7) {
        0 => input.extend_from_within(at.min(end)..end),
        1 => drop(input.drain(at.min(end)..end)),
        2 => {
            let other = chance.pick(seeds);
            let from = chance.below(other.len());
            let piece = &other[from..(from + 1 + chance.below(1_000)).min(other.len())];
            input.splice(at..at, piece.iter().copied());
        }
        3 => input.truncate(at),
        4 => {
            let byte = *chance.pick(&[0, 1, 0x7f, 0x80, 0xff]);
            input[at.min(end)..end].iter_mut().take(8).for_each(|old| *old = byte);
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
    }
}

#[test]
fn the_frame_decoder_takes_any_bytes() {
    exercise("frame", &targets::seeds::frame_seeds(), targets::frame);
}

#[test]
fn a_directory_may_hold_anything() {
    exercise("open", &targets::seeds::open_seeds(), targets::open);
}
