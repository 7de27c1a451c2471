//! Exported events as comma-separated values (RFC 4180, but lines end in LF).

use ledger::Entry;
use projector::{
    recorded::{Read, Recorded},
    views::{facets, read_entry, words},
};
use schemas::Event;

use crate::{moment, output::printable};

/// The columns, in their order. New ones come behind the others.
pub(super) const COLUMNS: [&str; 18] = [
    "seq",
    "hash",
    "recorded_at",
    "time",
    "type",
    "source",
    "id",
    "subject",
    "actor",
    "authtype",
    "authid",
    "recordedvia",
    "basis",
    "stage",
    "flag",
    "text",
    "state",
    "payload",
];

/// What stands in the first column of the last row, whose last column is the trailer.
pub(super) const TRAILER: &str = "#trailer";

/// Longest text in the column of that name, in characters. The payload has all of it.
const TEXT_LEN_MAX: usize = 200;

/// The names of the columns.
pub(super) fn header(out: &mut Vec<u8>) {
    write(&COLUMNS.map(str::to_owned), out);
}

/// The last row.
pub(super) fn trailer(trailer: &str, out: &mut Vec<u8>) {
    let mut cells = COLUMNS.map(|_| String::new());
    let [first, .., last] = &mut cells;
    TRAILER.clone_into(first);
    trailer.clone_into(last);
    write(&cells, out);
}

/// The row of an entry.
pub(super) fn row(entry: &Entry, redacted_by: Option<u64>, out: &mut Vec<u8>) {
    let recorded = read_entry(entry);
    let state = match (entry.payload(), redacted_by) {
        (Some(_), _) => "recorded".to_owned(),
        (None, Some(by)) => format!("redacted by {by}"),
        (None, None) => "missing".to_owned(),
    };
    let event = recorded.known();
    let common = event.map(Event::common);
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let cells = [
        recorded.seq.to_string(),
        recorded.hash.clone(),
        moment::shown(recorded.recorded_at_us),
        recorded.time.map(moment::shown).unwrap_or_default(),
        type_name(&recorded).to_owned(),
        recorded.source.clone(),
        recorded.id.clone(),
        word(recorded.subject.as_ref().map(schemas::RolloutId::as_str)),
        common.and_then(|common| common.actor).map(actor).unwrap_or_default(),
        word(recorded.authtype.as_deref()),
        word(recorded.authid.as_deref()),
        word(recorded.recordedvia.as_deref()),
        word(common.map(|common| common.basis.as_str())),
        word(event.and_then(facets::stage).map(schemas::StageKey::as_str)),
        word(event.and_then(facets::flag).map(schemas::FlagKey::as_str)),
        event.map(summary).unwrap_or_default(),
        state,
        String::from_utf8_lossy(entry.payload().unwrap_or_default()).into_owned(),
    ];
    write(&cells.map(|cell| harmless(&cell)), out);
}

fn type_name(recorded: &Recorded) -> &str {
    match &recorded.event {
        Read::Known(event) => event.type_name(),
        Read::Unknown { type_name } => type_name,
        Read::Redacted => "",
    }
}

fn actor(actor: &schemas::values::Actor) -> String {
    match (&actor.id, &actor.reason_unknown) {
        (Some(id), _) => id.clone(),
        (None, Some(reason)) => format!("unknown ({reason})"),
        (None, None) => actor.kind.to_string(),
    }
}

/// The first words of what somebody wrote.
fn summary(event: &Event) -> String {
    let mut texts = String::new();
    words::each_text(event, |text| {
        if texts.len() <= 4 * TEXT_LEN_MAX {
            if !texts.is_empty() {
                texts.push_str(" / ");
            }
            texts.extend(text.chars().take(TEXT_LEN_MAX + 1));
        }
    });
    if texts.chars().count() > TEXT_LEN_MAX {
        texts = texts.chars().take(TEXT_LEN_MAX - 1).chain(['…']).collect();
    }
    printable(&texts)
}

/// A cell that a spreadsheet might run as a formula gets an apostrophe in front, whatever it holds.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

fn write(cells: &[String; COLUMNS.len()], out: &mut Vec<u8>) {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(cells).expect("a row is written to memory");
    writer.flush().expect("a row is written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_spreadsheets_would_run_are_made_harmless() {
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            let cell = format!("{start}1");
            assert_eq!(harmless(&cell), format!("'{cell}"));
        }
        assert_eq!(harmless("{\"a\":1}"), "{\"a\":1}");
    }
}
