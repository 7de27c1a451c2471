//! What the ledger knows for a blank of the plan, as the text that goes there.
//!
//! A blank is named by its path in the plan's structure. Criteria and goals are what people set
//! themselves to reach: no observation ever fills them. A box is ticked only on evidence.

mod leaves;
#[cfg(test)]
mod tests;
mod unplaced;

use schemas::{
    event::decision::{Gate, ItemState, Verdict},
    values::{Basis, Party, Results},
};
use serde::Serialize;

pub use unplaced::Unplaced;
pub(crate) use unplaced::parts;

use crate::{
    rollout::{
        Bug, Provenance, Rollout, Stage, decisions::Decision, decisions::same_words, exposure,
    },
    timeline::actor,
};
use leaves::Leaf;

/// What a tick puts between the brackets of a checkbox.
const TICK: &str = "x";

/// What goes into a blank, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Filled {
    /// The words, on one line.
    pub text: String,
    /// Seqs of the events that say so.
    pub seqs: Vec<u64>,
    pub basis: Basis,
}

impl Rollout {
    /// What the ledger knows for the blank at `path` (`stages/stage-a/results/unique_users`), whose
    /// label in the plan is `label`. `None` when nothing is recorded, or nothing may go there.
    pub fn answer_for(&self, path: &str, label: Option<&str>) -> Option<Filled> {
        let parts: Vec<&str> = path.split('/').collect();
        let filled = match parts.as_slice() {
            ["stages", key, "results", leaf @ ..] => self.stage_result(key, leaf, label),
            ["stages", key, "planning", leaf] => self.stage_planning(key, leaf),
            ["checkpoints", name, leaf @ ..] => self.checkpoint_result(name, leaf, label),
            ["gates", gate, leaf @ ..] => self.gate(gate, leaf),
            ["questions", number, "answer"] => self.question(number),
            ["checklist", ..] => self.tick(path, label),
            ["flags", _, member] => self.flag(path, member),
            ["metrics", number, "description"] => self.definition(number),
            ["rollout", "monitors"] => self.monitors(),
            ["cleanup", number] => self.cleanup(number),
            _ => None,
        }?;
        let text = filled.text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(Filled { text, ..filled })
    }

    /// Whether a fact stands in the newest revision of the plan, so that the file has it already.
    fn in_the_file(&self, from: &Provenance) -> bool {
        let newest = self.plan.newest().map(|r| r.digest.as_str());
        from.plan_digest.is_some() && from.plan_digest.as_deref() == newest
    }

    fn stage_result(&self, key: &str, leaf: &[&str], label: Option<&str>) -> Option<Filled> {
        let stage = self.stages.iter().find(|s| s.key.as_str() == key)?;
        let attempts = stage.attempts.iter().rev();
        let said =
            attempts.flat_map(|a| a.results.iter().rev().map(|r| (&r.from, &r.value.results)));
        let said: Vec<_> = said.filter(|(from, _)| !self.in_the_file(from)).collect();
        let has_detail = self.has_field(&format!("stages/{key}/results/changes_detail"));
        self.leaf_of(&said, leaf, label, has_detail)
            .or_else(|| self.seen_in_stage(stage, leaf, label))
    }

    fn checkpoint_result(&self, name: &str, leaf: &[&str], label: Option<&str>) -> Option<Filled> {
        let snapshots = self.outcome.snapshots.iter().rev();
        let snapshots = snapshots.filter(|s| s.value.checkpoint.as_str() == name);
        let said: Vec<_> = snapshots
            .map(|s| (&s.from, &s.value.results))
            .filter(|(from, _)| !self.in_the_file(from))
            .collect();
        let has_detail = self.has_field(&format!("checkpoints/{name}/changes_detail"));
        self.leaf_of(&said, leaf, label, has_detail).or_else(|| match leaf {
            ["metrics" | "kpis", _] => self.reading(None, Some(name), label?),
            _ => None,
        })
    }

    /// The newest block of results that says something for a leaf.
    fn leaf_of(
        &self,
        said: &[(&Provenance, &Results)],
        leaf: &[&str],
        label: Option<&str>,
        has_detail: bool,
    ) -> Option<Filled> {
        let wanted = Leaf { path: leaf, label, goal: self.goal_names(leaf), has_detail };
        said.iter().find_map(|(from, results)| wanted.text(results).map(|text| filled(text, from)))
    }

    /// The names that the plan gives to the goal whose actual value is asked for.
    fn goal_names(&self, leaf: &[&str]) -> Vec<&str> {
        let ["kpis", number] = leaf else { return vec![] };
        let path = format!("kpis/{number}");
        let fields = self.plan.newest().map_or(&[][..], |r| &r.fields);
        let goal = fields.iter().filter(|f| f.path == path);
        goal.flat_map(|f| [f.label.as_deref(), Some(f.raw.as_str())]).flatten().collect()
    }

    /// What single events say of a stage, when no block of results does.
    fn seen_in_stage(&self, stage: &Stage, leaf: &[&str], label: Option<&str>) -> Option<Filled> {
        match leaf {
            ["metrics", _] => self.reading(Some(stage), None, label?),
            ["bugs"] => self.bugs(stage, |found, fixed| format!("{found} / {fixed}")),
            ["bugs_identified"] => self.bugs(stage, |found, _| found.to_string()),
            ["bugs_fixed"] => self.bugs(stage, |_, fixed| fixed.to_string()),
            ["bug", number] => self.bug(stage, number),
            ["errors"] => {
                let of_stage = self.measurements.errors.iter();
                let seen: Vec<_> = of_stage
                    .filter(|e| e.value.stage.as_ref() == Some(&stage.key))
                    .map(|e| (e.value.code.clone(), &e.from))
                    .collect();
                listed(seen)
            }
            ["downstream"] => {
                let of_stage = self.measurements.downstream.iter();
                let seen: Vec<_> = of_stage
                    .filter(|e| e.value.stage.as_ref() == Some(&stage.key))
                    .map(|e| (e.value.service.clone(), &e.from))
                    .collect();
                let services = listed(seen)?;
                Some(Filled { text: format!("Yes: {}", services.text), ..services })
            }
            _ => None,
        }
    }

    /// The newest reading of a metric whose name is the label.
    fn reading(
        &self,
        stage: Option<&Stage>,
        checkpoint: Option<&str>,
        label: &str,
    ) -> Option<Filled> {
        let metrics = self.measurements.metrics.iter();
        let (_, metric) = metrics.into_iter().find(|(name, _)| leaves::is_about(name, label))?;
        let fact = metric.reading(stage.map(|s| &s.key), checkpoint)?;
        if self.in_the_file(&fact.from) {
            return None;
        }
        let quantity = fact.value.quantity.as_ref().map(|q| q.raw.clone());
        let categories = fact.value.categories.iter();
        let categories: Vec<String> =
            categories.map(|c| format!("{}: {}", c.label, c.quantity.raw)).collect();
        Some(filled(quantity.unwrap_or_else(|| categories.join(", ")), &fact.from))
    }

    /// How many bugs were found in a stage and how many of them are fixed, when any is known.
    fn bugs(&self, stage: &Stage, text: fn(usize, usize) -> String) -> Option<Filled> {
        use crate::rollout::BugState::{Fixed, Verified};
        let bugs: Vec<_> = self.measurements.bugs_of(&stage.key).map(|(_, bug)| bug).collect();
        // A count of what the file itself lists would be an inference, and nothing that was recorded.
        let in_the_file = |bug: &&Bug| {
            let found = bug.found.iter().all(|f| self.in_the_file(&f.from));
            found && bug.seqs().len() == bug.found.len()
        };
        if bugs.iter().all(in_the_file) {
            return None;
        }
        let fixed = bugs.iter().filter(|b| matches!(b.state(), Fixed | Verified)).count();
        let from = &bugs.iter().find_map(|b| b.found.last())?.from;
        let mut seqs: Vec<u64> = bugs.iter().flat_map(|b| b.seqs()).collect();
        seqs.sort_unstable();
        Some(Filled { text: text(bugs.len(), fixed), seqs, basis: from.basis })
    }

    /// The bug for one item of a list, in the order in which bugs were found.
    fn bug(&self, stage: &Stage, number: &str) -> Option<Filled> {
        let number: usize = number.parse().ok()?;
        let mut bugs: Vec<_> = self.measurements.bugs_of(&stage.key).collect();
        bugs.sort_by_key(|(_, bug)| bug.found.first().map(|f| f.from.order_key()));
        let (id, bug) = bugs.get(number.checked_sub(1)?)?;
        let found = bug.found.last().filter(|f| !self.in_the_file(&f.from))?;
        let text = format!("{} ({id}, {})", bug.title(), bug.state().as_str());
        Some(Filled { text, seqs: bug.seqs(), basis: found.from.basis })
    }

    /// What people planned anew for a stage. Never what then happened.
    fn stage_planning(&self, key: &str, leaf: &str) -> Option<Filled> {
        let stage = self.stages.iter().find(|s| s.key.as_str() == key)?;
        let planned = stage.plan().filter(|p| p.from.by_hand())?;
        let duration = planned.length.as_ref();
        let text = match leaf {
            "length" => duration
                .and_then(|d| d.raw.clone().or_else(|| d.min.as_ref().map(ToString::to_string))),
            "dates" => planned.window.as_ref().and_then(|w| {
                let dates = || Some(format!("{} - {}", w.start.as_ref()?, w.end.as_ref()?));
                w.raw.clone().or_else(dates)
            }),
            "exposure" => {
                let raw: Option<Vec<String>> =
                    planned.exposures.iter().map(|e| e.raw.clone()).collect();
                let raw = raw.map(|raw| raw.join(", "));
                raw.or_else(|| Some(exposure::words(&planned.exposures)))
            }
            "users" => planned.exposures.iter().find_map(|e| e.count).map(|n| n.to_string()),
            _ => None,
        }?;
        Some(filled(text, &planned.from))
    }

    fn gate(&self, gate: &str, leaf: &[&str]) -> Option<Filled> {
        let gate = *Gate::ALL.iter().find(|g| g.as_str() == gate)?;
        let decision = self.decisions.newest(gate, None)?;
        if self.in_the_file(&decision.fact.from) {
            return None;
        }
        let nth = |items: &[String], number: &str| {
            items.get(number.parse::<usize>().ok()?.checked_sub(1)?).cloned()
        };
        let text = match leaf {
            ["verdict"] => verdict(decision),
            ["conditions", number] => nth(&decision.fact.value.conditions, number)?,
            ["blockers", number] => nth(&decision.fact.value.blockers, number)?,
            _ => return None,
        };
        Some(filled(text, &decision.fact.from))
    }

    fn question(&self, number: &str) -> Option<Filled> {
        let answer = self.answer_to(number).filter(|a| !self.in_the_file(&a.from))?;
        Some(filled(answer.value.answer.clone(), &answer.from))
    }

    /// A tick, when somebody set the item to done and showed evidence.
    fn tick(&self, path: &str, label: Option<&str>) -> Option<Filled> {
        let field = self.plan.field(None, path);
        let words = [label, field.and_then(|f| f.label.as_deref()), field.map(|f| f.raw.as_str())];
        let item = words.into_iter().flatten().find_map(|words| self.decisions.item(words))?;
        let shown = item.value.state == ItemState::Done && !item.value.evidence.is_empty();
        (shown && !self.in_the_file(&item.from)).then(|| filled(TICK.to_owned(), &item.from))
    }

    /// The flag for a blank row: the rollout's flags that the plan does not name, in order.
    fn flag(&self, path: &str, member: &str) -> Option<Filled> {
        let revision = self.plan.newest()?;
        let named = |key: &str| {
            revision.fields.iter().any(|f| f.path.starts_with("flags/") && f.raw.contains(key))
        };
        let row = |path: &str| path.rsplit_once('/').map(|(row, _)| row.to_owned());
        let mut rows: Vec<_> = revision
            .blanks()
            .filter(|f| f.path.starts_with("flags/") && f.path.ends_with("/name"))
            .filter_map(|f| row(&f.path))
            .collect();
        rows.dedup();
        let place = rows.iter().position(|r| Some(r) == row(path).as_ref())?;
        let mut flags: Vec<_> =
            self.flags.registered().filter(|(key, _)| !named(key.as_str())).collect();
        flags.sort_by_key(|(_, flag)| flag.registered.first().map(|r| r.from.order_key()));
        let (key, flag) = flags.get(place)?;
        let fact = flag.registered.last()?;
        let text = match member {
            "name" => key.to_string(),
            "description" => fact.value.description.clone()?,
            _ => return None,
        };
        Some(filled(text, &fact.from))
    }

    fn definition(&self, number: &str) -> Option<Filled> {
        let name = self.plan.field(None, &format!("metrics/{number}/name"))?;
        let metrics = self.measurements.metrics.iter();
        let (_, metric) = metrics.into_iter().find(|(n, _)| same_words(n, &name.raw))?;
        let fact = metric.defined.iter().rev().find(|d| d.from.by_hand())?;
        Some(filled(fact.value.description.clone()?, &fact.from))
    }

    fn monitors(&self) -> Option<Filled> {
        let by_hand = self.plan.definitions.iter().rev().find(|d| d.from.by_hand())?;
        let names: Vec<String> = by_hand.value.monitors.iter().map(party).collect();
        Some(filled(names.join(", "), &by_hand.from))
    }

    fn cleanup(&self, number: &str) -> Option<Filled> {
        let number: usize = number.parse().ok()?;
        let planned = self.outcome.cleanup.iter().filter(|c| !self.in_the_file(&c.from));
        let fact = planned.into_iter().nth(number.checked_sub(1)?)?;
        let (flag, ticket) = (&fact.value.flag, &fact.value.ticket);
        let named = flag.as_ref().map(ToString::to_string).into_iter().chain(ticket.clone());
        let named = named.collect::<Vec<_>>().join(", ");
        Some(filled(fact.value.raw.clone().unwrap_or(named), &fact.from))
    }

    fn has_field(&self, path: &str) -> bool {
        self.plan.newest().is_some_and(|r| r.fields.iter().any(|f| f.path == path))
    }
}

fn filled(text: String, from: &Provenance) -> Filled {
    Filled { text, seqs: vec![from.seq], basis: from.basis }
}

fn listed(seen: Vec<(String, &Provenance)>) -> Option<Filled> {
    let basis = seen.last()?.1.basis;
    let seqs = seen.iter().map(|(_, from)| from.seq).collect();
    let mut words: Vec<String> = seen.into_iter().map(|(word, _)| word).collect();
    words.dedup();
    Some(Filled { text: words.join(", "), seqs, basis })
}

/// A decision in the words of a plan.
pub(crate) fn verdict(decision: &Decision) -> String {
    let words = match decision.verdict() {
        Verdict::Go => "Go",
        Verdict::NoGo => "No-go",
        Verdict::Conditional => "Conditional go",
        Verdict::Deferred => "Deferred",
    };
    let decided = &decision.fact.value;
    let more = match decision.verdict() {
        Verdict::Go => &[],
        Verdict::Conditional => decided.conditions.as_slice(),
        Verdict::NoGo | Verdict::Deferred => decided.blockers.as_slice(),
    };
    if more.is_empty() { words.to_owned() } else { format!("{words}: {}", more.join("; ")) }
}

fn party(party: &Party) -> String {
    let who = party.actor.as_ref().map(actor);
    party.raw.clone().or_else(|| party.role.clone()).or(who).unwrap_or_default()
}
