//! An entry as consumers get it: the event as it is stored, and beside it what proves its place.
//!
//! `ledgerhash` and `ledgerprev` are the hashes of the entry and of the one before it, `ledgerheader`
//! the base64 of its 81 header bytes. A consumer drops the three members, canonicalises, compares
//! the SHA-256 with the header's digest, and hashes the header.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ledger::Entry;
use serde_json::Value;

/// A `CloudEvent` in structured mode.
pub const EVENT: &str = "application/cloudevents+json";

/// What is left of an erased one.
pub const BARE: &str = "application/json";

/// One entry, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its media type.
    pub kind: &'static str,
    pub text: String,
}

/// The whole event. Once its payload is erased, the proof alone, and `"redacted": true`.
pub fn full(entry: &Entry) -> Body {
    let payload = entry.payload().and_then(|bytes| std::str::from_utf8(bytes).ok());
    // A stored payload is canonical JSON: an object on one line. Its bytes stay as they are.
    match payload.and_then(|payload| payload.strip_suffix('}')) {
        Some(open) => Body { kind: EVENT, text: format!("{open},{}}}", proof(entry)) },
        None => Body { kind: BARE, text: format!("{{{},\"redacted\":true}}", proof(entry)) },
    }
}

/// The event without its `data`, for receivers that come and ask. Its content cannot be checked
/// against the digest; its place in the chain can.
pub fn thin(entry: &Entry) -> Body {
    let event = entry.payload().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let Some(Value::Object(mut members)) = event else { return full(entry) };
    members.remove("data");
    let text = Value::Object(members).to_string();
    let open = text.strip_suffix('}').unwrap_or(&text);
    Body { kind: EVENT, text: format!("{open},{}}}", proof(entry)) }
}

/// Writes the three members, without braces.
pub fn write_proof(text: &mut String, entry: &Entry) {
    let (hash, parent) = (entry.hash(), entry.header().parent);
    let header = STANDARD.encode(entry.header().encode());
    let _ = write!(text, r#""ledgerhash":"{hash}","ledgerheader":"{header}""#);
    let _ = write!(text, r#","ledgerprev":"{parent}""#);
}

fn proof(entry: &Entry) -> String {
    let mut text = String::new();
    write_proof(&mut text, entry);
    text
}

#[cfg(test)]
mod tests {
    use ledger::{Digest, Hash, Header, Seq};

    use super::*;

    fn entry(payload: Option<&[u8]>) -> Entry {
        let digest = Digest::of(payload.unwrap_or_default());
        let header = Header { seq: Seq(7), recorded_at_us: 1, parent: Hash([9; 32]), digest };
        Entry::stored(header, payload.map(<[u8]>::to_vec))
    }

    #[test]
    fn what_was_recorded_is_sent_byte_for_byte_beside_its_proof() {
        let stored = br#"{"data":{"a":{"b":1}},"id":"x"}"#;
        let entry = entry(Some(stored));
        let body = full(&entry);
        assert_eq!(body.kind, EVENT);
        assert!(body.text.starts_with(r#"{"data":{"a":{"b":1}},"id":"x","ledgerhash":""#));
        let mut read: Value = serde_json::from_str(&body.text).unwrap();
        assert_eq!(read["ledgerhash"], entry.hash().to_string());
        assert_eq!(read["ledgerprev"], "09".repeat(32));
        let header = STANDARD.decode(read["ledgerheader"].as_str().unwrap()).unwrap();
        assert_eq!(header, entry.header().encode());
        let members = read.as_object_mut().unwrap();
        members.retain(|name, _| !name.starts_with("ledger"));
        assert_eq!(read.to_string().as_bytes(), stored);
    }

    #[test]
    fn a_thin_one_keeps_all_but_its_data() {
        let body = thin(&entry(Some(br#"{"data":{"a":{"b":1}},"id":"x","type":"t"}"#)));
        assert!(body.text.starts_with(r#"{"id":"x","type":"t","ledgerhash":""#), "{body:?}");
        assert_eq!(serde_json::from_str::<Value>(&body.text).unwrap().get("data"), None);
    }

    #[test]
    fn an_erased_one_leaves_its_proof() {
        for body in [full(&entry(None)), thin(&entry(None))] {
            let read: Value = serde_json::from_str(&body.text).unwrap();
            assert_eq!((body.kind, &read["redacted"]), (BARE, &Value::Bool(true)));
            assert_eq!(read.as_object().unwrap().len(), 4);
        }
    }
}
