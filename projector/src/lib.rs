//! Answers, folded from the ledger, disposable.

pub mod audit;
pub mod blanks;
pub mod checkpoints;
pub mod codec;
pub mod deviations;
pub mod flag_state;
pub mod index;
mod projection;
pub mod promises;
pub mod recorded;
pub mod report;
pub mod rollout;
pub mod schedule;
pub mod store;
pub mod timeline;
pub mod views;
