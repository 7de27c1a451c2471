//! Strict JSON in, canonical bytes out: RFC 8785 restricted to integers.
//!
//! RFC 8785 writes numbers as IEEE doubles, which rounds large integers silently and makes two
//! different events equal. So floats, exponents, `-0` and integers beyond ±(2^53 - 1) are refused
//! at the door, as are duplicate keys and lone surrogates: two parsers could read two facts from
//! them.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The largest integer that every JSON reader keeps exactly (2^53 - 1).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// How deeply arrays and objects may nest.
pub const DEPTH_MAX: usize = 64;

/// Why a text is not JSON that can be recorded, with the line and column where it is not.
#[derive(Debug, thiserror::Error)]
#[error("not recordable JSON: {0}")]
pub struct NotRecordable(#[from] serde_json::Error);

/// Reads one JSON text strictly. The value has one canonical form, [`to_bytes`].
pub fn parse(text: &[u8]) -> Result<Value, NotRecordable> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The canonical bytes of a value made by [`parse`] or by serializing an event.
///
/// Keys are sorted by UTF-16 code units, as RFC 8785 section 3.2.3 wants.
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // UTF-8 and UTF-16 order differ only where a character outside the BMP is involved.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (key, item)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_scalar(key, out);
                out.push(b':');
                write(item, out);
            }
            out.push(b'}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing JSON to memory cannot fail");
}

/// A value at some depth, with everything refused that has no single canonical form.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Strict, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Strict { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value without floats")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Value, E> {
        if (-INTEGER_MAX..=INTEGER_MAX).contains(&v) {
            Ok(Value::from(v))
        } else {
            Err(E::custom("an integer beyond 2^53 - 1; write it as a string"))
        }
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Value, E> {
        match i64::try_from(v) {
            Ok(v) => self.visit_i64(v),
            Err(_) => Err(E::custom("an integer beyond 2^53 - 1; write it as a string")),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("a number that is not a plain integer; write decimals as strings"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(Key(key)) = map.next_key()? {
            let item = map.next_value_seed(self.deeper()?)?;
            if members.insert(key, item).is_some() {
                // The key itself may be what must not be echoed.
                return Err(serde::de::Error::custom("a key that stands twice in one object"));
            }
        }
        Ok(Value::Object(members))
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The shared vectors of the format, made without this code.
    const ACCEPTED: &[(&str, &str)] = &[
        (r#"{ "b": 1, "a": [ true, null, "x" ] }"#, r#"{"a":[true,null,"x"],"b":1}"#),
        (
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#,
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
        ),
        (
            r#""\u0000\u001f\u0008\t\n\u000c\r\"\\\/\u007f\u2028""#,
            "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\/\u{7f}\u{2028}\"",
        ),
        ("[0,-1,9007199254740991,-9007199254740991]", "[0,-1,9007199254740991,-9007199254740991]"),
        (r#"{"e":"e\u0301","\u00e9":""}"#, "{\"e\":\"e\u{301}\",\"\u{e9}\":\"\"}"),
    ];

    const REFUSED: &[&str] = &[
        "1.5",
        "1.0",
        "1e2",
        "-0",
        "9007199254740992",
        "-9007199254740992",
        "123456789012345678901",
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
        "NaN",
        "Infinity",
        "01",
        "+1",
        "\"\t\"",
        "{'a':1}",
        r#"{"a":1,}"#,
        "[1,]",
        r#"{"a":1} x"#,
        "",
        "\u{feff}{}",
        "// c\n{}",
    ];

    #[test]
    fn accepted_texts_have_these_canonical_bytes() {
        for (text, canonical) in ACCEPTED {
            let value = parse(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(to_bytes(&value)).unwrap(), *canonical, "{text}");
        }
    }

    #[test]
    fn texts_without_one_canonical_form_are_refused() {
        for text in REFUSED {
            assert!(parse(text.as_bytes()).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn canonical_bytes_parse_to_themselves(text in ".*", n in -INTEGER_MAX..=INTEGER_MAX) {
            let value = serde_json::json!({ text.clone(): [n, text], "\u{fb33}": null, "\u{1f600}": {} });
            let bytes = to_bytes(&value);
            prop_assert_eq!(to_bytes(&parse(&bytes).unwrap()), bytes);
        }
    }
}
