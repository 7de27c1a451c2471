//! Was it exposed to as many as planned, and was the first stage a canary?

use schemas::event::flag::FlagRole;

use super::{
    Clause, Outcome, Verdict, flags,
    trial::{FLAG_NEAR_US, Trial, range},
};
use crate::rollout::{FlagMove, Move, MoveKind, Stage, exposure, next::is_pilot};

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
    let seqs: Vec<u64> = shares.iter().map(|s| s.seq).collect();
    // The log shows every step on the way to an exposure; only more than was planned is other.
    let other = |s: &&Share| s.bp > max || (s.bp < min && !s.on_the_way);
    let planned = exposure::words(&plan.exposures);
    let (outcome, was) = match shares.iter().find(other) {
        Some(other) => (Outcome::Broken, exposure::percent(other.bp)),
        None => (Outcome::Kept, listed(shares.iter().filter(|s| !s.on_the_way))),
    };
    let was = if was.is_empty() { listed(shares.iter()) } else { was };
    let apart = apart(trial, &shares);
    let why = format!("It was at {was} %; planned was {planned}.{apart}");
    trial.verdict(CODE, outcome, why).shown(Some(clause), seqs)
}

/// How the flag's log differs from the share that was recorded for the attempt, in a sentence.
fn apart(trial: &Trial, shares: &[Share]) -> String {
    let recorded = trial.attempt.started.as_ref();
    let recorded = recorded.and_then(|s| Some((exposure::share_bp(&s.value.exposures)?, s.seq())));
    let Some((recorded, seq)) = recorded else { return String::new() };
    let other: Vec<&Share> = shares.iter().filter(|s| s.by_flag && s.bp != recorded).collect();
    if other.is_empty() {
        return String::new();
    }
    let log: Vec<String> =
        other.iter().map(|s| format!("{} % (event {})", exposure::percent(s.bp), s.seq)).collect();
    let recorded = exposure::percent(recorded);
    format!(" The flag's log has {}; recorded was {recorded} % (event {seq}).", log.join(", "))
}

/// `10 %, then 25`.
fn listed<'a>(shares: impl Iterator<Item = &'a Share>) -> String {
    let mut shares: Vec<u32> = shares.map(|s| s.bp).collect();
    shares.dedup();
    shares.into_iter().map(exposure::percent).collect::<Vec<_>>().join(" %, then ")
}

/// Whether a canary was small; `None` for a stage that is none.
pub(super) fn canary(trial: &Trial) -> Option<Verdict> {
    const CODE: &str = "canary_above_10_percent";
    if !is_canary(trial) {
        return None;
    }
    let shares = actual(trial);
    let seqs: Vec<u64> = shares.iter().map(|s| s.seq).collect();
    let verdict = match shares.iter().map(|s| s.bp).max() {
        None => trial.verdict(CODE, Outcome::Undecided, "No percentage is recorded for it."),
        Some(bp) => {
            let broken = bp > CANARY_BP_MAX;
            let outcome = if broken { Outcome::Broken } else { Outcome::Kept };
            let why = format!("The canary was at {} %.", exposure::percent(bp));
            trial.verdict(CODE, outcome, why)
        }
    };
    Some(verdict.shown(Some(Clause::policy("A canary is at most 10 % of users.")), seqs))
}

/// A share that an attempt had, and the event that shows it.
struct Share {
    bp: u32,
    seq: u64,
    by_flag: bool,
    /// Whether the flag's log shows it beside the share that the attempt reached.
    on_the_way: bool,
}

/// The shares that the attempt had. What the flag's log shows wins over what was recorded for the
/// same moment.
fn actual(trial: &Trial) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let share = |bp, seq, by_flag| Share { bp, seq, by_flag, on_the_way: false };
    if let Some(flag) = &trial.flag_reached {
        shares.extend(flag.share_bp().map(|bp| share(bp, flag.seq, true)));
    } else if let Some(started) = &trial.attempt.started {
        let bp = exposure::share_bp(&started.value.exposures);
        shares.extend(bp.map(|bp| share(bp, started.seq(), false)));
    }
    for retargeted in &trial.attempt.retargeted {
        let bp = exposure::share_bp(&retargeted.value.exposures);
        shares.extend(bp.map(|bp| share(bp, retargeted.seq(), false)));
    }
    for turn in logged(trial) {
        let Some(bp) = turn.share_bp().filter(|_| shares.iter().all(|s| s.seq != turn.seq)) else {
            continue;
        };
        shares.push(Share { on_the_way: true, ..share(bp, turn.seq, true) });
    }
    shares
}

/// The changes of the rollout's flags while the attempt ran, without those that belong to what
/// came next.
fn logged(trial: &Trial) -> Vec<FlagMove> {
    let Some(start) = trial.start.time else { return vec![] };
    let reached = trial.flag_reached.as_ref();
    let begin = reached.map_or(start, |r| r.at().min(start));
    // From here on a change may be what came next, recorded a little late.
    let settled = reached.map_or(start, |r| r.at().max(start));
    let after = trial.moves_after();
    let next = after.iter().find(|m| takes_over(m.kind));
    let end = after.iter().find(|m| m.kind == MoveKind::Completed || takes_over(m.kind));
    if end.is_some_and(|m| m.time.is_none()) || next.is_some_and(|m| m.time.is_none()) {
        return vec![];
    }
    let mut found = Vec::new();
    for (_, flag) in trial.rollout.flags.registered() {
        if flag.role() != Some(FlagRole::Rollout) {
            continue;
        }
        let (mut before, mut standing) = (0, None);
        for turn in flags::turns(flag) {
            let share = turn.share_bp().unwrap_or(0);
            let down = share < before;
            before = share;
            let same = |r: &FlagMove| r.key == turn.key && r.environment == turn.environment;
            if reached.is_some_and(|r| !same(r)) {
                continue;
            }
            if turn.at() < begin {
                standing = Some(turn).filter(|t| reached.is_none() && unexplained(trial, t, down));
                continue;
            }
            let over = end.is_some_and(|m| turn.at() >= m.at());
            let nexts = next.is_some_and(|m| belongs(trial, m, &turn, down));
            if over || (nexts && turn.at() > settled) {
                break;
            }
            found.push(turn);
        }
        found.extend(standing);
    }
    found
}

/// Whether a change before the attempt's recorded start is near it and shows nothing that was
/// recorded before: the flag stood so when the attempt began.
fn unexplained(trial: &Trial, turn: &FlagMove, down: bool) -> bool {
    let start = trial.start.order_key();
    let mut earlier = trial.rollout.moves.iter().filter(|m| (m.at(), m.seq) < start);
    let near = start.0.0 - turn.at().0 <= FLAG_NEAR_US;
    near && !earlier.any(|m| m.time.is_some() && belongs(trial, m, turn, down))
}

/// Whether from such a move on the attempt's exposure no longer holds.
fn takes_over(kind: MoveKind) -> bool {
    use MoveKind::{Cancelled, Launched, RollbackStarted, Started, WentOn};
    matches!(kind, Started | RollbackStarted | Cancelled | WentOn | Launched)
}

/// Whether a change of a flag shows a move that was recorded near it.
fn belongs(trial: &Trial, next: &Move, turn: &FlagMove, down: bool) -> bool {
    let near = (next.at().0 - turn.at().0).abs() <= FLAG_NEAR_US;
    let everyone = next.kind == MoveKind::Launched && next.exposures.is_empty();
    near && if everyone {
        turn.share_bp() == Some(10_000)
    } else {
        flags::fits(trial.rollout, next, turn, down)
    }
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
