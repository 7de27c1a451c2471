//! The questions that an auditor always asks, ready made: one pure fold over events for each.
//!
//! No clock, no log, no index: whoever asks brings the events, and the present as an argument. Every
//! answer names the events that it rests on by seq and hash, so that each can be looked up and
//! checked without this code.

pub mod approvals;
pub mod considered;
pub mod gaps;
pub mod restated;
pub mod silence;
pub mod state;
#[cfg(test)]
mod tests;
pub mod trail;
pub mod who_changed;

pub use approvals::Approvals;
pub use gaps::Gaps;
pub use restated::Restated;
pub use state::State;
pub use trail::Trail;
pub use who_changed::WhoChanged;

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event,
    values::{Basis, Party},
};
use serde::Serialize;

use crate::{
    recorded::{Moment, Read, Recorded},
    timeline,
};

/// An entry that an answer rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cited {
    pub seq: u64,
    /// The entry's hash, 64 hexadecimal digits.
    pub hash: String,
}

impl Cited {
    pub fn of(recorded: &Recorded) -> Cited {
        Cited { seq: recorded.seq, hash: recorded.hash.clone() }
    }
}

/// The events at hand by seq, and which of them an answer has named.
struct Citations<'a> {
    events: BTreeMap<u64, &'a Recorded>,
    named: BTreeSet<u64>,
}

impl<'a> Citations<'a> {
    fn of(events: &'a [Recorded]) -> Citations<'a> {
        let events = events.iter().map(|event| (event.seq, event)).collect();
        Citations { events, named: BTreeSet::new() }
    }

    fn get(&self, seq: u64) -> Option<&'a Recorded> {
        self.events.get(&seq).copied()
    }

    /// The entry, which the answer rests on from now on; `None` when it is not at hand.
    fn cite(&mut self, seq: u64) -> Option<Cited> {
        let found = self.get(seq)?;
        self.named.insert(seq);
        Some(Cited::of(found))
    }

    fn cite_all(&mut self, seqs: impl IntoIterator<Item = u64>) -> Vec<Cited> {
        seqs.into_iter().filter_map(|seq| self.cite(seq)).collect()
    }

    /// Everything that was named, by seq.
    fn rests_on(&self) -> Vec<Cited> {
        self.named.iter().filter_map(|seq| self.get(*seq)).map(Cited::of).collect()
    }
}

/// Who is said to have acted, beside who was seen submitting it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Who {
    /// Who acted, as the sender claims: an account id, or why it is unknown. Null when the event
    /// names nobody.
    pub claimed: Option<String>,
    /// How the intake recognised the submitter: `os_account`, `token`, `loopback`, ...
    pub authtype: Option<String>,
    /// Who that was: a token's id, an account of the machine.
    pub authid: Option<String>,
    /// Through what it came: `cli`, `http`, `import`, ...
    pub recordedvia: Option<String>,
    pub claim: Claim,
}

/// What is claimed, held against what was witnessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Whoever acted submitted it too.
    SameAsSubmitter,
    /// Somebody else submitted it, or somebody known by another name: whether they are the same
    /// person the ledger cannot tell.
    AnotherThanSubmitter,
    /// The event does not say who acted.
    #[default]
    NobodyClaimed,
    /// The event says who acted; who submitted it was not seen.
    SubmitterNotSeen,
}

impl Claim {
    pub fn words(self) -> &'static str {
        match self {
            Claim::SameAsSubmitter => "same as submitter",
            Claim::AnotherThanSubmitter => "another than submitter",
            Claim::NobodyClaimed => "nobody claimed",
            Claim::SubmitterNotSeen => "submitter not seen",
        }
    }
}

impl Who {
    pub fn of(recorded: &Recorded) -> Who {
        let actor = recorded.known().and_then(|event| event.common().actor);
        let account = actor.and_then(|actor| actor.id.as_deref());
        let claim = match (account, recorded.authid.as_deref()) {
            (None, _) => Claim::NobodyClaimed,
            (Some(_), None) => Claim::SubmitterNotSeen,
            (Some(id), Some(seen)) if id == seen => Claim::SameAsSubmitter,
            (Some(_), Some(_)) => Claim::AnotherThanSubmitter,
        };
        Who {
            claimed: actor.map(timeline::actor),
            authtype: recorded.authtype.clone(),
            authid: recorded.authid.clone(),
            recordedvia: recorded.recordedvia.clone(),
            claim,
        }
    }
}

/// One event as an audit shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub seq: u64,
    /// The entry's hash, 64 hexadecimal digits.
    pub hash: String,
    /// When it happened; null when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    /// From happening to being recorded, in seconds; null when the first is not known.
    pub lag_seconds: Option<i64>,
    /// The event's type: `rollout.stage.started.v1`; empty when the payload is erased.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The rollout that it is about.
    pub rollout: Option<String>,
    /// What happened, in one sentence.
    pub what: String,
    /// How the sender knows.
    pub basis: Option<Basis>,
    pub who: Who,
}

impl Line {
    /// The event as it is given: as recorded, or as corrections left it.
    pub fn of(recorded: &Recorded) -> Line {
        let (type_name, what) = match &recorded.event {
            Read::Known(event) => (event.type_name().to_owned(), timeline::sentence(event)),
            Read::Unknown { type_name } => (
                type_name.clone(),
                "Something that this version of the program cannot read.".to_owned(),
            ),
            Read::Redacted => (String::new(), "Erased by law; its header stays.".to_owned()),
        };
        Line {
            seq: recorded.seq,
            hash: recorded.hash.clone(),
            time: recorded.happened(),
            recorded_at: Moment(recorded.recorded_at_us),
            lag_seconds: lag_seconds(recorded),
            type_name,
            rollout: recorded.subject.as_ref().map(ToString::to_string),
            what,
            basis: recorded.known().map(|event| event.common().basis),
            who: Who::of(recorded),
        }
    }
}

/// From happening to being recorded, in seconds.
fn lag_seconds(recorded: &Recorded) -> Option<i64> {
    Some((recorded.recorded_at_us - recorded.happened()?.0) / 1_000_000)
}

/// Which part of a long answer is wanted: the rows behind the one of this seq, so many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub after: Option<u64>,
    pub limit: usize,
}

/// Whether there is more, and how to ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct More {
    pub has_more: bool,
    /// Give it as `after` to have the next page; null at the end.
    pub next_after: Option<u64>,
}

/// A party of a decision, in the words of the event.
fn party(party: &Party) -> String {
    timeline::party_words(party)
}

/// A word of the catalogue: `stage.started` of `rollout.stage.started.v1`.
fn short_type(event: &Event) -> &'static str {
    let name = event.type_name();
    name.strip_prefix("rollout.").and_then(|n| n.strip_suffix(".v1")).unwrap_or(name)
}
