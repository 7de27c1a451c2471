//! The plan's revisions, and what is released.

use schemas::{
    Event,
    event::plan::{PlanImported, PlanRevised, ReleaseDefined, ReleaseKind, RevisionReason},
    id::TimeZoneName,
    values::{FieldKind, Party, PlanDifference, PlanField, PlanWarning},
};
use serde::Serialize;

use super::{Fact, Provenance};

/// The zone that a plan's local dates are in when nobody says.
pub const DEFAULT_TIME_ZONE: &str = "America/New_York";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Plan {
    /// Every revision, in order. The file is overwritten; the ledger keeps them all.
    pub revisions: Vec<Revision>,
    /// Every time that the release was defined; the newest holds.
    pub definitions: Vec<Fact<ReleaseDefined>>,
}

/// One revision of the plan file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Revision {
    #[serde(flatten)]
    pub from: Provenance,
    pub number: u64,
    pub file_name: String,
    pub commit: Option<String>,
    /// SHA-256 of the text.
    pub digest: String,
    /// Why there is a new one; absent for the first.
    pub reason: Option<RevisionReason>,
    pub reader_version: u64,
    /// How many fields hold a value.
    pub values: usize,
    /// How many places wait for a fact.
    pub blanks: usize,
    /// How many lines were not understood.
    pub unread: usize,
    pub warnings: Vec<PlanWarning>,
    pub differences: Vec<PlanDifference>,
    /// The whole file. Left out of answers: `plan export` prints it.
    #[serde(skip)]
    pub text: String,
    /// Everything understood; left out of answers, which the file's text would only repeat.
    #[serde(skip)]
    pub fields: Vec<PlanField>,
}

impl Plan {
    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::PlanImported(e) => self.revise(Revision::imported(e, from)),
            Event::PlanRevised(e) => self.revise(Revision::revised(e, from)),
            Event::ReleaseDefined(e) => self.definitions.push(Fact::new(e, from)),
            _ => {}
        }
    }

    fn revise(&mut self, revision: Revision) {
        let place = self.revisions.partition_point(|r| r.number <= revision.number);
        self.revisions.insert(place, revision);
    }

    pub fn newest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    pub fn title(&self) -> Option<&str> {
        self.definition().map(|d| d.title.as_str())
    }

    pub fn kind(&self) -> Option<ReleaseKind> {
        self.definition().map(|d| d.kind)
    }

    pub fn owners(&self) -> &[Party] {
        self.definition().map_or(&[], |d| &d.owners)
    }

    pub fn monitors(&self) -> &[Party] {
        self.definition().map_or(&[], |d| &d.monitors)
    }

    /// The zone that the plan's local dates are in.
    pub fn time_zone(&self) -> &str {
        let zones = self.definitions.iter().rev().filter_map(|d| d.value.time_zone.as_ref());
        zones.map(TimeZoneName::as_str).next().unwrap_or(DEFAULT_TIME_ZONE)
    }

    pub fn definition(&self) -> Option<&ReleaseDefined> {
        self.definitions.last().map(|d| &d.value)
    }

    /// A field of the revision with that digest, else of the newest.
    pub fn field(&self, digest: Option<&str>, path: &str) -> Option<&PlanField> {
        let revision = self.revisions.iter().rev().find(|r| digest == Some(r.digest.as_str()));
        revision.or(self.newest())?.fields.iter().find(|f| f.path == path)
    }
}

impl Revision {
    fn imported(e: &PlanImported, from: &Provenance) -> Revision {
        Revision {
            from: from.clone(),
            number: e.revision,
            file_name: e.file_name.clone(),
            text: e.text.clone(),
            commit: e.commit.clone(),
            digest: e.digest.to_string(),
            reason: None,
            reader_version: e.reader_version,
            values: count(&e.fields, FieldKind::Value),
            blanks: count(&e.fields, FieldKind::Blank),
            unread: count(&e.fields, FieldKind::Unread),
            warnings: e.warnings.clone(),
            differences: vec![],
            fields: e.fields.clone(),
        }
    }

    fn revised(e: &PlanRevised, from: &Provenance) -> Revision {
        Revision {
            from: from.clone(),
            number: e.revision,
            file_name: e.file_name.clone(),
            text: e.text.clone(),
            commit: e.commit.clone(),
            digest: e.digest.to_string(),
            reason: Some(e.reason),
            reader_version: e.reader_version,
            values: count(&e.fields, FieldKind::Value),
            blanks: count(&e.fields, FieldKind::Blank),
            unread: count(&e.fields, FieldKind::Unread),
            warnings: e.warnings.clone(),
            differences: e.differences.clone(),
            fields: e.fields.clone(),
        }
    }

    /// The places of the file that wait for a fact, in its order.
    pub fn blanks(&self) -> impl Iterator<Item = &PlanField> {
        self.fields.iter().filter(|f| f.kind == FieldKind::Blank)
    }
}

fn count(fields: &[PlanField], kind: FieldKind) -> usize {
    fields.iter().filter(|f| f.kind == kind).count()
}
