//! One event as the log holds it, and which events an answer rests on.
//!
//! A rollout folds in the order of what happened, not of what was written: by `time`, else by when
//! it was recorded, then by seq. Two clocks select: what was *known* at a moment, corrections
//! included, and what had *happened* by a moment, by the corrected time. What a plan declares is
//! no happening: only when it was known selects it.

mod seen;
#[cfg(test)]
mod tests;

pub(crate) use seen::Seen;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
};

use schemas::{
    Event, RolloutId,
    id::Instant,
    values::{AnyObject, Target},
};
use serde::{Serialize, Serializer};

/// A moment in Unix microseconds; written as RFC 3339 in UTC with six digits of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

/// What could be read of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Known(Event),
    /// Of a type from the future, or not what its type promises. Skipped and counted.
    Unknown {
        type_name: String,
    },
    /// The payload was erased; the header alone is left.
    Redacted,
}

/// What later events say about an event. Nothing is edited: the event itself stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendments {
    /// Seqs of the corrections that stand, oldest first; the newest gives the value.
    pub corrected_by: Vec<u64>,
    /// What was recorded first, when a correction replaced it.
    pub first: Option<Event>,
    /// The event that withdrew this one.
    pub withdrawn_by: Option<u64>,
    /// Seqs of the confirmations.
    pub confirmed_by: Vec<u64>,
    /// Seqs of the observations that restate this one.
    pub restated_by: Vec<u64>,
    /// The event that erased this one's payload.
    pub redacted_by: Option<u64>,
    /// Why this event, which speaks of another, changes nothing of it; `None` when it does, or
    /// speaks of none.
    pub not_applied: Option<NotApplied>,
}

/// Why a correction, withdrawal, confirmation or restatement binds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum NotApplied {
    /// It names an entry that is not earlier than itself.
    NotEarlier { target: u64 },
    /// The entry that it names is not among the events at hand.
    NotHere { target: u64 },
    /// The entry that it names has another hash.
    OtherHash { target: u64 },
    /// What it names cannot be read: erased, or of a type from the future.
    Unreadable { target: u64 },
    /// The replacement is not the data of the target's type.
    OtherType { target: u64 },
    /// It was itself withdrawn.
    Withdrawn { by: u64 },
}

impl fmt::Display for NotApplied {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            NotApplied::NotEarlier { target } => {
                write!(f, "it names event {target}, which is not earlier than itself")
            }
            NotApplied::NotHere { target } => {
                write!(f, "it names event {target}, which is about something else")
            }
            NotApplied::OtherHash { target } => {
                write!(f, "it names event {target} with a hash that is not that event's")
            }
            NotApplied::Unreadable { target } => {
                write!(f, "event {target} is erased or cannot be read")
            }
            NotApplied::OtherType { target } => {
                write!(f, "its replacement does not fit the type of event {target}")
            }
            NotApplied::Withdrawn { by } => write!(f, "it was itself withdrawn by event {by}"),
        }
    }
}

/// One entry of the log with its payload read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub seq: u64,
    /// The entry's hash, 64 hexadecimal digits.
    pub hash: String,
    /// When the writer stamped it, Unix microseconds.
    pub recorded_at_us: i64,
    /// The sender's id; empty when the payload is erased or unreadable.
    pub id: String,
    pub source: String,
    pub subject: Option<RolloutId>,
    /// The earliest moment at which it happened, Unix microseconds, if the sender knew.
    pub time: Option<i64>,
    pub authtype: Option<String>,
    pub authid: Option<String>,
    pub recordedvia: Option<String>,
    pub event: Read,
    /// Empty until [`resolve`] has looked at the other events.
    pub amended: Amendments,
}

impl Recorded {
    /// Reads an entry's payload; `None` is an erased one. Never fails: what cannot be read is
    /// [`Read::Unknown`], because a view must not stop at an event that it is too old for.
    pub fn read(seq: u64, hash: &str, recorded_at_us: i64, payload: Option<&[u8]>) -> Recorded {
        Seen::of(payload).keep(seq, hash.to_owned(), recorded_at_us)
    }

    /// The event, if this binary knows its type and its payload is there.
    pub fn known(&self) -> Option<&Event> {
        match &self.event {
            Read::Known(event) => Some(event),
            Read::Unknown { .. } | Read::Redacted => None,
        }
    }

    /// Where it stands in the order of what happened.
    pub fn order_key(&self) -> (i64, u64) {
        (self.time.unwrap_or(self.recorded_at_us), self.seq)
    }

    /// When it happened; `None` when nobody knows. A sender who knows gives a time: that something
    /// was recorded says nothing of when it happened, however it was learned. Only what
    /// [is done by being recorded](is_done_by_recording) happened then.
    pub fn happened(&self) -> Option<Moment> {
        if let Some(time) = self.time {
            return Some(Moment(time));
        }
        let event = self.known()?;
        let at_once = is_done_by_recording(event) && event.common().occurrence.is_none();
        at_once.then_some(Moment(self.recorded_at_us))
    }

    /// Whether it had happened by then. An event of unknown time had, once the latest moment at
    /// which it can have happened has passed.
    ///
    /// What a plan declares without a time of its own is no happening: it holds whenever one looks,
    /// and only when it came to be known is asked for.
    fn happened_by(&self, as_of: i64) -> bool {
        let occurrence = self.known().and_then(|event| event.common().occurrence);
        if self.time.is_none() && occurrence.is_none() && self.known().is_some_and(declares) {
            return true;
        }
        let latest = || occurrence?.latest.as_ref().map(Instant::micros);
        self.happened().map(|at| at.0).or_else(latest).is_some_and(|at| at <= as_of)
    }
}

/// Whether recording it is what it tells of: a plan's declaration, an import, a word about another
/// entry. Without a time, such an event happened when it was recorded; any other one has no known time.
pub fn is_done_by_recording(event: &Event) -> bool {
    declares(event)
        || matches!(
            event,
            Event::SourceImported(_)
                | Event::ValueConfirmed(_)
                | Event::EventCorrected(_)
                | Event::EventWithdrawn(_)
                | Event::EventRedacted(_)
        )
}

/// Whether the event declares what a plan says. The plan's own words have no other moment than
/// the one at which the ledger learned them.
fn declares(event: &Event) -> bool {
    matches!(
        event,
        Event::PlanImported(_)
            | Event::PlanRevised(_)
            | Event::ReleaseDefined(_)
            | Event::FlagRegistered(_)
            | Event::StagePlanned(_)
            | Event::StageReplanned(_)
            | Event::CriterionSet(_)
            | Event::MetricDefined(_)
            | Event::MetricRedefined(_)
            | Event::RollbackPlanned(_)
            | Event::CleanupPlanned(_)
    )
}

/// The events that an answer rests on, corrected, in the order in which they happened.
///
/// `known_at` first leaves out what had not been recorded by then, corrections and withdrawals
/// included; `as_of` then leaves out what had not happened by then, so that a reading holds until
/// the observation that restates it was made. Both in Unix microseconds.
pub fn select(events: &[Recorded], as_of: Option<i64>, known_at: Option<i64>) -> Vec<Recorded> {
    let known = events.iter().filter(|e| known_at.is_none_or(|at| e.recorded_at_us <= at));
    let mut chosen = resolve(known);
    let Some(as_of) = as_of else { return chosen };
    chosen.retain(|e| e.happened_by(as_of));
    let there: HashSet<u64> = chosen.iter().map(|e| e.seq).collect();
    for event in &mut chosen {
        event.amended.restated_by.retain(|by| there.contains(by));
    }
    chosen
}

/// Gives every event what later ones say about it, and sorts by what happened when.
///
/// An amendment binds only when it names seq *and* hash of an earlier event. One that is itself
/// withdrawn binds nothing; one that is itself corrected binds as corrected.
pub fn resolve<'a>(events: impl Iterator<Item = &'a Recorded>) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = events.cloned().collect();
    events.sort_by_key(|e| e.seq);
    events.dedup_by_key(|e| e.seq);
    let places: HashMap<u64, usize> =
        events.iter().enumerate().map(|(place, e)| (e.seq, place)).collect();
    // From the newest to the oldest: whatever amends an amendment has then been dealt with.
    for place in (0..events.len()).rev() {
        let Some(amendment) = events.get(place) else { continue };
        let (by, event) = (amendment.seq, amendment.known().cloned());
        let withdrawn = amendment.amended.withdrawn_by;
        let Some((target, amend)) = event.and_then(amendment_of) else { continue };
        let found = match withdrawn {
            Some(by) => Err(NotApplied::Withdrawn { by }),
            None => named(&target, place, &places, &events),
        };
        let applied = found.and_then(|at| match events.get_mut(at) {
            Some(found) => found.amend(by, amend),
            None => Ok(()),
        });
        if let (Err(why), Some(amendment)) = (applied, events.get_mut(place)) {
            amendment.amended.not_applied = Some(why);
        }
    }
    events.sort_by_key(Recorded::order_key);
    events
}

/// The place of the event that an amendment names, if it names an earlier one by its hash.
fn named(
    target: &Target,
    place: usize,
    places: &HashMap<u64, usize>,
    events: &[Recorded],
) -> Result<usize, NotApplied> {
    let seq = target.seq;
    let by = events.get(place).map_or(0, |amendment| amendment.seq);
    if seq >= by {
        return Err(NotApplied::NotEarlier { target: seq });
    }
    let at = *places.get(&seq).ok_or(NotApplied::NotHere { target: seq })?;
    let same = events.get(at).is_some_and(|found| found.hash == target.hash.as_str());
    if same { Ok(at) } else { Err(NotApplied::OtherHash { target: seq }) }
}

enum Amend {
    Correct(AnyObject),
    Withdraw,
    Confirm,
    Restate,
    Redact,
}

fn amendment_of(event: Event) -> Option<(Target, Amend)> {
    match event {
        Event::EventCorrected(e) => Some((e.target, Amend::Correct(e.replacement))),
        Event::EventWithdrawn(e) => Some((e.target, Amend::Withdraw)),
        Event::ValueConfirmed(e) => Some((e.target, Amend::Confirm)),
        Event::EventRedacted(e) => Some((e.target, Amend::Redact)),
        Event::MetricObserved(e) => e.restates.map(|target| (target, Amend::Restate)),
        _ => None,
    }
}

impl Recorded {
    /// Takes one amendment in. The newest comes first, so lists grow at the front, and the first
    /// correction to arrive is the one that gives the value.
    fn amend(&mut self, by: u64, amend: Amend) -> Result<(), NotApplied> {
        match amend {
            Amend::Correct(replacement) => return self.correct(by, replacement),
            Amend::Withdraw => self.amended.withdrawn_by = Some(by),
            Amend::Confirm => self.amended.confirmed_by.insert(0, by),
            Amend::Restate => self.amended.restated_by.insert(0, by),
            Amend::Redact => self.amended.redacted_by = Some(by),
        }
        Ok(())
    }

    fn correct(&mut self, by: u64, replacement: AnyObject) -> Result<(), NotApplied> {
        let target = self.seq;
        let Some(event) = self.known().cloned() else {
            return Err(NotApplied::Unreadable { target });
        };
        // A replacement that is not of the target's type corrects nothing; it stays visible as an
        // event of its own.
        let corrected = decode_as(&event, &replacement).ok_or(NotApplied::OtherType { target })?;
        if self.amended.corrected_by.is_empty() {
            if let Some(occurrence) = corrected.common().occurrence {
                self.time = occurrence.earliest.as_ref().map(Instant::micros);
            }
            self.event = Read::Known(corrected);
            self.amended.first = Some(event);
        }
        self.amended.corrected_by.insert(0, by);
        Ok(())
    }
}

fn decode_as(event: &Event, replacement: &AnyObject) -> Option<Event> {
    let raw = serde_json::value::to_raw_value(replacement).ok()?;
    Event::decode(event.type_name(), &raw).ok()
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match Instant::from_micros(self.0) {
            Ok(instant) => f.write_str(instant.as_str()),
            Err(_) => write!(f, "{} microseconds since 1970", self.0),
        }
    }
}

impl schemars::JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
