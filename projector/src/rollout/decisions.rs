//! Decisions: gates and their conditions, the checklist, success criteria.

use std::collections::BTreeMap;

use schemas::{
    Event, StageKey,
    event::decision::{
        ChecklistItemSet, ConditionOutcome, CriterionEvaluated, CriterionSet, Gate,
        GateConditionResolved, GateDecided, Verdict,
    },
};
use serde::Serialize;

use super::{Fact, Provenance};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Decisions {
    /// Every decision, in the order in which they were made: a no-go stays beside the later go.
    pub gates: Vec<Decision>,
    /// Outcomes that no decision had asked for.
    pub unasked: Vec<Fact<GateConditionResolved>>,
    /// Every time that a checkbox was set, in order; the last of an item holds.
    pub checklist: Vec<Fact<ChecklistItemSet>>,
    pub criteria: BTreeMap<String, Criterion>,
}

/// One decision at a gate and what became of its conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Decision {
    #[serde(flatten)]
    pub fact: Fact<GateDecided>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Condition {
    pub text: String,
    pub resolved: Option<Fact<GateConditionResolved>>,
}

/// A success criterion: every wording it had, and every time it was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Criterion {
    pub set: Vec<Fact<CriterionSet>>,
    pub evaluated: Vec<Fact<CriterionEvaluated>>,
}

impl Decisions {
    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::GateDecided(e) => {
                let asked = e.conditions.iter();
                let conditions = asked.map(|c| Condition { text: c.clone(), resolved: None });
                let conditions = conditions.collect();
                self.gates.push(Decision { fact: Fact::new(e, from), conditions });
            }
            Event::GateConditionResolved(e) => self.resolve(Fact::new(e, from)),
            Event::ChecklistItemSet(e) => self.checklist.push(Fact::new(e, from)),
            Event::CriterionSet(e) => self.criterion(&e.criterion).set.push(Fact::new(e, from)),
            Event::CriterionEvaluated(e) => {
                self.criterion(&e.criterion).evaluated.push(Fact::new(e, from));
            }
            _ => {}
        }
    }

    /// The newest decision at a gate.
    pub fn newest(&self, gate: Gate, stage: Option<&StageKey>) -> Option<&Decision> {
        self.gates.iter().rev().find(|d| {
            let decided = &d.fact.value;
            decided.gate == gate && stage.is_none_or(|s| decided.stage.as_ref() == Some(s))
        })
    }

    /// Conditions of the newest decision at each gate that nobody has resolved.
    pub fn open_conditions(&self) -> Vec<(&Decision, &Condition)> {
        let newest = self.gates.iter().filter(|d| {
            let (gate, stage) = (d.fact.value.gate, d.fact.value.stage.as_ref());
            self.newest(gate, stage).is_some_and(|n| n.fact.seq() == d.fact.seq())
        });
        newest
            .flat_map(|d| d.conditions.iter().filter(|c| c.is_open()).map(move |c| (d, c)))
            .collect()
    }

    /// The state of a checklist item: what was set last.
    pub fn item(&self, item: &str) -> Option<&Fact<ChecklistItemSet>> {
        self.checklist.iter().rev().find(|f| same_words(&f.value.item, item))
    }

    fn criterion(&mut self, name: &str) -> &mut Criterion {
        self.criteria.entry(name.to_owned()).or_default()
    }

    fn resolve(&mut self, fact: Fact<GateConditionResolved>) {
        let asked = self.gates.iter_mut().rev().filter(|d| {
            let decided = &d.fact.value;
            decided.gate == fact.value.gate
                && (fact.value.stage.is_none() || decided.stage == fact.value.stage)
        });
        let condition = asked
            .flat_map(|d| d.conditions.iter_mut())
            .find(|c| c.is_open() && same_words(&c.text, &fact.value.condition));
        match condition {
            Some(condition) => condition.resolved = Some(fact),
            None => self.unasked.push(fact),
        }
    }
}

impl Decision {
    pub fn verdict(&self) -> Verdict {
        self.fact.value.verdict
    }

    /// Whether it lets the rollout go on, be it under conditions.
    pub fn goes(&self) -> bool {
        matches!(self.verdict(), Verdict::Go | Verdict::Conditional)
    }
}

impl Condition {
    /// Open until it was met or waived; a failed condition stays open.
    pub fn is_open(&self) -> bool {
        self.resolved.as_ref().is_none_or(|r| r.value.outcome == ConditionOutcome::Failed)
    }
}

/// Whether two people wrote the same words, but for case, spacing and a closing mark.
pub(crate) fn same_words(a: &str, b: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        words.map(str::to_lowercase)
    }
    words(a).eq(words(b))
}
