//! A checkpoint as people ask for it: what became of it, what it showed, and what that rests on.

use schemas::values::{Actor, Basis, Evidence, Window};
use serde::Serialize;

use super::{CheckpointState, Checkpoints, CountedFrom, kpis::Kpi, local_time};
use crate::{recorded::Moment, rollout::Rollout};

/// One checkpoint by an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Snapshot {
    /// Its distance from the anchor: `P7D`, `P1M`.
    pub checkpoint: String,
    pub state: CheckpointState,
    /// What the plan counts it from.
    pub counted_from: CountedFrom,
    /// The event that it is counted from.
    pub anchor: Option<u64>,
    pub anchored_at: Option<Moment>,
    /// When another anchor, such as a relaunch, replaced this one; absent of the one that holds.
    pub until: Option<Moment>,
    pub due: Option<Moment>,
    /// The same instant by the clocks of the plan's time zone.
    pub due_local: Option<String>,
    pub time_zone: String,
    /// Until when a snapshot is in time.
    pub grace_ends: Option<Moment>,
    /// The local days that its results are to cover.
    pub window: Option<Window>,
    pub kpis: Vec<Kpi>,
    /// Every time that it was taken, oldest first.
    pub taken: Vec<Taken>,
    /// The newest of them that is counted from the anchor.
    pub recorded_by: Option<u64>,
    /// Seqs of the events that announced it.
    pub announced: Vec<u64>,
    /// The event that said it was missed.
    pub missed: Option<u64>,
    /// Seqs of announcements that no longer hold.
    pub superseded: Vec<u64>,
    /// Every event that this rests on.
    pub seqs: Vec<u64>,
}

/// One time that a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Taken {
    pub seq: u64,
    /// When; absent when nobody knows.
    pub time: Option<Moment>,
    pub recorded_at: Moment,
    pub basis: Basis,
    /// Taken from a document and confirmed by nobody.
    pub unverified: bool,
    pub actor: Option<Actor>,
    pub evidence: Vec<Evidence>,
    /// The days that it says its results cover.
    pub window: Option<Window>,
}

/// Every checkpoint of a rollout by an instant, the nearest first; what was counted from an earlier
/// launch before what is counted from the relaunch.
pub fn snapshots(rollout: &Rollout, now: Moment) -> Vec<Snapshot> {
    let time_zone = rollout.plan.time_zone();
    let all = Checkpoints::with_earlier(rollout).0.into_iter();
    all.map(|c| {
        let kpis = Kpi::of(rollout, &c);
        let taken: Vec<Taken> = c
            .snapshots
            .iter()
            .map(|fact| Taken {
                seq: fact.seq(),
                time: fact.time(),
                recorded_at: fact.from.recorded_at,
                basis: fact.from.basis,
                unverified: fact.from.unverified,
                actor: fact.from.actor.clone(),
                evidence: fact.value.evidence.clone(),
                window: fact.value.window.clone(),
            })
            .collect();
        let mut seqs: Vec<u64> = kpis.iter().flat_map(|k| k.seqs.clone()).collect();
        seqs.extend(c.anchor);
        seqs.extend(taken.iter().map(|t| t.seq));
        seqs.extend(&c.announced);
        seqs.extend(c.missed);
        seqs.sort_unstable();
        seqs.dedup();
        Snapshot {
            state: c.state(now),
            due_local: c.due.and_then(|due| local_time(due, time_zone)),
            time_zone: time_zone.to_owned(),
            recorded_by: c.newest().map(crate::rollout::Fact::seq),
            checkpoint: c.name,
            counted_from: c.counted_from,
            anchor: c.anchor,
            anchored_at: c.anchored_at,
            until: c.until,
            due: c.due,
            grace_ends: c.grace_ends,
            window: c.window,
            announced: c.announced,
            missed: c.missed,
            superseded: c.superseded,
            kpis,
            taken,
            seqs,
        }
    })
    .collect()
}
