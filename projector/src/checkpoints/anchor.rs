//! What the checkpoints are counted from: the launch, the moment at which everyone had the feature,
//! or the relaunch.
//!
//! A plan says it in the heading of the snapshot (`1-week results at 100%`), which the reader keeps
//! as the field `checkpoints/P7D/anchor`. What it does not say is counted from the launch. An event
//! of unknown time anchors nothing.

use serde::Serialize;

use crate::{
    recorded::Moment,
    rollout::{Fact, MoveKind, Rollout, exposure},
};

/// The share of everyone, in basis points.
const EVERYONE_BP: u32 = 10_000;

/// What a plan counts a checkpoint from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountedFrom {
    /// Every `rollout.launched`, a relaunch too.
    Launch,
    /// The event by which it reached 100 %: a stage, or the launch if no stage did before. Again
    /// after it was less, and after a relaunch.
    Everyone,
    /// A launch that is marked as a relaunch, and no other.
    Relaunch,
}

/// The event that a checkpoint is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub seq: u64,
    pub time: Moment,
}

impl CountedFrom {
    /// What the newest plan counts a checkpoint from.
    pub(crate) fn of(rollout: &Rollout, checkpoint: &str) -> CountedFrom {
        let path = format!("checkpoints/{checkpoint}/anchor");
        let said = rollout.plan.newest().and_then(|r| r.fields.iter().find(|f| f.path == path));
        said.map_or(CountedFrom::Launch, |field| CountedFrom::named(&field.raw))
    }

    /// What words name.
    pub fn named(words: &str) -> CountedFrom {
        let words = words.to_lowercase();
        let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
        if has(&["relaunch", "re-launch", "re-release", "rerelease"]) {
            CountedFrom::Relaunch
        } else if has(&["100%", "100 %", "100 percent"]) {
            CountedFrom::Everyone
        } else {
            CountedFrom::Launch
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            CountedFrom::Launch => "the launch",
            CountedFrom::Everyone => "100 %",
            CountedFrom::Relaunch => "the relaunch",
        }
    }

    /// Everything that anchored, in order of time; the last holds.
    pub(crate) fn anchors(self, rollout: &Rollout) -> Vec<Anchor> {
        let launches = rollout.outcome.launches.iter();
        let wanted = |relaunch: Option<bool>| match self {
            CountedFrom::Relaunch => relaunch == Some(true),
            _ => true,
        };
        match self {
            CountedFrom::Everyone => everyone(rollout),
            CountedFrom::Launch | CountedFrom::Relaunch => launches
                .filter(|launch| wanted(launch.value.relaunch))
                .filter_map(|launch| Some(Anchor { seq: launch.seq(), time: launch.time()? }))
                .collect(),
        }
    }
}

/// Every event by which the rollout came to 100 %.
fn everyone(rollout: &Rollout) -> Vec<Anchor> {
    use MoveKind::{
        Cancelled, Completed, Held, Launched, Resumed, Retargeted, RollbackCompleted,
        RollbackStarted, Started, WentOn,
    };
    let relaunches = rollout.outcome.launches.iter().filter(|l| l.value.relaunch == Some(true));
    let relaunches: Vec<u64> = relaunches.map(Fact::seq).collect();
    let mut anchors = Vec::new();
    // Whether an anchor stands for the present run at 100 %.
    let mut anchored = false;
    for step in &rollout.moves {
        let share = exposure::share_bp(&rollout.exposures_of(step));
        let full = match step.kind {
            RollbackStarted | RollbackCompleted | Cancelled => false,
            // At 100 % or its equivalent, whatever it says of percentages.
            Launched => {
                anchored &= !relaunches.contains(&step.seq);
                true
            }
            Started | Retargeted | WentOn | Completed => match share {
                Some(share) => share == EVERYONE_BP,
                None => continue,
            },
            Held | Resumed => continue,
        };
        if let (true, false, Some(time)) = (full, anchored, step.time) {
            anchors.push(Anchor { seq: step.seq, time });
        }
        anchored = full && (anchored || step.time.is_some());
    }
    anchors
}
