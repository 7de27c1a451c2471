//! Who changed this flag: every change that its service's log or a person recorded, in the order in
//! which the changes fold, each with the state behind it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Event,
    event::flag::{FlagGate, FlagOperation},
};
use serde::Serialize;

use super::{Citations, Cited, Line, More, Wanted};
use crate::{
    flag_state::{FlagChangedRecorded, Gates, steps},
    recorded::{Recorded, resolve},
};

/// What `audit who-changed` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhoChanged {
    pub flag: String,
    /// How many changes are recorded, on every page.
    pub total: usize,
    /// By service and environment, then in the order of the fold.
    pub changes: Vec<Change>,
    pub page: More,
    /// The changes of this page and what corrects or withdraws them.
    pub rests_on: Vec<Cited>,
}

/// One change of the flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    #[serde(flatten)]
    pub line: Line,
    pub service: String,
    pub environment: String,
    /// The service's own number of the change.
    pub row: Option<u64>,
    pub operation: FlagOperation,
    pub gate: Option<FlagGate>,
    pub value: Option<String>,
    /// Why, in the words of whoever recorded it.
    pub reason: Option<String>,
    /// The state of the flag behind it; null for a change that was withdrawn.
    pub state_after: Option<Gates>,
    /// Seqs of the corrections that changed what is shown here, oldest first.
    pub corrected_by: Vec<u64>,
    pub withdrawn_by: Option<u64>,
}

impl WhoChanged {
    /// From everything that is recorded about the flag, in any order.
    ///
    /// `None` when `after` is the seq of no change.
    pub fn of(flag: &str, events: &[Recorded], wanted: Wanted) -> Option<WhoChanged> {
        let mut citations = Citations::of(events);
        let all = changes(flag, events);
        let begin = match wanted.after {
            None => 0,
            Some(after) => all.iter().position(|c| c.line.seq == after)? + 1,
        };
        let total = all.len();
        let changes: Vec<Change> = all.into_iter().skip(begin).take(wanted.limit).collect();
        for change in &changes {
            citations.cite(change.line.seq);
            citations.cite_all(change.corrected_by.iter().copied().chain(change.withdrawn_by));
        }
        let has_more = begin + changes.len() < total;
        let next_after = changes.last().filter(|_| has_more).map(|c| c.line.seq);
        let rests_on = citations.rests_on();
        let page = More { has_more, next_after };
        Some(WhoChanged { flag: flag.to_owned(), total, changes, page, rests_on })
    }
}

/// Every change, withdrawn ones behind the others of their place.
fn changes(flag: &str, events: &[Recorded]) -> Vec<Change> {
    let standing = resolve(events.iter());
    let found: Vec<(&Recorded, FlagChangedRecorded)> = standing
        .iter()
        .filter_map(|recorded| match recorded.known()? {
            Event::FlagChanged(change) if change.key.as_str() == flag => {
                let change = FlagChangedRecorded {
                    seq: recorded.seq,
                    recorded_at_us: recorded.recorded_at_us,
                    time_us: recorded.time,
                    change: (**change).clone(),
                };
                Some((recorded, change))
            }
            _ => None,
        })
        .collect();
    let by_seq: BTreeMap<u64, &Recorded> = found.iter().map(|(r, _)| (r.seq, *r)).collect();
    let place = |c: &FlagChangedRecorded| (c.change.service.clone(), c.change.environment.clone());
    let places: BTreeSet<_> = found.iter().map(|(_, change)| place(change)).collect();
    let mut all = Vec::new();
    for here in places {
        let (gone, rows): (Vec<_>, Vec<_>) = found
            .iter()
            .filter(|(_, change)| place(change) == here)
            .partition(|(recorded, _)| recorded.amended.withdrawn_by.is_some());
        for step in steps(flag, rows.iter().map(|(_, change)| change), None) {
            let Some(recorded) = by_seq.get(&step.event.seq) else { continue };
            all.push(Change::of(recorded, step.event, Some(Gates::from(&step.after))));
        }
        all.extend(gone.iter().map(|(recorded, change)| Change::of(recorded, change, None)));
    }
    all
}

impl Change {
    fn of(recorded: &Recorded, change: &FlagChangedRecorded, after: Option<Gates>) -> Change {
        let said = &change.change;
        Change {
            line: Line::of(recorded),
            service: said.service.clone(),
            environment: said.environment.clone(),
            row: said.row,
            operation: said.operation,
            gate: said.gate,
            value: said.value.clone(),
            reason: said.reason.clone(),
            state_after: after,
            corrected_by: recorded.amended.corrected_by.clone(),
            withdrawn_by: recorded.amended.withdrawn_by,
        }
    }
}
