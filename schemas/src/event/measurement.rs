//! What was measured and what went wrong: metrics, alerts, errors, bugs.

use super::event;
use crate::{
    id::StageKey,
    values::{CategoryCount, Quantity, Target, words},
};

words!(
    /// What kind of number a metric is.
    MetricKind {
        Count = "count", Ratio = "ratio", Duration = "duration", Categories = "categories",
    }
);

words!(
    /// How bad.
    Severity { Critical = "critical", High = "high", Medium = "medium", Low = "low" }
);

event!(
    /// A metric and what it means.
    MetricDefined = "rollout.metric.defined.v1", true, Open {
        req metric: String,
        opt description: String,
        /// The group it stands in: `Engineering`, `User-facing`.
        opt group: String,
        opt kind: MetricKind,
        opt unit: String,
        /// Where it is read.
        opt source: String,
        opt query: String,
    }
);

event!(
    /// A metric means something else from now on.
    MetricRedefined = "rollout.metric.redefined.v1", true, Open {
        req metric: String,
        opt description: String,
        opt group: String,
        opt kind: MetricKind,
        opt unit: String,
        opt source: String,
        opt query: String,
        req reason: String,
    }
);

event!(
    /// A metric was read.
    MetricObserved = "rollout.metric.observed.v1", true, Open {
        req metric: String,
        opt quantity: Quantity,
        /// Instead of one number, a number for each category.
        list categories: CategoryCount,
        opt stage: StageKey,
        opt attempt: u64,
        /// `P7D`, `P1M`, ...; or `baseline`.
        opt checkpoint: String,
        opt source: String,
        /// The earlier observation that this one replaces. Both stay visible.
        opt restates: Target,
    }
);

event!(
    /// A monitor went off.
    AlertRaised = "rollout.alert.raised.v1", true, Open {
        req monitor: String,
        /// Links the alert to its end.
        opt incident: String,
        opt severity: Severity,
        opt title: String,
        opt link: String,
        opt stage: StageKey,
    }
);

event!(
    /// A monitor calmed down.
    AlertCleared = "rollout.alert.cleared.v1", true, Open {
        req monitor: String,
        opt incident: String,
        opt link: String,
        opt stage: StageKey,
    }
);

event!(
    /// Errors were seen.
    ErrorObserved = "rollout.error.observed.v1", true, Open {
        /// Code or type.
        req code: String,
        opt endpoint: String,
        opt count: Quantity,
        opt stage: StageKey,
    }
);

event!(
    /// A service behind the feature was affected.
    DownstreamAffected = "rollout.downstream.affected.v1", true, Open {
        req service: String,
        opt detail: String,
        opt stage: StageKey,
    }
);

event!(
    /// A bug was found.
    BugFound = "rollout.bug.found.v1", true, Open {
        /// Its id within the rollout: a ticket number, or any name.
        req bug: String,
        req title: String,
        opt link: String,
        opt stage: StageKey,
        opt checkpoint: String,
        opt severity: Severity,
        opt launch_blocking: bool,
        opt root_cause: String,
        /// What the source says became of it. No proof that it was fixed.
        opt resolution: String,
    }
);

event!(
    /// A bug was put off.
    BugDeferred = "rollout.bug.deferred.v1", true, Open {
        req bug: String,
        opt until: String,
        opt reason: String,
        opt link: String,
    }
);

event!(
    /// A bug was fixed.
    BugFixed = "rollout.bug.fixed.v1", true, Open {
        req bug: String,
        opt resolution: String,
        opt link: String,
    }
);

event!(
    /// A fix was seen to work.
    BugVerified = "rollout.bug.verified.v1", true, Open {
        req bug: String,
        opt detail: String,
        opt link: String,
    }
);

event!(
    /// A bug is said to be none, or could not be reproduced.
    BugDisputed = "rollout.bug.disputed.v1", true, Open {
        req bug: String,
        opt reason: String,
        opt link: String,
    }
);
