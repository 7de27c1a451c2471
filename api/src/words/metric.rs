//! A named number on one line: `Number of download clicks: 118`.

use schemas::values::Quantity;

use super::{Filled, filled, plain, quantity};

/// The name and the number of a row `name: number` or `name = number`. `None` when there is no
/// name or the number is still to come.
pub fn rows_of_metric(raw: &str) -> Option<(String, Quantity)> {
    let (name, value) = split(raw)?;
    let name = name.trim_start_matches(|c: char| c.is_whitespace() || "-•|".contains(c));
    let name = plain(name.get(list_number(name)..).unwrap_or(name));
    match filled(value) {
        Filled::Value(value) if !name.is_empty() => Some((name, quantity(value))),
        _ => None,
    }
}

/// How long the number of a list item is that the text begins with: `13. `.
fn list_number(text: &str) -> usize {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marked = text.get(digits..).is_some_and(|rest| rest.starts_with(". ") && digits > 0);
    if marked { digits + 2 } else { 0 }
}

/// Splits at the first colon or equals sign that separates: not in brackets, a URL, a time or
/// a comparison.
fn split(raw: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    let mut before = ' ';
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map_or(' ', |(_, next)| *next);
        let separates = match c {
            ':' => next != '/' && !(before.is_ascii_digit() && next.is_ascii_digit()),
            '=' => !"<>!=≤≥".contains(before) && !"=<>".contains(next),
            _ => false,
        };
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if separates && depth == 0 => {
                return Some((raw.get(..at)?, raw.get(at + 1..)?));
            }
            _ => {}
        }
        before = c;
    }
    None
}
