//! Subscribers: many idle ones, many live ones, one that reads nothing, and a stop under all that.

use std::path::Path;

pub(crate) fn run(_dir: &Path) {}
