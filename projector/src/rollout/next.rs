//! The next missing fact of a rollout, and the command that records it.

use schemas::{StageKey, event::decision::Gate, values::FieldKind};
use serde::Serialize;

use super::{MoveKind, Rollout, Stage};
use crate::{
    checkpoints::{CheckpointState, Checkpoints},
    recorded::Moment,
};

/// What a rollout lacks next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct NextStep {
    /// What is missing, in one sentence.
    pub what: String,
    /// The command that records it; absent when nothing is to be done now.
    pub command: Option<String>,
}

impl Rollout {
    /// The next missing fact at a moment: the first thing that the plan calls for and nobody has
    /// recorded.
    pub fn next_missing(&self, now: Moment) -> NextStep {
        let steps = [
            Self::missing_plan,
            Self::missing_rollback,
            Self::missing_decision,
            Self::missing_of_stages,
            Self::missing_launch,
        ];
        steps
            .iter()
            .find_map(|step| step(self))
            .or_else(|| self.missing_snapshot(now))
            .or_else(|| self.missing_answer())
            .or_else(|| self.missing_cleanup())
            .or_else(|| self.waits_for(now))
            .unwrap_or_else(|| NextStep {
                what: "Nothing is missing that the plan calls for.".to_owned(),
                command: None,
            })
    }

    fn missing_plan(&self) -> Option<NextStep> {
        let known = self.plan.newest().is_some() || !self.stages.is_empty();
        (!known).then(|| NextStep {
            what: "No plan is recorded.".to_owned(),
            command: Some(format!("rollout-ledger plan import FILE.md --rollout {}", self.name())),
        })
    }

    fn missing_rollback(&self) -> Option<NextStep> {
        let rollback = self.rollbacks.actual.last().filter(|r| {
            r.completed.is_none() && r.resumed.is_none() && !self.moved_on_after(r.started.seq())
        })?;
        let planned = self.rollbacks.list_for(rollback.started.value.severity);
        let list = planned.map_or(&[][..], |p| &p.value.steps);
        let missing = list.iter().find(|step| !rollback.did(list, step));
        Some(match missing {
            Some(step) => NextStep {
                what: format!("The rollback lacks a step of the plan: {}", step.text),
                command: Some(self.record(&format!(
                    "rollback step-completed --step {} --kind {}",
                    quoted(&step.step),
                    step.kind
                ))),
            },
            None => NextStep {
                what: "The rollback that began has no recorded end.".to_owned(),
                command: Some(self.record("rollback completed")),
            },
        })
    }

    /// Whether a stage or a launch began after a rollback, so that nobody will record its end.
    fn moved_on_after(&self, rollback: u64) -> bool {
        let after = self.moves.iter().skip_while(|m| m.seq != rollback);
        after
            .skip(1)
            .any(|m| matches!(m.kind, MoveKind::Started | MoveKind::Launched | MoveKind::WentOn))
    }

    fn missing_decision(&self) -> Option<NextStep> {
        let begun = self.moves.iter().any(|m| m.kind == MoveKind::Started);
        let go = self.decisions.gates.iter().any(super::decisions::Decision::goes);
        if begun || go || self.stages.iter().all(Stage::over) {
            return None;
        }
        let pilot = self.stages.iter().next().is_some_and(|s| is_pilot(&s.key));
        let gate = if pilot { Gate::Pilot } else { Gate::Launch };
        Some(NextStep {
            what: format!("No go of the {gate} gate is recorded."),
            command: Some(self.record(&format!("gate decided --gate {gate} --verdict go"))),
        })
    }

    /// The first stage of the plan that lacks its start, its results or its end.
    fn missing_of_stages(&self) -> Option<NextStep> {
        let stages: Vec<&Stage> = self.stages.iter().collect();
        for (place, stage) in stages.iter().enumerate() {
            let key = &stage.key;
            let later = stages.iter().skip(place + 1).any(|s| s.started());
            let of_stage = |verb: &str| Some(self.record(&format!("stage {verb} --stage {key}")));
            let started = |newest: bool| {
                let rest = format!("stage started --stage {key}");
                Some(if newest { self.record(&rest) } else { self.record_late(&rest) })
            };
            if stage.over() {
                continue;
            }
            let Some(attempt) = stage.attempts.last().filter(|_| stage.started()) else {
                let ran = stage.attempts.iter().any(|a| a.inferred_ran);
                let what = if ran {
                    format!("No start of {key} is recorded; its results say that it ran.")
                } else if later {
                    format!("Neither a start of {key} is recorded nor that it was skipped.")
                } else {
                    format!("No start of {key} is recorded.")
                };
                return Some(NextStep { what, command: started(!ran && !later) });
            };
            if attempt.results.is_empty() && attempt.rollback_seqs.is_empty() {
                let what = format!("No results of {key} are recorded.");
                return Some(NextStep { what, command: of_stage("results-recorded") });
            }
            if !attempt.rollback_seqs.is_empty() && attempt.ended.is_empty() && !later {
                let what = format!("{key} was rolled back; no further attempt is recorded.");
                return Some(NextStep { what, command: started(true) });
            }
        }
        None
    }

    fn missing_launch(&self) -> Option<NextStep> {
        self.outcome.launches.is_empty().then(|| NextStep {
            what: "No launch is recorded; it anchors the snapshots.".to_owned(),
            command: Some(self.record("rollout launched")),
        })
    }

    fn missing_snapshot(&self, now: Moment) -> Option<NextStep> {
        let checkpoints = Checkpoints::of(self);
        let due = checkpoints.iter().find(|c| {
            matches!(
                c.state(now),
                CheckpointState::Due | CheckpointState::Overdue | CheckpointState::Missed
            )
        })?;
        let (name, state) = (&due.name, due.state(now).as_str());
        Some(NextStep {
            what: format!("The {name} snapshot is {state}."),
            command: Some(self.record(&format!("checkpoint recorded --checkpoint {name}"))),
        })
    }

    fn missing_answer(&self) -> Option<NextStep> {
        let question = self.open_questions().into_iter().next()?;
        Some(NextStep {
            what: format!("A question of the plan has no answer: {question}"),
            command: Some(self.record(&format!(
                "question answered --question {} --answer '<ANSWER>'",
                quoted(&question)
            ))),
        })
    }

    fn missing_cleanup(&self) -> Option<NextStep> {
        let open = self.outcome.open_cleanup().next()?;
        let member = match (&open.value.flag, &open.value.ticket) {
            (Some(flag), _) => format!(" --flag {}", quoted(flag.as_str())),
            (None, Some(ticket)) => format!(" --ticket {}", quoted(ticket)),
            // Without either no later event can name it.
            (None, None) => return None,
        };
        Some(NextStep {
            what: "Clean-up was planned and not done.".to_owned(),
            command: Some(self.record(&format!("cleanup done{member}"))),
        })
    }

    fn waits_for(&self, now: Moment) -> Option<NextStep> {
        let checkpoints = Checkpoints::of(self);
        let pending = checkpoints.iter().find(|c| c.state(now) == CheckpointState::Pending)?;
        let due = pending.due.map_or_else(String::new, |due| format!(" at {due}"));
        Some(NextStep {
            what: format!("Nothing is missing until the {} snapshot falls due{due}.", pending.name),
            command: None,
        })
    }

    /// The questions of the newest plan that nobody has answered, in its order.
    pub fn open_questions(&self) -> Vec<String> {
        let fields = self.plan.newest().map_or(&[][..], |r| &r.fields);
        let answer_of = |path: &str| {
            let answer = path.strip_suffix("/question").map(|stem| format!("{stem}/answer"))?;
            fields.iter().find(|f| f.path == answer)
        };
        let questions = fields.iter().filter(|f| {
            f.path.starts_with("questions/")
                && f.path.ends_with("/question")
                && answer_of(&f.path).is_none_or(|a| a.kind == FieldKind::Blank)
                && !self.is_answered(&f.path)
        });
        questions.map(|f| f.raw.trim().to_owned()).collect()
    }

    fn is_answered(&self, path: &str) -> bool {
        let number = path.strip_prefix("questions/").and_then(|p| p.strip_suffix("/question"));
        number.is_some_and(|number| self.answer_to(number).is_some())
    }

    /// The command for what happens now, unless whoever runs it says when it did. Without a time no
    /// later fact could be placed beside it.
    fn record(&self, rest: &str) -> String {
        self.recording(rest, "now")
    }

    /// The command for what happened before something that is recorded already. It is refused until a
    /// moment stands in the place of the word.
    fn record_late(&self, rest: &str) -> String {
        self.recording(rest, "'<WHEN>'")
    }

    fn recording(&self, rest: &str, when: &str) -> String {
        let (verb, members) = rest.split_once(" --").unwrap_or((rest, ""));
        let members = if members.is_empty() { String::new() } else { format!(" --{members}") };
        format!("rollout-ledger record {verb} --rollout {}{members} --happened {when}", self.name())
    }

    fn name(&self) -> &str {
        self.id.as_ref().map_or("ROLLOUT", |id| id.as_str())
    }
}

impl Stage {
    /// Whether nothing more is awaited of it: left out or given up, and not begun since.
    fn over(&self) -> bool {
        let skipped = !self.skipped.is_empty() && !self.started();
        let cancelled = |a: &super::Attempt| {
            a.ended.iter().any(|e| matches!(e, super::stages::Ended::Cancelled(_)))
        };
        skipped || self.attempts.last().is_some_and(cancelled)
    }
}

/// Whether a stage is a pilot: a handful of known users before the release is staged.
pub(crate) fn is_pilot(key: &StageKey) -> bool {
    key.as_str().starts_with("uat") || key.as_str().starts_with("pilot")
}

/// A word that a shell takes as one.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
