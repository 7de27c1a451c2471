//! Entries as programs read them: one form for lists, pages and exports.

use std::{collections::BTreeMap, fmt::Write as _};

use ledger::Entry;
use serde_json::{Value, json};

use crate::{history::History, json::set, moment};

/// Entries, each as an object. An erased one names the redaction that allows it; one without is
/// `missing`, which is tampering.
pub fn shown(history: &History, entries: &[Entry]) -> anyhow::Result<Vec<Value>> {
    let allowed = history.redactions(&erased(entries))?;
    Ok(shown_by(entries, &allowed))
}

/// The same, by redactions that are known.
pub fn shown_by(entries: &[Entry], allowed: &BTreeMap<u64, u64>) -> Vec<Value> {
    entries.iter().map(|entry| shown_one(entry, allowed.get(&entry.seq().0))).collect()
}

/// The same as a JSON array. Payloads are stored as JSON, so they are taken as they are: reading and
/// writing them again is most of what a page would cost.
pub fn text_by(entries: &[Entry], allowed: &BTreeMap<u64, u64>) -> String {
    let mut text = "[".to_owned();
    for entry in entries {
        if text.len() > 1 {
            text.push(',');
        }
        let payload = entry.payload().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(payload) = payload else {
            let shown = shown_one(entry, allowed.get(&entry.seq().0));
            text.push_str(&shown.to_string());
            continue;
        };
        let (seq, hash) = (entry.seq(), entry.hash());
        let at = moment::shown_us(entry.recorded_at_us());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            r#"{{"event":{payload},"hash":"{hash}","recorded_at":"{at}","seq":{seq}}}"#
        );
    }
    text.push(']');
    text
}

/// Those that have no payload any more.
pub fn erased(entries: &[Entry]) -> Vec<&Entry> {
    entries.iter().filter(|e| e.payload().is_none()).collect()
}

fn shown_one(entry: &Entry, redacted_by: Option<&u64>) -> Value {
    let event = entry.payload().map(serde_json::from_slice::<Value>);
    let event = event.and_then(Result::ok);
    let mut shown = json!({
        "seq": entry.seq().0,
        "hash": entry.hash().to_string(),
        "recorded_at": moment::shown_us(entry.recorded_at_us()),
        "event": event,
    });
    if entry.payload().is_none() {
        match redacted_by {
            Some(by) => {
                set(&mut shown, "redacted", true);
                set(&mut shown, "redacted_by", *by);
            }
            None => set(&mut shown, "missing", true),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use ledger::{Draft, Index, Log as _, MemoryLog, Seq, Writer};

    use super::*;

    #[test]
    fn the_text_of_a_page_says_what_its_objects_say() {
        let log = std::sync::Arc::new(MemoryLog::default());
        let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
        let payloads = [
            r#"{"id":"1","source":"t","type":"rollout.note.added.v1"}"#,
            r#"{"data":{"text":"\"é\n"},"id":"2","source":"t","type":"rollout.note.added.v1"}"#,
        ];
        let draft = |payload: &str| Draft::new(payload.as_bytes().to_vec()).unwrap().into();
        writer.commit(payloads.into_iter().map(draft).collect(), 1_000_000).unwrap();
        let entries = log.read(Seq(0), 2).unwrap();
        let text: Value = serde_json::from_str(&text_by(&entries, &BTreeMap::new())).unwrap();
        assert_eq!(text, Value::Array(shown_by(&entries, &BTreeMap::new())));
        assert_eq!(text_by(&[], &BTreeMap::new()), "[]");
    }
}
