//! A plan that was imported before: what differs, and the events of what is new in it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    CloudEvent, Event,
    event::{
        plan::{PlanRevised, RevisionReason},
        stage::{StagePlanned, StageReplanned},
    },
    id::{EntryHash, Sha256Hex},
    values::{Basis, FieldKind, PlanDifference, PlanField},
};

use super::{
    Plan, READER_VERSION,
    derive::{Fact, ImportContext, facts},
    moved::Moved,
};

/// The revision before, as it was recorded.
#[derive(Clone, Debug)]
pub struct Before<'a> {
    pub revision: u64,
    /// Seq of the event that recorded it.
    pub seq: u64,
    /// Hash of that entry.
    pub hash: Option<EntryHash>,
    pub digest: Sha256Hex,
    pub reader_version: u64,
    pub fields: &'a [PlanField],
}

/// The events of a further revision: nothing for bytes that were read by this reader or a newer
/// one; `plan.revised` alone when a newer reader reads the same bytes; otherwise `plan.revised` and
/// an event for each value that is newly filled or changed.
///
/// `already_known` says of a field that the ledger itself holds its value for that place, as when
/// an exported plan comes back; such a value is no news.
pub fn revise(
    before: &Before,
    plan: &Plan,
    context: &ImportContext,
    already_known: &dyn Fn(&PlanField) -> bool,
) -> Vec<CloudEvent> {
    let same = before.digest == context.digest;
    if same && before.reader_version >= READER_VERSION {
        return Vec::new();
    }
    let reason = if same { RevisionReason::Reader } else { RevisionReason::File };
    let changes = Changes::between(before.fields, &plan.fields);
    let moved = Moved::between(before.fields, &plan.fields);
    let mut warnings = plan.warnings.clone();
    warnings.extend(moved.warnings(&plan.fields));
    warnings.sort_by_key(|warning| warning.line);
    let known = |field: &PlanField| {
        already_known(field) || moved.earlier(field).is_some_and(|field| already_known(&field))
    };
    let revised = PlanRevised {
        revision: context.revision,
        predecessor: before.seq,
        predecessor_hash: before.hash.clone(),
        reason,
        file_name: context.file_name.clone(),
        commit: context.commit.clone(),
        digest: context.digest.clone(),
        text: context.text.clone(),
        reader_version: READER_VERSION,
        fields: plan.fields.clone(),
        warnings,
        redactions: context.redactions.clone(),
        differences: changes.differences(before.fields, &plan.fields),
        basis: Basis::Imported,
        actor: context.actor.clone(),
        occurrence: None,
        evidence: Vec::new(),
        plan: None,
        note: None,
    };
    let mut out = vec![context.envelope("plan", revised.event())];
    if same {
        return out;
    }
    let known_stages: BTreeSet<String> =
        facts(before.fields, context).into_iter().map(|fact| fact.path).collect();
    for fact in facts(&plan.fields, context) {
        let before = match changes.news(&fact, &known) {
            None => continue,
            Some(Change::Changed(before)) => Some(before.clone()),
            Some(_) => None,
        };
        let again = known_stages.contains(&fact.path);
        let place = context.place(&fact, before);
        let event = fact.event(context, place);
        out.push(if again { replanned(event) } else { event });
    }
    out
}

/// A stage that was planned before is planned again.
fn replanned(event: CloudEvent) -> CloudEvent {
    let Event::StagePlanned(planned) = event.event else { return event };
    let StagePlanned {
        stage,
        phase,
        label,
        ordinal,
        exposures,
        window,
        length,
        minimum,
        minimum_clause,
        exit_criteria,
        basis,
        actor,
        occurrence,
        evidence,
        plan,
        note,
    } = *planned;
    let replanned = StageReplanned {
        stage,
        phase,
        label,
        ordinal,
        exposures,
        window,
        length,
        minimum,
        minimum_clause,
        exit_criteria,
        reason: None,
        basis,
        actor,
        occurrence,
        evidence,
        plan,
        note,
    };
    CloudEvent { event: replanned.event(), ..event }
}

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// It stands as before, perhaps at another number of its list.
    Same,
    /// Another text stood at its place.
    Changed(String),
    New,
}

struct Changes {
    of: BTreeMap<String, Change>,
    /// Paths of fields that are gone.
    gone: Vec<String>,
}

/// What a field says, wherever in its list it stands.
type Content<'f> = (String, Option<&'f str>, &'f str, FieldKind);

fn content(field: &PlanField) -> Content<'_> {
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let list: Vec<_> = field.path.split('/').map(|p| if number(p) { "*" } else { p }).collect();
    (list.join("/"), field.label.as_deref(), &field.raw, field.kind)
}

impl Changes {
    fn between(old: &[PlanField], new: &[PlanField]) -> Changes {
        let at: BTreeMap<&str, &PlanField> = old.iter().map(|f| (f.path.as_str(), f)).collect();
        let mut left: BTreeMap<Content, usize> = BTreeMap::new();
        for field in old {
            *left.entry(content(field)).or_default() += 1;
        }
        let mut of = BTreeMap::new();
        // First what stands at its place, then what moved within its list, then the rest.
        for field in new {
            let stays = at.get(field.path.as_str()).is_some_and(|f| content(f) == content(field));
            if stays {
                take(&mut left, field);
                of.insert(field.path.clone(), Change::Same);
            }
        }
        for field in new {
            if !of.contains_key(&field.path) && take(&mut left, field) {
                of.insert(field.path.clone(), Change::Same);
            }
        }
        let mut replaced = BTreeSet::new();
        for field in new {
            if of.contains_key(&field.path) {
                continue;
            }
            // What stood here and stands nowhere else was changed into this.
            let change = match at.get(field.path.as_str()) {
                Some(was) if take(&mut left, was) => {
                    replaced.insert(was.path.clone());
                    Change::Changed(was.raw.clone())
                }
                _ => Change::New,
            };
            of.insert(field.path.clone(), change);
        }
        let gone = old.iter().filter(|f| !replaced.contains(&f.path) && take(&mut left, f));
        let gone = gone.map(|f| f.path.clone()).collect();
        Changes { of, gone }
    }

    fn differences(&self, old: &[PlanField], new: &[PlanField]) -> Vec<PlanDifference> {
        let mut out = Vec::new();
        for field in new {
            let (path, after) = (field.path.clone(), Some(field.raw.clone()));
            match self.of.get(&field.path) {
                Some(Change::Changed(before)) => {
                    out.push(PlanDifference { path, before: Some(before.clone()), after });
                }
                Some(Change::New) => out.push(PlanDifference { path, before: None, after }),
                _ => {}
            }
        }
        for field in old.iter().filter(|f| self.gone.contains(&f.path)) {
            let (path, before) = (field.path.clone(), Some(field.raw.clone()));
            out.push(PlanDifference { path, before, after: None });
        }
        out
    }

    /// What is new in a fact: the first of its fields that changed and is not known already.
    fn news(&self, fact: &Fact, known: &dyn Fn(&PlanField) -> bool) -> Option<&Change> {
        let change = |field: &PlanField| self.of.get(&field.path).filter(|c| **c != Change::Same);
        fact.fields.iter().find_map(|field| change(field).filter(|_| !known(field)))
    }
}

/// Takes one field of this content out of what is left.
fn take<'f>(left: &mut BTreeMap<Content<'f>, usize>, field: &'f PlanField) -> bool {
    match left.get_mut(&content(field)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}
