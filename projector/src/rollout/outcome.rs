//! What came of it: launches, snapshots, feedback, questions, clean-up, notes.

use std::collections::BTreeSet;

use schemas::{
    Event,
    event::{
        change::NoteAdded,
        outcome::{
            CheckpointDue, CheckpointMissed, CheckpointRecorded, CleanupDone, CleanupDue,
            CleanupPlanned, FeedbackNoted, OwnershipTransferred, QuestionAnswered, RolloutLaunched,
        },
    },
    values::Target,
};
use serde::Serialize;

use super::{Fact, Provenance, Rollout, decisions::same_words, named};
use crate::schedule;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Outcome {
    /// Every launch; the newest of known time anchors the checkpoints.
    pub launches: Vec<Fact<RolloutLaunched>>,
    /// Announcements that a checkpoint fell due. What is due is computed, not read from these.
    pub announced: Vec<Fact<CheckpointDue>>,
    pub snapshots: Vec<Fact<CheckpointRecorded>>,
    /// Announcements that a checkpoint's grace ended without results.
    pub missed: Vec<Fact<CheckpointMissed>>,
    pub feedback: Vec<Fact<FeedbackNoted>>,
    pub ownership: Vec<Fact<OwnershipTransferred>>,
    pub answers: Vec<Fact<QuestionAnswered>>,
    pub cleanup: Vec<Fact<CleanupPlanned>>,
    pub cleanup_due: Vec<Fact<CleanupDue>>,
    pub cleanup_done: Vec<Fact<CleanupDone>>,
    pub notes: Vec<Fact<NoteAdded>>,
    /// What a scheduler of this ledger ever announced, withdrawn and corrected announcements too: it is not said again.
    #[serde(skip)]
    said: BTreeSet<Said>,
}

/// An event by seq and hash: in another history another one may stand in its place.
pub(crate) type Anchor = (u64, String);

/// What an announcement says fell due, and when, in Unix microseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    /// A checkpoint, and the event that it was counted from.
    Due(String, Option<Anchor>, i64),
    Missed(String, Option<Anchor>, i64),
    /// A flag.
    Cleanup(String, i64),
}

impl Outcome {
    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::RolloutLaunched(e) => self.launches.push(Fact::new(e, from)),
            Event::CheckpointDue(e) => self.announced.push(Fact::new(e, from)),
            Event::CheckpointRecorded(e) => self.snapshots.push(Fact::new(e, from)),
            Event::CheckpointMissed(e) => self.missed.push(Fact::new(e, from)),
            Event::FeedbackNoted(e) => self.feedback.push(Fact::new(e, from)),
            Event::OwnershipTransferred(e) => self.ownership.push(Fact::new(e, from)),
            Event::QuestionAnswered(e) => self.answers.push(Fact::new(e, from)),
            Event::CleanupPlanned(e) => self.cleanup.push(Fact::new(e, from)),
            Event::CleanupDue(e) => self.cleanup_due.push(Fact::new(e, from)),
            Event::CleanupDone(e) => self.cleanup_done.push(Fact::new(e, from)),
            Event::NoteAdded(e) => self.notes.push(Fact::new(e, from)),
            _ => {}
        }
    }

    /// Remembers that the scheduler announced something, whatever becomes of the announcement. What
    /// others announce keeps it from nothing.
    pub(super) fn hear(&mut self, event: &Event, source: &str) {
        if source != schedule::SOURCE {
            return;
        }
        let anchor =
            |target: &Option<Target>| target.as_ref().map(|t| (t.seq, t.hash.as_str().to_owned()));
        let said = match event {
            Event::CheckpointDue(e) => {
                Said::Due(e.checkpoint.to_string(), anchor(&e.anchor), e.due.micros())
            }
            Event::CheckpointMissed(e) => {
                Said::Missed(e.checkpoint.to_string(), anchor(&e.anchor), e.due.micros())
            }
            Event::CleanupDue(e) => match &e.flag {
                Some(flag) => Said::Cleanup(flag.to_string(), e.due.micros()),
                None => return,
            },
            _ => return,
        };
        self.said.insert(said);
    }

    pub(crate) fn has_said(&self, said: &Said) -> bool {
        self.said.contains(said)
    }

    /// The checkpoints that the scheduler announced. A stranger's announcement names none: it would
    /// make the ledger wait for, and then miss, what no plan asks for.
    pub(crate) fn announced_checkpoints(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter_map(|said| match said {
            Said::Due(name, ..) | Said::Missed(name, ..) => Some(name.as_str()),
            Said::Cleanup(..) => None,
        })
    }

    /// Clean-up that was planned and not done: a flag or a ticket each.
    pub fn open_cleanup(&self) -> impl Iterator<Item = &Fact<CleanupPlanned>> {
        self.cleanup.iter().filter(|planned| {
            let (flag, ticket) = (&planned.value.flag, &planned.value.ticket);
            let done = |d: &Fact<CleanupDone>| {
                (flag.is_some() && d.value.flag == *flag)
                    || (ticket.is_some() && d.value.ticket == *ticket)
            };
            !self.cleanup_done.iter().any(done)
        })
    }
}

impl Rollout {
    /// The newest answer to the question of the newest plan with a number (`1`). People name the
    /// question by its words, its number, or how it begins.
    pub fn answer_to(&self, number: &str) -> Option<&Fact<QuestionAnswered>> {
        let asked = self.plan.field(None, &format!("questions/{number}/question"))?;
        let named = |a: &&Fact<QuestionAnswered>| {
            // A plan may ask the same twice.
            same_words(&a.value.question, &asked.raw)
                || self.question_of(&a.value).is_some_and(|(of, _)| of == number)
        };
        self.outcome.answers.iter().rev().find(named)
    }

    /// The number and the words of the newest plan's question that an answer is for.
    pub fn question_of(&self, answer: &QuestionAnswered) -> Option<(&str, &str)> {
        let fields = self.plan.newest().map_or(&[][..], |r| &r.fields);
        let questions: Vec<(&str, &str)> = fields
            .iter()
            .filter_map(|f| {
                let number = f.path.strip_prefix("questions/")?.strip_suffix("/question")?;
                Some((number, f.raw.trim()))
            })
            .collect();
        let place = named::place(&answer.question, &questions)?;
        questions.get(place).copied()
    }
}
