//! What was changed afterwards: corrections, withdrawals, restated readings, redefinitions and
//! erasures, each with the old and the new value and the decisions that were made on the old one.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event, StageKey,
    event::decision::{Gate, Verdict},
    values::{Party, Target},
};
use serde::Serialize;
use serde_json::Value;

use super::{Citations, Cited, Line, considered, party};
use crate::{
    recorded::{NotApplied, Recorded, resolve},
    rollout::{Rollout, decisions::Decision},
    views::facets,
};

/// What `audit restated` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restated {
    pub rollout: String,
    /// By the seq of the event that changed something.
    pub changes: Vec<Change>,
    /// Events that say they change another and change nothing, and why.
    pub not_applied: Vec<Void>,
    pub rests_on: Vec<Cited>,
}

/// One change of what had been recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub kind: Kind,
    /// The event that made the change.
    pub by: Line,
    /// Why, in its words.
    pub reason: Option<String>,
    /// Who approved it, as the sender claims.
    pub approvers: Vec<String>,
    /// The event that was changed, as it was recorded.
    pub target: Line,
    /// The values that differ.
    pub values: Vec<Difference>,
    /// From the recording of the old value to the recording of the change, in seconds.
    pub stood_seconds: i64,
    /// Decisions that were made while the old value stood, and on it.
    pub relied: Vec<Relied>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An `event.corrected` put another value in the place of the first.
    Corrected,
    /// An `event.withdrawn` took it back.
    Withdrawn,
    /// A later reading of a metric says that it replaces an earlier one.
    Restated,
    /// A metric, a criterion or a stage's plan means something else from then on.
    Redefined,
    /// The payload was erased by law; the old value is gone.
    Erased,
}

/// One value that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where in the event's data (RFC 6901); empty for the whole.
    pub pointer: String,
    /// Null when there was none.
    pub old: Option<Value>,
    /// Null when there is none.
    pub new: Option<Value>,
}

/// A decision that the old value went into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relied {
    #[serde(flatten)]
    pub decision: Cited,
    pub gate: Gate,
    pub stage: Option<StageKey>,
    pub verdict: Verdict,
    pub how: How,
}

/// How it is known that a decision relied on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The decision names the event.
    Listed,
    /// The decision does not name it; it was a fact about the decision's stages by then.
    KnownOfItsStage,
}

/// An event that changes nothing although it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Void {
    #[serde(flatten)]
    pub line: Line,
    /// The seq that it names.
    pub target: Option<u64>,
    pub why: NotApplied,
    /// The same in words.
    pub words: String,
}

impl Restated {
    /// From a rollout's events, in any order.
    pub fn of(id: &str, events: &[Recorded]) -> Restated {
        let resolved = resolve(events.iter());
        let mut rollout = Rollout::default();
        for event in &resolved {
            rollout.apply(event);
        }
        let told = Told {
            raw: events.iter().map(|e| (e.seq, e)).collect(),
            standing: resolved.iter().map(|e| (e.seq, e)).collect(),
            rollout: &rollout,
        };
        let mut changes: Vec<Change> =
            resolved.iter().flat_map(|target| told.amendments(target)).collect();
        changes.extend(told.redefinitions(&resolved));
        changes.sort_by_key(|change| (change.by.seq, change.target.seq));
        let mut citations = Citations::of(events);
        for change in &changes {
            citations.cite_all([change.by.seq, change.target.seq]);
            citations.cite_all(change.relied.iter().map(|r| r.decision.seq));
        }
        let mut not_applied: Vec<Void> = resolved.iter().filter_map(Void::of).collect();
        not_applied.sort_by_key(|void| void.line.seq);
        for void in &not_applied {
            citations.cite_all([void.line.seq].into_iter().chain(void.target));
        }
        let rests_on = citations.rests_on();
        Restated { rollout: id.to_owned(), changes, not_applied, rests_on }
    }
}

/// A rollout's events as they were recorded and as they stand.
struct Told<'a> {
    raw: BTreeMap<u64, &'a Recorded>,
    standing: BTreeMap<u64, &'a Recorded>,
    rollout: &'a Rollout,
}

impl Told<'_> {
    /// The changes of one event by events about it.
    fn amendments(&self, target: &Recorded) -> Vec<Change> {
        let amended = &target.amended;
        let mut changes = Vec::new();
        let first = self.raw.get(&target.seq).and_then(|raw| raw.known());
        let mut old = first.map(Event::data);
        for seq in &amended.corrected_by {
            let by = self.standing.get(seq);
            let Some(Event::EventCorrected(e)) = by.and_then(|by| by.known()) else { continue };
            let new = serde_json::to_value(&e.replacement).ok();
            let values = differences(old.as_ref(), new.as_ref());
            changes.extend(self.change(Kind::Corrected, *seq, target.seq, values));
            old = new;
        }
        for seq in &amended.restated_by {
            let by = self.standing.get(seq);
            let new = by.and_then(|by| by.known()).map(Event::data);
            let values =
                differences(reading(old.as_ref()).as_ref(), reading(new.as_ref()).as_ref());
            changes.extend(self.change(Kind::Restated, *seq, target.seq, values));
        }
        if let Some(seq) = amended.withdrawn_by {
            let values = vec![Difference { pointer: String::new(), old, new: None }];
            changes.extend(self.change(Kind::Withdrawn, seq, target.seq, values));
        }
        if let Some(seq) = amended.redacted_by {
            changes.extend(self.change(Kind::Erased, seq, target.seq, vec![]));
        }
        changes
    }

    /// What was defined anew: the definition before is what changed.
    fn redefinitions(&self, resolved: &[Recorded]) -> Vec<Change> {
        let mut newest: BTreeMap<String, &Recorded> = BTreeMap::new();
        let mut changes = Vec::new();
        // In the order of recording: a plan's definitions have no other moment.
        let mut standing: Vec<&Recorded> =
            resolved.iter().filter(|r| r.amended.withdrawn_by.is_none()).collect();
        standing.sort_by_key(|recorded| recorded.seq);
        for recorded in standing {
            let Some(name) = recorded.known().and_then(defines) else { continue };
            let Some(before) = newest.insert(name, recorded) else { continue };
            let data = |recorded: &Recorded| recorded.known().map(Event::data).map(defined);
            let mut values = differences(data(before).as_ref(), data(recorded).as_ref());
            if matches!(recorded.known(), Some(Event::MetricRedefined(_))) {
                // It says what is new; what it leaves out stays as it was.
                values.retain(|value| value.new.is_some());
            }
            if !values.is_empty() {
                changes.extend(self.change(Kind::Redefined, recorded.seq, before.seq, values));
            }
        }
        changes
    }

    fn change(&self, kind: Kind, by: u64, target: u64, values: Vec<Difference>) -> Option<Change> {
        let (by, target) = (*self.standing.get(&by)?, *self.raw.get(&target)?);
        let (reason, approvers) = words(by.known());
        Some(Change {
            kind,
            reason,
            approvers: approvers.iter().map(party).collect(),
            values,
            stood_seconds: (by.recorded_at_us - target.recorded_at_us) / 1_000_000,
            relied: self.relied(target, by),
            by: Line::of(by),
            target: Line::of(target),
        })
    }

    /// The decisions that were made while the old value stood, and on it.
    fn relied(&self, target: &Recorded, by: &Recorded) -> Vec<Relied> {
        let through = self.through(target);
        let gates = self.rollout.decisions.gates.iter();
        let relied = |decision: &Decision| {
            let key = (decision.fact.from.order_key().0.0, decision.fact.seq());
            if key >= by.order_key() {
                return None;
            }
            let decided = &decision.fact.value;
            let how = if decided.considered.iter().any(|seq| through.contains(seq)) {
                How::Listed
            } else if target.order_key() < key && self.was_known(target, decision) {
                How::KnownOfItsStage
            } else {
                return None;
            };
            Some(Relied {
                decision: Cited::of(self.standing.get(&decision.fact.seq())?),
                gate: decided.gate,
                stage: decided.stage.clone(),
                verdict: decided.verdict,
                how,
            })
        };
        gates.filter_map(relied).collect()
    }

    /// The event, and what was judged or read by its definition.
    fn through(&self, target: &Recorded) -> BTreeSet<u64> {
        let defined = target.known().and_then(defines);
        let by_it = self.standing.values().filter(|recorded| {
            let name = match recorded.known() {
                Some(Event::CriterionEvaluated(e)) => format!("criterion {}", e.criterion),
                Some(Event::MetricObserved(e)) => format!("metric {}", e.metric),
                _ => return false,
            };
            recorded.seq > target.seq && Some(name) == defined
        });
        by_it.map(|recorded| recorded.seq).chain([target.seq]).collect()
    }

    fn was_known(&self, target: &Recorded, decision: &Decision) -> bool {
        if considered::by(target, decision) == considered::By::Later {
            return false;
        }
        let about = target.known().filter(|event| considered::shows(event));
        let stages = considered::stages(self.rollout, decision);
        about.and_then(facets::stage).is_some_and(|stage| stages.contains(stage))
    }
}

/// What an event gives a meaning to.
fn defines(event: &Event) -> Option<String> {
    Some(match event {
        Event::MetricDefined(e) => format!("metric {}", e.metric),
        Event::MetricRedefined(e) => format!("metric {}", e.metric),
        Event::CriterionSet(e) => format!("criterion {}", e.criterion),
        Event::StagePlanned(e) => format!("stage {}", e.stage),
        Event::StageReplanned(e) => format!("stage {}", e.stage),
        _ => return None,
    })
}

/// A definition without what only tells how it came to the ledger.
fn defined(mut data: Value) -> Value {
    if let Some(members) = data.as_object_mut() {
        for name in ["basis", "actor", "occurrence", "evidence", "plan", "note", "reason"] {
            members.remove(name);
        }
    }
    data
}

/// What a reading of a metric read.
fn reading(data: Option<&Value>) -> Option<Value> {
    let mut data = defined(data?.clone());
    data.as_object_mut()?.remove("restates");
    Some(data)
}

/// The reason that an event gives, and who approved it.
fn words(event: Option<&Event>) -> (Option<String>, &[Party]) {
    match event {
        Some(Event::EventCorrected(e)) => (Some(e.reason.clone()), &e.approvers),
        Some(Event::EventWithdrawn(e)) => (Some(e.reason.clone()), &e.approvers),
        Some(Event::EventRedacted(e)) => (Some(e.reason.clone()), &e.approvers),
        Some(Event::MetricRedefined(e)) => (Some(e.reason.clone()), &[]),
        Some(Event::StageReplanned(e)) => (e.reason.clone(), &[]),
        _ => (None, &[]),
    }
}

/// The leaves that differ, in the order of their pointers.
fn differences(old: Option<&Value>, new: Option<&Value>) -> Vec<Difference> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (value, found) in [(old, &mut before), (new, &mut after)] {
        if let Some(value) = value {
            leaves(value, String::new(), found);
        }
    }
    let pointers: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = pointers.into_iter().filter(|p| before.get(*p) != after.get(*p));
    differ
        .map(|pointer| Difference {
            pointer: pointer.clone(),
            old: before.get(pointer).cloned(),
            new: after.get(pointer).cloned(),
        })
        .collect()
}

fn leaves(value: &Value, pointer: String, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, value) in items.iter().enumerate() {
                leaves(value, format!("{pointer}/{place}"), found);
            }
        }
        leaf => drop(found.insert(pointer, leaf.clone())),
    }
}

impl Void {
    fn of(recorded: &Recorded) -> Option<Void> {
        let why = recorded.amended.not_applied?;
        let target = recorded.known().and_then(facets::target).map(|t: &Target| t.seq);
        Some(Void { line: Line::of(recorded), target, why, words: format!("Not applied: {why}.") })
    }
}
