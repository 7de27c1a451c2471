//! Was each rollback done step by step, as the plan's own list has it, and in time?

use schemas::{
    event::{
        measurement::Severity,
        rollback::{PlannedStep, RollbackPlanned, StepKind},
    },
    id::IsoDuration,
};

use super::{
    Clause, Outcome, Verdict, Whose, length_words,
    trial::{FLAG_NEAR_US, duration_us},
};
use crate::{
    recorded::Moment,
    rollout::{Fact, FlagMove, MoveKind, Rollback, Rollout, exposure, rollbacks::Step},
};

const MISSING: &str = "rollback_step_missing";
const LATE: &str = "rollback_step_late";

pub(super) fn judge(rollout: &Rollout, now: Moment) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (place, rollback) in rollout.rollbacks.actual.iter().enumerate() {
        let one = One { rollout, rollback, number: place + 1, now };
        let Some((planned, afterwards)) = one.list() else {
            verdicts.push(one.verdict(
                MISSING,
                "",
                Outcome::Undecided,
                "The plan has no list of steps for it.",
            ));
            continue;
        };
        if planned.value.steps.is_empty() {
            let why = "The plan says how in words, without steps.";
            verdicts.push(one.verdict(MISSING, "", Outcome::Undecided, why));
        }
        for step in &planned.value.steps {
            let mut judged = one.step(planned, step);
            for verdict in &mut judged {
                verdict.plan_recorded_afterwards = afterwards;
            }
            verdicts.extend(judged);
        }
    }
    verdicts
}

/// One rollback, judged.
struct One<'a> {
    rollout: &'a Rollout,
    rollback: &'a Rollback,
    /// From 1.
    number: usize,
    now: Moment,
}

impl<'a> One<'a> {
    /// The list of steps that it is judged by: the one for its severity that was recorded before
    /// it began, else the first, and whether that was recorded afterwards.
    fn list(&self) -> Option<(&'a Fact<RollbackPlanned>, bool)> {
        let severity = self.rollback.started.value.severity;
        let own = severity.and_then(|s| self.of_severity(Some(s)));
        own.or_else(|| self.of_severity(None))
    }

    fn of_severity(&self, wanted: Option<Severity>) -> Option<(&'a Fact<RollbackPlanned>, bool)> {
        let begun = self.rollback.started.from.order_key();
        let lists = || self.rollout.rollbacks.planned.iter().filter(|p| p.value.severity == wanted);
        let before = lists().rev().find(|p| p.from.order_key() <= begun);
        before.map(|list| (list, false)).or_else(|| lists().next().map(|list| (list, true)))
    }

    fn verdict(&self, code: &'static str, step: &str, outcome: Outcome, why: &str) -> Verdict {
        let about = match step {
            "" => format!("rollback {}", self.number),
            step => format!("rollback {}, step {step}", self.number),
        };
        let mut verdict = Verdict::new(code, &about, outcome, why);
        verdict.stage.clone_from(&self.rollback.stage);
        verdict.attempt = self.rollback.attempt;
        verdict.seqs = vec![self.rollback.started.seq()];
        verdict
    }

    fn step(&self, list: &Fact<RollbackPlanned>, step: &PlannedStep) -> Vec<Verdict> {
        let clause = self.clause(list, step);
        let steps = &list.value.steps;
        let done = self.rollback.done(steps, step);
        let unclear = self.rollback.unclear(steps, step).filter(|_| done.is_none());
        let flag = self.flag_moved(step.kind);
        let seqs = done.or(unclear).map(|d| d.fact.seq());
        let seqs: Vec<u64> = seqs.into_iter().chain(flag.as_ref().map(|f| f.seq)).collect();
        let words = unclear.and_then(Step::words).unwrap_or_default();
        let unclear_why = format!(
            "A step of its kind is recorded as \u{201c}{words}\u{201d}; which step of the plan \
             that is cannot be told."
        );
        let missing = match (done, &flag) {
            (Some(_), Some(_)) => (Outcome::Kept, "It was done; the flag's log confirms it."),
            (None, Some(_)) => (Outcome::Kept, "Nobody recorded it, but the flag's log shows it."),
            (Some(_), None) if turns_flag(step.kind) => {
                (Outcome::Kept, "It is claimed to be done; no flag's log confirms it.")
            }
            (Some(_), None) => (Outcome::Kept, "It was done."),
            (None, None) if unclear.is_some() => (Outcome::Undecided, unclear_why.as_str()),
            (None, None) if self.open() => (Outcome::Undecided, "The rollback still runs."),
            (None, None) => (Outcome::Broken, "It is not recorded that it was done."),
        };
        let mut verdicts = vec![
            self.verdict(MISSING, &step.step, missing.0, missing.1)
                .shown(Some(clause.clone()), seqs.clone()),
        ];
        verdicts.extend(
            self.late(list, step, done, flag.as_ref())
                .filter(|_| unclear.is_none())
                .map(|v| v.shown(Some(clause), seqs)),
        );
        verdicts
    }

    /// Whether a step came later than the plan promises; `None` when it promises nothing, or the
    /// step is missing and that is said already.
    fn late(
        &self,
        list: &Fact<RollbackPlanned>,
        step: &PlannedStep,
        done: Option<&Step>,
        flag: Option<&FlagMove>,
    ) -> Option<Verdict> {
        let within = step.within.as_ref().or(list.value.within.as_ref());
        let promised = within.and_then(|w| w.max.as_ref().or(w.min.as_ref())).cloned();
        let promised = promised.or_else(|| promised_in(&step.text))?;
        let verdict = |outcome, why: &str| Some(self.verdict(LATE, &step.step, outcome, why));
        let unknown = "When the rollback was set off is not known.";
        let Some(trigger) = self.rollback.triggered_at else {
            return verdict(Outcome::Undecided, unknown);
        };
        let zone = self.rollout.plan.time_zone();
        let allowed = duration_us(trigger, &promised, zone)?;
        if done.is_none() && flag.is_none() {
            let over = self.open() && self.now.0 - trigger.0 > allowed;
            let why = format!("It is not done after {}.", length_words(self.now.0 - trigger.0));
            return over.then(|| self.verdict(LATE, &step.step, Outcome::Broken, &why));
        }
        // The flag's log wins over what was recorded.
        let after = flag.map(|f| f.at().0 - trigger.0).or_else(|| done?.after_us);
        let Some(after) = after else {
            return verdict(Outcome::Undecided, "When it was done is not known.");
        };
        let why = format!(
            "It was done after {}; promised was {}.",
            length_words(after),
            length_words(allowed)
        );
        verdict(if after > allowed { Outcome::Broken } else { Outcome::Kept }, &why)
    }

    /// The change of a flag that shows a step of a kind: a flag that went down, from the trigger
    /// on, before anything else was begun.
    fn flag_moved(&self, kind: StepKind) -> Option<FlagMove> {
        if !turns_flag(kind) {
            return None;
        }
        let trigger = self.rollback.triggered_at?;
        let begun = self.rollback.started.from.order_key();
        let later = self.rollout.moves.iter().filter(|m| (m.at(), m.seq) > begun);
        let next = later
            .filter(|m| matches!(m.kind, MoveKind::Started | MoveKind::WentOn | MoveKind::Launched))
            .map(|m| m.at().0)
            .next();
        let end = next.unwrap_or(i64::MAX).min(trigger.0.saturating_add(FLAG_NEAR_US));
        let fits = |m: &FlagMove| match (kind, m.share_bp()) {
            (StepKind::FlagOff, bp) => bp == Some(0),
            (_, Some(bp)) => {
                let to = self.rollback.started.value.to.as_ref();
                let to = to.and_then(exposure::range_bp);
                to.is_none_or(|(min, max)| bp >= min && bp <= max)
            }
            (_, None) => false,
        };
        let flags = self.rollout.flags.registered();
        let mut moves: Vec<FlagMove> = flags
            .flat_map(|(_, flag)| super::flags::turns(flag))
            .filter(|m| m.at() >= trigger && m.at().0 <= end && fits(m))
            .collect();
        moves.sort_by_key(FlagMove::at);
        moves.into_iter().next()
    }

    /// Whether its steps may still come.
    fn open(&self) -> bool {
        let begun = self.rollback.started.from.order_key();
        let later = self.rollout.moves.iter().filter(|m| (m.at(), m.seq) > begun);
        let went_on = later
            .into_iter()
            .any(|m| matches!(m.kind, MoveKind::Started | MoveKind::WentOn | MoveKind::Launched));
        self.rollback.completed.is_none() && !went_on
    }

    fn clause(&self, list: &Fact<RollbackPlanned>, step: &PlannedStep) -> Clause {
        let plan = &self.rollout.plan;
        let fields = plan.newest().map_or(&[][..], |r| &r.fields);
        let text = step.text.trim();
        let field = fields.iter().find(|f| f.path.starts_with("rollback/") && f.raw.trim() == text);
        let field = field.filter(|_| list.from.plan_path.is_some());
        Clause {
            text: text.to_owned(),
            whose: Whose::Plan,
            path: field.map(|f| f.path.clone()).or_else(|| list.from.plan_path.clone()),
            line: field.map(|f| f.line).or(list.from.plan_line),
            seq: Some(list.seq()),
        }
    }
}

/// The promise in a step's own words: `Alert the team within 30 minutes`.
fn promised_in(text: &str) -> Option<IsoDuration> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect();
    let at = words.iter().position(|w| w == "within")?;
    let number: u32 = match words.get(at + 1)?.as_str() {
        "a" | "an" | "one" => 1,
        digits => digits.parse().ok()?,
    };
    let iso = match words.get(at + 2)?.trim_end_matches('s') {
        "minute" | "min" => format!("PT{number}M"),
        "hour" | "hr" => format!("PT{number}H"),
        "day" => format!("P{number}D"),
        "week" => format!("P{number}W"),
        _ => return None,
    };
    iso.parse().ok()
}

fn turns_flag(kind: StepKind) -> bool {
    matches!(kind, StepKind::FlagOff | StepKind::FlagReduced)
}

#[cfg(test)]
mod tests {
    use super::{IsoDuration, promised_in};

    #[test]
    fn a_promise_is_read_from_a_steps_own_words() {
        let rows = [
            ("Turn off the flag within 15 minutes", Some("PT15M")),
            ("Create a ticket within 2 hours that documents", Some("PT2H")),
            ("Follow up (within one day).", Some("P1D")),
            ("Within an hour, alert the team", Some("PT1H")),
            ("Stay within the budget", None),
            ("Alert the team", None),
        ];
        for (text, expected) in rows {
            let promised = promised_in(text);
            assert_eq!(promised.as_ref().map(IsoDuration::as_str), expected, "{text}");
        }
    }
}
