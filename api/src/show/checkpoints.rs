//! Rows of `rollout checkpoints`: a line for each checkpoint, and under it one for each KPI.

use projector::checkpoints::{
    Snapshot,
    kpis::{Kpi, Value},
};

use crate::{answers::word, output::ABSENT};

/// A checkpoint's row: name, state, dates, what it rests on.
pub fn checkpoint_cells(snapshot: &Snapshot) -> Vec<String> {
    let state = snapshot.state.as_str();
    let what = match &snapshot.due_local {
        Some(due) => format!("{state}, due {due} {}", snapshot.time_zone),
        None => state.to_owned(),
    };
    let newest = snapshot.taken.last();
    let basis = newest.map_or_else(|| ABSENT.to_owned(), |t| basis(&word(&t.basis), t.unverified));
    let from = snapshot.counted_from.as_str();
    let why = match snapshot.anchor {
        Some(seq) => format!("counted from {from}, entry {seq}"),
        None => format!("{from} is not recorded with a known time"),
    };
    let superseded = match snapshot.superseded.as_slice() {
        [] => String::new(),
        seqs => format!("; no longer holds: {}", list(seqs)),
    };
    let replaced = snapshot.until.map_or_else(String::new, |at| format!(", until another at {at}"));
    let absent = || ABSENT.to_owned();
    vec![
        snapshot.checkpoint.clone(),
        what,
        absent(),
        absent(),
        absent(),
        basis,
        format!("{why}{replaced}{superseded}"),
        list(&snapshot.seqs),
    ]
}

/// A KPI's row: goal, baseline, actual, how that is known, the verdict and why.
pub fn kpi_cells(checkpoint: &str, kpi: &Kpi) -> Vec<String> {
    let raw = |value: &Option<Value>| value.as_ref().map_or(ABSENT, |v| v.raw.trim()).to_owned();
    let mut actual = raw(&kpi.actual);
    if !kpi.before.is_empty() {
        let before: Vec<&str> = kpi.before.iter().map(|v| v.raw.trim()).collect();
        actual = format!("{actual} (before: {})", before.join(", "));
    }
    let known = kpi.actual.as_ref().map_or_else(
        || ABSENT.to_owned(),
        |value| {
            let source = value.source.as_ref().map_or_else(String::new, |s| format!(", {s}"));
            format!("{}{source}", basis(&word(&value.basis), value.unverified))
        },
    );
    vec![
        checkpoint.to_owned(),
        format!("{}: {}", kpi.name, kpi.verdict.as_str()),
        kpi.goal.as_ref().map_or(ABSENT, |goal| goal.raw.as_str()).to_owned(),
        raw(&kpi.baseline),
        actual,
        known,
        kpi.why.clone(),
        list(&kpi.seqs),
    ]
}

fn basis(word: &str, unverified: bool) -> String {
    if unverified { format!("{word}, unverified") } else { word.to_owned() }
}

fn list(seqs: &[u64]) -> String {
    seqs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
