//! Every example in the OpenAPI document is real: what it shows was sent and answered, and is asked
//! for again here. `UPDATE_EXAMPLES=1` writes the answers down anew.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Ledger, Server, examples, root},
    story,
};

/// What is shown: the operation, or the refusal, and how it is asked for. The present enters no
/// answer, or the question names a moment: what a plan says is known from its import on.
const ASKED: [(&str, &str); 24] = [
    ("get_rollouts", "/api/v1/rollouts"),
    ("get_rollouts_one", "/api/v1/rollouts/delegate-access?as_of=2030-01-01"),
    ("get_rollouts_stages", "/api/v1/rollouts/delegate-access/stages?as_of=2030-01-01"),
    ("get_rollouts_checkpoints", "/api/v1/rollouts/clinic-choice/checkpoints?as_of=2030-01-01"),
    ("get_rollouts_deviations", "/api/v1/rollouts/clinic-choice/deviations?as_of=2030-01-01"),
    ("get_rollouts_report", "/api/v1/rollouts/refund-status/report?as_of=2030-01-01"),
    ("get_rollouts_current", "/api/v1/rollouts/appointment-reminders/current"),
    ("get_rollouts_timeline", "/api/v1/rollouts/appointment-reminders/timeline?limit=2"),
    ("get_events", "/api/v1/events?type=rollout.stage.started.v1&limit=2"),
    ("get_events_one", "/api/v1/events/120"),
    ("get_flags_history", "/api/v1/flags/appointment_reminders_enabled/history?at=2026-01-23"),
    ("get_schedule", "/api/v1/schedule?until=2026-03-01"),
    (
        "get_audit_who_changed_one",
        "/api/v1/audit/who-changed/appointment_reminders_enabled?limit=2",
    ),
    ("get_audit_actor_one", "/api/v1/audit/actor/acct-0117?limit=2"),
    ("get_audit_between", "/api/v1/audit/between?from=2026-01-22&until=2026-01-23&limit=2"),
    ("get_audit_state_one", "/api/v1/audit/state/appointment_reminders_enabled?at=2026-01-23"),
    ("get_audit_approvals_one", "/api/v1/audit/approvals/clinic-choice?as_of=2030-01-01"),
    ("get_audit_restated_one", "/api/v1/audit/restated/appointment-reminders"),
    ("get_audit_gaps", "/api/v1/audit/gaps?quiet_days=7"),
    ("get_schemas_one", "/schemas/rollout.note.added.v1.json"),
    ("get_readyz", "/readyz"),
    ("BadRequest", "/api/v1/rollouts/delegate-access?as_of=yesterday"),
    ("NotFound", "/api/v1/rollouts/unknown"),
    ("MethodNotAllowed", "/api/v1/views/diff"),
];

/// What differs between two ledgers of one story: by its name in an answer.
const OWN: [&str; 9] = [
    "salt",
    "authid",
    "hash",
    "next_cursor",
    "request_id",
    "lag_seconds",
    "stood_seconds",
    // How long a source was silent is counted to now; `why` says it in words.
    "silent_seconds",
    "why",
];

/// The story ends before; what was recorded when the examples were made is later.
const STORY_ENDS: &str = "2026-10";

/// The same in microseconds since 1970, about.
const STORY_ENDS_US: i64 = 1_790_000_000_000_000;

fn file() -> PathBuf {
    root().join("api/src/http/contract/examples.json")
}

/// What `make demo` makes: five plans, the log of a flag, a story.
fn told() -> (Ledger, Server) {
    let ledger = Ledger::new();
    story::tell(&ledger);
    for plan in examples("plans", "md") {
        ledger.run(&["plan", "import", plan.to_str().unwrap()]).ok();
    }
    let server = ledger.serve();
    server.ready();
    (ledger, server)
}

fn shown(asked: &str, answer: &Answer) -> Value {
    json!({ "asked": asked, "status": answer.status, "body": answer.json() })
}

/// Everything that is shown, asked for now.
fn recorded() -> Value {
    let (_ledger, server) = told();
    let mut all = BTreeMap::new();
    for (name, path) in ASKED {
        all.insert(name, shown(&format!("GET {path}"), &server.get(path)));
    }
    let event = fs::read(root().join("examples/events/rollout.note.added.v1.json")).unwrap();
    let mut send = |name, kind, body: &[u8]| {
        all.insert(name, shown("POST /api/v1/events", &server.post_as(kind, body)));
    };
    send("post_events", "application/json", &event);
    send("post_events again", "application/json", &event);
    send("Unprocessable", "application/json", br#"{"specversion":"1.0"}"#);
    send("UnsupportedMediaType", "text/plain", b"{}");
    let mut other: Value = serde_json::from_slice(&event).unwrap();
    other["data"]["text"] = json!("Something else under the same id.");
    send("Conflict", "application/json", other.to_string().as_bytes());
    json!(all)
}

/// Without what no two ledgers share.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let own = |name: &str, value: &Value| {
                let own = OWN.contains(&name) && !value.is_null();
                if own { json!("differs") } else { masked(value) }
            };
            members.iter().map(|(name, value)| (name.clone(), own(name, value))).collect()
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) if text.as_str() > STORY_ENDS && text.starts_with("20") => {
            json!("later")
        }
        Value::Number(number) if number.as_i64().is_some_and(|n| n > STORY_ENDS_US) => {
            json!("later")
        }
        // A person of a flag's log is pseudonymous, by a key of the ledger.
        Value::String(text) if text.starts_with("u1:") => json!("u1:differs"),
        Value::String(text) => {
            let hash =
                |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
            let parts: Vec<_> = text.split(['-', ':', ' ']).filter(hash).collect();
            json!(parts.iter().fold(text.clone(), |text, part| text.replace(part, "HASH")))
        }
        _ => value.clone(),
    }
}

#[test]
fn every_answer_that_is_shown_is_answered_again() {
    let now = recorded();
    if env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::write(file(), format!("{now:#}\n")).unwrap();
    }
    let kept: Value = serde_json::from_slice(&fs::read(file()).unwrap()).unwrap();
    let names = |all: &Value| all.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(&now), "UPDATE_EXAMPLES=1 writes them anew");
    for (name, was) in kept.as_object().unwrap() {
        let (was, is) = (masked(was), masked(&now[name]));
        assert!(
            was == is,
            "{name} is another now; UPDATE_EXAMPLES=1 writes it anew:\n{was:#}\n{is:#}"
        );
    }
}
