//! The binary `rollout-ledger`.

fn main() {}
