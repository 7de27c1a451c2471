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
        /// What the step does.
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
        /// For which severity these steps are; absent for all.
        opt severity: Severity,
        /// The steps, in their order.
        list steps: PlannedStep,
        /// How soon after the trigger all of it must be done.
        opt within: Duration,
    }
);

event!(
    /// A rollback began.
    RollbackStarted = "rollout.rollback.started.v1", true, Open {
        /// Who had the feature before.
        opt from: Exposure,
        /// Who keeps the feature.
        opt to: Exposure,
        /// What set it off.
        req trigger: Trigger,
        /// Seqs of what set it off.
        list triggered_by: u64,
        /// How bad it is.
        opt severity: Severity,
        /// The stage that was rolled back.
        opt stage: StageKey,
        /// Why, in words.
        opt reason: String,
    }
);

event!(
    /// A step of a rollback was done.
    RollbackStepCompleted = "rollout.rollback.step_completed.v1", true, Open {
        /// The plan's step, by its name within the plan.
        opt step: String,
        /// What the step does.
        req kind: StepKind,
        /// What was done, in words.
        opt text: String,
        /// Where it can be seen: a URL.
        opt link: String,
    }
);

event!(
    /// A rollback ended.
    RollbackCompleted = "rollout.rollback.completed.v1", true, Open {
        /// Who has the feature now.
        opt to: Exposure,
        /// How it ended, in words.
        opt reason: String,
    }
);

event!(
    /// The rollout went on after a rollback.
    RolloutResumed = "rollout.rollout.resumed.v1", true, Open {
        /// Who gets the feature again.
        list exposures: Exposure,
        /// The stage that it goes on with.
        opt stage: StageKey,
        /// Why it may go on.
        opt reason: String,
    }
);
