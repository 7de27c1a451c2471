//! Did everybody sign off whom the plan promises to have sign off?

use schemas::event::decision::Gate;

use super::{Clause, Outcome, Verdict, Whose, length_words};
use crate::{
    promises::{Promise, Standing, promises, standing},
    recorded::Moment,
    rollout::{MoveKind, Revision, Rollout, next::is_pilot},
};

const ABSENT: &str = "sign_off_absent";

/// What a promised sign-off had to come before.
struct Due {
    at: Option<Moment>,
    key: (Moment, u64),
    seq: u64,
    what: &'static str,
}

/// One verdict for each sign-off that the plan promises; one that says why there is none.
pub(super) fn judge(rollout: &Rollout) -> Vec<Verdict> {
    let policy = || Some(Clause::policy("Whoever the plan names signs off before it goes on."));
    let undecided = |why: &str| Verdict::new(ABSENT, "sign-offs", Outcome::Undecided, why);
    let due = due(rollout);
    let revisions = &rollout.plan.revisions;
    let before = |r: &&Revision| due.as_ref().is_none_or(|due| r.from.order_key() <= due.key);
    let in_force = revisions.iter().rev().find(before);
    let Some(revision) = in_force.or(revisions.first()) else {
        let why = "No plan is recorded, so what it promises cannot be told.";
        return vec![undecided(why).shown(policy(), [])];
    };
    let promised = promises(revision);
    if promised.is_empty() {
        let why = "No line of the plan promises a sign-off.";
        return vec![undecided(why).shown(policy(), [revision.from.seq])];
    }
    let verdict = |promise: &Promise| {
        let mut verdict = of(rollout, promise, due.as_ref());
        verdict.plan_recorded_afterwards = in_force.is_none();
        verdict
    };
    promised.iter().map(verdict).collect()
}

/// The go at the launch gate; without one the first stage behind the pilot, else the launch.
fn due(rollout: &Rollout) -> Option<Due> {
    let launch = |gate| matches!(gate, Gate::Launch | Gate::Relaunch);
    let go = rollout.decisions.gates.iter().find(|d| d.goes() && launch(d.fact.value.gate));
    if let Some(go) = go {
        let (from, what) = (&go.fact.from, "the go at the launch gate");
        return Some(Due { at: from.time, key: from.order_key(), seq: from.seq, what });
    }
    let began = rollout.moves.iter().find(|m| match m.kind {
        MoveKind::Started => m.stage.as_ref().is_some_and(|stage| !is_pilot(stage)),
        MoveKind::Launched => true,
        _ => false,
    })?;
    let key = (began.at(), began.seq);
    Some(Due { at: began.time, key, seq: began.seq, what: "the first stage" })
}

fn of(rollout: &Rollout, promise: &Promise, due: Option<&Due>) -> Verdict {
    let clause = Clause {
        text: promise.text.clone(),
        whose: Whose::Plan,
        path: Some(promise.path.clone()),
        line: Some(promise.line),
        seq: Some(promise.seq),
    };
    let party = promise.by.as_deref();
    let about = party.map_or_else(|| "sign-off".to_owned(), |by| format!("sign-off of {by}"));
    let verdict = |outcome, why: String| Verdict::new(ABSENT, &about, outcome, why);
    let Some(due) = due else {
        let why = "Nothing has begun that it had to come before.".to_owned();
        return verdict(Outcome::Undecided, why).shown(Some(clause), [promise.seq]);
    };
    let what = due.what;
    let mut seqs = vec![promise.seq, due.seq];
    let judged = match standing(rollout, promise, due.key) {
        Standing::Given { seq } => {
            seqs.push(seq);
            verdict(Outcome::Kept, format!("It was given before {what}."))
        }
        Standing::Refused { seq } => {
            seqs.push(seq);
            verdict(Outcome::Broken, format!("It was refused, and {what} came all the same."))
        }
        Standing::TickedOnly { seq } => {
            seqs.push(seq);
            let why = "The plan's box was ticked; who signed off is not recorded.".to_owned();
            verdict(Outcome::Undecided, why)
        }
        Standing::CannotBeTold { why } => {
            verdict(Outcome::Undecided, format!("It cannot be told: {why}."))
        }
        Standing::Absent if due.at.is_none() => {
            verdict(Outcome::Undecided, format!("When {what} came is not known."))
        }
        Standing::Absent => match later(rollout, promise) {
            Some((seq, at)) => {
                seqs.push(seq);
                let late = at.zip(due.at).map(|(at, due)| length_words(at.0 - due.0));
                let late = late.map_or_else(String::new, |late| format!(", {late} later"));
                verdict(Outcome::Broken, format!("It was given only after {what}{late}."))
            }
            None => verdict(Outcome::Broken, format!("It is not recorded before {what}.")),
        },
    };
    judged.shown(Some(clause), seqs)
}

/// The decision that holds a sign-off which came too late.
fn later(rollout: &Rollout, promise: &Promise) -> Option<(u64, Option<Moment>)> {
    let Standing::Given { seq } = standing(rollout, promise, (Moment(i64::MAX), u64::MAX)) else {
        return None;
    };
    let decision = rollout.decisions.gates.iter().find(|d| d.fact.seq() == seq)?;
    Some((seq, decision.fact.time()))
}
