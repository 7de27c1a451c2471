//! The words people write in release plans and on the command line, read as values.
//!
//! Every function keeps the raw text and parses only what is certain: where a text could mean two
//! things, the raw text stands alone. Nothing here reads a clock; a year that the text leaves out
//! comes from a [`YearHint`], or stays unknown.
//!
//! # Reading order
//!
//! - [`filled()`]: is there an answer at all, or a placeholder?
//! - [`quantity`], [`bug_counts`], [`rows_of_metric`]: numbers.
//! - [`exposures`]: who gets the feature.
//! - [`duration`], [`window`], [`occurrence`]: when, and how long.
//! - [`answer`]: yes, no, not applicable.

mod answer;
mod bugs;
mod dates;
mod exposure;
mod filled;
mod lead;
mod length;
mod metric;
mod moment;
mod number;
mod window;

pub use answer::answer;
pub use bugs::bug_counts;
pub use dates::YearHint;
pub use exposure::exposures;
pub use filled::{Filled, filled};
pub use length::{duration, guidance_minimum};
pub use metric::rows_of_metric;
pub use moment::occurrence;
pub use number::quantity;
pub use window::window;

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The longest slug, in characters, as the longest id.
const SLUG_LEN_MAX: usize = 64;

/// Lower-cases ASCII letters and digits and turns every run of other characters into one dash.
/// At most 64 characters, no dash at either end; empty when nothing is left.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() == SLUG_LEN_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// The answer in `raw` without its Markdown: links by their text, no emphasis, no escapes, one
/// kind of dash, one kind of space. Empty when `raw` is a blank or guidance.
fn plain(raw: &str) -> String {
    static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"!?\[([^\[\]]*)\]\([^()\s]*\)"));
    let Filled::Value(value) = filled(raw) else { return String::new() };
    let linked = LINK.replace_all(value, "$1");
    let mut text = String::with_capacity(linked.len());
    let mut chars = linked.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => {}
            '*' | '`' => {}
            '\u{2010}'..='\u{2015}' | '\u{2212}' => text.push('-'),
            _ if c.is_whitespace() => {
                if !text.is_empty() && !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            _ => text.push(c),
        }
    }
    let text = text.replace("&gt;", ">").replace("&lt;", "<");
    unwrapped(text.trim().trim_matches('_').trim()).to_owned()
}

/// The inside of brackets that hold the whole text.
fn unwrapped(text: &str) -> &str {
    let inside = |open, close| {
        let inner: &str = text.strip_prefix(open)?.strip_suffix(close)?;
        (!inner.contains(open) && !inner.contains(close)).then_some(inner.trim())
    };
    inside('[', ']').or_else(|| inside('(', ')')).unwrap_or(text)
}

/// A pattern that is written in this module, so that it cannot be wrong at run time.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this module are valid: its tests use each")
}

/// What a named group matched, empty when it took no part.
fn group<'t>(captures: &Captures<'t>, name: &str) -> &'t str {
    captures.name(name).map_or("", |found| found.as_str())
}

/// The text after what a pattern matched at its start.
fn after<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    text.get(pattern.find(text).filter(|found| found.start() == 0)?.end()..)
}

#[cfg(test)]
mod tests;
