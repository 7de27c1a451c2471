//! The service.

pub mod flags;
pub mod guard;
pub mod plan;
pub mod pseudonym;
pub mod words;
