//! Reads a release plan: Markdown in, a tree of fields with exact places out.
//!
//! Nothing is dropped: every line that is not empty belongs to a field - a value, a blank, advice,
//! prose, or *unread* - or is pure structure. Nothing is mended: what contradicts itself is kept
//! and warned of.
//!
//! # Reading order
//!
//! - [`text`]: which bytes are accepted, and places in them.
//! - `lines`, `outline`: the Markdown as lines, and as a tree of what stands under what.
//! - `labels`, `headings`: what labels and headings mean.
//! - `reader`: walks the outline; `items`, `stages`, `results`, `gates`,
//!   `measured`, `tables`, `lists`, `flags` are its parts.
//! - `sheet`: collects the fields.

pub mod copies;
pub mod derive;
pub mod fill;
mod flags;
mod gates;
mod headings;
pub mod identity;
mod items;
mod labels;
mod lines;
pub mod lint;
mod lists;
mod measured;
pub mod moved;
mod outline;
pub mod people;
mod reader;
mod results;
pub mod revise;
mod sheet;
mod stages;
mod tables;
pub mod text;
mod warnings;
mod years;

use jiff::tz::TimeZone;
use schemas::{
    id::Sha256Hex,
    values::{FieldKind, PlanField, PlanWarning},
};

use lines::Kind;
use people::PersonLine;
use reader::{Context, Place, Reader};
use sheet::Sheet;
use text::Span;
use years::Years;

/// The version of this reader. A better reader of the same bytes has a higher one, and its reading
/// is recorded as a revision.
pub const READER_VERSION: u64 = 1;

/// The time zone of a plan's local dates, unless something else is said.
pub const TIME_ZONE: &str = "America/New_York";

/// What was understood of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything, in the order of the file.
    pub fields: Vec<PlanField>,
    pub warnings: Vec<PlanWarning>,
    /// Lines that probably name a person.
    pub people: Vec<PersonLine>,
}

impl Plan {
    /// Whether a text states nothing and asks for nothing: no value, not even a title, and no
    /// blank. Such a file is no release plan.
    pub fn is_empty(&self) -> bool {
        !self.fields.iter().any(|f| matches!(f.kind, FieldKind::Value | FieldKind::Blank))
    }
}

/// Reads a plan whose local dates are in [`TIME_ZONE`].
pub fn read(text: &str) -> Plan {
    read_in(text, &TimeZone::get(TIME_ZONE).unwrap_or(TimeZone::UTC))
}

/// Reads a plan whose local dates are in the zone.
pub fn read_in(text: &str, zone: &TimeZone) -> Plan {
    let lines = lines::classify(text);
    let root = outline::build(text, &lines);
    let sheet = Sheet::new(text, zone.clone(), Years::of(text, &lines));
    let mut reader = Reader::new(sheet, &root);
    let top = Context { place: Place::Other, slug: "top".to_owned(), group: None, shows: false };
    reader.section(&root, &top);
    let visible: Vec<Span> =
        lines.iter().filter(|l| !matches!(l.kind, Kind::Comment)).map(|l| l.content).collect();
    reader.flags_in_prose(&visible);
    leftovers(&mut reader.sheet, &lines);
    let Reader { sheet, .. } = reader;
    let (mut fields, mut warnings) = (sheet.fields, sheet.warnings);
    fields.sort_by_key(|field| (field.start, field.end));
    // What no event will say was not understood, whatever was parsed of it.
    let unsaid = derive::unsaid(&fields);
    for field in fields.iter_mut().filter(|field| unsaid.contains(&field.path)) {
        (field.kind, field.value) = (FieldKind::Unread, None);
    }
    warnings.extend(warnings::contradictions(&fields));
    warnings.sort_by_key(|warning| warning.line);
    let people = people::find(text, &lines);
    Plan { fields, warnings, people }
}

/// The digest that names a plan's text.
pub fn digest(text: &str) -> Sha256Hex {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    let hex = digest.iter().map(|byte| format!("{byte:02x}"));
    hex.collect::<String>().try_into().expect("a SHA-256 in hexadecimal is one")
}

/// Keeps what no part of the reader took as unread.
fn leftovers(sheet: &mut Sheet, lines: &[lines::Line]) {
    for (at, line) in lines.iter().enumerate() {
        let structure = matches!(line.kind, Kind::Empty | Kind::Structure | Kind::Heading(_));
        let words = sheet.of(line.content).chars().any(char::is_alphanumeric);
        if !structure && words && !sheet.is_read(at) {
            let path = sheet.next("other/unread");
            sheet.put(&path, None, line.content, FieldKind::Unread, None);
        }
    }
}
