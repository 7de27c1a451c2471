//! What the ledger itself reads out of a payload. The only file that looks inside one.
//!
//! A payload is one `CloudEvents` event in canonical JSON. The ledger needs `type`, `source` and `id`
//! (a sender's retry is recognised by the pair of the last two), `subject` where a log sorts by it, and the data of its own
//! `rollout.ledger.*` and of `rollout.event.redacted.v1`. All else is not its business.

use std::borrow::Cow;

use crate::{
    canonical::{self, NotCanonical},
    entry::{Hash, Seq},
};

/// The type of the first entry of every ledger.
pub const OPENED: &str = "rollout.ledger.opened.v1";
/// The type of the one entry that may take time back.
pub const CLOCK_STEPPED: &str = "rollout.ledger.clock_stepped.v1";
/// The type of the entry that allows a payload to be missing.
pub const REDACTED: &str = "rollout.event.redacted.v1";

/// What the types of the ledger's own entries begin with.
const LEDGER_TYPES: &str = "rollout.ledger.";

/// What the intake adds to an event. Two events that differ in nothing else are the same.
const WITNESSED: [&str; 4] = ["authid", "authtype", "recordedvia", "salt"];

/// The attributes of an event that the ledger reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    event_type: Cow<'a, str>,
    source: Cow<'a, str>,
    id: Cow<'a, str>,
    subject: Option<Cow<'a, str>>,
    /// The raw bytes of `data`, for the ledger's own types.
    data: Option<&'a str>,
}

/// Why a payload cannot be recorded, or why a stored one is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnvelope {
    /// Two parsers could read two events out of it.
    #[error("the payload is not canonical JSON: {0}")]
    NotCanonical(#[from] NotCanonical),
    /// It lacks an attribute that every event has.
    #[error("the payload has no text attribute `{0}`")]
    Missing(&'static str),
    /// A redaction that does not say what it redacts.
    #[error("the redaction does not name its target's seq, hash, source and id")]
    Redaction,
}

impl<'a> Envelope<'a> {
    /// Reads a payload, all of which must be canonical JSON.
    pub fn read(payload: &'a [u8]) -> Result<Envelope<'a>, InvalidEnvelope> {
        let (mut event_type, mut source, mut id) = (None, None, None);
        let (mut subject, mut data) = (None, None);
        canonical::for_each_member(payload, |name, value| match name {
            "type" => event_type = canonical::string(value),
            "source" => source = canonical::string(value),
            "id" => id = canonical::string(value),
            "subject" => subject = canonical::string(value),
            "data" => data = Some(value),
            _ => {}
        })?;
        Ok(Envelope {
            event_type: event_type.ok_or(InvalidEnvelope::Missing("type"))?,
            source: source.ok_or(InvalidEnvelope::Missing("source"))?,
            id: id.ok_or(InvalidEnvelope::Missing("id"))?,
            subject,
            data,
        })
    }

    /// The attribute `type`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The attribute `source`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The attribute `id`, unique within its source.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attribute `subject`, the rollout that the event is about.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether only the ledger's own commands may write this type, and no redaction may target it.
    pub fn is_reserved(&self) -> bool {
        self.event_type.starts_with(LEDGER_TYPES) || self.event_type == REDACTED
    }

    /// A text in the data of one of the ledger's own entries, such as `home` of `ledger.opened`.
    /// `None` for all other types: their data is not the ledger's business.
    pub fn ledger_text(&self, name: &str) -> Option<String> {
        if !self.event_type.starts_with(LEDGER_TYPES) {
            return None;
        }
        let raw = member(self.data?, name)?;
        canonical::string(raw).map(Cow::into_owned)
    }

    /// What this entry means to the ledger.
    pub(crate) fn mark(&self) -> Result<Mark, InvalidEnvelope> {
        Ok(match self.event_type() {
            OPENED => Mark::Opened,
            CLOCK_STEPPED => Mark::ClockStepped,
            REDACTED => {
                Mark::Redacted(Box::new(self.redaction().ok_or(InvalidEnvelope::Redaction)?))
            }
            _ => Mark::Other,
        })
    }

    fn redaction(&self) -> Option<Redaction> {
        let data = self.data?;
        let target = member(data, "target")?;
        let text = |raw| canonical::string(raw).map(Cow::into_owned);
        Some(Redaction {
            target: Seq(canonical::unsigned(member(target, "seq")?)?),
            hash: canonical::string(member(target, "hash")?)?.parse().ok()?,
            source: text(member(data, "source")?)?,
            id: text(member(data, "id")?)?,
        })
    }
}

/// What a `rollout.event.redacted.v1` says about the entry whose payload it takes away.
///
/// Its data holds at least `{"id": .., "source": .., "target": {"hash": .., "seq": ..}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The entry whose payload goes.
    pub target: Seq,
    /// That entry's hash, so that the redaction fits no other.
    pub hash: Hash,
    /// The target's `source`: with `id`, it lets a retry of the erased event be recognised.
    pub source: String,
    /// The target's `id`.
    pub id: String,
}

/// What an entry means to the ledger itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing.
    Other,
    /// The first entry of a ledger.
    Opened,
    /// Time may go back here.
    ClockStepped,
    /// A payload is, or is to be, erased.
    Redacted(Box<Redaction>),
}

impl Mark {
    /// The mark of a stored payload. One that cannot be read means nothing; `verify` names it.
    pub(crate) fn read(payload: &[u8]) -> Mark {
        Envelope::read(payload).and_then(|envelope| envelope.mark()).unwrap_or(Mark::Other)
    }
}

/// Whether two payloads are the same event: canonically equal but for what the intake adds.
/// Payloads that are not canonical objects are never the same.
pub fn same_event(a: &[u8], b: &[u8]) -> bool {
    let (Ok(a), Ok(b)) = (canonical::members(a), canonical::members(b)) else { return false };
    // A name of these four holds nothing that needs an escape, so comparing raw names is enough.
    let is_told = |(name, _): &(&str, &str)| !WITNESSED.contains(name);
    a.iter().filter(|member| is_told(member)).eq(b.iter().filter(|member| is_told(member)))
}

/// The raw value of a member of a raw canonical object.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let members = canonical::members(object.as_bytes()).ok()?;
    members.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_whoever_submitted_it() {
        let told = r#"{"data":{"n":1},"id":"1","source":"s","type":"t"}"#;
        let cases = [
            (told, true),
            (r#"{"authid":"a","data":{"n":1},"id":"1","salt":"x","source":"s","type":"t"}"#, true),
            (
                r#"{"authtype":"a","data":{"n":1},"id":"1","recordedvia":"cli","source":"s","type":"t"}"#,
                true,
            ),
            (r#"{"data":{"n":2},"id":"1","source":"s","type":"t"}"#, false),
            (r#"{"data":{"n":1,"salt":"x"},"id":"1","source":"s","type":"t"}"#, false),
            (r#"{"data":{"n":1},"id":"1","source":"s","time":"x","type":"t"}"#, false),
            (r#"{"data":{"n":1},"id":"1","source":"s"}"#, false),
            ("[]", false),
        ];
        for (other, same) in cases {
            assert_eq!(same_event(told.as_bytes(), other.as_bytes()), same, "{other}");
            assert_eq!(same_event(other.as_bytes(), told.as_bytes()), same, "{other}");
        }
    }

    #[test]
    fn a_payload_without_type_source_or_id_is_no_event() {
        for (payload, missing) in [
            (r#"{"id":"1","source":"s"}"#, "type"),
            (r#"{"id":"1","source":7,"type":"t"}"#, "source"),
            (r#"{"source":"s","type":"t"}"#, "id"),
        ] {
            let found = Envelope::read(payload.as_bytes());
            assert_eq!(found, Err(InvalidEnvelope::Missing(missing)), "{payload}");
        }
    }

    #[test]
    fn only_the_ledgers_own_data_is_read() {
        let opened = r#"{"data":{"home":"a \"b\""},"id":"1","source":"s","type":"rollout.ledger.opened.v1"}"#;
        let opened = Envelope::read(opened.as_bytes()).unwrap();
        assert_eq!(opened.ledger_text("home").as_deref(), Some("a \"b\""));
        assert_eq!(opened.ledger_text("origin"), None);
        let note = r#"{"data":{"home":"a"},"id":"1","source":"s","type":"rollout.note.added.v1"}"#;
        assert_eq!(Envelope::read(note.as_bytes()).unwrap().ledger_text("home"), None);
    }
}
