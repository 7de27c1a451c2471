//! A stored event read in one pass over its payload: attributes borrowed, data as its type.
//!
//! Canonical JSON sorts members, so the type stands at the very end. It is looked at first; the
//! data is then read where it lies. Whatever is not of that shape is read the long way, with the
//! same result: first the [`Envelope`], then its data.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};

use crate::{
    Envelope, Event,
    event::DecodeError,
    id::{Instant, RolloutId},
};

/// What a stored event's envelope says beside its data.
#[derive(Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    pub id: Cow<'a, str>,
    pub source: Cow<'a, str>,
    pub type_name: Cow<'a, str>,
    pub subject: Option<RolloutId>,
    /// `time` in Unix microseconds.
    pub time_us: Option<i64>,
    pub authtype: Option<Cow<'a, str>>,
    pub authid: Option<Cow<'a, str>>,
    pub recordedvia: Option<Cow<'a, str>>,
}

/// An event and its attributes.
type Whole<'a> = (Attributes<'a>, Result<Event, DecodeError>);

impl<'a> Attributes<'a> {
    /// Reads a stored payload, and its data if this binary knows the type.
    ///
    /// # Errors
    /// When it is no event at all.
    pub fn read(payload: &'a [u8]) -> Result<Whole<'a>, serde_json::Error> {
        if let Ok(text) = std::str::from_utf8(payload)
            && let Some(type_name) = type_at_the_end(text)
        {
            let mut json = serde_json::Deserializer::from_str(text);
            let whole = json.deserialize_map(InOnePass { type_name });
            if let Ok((attributes, event)) = whole
                && json.end().is_ok()
            {
                return Ok((attributes, Ok(event)));
            }
        }
        let envelope = Envelope::read(payload)?;
        let event = envelope.event();
        Ok((Attributes::from(envelope), event))
    }
}

impl<'a> From<Envelope<'a>> for Attributes<'a> {
    fn from(envelope: Envelope<'a>) -> Attributes<'a> {
        Attributes {
            id: envelope.id,
            source: envelope.source,
            type_name: envelope.type_name,
            subject: envelope.subject,
            time_us: envelope.time.as_ref().map(Instant::micros),
            authtype: envelope.authtype.map(Cow::Owned),
            authid: envelope.authid.map(Cow::Owned),
            recordedvia: envelope.recordedvia.map(Cow::Owned),
        }
    }
}

/// The value of the member `type`, if that is the last one and plainly written.
fn type_at_the_end(text: &str) -> Option<&str> {
    let (before, name) = text.strip_suffix("\"}")?.rsplit_once('"')?;
    before.ends_with(",\"type\":").then_some(name)
}

/// Reads the members of an event whose type is this one, and of no other.
struct InOnePass<'a> {
    type_name: &'a str,
}

impl<'de> Visitor<'de> for InOnePass<'_> {
    type Value = (Attributes<'de>, Event);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut source, mut type_name) = (None, None, None);
        let (mut data, mut subject, mut time) = (None, None, None);
        let (mut authtype, mut authid, mut recordedvia) = (None, None, None);
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "id" => once(&mut id, members.next_value()?)?,
                "source" => once(&mut source, members.next_value()?)?,
                "type" => once(&mut type_name, members.next_value()?)?,
                "data" => {
                    once(&mut data, members.next_value_seed(Data { of: self.type_name })?)?;
                }
                "subject" => once(&mut subject, members.next_value::<Option<RolloutId>>()?)?,
                "time" => once(&mut time, members.next_value::<Option<Micros>>()?)?,
                "authtype" => once(&mut authtype, members.next_value::<Option<Text>>()?)?,
                "authid" => once(&mut authid, members.next_value::<Option<Text>>()?)?,
                "recordedvia" => once(&mut recordedvia, members.next_value::<Option<Text>>()?)?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        let there = |text: Option<Text<'de>>| text.map(|text| text.0);
        let missing = || A::Error::custom("a member is missing");
        let attributes = Attributes {
            id: there(id).ok_or_else(missing)?,
            source: there(source).ok_or_else(missing)?,
            type_name: there(type_name).ok_or_else(missing)?,
            subject: subject.flatten(),
            time_us: time.flatten().map(|Micros(at)| at),
            authtype: there(authtype.flatten()),
            authid: there(authid.flatten()),
            recordedvia: there(recordedvia.flatten()),
        };
        if attributes.type_name != self.type_name {
            return Err(A::Error::custom("another type"));
        }
        Ok((attributes, data.ok_or_else(missing)?))
    }
}

/// A member may stand in an event once.
fn once<T, E: Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member stands there twice")),
    }
}

/// Reads the data of an event of this type.
struct Data<'a> {
    of: &'a str,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Event;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Event, D::Error> {
        Event::deserialize_as(self.of, json)
    }
}

/// A text that is borrowed where it is plainly written.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Text<'de>, D::Error> {
        struct OfText;

        impl<'de> Visitor<'de> for OfText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        json.deserialize_str(OfText)
    }
}

/// A moment, read without keeping its text.
struct Micros(i64);

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Micros, D::Error> {
        let Text(text) = Text::deserialize(json)?;
        let at = Instant::micros_of(&text);
        at.map(Micros).ok_or_else(|| D::Error::custom("not a moment in UTC"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canonical;

    /// Both ways give the same.
    fn compare(payload: &[u8]) {
        let long = Envelope::read(payload).map(|envelope| {
            let event = envelope.event();
            (Attributes::from(envelope), event)
        });
        let shown = |whole: Result<Whole, serde_json::Error>| {
            let whole = whole.ok().map(|(attributes, event)| (attributes, event.ok()));
            format!("{whole:?}")
        };
        let text = String::from_utf8_lossy(payload);
        assert_eq!(shown(Attributes::read(payload)), shown(long), "{text}");
    }

    fn in_one_pass(payload: &[u8]) -> bool {
        let Some(type_name) = std::str::from_utf8(payload).ok().and_then(type_at_the_end) else {
            return false;
        };
        let mut json = serde_json::Deserializer::from_slice(payload);
        json.deserialize_map(InOnePass { type_name }).is_ok()
    }

    #[test]
    fn every_example_is_read_in_one_pass_as_the_long_way() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
        let mut seen = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|name| name != "json") {
                continue;
            }
            let payload = std::fs::read(&path).unwrap();
            assert!(in_one_pass(&payload), "{}", path.display());
            compare(&payload);
            seen += 1;
            // Cut off, and with one byte of another value, anywhere.
            for at in (0..payload.len()).step_by(7) {
                compare(&payload[..at]);
                for byte in [b'"', b'}', b'0', b',', b'\\', 0xff] {
                    let mut other = payload.clone();
                    other[at] = byte;
                    compare(&other);
                }
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn other_shapes_are_read_the_long_way() {
        let event = |data: serde_json::Value, type_name: &str| json!({ "data": data, "id": "1", "source": "s", "type": type_name });
        let note = json!({ "basis": "reported", "text": "x" });
        let known = "rollout.note.added.v1";
        let mut rows = vec![
            event(note.clone(), known),
            event(note.clone(), "rollout.weather.changed.v1"),
            event(json!({ "basis": "reported", "type": known }), known),
            event(json!({ "text": 1 }), known),
            event(json!(null), known),
        ];
        let odd = [
            ("subject", json!("Not An Id")),
            ("subject", json!(null)),
            ("time", json!("2026-02-30T00:00:00Z")),
            ("time", json!(null)),
            ("time", json!("2026-02-03T00:00:00.5Z")),
            ("authid", json!(null)),
            ("authid", json!("a \"quoted\" word")),
            ("authid", json!(7)),
            ("zzz", json!("behind the type")),
            ("data", json!([])),
        ];
        for (name, value) in odd {
            let mut row = event(note.clone(), known);
            row[name] = value;
            rows.push(row);
        }
        for row in rows {
            compare(&canonical::to_bytes(&row));
        }
        let texts: [&str; 6] = [
            r#"{"data":{"basis":"reported","text":"x"},"id":"1","id":"2","source":"s","type":"rollout.note.added.v1"}"#,
            r#"{"data":{"basis":"reported","text":"x"},"id":"1","source":"s","type":"a","type":"rollout.note.added.v1"}"#,
            r#"{"data":{"basis":"reported","text":"x"},"id":"1","source":"s","x":{"a":1,"type":"rollout.note.added.v1"}"#,
            r#"{"data":{"basis":"reported","text":"x"},"id":"1","source":"s","type":"rollout.note.added.v1"} x"#,
            r#"["a","type":"rollout.note.added.v1"}"#,
            r#","type":"rollout.note.added.v1"}"#,
        ];
        for text in texts {
            compare(text.as_bytes());
        }
    }
}
