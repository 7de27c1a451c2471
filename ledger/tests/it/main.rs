//! What the crate promises, seen from outside.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

mod log_contract;
mod stability;
mod story;
mod writer;
