//! A ledger on Apache Kafka while brokers, networks and processes fail: T1 to T15, each with a seed and a bound.
//!
//! `FAULTS_SECONDS` is how long each story breaks things, `FAULTS_SEED` what it breaks and when. What every client was
//! told and every reader applied is written down in `target/faults/`, and held against the log in the end
//! (`kafka_faults::history`). The file stays where something was wrong, or with `FAULTS_KEEP=1`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails should panic, and its seed be seen"
)]

mod brokers;
mod clients;
mod clusters;
mod commits;
mod disks;
mod intruders;
mod kills;
mod lost;
mod past;
mod projectors;
mod readers;
mod rivals;
mod service;
mod story;
