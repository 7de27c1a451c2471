//! What a player plays.

pub(crate) mod projector;
pub(crate) mod writer;

/// Why a player ends before it was told to.
pub(crate) type Ended = Box<dyn std::error::Error + Send + Sync>;

/// One node on this machine: what that could lose is allowed.
pub(crate) fn options(timeout_ms: u64) -> ledger::KafkaOptions {
    ledger::KafkaOptions {
        allow_unsafe: true,
        transaction_timeout: std::time::Duration::from_millis(timeout_ms),
        ..ledger::KafkaOptions::default()
    }
}
