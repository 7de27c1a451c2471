//! The limits of the histograms' buckets.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Seconds: from a read answered from memory to a wait that everyone notices.
const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

pub(super) fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// From one event to [`ledger::BATCH_LEN_MAX`], doubling.
pub(super) fn events() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 11))
}
