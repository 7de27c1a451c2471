//! The service.

pub mod flags;
pub mod pseudonym;
pub mod words;
