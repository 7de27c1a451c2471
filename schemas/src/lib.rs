//! What can happen in a rollout, and how it is written down.
//!
//! A released event type never changes: its Rust type, its JSON Schema in `json/` and its golden
//! example in `fixtures/` are tested against each other. This crate knows nothing of storage.
//!
//! # Reading order
//!
//! - [`canonical`]: strict JSON in, canonical bytes out (RFC 8785 without floats).
//! - [`id`]: identifiers that are valid because they exist.
//! - [`values`]: what events are made of: exposures, quantities, occurrences, actors.
//! - [`event`]: the catalogue: one struct for each event, and [`Event`](event::Event) over them.
//! - [`envelope`]: the CloudEvents 1.0 envelope that every event travels in.
//! - [`stored`]: the same as a log holds it, read in one pass.
//! - [`schema`]: the JSON Schema of every event.

pub mod canonical;
pub mod envelope;
pub mod event;
pub mod id;
pub mod schema;
pub mod stored;
pub mod values;

pub use envelope::{CloudEvent, Envelope};
pub use event::Event;
pub use id::{FlagKey, RolloutId, StageKey};
pub use stored::Attributes;
