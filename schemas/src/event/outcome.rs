//! After launch: checkpoints, feedback, questions, clean-up.

use super::event;
use crate::{
    id::{FlagKey, Instant, IsoDuration, LocalDate},
    values::{Exposure, Party, Quantity, Results, Target, Window, words},
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
        /// Who has the feature now.
        list exposures: Exposure,
        /// Whether this is a launch after a rollback.
        opt relaunch: bool,
        /// Why now, in words.
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
        /// When it falls due.
        req due: Instant,
        /// The days that its results are to cover.
        opt window: Window,
    }
);

event!(
    /// A checkpoint's results were recorded: the KPI snapshot.
    CheckpointRecorded = "rollout.checkpoint.recorded.v1", true, Open {
        /// Its distance from the anchor: `P7D`, `P1M`.
        req checkpoint: IsoDuration,
        /// The launch it is counted from.
        opt anchor: Target,
        /// The days that the results were to cover.
        opt window: Window,
        /// What was observed, with KPI actuals against their goals.
        req results: Results,
    }
);

event!(
    /// A checkpoint's grace ended without results.
    CheckpointMissed = "rollout.checkpoint.missed.v1", true, Open {
        /// Its distance from the anchor: `P7D`, `P1M`.
        req checkpoint: IsoDuration,
        /// The launch it is counted from.
        opt anchor: Target,
        /// When it fell due.
        req due: Instant,
        /// The days that its results were to cover.
        opt window: Window,
    }
);

event!(
    /// Feedback came in. No person is named.
    FeedbackNoted = "rollout.feedback.noted.v1", true, Open {
        /// `contact_center`, `survey`, `interview`, ...
        req channel: String,
        /// How many voices.
        opt count: Quantity,
        /// What was said, in short. No person is named.
        req gist: String,
    }
);

event!(
    /// Someone else answers for the rollout.
    OwnershipTransferred = "rollout.ownership.transferred.v1", true, Open {
        /// Who answered for it until now.
        opt from: Party,
        /// Who answers for it from now on.
        req to: Party,
        /// Why it was handed over.
        opt reason: String,
    }
);

event!(
    /// A post-launch question was answered.
    QuestionAnswered = "rollout.question.answered.v1", true, Open {
        /// The question, in the words of the plan.
        req question: String,
        /// The answer.
        req answer: String,
        /// What became of the assumption behind it.
        opt assumption: Assumption,
    }
);

event!(
    /// Something must be cleaned up, and perhaps by when.
    CleanupPlanned = "rollout.cleanup.planned.v1", true, Open {
        /// The flag to remove.
        opt flag: FlagKey,
        /// The ticket: its number or URL.
        opt ticket: String,
        /// The day by which it is to be done.
        opt due: LocalDate,
        /// The words of the source.
        opt raw: String,
    }
);

event!(
    /// A clean-up fell due.
    CleanupDue = "rollout.cleanup.due.v1", true, Open {
        /// The flag to remove.
        opt flag: FlagKey,
        /// The ticket: its number or URL.
        opt ticket: String,
        /// When it fell due.
        req due: Instant,
    }
);

event!(
    /// A clean-up was done.
    CleanupDone = "rollout.cleanup.done.v1", true, Open {
        /// The flag that was removed.
        opt flag: FlagKey,
        /// The ticket: its number or URL.
        opt ticket: String,
    }
);
