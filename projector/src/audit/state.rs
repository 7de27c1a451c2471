//! The gates of a flag at a moment, and which event set each: by what had happened by then, as it
//! was known at another moment.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event,
    event::flag::{FlagGate, FlagOperation},
    id::Decimal,
    values::FlagState,
};
use serde::Serialize;

use super::{Citations, Cited, Line};
use crate::{
    flag_state::{FlagChangedRecorded, FlagStep, percentage, steps},
    recorded::{Moment, Recorded, resolve},
};

/// Members of one gate that are named at most; of more only the number is told.
pub const MEMBERS_LEN_MAX: usize = 500;

/// What `audit state` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    pub flag: String,
    /// What had happened by then; null when everything recorded counts.
    pub at: Option<Moment>,
    /// What had been recorded by then, corrections included; null for everything.
    pub known_at: Option<Moment>,
    /// The flag in each service and environment. Empty when no change of it was known.
    pub places: Vec<Place>,
    pub rests_on: Vec<Cited>,
}

/// The flag in one service and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub service: String,
    pub environment: String,
    /// Whether the service knew the flag.
    pub exists: bool,
    /// The event that made it exist, or took it away.
    pub exists_since: Option<Cited>,
    /// The boolean gate: on for everyone.
    pub boolean: Gate<bool>,
    /// Percent.
    pub percentage_of_actors: Gate<Decimal>,
    /// Percent.
    pub percentage_of_time: Gate<Decimal>,
    /// How many actors it was on for by name.
    pub actors_count: usize,
    /// These actors as the ledger holds them (pseudonyms), at most [`MEMBERS_LEN_MAX`].
    pub actors: Vec<Gate<String>>,
    pub groups: Vec<Gate<String>>,
    pub expression: Gate<bool>,
    /// The last change that counts, in words.
    pub last_change: Option<Line>,
    /// Changes that do not count because nobody knows whether they had happened by then.
    pub time_unknown: Vec<Cited>,
    /// Changes that count as corrected, and the corrections.
    pub corrected: Vec<Corrected>,
    /// Changes that do not count because they were withdrawn, and by what.
    pub withdrawn: Vec<Corrected>,
}

/// A gate's value and the event that gave it that: of a gate that was never on, the first event that
/// turned it off. `set_by` is null when no event ever did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate<T> {
    pub value: T,
    pub set_by: Option<Cited>,
}

/// A change and the events that amend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Corrected {
    pub change: Cited,
    pub by: Vec<Cited>,
}

impl State {
    /// From everything that is recorded about the flag, in any order. Both moments in Unix
    /// microseconds: `known_at` first leaves out what had not been recorded by then, corrections
    /// included; `at` then leaves out what had not happened by then.
    pub fn of(flag: &str, events: &[Recorded], at: Option<i64>, known_at: Option<i64>) -> State {
        let known: Vec<&Recorded> =
            events.iter().filter(|e| known_at.is_none_or(|by| e.recorded_at_us <= by)).collect();
        let standing = resolve(known.into_iter());
        let mut citations = Citations::of(&standing);
        let mut by_place: BTreeMap<(String, String), Vec<&Recorded>> = BTreeMap::new();
        for recorded in &standing {
            let Some(Event::FlagChanged(change)) = recorded.known() else { continue };
            if change.key.as_str() == flag {
                let place = (change.service.clone(), change.environment.clone());
                by_place.entry(place).or_default().push(recorded);
            }
        }
        let places =
            by_place.into_iter().map(|(home, rows)| place(flag, home, &rows, at, &mut citations));
        let places = places.collect();
        let rests_on = citations.rests_on();
        let (at, known_at) = (at.map(Moment), known_at.map(Moment));
        State { flag: flag.to_owned(), at, known_at, places, rests_on }
    }
}

/// Which event gave each gate the value that it has.
#[derive(Default)]
struct SetBy {
    exists: Option<u64>,
    boolean: Option<u64>,
    actors_percentage: Option<u64>,
    time_percentage: Option<u64>,
    expression: Option<u64>,
    actors: BTreeMap<String, u64>,
    groups: BTreeMap<String, u64>,
}

fn place(
    flag: &str,
    (service, environment): (String, String),
    rows: &[&Recorded],
    at: Option<i64>,
    citations: &mut Citations,
) -> Place {
    let changes: Vec<FlagChangedRecorded> =
        rows.iter().filter_map(|recorded| FlagChangedRecorded::from_resolved(recorded)).collect();
    let steps = steps(flag, &changes, at);
    let mut by = SetBy::default();
    let (mut state, mut exists) = (FlagState::default(), None);
    for step in &steps {
        by.take(step, &state, exists);
        (state, exists) = (step.after.clone(), Some(step.exists));
    }
    let counted: BTreeSet<u64> = steps.iter().map(|step| step.event.seq).collect();
    let last = steps.last().and_then(|step| citations.get(step.event.seq));
    // Also one whose latest moment is behind `at`: it may have happened before.
    let timeless = |r: &&&Recorded| {
        let gone = r.amended.withdrawn_by.is_some();
        at.is_some() && !gone && r.time.is_none() && !counted.contains(&r.seq)
    };
    let time_unknown: Vec<u64> = rows.iter().filter(timeless).map(|r| r.seq).collect();
    citations.cite_all(last.map(|r| r.seq));
    let corrected = rows.iter().filter(|r| counted.contains(&r.seq));
    let corrected = corrected.filter(|r| !r.amended.corrected_by.is_empty());
    let corrected: Vec<_> = corrected
        .filter_map(|r| amended(citations, r.seq, r.amended.corrected_by.iter().copied()))
        .collect();
    let withdrawn: Vec<_> = rows
        .iter()
        .filter(|r| r.amended.withdrawn_by.is_some())
        .filter_map(|r| amended(citations, r.seq, r.amended.withdrawn_by))
        .collect();
    let spelled = |n: &Decimal| percentage(Some(n.as_str())).unwrap_or_else(|| n.clone());
    Place {
        service,
        environment,
        exists: exists.unwrap_or(false),
        exists_since: by.exists.and_then(|seq| citations.cite(seq)),
        boolean: gate(state.boolean, by.boolean, citations),
        percentage_of_actors: gate(
            spelled(&state.percentage_of_actors),
            by.actors_percentage,
            citations,
        ),
        percentage_of_time: gate(spelled(&state.percentage_of_time), by.time_percentage, citations),
        actors_count: state.actors.len(),
        actors: members(&state.actors, &by.actors, citations),
        groups: members(&state.groups, &by.groups, citations),
        expression: gate(state.expression, by.expression, citations),
        last_change: last.map(Line::of),
        time_unknown: citations.cite_all(time_unknown),
        corrected,
        withdrawn,
    }
}

fn gate<T>(value: T, by: Option<u64>, citations: &mut Citations) -> Gate<T> {
    Gate { value, set_by: by.and_then(|seq| citations.cite(seq)) }
}

fn members(
    members: &BTreeSet<String>,
    by: &BTreeMap<String, u64>,
    citations: &mut Citations,
) -> Vec<Gate<String>> {
    let named = members.iter().take(MEMBERS_LEN_MAX);
    named.map(|name| gate(name.clone(), by.get(name).copied(), citations)).collect()
}

fn amended(
    citations: &mut Citations,
    seq: u64,
    by: impl IntoIterator<Item = u64>,
) -> Option<Corrected> {
    Some(Corrected { change: citations.cite(seq)?, by: citations.cite_all(by) })
}

impl SetBy {
    /// Takes in one change: whatever it made different is its doing, and a gate that nothing had
    /// spoken of before.
    fn take(&mut self, step: &FlagStep, before: &FlagState, existed: Option<bool>) {
        let (seq, after) = (step.event.seq, &step.after);
        let set = |by: &mut Option<u64>, differs: bool, gate: Option<FlagGate>| {
            if differs || (by.is_none() && gate.is_some_and(|gate| speaks_of(step.event, gate))) {
                *by = Some(seq);
            }
        };
        set(&mut self.exists, existed != Some(step.exists), None);
        set(&mut self.boolean, before.boolean != after.boolean, Some(FlagGate::Boolean));
        let differs = before.percentage_of_actors != after.percentage_of_actors;
        set(&mut self.actors_percentage, differs, Some(FlagGate::PercentageOfActors));
        let differs = before.percentage_of_time != after.percentage_of_time;
        set(&mut self.time_percentage, differs, Some(FlagGate::PercentageOfTime));
        let differs = before.expression != after.expression;
        set(&mut self.expression, differs, Some(FlagGate::Expression));
        for (by, before, after) in [
            (&mut self.actors, &before.actors, &after.actors),
            (&mut self.groups, &before.groups, &after.groups),
        ] {
            by.retain(|member, _| after.contains(member));
            by.extend(after.difference(before).map(|member| (member.clone(), seq)));
        }
    }
}

/// Whether a change says what becomes of a gate: it names it, or it turns all of them.
fn speaks_of(change: &FlagChangedRecorded, gate: FlagGate) -> bool {
    let change = &change.change;
    match change.operation {
        FlagOperation::Add => false,
        FlagOperation::Clear | FlagOperation::Remove => true,
        FlagOperation::Enable | FlagOperation::Disable => {
            change.gate == Some(FlagGate::Boolean) || change.gate == Some(gate)
        }
    }
}
