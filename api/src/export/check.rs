//! Whether an exported file is all that its last line says.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::csv::{COLUMNS, TRAILER};
use crate::exit::{Code, fail};

/// What the lines of a file come to.
#[derive(Debug, Default)]
struct Lines {
    count: u64,
    first: Option<u64>,
    last: Option<u64>,
    /// Whether seqs grow (or fall) from line to line.
    rises: bool,
    falls: bool,
}

/// Reads an export and compares its lines with its trailer, which is returned.
///
/// # Errors
/// Exit 3 when the trailer is missing or says something else: the file was cut off or changed.
pub fn check(file: &Path) -> anyhow::Result<Value> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut input = BufReader::new(opened);
    let is_csv = input.fill_buf()?.starts_with(COLUMNS.join(",").as_bytes());
    let mut lines = Lines { rises: true, falls: true, ..Lines::default() };
    let trailer = if is_csv { of_csv(input, &mut lines)? } else { of_json(input, &mut lines)? };
    let Some(trailer) = trailer else {
        return Err(refused("its last line is no trailer: it was cut off; export it again"));
    };
    let said = |member: &str| trailer.get(member).cloned().unwrap_or_default();
    if said("count") != json!(lines.count)
        || said("first_seq") != json!(lines.first)
        || said("last_seq") != json!(lines.last)
        || said("complete") != json!(true)
        || !(lines.rises || lines.falls)
    {
        return Err(refused("its lines are not those that its last line counts; export it again"));
    }
    Ok(trailer)
}

fn refused(why: &str) -> anyhow::Error {
    fail(Code::Tampered, format!("the export is not complete: {why}"))
}

fn of_json(input: BufReader<File>, lines: &mut Lines) -> anyhow::Result<Option<Value>> {
    let mut trailer = None;
    for line in input.lines() {
        let line = line?;
        if trailer.is_some() {
            return Err(refused("something stands behind its trailer"));
        }
        let Ok(mut value) = serde_json::from_str::<Value>(&line) else {
            return Err(refused("a line is no JSON: it was cut off; export it again"));
        };
        match value.get_mut("trailer").map(Value::take) {
            Some(found) => trailer = Some(found),
            None => lines.take(value.get("seq").and_then(Value::as_u64))?,
        }
    }
    Ok(trailer)
}

fn of_csv(input: BufReader<File>, lines: &mut Lines) -> anyhow::Result<Option<Value>> {
    let mut trailer = None;
    let mut rows = csv::Reader::from_reader(input);
    for row in rows.records() {
        let Ok(row) = row else {
            return Err(refused("a row has other columns: it was cut off; export it again"));
        };
        if trailer.is_some() {
            return Err(refused("something stands behind its trailer"));
        }
        if row.get(0) == Some(TRAILER) {
            trailer = row.iter().next_back().and_then(|cell| serde_json::from_str(cell).ok());
        } else {
            lines.take(row.get(0).and_then(|cell| cell.parse().ok()))?;
        }
    }
    Ok(trailer)
}

impl Lines {
    fn take(&mut self, seq: Option<u64>) -> anyhow::Result<()> {
        let Some(seq) = seq else { return Err(refused("a line has no seq")) };
        self.rises &= self.last.is_none_or(|last| last < seq);
        self.falls &= self.last.is_none_or(|last| last > seq);
        self.count += 1;
        self.first = self.first.or(Some(seq));
        self.last = Some(seq);
        Ok(())
    }
}
