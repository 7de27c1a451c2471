//! From rows to events: which rows are new, what is recorded of them, and what is withheld.
//!
//! A row is recorded once. A row that is known already is skipped by its number, so that importing
//! again with another staff map or key records nothing; one that says something else than what was
//! recorded stops the import, since the service never changes a row.
//!
//! A row that cannot be recorded is refused by its number and a rule, never dropped in silence: the
//! refusals stand in the batch's `source.imported`, and the row is tried again by the next import,
//! where a newer version may understand it.

mod event;

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    ops::Bound::{Excluded, Unbounded},
};

use projector::recorded::Recorded;
use schemas::{
    CloudEvent, Event,
    event::flag::{FlagChanged, RowGap, RowRefusal, SourceImported},
    id::Sha256Hex,
    values::Basis,
};

use super::{
    StaffMap, holds_address,
    read::{Export, Row},
};
use crate::pseudonym::PseudonymKey;

/// Most rows of one batch: with its `source.imported` it fits in one commit of the ledger.
pub const BATCH_LEN_MAX: usize = 500;

/// Most bytes of the events of one batch, without what the intake adds.
pub const BATCH_SIZE_MAX: usize = 640 << 10;

/// Most rows of a file that may be refused. A file with more is no log of a flag service.
pub const REFUSALS_MAX: usize = 2_000;

/// Conflicts that a message lists; the rest is counted.
const CONFLICTS_SHOWN_MAX: usize = 10;

/// Where rows come from.
#[derive(Clone, Debug)]
pub struct Origin {
    service: String,
    environment: String,
    /// The file's name without its folder.
    file_name: String,
    file_sha256: Sha256Hex,
}

/// A name that cannot be part of an event's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option} must be 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct InvalidName {
    pub option: &'static str,
}

/// What keeps personal data out of what is recorded.
pub struct Privacy<'a> {
    pub key: &'a PseudonymKey,
    pub staff: &'a StaffMap,
    /// The scanner of the other doors: the rule that a text breaks, if any. E-mail addresses are
    /// found without it.
    pub guard: &'a dyn Fn(&str) -> Option<String>,
}

/// What the ledger holds of a row, as it was recorded first: corrections do not count here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRow {
    key: String,
    operation: String,
    gate: Option<String>,
    /// Unix microseconds.
    time_us: Option<i64>,
}

/// The rows of one source that the ledger holds, by number.
#[derive(Clone, Debug, Default)]
pub struct KnownRows(BTreeMap<u64, KnownRow>);

/// A row that says something else than the ledger holds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub row: u64,
    /// The columns that differ.
    pub columns: Vec<&'static str>,
}

/// Why nothing of a file may be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The file is another database's, or someone changed rows.
    #[error("{}", conflicts_in_words(.0))]
    Conflicts(Vec<Conflict>),
    #[error(
        "more than {REFUSALS_MAX} rows would be refused, the first is row {} ({}); is this the log \
         of a flag service?", .0.row, .0.rule
    )]
    TooManyRefusals(RowRefusal),
}

/// What an import would record, and what it found.
#[derive(Clone, Debug, Default)]
pub struct ImportPlan {
    /// To be appended one after another, each whole or not at all. Empty when nothing is new.
    pub batches: Vec<Vec<CloudEvent>>,
    /// Rows that the batches record.
    pub recorded: u64,
    /// Rows of the file that the ledger holds already.
    pub known: u64,
    /// Rows of the file that are not recorded.
    pub refusals: Vec<RowRefusal>,
    /// Numbers missing before the recorded rows.
    pub gaps: Vec<RowGap>,
    /// Recorded rows whose user the staff map does not name.
    pub unmapped: u64,
}

impl Origin {
    /// # Errors
    /// When the service's or the environment's name could be mistaken in an event's source.
    pub fn new(
        service: &str,
        environment: &str,
        file_name: &str,
        file_sha256: Sha256Hex,
    ) -> Result<Origin, InvalidName> {
        for (option, name) in [("source", service), ("environment", environment)] {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
            if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
                return Err(InvalidName { option });
            }
        }
        Ok(Origin {
            service: service.to_owned(),
            environment: environment.to_owned(),
            file_name: file_name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
            file_sha256,
        })
    }

    /// The `source` of every event of this service and environment; with a row's number it names
    /// the row for ever.
    pub fn source(&self) -> String {
        format!("urn:rollout-ledger:flags:{}:{}", self.service, self.environment)
    }
}

impl KnownRows {
    /// The rows of a source among entries as the log holds them, corrections not applied.
    pub fn of<'a>(source: &str, entries: impl IntoIterator<Item = &'a Recorded>) -> KnownRows {
        let mut known = KnownRows::default();
        for entry in entries.into_iter().filter(|entry| entry.source == source) {
            if let Some(Event::FlagChanged(change)) = entry.known() {
                known.insert(entry.time, change);
            }
        }
        known
    }

    /// Adds a recorded change of this source, with its `time` in Unix microseconds. One without a
    /// row number is none of its rows.
    pub fn insert(&mut self, time_us: Option<i64>, change: &FlagChanged) {
        let known = KnownRow {
            key: change.key.as_str().to_owned(),
            operation: change.operation.as_str().to_owned(),
            gate: change.gate.map(|gate| gate.as_str().to_owned()),
            time_us,
        };
        if let Some(row) = change.row {
            self.0.entry(row).or_insert(known);
        }
    }

    fn conflict(&self, row: &Row) -> Option<Conflict> {
        let known = self.0.get(&row.id)?;
        let columns: Vec<&str> = [
            ("feature_name", known.key == row.feature_name),
            ("operation", known.operation == row.operation),
            ("gate_name", known.gate == row.gate_name),
            ("created_at", known.time_us == Some(row.created_at_us)),
        ]
        .into_iter()
        .filter_map(|(column, same)| (!same).then_some(column))
        .collect();
        (!columns.is_empty()).then_some(Conflict { row: row.id, columns })
    }
}

/// Decides for every row whether it is new, known, refused or in conflict, and makes the events.
///
/// # Errors
/// All rows in conflict with what was recorded; or too many rows that cannot be recorded.
pub fn plan_import(
    export: &Export,
    origin: &Origin,
    known: &KnownRows,
    privacy: &Privacy,
) -> Result<ImportPlan, ImportError> {
    let conflicts: Vec<Conflict> = export.rows.iter().filter_map(|r| known.conflict(r)).collect();
    if !conflicts.is_empty() {
        return Err(ImportError::Conflicts(conflicts));
    }
    let mut planner = Planner {
        export,
        origin,
        known,
        privacy,
        batches: vec![Batch::default()],
        plan: ImportPlan::default(),
    };
    for row in &export.rows {
        if known.0.contains_key(&row.id) {
            planner.plan.known += 1;
            continue;
        }
        match event::of_row(row, origin, privacy) {
            Ok(event) => planner.take(row, event),
            Err(rule) => planner.refuse(RowRefusal { row: row.id, rule })?,
        }
    }
    Ok(planner.finish())
}

struct Planner<'a> {
    export: &'a Export,
    origin: &'a Origin,
    known: &'a KnownRows,
    privacy: &'a Privacy<'a>,
    batches: Vec<Batch>,
    plan: ImportPlan,
}

#[derive(Default)]
struct Batch {
    events: Vec<CloudEvent>,
    size: usize,
    rows: Vec<u64>,
    gaps: Vec<RowGap>,
    refusals: Vec<RowRefusal>,
}

impl Planner<'_> {
    fn take(&mut self, row: &Row, event: CloudEvent) {
        let size = event.to_value().to_string().len();
        let gap = self.gap_before(row.id);
        let mapped =
            row.user.as_ref().is_none_or(|user| self.privacy.staff.account(user).is_some());
        self.plan.recorded += 1;
        self.plan.unmapped += u64::from(!mapped);
        self.plan.gaps.extend(gap.clone());
        let batch = self.batch_for(size);
        batch.gaps.extend(gap);
        batch.size += size;
        batch.rows.push(row.id);
        batch.events.push(event);
    }

    fn refuse(&mut self, refusal: RowRefusal) -> Result<(), ImportError> {
        self.batch_for(0).refusals.push(refusal.clone());
        self.plan.refusals.push(refusal);
        match self.plan.refusals.first() {
            Some(first) if self.plan.refusals.len() > REFUSALS_MAX => {
                Err(ImportError::TooManyRefusals(first.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The batch that an event of this size goes to: the last, or a new one if that is full.
    fn batch_for(&mut self, size: usize) -> &mut Batch {
        let room = |batch: &Batch| {
            batch.events.len() < BATCH_LEN_MAX && batch.size + size <= BATCH_SIZE_MAX
        };
        if !self.batches.last().is_some_and(|last| size == 0 || room(last)) {
            self.batches.push(Batch::default());
        }
        self.batches.last_mut().expect("there is always a last batch")
    }

    /// Numbers between a new row and the one before it, be that in this file or recorded before.
    fn gap_before(&self, id: u64) -> Option<RowGap> {
        let rows = &self.export.rows;
        let in_file = rows.partition_point(|row| row.id < id).checked_sub(1);
        let in_file = in_file.and_then(|at| rows.get(at)).map(|row| row.id);
        let recorded = self.known.0.range((Unbounded, Excluded(id))).next_back();
        let after = in_file.max(recorded.map(|(id, _)| *id))?;
        (id - after > 1).then_some(RowGap { after, before: id })
    }

    /// Without a new row there is nothing to say that the ledger does not hold: refused rows were
    /// refused before, or the whole file is, and then it is no import.
    fn finish(mut self) -> ImportPlan {
        let batches = std::mem::take(&mut self.batches);
        let new = batches.into_iter().filter(|batch| !batch.rows.is_empty());
        self.plan.batches = new.map(|batch| self.end(batch)).collect();
        self.plan
    }

    /// Ends a batch with its `source.imported`.
    fn end(&self, batch: Batch) -> Vec<CloudEvent> {
        let (first, last) = (batch.rows.first().copied(), batch.rows.last().copied());
        let sha256 = self.origin.file_sha256.as_str();
        let id = format!(
            "import:{}-{}:{}",
            first.unwrap_or_default(),
            last.unwrap_or_default(),
            sha256.get(..16).unwrap_or(sha256)
        );
        let name = &self.origin.file_name;
        let withheld = holds_address(name) || (self.privacy.guard)(name).is_some();
        let imported = SourceImported {
            service: self.origin.service.clone(),
            environment: self.origin.environment.clone(),
            file_name: if withheld { "(withheld)".to_owned() } else { name.clone() },
            file_sha256: self.origin.file_sha256.clone(),
            first_row: self.export.rows.first().map(|row| row.id),
            last_row: self.export.rows.last().map(|row| row.id),
            rows: self.export.rows_in_file,
            recorded: u64::try_from(batch.rows.len()).unwrap_or(u64::MAX),
            gaps: batch.gaps,
            refusals: batch.refusals,
            filter: None,
            basis: Basis::Observed,
            actor: None,
            occurrence: None,
            evidence: Vec::new(),
            plan: None,
            note: None,
        };
        let mut events = batch.events;
        events.push(CloudEvent {
            id,
            source: self.origin.source(),
            subject: None,
            // When the file was read is known to the ledger alone: it stamps the entry.
            time: None,
            event: imported.event(),
        });
        events
    }
}

fn conflicts_in_words(conflicts: &[Conflict]) -> String {
    let mut text = String::from("rows of the file differ from what was recorded of them:");
    for conflict in conflicts.iter().take(CONFLICTS_SHOWN_MAX) {
        // Writing to a String cannot fail.
        let _ = write!(text, " {conflict}");
    }
    if let Some(more @ 1..) = conflicts.len().checked_sub(CONFLICTS_SHOWN_MAX) {
        let _ = write!(text, " and {more} more;");
    }
    text + " nothing was recorded; is --source or --environment that of another database?"
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "row {} ({});", self.row, self.columns.join(", "))
    }
}

#[cfg(test)]
mod tests;
