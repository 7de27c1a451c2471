//! A filled export that comes back records its revision and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

use std::{fs, path::Path};

use api::plan::{
    self,
    derive::{self, ImportContext},
    fill,
    revise::{Before, revise},
};
use projector::{recorded::Recorded, rollout::Rollout};
use schemas::{
    CloudEvent,
    values::{FieldKind, PlanField, PlanValue},
};
use serde_json::{Value, json};

fn context(text: &str, revision: u64) -> ImportContext {
    ImportContext {
        rollout: "claim-form".parse().unwrap(),
        file_name: "claim-form.md".to_owned(),
        commit: None,
        revision,
        actor: None,
        text: text.to_owned(),
        digest: plan::digest(text),
        redactions: Vec::new(),
        time_zone: None,
    }
}

fn fold(events: &[CloudEvent]) -> Rollout {
    let recorded: Vec<Recorded> = (1_u64..)
        .zip(events)
        .map(|(seq, event)| {
            let bytes = event.to_value().to_string();
            let at = 1_700_000_000_000_000 + i64::try_from(seq).unwrap();
            Recorded::read(seq, &format!("{seq:064x}"), at, Some(bytes.as_bytes()))
        })
        .collect();
    Rollout::fold(&recorded)
}

/// An event that somebody reports.
fn reported(number: usize, kind: &str, mut data: Value) -> CloudEvent {
    data["basis"] = json!("reported");
    data["actor"] = json!({"kind": "person", "id": "acct-1"});
    let event = json!({
        "specversion": "1.0", "id": format!("story-{number}"), "source": "urn:example:desk",
        "type": format!("rollout.{kind}.v1"), "subject": "claim-form", "data": data,
    });
    CloudEvent::from_sender(&event).unwrap_or_else(|e| panic!("{e:?}: {event}"))
}

/// A story that knows something for every kind of blank in a plan.
fn story(fields: &[PlanField]) -> Vec<(&'static str, Value)> {
    let mut out = Vec::new();
    let blanks = || fields.iter().filter(|f| f.kind == FieldKind::Blank);
    let mut places: Vec<(&str, &str)> = Vec::new();
    for field in blanks() {
        let parts: Vec<_> = field.path.split('/').collect();
        match *parts.as_slice() {
            [kind @ ("stages" | "checkpoints"), name, ..] if !places.contains(&(kind, name)) => {
                places.push((kind, name));
            }
            ["gates", gate, "verdict"] => out.push((
                "gate.decided",
                json!({"gate": gate, "verdict": "conditional", "conditions": ["the archive is up"]}),
            )),
            ["questions", number, "answer"] => {
                let path = format!("questions/{number}/question");
                let asked = fields.iter().find(|f| f.path == path).unwrap();
                let words = format!("What we hoped for: yes, {number} times");
                out.push(("question.answered", json!({"question": asked.raw, "answer": words})));
            }
            ["checklist", ..] if matches!(field.value, Some(PlanValue::Checked(_))) => out.push((
                "checklist.item_set",
                json!({"item": field.label, "state": "done", "evidence": [{"kind": "screenshot"}]}),
            )),
            _ => {}
        }
    }
    for (kind, name) in places {
        let under = format!("{kind}/{name}/");
        let named = |part: &str| -> Vec<Value> {
            let wanted = |f: &&PlanField| f.path.starts_with(&under) && f.path.contains(part);
            let labels = blanks().filter(wanted).filter_map(|f| f.label.clone());
            (10..)
                .zip(labels)
                .map(|(n, l)| json!({"name": l, "quantity": {"raw": format!("{n}")}}))
                .collect()
        };
        let results = json!({
            "unique_users": {"raw": "1,204"}, "bugs_identified": {"raw": "3"},
            "bugs_fixed": {"raw": "2"}, "downstream": {"raw": "No", "value": "no"},
            "processing": {"raw": "No", "value": "no"}, "latency": {"raw": "0.9 s"},
            "error_types": ["timeouts", "503"],
            "changes_needed": {"raw": "Yes", "value": "yes", "detail": "LS-1, LS-2"},
            "metrics": named("/metrics/"), "goals": named("/kpis/"),
        });
        if kind == "stages" {
            out.push(("stage.results_recorded", json!({"stage": name, "results": results})));
            for n in 1..=3 {
                let bug = format!("LS-{name}-{n}");
                out.push((
                    "bug.found",
                    json!({"bug": bug, "title": format!("Empty query {n} crashes"), "stage": name}),
                ));
            }
            out.push(("bug.fixed", json!({"bug": format!("LS-{name}-2")})));
        } else {
            out.push(("checkpoint.recorded", json!({"checkpoint": name, "results": results})));
        }
    }
    out
}

/// Imports, tells the story, exports, edits the export and imports it again.
fn returned(text: &str, edit: impl Fn(&str) -> String) -> (usize, Vec<CloudEvent>) {
    let read = plan::read(text);
    let mut events = derive::events(&read, &context(text, 1));
    for (number, (kind, data)) in story(&read.fields).into_iter().enumerate() {
        events.push(reported(number, kind, data));
    }
    let rollout = fold(&events);
    let newest = rollout.plan.newest().unwrap();
    let filled = fill::fill(&newest.text, &newest.fields, &rollout);
    let before = Before {
        revision: 1,
        seq: 1,
        hash: None,
        digest: plan::digest(text),
        reader_version: plan::READER_VERSION,
        fields: &newest.fields,
    };
    let back = edit(&filled.text);
    let known = |field: &PlanField| fill::already_known(&rollout, field);
    let again = revise(&before, &plan::read(&back), &context(&back, 2), &known);
    (filled.filled.len(), again)
}

fn plans() -> Vec<(String, String)> {
    let mut out = Vec::new();
    for folder in
        ["../examples/plans", "tests/plans", "../../shared/seeds", "../../shared/templates"]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = fs::read_dir(path).into_iter().flatten().map(|f| f.unwrap().path());
        for file in files.filter(|f| f.extension().is_some_and(|e| e == "md")) {
            out.push((file.display().to_string(), fs::read_to_string(file).unwrap()));
        }
    }
    assert!(out.len() >= 11);
    out
}

fn shown(events: &[CloudEvent]) -> Vec<String> {
    events
        .iter()
        .map(|e| format!("{} {}", e.id, e.event.data()))
        .map(|t| t.chars().take(600).collect())
        .collect()
}

const RESIDUES: &str = "# A\n\n## Stage A: 10% of users\n\n### Results\n\n- Number of bugs identified / fixed: [FILL_IN]/[FILL_IN]\n  - [FILL_IN] : list\n  - [FILL_IN] : list\n  - [FILL_IN] : list\n- Any changes necessary? [PICK_ONE]: yes | no | N/A\n- If yes, what: [FILL_IN] with ticket numbers\n- Types of errors logged: [FILL_IN] : of any kind\n\n## Go/No-Go\n\n- Verdict: [FILL_IN]\n";

#[test]
fn a_filled_export_that_comes_back_records_nothing() {
    let mut plans = plans();
    plans.push(("residues".to_owned(), RESIDUES.to_owned()));
    let mut filled = 0;
    for (name, text) in plans {
        let (count, events) = returned(&text, str::to_owned);
        filled += count;
        let expected = usize::from(count > 0);
        assert_eq!(
            events.len(),
            expected,
            "{name}: {:#?}",
            shown(&events[expected.min(events.len())..])
        );
    }
    assert!(filled > 100, "{filled} blanks were filled");
}

#[test]
fn what_the_template_says_beside_a_blank_goes_with_it() {
    let read = plan::read(RESIDUES);
    let blanks = read.fields.iter().filter(|f| f.kind == FieldKind::Blank).count();
    let (count, _) = returned(RESIDUES, |back| {
        assert!(!back.contains(": list") && !back.contains("with ticket"), "{back}");
        back.to_owned()
    });
    assert_eq!(count, blanks);
    // An older export, with those words still there, is no news either; a bug may have moved on.
    let (_, events) = returned(RESIDUES, |back| {
        back.replace("-2, fixed)", "-2, found) : list")
            .replace("LS-1, LS-2", "LS-1, LS-2 with ticket numbers")
    });
    assert_eq!(events.len(), 1, "{:#?}", shown(&events[1..]));
}

#[test]
fn a_stage_that_moved_keeps_what_was_recorded() {
    let stage = |letter: &str, share: &str| {
        format!(
            "## Stage {letter}: {share} of users\n\n### Results\n\n- Number of unique users: [FILL_IN]\n\n"
        )
    };
    let text = format!("# A\n\n{}{}", stage("A", "10%"), stage("B", "50%"));
    let (_, events) = returned(&text, |back| {
        let back = back.replace("Stage B", "Stage C");
        back.replacen("## Stage C", &format!("{}## Stage C", stage("B", "25%")), 1)
    });
    let results = events.iter().filter(|e| e.event.type_name().contains("results")).count();
    assert_eq!(results, 0, "{:#?}", shown(&events));
    let data = events[0].event.data();
    let warnings = data["warnings"].as_array().unwrap();
    let moved: Vec<_> = warnings.iter().filter(|w| w["code"] == "stage_moved").collect();
    assert_eq!(moved.len(), 1, "{warnings:?}");
    assert!(
        moved[0]["message"]
            .as_str()
            .unwrap()
            .starts_with("this stage is stage-c now and was stage-b")
    );
}
