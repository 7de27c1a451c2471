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
        /// Its name, as the plan spells it.
        req metric: String,
        /// What it counts, in words.
        opt description: String,
        /// The group it stands in: `Engineering`, `User-facing`.
        opt group: String,
        /// What kind of number it is.
        opt kind: MetricKind,
        /// What the number counts: `%`, `users`, `seconds`.
        opt unit: String,
        /// Where it is read.
        opt source: String,
        /// The query that reads it there.
        opt query: String,
    }
);

event!(
    /// A metric means something else from now on.
    MetricRedefined = "rollout.metric.redefined.v1", true, Open {
        /// Its name, as the plan spells it.
        req metric: String,
        /// What it counts from now on, in words.
        opt description: String,
        /// The group it stands in: `Engineering`, `User-facing`.
        opt group: String,
        /// What kind of number it is.
        opt kind: MetricKind,
        /// What the number counts: `%`, `users`, `seconds`.
        opt unit: String,
        /// Where it is read: `Datadog`, `Google Analytics`.
        opt source: String,
        /// The query that reads it there.
        opt query: String,
        /// Why its meaning changed.
        req reason: String,
    }
);

event!(
    /// A metric was read.
    MetricObserved = "rollout.metric.observed.v1", true, Open {
        /// The metric, by the plan's own name.
        req metric: String,
        /// The number.
        opt quantity: Quantity,
        /// Instead of one number, a number for each category.
        list categories: CategoryCount,
        /// The stage that the number is about.
        opt stage: StageKey,
        /// Which attempt of the stage, from 1.
        opt attempt: u64,
        /// `P7D`, `P1M`, ...; or `baseline`.
        opt checkpoint: String,
        /// Where it was read: `Datadog`, `Google Analytics`.
        opt source: String,
        /// The earlier observation that this one replaces. Both stay visible.
        opt restates: Target,
    }
);

event!(
    /// A monitor went off.
    AlertRaised = "rollout.alert.raised.v1", true, Open {
        /// The name of the monitor.
        req monitor: String,
        /// Links the alert to its end.
        opt incident: String,
        /// How bad it is.
        opt severity: Severity,
        /// What it says, in one line.
        opt title: String,
        /// Where to read more: a URL.
        opt link: String,
        /// The stage that ran then.
        opt stage: StageKey,
    }
);

event!(
    /// A monitor calmed down.
    AlertCleared = "rollout.alert.cleared.v1", true, Open {
        /// The name of the monitor.
        req monitor: String,
        /// The key that the alert was raised with.
        opt incident: String,
        /// How bad it was.
        opt severity: Severity,
        /// Where to read more: a URL.
        opt link: String,
        /// The stage that ran then.
        opt stage: StageKey,
    }
);

event!(
    /// Errors were seen.
    ErrorObserved = "rollout.error.observed.v1", true, Open {
        /// Code or type.
        req code: String,
        /// Where it happened: `POST /v0/forms`.
        opt endpoint: String,
        /// How many were seen.
        opt count: Quantity,
        /// The stage that ran then.
        opt stage: StageKey,
    }
);

event!(
    /// A service behind the feature was affected.
    DownstreamAffected = "rollout.downstream.affected.v1", true, Open {
        /// Which service behind the feature.
        req service: String,
        /// What happened, in words.
        opt detail: String,
        /// The stage that ran then.
        opt stage: StageKey,
    }
);

event!(
    /// A bug was found.
    BugFound = "rollout.bug.found.v1", true, Open {
        /// Its id within the rollout: a ticket number, or any name.
        req bug: String,
        /// What goes wrong, in one line.
        req title: String,
        /// Where it is tracked: a URL.
        opt link: String,
        /// The stage it was found in.
        opt stage: StageKey,
        /// The checkpoint it was found at: `P7D`, `P1M`.
        opt checkpoint: String,
        /// How bad it is.
        opt severity: Severity,
        /// Whether it must be fixed before the launch.
        opt launch_blocking: bool,
        /// What caused it, in words.
        opt root_cause: String,
        /// What the source says became of it. No proof that it was fixed.
        opt resolution: String,
    }
);

event!(
    /// A bug was put off.
    BugDeferred = "rollout.bug.deferred.v1", true, Open {
        /// The id that it was found under.
        req bug: String,
        /// Until when or until what.
        opt until: String,
        /// Why it may wait.
        opt reason: String,
        /// Where to read more: a URL.
        opt link: String,
    }
);

event!(
    /// A bug was fixed.
    BugFixed = "rollout.bug.fixed.v1", true, Open {
        /// The id that it was found under.
        req bug: String,
        /// What caused it, in words.
        opt root_cause: String,
        /// How it was fixed, in words.
        opt resolution: String,
        /// The change that fixed it: a URL.
        opt link: String,
    }
);

event!(
    /// A fix was seen to work.
    BugVerified = "rollout.bug.verified.v1", true, Open {
        /// The id that it was found under.
        req bug: String,
        /// How that was seen.
        opt detail: String,
        /// Where to read more: a URL.
        opt link: String,
    }
);

event!(
    /// A bug is said to be none, or could not be reproduced.
    BugDisputed = "rollout.bug.disputed.v1", true, Open {
        /// The id that it was found under.
        req bug: String,
        /// Why it is said to be none.
        opt reason: String,
        /// Where to read more: a URL.
        opt link: String,
    }
);
