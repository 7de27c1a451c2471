//! Rollbacks: what the plan promises, and what was done.

use super::{event, measurement::Severity};
use crate::{
    id::StageKey,
    values::{Duration, Exposure, record, words},
};

words!(
    /// Why a rollback began.
    Trigger {
        Bug = "bug", Threshold = "threshold", Incident = "incident",
        FalseAlarm = "false_alarm", Precaution = "precaution",
    }
);

words!(
    /// What a step of a rollback does.
    StepKind {
        FlagOffRequested = "flag_off_requested", FlagOff = "flag_off",
        FlagReduced = "flag_reduced", TeamAlerted = "team_alerted",
        TicketCreated = "ticket_created", ThreadUpdated = "thread_updated",
        CommitReverted = "commit_reverted", FixDeployed = "fix_deployed",
        FlagReenabled = "flag_reenabled", Other = "other",
    }
);

record!(
    /// One step of a planned rollback.
    PlannedStep {
        /// Its name within the plan: `1`, `2`, ...
        req step: String,
        req kind: StepKind,
        /// The step in the plan's words.
        req text: String,
        /// What belongs to the step, in the plan's words.
        list substeps: String,
        /// How soon after the trigger.
        opt within: Duration,
    }
);

event!(
    /// How to roll back, as the plan has it. A plan may have a list for each severity.
    RollbackPlanned = "rollout.rollback.planned.v1", true, Open {
        /// What sets it off, in words.
        opt trigger: String,
        opt severity: Severity,
        list steps: PlannedStep,
        opt within: Duration,
    }
);

event!(
    /// A rollback began.
    RollbackStarted = "rollout.rollback.started.v1", true, Open {
        opt from: Exposure,
        opt to: Exposure,
        req trigger: Trigger,
        /// Seqs of what set it off.
        list triggered_by: u64,
        opt severity: Severity,
        opt stage: StageKey,
        opt reason: String,
    }
);

event!(
    /// A step of a rollback was done.
    RollbackStepCompleted = "rollout.rollback.step_completed.v1", true, Open {
        /// The plan's step, by its name within the plan.
        opt step: String,
        req kind: StepKind,
        opt text: String,
        opt link: String,
    }
);

event!(
    /// A rollback ended.
    RollbackCompleted = "rollout.rollback.completed.v1", true, Open {
        opt to: Exposure,
        opt reason: String,
    }
);

event!(
    /// The rollout went on after a rollback.
    RolloutResumed = "rollout.rollout.resumed.v1", true, Open {
        list exposures: Exposure,
        opt stage: StageKey,
        opt reason: String,
    }
);
