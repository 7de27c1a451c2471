//! Events of one size, as monitors, people and a flag's service send them while a rollout is under way.

use schemas::canonical;
use serde_json::json;

/// Payloads are padded to this many bytes.
pub(crate) const PAYLOAD_SIZE: usize = 600;

/// The event with the number `n`, of one of so many rollouts in turn.
pub(crate) fn payload(n: usize, rollouts: usize, time_us: i64) -> Vec<u8> {
    let rollout = n * 7_919 % rollouts;
    let (turn, stage) = (n / rollouts, format!("stage-{}", ["a", "b", "c", "d"][n / 50_000 % 4]));
    let flag = format!("feature_{rollout}_enabled");
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
                "value": value, "service": "flipper", "environment": "production", "row": n,
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
        event["subject"] = format!("rollout-{rollout:03}").into();
    }
    let time = jiff::Timestamp::from_microsecond(time_us).expect("a moment of this century");
    event["time"] = format!("{time:.6}").into();
    let padding = PAYLOAD_SIZE.saturating_sub(canonical::to_bytes(&event).len() + 10);
    event["data"]["note"] = "x".repeat(padding).into();
    canonical::to_bytes(&event)
}
