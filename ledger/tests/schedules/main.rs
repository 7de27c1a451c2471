//! The orders in which threads may run: `cargo test -p ledger --features shuttle --test schedules`.
//!
//! Each test runs a small story again and again, each time with other switches between its threads,
//! half of them at random and half with a few switches at the worst places (PCT). A thread that
//! would wait for ever is found as a deadlock. `SCHEDULES` is how many are tried of each kind, and
//! `SCHEDULES_SEED` tries the ones that a run has printed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic, and its seed be seen"
)]

mod follower;
mod queue;
mod shared;
mod watched;

use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};

/// Schedules of each kind for a test, unless `SCHEDULES` says otherwise: a few seconds for all.
const SCHEDULES: usize = 2_000;

/// Places in one schedule at which PCT switches against its priorities.
const DEPTH: usize = 3;

/// Tries a story under many schedules.
fn explore(name: &str, story: impl Fn() + Copy + Send + Sync + 'static) {
    let schedules = number("SCHEDULES").map_or(SCHEDULES, |n| usize::try_from(n).unwrap());
    let seed = number("SCHEDULES_SEED").unwrap_or_else(|| {
        use std::hash::{BuildHasher as _, RandomState};
        RandomState::new().hash_one(name)
    });
    println!("schedules of {name}: 2 x {schedules}, SCHEDULES_SEED={seed}");
    let mut config = Config::new();
    // The seed replays a failure; a schedule of its own would be pages long.
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let random = RandomScheduler::new_from_seed(seed, schedules);
    Runner::new(random, config.clone()).run(story);
    Runner::new(PctScheduler::new_from_seed(seed, DEPTH, schedules), config).run(story);
}

#[expect(clippy::disallowed_methods, reason = "how much to try is said from outside")]
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} wants a number, not {value}")))
}
