//! From the tree of fields to typed events: what a plan says, and nothing that it does not say.
//!
//! A tick is a checklist item and no *go*; results are results and no start of a stage; a bug's
//! "resolved" is the plan's word and no fix. Each event names the field that it came from, and its
//! id derives from the plan's bytes and that field, so that the same fact of the same bytes is the
//! same event.

mod criteria;
mod decisions;
mod measures;
mod rollback;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    CloudEvent, Event, RolloutId,
    event::plan::PlanImported,
    id::{Sha256Hex, TimeZoneName},
    values::{Actor, Basis, FieldKind, Occurrence, PlanField, PlanPlace, Redaction},
};

use super::{Plan, READER_VERSION};

/// What is known of an import beside the text.
#[derive(Clone, Debug)]
pub struct ImportContext {
    pub rollout: RolloutId,
    pub file_name: String,
    /// The commit that the file was taken from.
    pub commit: Option<String>,
    /// Which revision of the rollout's plan this is; the first is 1.
    pub revision: u64,
    /// Who imports it.
    pub actor: Option<Actor>,
    /// The text that is recorded, after redaction.
    pub text: String,
    /// SHA-256 of that text.
    pub digest: Sha256Hex,
    /// What was withheld from it.
    pub redactions: Vec<Redaction>,
    /// The zone of the plan's local dates.
    pub time_zone: Option<TimeZoneName>,
}

impl ImportContext {
    /// The `source` of every event of this rollout's plan.
    pub fn source(&self) -> String {
        format!("urn:rollout-ledger:plan:{}", self.rollout)
    }

    /// The id of the event of a field: the same for the same bytes as the same revision. A plan may
    /// come back to bytes that it had before, and then says something new again.
    pub(crate) fn id(&self, path: &str) -> String {
        let digest = self.digest.as_str().get(..12).unwrap_or_default();
        format!("{digest}-{}/{path}", self.revision)
    }

    pub(crate) fn envelope(&self, path: &str, event: Event) -> CloudEvent {
        CloudEvent {
            id: self.id(path),
            source: self.source(),
            subject: Some(self.rollout.clone()),
            time: event.common().occurrence.and_then(|o| o.earliest.clone()),
            event,
        }
    }
}

/// The events of a first import: `plan.imported`, then one for each fact: the release, its stages,
/// their results, and the rest.
pub fn events(plan: &Plan, context: &ImportContext) -> Vec<CloudEvent> {
    let imported = PlanImported {
        revision: context.revision,
        file_name: context.file_name.clone(),
        commit: context.commit.clone(),
        digest: context.digest.clone(),
        text: context.text.clone(),
        reader_version: READER_VERSION,
        fields: plan.fields.clone(),
        warnings: plan.warnings.clone(),
        redactions: context.redactions.clone(),
        basis: Basis::Imported,
        actor: context.actor.clone(),
        occurrence: None,
        evidence: Vec::new(),
        plan: None,
        note: None,
    };
    let mut out = vec![context.envelope("plan", imported.event())];
    for fact in facts(&plan.fields, context) {
        let place = context.place(&fact, None);
        out.push(fact.event(context, place));
    }
    out
}

impl ImportContext {
    pub(crate) fn place(&self, fact: &Fact, before: Option<String>) -> PlanPlace {
        PlanPlace { digest: self.digest.clone(), path: fact.path.clone(), line: fact.line, before }
    }
}

/// What each event of a plan carries beside its own members.
pub(crate) struct Said {
    pub(crate) actor: Option<Actor>,
    pub(crate) occurrence: Option<Occurrence>,
    pub(crate) plan: PlanPlace,
}

/// One thing that a plan says, made of one or more of its fields.
pub(crate) struct Fact<'f> {
    /// The place that it answers: a field's path, or that of a group of fields.
    pub(crate) path: String,
    pub(crate) line: u64,
    pub(crate) fields: Vec<&'f PlanField>,
    pub(crate) occurrence: Option<Occurrence>,
    make: Box<dyn FnOnce(Said) -> Event + 'f>,
}

impl<'f> Fact<'f> {
    /// A fact that stands at its first field's line; none without fields.
    pub(crate) fn new(
        path: impl Into<String>,
        fields: Vec<&'f PlanField>,
        make: impl FnOnce(Said) -> Event + 'f,
    ) -> Option<Self> {
        let line = fields.first()?.line;
        Some(Fact { path: path.into(), line, fields, occurrence: None, make: Box::new(make) })
    }

    /// The event, at this place of the plan.
    pub(crate) fn event(self, context: &ImportContext, plan: PlanPlace) -> CloudEvent {
        let said = Said { actor: context.actor.clone(), occurrence: self.occurrence, plan };
        context.envelope(&self.path, (self.make)(said))
    }
}

/// Fills the members that every imported event has.
macro_rules! said {
    ($said:ident, $event:ident { $($member:ident $(: $value:expr)?),* $(,)? }) => {
        $event {
            $($member $(: $value)?,)*
            basis: schemas::values::Basis::Imported,
            actor: $said.actor,
            occurrence: $said.occurrence,
            evidence: Vec::new(),
            plan: Some($said.plan),
            note: None,
        }
        .event()
    };
}
pub(crate) use said;

/// Every fact, by kind.
pub(crate) fn facts<'f>(fields: &'f [PlanField], context: &ImportContext) -> Vec<Fact<'f>> {
    let tree = Tree::of(fields);
    let mut out = Vec::new();
    out.extend(measures::release(&tree, context));
    out.extend(measures::flags(&tree));
    out.extend(stages::planned(&tree));
    out.extend(stages::results(&tree));
    out.extend(measures::bugs(&tree));
    out.extend(measures::metrics(&tree));
    out.extend(measures::baseline(&tree));
    out.extend(decisions::checklist(&tree));
    out.extend(decisions::gates(&tree));
    out.extend(criteria::criteria(&tree));
    out.extend(decisions::questions(&tree));
    out.extend(decisions::cleanup(&tree));
    out.extend(rollback::planned(&tree));
    out
}

/// Paths of the parsed values of stages and checkpoints that no event says.
pub(crate) fn unsaid(fields: &[PlanField]) -> BTreeSet<String> {
    let tree = Tree::of(fields);
    let facts = stages::planned(&tree).into_iter().chain(stages::results(&tree));
    let facts: Vec<_> = facts.chain(measures::bugs(&tree)).collect();
    let said: BTreeSet<&str> =
        facts.iter().flat_map(|fact| &fact.fields).map(|field| field.path.as_str()).collect();
    let parsed = |f: &&PlanField| {
        let place = f.path.starts_with("stages/") || f.path.starts_with("checkpoints/");
        let words = matches!(f.value, None | Some(schemas::values::PlanValue::Text(_)));
        place && f.kind == FieldKind::Value && !words && !f.path.ends_with("/window")
    };
    let parsed = fields.iter().filter(parsed).map(|field| field.path.clone());
    parsed.filter(|path| !said.contains(path.as_str())).collect()
}

/// The fields of a plan, looked up by path.
pub(crate) struct Tree<'f> {
    pub(crate) fields: &'f [PlanField],
    by_path: BTreeMap<&'f str, &'f PlanField>,
}

impl<'f> Tree<'f> {
    pub(crate) fn of(fields: &'f [PlanField]) -> Self {
        Tree { fields, by_path: fields.iter().map(|field| (field.path.as_str(), field)).collect() }
    }

    /// Values at or under a path, in the order of the plan.
    pub(crate) fn values(&self, under: &str) -> Vec<&'f PlanField> {
        self.under(under).into_iter().filter(|f| f.kind == FieldKind::Value).collect()
    }

    /// Fields at or under a path, in the order of the plan.
    pub(crate) fn under(&self, path: &str) -> Vec<&'f PlanField> {
        let near = self.by_path.range(path..).take_while(|(known, _)| known.starts_with(path));
        let below = near.filter(|(known, _)| {
            known.get(path.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let mut fields: Vec<_> = below.map(|(_, field)| *field).collect();
        fields.sort_by_key(|field| (field.start, field.end));
        fields
    }

    /// The value at exactly this path.
    pub(crate) fn value(&self, path: &str) -> Option<&'f PlanField> {
        self.by_path.get(path).copied().filter(|f| f.kind == FieldKind::Value)
    }

    /// Keys of the stages in the order of their labels in the plan; a table above may name a later
    /// stage's results first.
    pub(crate) fn stages(&self) -> Vec<&'f str> {
        let mut keys = self.names("stages");
        keys.sort_by_cached_key(|key| {
            self.value(&format!("stages/{key}/label")).map_or(u64::MAX, |label| label.start)
        });
        keys
    }

    /// The parts of paths right below a prefix, each once, in the order of the plan:
    /// `stages` gives the keys of stages.
    pub(crate) fn names(&self, prefix: &str) -> Vec<&'f str> {
        let mut seen = BTreeSet::new();
        let below = self.under(prefix).into_iter().filter_map(|field| {
            let rest = field.path.strip_prefix(prefix)?.strip_prefix('/')?;
            rest.split('/').next()
        });
        below.filter(|name| seen.insert(*name)).collect()
    }
}

/// A field's answer in words, without the placeholder beside it.
pub(crate) fn answer(field: &PlanField) -> String {
    let text = match crate::words::filled(&field.raw) {
        crate::words::Filled::Value(text) => text,
        _ => &field.raw,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
