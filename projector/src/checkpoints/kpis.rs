//! What each KPI showed at a checkpoint: actual beside goal and baseline, and what that comes to.
//!
//! A verdict is *met*, *missed*, *no data* or *cannot be compared*, and always with its reason: a
//! goal in words is not turned into a number by guess.

mod compare;
#[cfg(test)]
mod tests;

use schemas::{
    event::{
        decision::{CriterionEvaluated, CriterionScope, CriterionVerdict},
        outcome::CheckpointRecorded,
    },
    values::{Basis, Evidence, FieldKind, MetricValue, PlanValue, Quantity},
};
use serde::Serialize;

use super::Checkpoint;
use crate::{
    recorded::Moment,
    rollout::{
        Fact, Provenance, Rollout,
        decisions::{Criterion, same_words},
    },
};
use compare::{Demand, compare};

/// What the metric of a goal was before the release is observed as of this checkpoint.
const BASELINE: &str = "baseline";

/// One KPI at one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Kpi {
    /// By the plan's own name.
    pub name: String,
    /// What was to be reached.
    pub goal: Option<Goal>,
    /// The value before the release.
    pub baseline: Option<Value>,
    /// The value that holds.
    pub actual: Option<Value>,
    /// Values that the actual one replaced, oldest first.
    pub before: Vec<Value>,
    pub verdict: KpiVerdict,
    /// Why the verdict is what it is, in words.
    pub why: String,
    /// What a person or a service said of it.
    pub evaluated: Option<Evaluated>,
    /// Every event that this rests on.
    pub seqs: Vec<u64>,
}

/// What a KPI came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KpiVerdict {
    Met,
    Missed,
    /// Nothing was recorded for it.
    NoData,
    /// There is something, and no goal that it can be held against.
    CannotBeCompared,
}

/// What was to be reached, in the words of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Goal {
    pub raw: String,
    /// The event that says so.
    pub seq: u64,
    pub basis: Basis,
    /// The line of the plan.
    pub line: Option<u64>,
    #[serde(skip)]
    demand: Option<Demand>,
    #[serde(skip)]
    unclear: Option<&'static str>,
}

/// A value and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Value {
    pub raw: String,
    pub quantity: Quantity,
    /// Where it was read: `Datadog`, `Google Analytics`.
    pub source: Option<String>,
    /// Observed by a machine, reported by a person, imported from a document, or backfilled.
    pub basis: Basis,
    /// Taken from a document and confirmed by nobody.
    pub unverified: bool,
    pub confirmed_by: Vec<u64>,
    /// When it was taken; absent when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    /// The event that says so.
    pub seq: u64,
    pub evidence: Vec<Evidence>,
    /// How it came to be replaced, of a value that no longer holds.
    pub replaced: Option<Replaced>,
}

/// How a value came to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replaced {
    /// A later observation restates it.
    Restated,
    /// The event was corrected; this is what it said first.
    Corrected,
    /// It was taken anew.
    TakenAgain,
}

/// What somebody said a KPI came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Evaluated {
    pub verdict: CriterionVerdict,
    pub basis: Basis,
    pub seq: u64,
}

impl KpiVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            KpiVerdict::Met => "met",
            KpiVerdict::Missed => "missed",
            KpiVerdict::NoData => "no data",
            KpiVerdict::CannotBeCompared => "cannot be compared",
        }
    }
}

impl Kpi {
    /// Every KPI of a checkpoint: the plan's, those that a criterion is set for, and whatever else
    /// was recorded there.
    pub fn of(rollout: &Rollout, checkpoint: &Checkpoint) -> Vec<Kpi> {
        let at = At { rollout, checkpoint };
        at.names().into_iter().map(|name| at.kpi(name)).collect()
    }
}

/// One checkpoint of one rollout.
struct At<'a> {
    rollout: &'a Rollout,
    checkpoint: &'a Checkpoint,
}

impl At<'_> {
    /// The names of the KPIs, each once, the plan's first.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !names.iter().any(|known| same_words(known, name)) {
                names.push(name.to_owned());
            }
        };
        for (name, _) in planned(self.rollout) {
            add(&name);
        }
        for (name, criterion) in self.criteria() {
            let set = criterion.set.last();
            let metric = set.and_then(|s| s.value.metric.as_deref());
            // Imported criteria stand for a goal of the plan, by its words if it has no name.
            let text = set.map(|s| s.value.text.as_str());
            let known = planned(self.rollout).any(|(planned, raw)| {
                let same = |words: Option<&str>| {
                    words.is_some_and(|w| same_words(w, &planned) || same_words(w, &raw))
                };
                same(metric) || same(text)
            });
            if !known {
                add(metric.unwrap_or(name));
            }
        }
        for snapshot in self.snapshots() {
            let goals = snapshot.value.results.goals.iter().map(|g| g.name.as_str());
            for name in goals {
                // A plan's goal may be called by its text.
                let planned = planned(self.rollout).find(|(_, raw)| same_words(raw, name));
                add(planned.as_ref().map_or(name, |(name, _)| name));
            }
        }
        for (name, metric) in &self.rollout.measurements.metrics {
            if metric.observed.iter().any(|o| self.is_here(o.value.checkpoint.as_deref(), &o.from))
            {
                add(name);
            }
        }
        names
    }

    fn kpi(&self, name: String) -> Kpi {
        let aliases = self.aliases(&name);
        let is = |other: &str| aliases.iter().any(|alias| same_words(alias, other));
        let mut values = self.values(&is);
        values.sort_by_key(|v| (v.replaced.is_none(), v.time.unwrap_or(v.recorded_at), v.seq));
        let mut actual = values.pop_if(|v| v.replaced.is_none());
        for value in &mut values {
            value.replaced.get_or_insert(Replaced::TakenAgain);
        }
        values.sort_by_key(|v| (v.time.unwrap_or(v.recorded_at), v.seq));
        let evaluation = self.evaluation(&is);
        if actual.is_none() {
            actual = evaluation
                .and_then(|e| value(e.value.actual.as_ref()?, &e.from, &e.value.evidence));
        }
        let goal = self.goal(&is);
        let (verdict, why) = judge(goal.as_ref(), actual.as_ref(), evaluation);
        let baseline = baseline(self.rollout, &is);
        let mut seqs: Vec<u64> =
            values.iter().chain(&actual).chain(&baseline).map(|v| v.seq).collect();
        seqs.extend(goal.as_ref().map(|g| g.seq));
        seqs.extend(evaluation.map(Fact::seq));
        seqs.extend(actual.iter().flat_map(|v| v.confirmed_by.clone()));
        seqs.sort_unstable();
        seqs.dedup();
        let evaluated = evaluation.map(|e| Evaluated {
            verdict: e.value.verdict,
            basis: e.from.basis,
            seq: e.seq(),
        });
        Kpi { name, goal, baseline, actual, before: values, verdict, why, evaluated, seqs }
    }

    /// The names that a KPI goes by: its own and, of a plan's goal, its text.
    fn aliases(&self, name: &str) -> Vec<String> {
        let planned = planned(self.rollout).find(|(planned, _)| same_words(planned, name));
        let raw = planned.map(|(_, raw)| raw).filter(|raw| !raw.is_empty());
        [name.to_owned()].into_iter().chain(raw).collect()
    }

    /// Every value of a KPI at this checkpoint, those that were replaced marked.
    fn values(&self, is: &dyn Fn(&str) -> bool) -> Vec<Value> {
        let mut values = Vec::new();
        for snapshot in self.snapshots() {
            let evidence = &snapshot.value.evidence;
            let said = said(&snapshot.value, is);
            values.extend(said.and_then(|m| value(&m.quantity, &snapshot.from, evidence)));
            let first = snapshot
                .from
                .first
                .clone()
                .and_then(|first| serde_json::from_value::<CheckpointRecorded>(first).ok());
            let first = first.as_ref().and_then(|first| self::said(first, is));
            let first = first.filter(|f| said.is_none_or(|now| now.quantity != f.quantity));
            let first = first.and_then(|m| value(&m.quantity, &snapshot.from, evidence));
            values.extend(first.map(|v| Value { replaced: Some(Replaced::Corrected), ..v }));
        }
        let metrics = self.rollout.measurements.metrics.iter().filter(|(name, _)| is(name));
        for observed in metrics.flat_map(|(_, metric)| &metric.observed) {
            if !self.is_here(observed.value.checkpoint.as_deref(), &observed.from) {
                continue;
            }
            let quantity = observed.value.quantity.as_ref();
            let found = quantity.and_then(|q| value(q, &observed.from, &observed.value.evidence));
            let restated = !observed.from.restated_by.is_empty();
            values.extend(found.map(|v| Value {
                source: observed.value.source.clone().or(v.source),
                replaced: restated.then_some(Replaced::Restated),
                ..v
            }));
        }
        values
    }

    /// What is to be reached: as it stood beside the result, else as the newest criterion sets it,
    /// else as the plan words it. One that can be compared goes before one that cannot.
    fn goal(&self, is: &dyn Fn(&str) -> bool) -> Option<Goal> {
        let newest = self.snapshots().filter_map(|s| {
            let goal = said(&s.value, is)?.goal.as_ref()?;
            Some(goal_of(goal, &s.from))
        });
        let criteria = self.criteria().filter_map(|(name, criterion)| {
            let set = criterion.set.last()?;
            let (metric, text) = (set.value.metric.as_deref(), set.value.text.as_str());
            (is(name) || metric.is_some_and(is) || is(text)).then(|| {
                let (demand, unclear) = Demand::of_criterion(&set.value);
                Goal { demand, unclear, ..goal_in_words(text, &set.from) }
            })
        });
        let planned = planned_goal(self.rollout, is);
        let mut goals: Vec<Goal> = newest.collect();
        goals.reverse();
        goals.extend(criteria);
        goals.extend(planned);
        let place = goals.iter().position(|goal| goal.demand.is_some()).unwrap_or(0);
        (place < goals.len()).then(|| goals.swap_remove(place))
    }

    fn evaluation(&self, is: &dyn Fn(&str) -> bool) -> Option<&Fact<CriterionEvaluated>> {
        let of = self.criteria().filter(|(name, criterion)| {
            let set = criterion.set.last();
            is(name)
                || set
                    .is_some_and(|s| s.value.metric.as_deref().is_some_and(is) || is(&s.value.text))
        });
        let evaluated = of.flat_map(|(_, criterion)| &criterion.evaluated);
        let here = evaluated.filter(|e| {
            let checkpoint = e.value.checkpoint.as_deref();
            e.value.stage.is_none() && self.is_here(checkpoint, &e.from)
        });
        here.max_by_key(|e| e.from.order_key())
    }

    /// The criteria that hold at this checkpoint.
    fn criteria(&self) -> impl Iterator<Item = (&str, &Criterion)> {
        let criteria = self.rollout.decisions.criteria.iter();
        criteria
            .filter(|(_, criterion)| {
                criterion.set.last().is_some_and(|set| {
                    let named = set.value.checkpoint.as_deref();
                    set.value.scope == CriterionScope::Checkpoint
                        && named.is_none_or(|name| name == self.checkpoint.name)
                })
            })
            .map(|(name, criterion)| (name.as_str(), criterion))
    }

    /// The snapshots that count from the anchor, oldest first.
    fn snapshots(&self) -> impl Iterator<Item = &Fact<CheckpointRecorded>> {
        self.checkpoint.counting()
    }

    /// Whether something is said of this checkpoint, and not of one before or after a relaunch.
    fn is_here(&self, checkpoint: Option<&str>, from: &Provenance) -> bool {
        let (since, until) = (self.checkpoint.anchored_at, self.checkpoint.until);
        let within = match from.time {
            Some(at) => since.is_none_or(|s| at >= s) && until.is_none_or(|until| at < until),
            None => until.is_none(),
        };
        checkpoint == Some(self.checkpoint.name.as_str()) && within
    }
}

/// What a snapshot says of a KPI: as a goal's actual value, else as a metric.
fn said<'a>(
    snapshot: &'a CheckpointRecorded,
    is: &dyn Fn(&str) -> bool,
) -> Option<&'a MetricValue> {
    let results = &snapshot.results;
    results.goals.iter().chain(&results.metrics).find(|m| is(&m.name))
}

fn value(quantity: &Quantity, from: &Provenance, evidence: &[Evidence]) -> Option<Value> {
    (!quantity.raw.trim().is_empty()).then(|| Value {
        raw: quantity.raw.clone(),
        quantity: quantity.clone(),
        source: quantity.source.clone(),
        basis: from.basis,
        unverified: from.unverified,
        confirmed_by: from.confirmed_by.clone(),
        time: from.time,
        recorded_at: from.recorded_at,
        seq: from.seq,
        evidence: evidence.to_vec(),
        replaced: None,
    })
}

/// The names and the words of the newest plan's goals.
pub(crate) fn planned(rollout: &Rollout) -> impl Iterator<Item = (String, String)> {
    let fields = rollout.plan.newest().map_or(&[][..], |r| &r.fields);
    let is_goal = |path: &str| path.strip_prefix("kpis/").is_some_and(|rest| !rest.contains('/'));
    fields.iter().filter(move |f| is_goal(&f.path)).map(|f| {
        if f.kind == FieldKind::Blank {
            // A placeholder is nobody's name.
            return (f.label.clone().unwrap_or_else(|| f.path.clone()), String::new());
        }
        let raw = f.raw.trim().to_owned();
        (f.label.clone().unwrap_or_else(|| raw.clone()), raw)
    })
}

fn planned_goal(rollout: &Rollout, is: &dyn Fn(&str) -> bool) -> Option<Goal> {
    let revision = rollout.plan.newest()?;
    let is_goal = |path: &str| path.strip_prefix("kpis/").is_some_and(|rest| !rest.contains('/'));
    let field = revision.fields.iter().find(|f| {
        let name = f.label.as_deref().unwrap_or(f.raw.trim());
        is_goal(&f.path) && f.kind == FieldKind::Value && (is(name) || is(f.raw.trim()))
    })?;
    let quantity = match &field.value {
        Some(PlanValue::Quantity(quantity)) => Some(quantity),
        _ => None,
    };
    let goal = quantity.map(|q| goal_of(q, &revision.from));
    let goal = goal.unwrap_or_else(|| goal_in_words(&field.raw, &revision.from));
    Some(Goal { raw: field.raw.trim().to_owned(), line: Some(field.line), ..goal })
}

fn goal_of(quantity: &Quantity, from: &Provenance) -> Goal {
    let (demand, unclear) = Demand::of_quantity(quantity);
    Goal { demand, unclear, ..goal_in_words(&quantity.raw, from) }
}

fn goal_in_words(raw: &str, from: &Provenance) -> Goal {
    Goal {
        raw: raw.trim().to_owned(),
        seq: from.seq,
        basis: from.basis,
        line: from.plan_line,
        demand: None,
        unclear: Some("the goal is in words"),
    }
}

/// The value before the release: as it was observed, else as a criterion says.
pub(crate) fn baseline(rollout: &Rollout, is: &dyn Fn(&str) -> bool) -> Option<Value> {
    let metrics = rollout.measurements.metrics.iter().filter(|(name, _)| is(name));
    let observed =
        metrics.filter_map(|(_, metric)| metric.reading(None, Some(BASELINE))).next_back();
    let observed = observed.and_then(|o| {
        let found = value(o.value.quantity.as_ref()?, &o.from, &o.value.evidence)?;
        Some(Value { source: o.value.source.clone().or(found.source.clone()), ..found })
    });
    let of_criterion = || {
        let criteria = rollout.decisions.criteria.values().filter_map(|c| c.set.last());
        let mut of = criteria.filter(|s| s.value.metric.as_deref().is_some_and(is));
        of.find_map(|s| value(s.value.baseline.as_ref()?, &s.from, &s.value.evidence))
    };
    observed.or_else(of_criterion)
}

/// The verdict and the reason. Numbers go before what somebody said of them.
fn judge(
    goal: Option<&Goal>,
    actual: Option<&Value>,
    evaluation: Option<&Fact<CriterionEvaluated>>,
) -> (KpiVerdict, String) {
    use KpiVerdict::{CannotBeCompared, Met, Missed, NoData};
    let by_numbers = match (goal, actual) {
        (_, None) => (NoData, "nothing is recorded for it".to_owned()),
        (None, Some(_)) => (CannotBeCompared, "no goal is set".to_owned()),
        (Some(goal), Some(actual)) => match &goal.demand {
            None => (CannotBeCompared, goal.unclear.unwrap_or("the goal is in words").to_owned()),
            Some(demand) => match compare(demand, &actual.quantity) {
                Ok(met) => (
                    if met { Met } else { Missed },
                    format!("{} against {}", actual.raw.trim(), goal.raw),
                ),
                Err(why) => (CannotBeCompared, why.to_owned()),
            },
        },
    };
    let Some(evaluation) = evaluation else { return by_numbers };
    let said = match evaluation.value.verdict {
        CriterionVerdict::Met => Met,
        CriterionVerdict::Missed => Missed,
        CriterionVerdict::Overridden => {
            let (verdict, why) = by_numbers;
            return (verdict, format!("{why}; overridden in entry {}", evaluation.seq()));
        }
    };
    match by_numbers {
        (NoData | CannotBeCompared, why) => {
            (said, format!("said so in entry {}; by numbers: {why}", evaluation.seq()))
        }
        (verdict, why) if verdict == said => (verdict, why),
        (verdict, why) => {
            let (seq, said) = (evaluation.seq(), said.as_str());
            (verdict, format!("{why}; entry {seq} says {said}"))
        }
    }
}
