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
        req gate: Gate,
        /// The stage that the gate leads to.
        opt stage: StageKey,
        req verdict: Verdict,
        list decided_by: Party,
        list sign_offs: SignOff,
        /// Digest of the plan revision that was decided on.
        opt plan_revision: Sha256Hex,
        /// Seqs of the events that were looked at.
        list considered: u64,
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
        req gate: Gate,
        opt stage: StageKey,
        /// The condition, in the words of the decision.
        req condition: String,
        req outcome: ConditionOutcome,
    }
);

event!(
    /// A checklist item was ticked, unticked or ruled out.
    ChecklistItemSet = "rollout.checklist.item_set.v1", true, Open {
        req item: String,
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
        req form: CriterionForm,
        req scope: CriterionScope,
        opt stage: StageKey,
        /// `P7D`, `P1M`, ... when the scope is a checkpoint.
        opt checkpoint: String,
        opt metric: String,
        opt comparison: Comparison,
        opt threshold: Decimal,
        opt unit: String,
        opt baseline: Quantity,
        opt window: Duration,
    }
);

event!(
    /// A success criterion was held against what was observed.
    CriterionEvaluated = "rollout.criterion.evaluated.v1", true, Open {
        req criterion: String,
        req verdict: CriterionVerdict,
        opt stage: StageKey,
        opt checkpoint: String,
        opt actual: Quantity,
        opt why: String,
    }
);
