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
        /// The name of the file, without its folder.
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
        /// What a reader of the plan should look at.
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
        /// Whether the file changed or the reader.
        req reason: RevisionReason,
        /// The name of the file, without its folder.
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
        /// What a reader of the plan should look at.
        list warnings: PlanWarning,
        /// What was withheld before recording.
        list redactions: Redaction,
        /// Field by field, what differs from the revision before.
        list differences: PlanDifference,
    }
);

event!(
    /// What is released, and how.
    ReleaseDefined = "rollout.release.defined.v1", true, Open {
        /// What is released, in the words of the plan.
        req title: String,
        /// How the feature reaches its users.
        req kind: ReleaseKind,
        /// Who answers for the release.
        list owners: Party,
        /// Who watches the dashboards.
        list monitors: Party,
        /// Why the release is not staged, when it is not.
        opt why_not_staged: String,
        /// The zone that the plan's local dates are in.
        opt time_zone: TimeZoneName,
    }
);
