//! Shapes in which people write stages, decisions and steps, and the events that they give.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

use api::plan::{
    self,
    derive::{self, ImportContext},
};
use schemas::values::FieldKind;

fn context(text: &str) -> ImportContext {
    ImportContext {
        rollout: "claim-form".parse().unwrap(),
        file_name: "claim-form.md".to_owned(),
        commit: None,
        revision: 1,
        actor: None,
        text: text.to_owned(),
        digest: plan::digest(text),
        redactions: Vec::new(),
        time_zone: None,
    }
}

/// The events after the release, short: `stage.planned ring-1`.
fn said(text: &str) -> Vec<String> {
    let read = plan::read(text);
    let unread = read.fields.iter().find(|f| f.kind == FieldKind::Unread);
    assert!(unread.is_none(), "{text}: {unread:?}");
    let events = derive::events(&read, &context(text));
    let row = |event: &schemas::CloudEvent| {
        let data = event.event.data();
        let kind = event.event.type_name().trim_start_matches("rollout.").trim_end_matches(".v1");
        let word = |name: &str| data[name].as_str().map(str::to_owned);
        match kind {
            "stage.planned" => {
                let share = &data["exposures"][0]["max_bp"];
                let share = share.as_u64().map_or(String::new(), |bp| format!(" {bp}"));
                format!("planned {}{share}", word("stage").unwrap())
            }
            "stage.results_recorded" => {
                let path = data["plan"]["path"].as_str().unwrap();
                let quantity = ["unique_users", "bugs_identified", "bugs_fixed"]
                    .iter()
                    .find_map(|name| data["results"][name]["raw"].as_str());
                let metric = data["results"]["metrics"][0]["name"].as_str();
                let said = quantity.or(metric).unwrap_or("-");
                format!("{} {said}", path.trim_start_matches("stages/"))
            }
            "gate.decided" => {
                let day = data["occurrence"]["earliest"].as_str().map_or("-", |t| &t[..10]);
                let rest = format!("{}{}", data["conditions"], data["blockers"]);
                let rest = rest.replace("null", "").replace("[]", "");
                format!("{} {} {day} {rest}", word("gate").unwrap(), word("verdict").unwrap())
                    .trim_end()
                    .to_owned()
            }
            "rollback.planned" => {
                let steps = data["steps"].as_array().unwrap().iter();
                let kinds: Vec<_> = steps.map(|s| s["kind"].as_str().unwrap()).collect();
                let severity = word("severity").unwrap_or_else(|| "any".to_owned());
                format!("rollback {severity} {}", kinds.join(" "))
            }
            other => format!("{other} {}", data["plan"]["path"].as_str().unwrap_or("-")),
        }
    };
    events.iter().skip(2).map(row).collect()
}

#[test]
fn stages_have_many_names() {
    let rows: &[(&str, &[&str])] = &[
        (
            "# A\n## Rollout\n### Week 1 (1/20/25): 10% of visitors redirected\n\n### Week 2 (1/27/25): 50% of visitors redirected\n",
            &["planned week-1 1000", "planned week-2 5000"],
        ),
        (
            "# A\n## Ring 1\n### Planning\n- Percentage of users: 5%\n### Results\n- Number of unique users: 40\n## Wave B\n- Percentage of users: 25%\n",
            &["planned ring-1 500", "planned wave-b 2500", "ring-1/results/unique_users 40"],
        ),
        ("# A\n## Phase 0: the team\n- Expected users: 8\n", &["planned phase-0"]),
        ("# A\n## Group 1\nSome people whom we asked.\n", &[]),
        (
            "# A\n## Post-launch\n### Week 1\n- Visits: 12\n",
            &["checkpoint.recorded checkpoints/P7D/metrics/1"],
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(said(text), *expected, "{text}");
    }
}

#[test]
fn results_need_no_heading() {
    let text = "# A\n## Success criteria\n- Saved drafts: more than 20\n\n## Stage A: 10% of users\n- Expected users: 500\n- Actual users: 431\n- Errors: 3\n- Saved drafts: 31\n- Bugs identified: 2\n- Bugs fixed: 1\n- Downstream: none\n";
    assert_eq!(
        said(text),
        [
            "planned stage-a 1000",
            "stage-a/results/unique_users 431",
            "stage-a/results/metrics/1 Errors",
            "stage-a/results/metrics/2 Saved drafts",
            "stage-a/results/bugs_identified 2",
            "stage-a/results/bugs_fixed 1",
            "stage-a/results/downstream -",
            "criterion.set rollout/criteria/1",
        ]
    );
}

#[test]
fn each_dated_decision_is_one() {
    let text = "# A\n## Go/No-Go\n- 8/1/2023: no-go\n  - Blockers:\n    - The archive is down\n- 8/3/2023: GO, provided the archive stays up\n- Condition: the archive stays up\n";
    assert_eq!(
        said(text),
        [
            "launch no_go 2023-08-01 [\"The archive is down\"]",
            "launch conditional 2023-08-03 [\"the archive stays up\"]",
        ]
    );
}

#[test]
fn rollbacks_are_lists_or_one_line() {
    let rows: &[(&str, &[&str])] = &[
        ("# A\n- Rollback: turn new search off\n", &["rollback any flag_off"]),
        (
            "# A\n## Rollback plan\n\n**Critical severity**\n\n1. Turn the toggle off\n2. Alert the team\n\n**High severity:**\n\n1. Create a ticket\n\n**Low**\n\n- Wait for the next release\n",
            &[
                "rollback critical flag_off team_alerted",
                "rollback high ticket_created",
                "rollback low other",
            ],
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(said(text), *expected, "{text}");
    }
}
