//! Entries as programs read them: one form for lists, pages and exports.

use std::collections::BTreeMap;

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
