//! What is missing: rollouts gone quiet, results never recorded, flags moved with no stage, open
//! conditions, rows that imports missed, sources that fell silent.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event, StageKey,
    event::{
        decision::Gate,
        flag::{RowGap, SourceImported},
    },
};
use serde::Serialize;

use super::{
    Cited,
    silence::{Source, Spoke},
};
use crate::{
    checkpoints::{CheckpointState, Checkpoints},
    deviations::{Deviations, Outcome, length_words},
    recorded::{Moment, Recorded},
    rollout::{Rollout, Status},
};

/// After so many days without an event a rollout counts as quiet, unless the question says
/// otherwise: two weeks, the length of a sprint.
pub const QUIET_DAYS: u32 = 14;

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

const NO_STAGE: &str = "flag_moved_without_stage";

/// What `audit gaps` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// The moment that silence is measured at. Whoever asks sees to it that nothing was recorded
    /// after it: what is missing is told of the ledger as it is.
    pub at: Moment,
    pub quiet_days: u32,
    /// How many rollouts this page looked at.
    pub rollouts_looked_at: usize,
    /// Those of them that lack something, by id.
    pub rollouts: Vec<RolloutGaps>,
    /// Flags that moved and belong to no rollout, so to no stage, by key.
    pub flags_without_rollout: Vec<LooseFlag>,
    /// Numbers that imports found missing in their source and no later import of it brought.
    pub row_gaps: Vec<MissingRows>,
    /// Every source of events, by name.
    pub sources: Vec<Source>,
    /// Lists above that were cut off at their limit, by name.
    pub cut_off: Vec<&'static str>,
    pub page: NextRollout,
    pub rests_on: Vec<Cited>,
}

/// The next page of rollouts; what is no rollout's stands on every page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NextRollout {
    pub has_more: bool,
    /// Give it as `after`.
    pub next_after: Option<String>,
}

/// What one rollout lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolloutGaps {
    pub rollout: String,
    pub status: Status,
    /// The newest event about it.
    pub newest: Option<Cited>,
    pub newest_recorded_at: Option<Moment>,
    /// Days since then, when they are at least `quiet_days` and the rollout has not ended.
    pub quiet_for_days: Option<i64>,
    pub results_missing: Vec<MissingResults>,
    pub snapshots_missing: Vec<MissingSnapshot>,
    pub flags_moved_without_stage: Vec<LooseMove>,
    pub open_conditions: Vec<OpenCondition>,
}

/// An attempt that is over and has no results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingResults {
    pub stage: StageKey,
    pub attempt: u64,
    /// The event that began it.
    pub started: Cited,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingSnapshot {
    pub checkpoint: String,
    pub state: CheckpointState,
    pub due: Option<Moment>,
    /// The launch that it counts from.
    pub anchor: Option<Cited>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LooseMove {
    /// `flag KEY`.
    pub flag: String,
    pub change: Option<Cited>,
    /// `broken`, or `undecided` when stages of unknown time may explain it.
    pub outcome: Outcome,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenCondition {
    pub gate: Gate,
    pub stage: Option<StageKey>,
    pub condition: String,
    pub decision: Cited,
    /// Since the decision, in words; null when nobody knows when it was made.
    pub open_for: Option<String>,
}

/// A flag with changes that no rollout registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LooseFlag {
    pub flag: String,
    pub newest_change: Cited,
}

/// Numbers that an import found missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingRows {
    pub service: String,
    pub environment: String,
    pub file_name: String,
    /// The row before the gap.
    pub after: u64,
    /// The row behind it.
    pub before: u64,
    /// How many numbers between them are missing still.
    pub rows: u64,
    /// The import that says so.
    pub import: Cited,
}

/// What the answer is made from.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The rollouts of one page, by id, each with its events.
    pub rollouts: Vec<(String, Vec<Recorded>)>,
    pub next: NextRollout,
    pub flags_without_rollout: Vec<LooseFlag>,
    /// Every `source.imported`, by seq, as corrections left it.
    pub imports: Vec<Recorded>,
    /// The numbers of the rows that the imports of [`may_fill`] brought, by the import's seq.
    pub rows: BTreeMap<u64, Vec<u64>>,
    pub sources: Vec<Spoke>,
    pub cut_off: Vec<&'static str>,
}

impl Gaps {
    /// What is missing at a moment.
    pub fn of(facts: Facts, at: Moment, quiet_days: u32, silent_days: Option<u32>) -> Gaps {
        let looked_at = facts.rollouts.len();
        let rollouts: Vec<RolloutGaps> = facts
            .rollouts
            .iter()
            .map(|(id, events)| RolloutGaps::of(id, events, at, quiet_days))
            .filter(RolloutGaps::lacks)
            .collect();
        let row_gaps = missing_rows(&facts.imports, &facts.rows);
        let mut sources: Vec<Source> =
            facts.sources.iter().map(|spoke| Source::of(spoke, at, silent_days)).collect();
        sources.sort_by(|a, b| a.source.cmp(&b.source));
        let mut rests_on: Vec<Cited> = rollouts.iter().flat_map(RolloutGaps::cited).collect();
        rests_on.extend(facts.flags_without_rollout.iter().map(|f| f.newest_change.clone()));
        rests_on.extend(row_gaps.iter().map(|gap| gap.import.clone()));
        rests_on.extend(sources.iter().map(|source| source.newest.clone()));
        rests_on.sort();
        rests_on.dedup();
        Gaps {
            at,
            quiet_days,
            rollouts_looked_at: looked_at,
            rollouts,
            flags_without_rollout: facts.flags_without_rollout,
            row_gaps,
            sources,
            cut_off: facts.cut_off,
            page: facts.next,
            rests_on,
        }
    }
}

impl RolloutGaps {
    fn of(id: &str, events: &[Recorded], at: Moment, quiet_days: u32) -> RolloutGaps {
        let rollout = Rollout::fold(events);
        let cite = |seq: u64| events.iter().find(|e| e.seq == seq).map(Cited::of);
        let newest = events.iter().max_by_key(|e| e.seq);
        let status = rollout.status();
        // A rollout that has ended is quiet by right.
        let ended = matches!(status, Status::Completed | Status::Cancelled);
        let days = newest.map(|e| (at.0 - e.recorded_at_us) / DAY_US);
        let quiet = days.filter(|days| *days >= i64::from(quiet_days) && !ended);
        RolloutGaps {
            rollout: id.to_owned(),
            status,
            newest: newest.map(Cited::of),
            newest_recorded_at: newest.map(|e| Moment(e.recorded_at_us)),
            quiet_for_days: quiet,
            results_missing: results_missing(&rollout, &cite),
            snapshots_missing: snapshots_missing(&rollout, at, &cite),
            flags_moved_without_stage: loose_moves(&rollout, at, &cite),
            open_conditions: open_conditions(&rollout, at, &cite),
        }
    }

    fn lacks(&self) -> bool {
        self.quiet_for_days.is_some()
            || !self.results_missing.is_empty()
            || !self.snapshots_missing.is_empty()
            || !self.flags_moved_without_stage.is_empty()
            || !self.open_conditions.is_empty()
    }

    fn cited(&self) -> Vec<Cited> {
        let mut cited: Vec<Cited> = self.newest.iter().cloned().collect();
        cited.extend(self.results_missing.iter().map(|m| m.started.clone()));
        cited.extend(self.snapshots_missing.iter().filter_map(|m| m.anchor.clone()));
        cited.extend(self.flags_moved_without_stage.iter().filter_map(|m| m.change.clone()));
        cited.extend(self.open_conditions.iter().map(|c| c.decision.clone()));
        cited
    }
}

/// Attempts that began and ended, or that another start came after, without any result. One that
/// was rolled back has a rollback to show instead.
fn results_missing(rollout: &Rollout, cite: &impl Fn(u64) -> Option<Cited>) -> Vec<MissingResults> {
    let newest_start = rollout
        .stages
        .iter()
        .flat_map(|stage| &stage.attempts)
        .filter_map(|attempt| attempt.started.as_ref())
        .map(|started| started.from.order_key())
        .max();
    let mut missing = Vec::new();
    for stage in rollout.stages.iter() {
        for attempt in &stage.attempts {
            let Some(started) = &attempt.started else { continue };
            let over = !attempt.ended.is_empty() || Some(started.from.order_key()) < newest_start;
            if over && attempt.results.is_empty() && attempt.rollback_seqs.is_empty() {
                missing.extend(cite(started.seq()).map(|started| MissingResults {
                    stage: stage.key.clone(),
                    attempt: attempt.number,
                    started,
                }));
            }
        }
    }
    missing
}

fn snapshots_missing(
    rollout: &Rollout,
    at: Moment,
    cite: &impl Fn(u64) -> Option<Cited>,
) -> Vec<MissingSnapshot> {
    let checkpoints = Checkpoints::of(rollout);
    let missing = checkpoints.iter().filter(|checkpoint| {
        matches!(checkpoint.state(at), CheckpointState::Overdue | CheckpointState::Missed)
    });
    missing
        .map(|checkpoint| MissingSnapshot {
            checkpoint: checkpoint.name.clone(),
            state: checkpoint.state(at),
            due: checkpoint.due,
            anchor: checkpoint.anchor.and_then(cite),
        })
        .collect()
}

fn loose_moves(
    rollout: &Rollout,
    at: Moment,
    cite: &impl Fn(u64) -> Option<Cited>,
) -> Vec<LooseMove> {
    let verdicts = Deviations::of(rollout, at).verdicts.into_iter();
    let loose = verdicts.filter(|verdict| {
        // Without a change of a flag there is nothing that moved.
        verdict.code == NO_STAGE && verdict.outcome != Outcome::Kept && !verdict.seqs.is_empty()
    });
    loose
        .map(|verdict| LooseMove {
            change: verdict.seqs.first().copied().and_then(cite),
            flag: verdict.about,
            outcome: verdict.outcome,
            why: verdict.why,
        })
        .collect()
}

fn open_conditions(
    rollout: &Rollout,
    at: Moment,
    cite: &impl Fn(u64) -> Option<Cited>,
) -> Vec<OpenCondition> {
    let open = rollout.decisions.open_conditions().into_iter();
    open.filter_map(|(decision, condition)| {
        let decided = &decision.fact.value;
        Some(OpenCondition {
            gate: decided.gate,
            stage: decided.stage.clone(),
            condition: condition.text.clone(),
            decision: cite(decision.fact.seq())?,
            open_for: decision.fact.time().map(|since| length_words(at.0 - since.0)),
        })
    })
    .collect()
}

/// Later imports that may have brought numbers which an earlier one found missing: the entries
/// before each, as many as it recorded, tell. By seq, with that number.
pub fn may_fill(imports: &[Recorded]) -> BTreeMap<u64, u64> {
    let found = standing(imports);
    let mut later = BTreeMap::new();
    for (place, (_, import)) in found.iter().enumerate() {
        for gap in &import.gaps {
            let behind = found.iter().skip(place + 1).filter(|(_, l)| fills(l, import, gap));
            later.extend(behind.map(|(recorded, l)| (recorded.seq, l.recorded)));
        }
    }
    later
}

/// Whether a later import read a file of the same source that reaches into a gap.
fn fills(later: &SourceImported, import: &SourceImported, gap: &RowGap) -> bool {
    later.service == import.service
        && later.environment == import.environment
        && later.recorded > 0
        && later.first_row.is_none_or(|first| first < gap.before)
        && later.last_row.is_none_or(|last| last > gap.after)
}

fn standing(imports: &[Recorded]) -> Vec<(&Recorded, &SourceImported)> {
    imports
        .iter()
        .filter(|recorded| recorded.amended.withdrawn_by.is_none())
        .filter_map(|recorded| match recorded.known()? {
            Event::SourceImported(import) => Some((recorded, &**import)),
            _ => None,
        })
        .collect()
}

/// The numbers that imports found missing, less those that later imports brought.
fn missing_rows(imports: &[Recorded], rows: &BTreeMap<u64, Vec<u64>>) -> Vec<MissingRows> {
    let found = standing(imports);
    let mut missing: Vec<MissingRows> = Vec::new();
    for (place, (recorded, import)) in found.iter().enumerate() {
        for gap in &import.gaps {
            let behind = found.iter().skip(place + 1).filter(|(_, l)| fills(l, import, gap));
            let brought: BTreeSet<u64> = behind
                .filter_map(|(later, _)| rows.get(&later.seq))
                .flatten()
                .filter(|row| (gap.after + 1..gap.before).contains(row))
                .copied()
                .collect();
            let mut gone = MissingRows::of(recorded, gap, import);
            gone.rows = gone.rows.saturating_sub(brought.len() as u64);
            if gone.rows > 0 {
                missing.push(gone);
            }
        }
    }
    missing
}

impl MissingRows {
    fn of(recorded: &Recorded, gap: &RowGap, import: &SourceImported) -> MissingRows {
        MissingRows {
            service: import.service.clone(),
            environment: import.environment.clone(),
            file_name: import.file_name.clone(),
            after: gap.after,
            before: gap.before,
            rows: gap.before.saturating_sub(gap.after + 1),
            import: Cited::of(recorded),
        }
    }
}
