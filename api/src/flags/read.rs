//! Reads an exported table of flag changes: CSV as a database writes it, a JSON array of objects,
//! or JSON objects one after another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{csv_line, holds_address, time};

/// Largest file, in bytes. A service with thousands of flags writes 20 MB in ten years.
pub const FILE_SIZE_MAX: usize = 64 << 20;

/// Largest row number: the largest integer that every reader of JSON keeps exactly.
pub const ROW_MAX: u64 = (1 << 53) - 1;

/// The columns of the table that are read. `updated_at` tells nothing: rows are never updated.
const COLUMNS: [&str; 7] =
    ["id", "feature_name", "operation", "gate_name", "value", "user", "created_at"];

const EXPORT: &str = "export it with: \\copy (select id,feature_name,operation,gate_name,value,\
                      \"user\",created_at from feature_toggle_events order by id) to stdout csv header";

/// A file of rows, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Each row once, by increasing number.
    pub rows: Vec<Row>,
    /// How many rows the file has, repeated ones counted.
    pub rows_in_file: u64,
    /// Columns of the file that are not read, by name.
    pub ignored_columns: Vec<String>,
}

/// One change as the service wrote it. Empty fields are absent ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    pub feature_name: String,
    pub operation: String,
    pub gate_name: Option<String>,
    pub value: Option<String>,
    pub user: Option<String>,
    /// Unix microseconds.
    pub created_at_us: i64,
}

/// Where a file stops being a table of flag changes, and the way out. Never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {advice}")]
pub struct ReadError {
    /// `line 7` of a CSV file, `row 3` of a JSON file, both from 1.
    pub place: String,
    pub what: String,
    pub advice: String,
}

/// The fields of one row by the number of its column.
type Fields = [Option<String>; COLUMNS.len()];

/// Reads a file. What it holds decides whether it is CSV or JSON, not its name.
///
/// # Errors
/// The first place where it is no table of flag changes. Nothing of it should then be recorded.
pub fn read(bytes: &[u8]) -> Result<Export, ReadError> {
    if bytes.len() > FILE_SIZE_MAX {
        let advice = format!("split it into files of at most {FILE_SIZE_MAX} bytes by row id");
        return Err(error("the file", "is too large", advice));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut table = Table::default();
    match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        None => return Err(error("line 1", "the file is empty", EXPORT)),
        Some(b'[' | b'{') => read_json(bytes, &mut table)?,
        Some(_) => read_csv(bytes, &mut table)?,
    }
    Ok(Export {
        rows: table.rows.into_values().map(|(_, row)| row).collect(),
        rows_in_file: table.rows_in_file,
        ignored_columns: table.ignored_columns,
    })
}

#[derive(Default)]
struct Table {
    /// By number, with the place in the file.
    rows: BTreeMap<u64, (String, Row)>,
    rows_in_file: u64,
    ignored_columns: Vec<String>,
}

impl Table {
    fn add(&mut self, place: String, fields: Fields) -> Result<(), ReadError> {
        let row = row(&place, fields)?;
        self.rows_in_file += 1;
        match self.rows.get(&row.id) {
            None => drop(self.rows.insert(row.id, (place, row))),
            Some((_, same)) if *same == row => {}
            Some((first, other)) => {
                let what = format!("id {} stands in {first} too, with other content", other.id);
                return Err(error(&place, what, "a file holds each row of one database once"));
            }
        }
        Ok(())
    }

    fn ignore(&mut self, column: &str) {
        let column = if holds_address(column) { "(an e-mail address)" } else { column };
        if !self.ignored_columns.iter().any(|known| known == column) {
            self.ignored_columns.push(column.to_owned());
        }
    }
}

fn read_csv(bytes: &[u8], table: &mut Table) -> Result<(), ReadError> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let header = reader.headers().map_err(|e| csv_error(bytes, &e))?.clone();
    let at = |name: &str| header.iter().position(|column| column.trim() == name);
    let places = COLUMNS.map(at);
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|name| at(name).is_none()).collect();
    if !missing.is_empty() {
        let what = format!("the header lacks the columns {}", missing.join(", "));
        return Err(error("line 1", what, EXPORT));
    }
    header
        .iter()
        .filter(|name| !COLUMNS.contains(&name.trim()))
        .for_each(|name| table.ignore(name));
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(bytes, &e))?;
        let line = csv_line(bytes, record.position());
        let field = |place: Option<usize>| {
            // `\N` is how PostgreSQL's text form writes an absent value.
            let text = record.get(place?)?;
            (!text.is_empty() && text != "\\N").then(|| text.to_owned())
        };
        table.add(format!("line {line}"), places.map(field))?;
    }
    Ok(())
}

fn csv_error(bytes: &[u8], e: &csv::Error) -> ReadError {
    let line = csv_line(bytes, e.position());
    let what = match e.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        _ => "not CSV".to_owned(),
    };
    error(&format!("line {line}"), what, EXPORT)
}

fn read_json(bytes: &[u8], table: &mut Table) -> Result<(), ReadError> {
    let syntax = |e: &serde_json::Error| {
        // Only the place: the message may repeat what it found.
        let place = format!("line {} column {}", e.line(), e.column());
        error(&place, "not JSON", "a JSON export is one array of objects, or an object a line")
    };
    let mut number = 0_u64;
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        let rows = match value.map_err(|e| syntax(&e))? {
            Value::Array(rows) => rows,
            one => vec![one],
        };
        for value in rows {
            number += 1;
            let place = format!("row {number}");
            let fields = json_fields(&place, value, table)?;
            table.add(place, fields)?;
        }
    }
    Ok(())
}

fn json_fields(place: &str, value: Value, table: &mut Table) -> Result<Fields, ReadError> {
    let Value::Object(members) = value else {
        return Err(error(place, "not an object", "each row is an object with the columns' names"));
    };
    let mut fields = Fields::default();
    for (name, value) in members {
        let Some((at, column)) = (0..).zip(COLUMNS).find(|(_, column)| *column == name) else {
            table.ignore(&name);
            continue;
        };
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Array(_) | Value::Object(_) if column != "value" => {
                let what = format!("{column} is not a text");
                return Err(error(place, what, "columns are texts, numbers or null"));
            }
            other => Some(other.to_string()),
        };
        if let Some(field) = fields.get_mut::<usize>(at) {
            *field = text.filter(|text| !text.is_empty());
        }
    }
    Ok(fields)
}

fn row(place: &str, fields: Fields) -> Result<Row, ReadError> {
    let [id, feature_name, operation, gate_name, value, user, created_at] = fields;
    let missing = |name: &str| error(place, format!("{name} is missing"), EXPORT);
    let number = id.ok_or_else(|| missing("id"))?;
    let id = number.trim().parse().ok().filter(|id| *id <= ROW_MAX).ok_or_else(|| {
        error(place, "id is no whole number from 0 to 2^53-1", "rows resume by it: export it as is")
    })?;
    let place = format!("{place} (id {id})");
    let missing = |name: &str| error(&place, format!("{name} is missing"), EXPORT);
    let created_at = created_at.ok_or_else(|| missing("created_at"))?;
    let created_at_us = time::micros(&created_at).ok_or_else(|| {
        error(&place, "created_at is no time", format!("write it as {}", time::EXAMPLE))
    })?;
    Ok(Row {
        id,
        feature_name: feature_name.ok_or_else(|| missing("feature_name"))?,
        operation: operation.ok_or_else(|| missing("operation"))?,
        gate_name: gate_name.filter(|gate| gate != "NULL"),
        value,
        // Nobody is called so, but many exporters write it for nobody.
        user: user.filter(|user| !user.trim().is_empty() && user != "NULL"),
        created_at_us,
    })
}

fn error(place: &str, what: impl Into<String>, advice: impl Into<String>) -> ReadError {
    ReadError { place: place.to_owned(), what: what.into(), advice: advice.into() }
}

/// A row holds addresses, which do not belong in logs.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Row").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
