//! Stages: planned, started, held, retargeted, ended, and what they showed.

use super::event;
use crate::{
    id::StageKey,
    values::{Duration, Exposure, Results, Window, words},
};

words!(
    /// Whose clause a planned minimum is.
    Clause {
        /// The plan's own.
        Plan = "plan",
        /// The template's text, which nobody decided.
        Guidance = "guidance",
        /// The organisation's.
        Policy = "policy",
    }
);

event!(
    /// A stage as the plan has it.
    StagePlanned = "rollout.stage.planned.v1", true, Open {
        /// The key that names it for ever: `uat`, `stage-a`.
        req stage: StageKey,
        /// The phase it belongs to, in the plan's words.
        opt phase: String,
        /// Its label, in the words of the plan.
        req label: String,
        /// Its place in the plan, from 1.
        req ordinal: u64,
        /// Who is to get the feature.
        list exposures: Exposure,
        /// The days that it is planned for.
        opt window: Window,
        /// How long it is to run.
        opt length: Duration,
        /// The least time that it must run.
        opt minimum: Duration,
        /// Whose clause the minimum is.
        opt minimum_clause: Clause,
        /// What must hold before the next stage.
        list exit_criteria: String,
    }
);

event!(
    /// A stage's plan changed.
    StageReplanned = "rollout.stage.replanned.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// The phase it belongs to, in the plan's words.
        opt phase: String,
        /// Its label, in the words of the plan.
        req label: String,
        /// Its place in the plan, from 1.
        req ordinal: u64,
        /// Who is to get the feature.
        list exposures: Exposure,
        /// The days that it is planned for.
        opt window: Window,
        /// How long it is to run.
        opt length: Duration,
        /// The least time that it must run.
        opt minimum: Duration,
        /// Whose clause the minimum is.
        opt minimum_clause: Clause,
        /// What must hold before the next stage.
        list exit_criteria: String,
        /// Why the plan changed.
        opt reason: String,
    }
);

event!(
    /// A stage began. A stage may be attempted more than once.
    StageStarted = "rollout.stage.started.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt, from 1; absent for the next one.
        opt attempt: u64,
        /// What was really exposed.
        list exposures: Exposure,
        /// Why it began, in words.
        opt reason: String,
    }
);

event!(
    /// A stage was paused.
    StageHeld = "rollout.stage.held.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who keeps the feature meanwhile.
        list exposures: Exposure,
        /// Why it was paused.
        opt reason: String,
    }
);

event!(
    /// A paused stage went on.
    StageResumed = "rollout.stage.resumed.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who gets the feature now.
        list exposures: Exposure,
        /// Why it may go on.
        opt reason: String,
    }
);

event!(
    /// The exposure of a running stage was changed.
    StageRetargeted = "rollout.stage.retargeted.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who gets the feature now.
        list exposures: Exposure,
        /// Why the exposure was changed.
        opt reason: String,
    }
);

event!(
    /// A stage ended as meant.
    StageCompleted = "rollout.stage.completed.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who had the feature at its end.
        list exposures: Exposure,
        /// Why it ended, in words.
        opt reason: String,
    }
);

event!(
    /// A stage was left out.
    StageSkipped = "rollout.stage.skipped.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who has the feature instead.
        list exposures: Exposure,
        /// Why it was left out.
        opt reason: String,
    }
);

event!(
    /// A stage was given up.
    StageCancelled = "rollout.stage.cancelled.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// Who keeps the feature afterwards.
        list exposures: Exposure,
        /// Why it was given up.
        opt reason: String,
    }
);

event!(
    /// What a stage showed. Says neither that it began nor that it ended.
    StageResultsRecorded = "rollout.stage.results_recorded.v1", true, Open {
        /// The key of the stage: `uat`, `stage-a`.
        req stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// What the stage showed.
        req results: Results,
    }
);
