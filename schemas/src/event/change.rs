//! Events about events: confirmed, corrected, withdrawn, redacted; notes.

use super::event;
use crate::values::{AnyObject, Party, Target};

event!(
    /// An imported value was confirmed.
    ValueConfirmed = "rollout.value.confirmed.v1", false, Open {
        /// The entry whose value is confirmed.
        req target: Target,
        /// Who confirms it.
        req by: Party,
        /// What confirms it: `Datadog`, `the release log`.
        req source: String,
    }
);

event!(
    /// An event was wrong. Views show the replacement and keep the first visible.
    EventCorrected = "rollout.event.corrected.v1", false, Open {
        /// The entry that was wrong.
        req target: Target,
        /// The whole data of the target's type.
        req replacement: AnyObject,
        /// What was wrong with it.
        req reason: String,
        /// Who approved it.
        list approvers: Party,
    }
);

event!(
    /// An event should not have been recorded. It stays visible as withdrawn.
    EventWithdrawn = "rollout.event.withdrawn.v1", false, Open {
        /// The entry that should not have been recorded.
        req target: Target,
        /// Why it should not have been recorded.
        req reason: String,
        /// Who approved it.
        list approvers: Party,
    }
);

event!(
    /// An event's payload was erased by law. Its header stays and the chain still verifies.
    EventRedacted = "rollout.event.redacted.v1", false, Own {
        /// The entry whose payload was erased.
        req target: Target,
        /// The erased event's `source`.
        req source: String,
        /// The erased event's `id`.
        req id: String,
        /// Why it was erased: the law or the request.
        req reason: String,
        /// Who approved it.
        list approvers: Party,
    }
);

event!(
    /// A note.
    NoteAdded = "rollout.note.added.v1", false, Open {
        /// The note.
        req text: String,
        /// Where to read more: a URL.
        opt link: String,
    }
);
