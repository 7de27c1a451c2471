//! What the crate promises of a log on Apache Kafka, on real brokers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

mod access;
mod asyncapi;
mod brokers;
mod copy;
#[path = "../it/copy_contract.rs"]
mod copy_contract;
mod doubt;
mod examples;
mod fencing;
mod foreign;
#[path = "../it/log_contract.rs"]
mod log_contract;
mod logs;
mod records;
mod refusals;
mod servers;
mod story;
mod tail;
