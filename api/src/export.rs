//! Events for an auditor to take away: one a line, and a last line that says whether that is all.
//!
//! The forms are described in `docs/QUERY.md`. An export is written entry by entry, so it costs no
//! memory, and holds the log up to one head that was fixed before its first line.

mod check;
mod csv;

pub use check::check;

use std::collections::BTreeMap;

use ledger::Entry;
use serde_json::{Value, json};

use crate::{answers::AsOf, config::ExportFormat, filter::Question, moment};

/// One export on its way.
#[derive(Debug)]
pub struct Export {
    format: ExportFormat,
    /// The newest entry that it takes into account.
    head: AsOf,
    /// What was asked, as it was understood.
    filter: Value,
    count: u64,
    /// Seqs of the first and the last line.
    first: Option<u64>,
    last: Option<u64>,
}

impl Export {
    pub fn new(format: ExportFormat, question: &Question, head: AsOf) -> Export {
        let filter = question.shown();
        Export { format, head, filter, count: 0, first: None, last: None }
    }

    /// What stands before the first event.
    pub fn begin(&self, out: &mut Vec<u8>) {
        match self.format {
            ExportFormat::Jsonl => {}
            ExportFormat::Csv => csv::header(out),
        }
    }

    /// The line of an entry; an erased one shows the redaction that allows it.
    pub fn push(&mut self, entry: &Entry, allowed: &BTreeMap<u64, u64>, out: &mut Vec<u8>) {
        let redacted_by = allowed.get(&entry.seq().0).copied();
        match self.format {
            ExportFormat::Jsonl => line(entry, redacted_by, out),
            ExportFormat::Csv => csv::row(entry, redacted_by, out),
        }
        self.count += 1;
        self.first = self.first.or(Some(entry.seq().0));
        self.last = Some(entry.seq().0);
    }

    /// The last line. Without it an export is cut off.
    pub fn end(&self, out: &mut Vec<u8>) {
        let trailer = json!({
            "count": self.count,
            "first_seq": self.first,
            "last_seq": self.last,
            "head": self.head,
            "filter": self.filter,
            "complete": true,
        });
        match self.format {
            ExportFormat::Jsonl => {
                out.extend_from_slice(json!({ "trailer": trailer }).to_string().as_bytes());
                out.push(b'\n');
            }
            ExportFormat::Csv => csv::trailer(&trailer.to_string(), out),
        }
    }

    /// The newest entry that it takes into account.
    pub fn head(&self) -> &AsOf {
        &self.head
    }
}

/// As `GET /api/v1/events` shows an entry, with the payload in the very bytes that its digest is of.
fn line(entry: &Entry, redacted_by: Option<u64>, out: &mut Vec<u8>) {
    let start = format!(
        r#"{{"seq":{},"hash":"{}","recorded_at":"{}","event":"#,
        entry.seq(),
        entry.hash(),
        moment::shown_us(entry.recorded_at_us())
    );
    out.extend_from_slice(start.as_bytes());
    let is_json =
        |payload: &&[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok();
    let end = match (entry.payload(), redacted_by) {
        (Some(_), _) => "}\n".to_owned(),
        (None, Some(by)) => format!(r#","redacted":true,"redacted_by":{by}}}{}"#, "\n"),
        (None, None) => ",\"missing\":true}\n".to_owned(),
    };
    out.extend_from_slice(entry.payload().filter(is_json).unwrap_or(b"null"));
    out.extend_from_slice(end.as_bytes());
}
