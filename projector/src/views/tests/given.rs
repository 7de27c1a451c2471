//! Random ledgers of every shape that the views care about, and plain answers to compare with.

use std::collections::BTreeSet;

use ledger::{Draft, Head, MemoryLog};
use proptest::prelude::*;
use schemas::{Event, FlagKey, RolloutId, canonical, event::measurement::Severity, values::Basis};
use serde_json::{Value, json};

use super::super::{Filter, facets};
use crate::recorded::Recorded;

pub(super) const ACTORS: [&str; 4] = ["ada", "bea", "cyd", "rare"];
pub(super) const SOURCE: &str = "urn:test";
pub(super) const FUTURE_TYPE: &str = "rollout.weather.changed.v1";
const ROLLOUTS: [&str; 4] = ["r0", "r1", "r2", "r1-b"];
const FLAGS: [&str; 3] = ["f0", "f1", "f0_b"];
const TEXTS: [&str; 4] = ["well", "A grey BUTTON", "Größe of the button", "grey (again)"];
const TICKETS: [&str; 3] = ["#1234", "va/site#1234", "https://tracker.test/issues/77?a=1"];
const STAGES: [&str; 2] = ["stage-a", "stage-b"];
/// 2026-01-01T00:00:00Z in Unix microseconds.
const BEGIN_US: i64 = 1_767_225_600_000_000;
const HOUR_US: i64 = 3_600_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    StageStarted,
    StageCompleted,
    BugFound,
    GateDecided,
    MetricObserved,
    Evaluated,
    AlertRaised,
    Restated,
    Note,
    RollbackStarted,
    Launched,
    Defined,
    FlagRegistered,
    FlagChanged,
    FlagRetired,
    Corrected,
    Withdrawn,
    Confirmed,
    ClockStepped,
    FromTheFuture,
}

/// What is random of one event.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    pub kind: Kind,
    pub actor: usize,
    rollout: usize,
    flag: usize,
    stage: usize,
    /// Hours by which it happened before it was recorded; `None`: nobody knows when.
    late: Option<u8>,
    /// Which earlier event it targets, counted back.
    back: usize,
    /// Whether an amendment names its rollout, and whether its hash is right.
    odd: u8,
}

pub(super) fn events(most: usize) -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::vec(pick(), 1..most)
}

/// The same random events each time.
pub(super) fn sample(len: usize) -> Vec<Pick> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = prop::collection::vec(pick(), len).new_tree(&mut runner).unwrap();
    proptest::strategy::ValueTree::current(&tree)
}

fn pick() -> impl Strategy<Value = Pick> {
    use Kind::{
        AlertRaised, BugFound, ClockStepped, Confirmed, Corrected, Defined, Evaluated, FlagChanged,
        FlagRegistered, FlagRetired, FromTheFuture, GateDecided, Launched, MetricObserved, Note,
        Restated, RollbackStarted, StageCompleted, StageStarted, Withdrawn,
    };
    let kind = prop_oneof![
        6 => Just(StageStarted), 3 => Just(StageCompleted), 4 => Just(BugFound),
        3 => Just(GateDecided), 6 => Just(MetricObserved), 1 => Just(Restated), 4 => Just(Note),
        2 => Just(RollbackStarted), 1 => Just(Launched), 1 => Just(Defined),
        2 => Just(FlagRegistered), 8 => Just(FlagChanged), 1 => Just(FlagRetired),
        2 => Just(Corrected), 1 => Just(Withdrawn), 1 => Just(Confirmed), 1 => Just(FromTheFuture),
        1 => Just(ClockStepped), 2 => Just(AlertRaised), 2 => Just(Evaluated),
    ];
    // Mostly in time; sometimes days late, sometimes of unknown time.
    let late = prop_oneof![12 => Just(Some(0)), 2 => (0_u8..90).prop_map(Some), 1 => Just(None)];
    let places = (0..ROLLOUTS.len(), 0..FLAGS.len(), 0..STAGES.len(), 0..ACTORS.len());
    (kind, late, places, 0_usize..60, 0_u8..8).prop_map(
        |(kind, late, (rollout, flag, stage, actor), back, odd)| Pick {
            kind,
            actor,
            rollout,
            flag,
            stage,
            late,
            back,
            odd,
        },
    )
}

/// A log of these events, one recorded each 20 minutes; each step takes the clock 7 hours back.
pub(super) fn ledger(picks: &[Pick]) -> MemoryLog {
    let (mut head, mut entries, mut payloads) = (Head::GENESIS, vec![], Vec::<Value>::new());
    let mut recorded_at = BEGIN_US;
    for (n, pick) in picks.iter().enumerate() {
        recorded_at += HOUR_US / 3;
        if pick.kind == Kind::ClockStepped {
            recorded_at -= 7 * HOUR_US;
        }
        let target = n.checked_sub(pick.back % n.max(1) + 1);
        let target = target.map(|at| {
            let entry: &ledger::Entry = &entries[at];
            let hash = if pick.odd == 7 { "00".repeat(32) } else { entry.hash().to_string() };
            (json!({ "seq": at, "hash": hash }), &payloads[at])
        });
        let payload = pick.payload(n, recorded_at, target);
        let draft = Draft::new(canonical::to_bytes(&payload)).unwrap();
        let entry = head.seal(draft, u64::try_from(recorded_at).unwrap());
        head = head.accept(&entry).unwrap();
        entries.push(entry);
        payloads.push(payload);
    }
    MemoryLog::of(entries)
}

impl Pick {
    fn payload(&self, n: usize, recorded_at: i64, target: Option<(Value, &Value)>) -> Value {
        let (name, mut data) = self.event(target);
        let actor = json!({ "kind": "person", "id": ACTORS[self.actor] });
        data["basis"] = if self.odd < 6 { "reported" } else { "observed" }.into();
        if self.odd != 5 {
            data["actor"] = actor;
        }
        let source = if n.is_multiple_of(3) { "urn:test:other" } else { SOURCE };
        let mut payload = json!({
            "specversion": "1.0", "id": n.to_string(), "source": source, "type": name,
            "data": data,
        });
        let open =
            name.contains(".flag.") && !name.contains("registered") || name.contains(".ledger.");
        let amends = name.contains(".event.") || name.contains(".value.");
        if !(open || amends) || self.odd == 0 {
            payload["subject"] = ROLLOUTS[self.rollout].into();
        }
        if let Some(hours) = self.late {
            let time = jiff::Timestamp::from_microsecond(recorded_at - i64::from(hours) * HOUR_US);
            payload["time"] = format!("{:.6}", time.unwrap()).into();
        }
        payload
    }

    fn ticket(&self) -> &'static str {
        TICKETS[self.back % TICKETS.len()]
    }

    fn bug(&self, stage: &str, title: &str) -> Value {
        let bug = format!("bug-{}", self.back);
        let mut data = json!({ "bug": bug, "title": title, "stage": stage });
        if self.odd.is_multiple_of(2) {
            data["severity"] = Severity::ALL[self.back % 4].as_str().into();
            data["evidence"] = json!([{ "kind": "ticket", "url": self.ticket() }]);
        }
        data
    }

    fn measured(&self, stage: &str) -> (&'static str, Value) {
        let (name, mut data) = match self.kind {
            Kind::Evaluated => {
                ("rollout.criterion.evaluated.v1", json!({ "criterion": "few", "verdict": "met" }))
            }
            Kind::AlertRaised => {
                let data = json!({ "monitor": "errors", "stage": stage });
                return ("rollout.alert.raised.v1", data);
            }
            _ => ("rollout.metric.observed.v1", json!({ "metric": "clicks", "stage": stage })),
        };
        // What somebody measured for is a checkpoint of the rollout.
        if self.odd == 2 && self.back.is_multiple_of(8) {
            data["checkpoint"] = "P12D".into();
        }
        (name, data)
    }

    fn event(&self, target: Option<(Value, &Value)>) -> (&'static str, Value) {
        let (stage, flag) = (STAGES[self.stage], FLAGS[self.flag]);
        let text = TEXTS[self.back % TEXTS.len()];
        let note = ("rollout.note.added.v1", json!({ "text": text, "link": self.ticket() }));
        match (self.kind, target) {
            (Kind::StageStarted, _) => ("rollout.stage.started.v1", json!({ "stage": stage })),
            (Kind::StageCompleted, _) => ("rollout.stage.completed.v1", json!({ "stage": stage })),
            (Kind::BugFound, _) => ("rollout.bug.found.v1", self.bug(stage, text)),
            (Kind::GateDecided, _) => {
                let party = json!([{ "actor": { "kind": "person", "id": ACTORS[self.back % 3] } }]);
                let data = json!({ "gate": "stage", "verdict": "go", "decided_by": party });
                ("rollout.gate.decided.v1", data)
            }
            (Kind::MetricObserved | Kind::Evaluated | Kind::AlertRaised, _) => self.measured(stage),
            (Kind::Restated, Some((target, _))) => {
                ("rollout.metric.observed.v1", json!({ "metric": "clicks", "restates": target }))
            }
            (Kind::RollbackStarted, _) => {
                ("rollout.rollback.started.v1", json!({ "trigger": "bug" }))
            }
            (Kind::Launched, _) => ("rollout.rollout.launched.v1", json!({})),
            (Kind::Defined, _) => {
                ("rollout.release.defined.v1", json!({ "title": "Something", "kind": "flag" }))
            }
            (Kind::FlagRegistered, _) => {
                ("rollout.flag.registered.v1", json!({ "key": flag, "role": "rollout" }))
            }
            (Kind::FlagChanged, _) => {
                let share = (self.back * 5 % 100).to_string();
                let data = json!({
                    "key": flag, "operation": "enable", "gate": "percentage_of_actors",
                    "value": share, "service": "flags", "environment": stage,
                });
                ("rollout.flag.changed.v1", data)
            }
            (Kind::FlagRetired, _) => ("rollout.flag.retired.v1", json!({ "key": flag })),
            (Kind::Corrected, Some((target, payload))) => {
                let mut replacement = payload["data"].clone();
                replacement["note"] = "corrected".into();
                for (member, value) in [("key", flag), ("stage", stage), ("severity", "high")] {
                    if replacement.get(member).is_some() {
                        replacement[member] = value.into();
                    }
                }
                self.say_more(&mut replacement);
                let data =
                    json!({ "target": target, "reason": "wrong", "replacement": replacement });
                ("rollout.event.corrected.v1", data)
            }
            (Kind::Withdrawn, Some((target, _))) => {
                ("rollout.event.withdrawn.v1", json!({ "target": target, "reason": "twice" }))
            }
            (Kind::Confirmed, Some((target, _))) => {
                let by = json!({ "actor": { "kind": "person", "id": ACTORS[self.back % 3] } });
                let data = json!({ "target": target, "by": by, "source": "a log" });
                ("rollout.value.confirmed.v1", data)
            }
            (Kind::ClockStepped, _) => {
                let data = json!({
                    "from": "2026-01-01T07:00:00Z", "to": "2026-01-01T00:00:00Z", "reason": text,
                });
                ("rollout.ledger.clock_stepped.v1", data)
            }
            (Kind::FromTheFuture, _) => (FUTURE_TYPE, json!({ "wind": "north" })),
            _ => note,
        }
    }
}

impl Pick {
    /// What makes an event count in a row, or at another moment, that did not before.
    fn say_more(&self, replacement: &mut Value) {
        if self.odd == 1 && replacement.get("metric").is_some() {
            replacement["checkpoint"] = "P21D".into();
        }
        if self.odd == 3 {
            let at = BEGIN_US + HOUR_US * i64::try_from(self.back * self.back).unwrap();
            let at = format!("{:.6}", jiff::Timestamp::from_microsecond(at).unwrap());
            replacement["occurrence"] =
                json!({ "precision": "instant", "earliest": at, "latest": at });
        }
    }
}

pub(super) fn filter() -> impl Strategy<Value = Filter> {
    let maybe = |len: usize| prop::option::weighted(0.2, 0..len);
    let minutes = || prop::option::weighted(0.2, 0_i64..15_000);
    let types = prop::sample::subsequence(
        vec![
            "rollout.stage.started.v1",
            "rollout.flag.changed.v1",
            "rollout.event",
            "rollout.stage.",
            "rollout.st",
            FUTURE_TYPE,
            "rollout.weather",
            "rollout.nobody.knows.v1",
        ],
        0..3,
    );
    let types = prop_oneof![3 => Just(vec![]), 2 => types];
    let words = prop::sample::select(vec![
        vec![],
        vec![],
        vec![],
        vec!["button"],
        vec!["grey", "button"],
        vec!["größe"],
        vec!["corrected"],
        vec!["nobody"],
    ]);
    let severities = prop_oneof![
        4 => Just(vec![]),
        1 => prop::sample::subsequence(Severity::ALL.to_vec(), 1..3),
    ];
    let bases = prop_oneof![
        3 => Just(vec![]),
        1 => prop::sample::subsequence(vec![Basis::Reported, Basis::Observed], 1..=2),
    ];
    let link = prop::option::weighted(
        0.2,
        prop::sample::select(vec!["1234", "va/site#1234", "77", "bug-3", "nothing"]),
    );
    let parts = (maybe(4), maybe(3), maybe(4), maybe(2), any::<bool>(), link);
    let times = (minutes(), minutes(), minutes(), minutes());
    let at = |minutes: Option<i64>| minutes.map(|minutes| BEGIN_US + minutes * HOUR_US / 60);
    (parts, types, words, severities, bases, times).prop_map(
        move |(parts, types, words, severities, bases, (from, before, since, until))| {
            let (rollout, flag, actor, stage, other, link) = parts;
            Filter {
                rollout: rollout.map(|n| ROLLOUTS[n].parse().unwrap()),
                flag: flag.map(|n| FLAGS[n].parse().unwrap()),
                stage: stage.map(|n| STAGES[n].parse().unwrap()),
                actor: actor.map(|n| ACTORS[n].to_owned()),
                types: types.into_iter().map(str::to_owned).collect(),
                source: other.then(|| SOURCE.to_owned()),
                bases,
                severities,
                link: link.map(str::to_owned),
                words: words.into_iter().map(str::to_owned).collect(),
                from_us: at(from),
                before_us: at(before),
                recorded_from_us: at(since),
                recorded_before_us: at(until),
            }
        },
    )
}

/// Seqs and types, to compare.
pub(super) fn shown(events: &[Recorded]) -> Vec<(u64, Option<&'static str>)> {
    events.iter().map(|e| (e.seq, e.known().map(Event::type_name))).collect()
}

/// The events of a rollout by looking at all of them, over and over, until nothing is added.
pub(super) fn of_rollout(all: &[Recorded], id: &RolloutId) -> Vec<Recorded> {
    let mut own: BTreeSet<u64> =
        all.iter().filter(|e| e.subject.as_ref() == Some(id)).map(|e| e.seq).collect();
    with_amendments(all, &mut own);
    let mut chosen = own.clone();
    let flags = registered_by(all, &own);
    let of_flags = all.iter().filter(|e| {
        let event = e.known().filter(|event| facets::is_of_service(event));
        event.and_then(facets::flag).is_some_and(|key| flags.contains(key))
    });
    chosen.extend(of_flags.map(|e| e.seq));
    with_amendments(all, &mut chosen);
    all.iter().filter(|e| chosen.contains(&e.seq)).cloned().collect()
}

/// The rollouts that a flag is registered for, sorted, and how many changes it has.
pub(super) fn of_flag(all: &[Recorded], key: &FlagKey) -> (Vec<String>, u64) {
    let rollouts = ROLLOUTS.iter().filter(|id| {
        let mut own: BTreeSet<u64> = all
            .iter()
            .filter(|e| e.subject.as_ref().is_some_and(|s| s.as_str() == **id))
            .map(|e| e.seq)
            .collect();
        with_amendments(all, &mut own);
        registered_by(all, &own).contains(key)
    });
    let mut rollouts: Vec<String> = rollouts.map(|id| (*id).to_owned()).collect();
    rollouts.sort();
    let changes = all
        .iter()
        .filter(|e| matches!(e.known(), Some(Event::FlagChanged(change)) if change.key == *key));
    (rollouts, changes.count() as u64)
}

/// The event that another one names by seq and hash.
fn target_of<'a>(all: &'a [Recorded], event: &Recorded) -> Option<&'a Recorded> {
    let target = event.known().and_then(facets::target)?;
    all.iter().find(|e| e.seq == target.seq && e.seq < event.seq && e.hash == target.hash.as_str())
}

fn with_amendments(all: &[Recorded], chosen: &mut BTreeSet<u64>) {
    for event in all {
        if target_of(all, event).is_some_and(|target| chosen.contains(&target.seq)) {
            chosen.insert(event.seq);
        }
    }
}

fn registered_by(all: &[Recorded], own: &BTreeSet<u64>) -> BTreeSet<FlagKey> {
    let mut flags = BTreeSet::new();
    for event in all.iter().filter(|e| own.contains(&e.seq)) {
        let mut newest = None;
        let mut at = Some(event);
        let mut replaced = None;
        while let Some(looked) = at {
            match looked.known() {
                Some(Event::FlagRegistered(e)) => newest = replaced.take().or(Some(e.key.clone())),
                Some(Event::EventCorrected(e)) => {
                    let key = e.replacement.0.get("key").and_then(Value::as_str);
                    replaced = key.map(|key| key.parse().unwrap());
                }
                _ => replaced = None,
            }
            if newest.is_some() {
                break;
            }
            at = target_of(all, looked);
        }
        flags.extend(newest);
    }
    flags
}
