//! The state of a flag: the fold of its recorded changes, now or at a past moment.
//!
//! The rules are those of the flag service (Flipper and its table of toggle events):
//!
//! - Every operation but `remove` makes the flag exist. `add` changes no gate of a flag that exists.
//! - The boolean gate is special: `enable` turns every other gate off and itself on, `disable` and
//!   `clear` turn every gate off. The operation decides; the value written beside it (`t`, `f`,
//!   `true`, nothing) decides nothing.
//! - A percentage is set by `enable` (0 is off) and is 0 after `disable`, whatever the value.
//! - Actors and groups are sets: `enable` adds one member, `disable` removes one.
//! - An expression is set or not.
//! - `remove` takes the flag away with all its gates.
//!
//! A change that says too little to have an effect (no gate, or a percentage that is no number) is
//! a trace of an attempt that failed half-way: the flag exists after it, its gates are as before.

mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use schemas::{
    Event,
    event::flag::{FlagChanged, FlagGate, FlagOperation},
    id::{Decimal, Instant},
    values::FlagState,
};
use serde::Serialize;

use crate::recorded::Recorded;

/// A `flag.changed` as it stands in the log, its data corrected if it was corrected since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChangedRecorded {
    pub seq: u64,
    /// When the ledger knew, Unix microseconds.
    pub recorded_at_us: i64,
    /// The envelope's `time`: when it happened, Unix microseconds.
    pub time_us: Option<i64>,
    pub change: FlagChanged,
}

/// What is known of one flag of one service and environment after some of its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagFold {
    exists: bool,
    state: FlagState,
    seq: Option<u64>,
}

/// What `flags show` answers. Its JSON is a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FlagAnswer {
    pub key: String,
    /// The moment asked for; null when everything recorded counts.
    pub at: Option<Instant>,
    /// Whether the service knew the flag at that moment.
    pub exists: bool,
    /// The last event that was applied; null when there is none.
    pub seq: Option<u64>,
    pub gates: Gates,
}

/// The gates of a flag as an answer shows them. Unset is `false`, `"0"`, 0, `[]`, `false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Gates {
    /// On for everyone.
    pub boolean: bool,
    /// Percent, a decimal without trailing zeros.
    pub percentage_of_actors: Decimal,
    /// Percent, a decimal without trailing zeros.
    pub percentage_of_time: Decimal,
    /// For how many actors it is on by name.
    pub actors: usize,
    /// For which groups, sorted.
    pub groups: BTreeSet<String>,
    /// Whether an expression is set.
    pub expression: bool,
}

/// One change in the order of the fold, with the flag's state behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagStep<'a> {
    pub event: &'a FlagChangedRecorded,
    pub exists: bool,
    pub after: FlagState,
}

impl FlagChangedRecorded {
    /// The change as it counts after [`resolve`](crate::recorded::resolve): corrected, and `None`
    /// when it was withdrawn. `None` too for other events.
    pub fn from_resolved(recorded: &Recorded) -> Option<Self> {
        let Some(Event::FlagChanged(change)) = recorded.known() else { return None };
        let stands = recorded.amended.withdrawn_by.is_none();
        stands.then(|| FlagChangedRecorded {
            seq: recorded.seq,
            recorded_at_us: recorded.recorded_at_us,
            time_us: recorded.time,
            change: (**change).clone(),
        })
    }
}

impl FlagFold {
    /// Applies one change. Changes come in the order of the service's rows.
    pub fn apply(&mut self, seq: u64, change: &FlagChanged) {
        use FlagOperation::{Add, Clear, Disable, Enable, Remove};
        self.seq = Some(seq);
        self.exists = change.operation != Remove;
        match change.operation {
            Add => {}
            Clear | Remove => self.state = FlagState::default(),
            Enable => self.enable(change.gate, change.value.as_deref()),
            Disable => self.disable(change.gate, change.value.as_deref()),
        }
    }

    /// Whether the service knows the flag.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Its gates; all off when it does not exist.
    pub fn state(&self) -> &FlagState {
        &self.state
    }

    /// The last event that was applied.
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    fn enable(&mut self, gate: Option<FlagGate>, value: Option<&str>) {
        let state = &mut self.state;
        match gate {
            None => {}
            Some(FlagGate::Boolean) => *state = FlagState { boolean: true, ..FlagState::default() },
            Some(FlagGate::PercentageOfActors) => {
                set_percentage(&mut state.percentage_of_actors, value);
            }
            Some(FlagGate::PercentageOfTime) => {
                set_percentage(&mut state.percentage_of_time, value);
            }
            Some(FlagGate::Actor) => state.actors.extend(value.map(str::to_owned)),
            Some(FlagGate::Group) => state.groups.extend(value.map(str::to_owned)),
            Some(FlagGate::Expression) => state.expression = true,
        }
    }

    fn disable(&mut self, gate: Option<FlagGate>, value: Option<&str>) {
        let state = &mut self.state;
        match gate {
            None => {}
            Some(FlagGate::Boolean) => *state = FlagState::default(),
            Some(FlagGate::PercentageOfActors) => {
                set_percentage(&mut state.percentage_of_actors, None);
            }
            Some(FlagGate::PercentageOfTime) => set_percentage(&mut state.percentage_of_time, None),
            Some(FlagGate::Actor) => drop(value.map(|member| state.actors.remove(member))),
            Some(FlagGate::Group) => drop(value.map(|member| state.groups.remove(member))),
            Some(FlagGate::Expression) => state.expression = false,
        }
    }
}

fn set_percentage(gate: &mut Decimal, value: Option<&str>) {
    if let Some(percentage) = percentage(value) {
        *gate = percentage;
    }
}

/// The percentage that a service wrote, in the one spelling that answers use: no leading or
/// trailing zeros, `0` for an empty or missing value. `None` when it is not a decimal number.
pub fn percentage(value: Option<&str>) -> Option<Decimal> {
    let text = value.unwrap_or_default().trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let no_digits = whole.is_empty() && fraction.is_empty();
    if no_digits && !text.is_empty() {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let number = match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    };
    number.try_into().ok()
}

/// The state of the flag `key` at a moment (Unix microseconds), or after everything recorded.
/// `events` are changes of one service and environment in any order; those of other flags are
/// passed over. A flag without any change is one that does not exist.
pub fn state_at<'a>(
    key: &str,
    events: impl IntoIterator<Item = &'a FlagChangedRecorded>,
    at_us: Option<i64>,
) -> FlagAnswer {
    let mut fold = FlagFold::default();
    for event in order::ordered(key, events, at_us) {
        fold.apply(event.seq, &event.change);
    }
    FlagAnswer {
        key: key.to_owned(),
        at: at_us.and_then(|at| Instant::from_micros(at).ok()),
        exists: fold.exists,
        seq: fold.seq,
        gates: Gates::from(&fold.state),
    }
}

/// The changes that [`state_at`] applies, in its order, each with the state behind it.
pub fn steps<'a>(
    key: &str,
    events: impl IntoIterator<Item = &'a FlagChangedRecorded>,
    at_us: Option<i64>,
) -> Vec<FlagStep<'a>> {
    let mut fold = FlagFold::default();
    let step = |event: &'a FlagChangedRecorded| {
        fold.apply(event.seq, &event.change);
        FlagStep { event, exists: fold.exists, after: fold.state.clone() }
    };
    order::ordered(key, events, at_us).into_iter().map(step).collect()
}

impl From<&FlagState> for Gates {
    fn from(state: &FlagState) -> Self {
        // A state may have been written by a sender, whose spelling of a number is kept in the log.
        let spelled =
            |number: &Decimal| percentage(Some(number.as_str())).unwrap_or_else(|| number.clone());
        Gates {
            boolean: state.boolean,
            percentage_of_actors: spelled(&state.percentage_of_actors),
            percentage_of_time: spelled(&state.percentage_of_time),
            actors: state.actors.len(),
            groups: state.groups.clone(),
            expression: state.expression,
        }
    }
}
