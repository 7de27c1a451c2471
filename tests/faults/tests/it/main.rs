//! A ledger on Apache Kafka while brokers, networks and processes fail: T1 to T15, each with a seed and a bound.
//!
//! `FAULTS_SECONDS` is how long each story breaks things, `FAULTS_SEED` what it breaks and when. What every client was
//! told and every reader applied is written down, and held against the log in the end (`kafka_faults::history`).
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
mod intruders;
mod kills;
mod lost;
mod past;
mod projectors;
mod readers;
mod rivals;
mod service;
mod story;
