//! Was it exposed to as many as planned, and was the first stage a canary?

use super::{
    Clause, Outcome, Verdict,
    trial::{Trial, range},
};
use crate::rollout::{Stage, exposure, next::is_pilot};

/// The greatest share of a canary, in basis points.
const CANARY_BP_MAX: u32 = 1_000;

/// Whether the attempt's exposure was the plan's.
pub(super) fn as_planned(trial: &Trial) -> Verdict {
    const CODE: &str = "other_percentage_than_planned";
    let undecided = |why: &str| trial.verdict(CODE, Outcome::Undecided, why);
    let Some(plan) = trial.plan else { return undecided("No plan of the stage is recorded.") };
    let words = plan.exposures.iter().find_map(|e| e.raw.clone());
    let words = words.unwrap_or_else(|| exposure::words(&plan.exposures));
    let key = &trial.stage.key;
    let clause = Clause::planned(trial.rollout, plan, key, "exposure", Some(&words));
    let Some((min, max)) = range(&plan.exposures) else {
        let why = match plan.exposures.as_slice() {
            [] => "The plan gives no exposure.",
            _ => "The plan's exposure is no percentage.",
        };
        return undecided(why).shown(Some(clause), []);
    };
    let shares = actual(trial);
    if shares.is_empty() {
        return undecided("No percentage is recorded for it.").shown(Some(clause), []);
    }
    let seqs: Vec<u64> = shares.iter().map(|s| s.1).collect();
    let other = shares.iter().find(|(bp, _)| *bp < min || *bp > max);
    let planned = exposure::words(&plan.exposures);
    let verdict = if let Some((bp, _)) = other {
        let why = format!("It was at {} %; planned was {planned}.", exposure::percent(*bp));
        trial.verdict(CODE, Outcome::Broken, why)
    } else {
        let was: Vec<String> = shares.iter().map(|(bp, _)| exposure::percent(*bp)).collect();
        let why = format!("It was at {} %; planned was {planned}.", was.join(" %, then "));
        trial.verdict(CODE, Outcome::Kept, why)
    };
    verdict.shown(Some(clause), seqs)
}

/// Whether a canary was small; `None` for a stage that is none.
pub(super) fn canary(trial: &Trial) -> Option<Verdict> {
    const CODE: &str = "canary_above_10_percent";
    if !is_canary(trial) {
        return None;
    }
    let shares = actual(trial);
    let seqs: Vec<u64> = shares.iter().map(|s| s.1).collect();
    let verdict = match shares.iter().max() {
        None => trial.verdict(CODE, Outcome::Undecided, "No percentage is recorded for it."),
        Some((bp, _)) => {
            let broken = *bp > CANARY_BP_MAX;
            let outcome = if broken { Outcome::Broken } else { Outcome::Kept };
            let why = format!("The canary was at {} %.", exposure::percent(*bp));
            trial.verdict(CODE, outcome, why)
        }
    };
    Some(verdict.shown(Some(Clause::policy("A canary is at most 10 % of users.")), seqs))
}

/// The shares that the attempt had, each with the event that shows it. What the flag's log shows
/// wins over what was recorded for the same moment.
fn actual(trial: &Trial) -> Vec<(u32, u64)> {
    let mut shares: Vec<(u32, u64)> = Vec::new();
    if let Some(flag) = &trial.flag_reached {
        shares.extend(flag.share_bp().map(|bp| (bp, flag.seq)));
    } else if let Some(started) = &trial.attempt.started {
        shares.extend(exposure::share_bp(&started.value.exposures).map(|bp| (bp, started.seq())));
    }
    for retargeted in &trial.attempt.retargeted {
        let share = exposure::share_bp(&retargeted.value.exposures);
        shares.extend(share.map(|bp| (bp, retargeted.seq())));
    }
    shares
}

/// The stage that is called a canary, else the first stage of the plan that is planned by
/// percentage.
fn is_canary(trial: &Trial) -> bool {
    let called = |s: &Stage| {
        let phase = s.plan().and_then(|p| p.phase.as_deref()).unwrap_or_default();
        [s.label(), phase, s.key.as_str()].iter().any(|t| t.to_lowercase().contains("canary"))
    };
    let stages = || trial.rollout.stages.iter();
    if stages().any(called) {
        return called(trial.stage);
    }
    let by_share =
        |s: &&Stage| !is_pilot(&s.key) && s.plan().is_some_and(|p| range(&p.exposures).is_some());
    let several = stages().filter(by_share).count() > 1;
    several && stages().find(by_share).is_some_and(|s| s.key == trial.stage.key)
}
