//! Decisions: gates, their conditions, checklists and success criteria.

use super::event;
use crate::{
    id::{Decimal, Sha256Hex, StageKey},
    values::{Duration, Party, Quantity, SignOff, words},
};

words!(
    /// What a gate lets through.
    Gate { Pilot = "pilot", Launch = "launch", Stage = "stage", Relaunch = "relaunch" }
);

words!(
    /// What was decided at a gate.
    Verdict { Go = "go", NoGo = "no_go", Conditional = "conditional", Deferred = "deferred" }
);

words!(
    /// What became of a condition.
    ConditionOutcome { Met = "met", Failed = "failed", Waived = "waived" }
);

words!(
    /// The state of a checkbox.
    ItemState { Done = "done", Open = "open", NotApplicable = "not_applicable" }
);

words!(
    /// What form a success criterion has.
    CriterionForm {
        Threshold = "threshold", Change = "change", BaselineRange = "baseline_range",
        Presence = "presence", Qualitative = "qualitative", Unspecified = "unspecified",
    }
);

words!(
    /// What a criterion is set for.
    CriterionScope { Stage = "stage", Launch = "launch", Checkpoint = "checkpoint" }
);

words!(
    /// How a number is compared with a threshold.
    Comparison { Lt = "lt", Le = "le", Eq = "eq", Ge = "ge", Gt = "gt" }
);

words!(
    /// How a criterion came out.
    CriterionVerdict { Met = "met", Missed = "missed", Overridden = "overridden" }
);

event!(
    /// Someone decided whether to go on.
    GateDecided = "rollout.gate.decided.v1", true, Open {
        /// Which gate.
        req gate: Gate,
        /// The stage that the gate leads to.
        opt stage: StageKey,
        /// What was decided.
        req verdict: Verdict,
        /// Who decided.
        list decided_by: Party,
        /// What each party said.
        list sign_offs: SignOff,
        /// Digest of the plan revision that was decided on.
        opt plan_revision: Sha256Hex,
        /// Seqs of the events that were looked at.
        list considered: u64,
        /// What stands in the way, in words.
        list blockers: String,
        /// What must hold for a conditional go.
        list conditions: String,
        /// The words of the source.
        opt raw: String,
    }
);

event!(
    /// A condition of a go came out.
    GateConditionResolved = "rollout.gate.condition_resolved.v1", true, Open {
        /// Which gate.
        req gate: Gate,
        /// The stage that the gate leads to.
        opt stage: StageKey,
        /// The condition, in the words of the decision.
        req condition: String,
        /// What became of the condition.
        req outcome: ConditionOutcome,
    }
);

event!(
    /// A checklist item was ticked, unticked or ruled out.
    ChecklistItemSet = "rollout.checklist.item_set.v1", true, Open {
        /// The item, in the words of the plan.
        req item: String,
        /// Done, open or not applicable.
        req state: ItemState,
        /// Under which heading of the plan.
        opt section: String,
    }
);

event!(
    /// A success criterion was set.
    CriterionSet = "rollout.criterion.set.v1", true, Open {
        /// Stable name within the rollout.
        req criterion: String,
        /// The criterion in words.
        req text: String,
        /// What form it has.
        req form: CriterionForm,
        /// What it is set for.
        req scope: CriterionScope,
        /// The stage that it must hold in, when the scope is a stage.
        opt stage: StageKey,
        /// `P7D`, `P1M`, ... when the scope is a checkpoint.
        opt checkpoint: String,
        /// The metric, by the plan's own name.
        opt metric: String,
        /// How the metric is compared with the threshold.
        opt comparison: Comparison,
        /// The number to compare with.
        opt threshold: Decimal,
        /// What the number counts: `%`, `users`, `seconds`.
        opt unit: String,
        /// The value before the release.
        opt baseline: Quantity,
        /// How long it must hold.
        opt window: Duration,
    }
);

event!(
    /// A success criterion was held against what was observed.
    CriterionEvaluated = "rollout.criterion.evaluated.v1", true, Open {
        /// The stable name of the criterion within the rollout.
        req criterion: String,
        /// How it came out.
        req verdict: CriterionVerdict,
        /// The stage that was looked at.
        opt stage: StageKey,
        /// The checkpoint that was looked at: `P7D`, `P1M`.
        opt checkpoint: String,
        /// What was observed.
        opt actual: Quantity,
        /// Why it came out so, in words.
        opt why: String,
    }
);
