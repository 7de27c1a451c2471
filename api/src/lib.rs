//! The service.

pub mod flags;
pub mod pseudonym;
