//! What was understood of a plan, for its author: fields, blanks, what was not read, warnings.

use schemas::{
    id::Sha256Hex,
    values::{FieldKind, PlanField, PlanWarning},
};

use super::{Plan, READER_VERSION, digest, people::PersonLine};
use crate::guard;

/// The report of `plan lint`. It writes nothing and refuses nothing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lint {
    /// SHA-256 of the text.
    pub digest: Sha256Hex,
    pub reader_version: u64,
    pub title: Option<String>,
    /// Whether it states nothing and asks for nothing; such a file is no plan.
    pub empty: bool,
    /// Flags that the plan names.
    pub flags: Vec<String>,
    /// Keys of its stages, in its order.
    pub stages: Vec<String>,
    /// How many fields hold a value, prose or advice.
    pub understood: usize,
    pub blanks: Vec<LintField>,
    pub unread: Vec<LintField>,
    pub warnings: Vec<PlanWarning>,
    /// Lines that probably name a person, for `--redact-lines`.
    pub people: Vec<PersonLine>,
    /// Personal data that an import refuses.
    pub personal_data: Vec<LintFinding>,
    /// Everything, in the order of the file.
    pub fields: Vec<PlanField>,
}

/// A place of the plan.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LintField {
    pub line: u64,
    pub path: String,
    pub label: Option<String>,
    /// The placeholder, or what was not read.
    pub raw: String,
}

/// Where personal data stands, without the data.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LintFinding {
    pub line: u64,
    pub rule: String,
}

impl Lint {
    /// The report on a plan and its text.
    pub fn of(plan: &Plan, text: &str) -> Lint {
        let of_kind = |kind| plan.fields.iter().filter(move |f| f.kind == kind);
        let listed = |kind| of_kind(kind).map(LintField::of).collect::<Vec<_>>();
        let value = |path: &str| of_kind(FieldKind::Value).find(|f| f.path == path);
        let flags = of_kind(FieldKind::Value)
            .filter(|f| f.path.starts_with("flags/") && f.path.ends_with("/name"));
        let findings = guard::scan(text).into_iter().map(|finding| LintFinding {
            line: guard::line_of(text, finding.start),
            rule: finding.rule.to_owned(),
        });
        let (blanks, unread) = (listed(FieldKind::Blank), listed(FieldKind::Unread));
        Lint {
            digest: digest(text),
            reader_version: READER_VERSION,
            empty: plan.is_empty(),
            title: value("title").map(|f| f.raw.clone()),
            flags: flags.map(|f| f.raw.clone()).collect(),
            stages: stages(&plan.fields),
            understood: plan.fields.len() - blanks.len() - unread.len(),
            blanks,
            unread,
            warnings: plan.warnings.clone(),
            people: plan.people.clone(),
            personal_data: findings.collect(),
            fields: plan.fields.clone(),
        }
    }
}

impl LintField {
    fn of(field: &PlanField) -> LintField {
        let PlanField { line, path, label, raw, .. } = field.clone();
        LintField { line, path, label, raw }
    }
}

fn stages(fields: &[PlanField]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for field in fields {
        let key = field.path.strip_prefix("stages/").and_then(|rest| rest.split('/').next());
        if let Some(key) = key.filter(|key| !keys.iter().any(|k| k == key)) {
            keys.push(key.to_owned());
        }
    }
    keys
}
