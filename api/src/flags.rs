//! The log that a flag service keeps: from its exported table to events, and from events to the
//! answers of `flags list` and `flags show`.
//!
//! No address of a person leaves this module. Values of the actor gate become keyed pseudonyms,
//! staff become account ids or pseudonyms, and a row that holds an address anywhere else is refused
//! by its number and a rule; errors never repeat what a file says.

pub mod answer;
#[cfg(test)]
mod example_tests;
pub mod import;
pub mod read;
pub mod staff;
pub mod time;

pub use answer::{FlagLine, FlagShown, ShowError, list, show};
pub use import::{
    Conflict, ImportError, ImportPlan, KnownRow, KnownRows, Origin, Privacy, plan_import,
};
pub use read::{Export, ReadError, Row, read};
pub use staff::StaffMap;

/// The line that a record of a CSV file begins in, from 1. The reader's own position is where the
/// record before ended, line ends and empty lines still ahead.
fn csv_line(file: &[u8], before: Option<&csv::Position>) -> u64 {
    let Some(before) = before else { return 1 };
    let at = usize::try_from(before.byte()).unwrap_or(usize::MAX);
    let ends = file.iter().skip(at).take_while(|b| matches!(b, b'\r' | b'\n'));
    let skipped = ends.filter(|b| **b == b'\n').count();
    before.line() + u64::try_from(skipped).unwrap_or(0)
}

/// Whether a text holds something like an e-mail address: an `@`, plain or as in a URL, between
/// characters that addresses are made of. Rather too often than too seldom.
fn holds_address(text: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.\"[".contains(c);
    let text = text.replace("%40", "@");
    text.match_indices('@').any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + 1..).and_then(|t| t.chars().next());
        before.is_some_and(part) && after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::holds_address;

    #[test]
    fn addresses_are_seen_in_every_dress() {
        for (text, expected) in [
            ("pat@example.com", true),
            ("vets.user+226@example.com", true),
            ("to pat@localhost now", true),
            ("pat%40example.com", true),
            ("{\"Equal\":[\"élodie@exämple.com\"]}", true),
            ("\"a b\"@[10.0.0.1]", true),
            ("new_form_enabled", false),
            ("at @ noon", false),
            ("@handle", false),
            ("", false),
        ] {
            assert_eq!(holds_address(text), expected, "{text}");
        }
    }
}
