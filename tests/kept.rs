//! Answers that the server keeps are the ones that it would compute anew.

use serde_json::{Value, json};

use crate::harness::{Ledger, Server, note};

const CURRENT: &str = "/api/v1/rollouts/trial/current";
const TIMELINE: &str = "/api/v1/rollouts/trial/timeline";

fn started(id: &str, stage: &str, time: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://tests.example/it", "subject": "trial",
        "type": "rollout.stage.started.v1", "time": time,
        "data": { "stage": stage, "attempt": 1, "basis": "reported" },
    })
}

/// The whole of a time line, page by page.
fn paged(server: &Server, question: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{TIMELINE}?limit={limit}{question}{cursor}");
        let page = server.get(&path).json();
        let found = page["data"].as_array().unwrap();
        assert!(found.len() <= limit, "{path}");
        rows.extend(found.iter().cloned());
        assert_eq!(page["page"]["has_more"], !page["page"]["next_cursor"].is_null());
        let Some(next) = page["page"]["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn what_is_kept_gives_way_to_every_event() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    server.get(CURRENT).problem(404, "not_found");
    server.get(&format!("{TIMELINE}?limit=5")).problem(404, "not_found");
    for (n, stage) in ["stage-a", "stage-b", "stage-c"].into_iter().enumerate() {
        let time = format!("2026-01-0{}T10:00:00Z", n + 1);
        assert_eq!(server.post(&started(&format!("s-{n}"), stage, &time)).status, 201);
        // The second time it comes from memory.
        for _ in 0..2 {
            let answer = server.get(CURRENT);
            let body = answer.json();
            assert_eq!(body["data"]["current"]["stage"], stage);
            let named =
                format!("{}:{}", body["as_of"]["seq"], body["as_of"]["hash"].as_str().unwrap());
            assert_eq!(answer.as_of, Some(named));
            let whole = server.get("/api/v1/rollouts/trial").json();
            for member in ["id", "current", "checkpoints", "next"] {
                assert_eq!(body["data"][member], whole["data"][member], "{member}");
            }
            let page = server.get(&format!("{TIMELINE}?limit=500")).json();
            assert_eq!(page["data"].as_array().unwrap().len(), n + 1);
        }
    }
    // What concerns another rollout moves the head, and the answer names it.
    let before = server.get(CURRENT).json();
    let mut other = note("other", "said");
    other["subject"] = json!("another");
    assert_eq!(server.post(&other).status, 201);
    let after = server.get(CURRENT).json();
    assert_eq!(after["data"], before["data"]);
    assert_eq!(after["as_of"]["seq"], before["as_of"]["seq"].as_u64().unwrap() + 1);
    server.stop();
}

#[test]
fn a_time_line_comes_in_pages_without_gap_or_double() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    // Recorded in another order than it happened, two at the same moment.
    for (n, day) in [5, 3, 9, 3, 1, 7].into_iter().enumerate() {
        let event =
            started(&format!("s-{n}"), &format!("stage-{n}"), &format!("2026-01-0{day}T10:00:00Z"));
        server.post(&event);
    }
    let whole = server.get(TIMELINE).json();
    assert_eq!(whole["page"], json!({ "has_more": false, "next_cursor": null }));
    let whole = whole["data"].as_array().unwrap().clone();
    assert_eq!(whole.len(), 6);
    for limit in [1, 2, 4, 6, 500] {
        assert_eq!(paged(&server, "", limit), whole, "limit {limit}");
    }
    let by_then = "&as_of=2026-01-05T12:00:00Z";
    assert_eq!(paged(&server, by_then, 2), whole[..4]);

    let page = server.get(&format!("{TIMELINE}?limit=1")).json();
    let cursor = page["page"]["next_cursor"].as_str().unwrap();
    server.get(&format!("{TIMELINE}?cursor={cursor}{by_then}")).problem(400, "invalid_request");
    for refused in ["limit=0", "limit=501", "cursor=x", "format=md"] {
        server.get(&format!("{TIMELINE}?{refused}")).problem(400, "invalid_request");
    }
    // An event that happened earlier comes between two pages: what follows the cursor is the same.
    server.post(&started("early", "stage-x", "2026-01-01T00:00:00Z"));
    let rest = server.get(&format!("{TIMELINE}?cursor={cursor}")).json();
    assert_eq!(rest["data"].as_array().unwrap(), &whole[1..]);
    server.stop();
}
