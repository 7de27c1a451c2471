//! Answers, folded from the ledger, disposable.

pub mod codec;
pub mod flag_state;
pub mod index;
pub mod store;
