//! What is counted of a commit: how many events are new, and which of them are about KPI snapshots.

use ledger::{Outcome, Submission};

/// An event about a KPI snapshot, as its payload spells it. Payloads are canonical, so a type has
/// one spelling; in a string its quotes would be escaped.
pub(super) struct Checkpoint {
    pub(super) name: &'static str,
    spelled: &'static [u8],
}

pub(super) const CHECKPOINTS: [Checkpoint; 3] = [
    Checkpoint { name: "due", spelled: br#""type":"rollout.checkpoint.due.v1""# },
    Checkpoint { name: "missed", spelled: br#""type":"rollout.checkpoint.missed.v1""# },
    Checkpoint { name: "recorded", spelled: br#""type":"rollout.checkpoint.recorded.v1""# },
];

/// What one commit recorded that was not recorded before.
#[derive(Debug, Default)]
pub struct Committed {
    pub(super) events: usize,
    pub(super) checkpoints: Vec<&'static str>,
}

/// What is about to be committed: where events about snapshots stand in it.
#[derive(Debug, Default)]
pub struct Committing {
    checkpoints: Vec<(usize, usize, &'static str)>,
}

impl Committing {
    /// Looks through submissions before the writer takes them.
    pub fn of(submissions: &[Submission]) -> Committing {
        let mut checkpoints = Vec::new();
        for (i, submission) in submissions.iter().enumerate() {
            for (j, draft) in submission.drafts().iter().enumerate() {
                checkpoints.extend(kind(draft.payload()).map(|name| (i, j, name)));
            }
        }
        Committing { checkpoints }
    }

    /// What came of them.
    pub fn done(&self, outcomes: &[Outcome]) -> Committed {
        let receipts = |i: usize| match outcomes.get(i) {
            Some(Outcome::Recorded(receipts)) => receipts.as_slice(),
            _ => &[],
        };
        let new = |i: usize| receipts(i).iter().filter(|receipt| !receipt.duplicate).count();
        let is_new = |i, j| receipts(i).get::<usize>(j).is_some_and(|receipt| !receipt.duplicate);
        let checkpoints = self.checkpoints.iter().filter(|(i, j, _)| is_new(*i, *j));
        Committed {
            events: (0..outcomes.len()).map(new).sum(),
            checkpoints: checkpoints.map(|(_, _, name)| *name).collect(),
        }
    }
}

fn kind(payload: &[u8]) -> Option<&'static str> {
    // Most payloads are told apart by this one pass.
    const BEGINNING: &[u8] = br#""type":"rollout.checkpoint."#;
    let at = payload.windows(BEGINNING.len()).position(|window| window == BEGINNING)?;
    let rest = payload.get(at..)?;
    CHECKPOINTS.iter().find(|known| rest.starts_with(known.spelled)).map(|known| known.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_type_of_an_event_tells_its_kind() {
        let due = br#"{"id":"a","type":"rollout.checkpoint.due.v1"}"#;
        assert_eq!(kind(due), Some("due"));
        let note = br#"{"data":{"text":"\"type\":\"rollout.checkpoint.due.v1\""},"type":"x"}"#;
        assert_eq!(kind(note), None);
        assert_eq!(kind(br#"{"type":"rollout.checkpoint.due.v2"}"#), None);
    }
}
