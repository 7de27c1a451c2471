//! Answers folded from the ledger, disposable.

pub mod flag_state;
