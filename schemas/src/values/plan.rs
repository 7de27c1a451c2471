//! What was understood of a plan file, and where in it.

use super::{Answer, Duration, Exposure, Occurrence, Quantity, Window, record, words};
use crate::id::Sha256Hex;

words!(
    /// What a field of a plan is.
    FieldKind {
        /// Holds a fact.
        Value = "value",
        /// Waits for a fact: a placeholder, or nothing after the label.
        Blank = "blank",
        /// The template's own advice, nobody's fact.
        Guidance = "guidance",
        /// Running text.
        Prose = "prose",
        /// Not understood. Kept with its line, never dropped.
        Unread = "unread",
    }
);

/// What a field's text was understood as; the raw text stands beside it in the field.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PlanValue {
    Text(String),
    Quantity(Quantity),
    Answer(Answer),
    Exposures(Vec<Exposure>),
    Duration(Duration),
    Window(Window),
    Occurrence(Occurrence),
    /// A checkbox.
    Checked(bool),
}

record!(
    /// One place of a plan.
    PlanField {
        /// Where it stands in the plan's structure: `stages/stage-a/results/unique_users`.
        req path: String,
        /// Its label in the words of the plan.
        opt label: String,
        /// Its text, exactly; empty for a blank with nothing after the label.
        req raw: String,
        /// What the text was understood as.
        opt value: PlanValue,
        /// Value, blank, guidance, prose or unread.
        req kind: FieldKind,
        /// Line in the file, from 1.
        req line: u64,
        /// First byte of the raw text in the file, from 0.
        req start: u64,
        /// The byte after its last.
        req end: u64,
    }
);

record!(
    /// Something in a plan that a reader should look at. Nothing is mended.
    PlanWarning {
        /// A stable word: `contradiction`, `count_mismatch`, `stray_text`, ...
        req code: String,
        /// Line in the file, from 1.
        req line: u64,
        /// What to look at, in words.
        req message: String,
    }
);

record!(
    /// How one field differs from the revision before.
    PlanDifference {
        /// The path of the field.
        req path: String,
        /// Its text before; absent when the field is new.
        opt before: String,
        /// Its text now; absent when the field is gone.
        opt after: String,
    }
);

record!(
    /// Where in which plan a fact stood.
    PlanPlace {
        /// SHA-256 of the plan's text.
        req digest: Sha256Hex,
        /// The field's path.
        req path: String,
        /// Line in the file, from 1.
        req line: u64,
        /// The field's text in the revision before, when it changed.
        opt before: String,
    }
);

record!(
    /// Text withheld from what was recorded.
    Redaction {
        /// Line in the file, from 1.
        req line: u64,
        /// Which rule found it: `email`, `ssn`, `named_person`, ...
        req rule: String,
    }
);
