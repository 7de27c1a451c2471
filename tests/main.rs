//! The product from outside: one story a file, each on the real binary with a directory of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails should panic, and says on stderr what it could not do"
)]

mod alike;
mod audit;
mod backup;
mod checkpoints;
mod consumers;
mod contract;
mod crash;
mod doctor;
mod documented;
mod faults;
mod harness;
mod http;
mod kafka_access;
mod kafka_broker;
mod kafka_ledger;
mod kafka_roles;
mod kept;
mod kills;
mod limits;
mod metrics;
mod moves;
mod openapi;
mod operate;
mod plans;
mod privacy;
mod query;
mod reading;
mod record;
mod restore;
mod signals;
mod space;
mod story;
mod stream;
mod tamper;
mod tidy;
mod tokens;
mod webhooks;
