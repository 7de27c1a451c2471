//! The plan file and what is released.

use super::event;
use crate::{
    id::{EntryHash, Sha256Hex, TimeZoneName},
    values::{Party, PlanDifference, PlanField, PlanWarning, Redaction, words},
};

words!(
    /// Why there is a new revision of a plan.
    RevisionReason {
        /// The file changed.
        File = "file",
        /// A better reader read the same bytes.
        Reader = "reader",
    }
);

words!(
    /// How the feature reaches its users.
    ReleaseKind {
        Flag = "flag", Allowlist = "allowlist", Content = "content",
        Deactivation = "deactivation", Migration = "migration", Email = "email",
        Mobile = "mobile", Process = "process",
    }
);

event!(
    /// A plan file was imported for the first time.
    PlanImported = "rollout.plan.imported.v1", true, Open {
        /// Which revision this is; the first is 1.
        req revision: u64,
        req file_name: String,
        /// The commit that the file was taken from.
        opt commit: String,
        /// SHA-256 of the text's bytes.
        req digest: Sha256Hex,
        /// The whole file.
        req text: String,
        /// The version of the reader that understood it.
        req reader_version: u64,
        /// Everything understood, blank or not understood.
        list fields: PlanField,
        list warnings: PlanWarning,
        /// What was withheld before recording.
        list redactions: Redaction,
    }
);

event!(
    /// A plan file that was imported before changed, or was read better.
    PlanRevised = "rollout.plan.revised.v1", true, Open {
        /// Which revision this is; the first import was 1.
        req revision: u64,
        /// Seq of the revision before.
        req predecessor: u64,
        /// Hash of the revision before.
        opt predecessor_hash: EntryHash,
        req reason: RevisionReason,
        req file_name: String,
        opt commit: String,
        req digest: Sha256Hex,
        req text: String,
        req reader_version: u64,
        list fields: PlanField,
        list warnings: PlanWarning,
        list redactions: Redaction,
        /// Field by field, what differs from the revision before.
        list differences: PlanDifference,
    }
);

event!(
    /// What is released, and how.
    ReleaseDefined = "rollout.release.defined.v1", true, Open {
        req title: String,
        req kind: ReleaseKind,
        list owners: Party,
        list monitors: Party,
        /// Why the release is not staged, when it is not.
        opt why_not_staged: String,
        /// The zone that the plan's local dates are in.
        opt time_zone: TimeZoneName,
    }
);
