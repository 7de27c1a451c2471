//! Who approved what: every decision at a gate, on which revision of the plan, knowing which events,
//! with which sign-offs of those that the plan promises.

use schemas::{
    StageKey,
    event::decision::{ConditionOutcome, Gate, Verdict},
};
use serde::Serialize;

use super::{
    Citations, Cited, Line,
    considered::{Considered, Held},
    party,
};
use crate::{
    deviations::{Outcome, approval_by_author},
    promises::{self, Promise, Said, Standing},
    recorded::{Moment, Recorded, resolve, select},
    rollout::{Revision, Rollout, decisions::Decision},
};

/// What `audit approvals` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approvals {
    pub rollout: String,
    /// Every revision of the plan that was known.
    pub revisions: Vec<PlanRevision>,
    /// Which sign-offs the newest revision promises.
    pub promised: Promised,
    /// In the order in which they were made.
    pub decisions: Vec<DecisionLine>,
    /// Decisions that were withdrawn: they count for nothing.
    pub withdrawn: Vec<Withdrawn>,
    pub rests_on: Vec<Cited>,
}

/// One revision of the plan and who brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanRevision {
    pub number: u64,
    /// SHA-256 of the file.
    pub digest: String,
    /// The account said to have imported it: whom `author` means below.
    pub author: Option<String>,
    #[serde(flatten)]
    pub line: Line,
}

/// What the plan says of sign-offs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promised {
    pub says: PlanSays,
    /// The same in one sentence.
    pub words: String,
    /// What became of each by now.
    pub sign_offs: Vec<PromisedSignOff>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanSays {
    /// It promises these.
    Promises,
    /// No line of it promises one.
    None,
    /// No plan is recorded.
    CannotBeTold,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromisedSignOff {
    #[serde(flatten)]
    pub promise: Promise,
    #[serde(flatten)]
    pub standing: Standing,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionLine {
    #[serde(flatten)]
    pub line: Line,
    pub gate: Gate,
    /// The stage that the gate leads to.
    pub stage: Option<StageKey>,
    /// The attempt that began on it, from 1; null when none began after it.
    pub attempt: Option<u64>,
    pub verdict: Verdict,
    /// Who decided, as the sender claims: role and account id.
    pub decided_by: Vec<String>,
    pub plan: DecidedOn,
    pub considered: Considered,
    /// What each party said.
    pub sign_offs: Vec<SignOffLine>,
    /// What had become by then of the sign-offs that the plan in force promises.
    pub promised: Vec<PromisedSignOff>,
    pub author_is_approver: AuthorIsApprover,
    pub blockers: Vec<String>,
    pub conditions: Vec<ConditionLine>,
    /// How many of the conditions are open.
    pub open_conditions: usize,
    pub corrected_by: Vec<Cited>,
}

/// Which plan was decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidedOn {
    /// The digest that the decision names.
    pub named_digest: Option<String>,
    /// The revision of that digest.
    pub named: Option<RevisionRef>,
    /// The newest revision that had been recorded when the decision was recorded.
    pub in_force: Option<RevisionRef>,
    /// Whether both are the same text; null when the decision names none.
    pub same: Option<bool>,
    /// The same in one sentence.
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevisionRef {
    pub number: u64,
    #[serde(flatten)]
    pub entry: Cited,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignOffLine {
    pub party: String,
    /// In the words of the event.
    pub verdict: String,
    pub said: Said,
}

/// Whether somebody other than the plan's author approved: `kept` when so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthorIsApprover {
    /// Null for a decision that approves nothing.
    pub outcome: Option<Outcome>,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionLine {
    pub text: String,
    pub open: bool,
    pub outcome: Option<ConditionOutcome>,
    /// The event that says so.
    pub resolved_by: Option<Cited>,
    pub time: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Withdrawn {
    #[serde(flatten)]
    pub line: Line,
    pub withdrawn_by: Option<Cited>,
}

impl Approvals {
    /// From a rollout's events in any order, by what had happened by `as_of` and was known at
    /// `known_at` (Unix microseconds).
    pub fn of(
        id: &str,
        events: &[Recorded],
        as_of: Option<i64>,
        known_at: Option<i64>,
    ) -> Approvals {
        let chosen = select(events, as_of, known_at);
        let mut rollout = Rollout::default();
        for event in &chosen {
            rollout.apply(event);
        }
        let known: Vec<&Recorded> =
            events.iter().filter(|e| known_at.is_none_or(|at| e.recorded_at_us <= at)).collect();
        // Whatever an answer names: `as_of` takes nothing away that a decision looked at.
        let standing = resolve(known.iter().copied());
        let held = Held { known: &known, rollout: &rollout };
        let mut citations = Citations::of(&standing);
        let revisions = rollout.plan.revisions.iter();
        let revisions = revisions.filter_map(|r| PlanRevision::of(r, &mut citations)).collect();
        let now = (Moment(i64::MAX), u64::MAX);
        let newest = rollout.plan.newest();
        let promised = promised(&rollout, newest, now, &mut citations);
        let gates = rollout.decisions.gates.iter();
        let decisions = gates.filter_map(|d| DecisionLine::of(&held, d, &mut citations)).collect();
        let withdrawn = chosen.iter().filter_map(|e| Withdrawn::of(e, &mut citations)).collect();
        let rests_on = citations.rests_on();
        let rollout = id.to_owned();
        Approvals { rollout, revisions, promised, decisions, withdrawn, rests_on }
    }
}

impl PlanRevision {
    fn of(revision: &Revision, citations: &mut Citations) -> Option<PlanRevision> {
        citations.cite(revision.from.seq)?;
        let line = Line::of(citations.get(revision.from.seq)?);
        let author = revision.from.actor.as_ref().and_then(|actor| actor.id.clone());
        Some(PlanRevision {
            number: revision.number,
            digest: revision.digest.clone(),
            author,
            line,
        })
    }
}

fn promised(
    rollout: &Rollout,
    revision: Option<&Revision>,
    by: (Moment, u64),
    citations: &mut Citations,
) -> Promised {
    let Some(revision) = revision else {
        let words = "No plan is recorded, so what it promises cannot be told.".to_owned();
        return Promised { says: PlanSays::CannotBeTold, words, sign_offs: vec![] };
    };
    let sign_offs = standings(rollout, revision, by, citations);
    let number = revision.number;
    let (says, words) = match sign_offs.len() {
        0 => (PlanSays::None, format!("No line of revision {number} promises a sign-off.")),
        1 => (PlanSays::Promises, format!("Revision {number} promises 1 sign-off.")),
        n => (PlanSays::Promises, format!("Revision {number} promises {n} sign-offs.")),
    };
    Promised { says, words, sign_offs }
}

fn standings(
    rollout: &Rollout,
    revision: &Revision,
    by: (Moment, u64),
    citations: &mut Citations,
) -> Vec<PromisedSignOff> {
    let promise = |promise: Promise| {
        let standing = promises::standing(rollout, &promise, by);
        citations.cite(promise.seq);
        match standing {
            Standing::Given { seq } | Standing::Refused { seq } | Standing::TickedOnly { seq } => {
                citations.cite(seq);
            }
            Standing::Absent | Standing::CannotBeTold { .. } => {}
        }
        PromisedSignOff { promise, standing }
    };
    promises::promises(revision).into_iter().map(promise).collect()
}

impl DecisionLine {
    fn of(held: &Held, decision: &Decision, citations: &mut Citations) -> Option<DecisionLine> {
        let (rollout, seq) = (held.rollout, decision.fact.seq());
        citations.cite(seq)?;
        let recorded = citations.get(seq)?;
        let decided = &decision.fact.value;
        let plan = DecidedOn::of(rollout, decision, citations);
        let force = plan.in_force.as_ref().map(|r| r.number);
        let revision = rollout.plan.revisions.iter().find(|r| Some(r.number) == force);
        let key = decision.fact.from.order_key();
        let conditions: Vec<_> =
            decision.conditions.iter().map(|c| ConditionLine::of(c, citations)).collect();
        Some(DecisionLine {
            line: Line::of(recorded),
            gate: decided.gate,
            stage: decided.stage.clone(),
            attempt: attempt(rollout, decision),
            verdict: decided.verdict,
            decided_by: decided.decided_by.iter().map(party).collect(),
            considered: Considered::of(held, decision, citations),
            sign_offs: decided
                .sign_offs
                .iter()
                .map(|s| SignOffLine {
                    party: party(&s.party),
                    verdict: s.verdict.clone(),
                    said: Said::of(&s.verdict),
                })
                .collect(),
            promised: revision.map_or_else(Vec::new, |r| standings(rollout, r, key, citations)),
            author_is_approver: AuthorIsApprover::of(rollout, decision, citations),
            blockers: decided.blockers.clone(),
            open_conditions: conditions.iter().filter(|c| c.open).count(),
            conditions,
            corrected_by: citations.cite_all(recorded.amended.corrected_by.iter().copied()),
            plan,
        })
    }
}

/// The attempt that began on a decision: the first of its stage that started since.
fn attempt(rollout: &Rollout, decision: &Decision) -> Option<u64> {
    let stage = rollout.stages.get(decision.fact.value.stage.as_ref()?)?;
    let key = decision.fact.from.order_key();
    let since = |a: &&crate::rollout::Attempt| {
        a.started.as_ref().is_some_and(|started| started.from.order_key() >= key)
    };
    stage.attempts.iter().find(since).map(|a| a.number)
}

impl DecidedOn {
    fn of(rollout: &Rollout, decision: &Decision, citations: &mut Citations) -> DecidedOn {
        let revisions = &rollout.plan.revisions;
        let seq = decision.fact.seq();
        let mut cite = |revision: &Revision| {
            let entry = citations.cite(revision.from.seq)?;
            Some(RevisionRef { number: revision.number, entry })
        };
        let in_force = revisions.iter().rev().find(|r| r.from.seq < seq);
        let digest = decision.fact.value.plan_revision.as_ref().map(ToString::to_string);
        let named = digest.as_deref();
        let named = revisions.iter().rev().find(|r| Some(r.digest.as_str()) == named);
        let in_force_words = in_force.map_or_else(
            || "no plan had been recorded".to_owned(),
            |r| format!("revision {} was in force", r.number),
        );
        let (same, words) = match (&digest, named) {
            (None, _) => (None, format!("It names no revision; {in_force_words}.")),
            (Some(_), None) => (
                Some(false),
                format!("It names a revision that the ledger does not hold; {in_force_words}."),
            ),
            (Some(_), Some(named)) if named.from.seq > seq => (
                Some(false),
                format!(
                    "It names revision {}, which was recorded only afterwards; {in_force_words}.",
                    named.number
                ),
            ),
            (Some(digest), Some(named)) => {
                let same = in_force.is_some_and(|r| r.digest == *digest);
                let number = named.number;
                let words = if same {
                    format!("It names revision {number}, which was in force.")
                } else {
                    format!("It names revision {number}; {in_force_words}.")
                };
                (Some(same), words)
            }
        };
        let (named, in_force) = (named.and_then(&mut cite), in_force.and_then(&mut cite));
        DecidedOn { named_digest: digest, named, in_force, same, words }
    }
}

impl AuthorIsApprover {
    fn of(rollout: &Rollout, decision: &Decision, citations: &mut Citations) -> AuthorIsApprover {
        if !decision.goes() {
            let why = "It approves nothing.".to_owned();
            return AuthorIsApprover { outcome: None, why };
        }
        let verdict = approval_by_author(rollout, decision);
        citations.cite_all(verdict.seqs);
        AuthorIsApprover { outcome: Some(verdict.outcome), why: verdict.why }
    }
}

impl ConditionLine {
    fn of(condition: &crate::rollout::decisions::Condition, citations: &mut Citations) -> Self {
        let resolved = condition.resolved.as_ref();
        ConditionLine {
            text: condition.text.clone(),
            open: condition.is_open(),
            outcome: resolved.map(|r| r.value.outcome),
            resolved_by: resolved.and_then(|r| citations.cite(r.seq())),
            time: resolved.and_then(crate::rollout::Fact::time),
        }
    }
}

impl Withdrawn {
    fn of(recorded: &Recorded, citations: &mut Citations) -> Option<Withdrawn> {
        let by = recorded.amended.withdrawn_by?;
        let schemas::Event::GateDecided(_) = recorded.known()? else { return None };
        citations.cite(recorded.seq);
        Some(Withdrawn { line: Line::of(recorded), withdrawn_by: citations.cite(by) })
    }
}
