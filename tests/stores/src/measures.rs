//! What is measured.

pub(crate) mod agree;
pub(crate) mod callers;
pub(crate) mod commits;
pub(crate) mod grown;
pub(crate) mod stops;
pub(crate) mod syncs;

use std::time::{Duration, Instant};

use crate::store::Fault;

/// How long something took that went well.
pub(crate) fn time<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<(T, Duration), Fault> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}
