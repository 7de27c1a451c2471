//! Flags: which belong to a rollout, and every change that the flag service recorded.

use super::event;
use crate::{
    id::{FlagKey, Instant, Sha256Hex},
    values::{FlagState, record, words},
};

words!(
    /// What a flag does for a rollout.
    FlagRole {
        Rollout = "rollout", KillSwitch = "kill_switch", Prerequisite = "prerequisite",
        Guard = "guard",
    }
);

words!(
    /// What was done to a flag, in the flag service's words.
    FlagOperation {
        Add = "add", Remove = "remove", Clear = "clear", Enable = "enable", Disable = "disable",
    }
);

words!(
    /// Which gate of the flag.
    FlagGate {
        Boolean = "boolean", Actor = "actor", Group = "group",
        PercentageOfActors = "percentage_of_actors", PercentageOfTime = "percentage_of_time",
        Expression = "expression",
    }
);

event!(
    /// A flag belongs to a rollout.
    FlagRegistered = "rollout.flag.registered.v1", true, Open {
        /// The flag, as the flag service spells it.
        req key: FlagKey,
        /// From when it counts for the rollout; before that its changes do not.
        opt valid_from: Instant,
        /// What the service's actors are: `user`, `cookie_id`.
        opt actor_type: String,
        /// What the flag does for the rollout.
        req role: FlagRole,
        /// What the flag does, in words.
        opt description: String,
    }
);

event!(
    /// A flag was removed for good.
    FlagRetired = "rollout.flag.retired.v1", false, Open {
        /// The flag, as the flag service spells it.
        req key: FlagKey,
        /// Why it was removed.
        opt reason: String,
    }
);

event!(
    /// The flag service recorded a change.
    FlagChanged = "rollout.flag.changed.v1", false, Open {
        /// The flag, as the flag service spells it.
        req key: FlagKey,
        /// What was done.
        req operation: FlagOperation,
        /// Absent for add, remove and clear.
        opt gate: FlagGate,
        /// The value as the service wrote it; for an actor, its pseudonym.
        opt value: String,
        /// The state before, if known.
        opt before: FlagState,
        /// The state afterwards, if known.
        opt after: FlagState,
        /// Which flag service.
        req service: String,
        /// Which environment: `production`, `staging`.
        req environment: String,
        /// Which platform: `web`, `ios`, `android`.
        opt platform: String,
        /// The service's own number of the change. States fold in this order.
        opt row: u64,
        /// Why it was changed, in words.
        opt reason: String,
    }
);

event!(
    /// The flag service says something else than the recorded changes add up to.
    FlagDrifted = "rollout.flag.drifted.v1", false, Open {
        /// The flag, as the flag service spells it.
        req key: FlagKey,
        /// Which flag service.
        req service: String,
        /// Which environment: `production`, `staging`.
        req environment: String,
        /// The state that the recorded changes add up to.
        req by_events: FlagState,
        /// The state that the service tells.
        req by_service: FlagState,
    }
);

record!(
    /// Numbers that are missing between two rows. They may be rows of a failed write.
    RowGap {
        /// The row before the gap.
        req after: u64,
        /// The row behind it.
        req before: u64,
    }
);

record!(
    /// A row that was not recorded.
    RowRefusal {
        /// Its number in the source, or its place in the file, from 1, if it has none.
        req row: u64,
        /// The rule that refused it.
        req rule: String,
    }
);

event!(
    /// A batch of rows was taken from a flag service's log. The last event of the batch.
    SourceImported = "rollout.source.imported.v1", false, Open {
        /// Which flag service.
        req service: String,
        /// Which environment: `production`, `staging`.
        req environment: String,
        /// The name of the file, without its folder.
        req file_name: String,
        /// SHA-256 of the file.
        req file_sha256: Sha256Hex,
        /// The least row number in the file.
        opt first_row: u64,
        /// The greatest row number in the file.
        opt last_row: u64,
        /// Rows in the file.
        req rows: u64,
        /// Rows recorded by this batch; the others were known.
        req recorded: u64,
        /// Row numbers that are missing.
        list gaps: RowGap,
        /// Rows that were not recorded, and why.
        list refusals: RowRefusal,
        /// What the exporter says it left out.
        opt filter: String,
    }
);
