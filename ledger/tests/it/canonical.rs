//! Canonical bytes are accepted and all others refused, as another encoder sees it.

use ledger::canonical::{DEPTH_MAX, check};
use proptest::prelude::*;
use serde_json::Value;

use crate::slow;

/// Canonical JSON by another way: parse, sort, write. `None` if no canonical form exists.
fn encode(value: &Value, depth: usize) -> Option<String> {
    Some(match value {
        Value::Number(number) => {
            let integer = number.as_i64().filter(|n| n.unsigned_abs() < 1 << 53)?;
            integer.to_string()
        }
        Value::Array(_) | Value::Object(_) if depth == DEPTH_MAX => return None,
        Value::Array(items) => {
            let items = items.iter().map(|item| encode(item, depth + 1));
            format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            let members = members.into_iter().map(|(name, value)| {
                let name = encode(&Value::String(name.clone()), depth)?;
                Some(format!("{name}:{}", encode(value, depth + 1)?))
            });
            format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(","))
        }
        other => other.to_string(),
    })
}

fn is_canonical(bytes: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<Value>(bytes).ok();
    parsed.and_then(|value| encode(&value, 0)).is_some_and(|text| text.as_bytes() == bytes)
}

/// Strings of letters in which sorting and escaping matter.
fn text() -> impl Strategy<Value = String> {
    let letter = prop::sample::select(vec![
        'a', 'b', '"', '\\', '/', '\n', '\u{8}', '\u{1}', '\u{1f}', '\u{7f}', 'é', '\u{e000}',
        '\u{fb33}', '😀', '\u{2028}',
    ]);
    prop::collection::vec(letter, 0..12).prop_map(|letters| letters.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53)..=1 << 53).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_an_encoder_writes_is_accepted(value in value()) {
        if let Some(text) = encode(&value, 0) {
            prop_assert_eq!(check(text.as_bytes()), Ok(()), "{}", text);
        }
    }

    /// A byte is changed, repeated or taken out: the two must still agree.
    #[test]
    fn nothing_else_is(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), kind in 0..4) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => bytes[at] = b"0-1 \"\\,:{}[]eu"[usize::from(byte) % 14],
        }
        prop_assert_eq!(check(&bytes).is_ok(), is_canonical(&bytes), "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(check(&bytes), slow::check(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }

    /// Bytes of which hardly any string is canonical, with what ends and begins things everywhere.
    #[test]
    fn any_bytes_are_judged_as_the_slow_reader_judges_them(
        letters in prop::collection::vec(
            prop::sample::select("\"\"\"\"\\\\{}[]:,ab01-nu\n\0\u{1f}\u{7f}é😀".chars().collect::<Vec<_>>()),
            0..700,
        )
    ) {
        let text: String = letters.into_iter().collect();
        prop_assert_eq!(check(text.as_bytes()), slow::check(text.as_bytes()), "{}", text);
    }

    /// Long values, so that strings, escapes and names lie over every border inside the reader.
    #[test]
    fn long_values_are_judged_as_the_slow_reader_judges_them(
        values in prop::collection::vec(value(), 1..60),
        pad in 0..70usize,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let canonical = values.iter().filter_map(|value| encode(value, 2)).collect::<Vec<_>>();
        let text = format!("[\"{}\",{}]", "x".repeat(pad), canonical.join(","));
        let mut bytes = text.into_bytes();
        prop_assert_eq!(check(&bytes), slow::check(&bytes));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(check(&bytes), slow::check(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}

/// Every byte of an event, in every place of it, and every end of it.
#[test]
fn one_changed_byte_is_judged_as_the_slow_reader_judges_it() {
    let event = concat!(
        r#"{"authid":"anna","data":{"a":[],"b\"":"\\","é":{"x":-1},"n":[1,20,{"z":null}],"t":"\u0001\n"},"#,
        r#""id":"1","source":"s","subject":"Rückruf – \"grün\"","type":"t","z":true}"#
    );
    for pad in [0, 200] {
        let event = event.replace("anna", &"x".repeat(pad));
        let mut bytes = event.clone().into_bytes();
        for at in 0..bytes.len() {
            assert_eq!(check(&bytes[..at]), slow::check(&bytes[..at]), "{at} of {event}");
            let whole = bytes[at];
            for byte in 0..=255 {
                bytes[at] = byte;
                assert_eq!(check(&bytes), slow::check(&bytes), "{byte} at {at} of {event}");
            }
            bytes[at] = whole;
        }
    }
}

#[test]
fn the_edges_of_the_form() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deep_object = |depth: usize| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth);
    for (text, expected) in [
        (nested(DEPTH_MAX), true),
        (nested(DEPTH_MAX + 1), false),
        (nested(100_000), false),
        (deep_object(DEPTH_MAX), true),
        (deep_object(DEPTH_MAX + 1), false),
        ("9007199254740991".to_owned(), true),
        ("-9007199254740991".to_owned(), true),
        ("9007199254740992".to_owned(), false),
        ("10000000000000000".to_owned(), false),
        ("00".to_owned(), false),
        ("-".to_owned(), false),
        (r#""\u001f""#.to_owned(), true),
        (r#""\u001F""#.to_owned(), false),
        (r#""\u000a""#.to_owned(), false),
        (r#""\u0020""#.to_owned(), false),
        (r#""\/""#.to_owned(), false),
        (r#"{"a":1,"a":1}"#.to_owned(), false),
        (r#"{"b":1,"a":1}"#.to_owned(), false),
        // By UTF-16 an emoji's first unit comes before U+E000; by code points it does not.
        ("{\"😀\":1,\"\u{e000}\":1}".to_owned(), true),
        ("{\"\u{e000}\":1,\"😀\":1}".to_owned(), false),
        // An escaped name is sorted by what it means: U+0001 before a quote.
        (r#"{"\u0001":1,"\"":1,"a":1}"#.to_owned(), true),
        (r#"{"\"":1,"\u0001":1}"#.to_owned(), false),
        (" 1".to_owned(), false),
        ("1 ".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(check(text.as_bytes()).is_ok(), expected, "{text:.80}");
    }
    assert!(check(b"\"\xff\"").is_err(), "not UTF-8");
}
