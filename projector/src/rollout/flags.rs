//! The flags of a rollout, and what their service's log says about who saw the feature.
//!
//! Changes are kept for every flag that is fed in, because a flag may be registered after its
//! changes happened; answers look at registered flags alone.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event, FlagKey,
    event::flag::{FlagDrifted, FlagGate, FlagOperation, FlagRegistered, FlagRetired, FlagRole},
    id::Instant,
    values::{Actor, Exposure, ExposureKind, ExposureUnit, FlagState},
};
use serde::Serialize;

use super::{Fact, Provenance, exposure};
use crate::{
    flag_state::{FlagChangedRecorded, steps},
    recorded::Moment,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Flags(BTreeMap<FlagKey, Flag>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Flag {
    pub registered: Vec<Fact<FlagRegistered>>,
    pub retired: Vec<Fact<FlagRetired>>,
    pub drifted: Vec<Fact<FlagDrifted>>,
    /// The service's rows, in the order in which they were fed.
    #[serde(skip)]
    changes: Vec<(FlagChangedRecorded, Provenance)>,
}

/// One change of a flag with its state behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagMove {
    pub key: FlagKey,
    pub seq: u64,
    /// When it happened by the service's log.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    pub service: String,
    pub environment: String,
    pub operation: FlagOperation,
    pub actor: Option<Actor>,
    /// Whether the service knows the flag behind it.
    pub exists: bool,
    pub state: FlagState,
    /// Who sees the feature behind it.
    pub exposures: Vec<Exposure>,
}

impl Flags {
    /// The flags that are registered for the rollout, by key.
    pub fn registered(&self) -> impl Iterator<Item = (&FlagKey, &Flag)> {
        self.0.iter().filter(|(_, flag)| !flag.registered.is_empty())
    }

    pub(super) fn apply(&mut self, event: &Event, from: &Provenance) {
        match event {
            Event::FlagRegistered(e) => self.flag(&e.key).registered.push(Fact::new(e, from)),
            Event::FlagRetired(e) => self.flag(&e.key).retired.push(Fact::new(e, from)),
            Event::FlagDrifted(e) => self.flag(&e.key).drifted.push(Fact::new(e, from)),
            Event::FlagChanged(e) => {
                let change = FlagChangedRecorded {
                    seq: from.seq,
                    recorded_at_us: from.recorded_at.0,
                    time_us: from.time.map(|t| t.0),
                    change: (**e).clone(),
                };
                self.flag(&e.key).changes.push((change, from.clone()));
            }
            _ => {}
        }
    }

    fn flag(&mut self, key: &FlagKey) -> &mut Flag {
        self.0.entry(key.clone()).or_default()
    }
}

impl Flag {
    /// What it does for the rollout, by the newest registration.
    pub fn role(&self) -> Option<FlagRole> {
        self.registered.last().map(|r| r.value.role)
    }

    /// From when its changes count for the rollout.
    pub fn valid_from(&self) -> Option<Moment> {
        let from = self.registered.iter().rev().find_map(|r| r.value.valid_from.as_ref());
        from.map(|from| Moment(Instant::micros(from)))
    }

    /// Every change that counts for the rollout, each with the flag's state behind it, in order
    /// of time. Rows fold in the service's own order; each service and environment for itself.
    pub fn moves(&self) -> Vec<FlagMove> {
        let homes: BTreeSet<(&str, &str)> = self.changes.iter().map(|(c, _)| home(c)).collect();
        let mut moves = Vec::new();
        for of in homes {
            let mut rows = self.changes.iter().map(|(c, _)| c).filter(|c| home(c) == of).peekable();
            let Some(key) = rows.peek().map(|c| c.change.key.clone()) else { continue };
            moves.extend(steps(key.as_str(), rows, None).into_iter().map(|step| FlagMove {
                key: key.clone(),
                seq: step.event.seq,
                time: step.event.time_us.map(Moment),
                recorded_at: Moment(step.event.recorded_at_us),
                service: of.0.to_owned(),
                environment: of.1.to_owned(),
                operation: step.event.change.operation,
                actor: step.event.change.actor.clone(),
                exists: step.exists,
                exposures: exposures(&step.after),
                state: step.after,
            }));
        }
        let from = self.valid_from();
        moves.retain(|m| from.is_none_or(|from| m.time.unwrap_or(m.recorded_at) >= from));
        moves.sort_by_key(|m| (m.time.unwrap_or(m.recorded_at), m.seq));
        moves
    }

    /// Whether any change can have turned it on for everyone. Cheaper than to look at its states, and
    /// true too often: of a percentage it asks only whether it may be written for 100.
    pub(crate) fn may_reach_everyone(&self) -> bool {
        self.changes.iter().map(|(recorded, _)| &recorded.change).any(|change| {
            let full = |value: &String| value.contains("100");
            match (change.operation, change.gate) {
                (FlagOperation::Enable, Some(FlagGate::Boolean)) => true,
                (
                    FlagOperation::Enable,
                    Some(FlagGate::PercentageOfActors | FlagGate::PercentageOfTime),
                ) => change.value.as_ref().is_some_and(full),
                _ => false,
            }
        })
    }

    /// The newest state in each service and environment.
    pub fn now(&self) -> Vec<FlagMove> {
        let mut newest: BTreeMap<(String, String), FlagMove> = BTreeMap::new();
        for change in self.moves() {
            newest.insert((change.service.clone(), change.environment.clone()), change);
        }
        newest.into_values().collect()
    }
}

impl FlagMove {
    /// When it happened, else when it was recorded.
    pub fn at(&self) -> Moment {
        self.time.unwrap_or(self.recorded_at)
    }

    /// The greatest share that sees the feature, in basis points; `None` when it is no percentage.
    pub fn share_bp(&self) -> Option<u32> {
        exposure::share_bp(&self.exposures)
    }
}

fn home(change: &FlagChangedRecorded) -> (&str, &str) {
    (&change.change.service, &change.change.environment)
}

/// Who sees a feature whose flag has this state. A state is a set of gates, not one number.
fn exposures(state: &FlagState) -> Vec<Exposure> {
    if state.boolean {
        return vec![exposure::of_share(ExposureKind::All, 10_000)];
    }
    let mut seen = Vec::new();
    let actors = exposure::basis_points(state.percentage_of_actors.as_str()).unwrap_or(0);
    if actors > 0 {
        seen.push(exposure::of_share(ExposureKind::Percent, actors));
    }
    let time = exposure::basis_points(state.percentage_of_time.as_str()).unwrap_or(0);
    if time > 0 {
        let share = exposure::of_share(ExposureKind::Percent, time);
        seen.push(Exposure { unit: Some(ExposureUnit::Time), ..share });
    }
    if !state.actors.is_empty() {
        let count = u64::try_from(state.actors.len()).ok();
        seen.push(Exposure { count, ..exposure::of_kind(ExposureKind::Actors) });
    }
    for group in &state.groups {
        let scope = Some(group.clone());
        seen.push(Exposure { scope, ..exposure::of_kind(ExposureKind::Cohort) });
    }
    if state.expression {
        let condition = Some("expression".to_owned());
        seen.push(Exposure { condition, ..exposure::of_kind(ExposureKind::Cohort) });
    }
    if seen.is_empty() {
        seen.push(exposure::of_share(ExposureKind::Off, 0));
    }
    seen
}
