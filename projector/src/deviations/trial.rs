//! One attempt at a stage as it is judged: its plan at the time, how long it really ran.

use jiff::{Span, Timestamp, tz::TimeZone};
use schemas::{
    event::{flag::FlagRole, stage},
    id::IsoDuration,
};

use super::{Clause, Outcome, Verdict, Whose, length_words};
use crate::{
    recorded::Moment,
    rollout::{
        Attempt, FlagMove, Move, MoveKind, Provenance, Rollout, Stage, StagePlan, exposure,
        stages::Ended,
    },
};

/// How far a flag's change may lie from the recorded fact that it goes with, in microseconds: a
/// day, because facts are often recorded by the day.
pub(super) const FLAG_NEAR_US: i64 = 24 * 3_600 * 1_000_000;

/// A span shorter than this is a moment: people record by the minute.
const EXACT_US: i64 = 60 * 1_000_000;

/// An attempt with a recorded start.
pub(super) struct Trial<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) stage: &'a Stage,
    pub(super) attempt: &'a Attempt,
    pub(super) start: &'a Provenance,
    /// The plan that it is judged by.
    pub(super) plan: Option<&'a StagePlan>,
    pub(super) changed_afterwards: Vec<u64>,
    pub(super) plan_recorded_afterwards: bool,
    /// When the flag's log shows the exposure to have been reached.
    pub(super) flag_reached: Option<FlagMove>,
    now: Moment,
}

/// A moment that is known as well as its source knew it.
#[derive(Clone, Copy)]
struct Edge {
    earliest: Moment,
    latest: Moment,
    seq: u64,
}

/// What ended an attempt's exposure.
enum Next {
    At(Edge),
    /// The event that ended it, whose moment nobody knows.
    Unknown(u64),
    NotYet,
}

impl<'a> Trial<'a> {
    /// Every attempt with a recorded start, in the order of the plan.
    pub(super) fn all(rollout: &'a Rollout, now: Moment) -> Vec<Trial<'a>> {
        let attempts = rollout.stages.iter().flat_map(|s| s.attempts.iter().map(move |a| (s, a)));
        attempts.filter_map(|(stage, attempt)| Trial::of(rollout, stage, attempt, now)).collect()
    }

    fn of(
        rollout: &'a Rollout,
        stage: &'a Stage,
        attempt: &'a Attempt,
        now: Moment,
    ) -> Option<Trial<'a>> {
        let start = &attempt.started.as_ref()?.from;
        let before = |p: &&StagePlan| p.from.order_key() <= start.order_key();
        let plan_before = stage.plans.iter().rev().find(before);
        let plan = plan_before.or_else(|| stage.plans.first());
        let after = |p: &&StagePlan| plan.is_some_and(|plan| p.from.seq != plan.from.seq);
        let mut trial = Trial {
            rollout,
            stage,
            attempt,
            start,
            plan,
            changed_afterwards: stage
                .plans
                .iter()
                .filter(|p| !before(p))
                .filter(after)
                .map(|p| p.from.seq)
                .collect(),
            plan_recorded_afterwards: plan.is_some() && plan_before.is_none(),
            flag_reached: None,
            now,
        };
        trial.flag_reached = trial.find_reached();
        Some(trial)
    }

    /// A verdict on this attempt.
    pub(super) fn verdict(
        &self,
        code: &'static str,
        outcome: Outcome,
        why: impl Into<String>,
    ) -> Verdict {
        let about = format!("{}, attempt {}", self.stage.key, self.attempt.number);
        let mut verdict = Verdict::new(code, &about, outcome, why);
        verdict.stage = Some(self.stage.key.clone());
        verdict.attempt = Some(self.attempt.number);
        verdict.changed_afterwards.clone_from(&self.changed_afterwards);
        verdict.plan_recorded_afterwards = self.plan_recorded_afterwards;
        verdict.seqs = vec![self.start.seq];
        verdict
    }

    /// The share that the attempt was to reach, by what was recorded, else by the plan.
    fn share(&self) -> Option<(u32, u32)> {
        let recorded = range(self.attempt.exposures());
        recorded.or_else(|| range(&self.plan?.exposures))
    }

    /// The change of a flag that reached the attempt's exposure: of those near the recorded
    /// start, the nearest.
    fn find_reached(&self) -> Option<FlagMove> {
        let at = self.start.time?;
        let (_, share) = self.share()?;
        let near = |m: &FlagMove| (m.at().0 - at.0).abs();
        let rollout_flags = self.rollout.flags.registered();
        let mut moves: Vec<FlagMove> = rollout_flags
            .filter(|(_, flag)| flag.role() == Some(FlagRole::Rollout))
            .flat_map(|(_, flag)| super::flags::turns(flag))
            .filter(|m| m.share_bp() == Some(share) && near(m) <= FLAG_NEAR_US)
            .collect();
        moves.sort_by_key(near);
        moves.into_iter().next()
    }

    /// When the exposure was reached: by the flag's log, else as recorded.
    fn reached(&self) -> Option<Edge> {
        if let Some(flag) = &self.flag_reached {
            return Some(Edge { earliest: flag.at(), latest: flag.at(), seq: flag.seq });
        }
        Edge::of(self.start)
    }

    /// The next exposure after this attempt's: by the flag's log, else as recorded.
    fn next_exposure(&self, reached: Edge) -> Next {
        let recorded = self.next_recorded();
        let Some(flag) = &self.flag_reached else { return recorded };
        let Some((min, max)) = self.share() else { return recorded };
        let outside = |m: &FlagMove| m.share_bp().is_none_or(|bp| bp < min || bp > max);
        let flags = self.rollout.flags.registered();
        let mut later: Vec<FlagMove> = flags
            .flat_map(|(_, flag)| super::flags::turns(flag))
            .filter(|m| m.key == flag.key && m.environment == flag.environment)
            .filter(|m| m.at() > reached.earliest && outside(m) && !self.on_hold(m.at()))
            .collect();
        later.sort_by_key(FlagMove::at);
        let by_flag = later.first().map(|m| Edge { earliest: m.at(), latest: m.at(), seq: m.seq });
        by_flag.map_or(recorded, Next::At)
    }

    /// The next recorded move that changes who sees the feature.
    fn next_recorded(&self) -> Next {
        let after = self.moves_after();
        let own = range(self.attempt.exposures()).or(self.share());
        let changes = |m: &&Move| match m.kind {
            MoveKind::Started | MoveKind::RollbackStarted | MoveKind::Cancelled => true,
            MoveKind::Launched | MoveKind::WentOn | MoveKind::Retargeted => {
                let to = range(&m.exposures);
                to.is_some_and(|(min, max)| own.is_none_or(|own| min < own.0 || max > own.1))
            }
            _ => false,
        };
        let Some(next) = after.into_iter().find(changes) else { return Next::NotYet };
        let Some(time) = next.time else { return Next::Unknown(next.seq) };
        let known = self.provenance_of(next).and_then(Edge::of);
        Next::At(known.unwrap_or(Edge { earliest: time, latest: time, seq: next.seq }))
    }

    /// Every move of the rollout after the attempt's start.
    pub(super) fn moves_after(&self) -> Vec<&'a Move> {
        let key = self.start.order_key();
        self.rollout.moves.iter().filter(|m| (m.at(), m.seq) > key).collect()
    }

    fn provenance_of(&self, of: &Move) -> Option<&'a Provenance> {
        let attempts = self.rollout.stages.iter().flat_map(|s| &s.attempts);
        let started = attempts.filter_map(|a| a.started.as_ref()).map(|s| &s.from);
        let rollbacks = self.rollout.rollbacks.actual.iter().map(|r| &r.started.from);
        started.chain(rollbacks).find(|from| from.seq == of.seq)
    }

    fn on_hold(&self, at: Moment) -> bool {
        self.holds()
            .any(|(from, to)| from.is_some_and(|from| at >= from) && to.is_none_or(|to| at <= to))
    }

    fn holds(&self) -> impl Iterator<Item = (Option<Moment>, Option<Moment>)> {
        self.attempt.holds.iter().map(|h| {
            let from = h.held.as_ref().and_then(crate::rollout::Fact::time);
            (from, h.resumed.as_ref().and_then(crate::rollout::Fact::time))
        })
    }

    /// Microseconds of pauses between two moments; `None` when a pause's own moment is unknown.
    fn paused_us(&self, from: Moment, to: Moment) -> Option<i64> {
        let mut paused = 0;
        for (place, (held, resumed)) in self.holds().enumerate() {
            let held = held?.max(from);
            let recorded_end = self.attempt.holds.get(place).is_some_and(|h| h.resumed.is_some());
            let resumed = if recorded_end { resumed? } else { to };
            paused += (resumed.min(to).0 - held.0).max(0);
        }
        Some(paused)
    }

    /// Whether the attempt ran as long as its minimum.
    pub(super) fn length(&self) -> Verdict {
        const CODE: &str = "stage_shorter_than_minimum";
        let undecided = |why: &str| self.verdict(CODE, Outcome::Undecided, why);
        let Some(plan) = self.plan else { return undecided("No plan of the stage is recorded.") };
        let minimum = plan.minimum.as_ref().and_then(|m| m.min.as_ref().zip(Some(m)));
        let Some((minimum, duration)) = minimum else {
            let planned = plan.length.as_ref().and_then(|l| l.raw.clone());
            let planned = planned.map_or_else(String::new, |raw| format!("; its length is {raw}"));
            return undecided(&format!("Neither plan nor guidance gives a minimum{planned}."));
        };
        let clause = self.minimum_clause(plan, duration.raw.as_ref(), minimum);
        let Some(reached) = self.reached() else {
            return undecided("When it began is not known.").shown(Some(clause), []);
        };
        let Some(needed) = self.length_us(reached.earliest, minimum) else {
            return undecided("Its minimum is no length of time.").shown(Some(clause), []);
        };
        let (until, ended) = match self.next_exposure(reached) {
            Next::At(end) => (end, true),
            Next::NotYet => {
                (Edge { earliest: self.now, latest: self.now, seq: reached.seq }, false)
            }
            Next::Unknown(seq) => {
                let why = "When the next exposure began is not known.";
                return undecided(why).shown(Some(clause), [reached.seq, seq]);
            }
        };
        let Some(paused) = self.paused_us(reached.earliest, until.latest) else {
            return undecided("When it was paused is not known.").shown(Some(clause), []);
        };
        let least = until.earliest.0 - reached.latest.0 - paused;
        let most = until.latest.0 - reached.earliest.0 - paused;
        let outcome = match () {
            () if least >= needed => Outcome::Kept,
            // A minimum is for going on: a stage that was rolled back has not.
            () if self.given_up() => Outcome::Undecided,
            () if most < needed && ended => Outcome::Broken,
            () => Outcome::Undecided,
        };
        let why = self.length_why(outcome, least, needed, ended, paused);
        let seqs = [reached.seq, until.seq].into_iter().chain(self.hold_seqs());
        self.verdict(CODE, outcome, why).shown(Some(clause), seqs)
    }

    fn length_why(&self, outcome: Outcome, us: i64, need: i64, ended: bool, paused: i64) -> String {
        let (ran, needed) = (length_words(us.max(0)), length_words(need));
        let pauses = match paused {
            0 => String::new(),
            paused => format!(", pauses of {} left out", length_words(paused)),
        };
        let by = match (&self.flag_reached, self.start.time) {
            (Some(flag), Some(recorded)) if flag.at() != recorded => {
                let apart = recorded.0 - flag.at().0;
                let side = if apart < 0 { "before" } else { "after" };
                let apart = length_words(apart.abs());
                format!(" The flag's log has its begin; it was recorded {apart} {side} that.")
            }
            _ => String::new(),
        };
        match (outcome, ended) {
            (Outcome::Undecided, true) if self.given_up() => {
                format!("It was given up after {ran}; the minimum of {needed} is for going on.{by}")
            }
            (Outcome::Undecided, true) => {
                format!("Its begin and end are not known well enough to tell {needed} apart.{by}")
            }
            (Outcome::Undecided, false) => {
                format!("It still runs, for {ran} of {needed}{pauses}.{by}")
            }
            (_, true) => format!("It ran {ran} of at least {needed}{pauses}.{by}"),
            (_, false) => format!("It has run {ran} of at least {needed}{pauses}.{by}"),
        }
    }

    fn hold_seqs(&self) -> Vec<u64> {
        let holds = self.attempt.holds.iter();
        let both = holds.flat_map(|h| {
            let held = h.held.iter().map(crate::rollout::Fact::seq);
            held.chain(h.resumed.iter().map(crate::rollout::Fact::seq))
        });
        both.collect()
    }

    fn minimum_clause(&self, plan: &StagePlan, raw: Option<&String>, min: &IsoDuration) -> Clause {
        let words = raw.cloned().unwrap_or_else(|| min.to_string());
        let clause = Clause::planned(self.rollout, plan, &self.stage.key, "length", Some(&words));
        let whose = match plan.minimum_clause {
            Some(stage::Clause::Guidance) => Whose::Guidance,
            Some(stage::Clause::Policy) => Whose::Policy,
            Some(stage::Clause::Plan) | None => Whose::Plan,
        };
        Clause { whose, ..clause }
    }

    /// How long a duration is from a moment on, by the calendar of the plan's zone.
    fn length_us(&self, from: Moment, length: &IsoDuration) -> Option<i64> {
        duration_us(from, length, self.rollout.plan.time_zone())
    }

    /// Whether the attempt was given up or rolled back, so that nothing advanced from it.
    pub(super) fn given_up(&self) -> bool {
        let cancelled = |e: &Ended| matches!(e, Ended::Cancelled(_));
        !self.attempt.rollback_seqs.is_empty() || self.attempt.ended.iter().any(cancelled)
    }
}

impl Edge {
    fn of(from: &Provenance) -> Option<Edge> {
        let earliest = from.time?;
        let latest = from.latest.filter(|latest| latest.0 - earliest.0 >= EXACT_US);
        Some(Edge { earliest, latest: latest.unwrap_or(earliest), seq: from.seq })
    }
}

/// The least and the greatest share among exposures, in basis points.
pub(super) fn range(exposures: &[schemas::values::Exposure]) -> Option<(u32, u32)> {
    let ranges: Vec<_> = exposures.iter().filter_map(exposure::range_bp).collect();
    let min = ranges.iter().map(|r| r.0).min()?;
    Some((min, ranges.iter().map(|r| r.1).max()?))
}

/// How many microseconds a duration is from a moment on, by the calendar of a zone.
pub(super) fn duration_us(from: Moment, length: &IsoDuration, time_zone: &str) -> Option<i64> {
    let zone = TimeZone::get(time_zone).ok()?;
    let span: Span = length.as_str().parse().ok()?;
    let start = Timestamp::from_microsecond(from.0).ok()?.to_zoned(zone);
    Some(start.checked_add(span).ok()?.timestamp().as_microsecond() - from.0)
}
