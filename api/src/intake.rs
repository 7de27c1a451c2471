//! The door: what a sender gives becomes one canonical payload, or is refused with its place.
//!
//! Every way in comes through here: HTTP, `event append`, `record`, imports. Personal data is
//! refused without being repeated; facts are never refused because they break a rule of rollouts.

pub mod own;

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ledger::{Draft, Submission};
use schemas::{
    CloudEvent, canonical,
    envelope::{self, Witness},
};
use serde_json::Value;

use self::own::Own;
use crate::{
    exit::{Code, Failure, fail},
    guard,
    json::text,
};

/// The largest body of one request or file part: a batch of the largest size with its white space.
pub const BODY_SIZE_MAX: usize = 2 * 1024 * 1024;

/// Who submits, as the intake sees it; what the sender claims stands in the event.
#[derive(Clone, Debug)]
pub struct Submitter {
    /// `token`, `os_account` or `loopback`.
    pub authtype: &'static str,
    /// Token id or OS account.
    pub authid: String,
    /// `cli`, `http`, `import`, `scheduler` or an adapter's name.
    pub via: &'static str,
    /// As which of the product's components.
    pub own: Own,
}

/// Why something was not taken in. It never repeats a submitted value.
#[derive(Debug)]
pub struct Refusal {
    /// Which of several events, from 0; `None` for the text as a whole.
    pub index: Option<usize>,
    /// The place in the event (RFC 6901); empty for the whole.
    pub pointer: String,
    pub why: Why,
}

/// What a sender can do about a refusal.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Send JSON.
    #[error("{0}")]
    NotJson(String),
    /// Send an event that fits its schema.
    #[error("{0}")]
    Invalid(String),
    /// Written only by the ledger's own commands.
    #[error("{0}")]
    OwnDoor(String),
    /// Take the personal data out.
    #[error("looks like personal data (rule {0}); name staff by account id and leave users out")]
    PersonalData(&'static str),
    /// Send less.
    #[error("{0}")]
    TooLarge(String),
}

impl Why {
    /// For programs. Never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Why::NotJson(_) => "not_json",
            Why::Invalid(_) => "invalid_event",
            Why::OwnDoor(_) => "own_door",
            Why::PersonalData(_) => "personal_data",
            Why::TooLarge(_) => "too_large",
        }
    }
}

impl Refusal {
    /// The place and the reason.
    pub fn message(&self) -> String {
        if self.pointer.is_empty() {
            self.why.to_string()
        } else {
            format!("{}: {}", self.pointer, self.why)
        }
    }

    /// As a command ends with it: 7 where a rule refuses, 1 where the input is not an event.
    pub fn failure(&self) -> Failure {
        let code = match self.why {
            Why::PersonalData(_) | Why::OwnDoor(_) => Code::Policy,
            Why::NotJson(_) | Why::Invalid(_) | Why::TooLarge(_) => Code::Failure,
        };
        match self.index {
            Some(index) => Failure::of_event(index, code, self.message()),
            None => Failure::new(code, self.message()),
        }
    }
}

/// Reads one JSON text: an object is one event, an array is several.
pub fn read(text: &[u8]) -> Result<Vec<Value>, Refusal> {
    let value = canonical::parse(text).map_err(|e| whole(Why::NotJson(e.to_string())))?;
    Ok(match value {
        Value::Array(events) => events,
        event => vec![event],
    })
}

/// Takes events that are parsed already, all or none.
pub fn admit_all(events: &[Value], submitter: &Submitter) -> Result<Submission, Refusal> {
    if events.is_empty() {
        return Err(whole(Why::Invalid("an empty array: there is nothing to record".to_owned())));
    }
    let drafts = events
        .iter()
        .enumerate()
        .map(|(index, event)| draft(index, event, submitter))
        .collect::<Result<Vec<_>, _>>()?;
    Submission::new(drafts).map_err(|e| whole(Why::TooLarge(e.to_string())))
}

fn whole(why: Why) -> Refusal {
    Refusal { index: None, pointer: String::new(), why }
}

fn draft(index: usize, event: &Value, submitter: &Submitter) -> Result<Draft, Refusal> {
    // Looked at before anything else, so that no other message can come to repeat it.
    if let Some((pointer, rule)) = personal_data(event) {
        return Err(Refusal { index: Some(index), pointer, why: Why::PersonalData(rule) });
    }
    CloudEvent::from_sender(event).map_err(|e| {
        let why = if e.own_door { Why::OwnDoor(e.reason) } else { Why::Invalid(e.reason) };
        Refusal { index: Some(index), pointer: e.pointer, why }
    })?;
    let (kind, source) = (text(event, "/type"), text(event, "/source"));
    let admitted = submitter.own.admits(kind.unwrap_or_default(), source.unwrap_or_default());
    admitted.map_err(|pointer| {
        let what = if pointer == "/type" {
            "tokens are this ledger's own: `token create` and `token revoke` record them"
        } else {
            "what stands under urn:rollout-ledger: is the product's own; name the source of who or \
             what knows this"
        };
        let why = Why::OwnDoor(what.to_owned());
        Refusal { index: Some(index), pointer: pointer.to_owned(), why }
    })?;
    own_draft(index, event, submitter)
}

/// A draft of an event that the ledger writes itself: no door, the same bytes.
pub fn own_draft(index: usize, event: &Value, submitter: &Submitter) -> Result<Draft, Refusal> {
    let witness = Witness {
        salt: salt(),
        authtype: submitter.authtype.to_owned(),
        authid: submitter.authid.clone(),
        recordedvia: submitter.via.to_owned(),
    };
    Draft::new(envelope::payload(event, &witness)).map_err(|e| Refusal {
        index: Some(index),
        pointer: String::new(),
        why: Why::TooLarge(e.to_string()),
    })
}

/// Refuses words for the ledger's own entries, which can never be redacted, when they hold personal
/// data.
pub fn check_words(option: &str, text: &str) -> anyhow::Result<()> {
    let Some(finding) = guard::scan(text).into_iter().next() else { return Ok(()) };
    let rule = finding.rule;
    Err(fail(Code::Policy, format!("{option} holds what looks like personal data (rule {rule})")))
}

/// 128 random bits: the digest of an erased payload then confirms no guess of what it was.
fn salt() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place and rule of the first finding in any string of the event, keys included.
fn personal_data(event: &Value) -> Option<(String, &'static str)> {
    let mut pointer = String::new();
    find_in(event, &mut pointer)
}

fn find_in(value: &Value, pointer: &mut String) -> Option<(String, &'static str)> {
    let here = pointer.len();
    match value {
        Value::String(text) => {
            let rule = guard::scan(text).first().map(|finding| finding.rule)?;
            Some((pointer.clone(), rule))
        }
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
            let _ = write!(pointer, "/{i}");
            let found = find_in(item, pointer);
            pointer.truncate(here);
            found
        }),
        Value::Object(members) => members.iter().find_map(|(key, item)| {
            if let Some(finding) = guard::scan(key).first() {
                return Some((format!("{pointer}/(a key)"), finding.rule));
            }
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            let found = find_in(item, pointer);
            pointer.truncate(here);
            found
        }),
        _ => None,
    }
}
