//! A fact and what it rests on.

use schemas::values::{Actor, Basis};
use serde::Serialize;

use crate::recorded::{Moment, Recorded};

/// Where a fact comes from: which event, when, who, how it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Provenance {
    pub seq: u64,
    /// When it happened; absent when nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Moment>,
    /// The latest moment at which it can have happened, when only a span is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<Moment>,
    pub recorded_at: Moment,
    pub basis: Basis,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Who submitted it, as the intake witnessed: a token's id, an account of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authid: Option<String>,
    /// The field of the plan that it stood in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_path: Option<String>,
    /// Line of that field, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_line: Option<u64>,
    /// SHA-256 of the plan that it stood in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
    /// Taken from a document and confirmed by nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirmed_by: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrected_by: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restated_by: Vec<u64>,
    /// The data as it was first recorded, when it was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<serde_json::Value>,
}

/// A value with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Fact<T> {
    #[serde(flatten)]
    pub from: Provenance,
    pub value: T,
}

impl Provenance {
    /// What a resolved event's facts rest on; `None` when it could not be read.
    pub fn of(recorded: &Recorded) -> Option<Provenance> {
        let common = recorded.known()?.common();
        let amended = &recorded.amended;
        let place = common.plan;
        let latest = common.occurrence.and_then(|o| o.latest.as_ref());
        Some(Provenance {
            seq: recorded.seq,
            time: recorded.happened(),
            latest: latest.map(|l| Moment(l.micros())),
            recorded_at: Moment(recorded.recorded_at_us),
            basis: common.basis,
            actor: common.actor.cloned(),
            authid: recorded.authid.clone(),
            plan_path: place.map(|p| p.path.clone()),
            plan_line: place.map(|p| p.line),
            plan_digest: place.map(|p| p.digest.to_string()),
            unverified: common.basis == Basis::Imported && amended.confirmed_by.is_empty(),
            confirmed_by: amended.confirmed_by.clone(),
            corrected_by: amended.corrected_by.clone(),
            restated_by: amended.restated_by.clone(),
            first: amended.first.as_ref().map(schemas::Event::data),
        })
    }

    /// Its place among other facts: when it happened, else when it was recorded, then its seq.
    pub fn order_key(&self) -> (Moment, u64) {
        (self.time.unwrap_or(self.recorded_at), self.seq)
    }

    /// Whether a person recorded it rather than an import of a plan.
    pub fn by_hand(&self) -> bool {
        self.basis != Basis::Imported && self.plan_path.is_none()
    }
}

impl<T> Fact<T> {
    pub fn new(value: &T, from: &Provenance) -> Fact<T>
    where
        T: Clone,
    {
        Fact { from: from.clone(), value: value.clone() }
    }

    pub fn seq(&self) -> u64 {
        self.from.seq
    }

    /// When it happened; `None` when nobody knows.
    pub fn time(&self) -> Option<Moment> {
        self.from.time
    }
}
