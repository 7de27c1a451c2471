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
        req stage: StageKey,
        /// The phase it belongs to, in the plan's words.
        opt phase: String,
        req label: String,
        /// Its place in the plan, from 1.
        req ordinal: u64,
        list exposures: Exposure,
        opt window: Window,
        opt length: Duration,
        opt minimum: Duration,
        opt minimum_clause: Clause,
        /// What must hold before the next stage.
        list exit_criteria: String,
    }
);

event!(
    /// A stage's plan changed.
    StageReplanned = "rollout.stage.replanned.v1", true, Open {
        req stage: StageKey,
        opt phase: String,
        req label: String,
        req ordinal: u64,
        list exposures: Exposure,
        opt window: Window,
        opt length: Duration,
        opt minimum: Duration,
        opt minimum_clause: Clause,
        list exit_criteria: String,
        opt reason: String,
    }
);

event!(
    /// A stage began. A stage may be attempted more than once.
    StageStarted = "rollout.stage.started.v1", true, Open {
        req stage: StageKey,
        /// Which attempt, from 1; absent for the next one.
        opt attempt: u64,
        /// What was really exposed.
        list exposures: Exposure,
        opt reason: String,
    }
);

event!(
    /// A stage was paused.
    StageHeld = "rollout.stage.held.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        opt reason: String,
    }
);

event!(
    /// A paused stage went on.
    StageResumed = "rollout.stage.resumed.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        opt reason: String,
    }
);

event!(
    /// The exposure of a running stage was changed.
    StageRetargeted = "rollout.stage.retargeted.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        list exposures: Exposure,
        opt reason: String,
    }
);

event!(
    /// A stage ended as meant.
    StageCompleted = "rollout.stage.completed.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        list exposures: Exposure,
        opt reason: String,
    }
);

event!(
    /// A stage was left out.
    StageSkipped = "rollout.stage.skipped.v1", true, Open {
        req stage: StageKey,
        opt reason: String,
    }
);

event!(
    /// A stage was given up.
    StageCancelled = "rollout.stage.cancelled.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        opt reason: String,
    }
);

event!(
    /// What a stage showed. Says neither that it began nor that it ended.
    StageResultsRecorded = "rollout.stage.results_recorded.v1", true, Open {
        req stage: StageKey,
        opt attempt: u64,
        req results: Results,
    }
);
