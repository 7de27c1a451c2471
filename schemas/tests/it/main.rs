//! Type = schema = fixture = example, for every event of the catalogue.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p schemas` writes the schemas and `docs/EVENTS.md` anew and makes
//! the fixtures that are missing. It never touches a fixture that is there: what was recorded in a
//! released form must be readable for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

mod agreement;
mod catalogue;
mod events_md;
mod files;
mod story;
mod vectors;
