//! What a payload says, before anything of it is kept: most events of a rebuild are looked at once.

use std::borrow::Cow;

use schemas::{Attributes, Event};

use super::{Amendments, Read, Recorded};

/// A payload that was read, its attributes borrowed from it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// `None` when the payload is erased or is no event.
    pub attributes: Option<Attributes<'a>>,
    pub event: Read,
}

impl<'a> Seen<'a> {
    /// Reads a payload; `None` is an erased one. Never fails: what cannot be read is
    /// [`Read::Unknown`], because a view must not stop at an event that it is too old for.
    pub(crate) fn of(payload: Option<&'a [u8]>) -> Seen<'a> {
        let Some(payload) = payload else {
            return Seen { attributes: None, event: Read::Redacted };
        };
        let Ok((attributes, event)) = Attributes::read(payload) else {
            return Seen { attributes: None, event: Read::Unknown { type_name: String::new() } };
        };
        let event = match event {
            Ok(event) => Read::Known(event),
            Err(_) => Read::Unknown { type_name: attributes.type_name.to_string() },
        };
        Seen { attributes: Some(attributes), event }
    }

    /// The event, if this binary knows its type and its payload is there.
    pub(crate) fn known(&self) -> Option<&Event> {
        match &self.event {
            Read::Known(event) => Some(event),
            Read::Unknown { .. } | Read::Redacted => None,
        }
    }

    /// The earliest moment at which it happened, Unix microseconds, if the sender knew.
    pub(crate) fn time(&self) -> Option<i64> {
        self.attributes.as_ref()?.time_us
    }

    /// Leaves out what no row of a rollout repeats, so that many can be kept: who submitted it and
    /// under which id, and of a flag's change all but the change.
    pub(crate) fn slim(&mut self) {
        if let Some(attributes) = &mut self.attributes {
            attributes.id = Cow::Borrowed("");
            attributes.authtype = None;
            attributes.authid = None;
            attributes.recordedvia = None;
        }
        if let Read::Known(Event::FlagChanged(change)) = &mut self.event {
            change.before = None;
            change.after = None;
            change.actor = None;
            change.reason = None;
            change.note = None;
            change.evidence = Vec::new();
        }
    }

    /// All of it, to be kept. `hash` is the entry's, `recorded_at_us` the writer's stamp.
    pub(crate) fn keep(self, seq: u64, hash: String, recorded_at_us: i64) -> Recorded {
        let time = self.time();
        let mut recorded = Recorded {
            seq,
            hash,
            recorded_at_us,
            id: String::new(),
            source: String::new(),
            subject: None,
            time,
            authtype: None,
            authid: None,
            recordedvia: None,
            event: self.event,
            amended: Amendments::default(),
        };
        let Some(attributes) = self.attributes else { return recorded };
        recorded.id = attributes.id.into_owned();
        recorded.source = attributes.source.into_owned();
        recorded.subject = attributes.subject;
        recorded.authtype = attributes.authtype.map(Cow::into_owned);
        recorded.authid = attributes.authid.map(Cow::into_owned);
        recorded.recordedvia = attributes.recordedvia.map(Cow::into_owned);
        recorded
    }
}
