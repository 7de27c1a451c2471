//! The form of `/api/v1/rollouts/{id}/checkpoints` for the contract, held against the answer by a
//! test.

#![expect(dead_code, reason = "forms of an answer, which only the contract and the test look at")]

use serde::Deserialize;
use utoipa::ToSchema;

/// The state of the log that an answer was computed at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AsOfShape {
    /// The newest entry taken into account; null for an empty log.
    pub(super) seq: Option<u64>,
    /// Its hash, 64 hexadecimal digits.
    pub(super) hash: String,
}

/// The checkpoints of a rollout.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointsAnswer {
    pub(super) data: CheckpointsShape,
    pub(super) as_of: AsOfShape,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointsShape {
    /// The nearest first.
    pub(super) checkpoints: Vec<CheckpointShape>,
    /// Every `checkpoint.recorded` with what it says, oldest first.
    #[schema(value_type = Vec<Object>)]
    pub(super) snapshots: Vec<serde_json::Value>,
}

/// One checkpoint by an instant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointShape {
    /// Its distance from the anchor, an ISO 8601 duration.
    #[schema(example = "P7D")]
    pub(super) checkpoint: String,
    pub(super) state: StateShape,
    pub(super) counted_from: CountedFromShape,
    /// Seq of the event that it is counted from.
    pub(super) anchor: Option<u64>,
    #[schema(format = DateTime)]
    pub(super) anchored_at: Option<String>,
    #[schema(format = DateTime)]
    pub(super) due: Option<String>,
    /// The same instant by the clocks of the plan's time zone.
    #[schema(format = DateTime)]
    pub(super) due_local: Option<String>,
    #[schema(example = "America/New_York")]
    pub(super) time_zone: String,
    /// Until when a snapshot is in time.
    #[schema(format = DateTime)]
    pub(super) grace_ends: Option<String>,
    /// The local days that its results are to cover.
    pub(super) window: Option<WindowShape>,
    pub(super) kpis: Vec<KpiShape>,
    /// Every time that it was taken, oldest first; those of an earlier launch too.
    pub(super) taken: Vec<TakenShape>,
    /// Seq of the newest of them.
    pub(super) recorded_by: Option<u64>,
    /// Seqs of the events that announced it.
    pub(super) announced: Vec<u64>,
    /// Seq of the event that said it was missed.
    pub(super) missed: Option<u64>,
    /// Seqs of announcements that no longer hold.
    pub(super) superseded: Vec<u64>,
    /// Every event that this rests on.
    pub(super) seqs: Vec<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateShape {
    NotAnchored,
    Pending,
    Due,
    Overdue,
    Recorded,
    Late,
    Missed,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CountedFromShape {
    Launch,
    Everyone,
    Relaunch,
}

/// A span of local dates, both ends included.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowShape {
    /// The words of the source.
    pub(super) raw: Option<String>,
    #[schema(format = Date)]
    pub(super) start: Option<String>,
    #[schema(format = Date)]
    pub(super) end: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BasisShape {
    Observed,
    Reported,
    Imported,
    Backfilled,
}

/// One time that a snapshot was taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TakenShape {
    pub(super) seq: u64,
    /// Null when nobody knows.
    #[schema(format = DateTime)]
    pub(super) time: Option<String>,
    #[schema(format = DateTime)]
    pub(super) recorded_at: String,
    pub(super) basis: BasisShape,
    /// Taken from a document and confirmed by nobody.
    pub(super) unverified: bool,
    #[schema(value_type = Option<Object>)]
    pub(super) actor: Option<serde_json::Value>,
    #[schema(value_type = Vec<Object>)]
    pub(super) evidence: Vec<serde_json::Value>,
    /// The days that it says its results cover.
    pub(super) window: Option<WindowShape>,
}

/// One KPI at one checkpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KpiShape {
    /// By the plan's own name.
    pub(super) name: String,
    pub(super) goal: Option<GoalShape>,
    /// The value before the release.
    pub(super) baseline: Option<ValueShape>,
    /// The value that holds.
    pub(super) actual: Option<ValueShape>,
    /// Values that the actual one replaced, oldest first.
    pub(super) before: Vec<ValueShape>,
    pub(super) verdict: VerdictShape,
    /// Why the verdict is what it is, in words.
    pub(super) why: String,
    /// What a person or a service said of it.
    pub(super) evaluated: Option<EvaluatedShape>,
    /// Every event that this rests on.
    pub(super) seqs: Vec<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum VerdictShape {
    Met,
    Missed,
    NoData,
    CannotBeCompared,
}

/// What was to be reached, in the words of the source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GoalShape {
    pub(super) raw: String,
    pub(super) seq: u64,
    pub(super) basis: BasisShape,
    /// The line of the plan.
    pub(super) line: Option<u64>,
}

/// A value and what it rests on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueShape {
    pub(super) raw: String,
    /// What could be understood of it.
    #[schema(value_type = Object)]
    pub(super) quantity: serde_json::Value,
    /// Where it was read.
    pub(super) source: Option<String>,
    pub(super) basis: BasisShape,
    /// Taken from a document and confirmed by nobody.
    pub(super) unverified: bool,
    pub(super) confirmed_by: Vec<u64>,
    /// Null when nobody knows.
    #[schema(format = DateTime)]
    pub(super) time: Option<String>,
    #[schema(format = DateTime)]
    pub(super) recorded_at: String,
    pub(super) seq: u64,
    #[schema(value_type = Vec<Object>)]
    pub(super) evidence: Vec<serde_json::Value>,
    /// How it came to be replaced; null of a value that holds.
    pub(super) replaced: Option<ReplacedShape>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReplacedShape {
    Restated,
    Corrected,
    TakenAgain,
}

/// What somebody said a KPI came to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluatedShape {
    pub(super) verdict: EvaluatedVerdictShape,
    pub(super) basis: BasisShape,
    pub(super) seq: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EvaluatedVerdictShape {
    Met,
    Missed,
    Overridden,
}

#[cfg(test)]
mod tests {
    use projector::{
        checkpoints::snapshots,
        recorded::{Moment, Recorded},
        rollout::Rollout,
    };
    use serde_json::{Value, json};

    use super::*;

    fn recorded(seq: u64, kind: &str, day: u32, data: Value) -> Recorded {
        let mut data = data;
        data["basis"] = "reported".into();
        let event = json!({
            "specversion": "1.0", "id": seq.to_string(), "source": "test", "subject": "letters",
            "type": format!("rollout.{kind}.v1"), "time": format!("2025-01-{day:02}T15:00:00Z"),
            "data": data,
        });
        let bytes = serde_json::to_vec(&event).unwrap();
        let recorded =
            Recorded::read(seq, &format!("{seq:064x}"), 1_737_000_000_000_000, Some(&bytes));
        assert!(recorded.known().is_some(), "{event}");
        recorded
    }

    #[test]
    fn the_contract_has_every_member_of_the_answer() {
        let quantity = json!({ "raw": "41%", "value": "41", "unit": "%", "source": "Mailer" });
        let goal = json!({ "raw": "at least 30%", "value": "30", "unit": "%", "qualifier": "ge" });
        let results = json!({ "goals": [{ "name": "Sent", "quantity": quantity, "goal": goal }] });
        let snapshot = json!({
            "checkpoint": "P7D", "results": results, "window": { "start": "2025-01-10" },
            "evidence": [{ "kind": "dashboard" }], "actor": { "kind": "person", "id": "ada" },
        });
        let events = [
            recorded(0, "rollout.launched", 10, json!({ "exposures": [{ "kind": "all" }] })),
            recorded(
                1,
                "metric.observed",
                2,
                json!({ "metric": "Sent", "checkpoint": "baseline", "quantity": quantity }),
            ),
            recorded(
                2,
                "criterion.set",
                3,
                json!({ "criterion": "sent", "text": "Sent", "form": "qualitative", "scope": "checkpoint", "metric": "Sent" }),
            ),
            recorded(3, "checkpoint.recorded", 18, snapshot.clone()),
            recorded(4, "checkpoint.recorded", 19, snapshot),
            recorded(
                5,
                "criterion.evaluated",
                20,
                json!({ "criterion": "sent", "checkpoint": "P7D", "verdict": "overridden" }),
            ),
        ];
        let all = snapshots(&Rollout::fold(&events), Moment(1_740_000_000_000_000));
        let answer = json!({
            "data": { "checkpoints": all, "snapshots": [] },
            "as_of": { "seq": 5, "hash": "00" },
        });
        let shape: CheckpointsAnswer = serde_json::from_value(answer).unwrap();
        let kpi = &shape.data.checkpoints[0].kpis[0];
        assert!(matches!(kpi.verdict, VerdictShape::Met));
        assert!(kpi.baseline.is_some() && kpi.goal.is_some() && kpi.evaluated.is_some());
        assert!(matches!(kpi.before[0].replaced, Some(ReplacedShape::TakenAgain)));
        assert_eq!(shape.data.checkpoints[0].taken.len(), 2);
    }
}
