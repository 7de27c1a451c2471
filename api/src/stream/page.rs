//! A run of entries, rendered as messages of `text/event-stream`.

use std::{fmt::Write as _, ops::Range, sync::OnceLock};

use axum::body::Bytes;
use ledger::{Entry, Hash, Log, LogError, Seq};
use projector::{
    recorded::Recorded,
    views::{About, about, read_entry},
};

use super::Wanted;
use crate::wire::write_proof;

/// A page ends before the entry that would make it longer, in bytes; one entry is always taken.
const PAGE_SIZE_MAX: usize = 256 << 10;

/// Room for what surrounds a payload in its message, in bytes, for the first guess.
const AROUND: usize = 512;

/// Entries without gaps, as messages.
pub(super) struct Page {
    first: u64,
    /// All messages, one behind the other.
    bytes: Bytes,
    entries: Vec<Rendered>,
    /// What the entries are about; only read for those who filter.
    facts: OnceLock<Vec<(Recorded, About)>>,
    /// Taken into account when the page is kept.
    size: usize,
}

struct Rendered {
    entry: Entry,
    /// Where the type of its event is named, as a line.
    name: Range<usize>,
    /// Where its message ends.
    end: usize,
}

impl Page {
    /// Reads up to `limit` entries from `from` on and renders them so that `wanted` is among them.
    /// `None` past the end of the log.
    pub(super) fn read(
        log: &dyn Log,
        from: u64,
        wanted: u64,
        limit: u64,
    ) -> Result<Option<Page>, LogError> {
        let mut entries = log.read(Seq(from), usize::try_from(limit).unwrap_or(usize::MAX))?;
        let before = entries.iter().take_while(|entry| entry.seq().0 < wanted);
        let before_size: usize = before.map(size_of).sum();
        if before_size >= PAGE_SIZE_MAX {
            entries.retain(|entry| entry.seq().0 >= wanted);
        }
        let Some(first) = entries.first().map(|entry| entry.seq().0) else { return Ok(None) };
        let (mut text, mut rendered) = (String::new(), Vec::with_capacity(entries.len()));
        let mut size = 0;
        for entry in entries {
            let one = size_of(&entry);
            if entry.seq().0 > wanted && text.len() + one > PAGE_SIZE_MAX {
                break;
            }
            let name = write_entry(&mut text, &entry);
            size += one;
            rendered.push(Rendered { entry, name, end: text.len() });
        }
        let size = size + text.len();
        let bytes = Bytes::from(text);
        Ok(Some(Page { first, bytes, entries: rendered, facts: OnceLock::new(), size }))
    }

    /// The place after the last entry.
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn holds(&self, seq: u64) -> bool {
        (self.first..self.next()).contains(&seq)
    }

    /// Bytes that it keeps in memory.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn hash(&self, seq: u64) -> Option<Hash> {
        self.entries.get(self.place(seq)?).map(|one| one.entry.hash())
    }

    /// The messages of all entries from `from` on.
    pub(super) fn all(&self, from: u64) -> Bytes {
        self.place(from).map_or_else(Bytes::new, |at| self.bytes.slice(self.start(at)..))
    }

    /// The messages from `from` on as they are wanted. With a filter,
    /// [`read_facts`](Page::read_facts) comes first.
    pub(super) fn wanted(&self, from: u64, wanted: &Wanted) -> Bytes {
        let Some(at) = self.place(from) else { return Bytes::new() };
        let facts = self.facts.get().map(Vec::as_slice).unwrap_or_default();
        let mut picked = Picked { page: self, run: 0..0, text: String::new() };
        for (place, one) in self.entries.iter().enumerate().skip(at) {
            let fits = wanted.filter.as_ref().is_none_or(|filter| {
                facts.get(place).is_some_and(|(recorded, about)| filter.admits(recorded, about))
            });
            let start = self.start(place);
            match (fits, wanted.headers) {
                (true, _) if wanted.unnamed => {
                    picked.take(start..one.name.start);
                    picked.take(one.name.end..one.end);
                }
                (true, _) => picked.take(start..one.end),
                (false, true) => picked.bare(&one.entry),
                (false, false) => {}
            }
        }
        picked.done()
    }

    pub(super) fn has_facts(&self) -> bool {
        self.facts.get().is_some()
    }

    /// Reads what the entries are about.
    pub(super) fn read_facts(&self, log: &dyn Log) -> Result<(), LogError> {
        let read = |one: &Rendered| {
            let recorded = read_entry(&one.entry);
            let about = about(log, &recorded)?;
            Ok((recorded, about))
        };
        let facts = self.entries.iter().map(read).collect::<Result<Vec<_>, LogError>>()?;
        // Whoever was first has read the same.
        let _ = self.facts.set(facts);
        Ok(())
    }

    fn place(&self, seq: u64) -> Option<usize> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        (at < self.entries.len()).then_some(at)
    }

    fn start(&self, place: usize) -> usize {
        let before = place.checked_sub(1).and_then(|before| self.entries.get(before));
        before.map_or(0, |one| one.end)
    }
}

/// Messages chosen from a page: a slice of it as long as they are neighbours.
struct Picked<'a> {
    page: &'a Page,
    run: Range<usize>,
    text: String,
}

impl Picked<'_> {
    fn take(&mut self, message: Range<usize>) {
        if self.run.end == message.start && !self.run.is_empty() {
            self.run.end = message.end;
        } else {
            self.flush();
            self.run = message;
        }
    }

    fn bare(&mut self, entry: &Entry) {
        self.flush();
        write_bare(&mut self.text, "header", entry, "");
    }

    fn flush(&mut self) {
        let run = self.page.bytes.get(std::mem::take(&mut self.run)).unwrap_or_default();
        self.text.push_str(std::str::from_utf8(run).unwrap_or_default());
    }

    fn done(mut self) -> Bytes {
        if self.text.is_empty() {
            return self.page.bytes.slice(self.run);
        }
        self.flush();
        Bytes::from(self.text)
    }
}

fn size_of(entry: &Entry) -> usize {
    entry.payload().map_or(0, <[u8]>::len) + AROUND
}

/// The message of an entry: its event with three members more, or, once that is erased, those alone.
/// Returns where the type of its event stands.
fn write_entry(text: &mut String, entry: &Entry) -> Range<usize> {
    // A stored payload is canonical JSON: an object on one line.
    let payload = entry.payload().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let open = payload.and_then(|payload| payload.strip_suffix('}'));
    let name = entry.payload().and_then(|bytes| ledger::Envelope::read(bytes).ok());
    let (Some(open), Some(name)) = (open, name) else {
        write_bare(text, "redacted", entry, r#","redacted":true"#);
        return text.len()..text.len();
    };
    let known = name.event_type();
    let name = if known.contains(char::is_control) { "message" } else { known };
    let _ = writeln!(text, "id: {}", entry.seq());
    let start = text.len();
    let _ = writeln!(text, "event: {name}");
    let named = start..text.len();
    let _ = write!(text, "data: {open},");
    write_proof(text, entry);
    text.push_str("}\n\n");
    named
}

/// A message without an event: the proof, and `more` behind it.
fn write_bare(text: &mut String, name: &str, entry: &Entry, more: &str) {
    let _ = write!(text, "id: {}\nevent: {name}\ndata: {{", entry.seq());
    write_proof(text, entry);
    let _ = write!(text, "{more}}}\n\n");
}
