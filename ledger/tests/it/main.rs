//! What the crate promises, seen from outside.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

mod agreement;
mod canonical;
mod chance;
mod copy;
mod copy_contract;
mod crash;
mod flips;
mod forge;
mod fuzz;
mod index;
mod liars;
mod log_contract;
mod logs;
mod manifest;
mod manipulations;
mod opening;
mod queue;
mod sim;
mod slow;
mod stability;
mod story;
mod tamper;
mod writer;
