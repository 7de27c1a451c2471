//! W3C Trace Context (Recommendation, <https://www.w3.org/TR/trace-context/>): the caller's
//! `traceparent` is read, and a request without a valid one begins a trace of its own.
//!
//! The recommendation defines no header for answers, so none is sent. `tracestate` belongs to those
//! who pass a trace on; a request here makes none of its own.

use axum::http::{HeaderMap, HeaderName};

use crate::home::random_hex;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request stands in a trace. Ids are lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// `trace-id`, 16 bytes.
    pub(super) id: String,
    /// Our own span, 8 bytes.
    pub(super) span: String,
    /// The caller's span (`parent-id`).
    pub(super) parent: Option<String>,
}

impl Trace {
    pub(super) fn of(headers: &HeaderMap) -> Trace {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (first, more) = (given.next(), given.next());
        let text = first.filter(|_| more.is_none()).and_then(|value| value.to_str().ok());
        let span = random_hex::<8>();
        match text.and_then(parse) {
            Some((id, parent)) => {
                Trace { id: id.to_owned(), span, parent: Some(parent.to_owned()) }
            }
            None => Trace { id: random_hex::<16>(), span, parent: None },
        }
    }
}

/// The ids of trace and parent: `VERSION-TRACEID-PARENTID-FLAGS` (section 3.2). A later version may
/// say more behind a dash.
fn parse(text: &str) -> Option<(&str, &str)> {
    let mut fields = text.split('-');
    let (version, id, parent) = (fields.next()?, fields.next()?, fields.next()?);
    let flags = fields.next()?;
    let ends = version != "00" || fields.next().is_none();
    let is = |field: &str, len: usize| {
        field.len() == len && field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let named = |field: &str| field.bytes().any(|b| b != b'0');
    let valid = is(version, 2)
        && version != "ff"
        && is(id, 32)
        && named(id)
        && is(parent, 16)
        && named(parent)
        && is(flags, 2)
        && ends;
    valid.then_some((id, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_followed() {
        let (id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let good = [format!("00-{id}-{parent}-01"), format!("cc-{id}-{parent}-00-more")];
        for text in &good {
            assert_eq!(parse(text), Some((id, parent)), "{text}");
        }
        let upper = id.to_uppercase();
        let bad = [
            String::new(),
            format!("ff-{id}-{parent}-01"),
            format!("00-{id}-{parent}-01-more"),
            format!("00-{id}-{parent}"),
            format!("00-{id}-{parent}-1"),
            format!("0-{id}-{parent}-01"),
            format!("00-{upper}-{parent}-01"),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{id}x-{parent}-01"),
        ];
        for text in &bad {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
