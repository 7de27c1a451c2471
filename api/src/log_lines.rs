//! The lines of `log export`: one an entry, and a last one that says whether that is all.
//!
//! `docs/FORMAT.md` describes them for whoever has no copy of this code. A payload stands in its line
//! as a string, so that its bytes come back exactly, whatever a reader does with numbers and names.

use std::io::{self, BufRead, Read as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ledger::{HEADER_SIZE, Hash, Head, Header, PAYLOAD_SIZE_MAX, Seq, Stored};
use serde::Deserialize;
use serde_json::json;

use crate::exit::{Code, fail};

/// What the trailer says of the form of the lines.
const FORMAT: &str = "rollout-ledger log 1";

/// A line has a payload, of which no byte takes more than two in a string, and a header: 1 MiB and
/// 1 KiB.
const LINE_SIZE_MAX: usize = 2 * PAYLOAD_SIZE_MAX + 1024;

/// Writes the line of an entry.
///
/// # Errors
/// When the payload is no text: such an entry does not verify.
pub fn write_entry(out: &mut Vec<u8>, entry: &Stored<'_>) -> io::Result<()> {
    let header = STANDARD.encode(entry.header.encode());
    let (seq, hash, left) = (entry.header.seq, entry.hash, entry.left);
    let start = format!(r#"{{"seq":{seq},"hash":"{hash}","left":{left},"header":"{header}","#);
    out.extend_from_slice(start.as_bytes());
    match entry.payload {
        Some(payload) => {
            let text = std::str::from_utf8(payload).map_err(io::Error::other)?;
            out.extend_from_slice(br#""payload":"#);
            serde_json::to_writer(&mut *out, text)?;
        }
        None => out.extend_from_slice(br#""erased":true"#),
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Writes the last line.
pub fn write_trailer(out: &mut Vec<u8>, from: Seq, head: Head) {
    let last = head.last_seq().filter(|last| *last >= from);
    let trailer = json!({ "trailer": {
        "format": FORMAT,
        "count": head.len_from(from),
        "first_seq": last.map(|_| from.0),
        "last_seq": last.map(|seq| seq.0),
        "head": { "seq": head.last_seq().map(|seq| seq.0), "hash": head.hash.to_string() },
        "complete": true,
    }});
    out.extend_from_slice(trailer.to_string().as_bytes());
    out.push(b'\n');
}

/// An entry as its line has it.
#[derive(Debug)]
pub struct Line {
    pub header: Header,
    pub payload: Option<Vec<u8>>,
    pub left: u16,
}

/// What the last line says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    format: String,
    count: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    head: TrailerHead,
    complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrailerHead {
    seq: Option<u64>,
    hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    seq: u64,
    hash: String,
    left: u16,
    header: String,
    payload: Option<String>,
    erased: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrailerLine {
    trailer: Trailer,
}

/// Reads the lines of an export, one at a time.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    number: u64,
    trailer: Option<Trailer>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(from: R) -> Lines<R> {
        Lines { from, line: Vec::new(), number: 0, trailer: None }
    }

    /// Which line was read last, for messages.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the line that was read last.
    pub fn size(&self) -> u64 {
        self.line.len() as u64
    }

    /// The next entry; `None` after the last line has been read, and nothing is behind it.
    pub fn next_entry(&mut self) -> anyhow::Result<Option<Line>> {
        if !self.read_line()? {
            return match self.trailer {
                Some(_) => Ok(None),
                None => Err(self
                    .broken("the file was cut off: it has no last line that says it is complete")),
            };
        }
        if self.trailer.is_some() {
            return Err(self.broken("something stands behind the last line"));
        }
        if self.line.starts_with(br#"{"trailer""#) {
            let read = serde_json::from_slice::<TrailerLine>(&self.line);
            let trailer = read.map_err(|_| self.broken("it is no last line of a `log export`"))?;
            self.trailer = Some(trailer.trailer);
            return self.next_entry();
        }
        let read = serde_json::from_slice::<EntryLine>(&self.line);
        let read = read.map_err(|_| self.broken("it is no line of a `log export`"))?;
        self.entry(read).map(Some)
    }

    fn entry(&self, read: EntryLine) -> anyhow::Result<Line> {
        let header = STANDARD.decode(&read.header).ok();
        let header = header.and_then(|bytes| <[u8; HEADER_SIZE]>::try_from(bytes).ok());
        let header = header.and_then(|bytes| Header::decode(&bytes).ok());
        let header = header
            .ok_or_else(|| self.broken("its header is no base64 of 81 bytes of version 1"))?;
        if header.seq.0 != read.seq || header.hash().to_string() != read.hash {
            return Err(self.broken("its seq or hash is not its header's"));
        }
        if read.payload.is_some() == (read.erased == Some(true)) || read.erased == Some(false) {
            return Err(self.broken("it has neither a payload nor is it erased, or both"));
        }
        Ok(Line { header, payload: read.payload.map(String::into_bytes), left: read.left })
    }

    /// Checks what the last line says against what was read, from entry 0 up to `head`.
    pub fn check_trailer(&self, head: Head) -> anyhow::Result<()> {
        let Some(trailer) = &self.trailer else {
            return Err(self.broken("the last line has not been read"));
        };
        let last = head.last_seq().map(|seq| seq.0);
        let same_head =
            trailer.head.seq == last && trailer.head.hash.parse::<Hash>() == Ok(head.hash);
        let whole = trailer.first_seq == last.map(|_| 0) && trailer.last_seq == last;
        let fits = trailer.format == FORMAT && trailer.complete && trailer.count == head.next.0;
        if same_head && whole && fits {
            return Ok(());
        }
        Err(self.broken("the last line says that the file held something else"))
    }

    /// Whether there was a line.
    fn read_line(&mut self) -> anyhow::Result<bool> {
        self.line.clear();
        let mut limited = (&mut self.from).take(LINE_SIZE_MAX as u64 + 1);
        limited.read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        if self.line.last() != Some(&b'\n') {
            let cut = self.line.len() <= LINE_SIZE_MAX;
            let what = if cut { "the file was cut off inside it" } else { "it is too long" };
            return Err(self.broken(what));
        }
        Ok(true)
    }

    /// Exit 3: the file is not what was exported.
    pub fn broken(&self, what: &str) -> anyhow::Error {
        let number = self.number;
        fail(Code::Tampered, format!("line {number}: {what}; nothing was made; export it again"))
    }
}
