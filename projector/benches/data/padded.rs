//! Events of one size, as monitors, people and a flag's service send them while a rollout is under way.

use schemas::canonical;
use serde_json::json;

/// Payloads are padded to this many bytes.
pub(crate) const PAYLOAD_SIZE: usize = 600;

/// A rollout's id.
pub(crate) fn rollout(n: usize) -> String {
    format!("rollout-{n:07}")
}

/// The event with the number `n`, of one of so many rollouts in turn.
pub(crate) fn payload(n: usize, rollouts: usize, time_us: i64) -> Vec<u8> {
    payload_of(n, n * 7_919 % rollouts, n / rollouts, time_us)
}

/// The event with the number `n`, the `turn`th of its rollout.
fn payload_of(n: usize, rollout: usize, turn: usize, time_us: i64) -> Vec<u8> {
    let stage = format!("stage-{}", ["a", "b", "c", "d"][turn / 100 % 4]);
    let flag = format!("feature_{rollout:07}_enabled");
    let (name, mut data) = match turn % 50 {
        0 if turn == 0 => {
            let title = format!("Feature {rollout} for everyone");
            ("release.defined", json!({ "title": title, "kind": "flag" }))
        }
        1 if turn == 1 => ("flag.registered", json!({ "key": flag, "role": "rollout" })),
        2 if turn < 50 => {
            let exposure = json!([{ "kind": "percent", "min_bp": 2_500, "max_bp": 2_500 }]);
            let data =
                json!({ "stage": stage, "label": stage, "ordinal": 1, "exposures": exposure });
            ("stage.planned", data)
        }
        3 => ("stage.started", json!({ "stage": stage })),
        4 => ("gate.decided", json!({ "gate": "stage", "stage": stage, "verdict": "go" })),
        5..=6 => {
            let bug = format!("B-{turn}");
            ("bug.found", json!({ "bug": bug, "title": "a button is grey", "stage": stage }))
        }
        7 => ("bug.fixed", json!({ "bug": format!("B-{}", turn - 2) })),
        8..=13 => {
            let value = (turn % 100).to_string();
            let data = json!({
                "key": flag, "operation": "enable", "gate": "percentage_of_actors",
                "value": value, "service": "flipper", "environment": "production", "row": 1_000_000_000 + n,
            });
            ("flag.changed", data)
        }
        14..=17 => ("alert.raised", json!({ "monitor": "error rate", "stage": stage })),
        18..=23 => ("error.observed", json!({ "code": "E-17", "stage": stage })),
        24..=26 => ("note.added", json!({ "text": "looked at the dashboard" })),
        _ => {
            let quantity = json!({ "raw": "118 clicks", "value": "118", "unit": "clicks" });
            let metric = format!("metric {}", turn % 5);
            ("metric.observed", json!({ "metric": metric, "quantity": quantity, "stage": stage }))
        }
    };
    data["basis"] = if n.is_multiple_of(3) { "reported" } else { "observed" }.into();
    data["actor"] = json!({ "kind": "person", "id": format!("staff-{}", n % 40) });
    let mut event = json!({
        "specversion": "1.0", "id": format!("{n:012}"), "source": "urn:bench", "data": data,
        "type": format!("rollout.{name}.v1"), "authtype": "token", "authid": "monitor-17",
        "recordedvia": "http", "salt": format!("{:022}", n * 7_919),
    });
    if name != "flag.changed" {
        event["subject"] = self::rollout(rollout).into();
    }
    event["time"] = moment(time_us).into();
    let padding = PAYLOAD_SIZE.saturating_sub(canonical::to_bytes(&event).len() + 10);
    event["data"]["note"] = "x".repeat(padding).into();
    canonical::to_bytes(&event)
}

/// One event of a rollout's history, of which only the number, the rollout and the moment are to be
/// written: for ledgers of many millions of events.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the number stands, and so on.
    numbers: Vec<usize>,
    rollouts: Vec<usize>,
    times: Vec<usize>,
}

impl Template {
    /// The `turn`th event of a rollout.
    pub(crate) fn of(turn: usize) -> Template {
        // Digits that nothing else in the payload has.
        let (n, rollout, time_us) = (123_456_789, 7_654_321, 1_767_225_600_987_654);
        let bytes = payload_of(n, rollout, turn, time_us);
        let places = |text: &str| {
            let found = bytes.windows(text.len()).enumerate();
            found.filter(|(_, part)| *part == text.as_bytes()).map(|(place, _)| place).collect()
        };
        let numbers: Vec<usize> = places(&n.to_string());
        let rollouts: Vec<usize> = places(&rollout.to_string());
        let times = places(&moment(time_us));
        assert!(times.len() == 1 && !rollouts.is_empty() && !numbers.is_empty());
        Template { bytes, numbers, rollouts, times }
    }

    /// The payload of one event.
    pub(crate) fn payload(&self, n: usize, rollout: usize, time_us: i64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let mut put = |places: &[usize], text: String| {
            for place in places {
                bytes[*place..place + text.len()].copy_from_slice(text.as_bytes());
            }
        };
        put(&self.numbers, format!("{n:09}"));
        put(&self.rollouts, format!("{rollout:07}"));
        put(&self.times, moment(time_us));
        bytes
    }
}

fn moment(time_us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(time_us).expect("a moment of this century");
    format!("{time:.6}")
}
