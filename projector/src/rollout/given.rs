//! Histories for tests, one event a line, so that a test reads like a diary.
//!
//! `01-13 15:00 stage.started stage=stage-a; exposures=10%` is a stage that began on 13 January
//! 2025, recorded when it happened. `@02-01 09:00` before the type says when it was recorded
//! instead; `-` for the moment leaves the time out. Members are separated by `; `, dots nest them.

use serde_json::{Map, Value, json};

use crate::recorded::{Moment, Recorded};

/// The events of a history, seqs from 0.
pub(crate) fn given(history: &str) -> Vec<Recorded> {
    let lines = history.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.enumerate().map(|(seq, line)| event(seq as u64, line)).collect()
}

/// A moment of 2025 in UTC: `01-13 15:00`. Another year stands before it: `2026-01-13 15:00`.
pub(crate) fn moment(text: &str) -> Moment {
    let year = if text.len() == 11 { "2025-" } else { "" };
    let (date, time) = text.split_once(' ').unwrap();
    let at: jiff::Timestamp = format!("{year}{date}T{time}:00Z").parse().unwrap();
    Moment(at.as_microsecond())
}

/// A moment as the diary writes it.
pub(crate) fn short(at: Moment) -> String {
    let text = at.to_string();
    let text = text.strip_prefix("2025-").unwrap_or(&text);
    text.split(':').take(2).collect::<Vec<_>>().join(":").replace('T', " ")
}

pub(crate) fn hash_of(seq: u64) -> String {
    format!("{seq:064x}")
}

/// The line of a plan with these fields: path, label, text. No text, or one in brackets, is a blank.
pub(crate) fn plan_of(revision: u64, at: &str, fields: &[(&str, &str, &str)]) -> String {
    let fields: Vec<Value> = (1..)
        .zip(fields)
        .map(|(line, (path, label, raw))| {
            let blank = raw.is_empty() || raw.starts_with('[');
            let mut field = json!({
                "path": path, "raw": raw, "kind": if blank { "blank" } else { "value" },
                "line": line, "start": 0, "end": 0,
            });
            if !label.is_empty() {
                field["label"] = (*label).into();
            }
            field
        })
        .collect();
    let (kind, more) = match revision {
        1 => ("imported", ""),
        _ => ("revised", "; predecessor=0; reason=file"),
    };
    let (fields, digest) = (Value::from(fields), digest_of(revision));
    format!(
        "{at} plan.{kind} revision={revision}; file_name=p.md; digest={digest}; text=x; \
         reader_version=1; fields={fields}{more}"
    )
}

/// The digest of a revision that [`plan_of`] wrote.
pub(crate) fn digest_of(revision: u64) -> String {
    format!("{revision:064x}").replace('0', "a")
}

fn event(seq: u64, line: &str) -> Recorded {
    let (time, rest) = take_moment(line);
    let (recorded_at, rest) = match rest.strip_prefix('@') {
        Some(rest) => take_moment(rest),
        None => (time, rest),
    };
    let (kind, members) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut data = Map::new();
    data.insert("basis".into(), "reported".into());
    for member in members.split("; ").filter(|m| !m.is_empty()) {
        let (path, text) = member.split_once('=').unwrap();
        insert(&mut data, path.trim(), value(path.trim(), text.trim()));
    }
    let mut payload = json!({
        "specversion": "1.0", "id": format!("e-{seq}"), "source": "test", "subject": "claim-form",
        "type": format!("rollout.{kind}.v1"), "data": data,
    });
    if let Some(time) = time {
        payload["time"] = time.to_string().into();
    }
    let recorded_at = recorded_at.unwrap_or(moment("12-01 00:00")).0;
    let bytes = serde_json::to_vec(&payload).unwrap();
    let recorded = Recorded::read(seq, &hash_of(seq), recorded_at, Some(&bytes));
    assert!(recorded.known().is_some() || kind.starts_with("future"), "not an event: {payload}");
    recorded
}

fn take_moment(text: &str) -> (Option<Moment>, &str) {
    if let Some(rest) = text.strip_prefix("- ") {
        return (None, rest.trim_start());
    }
    let len = if text.as_bytes()[2] == b'-' { 11 } else { 16 };
    (Some(moment(&text[..len])), text[len..].trim_start())
}

fn insert(data: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(data.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = data.entry(first).or_insert_with(|| json!({}));
            insert(inner.as_object_mut().unwrap(), rest, value);
        }
    }
}

/// Short spellings: `10%` and `off` are exposures, `#5` a quantity, `!no` an answer, `&ada` a
/// person, `~PT2H` a duration, `@3` the event 3; everything else is JSON, or a string.
fn value(path: &str, text: &str) -> Value {
    let listed = |one: Value| if path.ends_with("exposures") { json!([one]) } else { one };
    let (mark, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    match mark {
        "#" | "!" => return json!({ "raw": rest, "value": rest }),
        "&" => return json!({ "kind": "person", "id": rest }),
        "~" => return json!({ "raw": rest, "min": rest }),
        "@" => {
            let seq = rest.parse().unwrap();
            return json!({ "seq": seq, "hash": hash_of(seq) });
        }
        _ => {}
    }
    if let Some(percent) = text.strip_suffix('%').filter(|p| p.parse::<u32>().is_ok()) {
        let bp = percent.parse::<u32>().unwrap() * 100;
        return listed(json!({ "kind": "percent", "min_bp": bp, "max_bp": bp }));
    }
    if text == "off" || (text == "all" && path != "scope") {
        return listed(json!({ "kind": text }));
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
