//! After launch: checkpoints, feedback, questions, clean-up.

use super::event;
use crate::{
    id::{FlagKey, Instant, IsoDuration, LocalDate},
    values::{Exposure, Party, Quantity, Results, Target, words},
};

words!(
    /// What became of an assumption.
    Assumption {
        Validated = "validated", NotValidated = "not", NotApplicable = "not_applicable",
    }
);

event!(
    /// The feature reached everyone it is meant for. Anchors the checkpoints.
    RolloutLaunched = "rollout.rollout.launched.v1", true, Open {
        list exposures: Exposure,
        /// Whether this is a launch after a rollback.
        opt relaunch: bool,
        opt reason: String,
    }
);

event!(
    /// A checkpoint fell due.
    CheckpointDue = "rollout.checkpoint.due.v1", true, Open {
        /// Its distance from the anchor: `P7D`, `P1M`.
        req checkpoint: IsoDuration,
        /// The launch it is counted from.
        opt anchor: Target,
        req due: Instant,
    }
);

event!(
    /// A checkpoint's results were recorded: the KPI snapshot.
    CheckpointRecorded = "rollout.checkpoint.recorded.v1", true, Open {
        req checkpoint: IsoDuration,
        opt anchor: Target,
        req results: Results,
    }
);

event!(
    /// A checkpoint's grace ended without results.
    CheckpointMissed = "rollout.checkpoint.missed.v1", true, Open {
        req checkpoint: IsoDuration,
        opt anchor: Target,
        req due: Instant,
    }
);

event!(
    /// Feedback came in. No person is named.
    FeedbackNoted = "rollout.feedback.noted.v1", true, Open {
        /// `contact_center`, `survey`, `interview`, ...
        req channel: String,
        opt count: Quantity,
        req gist: String,
    }
);

event!(
    /// Someone else answers for the rollout.
    OwnershipTransferred = "rollout.ownership.transferred.v1", true, Open {
        opt from: Party,
        req to: Party,
        opt reason: String,
    }
);

event!(
    /// A post-launch question was answered.
    QuestionAnswered = "rollout.question.answered.v1", true, Open {
        req question: String,
        req answer: String,
        opt assumption: Assumption,
    }
);

event!(
    /// Something must be cleaned up, and perhaps by when.
    CleanupPlanned = "rollout.cleanup.planned.v1", true, Open {
        opt flag: FlagKey,
        opt ticket: String,
        opt due: LocalDate,
        /// The words of the source.
        opt raw: String,
    }
);

event!(
    /// A clean-up fell due.
    CleanupDue = "rollout.cleanup.due.v1", true, Open {
        opt flag: FlagKey,
        opt ticket: String,
        req due: Instant,
    }
);

event!(
    /// A clean-up was done.
    CleanupDone = "rollout.cleanup.done.v1", true, Open {
        opt flag: FlagKey,
        opt ticket: String,
    }
);
