//! What the processes and the tests of `tests/faults` share: the events that are sent, the history of what was
//! promised for them, and the rules that it is held against.

pub mod chance;
pub mod event;
pub mod history;
