//! Does what the flag's log shows belong to a stage, and was the flag removed in the end?

use schemas::event::flag::FlagRole;

use super::{
    Clause, Outcome, Verdict, length_words,
    trial::{FLAG_NEAR_US, range},
};
use crate::{
    recorded::Moment,
    rollout::{Fact, Flag, FlagMove, Move, MoveKind, Rollout, exposure},
};

/// How long a flag may stay on for everyone before it is to be removed, in microseconds: 90 days.
pub(crate) const FULL_US_MAX: i64 = 90 * 24 * 3_600 * 1_000_000;

/// Words in the names of environments whose users are not everyone.
const REHEARSALS: [&str; 12] = [
    "staging",
    "stage",
    "stg",
    "test",
    "testing",
    "dev",
    "development",
    "qa",
    "uat",
    "sandbox",
    "preview",
    "local",
];

const NO_STAGE: &str = "flag_moved_without_stage";
const NOT_REMOVED: &str = "flag_not_removed_after_90_days";
const DRIFTED: &str = "flag_drifted";

pub(super) fn judge(rollout: &Rollout, now: Moment) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (key, flag) in rollout.flags.registered() {
        let about = format!("flag {key}");
        if flag.role() == Some(FlagRole::Rollout) {
            verdicts.extend(without_stage(rollout, flag, &about));
            verdicts.push(removed(flag, &about, now));
        }
        verdicts.push(drifted(flag, &about));
    }
    if rollout.flags.registered().next().is_none() {
        let why = "No flag is registered for the rollout.";
        verdicts.push(Verdict::new(NO_STAGE, "flags", Outcome::Undecided, why));
    }
    verdicts
}

/// The changes of a flag that changed who sees the feature, in production when any environment is
/// called so. The first state counts only when somebody sees it.
pub(super) fn turns(flag: &Flag) -> Vec<FlagMove> {
    let moves = flag.moves();
    let production = |m: &FlagMove| m.environment.to_lowercase().contains("prod");
    let any = moves.iter().any(production);
    let mut before = std::collections::BTreeMap::new();
    let off = vec![exposure::of_share(schemas::values::ExposureKind::Off, 0)];
    let counts = moves.into_iter().filter(|m| !any || production(m));
    counts
        .filter(|m| {
            let home = (m.service.clone(), m.environment.clone());
            let last = before.insert(home, m.exposures.clone());
            last.as_ref().unwrap_or(&off) != &m.exposures
        })
        .collect()
}

fn without_stage(rollout: &Rollout, flag: &Flag, about: &str) -> Vec<Verdict> {
    let clause = || Some(Clause::policy("A flag moves only with a stage, a rollback or a launch."));
    let turns = turns(flag);
    if turns.is_empty() {
        let why = "No change of the flag is recorded: its service's log was not imported.";
        return vec![Verdict::new(NO_STAGE, about, Outcome::Undecided, why).shown(clause(), [])];
    }
    let untimed = rollout.moves.iter().any(|m| m.time.is_none());
    let mut verdicts = Vec::new();
    let mut before = 0;
    for turn in &turns {
        let share = turn.share_bp().unwrap_or(0);
        let down = share < before;
        before = share;
        if explained(rollout, turn, down) {
            continue;
        }
        let words = exposure::words(&turn.exposures);
        let outcome = if untimed { Outcome::Undecided } else { Outcome::Broken };
        let why = if untimed {
            format!("It moved to {words}; some stages have no known time.")
        } else {
            format!("It moved to {words} and no stage, rollback or launch goes with it.")
        };
        verdicts.push(Verdict::new(NO_STAGE, about, outcome, why).shown(clause(), [turn.seq]));
    }
    if verdicts.is_empty() {
        let why = "Every change of the flag goes with a stage, a rollback or a launch.";
        let seqs = turns.iter().map(|t| t.seq);
        verdicts.push(Verdict::new(NO_STAGE, about, Outcome::Kept, why).shown(clause(), seqs));
    }
    verdicts
}

/// Whether something recorded goes with a change of a flag.
fn explained(rollout: &Rollout, turn: &FlagMove, down: bool) -> bool {
    let at = turn.at();
    let near = |m: &&Move| m.time.is_some_and(|time| (time.0 - at.0).abs() <= FLAG_NEAR_US);
    let mut moves = rollout.moves.iter().filter(near);
    moves.any(|m| fits(rollout, m, turn, down)) || within_running(rollout, turn)
}

/// Whether a change of a flag is what a move made of it.
pub(super) fn fits(rollout: &Rollout, of: &Move, turn: &FlagMove, down: bool) -> bool {
    use MoveKind::{Cancelled, Completed, Held, RollbackCompleted, RollbackStarted};
    match of.kind {
        RollbackStarted | RollbackCompleted | Cancelled | Held => down,
        Completed => false,
        _ => {
            let planned = || {
                let plan = rollout.stages.get(of.stage.as_ref()?)?.plan()?;
                range(&plan.exposures)
            };
            let share = turn.share_bp();
            match (range(&of.exposures).or_else(planned), share) {
                (Some((min, max)), Some(bp)) => bp >= min && bp <= max,
                // Named actors and groups are no shares, nor is a pilot's exposure.
                (None, _) | (_, None) => true,
            }
        }
    }
}

/// Whether a stage ran then whose plan holds that exposure: it may be reached in steps, and named
/// actors are added while a pilot runs.
fn within_running(rollout: &Rollout, turn: &FlagMove) -> bool {
    let mut before = rollout.moves.iter().filter(|m| m.time.is_some_and(|time| time <= turn.at()));
    let Some(last) = before.next_back() else { return false };
    let running = matches!(
        last.kind,
        MoveKind::Started | MoveKind::Retargeted | MoveKind::Resumed | MoveKind::WentOn
    );
    let stage = last.stage.as_ref().and_then(|key| rollout.stages.get(key));
    let Some(plan) = stage.and_then(crate::rollout::Stage::plan).filter(|_| running) else {
        return false;
    };
    match (range(&plan.exposures), turn.share_bp()) {
        (Some((min, max)), Some(bp)) => bp >= min && bp <= max,
        (None, None) => true,
        _ => false,
    }
}

fn removed(flag: &Flag, about: &str, now: Moment) -> Verdict {
    let clause = Some(Clause::policy("A flag that is on for everyone is removed within 90 days."));
    let turns = seen_by_everyone(flag);
    let verdict = |outcome, why: String| Verdict::new(NOT_REMOVED, about, outcome, why);
    let Some(last) = turns.last() else {
        let why = "No change of the flag is recorded.".to_owned();
        return verdict(Outcome::Undecided, why).shown(clause, []);
    };
    let retired = flag.retired.last();
    let gone = (!last.exists).then_some((last.at(), last.seq));
    let gone = gone.or_else(|| retired.and_then(|r| Some((r.time()?, r.seq()))));
    let Some(full) = full_before(&turns, gone.is_some()) else {
        let why = "The flag is not on for everyone.".to_owned();
        return verdict(Outcome::Kept, why).shown(clause, [last.seq]);
    };
    let until = gone.map_or(now, |g| g.0);
    let lasted = until.0 - full.at().0;
    let days = length_words(lasted);
    let judged = match gone {
        _ if lasted > FULL_US_MAX && gone.is_some() => {
            verdict(Outcome::Broken, format!("It was removed after {days}."))
        }
        _ if lasted > FULL_US_MAX => {
            verdict(Outcome::Broken, format!("On for everyone for {days} and not removed."))
        }
        Some(_) => verdict(Outcome::Kept, format!("It was removed after {days}.")),
        None => verdict(Outcome::Undecided, format!("On for everyone for {days} so far.")),
    };
    judged.shown(clause, [full.seq].into_iter().chain(gone.map(|g| g.1)))
}

/// The change since which a flag that is still there has been on for everyone.
pub(crate) fn full_since(flag: &Flag) -> Option<FlagMove> {
    if !flag.may_reach_everyone() {
        return None;
    }
    let turns = seen_by_everyone(flag);
    let there = flag.retired.is_empty() && turns.last().is_some_and(|last| last.exists);
    full_before(&turns, false).filter(|_| there).cloned()
}

/// The changes by which everyone can come to see the feature: those of [`turns`] that were not made
/// where it is only tried out.
fn seen_by_everyone(flag: &Flag) -> Vec<FlagMove> {
    turns(flag).into_iter().filter(|turn| !is_rehearsal(&turn.environment)).collect()
}

/// Whether an environment is called one where features are tried out.
fn is_rehearsal(environment: &str) -> bool {
    let name = environment.to_lowercase();
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    joined.starts_with("preprod")
        || joined.starts_with("nonprod")
        || words
            .any(|word| REHEARSALS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
}

/// The change since which a flag has been on for everyone wherever it is, or was when it was
/// removed.
fn full_before(turns: &[FlagMove], gone: bool) -> Option<&FlagMove> {
    let last = turns.iter().rposition(|t| !gone || t.exists)?;
    let mut shares = std::collections::BTreeMap::new();
    let mut since = None;
    for turn in turns.get(..=last)? {
        let home = (&turn.service, &turn.environment);
        if turn.exists {
            shares.insert(home, turn.share_bp());
        } else {
            shares.remove(&home);
        }
        let full = !shares.is_empty() && shares.values().all(|share| *share == Some(10_000));
        since = if full { since.or(Some(turn)) } else { None };
    }
    since
}

fn drifted(flag: &Flag, about: &str) -> Verdict {
    let clause = Some(Clause::policy("The recorded changes add up to what the service says."));
    let Some(drift) = flag.drifted.last() else {
        let why = "No export of the flag service was compared with the events.";
        let seqs = flag.registered.iter().map(Fact::seq);
        return Verdict::new(DRIFTED, about, Outcome::Undecided, why).shown(clause, seqs);
    };
    let why = format!("The service {} says something else.", drift.value.service);
    Verdict::new(DRIFTED, about, Outcome::Broken, why).shown(clause, [drift.seq()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{full_before, seen_by_everyone};
    use crate::rollout::{Rollout, given::given};

    proptest! {
        #[test]
        fn a_flag_that_reached_everyone_may_have(
            changes in prop::collection::vec((0_usize..4, 0_usize..6, 0_usize..12), 0..8),
        ) {
            let operations = ["add", "enable", "enable", "disable"];
            let gates = [
                "boolean", "percentage_of_actors", "percentage_of_time", "actor", "group",
                "expression",
            ];
            let values = [
                "", "5", "99.99", "100", "100.0", "0100", "+100", "1e2", "100.001", "1000", "t",
                "true",
            ];
            let registered = "01-01 09:00 flag.registered key=f; role=rollout".to_owned();
            let changed = (2..).zip(changes).map(|(day, (operation, gate, value)): (u32, _)| {
                let (operation, gate) = (operations[operation], gates[gate]);
                let value = values[value];
                format!(
                    "01-{day:02} 09:00 flag.changed key=f; service=s; environment=production; \
                     operation={operation}; gate={gate}; value=\"{value}\""
                )
            });
            let history = [registered].into_iter().chain(changed).collect::<Vec<_>>().join("\n");
            let rollout = Rollout::fold(&given(&history));
            let (_, flag) = rollout.flags.registered().next().unwrap();
            let reached = full_before(&seen_by_everyone(flag), false).is_some();
            prop_assert!(!reached || flag.may_reach_everyone(), "{history}");
        }
    }
}
