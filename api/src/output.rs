//! How rows are shown: a table for people, JSON, JSON lines or CSV for programs.
//!
//! Data goes to stdout and everything else to stderr, so a pipe sees data only.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Code, fail};

/// What stands in a table where nothing is known. An empty cell in CSV.
pub const ABSENT: &str = "-";

/// The form that a command prints in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
}

/// Rows with named columns, to be shown in any form.
#[derive(Debug, Default)]
pub struct Rows {
    columns: Vec<&'static str>,
    cells: Vec<Vec<String>>,
    objects: Vec<Value>,
}

impl Rows {
    pub fn new(columns: &[&'static str]) -> Rows {
        Rows { columns: columns.to_vec(), ..Rows::default() }
    }

    /// Adds one row: its cells for tables and CSV, its object for JSON.
    pub fn push(&mut self, cells: Vec<String>, object: &impl Serialize) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.cells.push(cells);
        self.objects.push(to_value(object));
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Prints the rows; `nothing` is said on stderr when there is none.
    pub fn print(self, format: Format, nothing: &str) -> io::Result<()> {
        if self.is_empty() && format == Format::Table {
            return say(nothing);
        }
        match format {
            Format::Table => print(&table(&self.columns, &self.cells)),
            Format::Json => print(&pretty(&Value::Array(self.objects))),
            Format::Jsonl => self.objects.iter().try_for_each(|o| print(&o.to_string())),
            Format::Csv => print_csv(&self.columns, &self.cells),
        }
    }
}

/// A table with a header, as wide as its contents or the terminal.
pub fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    // A person's window wraps long cells; a pipe gets one line a row.
    if let Some((width, _)) = terminal_size::terminal_size_of(io::stdout()) {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(width.0);
    }
    table.set_header(columns.iter().map(|c| c.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Text without control characters, which could move a terminal's cursor over other output.
pub fn printable(text: &str) -> String {
    // Marks that turn the reading direction could make one text look like another.
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hidden = |c: char| (c.is_control() && c != '\n') || turns(c);
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// Prints one object: as JSON when asked for, else the text for people.
pub fn object(
    format: Format,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let printed = match format {
        Format::Table => print(&text()),
        Format::Json => print(&pretty(&to_value(value))),
        Format::Jsonl => print(&to_value(value).to_string()),
        Format::Csv => {
            let what = "this answer is one object and no table; take --output json";
            return Err(fail(Code::Usage, what));
        }
    };
    Ok(printed?)
}

/// Prints a line of data. A closed pipe is the reader's wish and ends the program quietly.
pub fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    if !line.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Prints bytes as they are.
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Names the state that a table was computed at.
pub fn computed_at(seq: Option<u64>, hash: &str) -> io::Result<()> {
    let seq = seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
    say(&format!("computed at entry {seq} {hash}"))
}

/// Says something that is not data.
pub fn say(line: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{}", printable(line))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value is JSON")
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("answers have string keys and no floats")
}

fn print_csv(columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(io::stdout().lock());
    csv.write_record(columns)?;
    for row in rows {
        csv.write_record(row.iter().map(|cell| harmless(&printable(cell))))?;
    }
    csv.flush()
}

/// A cell that a spreadsheet would run as a formula gets an apostrophe in front.
fn harmless(cell: &str) -> String {
    if cell == ABSENT {
        return String::new();
    }
    let formula = cell.starts_with(['=', '+', '@', '\t', '\r'])
        || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    if formula { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_spreadsheets_would_run_are_made_harmless() {
        let rows = [("=1+1", "'=1+1"), ("-3.5", "-3.5"), ("-cmd", "'-cmd"), ("plain", "plain")];
        for (cell, expected) in rows {
            assert_eq!(harmless(cell), expected);
        }
    }

    #[test]
    fn a_table_shows_no_control_characters() {
        let shown = table(&["a"], &[vec!["x\u{1b}[2J".to_owned()]]);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
