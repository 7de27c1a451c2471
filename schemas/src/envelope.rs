//! The CloudEvents 1.0 envelope that every event travels in.
//!
//! Source: CloudEvents 1.0.2, the JSON format. A sender gives `specversion`, `id`, `source`,
//! `type`, `data` and, if known, `subject` and `time`. The intake adds who it saw submitting it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    canonical,
    event::{DecodeError, Door, Event, find},
    id::{Instant, RolloutId},
};

/// The only version of CloudEvents there is a schema for.
pub const SPEC_VERSION: &str = "1.0";

/// The only content type of `data`.
pub const CONTENT_TYPE: &str = "application/json";

/// Longest `id`, in characters.
pub const ID_LEN_MAX: usize = 256;

/// Longest `source`, in characters.
pub const SOURCE_LEN_MAX: usize = 512;

/// The attributes that only the intake sets; two events are the same when they are canonically
/// equal without these.
pub const INTAKE_ATTRIBUTES: [&str; 4] = ["authid", "authtype", "recordedvia", "salt"];

/// One event as a sender gives it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// The sender's own id of the event; with `source` the key of idempotency.
    pub id: String,
    pub source: String,
    /// The rollout that it is about.
    pub subject: Option<RolloutId>,
    /// When it happened, if known; the earliest instant, never a default.
    pub time: Option<Instant>,
    pub event: Event,
}

/// What the intake witnessed of a submission, beside what the sender claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// 128 random bits, base64url without padding: the digest of an erased payload then confirms
    /// no guess of what it was.
    pub salt: String,
    /// `token`, `os_account` or `loopback`.
    pub authtype: String,
    /// Token id or OS account.
    pub authid: String,
    /// `cli`, `http`, `import`, `scheduler` or an adapter's name.
    pub recordedvia: String,
}

/// Why a value is not an event that can be recorded. `pointer` is the RFC 6901 place.
#[derive(Debug, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct Refused {
    pub pointer: String,
    pub reason: String,
    /// Whether the reason is that the type is written by the ledger's own commands only.
    pub own_door: bool,
}

impl Refused {
    fn at(pointer: &str, reason: impl Into<String>) -> Self {
        Refused { pointer: pointer.to_owned(), reason: reason.into(), own_door: false }
    }
}

impl CloudEvent {
    /// Reads what a sender gave, as [`canonical::parse`] returned it.
    ///
    /// # Errors
    /// The first member that is missing, unknown or not what the event's schema wants. Values are
    /// not repeated.
    pub fn from_sender(value: &Value) -> Result<CloudEvent, Refused> {
        let members = value.as_object().ok_or_else(|| Refused::at("", "an event is an object"))?;
        known_members(members)?;
        if text(members, "specversion", 8)? != SPEC_VERSION {
            return Err(Refused::at("/specversion", "must be \"1.0\""));
        }
        let id = text(members, "id", ID_LEN_MAX)?;
        let source = text(members, "source", SOURCE_LEN_MAX)?;
        let name = text(members, "type", ID_LEN_MAX)?;
        let kind = find(name).ok_or_else(|| {
            let (close, advice) = (closest(name), "`rollout-ledger record --help` lists the types");
            Refused::at("/type", format!("unknown event type; did you mean {close}? {advice}"))
        })?;
        let subject = parsed::<RolloutId>(members, "subject")?;
        if kind.needs_rollout && subject.is_none() {
            return Err(Refused::at("/subject", "missing: the rollout that this is about"));
        }
        if kind.door == Door::Own {
            let mut refused = Refused::at("/type", "written only by the ledger's own commands");
            refused.own_door = true;
            return Err(refused);
        }
        let time = parsed::<Instant>(members, "time")?;
        let data = members.get("data").ok_or_else(|| Refused::at("/data", "missing"))?;
        let event = decode(name, data)?;
        agree(time.as_ref(), &event)?;
        Ok(CloudEvent { id: id.to_owned(), source: source.to_owned(), subject, time, event })
    }

    /// The event as a sender would write it.
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        let mut put = |key: &str, text: &str| members.insert(key.to_owned(), Value::from(text));
        put("specversion", SPEC_VERSION);
        put("id", &self.id);
        put("source", &self.source);
        put("type", self.event.type_name());
        if let Some(subject) = &self.subject {
            put("subject", subject.as_str());
        }
        if let Some(time) = &self.time {
            put("time", time.as_str());
        }
        members.insert("data".to_owned(), self.event.data());
        Value::Object(members)
    }
}

/// The canonical payload of a sender's event with what the intake witnessed.
pub fn payload(event: &Value, witness: &Witness) -> Vec<u8> {
    let mut members = event.as_object().cloned().unwrap_or_default();
    for (key, text) in [
        ("salt", &witness.salt),
        ("authtype", &witness.authtype),
        ("authid", &witness.authid),
        ("recordedvia", &witness.recordedvia),
    ] {
        members.insert(key.to_owned(), Value::from(text.as_str()));
    }
    canonical::to_bytes(&Value::Object(members))
}

fn known_members(members: &Map<String, Value>) -> Result<(), Refused> {
    for (name, value) in members {
        match name.as_str() {
            "specversion" | "id" | "source" | "type" | "subject" | "time" | "data" => {}
            "datacontenttype" if value.as_str() == Some(CONTENT_TYPE) => {}
            "datacontenttype" => {
                return Err(Refused::at("/datacontenttype", "must be \"application/json\""));
            }
            own if INTAKE_ATTRIBUTES.contains(&own) => {
                return Err(Refused::at(&format!("/{own}"), "set by the intake, not by a sender"));
            }
            // The name is the sender's and may hold anything, so it is not repeated.
            _ => {
                let known = "specversion, id, source, type, subject, time, datacontenttype, data";
                return Err(Refused::at("", format!("an unknown attribute; known are {known}")));
            }
        }
    }
    Ok(())
}

fn text<'a>(members: &'a Map<String, Value>, name: &str, max: usize) -> Result<&'a str, Refused> {
    let at = format!("/{name}");
    let value = members.get(name).ok_or_else(|| Refused::at(&at, "missing"))?;
    let text = value.as_str().ok_or_else(|| Refused::at(&at, "must be a string"))?;
    let fits = (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if !fits {
        let rule = format!("must be 1 to {max} characters, none of them a control character");
        return Err(Refused::at(&at, rule));
    }
    Ok(text)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    members: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Refused> {
    if !members.contains_key(name) {
        return Ok(None);
    }
    let text = text(members, name, ID_LEN_MAX)?;
    text.parse().map(Some).map_err(|e: T::Err| Refused::at(&format!("/{name}"), e.to_string()))
}

fn decode(name: &str, data: &Value) -> Result<Event, Refused> {
    if !data.is_object() {
        return Err(Refused::at("/data", "must be an object"));
    }
    let raw = serde_json::value::to_raw_value(data).expect("a JSON value is JSON");
    Event::decode(name, &raw).map_err(|e| match e {
        DecodeError::UnknownType => Refused::at("/type", "unknown event type"),
        DecodeError::Data(e) => Refused::at("/data", without_values(&e.to_string())),
    })
}

/// serde's words about data name the wrong value (`invalid type: string "...", expected`); the
/// value may be what must not be echoed.
fn without_values(message: &str) -> String {
    for kind in ["unknown variant `", "unknown field `"] {
        let rest = message.strip_prefix(kind);
        if let Some((rest, at)) = rest.and_then(|rest| Some((rest, rest.rfind("`, ")?))) {
            let expected = rest.get(at..).unwrap_or_default();
            return format!("{kind}…{}", expected.split(" at line ").next().unwrap_or_default());
        }
    }
    let mut out = String::with_capacity(message.len());
    let mut quoted = false;
    let mut chars = message.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                if !quoted {
                    out.push_str("\"…\"");
                }
                quoted = !quoted;
            }
            '\\' if quoted => drop(chars.next()),
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    match out.rfind(" at line ") {
        Some(end) => out.get(..end).unwrap_or(&out).to_owned(),
        None => out,
    }
}

/// `time` is the earliest instant of the occurrence: one fact, stated once for CloudEvents
/// readers and once with its precision.
fn agree(time: Option<&Instant>, event: &Event) -> Result<(), Refused> {
    let Some(occurrence) = event.common().occurrence else { return Ok(()) };
    let earliest = occurrence.earliest.as_ref().map(Instant::micros);
    if earliest == time.map(Instant::micros) {
        return Ok(());
    }
    Err(Refused::at(
        "/time",
        "must be the same moment as /data/occurrence/earliest, or both absent",
    ))
}

fn closest(name: &str) -> &'static str {
    let common = |a: &str, b: &str| {
        a.split(['.', '_']).filter(|word| b.split(['.', '_']).any(|w| w == *word)).count()
    };
    let open = crate::event::TYPES.iter().filter(|t| t.door == Door::Open);
    let best = open.max_by_key(|t| common(name, t.name));
    best.map_or("rollout.note.added.v1", |t| t.name)
}

/// A stored event's envelope, borrowed from its payload. Unknown members are allowed: a reader may
/// be older than the log.
#[derive(Debug, Deserialize, Serialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub type_name: Cow<'a, str>,
    #[serde(borrow)]
    pub data: &'a RawValue,
    pub subject: Option<RolloutId>,
    pub time: Option<Instant>,
    #[serde(default)]
    pub authtype: Option<String>,
    #[serde(default)]
    pub authid: Option<String>,
    #[serde(default)]
    pub recordedvia: Option<String>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a stored payload.
    pub fn read(payload: &'a [u8]) -> Result<Envelope<'a>, serde_json::Error> {
        // Checking once that all of it is UTF-8 is cheaper than checking each string.
        match std::str::from_utf8(payload) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(payload),
        }
    }

    /// The event, if this binary knows its type.
    pub fn event(&self) -> Result<Event, DecodeError> {
        Event::decode(&self.type_name, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Value {
        serde_json::json!({
            "specversion": "1.0", "id": "n-1", "source": "test", "type": "rollout.note.added.v1",
            "subject": "claim-form", "data": { "basis": "reported", "text": "hello" },
        })
    }

    #[test]
    fn an_event_reads_and_writes_itself() {
        let event = CloudEvent::from_sender(&note()).unwrap();
        assert_eq!(event.to_value(), note());
    }

    #[test]
    fn what_a_sender_may_not_say_is_refused_with_its_place() {
        let rows: &[(&str, Value, &str)] = &[
            ("specversion", "0.3".into(), "/specversion"),
            ("id", "".into(), "/id"),
            ("id", "x".repeat(ID_LEN_MAX + 1).into(), "/id"),
            ("subject", "Claim Form".into(), "/subject"),
            ("time", "yesterday".into(), "/time"),
            ("salt", "AAAA".into(), "/salt"),
            ("authid", "me".into(), "/authid"),
            ("traceparent", "00".into(), ""),
            ("datacontenttype", "text/xml".into(), "/datacontenttype"),
            ("type", "rollout.note.aded.v1".into(), "/type"),
            ("type", "rollout.ledger.opened.v1".into(), "/type"),
            ("type", "rollout.event.redacted.v1".into(), "/type"),
            ("data", serde_json::json!({ "basis": "reported" }), "/data"),
            ("data", serde_json::json!({ "basis": "reported", "text": "x", "more": 1 }), "/data"),
            (
                "data",
                serde_json::json!({ "basis": "reported", "text": "x", "link": null }),
                "/data",
            ),
        ];
        for (member, value, pointer) in rows {
            let mut event = note();
            event[*member] = value.clone();
            let refused = CloudEvent::from_sender(&event).unwrap_err();
            assert_eq!(refused.pointer, *pointer, "{member} = {value}: {refused}");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_value() {
        let mut event = note();
        event["data"]["basis"] = "someone@example.invalid".into();
        let refused = CloudEvent::from_sender(&event).unwrap_err().to_string();
        assert!(!refused.contains("someone"), "{refused}");
        event["data"]["text"] = serde_json::json!({ "someone@example.invalid": 1 });
        let refused = CloudEvent::from_sender(&event).unwrap_err().to_string();
        assert!(!refused.contains("someone"), "{refused}");
    }

    #[test]
    fn time_and_occurrence_agree() {
        let mut event = note();
        event["data"]["occurrence"] = serde_json::json!({
            "precision": "day", "earliest": "2026-01-14T05:00:00Z", "latest": "2026-01-15T04:59:59Z",
        });
        assert_eq!(CloudEvent::from_sender(&event).unwrap_err().pointer, "/time");
        event["time"] = "2026-01-14T05:00:00.000Z".into();
        assert!(CloudEvent::from_sender(&event).is_ok());
    }
}
