//! The invariants that every history must keep, whatever failed meanwhile.
//!
//! | invariant | what holds |
//! |----|---|
//! | I1 | every ok is in the log, once, at that seq and with that hash |
//! | I2 | the whole chain verifies, its seqs dense from 0 |
//! | I3 | each key is in the log at most once |
//! | I4 | what definitely failed is not in the log, nor is what nobody sent |
//! | I5 | what was ok before a call began stands before what that call recorded |
//! | I6 | once a newer writer's `opened` stands in the log, no older one is behind anything that follows |
//! | I7 | views are the fold of the log up to their position |
//! | I8 | no reader ever applied what is not in the log, or out of its order, or stopped without a cause |
//! | I9 | after a fault has healed, a new call succeeds within the stated time |

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use ledger::{Log, LogError, Seq, VerifyOptions, verify};

use super::{Answer, Call, Event};
use crate::event::{Told, told};

/// Entries read at once.
const PAGE_LEN: usize = 500;

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `I1` to `I9`.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// A history in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls that were told `ok`.
    pub ok: usize,
    /// Those that were told that nothing was recorded.
    pub fail: usize,
    /// Those that nobody could tell.
    pub unknown: usize,
    /// How often something was broken.
    pub faults: usize,
    /// The longest time from a healing to the next success, in microseconds.
    pub back_us: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { ok, fail, unknown, faults, back_us } = self;
        let (seconds, tenths) = (back_us / 1_000_000, back_us / 100_000 % 10);
        write!(
            f,
            "{faults} faults, {ok} ok, {fail} fail, {unknown} unknown, back within {seconds}.{tenths} s"
        )
    }
}

/// Counts what happened.
pub fn summary(events: &[Event]) -> Summary {
    let mut sum = Summary::default();
    for event in events {
        match event {
            Event::Call(call) => match call.answer {
                Answer::Ok { .. } => sum.ok += 1,
                Answer::Fail(_) => sum.fail += 1,
                Answer::Unknown(_) => sum.unknown += 1,
            },
            Event::Fault { .. } => sum.faults += 1,
            Event::Healed { at_us, .. } => {
                let back = served(events, *at_us).map_or(u64::MAX, |at| at - at_us);
                sum.back_us = sum.back_us.max(back);
            }
            Event::Applied { .. } | Event::Halted { .. } | Event::Viewed { .. } => {}
        }
    }
    sum
}

/// Holds a history against the log as it is in the end. Nothing is written any more.
pub fn check(events: &[Event], log: &dyn Log) -> Result<Vec<Violation>, LogError> {
    let mut found = Found::default();
    let report = verify(log, &VerifyOptions::default())?;
    if let Some(damage) = &report.first_bad {
        found.add("I2", format!("the chain does not verify: {damage}"));
    }
    let stored = stored(log)?;
    if report.first_bad.is_none() && report.entries != stored.len() as u64 {
        found
            .add("I2", format!("{} entries verify and {} are there", report.entries, stored.len()));
    }
    let calls: Vec<&Call> = events
        .iter()
        .filter_map(|event| if let Event::Call(call) = event { Some(call) } else { None })
        .collect();
    acknowledged(&calls, &stored, &mut found);
    recorded(&calls, &stored, &mut found);
    in_order(&calls, &stored, &mut found);
    fenced(&calls, &stored, &mut found);
    readers(events, &stored, &mut found);
    for event in events {
        if let Event::Healed { at_us, bound_us } = event {
            let back = served(events, *at_us);
            if back.is_none_or(|at| at - at_us > *bound_us) {
                found.add("I9", format!("healed at {at_us} us, it was back at {back:?}, and not within {bound_us} us"));
            }
        }
    }
    Ok(found.0)
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static str, what: String) {
        self.0.push(Violation { invariant, what });
    }
}

/// An entry as these rules see it.
struct Stored {
    hash: String,
    told: Told,
}

fn stored(log: &dyn Log) -> Result<Vec<Stored>, LogError> {
    let mut stored = Vec::new();
    loop {
        let page = log.read(Seq(stored.len() as u64), PAGE_LEN)?;
        if page.is_empty() {
            return Ok(stored);
        }
        let seen =
            |entry| Stored { hash: ledger::Entry::hash(entry).to_string(), told: told(entry) };
        stored.extend(page.iter().map(seen));
    }
}

fn at(stored: &[Stored], seq: u64) -> Option<&Stored> {
    usize::try_from(seq).ok().and_then(|seq| stored.get(seq))
}

/// The notes, with their places.
fn notes(stored: &[Stored]) -> impl Iterator<Item = (u64, &str, &str)> {
    (0..).zip(stored).filter_map(|(seq, stored)| match &stored.told {
        Told::Note { key, body } => Some((seq, key.as_str(), body.as_str())),
        _ => None,
    })
}

/// I1.
fn acknowledged(calls: &[&Call], stored: &[Stored], found: &mut Found) {
    for Call { key, body, answer, writer, .. } in calls {
        let Answer::Ok { seq, hash, .. } = answer else { continue };
        let claim = format!("{writer} said that {key} is entry {seq}, {hash}");
        match at(stored, *seq) {
            None => found.add("I1", format!("{claim}, and the log ends before it")),
            Some(there) if there.hash != *hash => {
                found.add("I1", format!("{claim}, and there is {}", there.hash));
            }
            Some(there) if there.told != (Told::Note { key: key.clone(), body: body.clone() }) => {
                found.add("I1", format!("{claim}, and there is {:?}", there.told));
            }
            Some(_) => {}
        }
    }
}

/// I3 and I4.
fn recorded(calls: &[&Call], stored: &[Stored], found: &mut Found) {
    let possible: BTreeSet<_> = calls
        .iter()
        .filter(|call| !matches!(call.answer, Answer::Fail(_)))
        .map(|call| (call.key.as_str(), call.body.as_str()))
        .collect();
    let mut first = HashMap::new();
    for (seq, key, body) in notes(stored) {
        if let Some(first) = first.insert(key, seq) {
            found.add("I3", format!("{key} is entry {first} and entry {seq}"));
        }
        if !possible.contains(&(key, body)) {
            found.add(
                "I4",
                format!("{key} is entry {seq}, and every call for it failed, or there was none"),
            );
        }
    }
}

/// I5.
fn in_order(calls: &[&Call], stored: &[Stored], found: &mut Found) {
    let mut invoked = HashMap::new();
    let mut oks = Vec::new();
    for call in calls {
        match &call.answer {
            Answer::Fail(_) => continue,
            Answer::Ok { seq, .. } => oks.push((call.returned_us, *seq, call.key.as_str())),
            Answer::Unknown(_) => {}
        }
        let first = invoked.entry((call.key.as_str(), call.body.as_str())).or_insert(u64::MAX);
        *first = call.invoked_us.min(*first);
    }
    oks.sort_unstable();
    // The furthest place that was promised up to each return.
    let mut furthest = Vec::with_capacity(oks.len());
    for ok in &oks {
        let so_far: (u64, &str) = furthest.last().copied().unwrap_or_default();
        furthest.push(so_far.max((ok.1, ok.2)));
    }
    for (seq, key, body) in notes(stored) {
        let Some(first) = invoked.get(&(key, body)) else { continue };
        let before = oks.partition_point(|ok| ok.0 < *first);
        let promised = before.checked_sub(1).and_then(|last| furthest.get(last));
        if let Some((place, other)) = promised.filter(|(place, _)| *place >= seq) {
            found.add(
                "I5",
                format!("{other} was ok as entry {place} before {key} began, which is entry {seq}"),
            );
        }
    }
}

/// I6. `w2.1` is the first life of the process `w2`.
fn fenced(calls: &[&Call], stored: &[Stored], found: &mut Found) {
    let opened: BTreeMap<u64, &str> = (0..)
        .zip(stored)
        .filter_map(|(seq, stored)| match &stored.told {
            Told::Life(life) => Some((seq, life.as_str())),
            _ => None,
        })
        .collect();
    let begun: HashMap<&str, u64> = opened.iter().map(|(seq, life)| (*life, *seq)).collect();
    for Call { key, answer, .. } in calls {
        let Answer::Ok { seq, duplicate, life, .. } = answer else { continue };
        let Some(begin) = begun.get(life.as_str()) else {
            found
                .add("I6", format!("{life} acknowledged {key}, and its opening is not in the log"));
            continue;
        };
        let newer = opened.range(begin + 1..).next().map_or(u64::MAX, |(seq, _)| *seq);
        if *seq > newer || (!duplicate && seq < begin) {
            found.add(
                "I6",
                format!("{life}, from {begin} to {newer}, acknowledged {key} as entry {seq}"),
            );
        }
    }
    let sent: BTreeSet<_> =
        calls.iter().map(|call| (call.key.as_str(), call.writer.as_str())).collect();
    let known: BTreeSet<_> = calls.iter().map(|call| call.key.as_str()).collect();
    for (seq, key, _) in notes(stored) {
        let life = opened.range(..seq).next_back().map_or("", |(_, life)| *life);
        let process = life.split('.').next().unwrap_or(life);
        if known.contains(key) && !sent.contains(&(key, process)) {
            found.add(
                "I6",
                format!("entry {seq} is of {life}, and {key} was never sent to that process"),
            );
        }
    }
}

/// I7 and I8.
fn readers(events: &[Event], stored: &[Stored], found: &mut Found) {
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for event in events {
        match event {
            Event::Applied { reader, from, hashes } => {
                let end = ends.insert(reader, from + hashes.len() as u64);
                if let Some(end) = end.filter(|end| end != from) {
                    found.add("I8", format!("{reader} went on at {from} after {end}"));
                }
                let wrong = (*from..).zip(hashes).find(|(seq, hash)| {
                    at(stored, *seq).is_none_or(|stored| stored.hash != **hash)
                });
                if let Some((seq, hash)) = wrong {
                    found.add(
                        "I8",
                        format!("{reader} applied entry {seq}, {hash}, which is not in the log"),
                    );
                }
            }
            Event::Halted { reader, code } => {
                found.add("I8", format!("{reader} stopped with {code}"));
            }
            Event::Viewed { projector, next, hash, differences } => {
                let last = next.checked_sub(1).and_then(|last| at(stored, last));
                if *next > 0 && last.is_none_or(|last| last.hash != *hash) {
                    found.add(
                        "I7",
                        format!("{projector} is at {next}, {hash}, which is not in the log"),
                    );
                }
                if !differences.is_empty() {
                    found.add(
                        "I7",
                        format!("{projector} at {next} is not the fold: {differences:?}"),
                    );
                }
            }
            Event::Call(_) | Event::Fault { .. } | Event::Healed { .. } => {}
        }
    }
}

/// When the first call that began after this time had succeeded.
fn served(events: &[Event], since_us: u64) -> Option<u64> {
    let calls = events.iter().filter_map(|event| match event {
        Event::Call(Call { invoked_us, returned_us, answer: Answer::Ok { .. }, .. })
            if *invoked_us > since_us =>
        {
            Some(*returned_us)
        }
        _ => None,
    });
    calls.min()
}
