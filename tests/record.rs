//! Facts recorded by people: typed flags, help with an example that works, corrections.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{Ledger, Ran, binary, examples, root},
    story,
};

/// Subject and verb of a type's command.
fn words(kind: &str) -> (String, String) {
    let mut parts = kind.split('.').skip(1).map(|word| word.replace('_', "-"));
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn every_subject_and_verb_explains_itself_and_its_example_works() {
    // Examples name entries of the story.
    let ledger = Ledger::new();
    story::tell(&ledger);
    let count = ledger.entries().len();
    let record = ledger.run(&["record", "--help"]).ok().out;
    let mut lines = 0;
    for path in examples("events", "json") {
        let event: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let kind = event["type"].as_str().unwrap();
        let (subject, verb) = words(kind);
        assert!(record.contains(&format!("  {subject} ")), "{subject}:\n{record}");
        let help = ledger.run(&["record", &subject, &verb, "--help"]).ok().out;
        assert!(help.contains(&format!("examples/events/{kind}.json")), "{kind}:\n{help}");
        // Every flag says what it is for.
        let flags = help.split("\nExample").next().unwrap();
        for line in flags.lines().filter(|line| line.trim_start().starts_with("--")) {
            let flag = line.split_whitespace().next().unwrap();
            let below = flags.split(line).nth(1).unwrap_or_default();
            let said = below.lines().nth(1).unwrap_or_default();
            assert!(
                said.starts_with("          ") && said.trim().len() > 4,
                "{kind} {flag}: {said}"
            );
        }
        let Some((_, example)) = help.split_once("Example:\n") else { continue };
        let example = example.split("\n\nThe same as an event").next().unwrap();
        let line = example.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        // As it would be typed, by a shell.
        let typed = line.replacen("rollout-ledger", "\"$BINARY\"", 1) + " --dry-run";
        let mut shell = Command::new("sh");
        shell.args(["-c", &typed]).env("BINARY", binary()).env("ROLLOUT_LEDGER_DATA", &ledger.dir);
        let ran = Ran::of(shell.output().unwrap());
        assert_eq!(ran.code, Some(0), "{line}\n{}", ran.err);
        let made = ran.json();
        assert_eq!(
            (&made["type"], &made["subject"]),
            (&event["type"], &event["subject"]),
            "{line}"
        );
        lines += 1;
    }
    assert!(lines > 40, "only {lines} commands print an example line");
    assert_eq!(ledger.entries().len(), count, "a dry run records nothing");
}

#[test]
fn a_stage_is_recorded_in_the_plans_own_words() {
    let ledger = Ledger::new();
    let plan = root().join("examples/plans/appointment-reminders.md");
    ledger.run(&["plan", "import", plan.to_str().unwrap()]).ok();
    let about = ["--rollout", "appointment-reminders", "--actor", "acct-0042"];
    let record = |args: &[&str]| ledger.run(&[&["record"], args, &about].concat());
    record(&["stage", "started", "--stage", "Canary", "--happened", "2026-01-14 10:00"]).ok();
    record(&[
        "stage",
        "results-recorded",
        "--stage",
        "stage-a",
        "--unique-users",
        "118",
        "--metric",
        "Reminders sent=2,204",
        "--happened",
        "2026-01-15 10:30",
    ])
    .ok();
    let entries = ledger.entries();
    let [.., started, results] = &entries[..] else { panic!("two entries") };
    assert_eq!(started["event"]["data"]["stage"], "stage-a");
    // The plan's zone is New York.
    assert_eq!(started["event"]["time"], "2026-01-14T15:00:00.000000Z");
    assert_eq!(started["event"]["data"]["basis"], "backfilled");
    assert_eq!(started["event"]["data"]["actor"], json!({ "kind": "person", "id": "acct-0042" }));
    let results = results["event"]["data"]["results"].to_string();
    assert!(
        results.contains("118") && results.contains("2204") && results.contains("Reminders sent"),
        "{results}"
    );
    let shown = ledger.run(&["rollout", "show", "appointment-reminders"]).ok().out;
    assert!(shown.contains("118"), "{shown}");
    record(&["stage", "started", "--stage", "Stage"]).exits(2);
    record(&["stage", "started", "--stage", "stage-a", "--happened", "whenever"]).exits(2);
}

#[test]
fn a_correction_lies_over_the_first_value_which_stays_visible() {
    let ledger = Ledger::new();
    let record = [
        "record",
        "stage",
        "results-recorded",
        "--rollout",
        "trial",
        "--stage",
        "stage-a",
        "--unique-users",
        "118",
        "--happened",
        "2026-01-15T10:30:00Z",
        "--id",
        "results",
    ];
    ledger.run(&record).ok();
    ledger.run(&["correct", "1", "--unique-users", "120"]).exits(2).says("--reason");
    ledger.run(&["correct", "1", "--reason", "no change"]).exits(2);
    ledger
        .run(&["correct", "1", "--unique-users", "120", "--reason", "two were counted late"])
        .ok();
    let entries = ledger.entries();
    let data = &entries[2]["event"]["data"];
    assert_eq!(data["target"], json!({ "seq": 1, "hash": entries[1]["hash"] }));
    assert_eq!(entries[1]["event"]["id"], "results", "nothing is edited");
    let json = |args: &[&str]| ledger.run(&[args, &["--output", "json"]].concat()).ok().out;
    let show = json(&["rollout", "show", "trial"]);
    let (first, later) = ("\"118\"", "\"120\"");
    assert!(show.contains(first) && show.contains(later), "{show}");
    // What was known before the correction.
    let before = entries[1]["recorded_at"].as_str().unwrap();
    let then = json(&["rollout", "show", "trial", "--known-at", before]);
    assert!(then.contains(first) && !then.contains(later), "{then}");
    let timeline = ledger.run(&["rollout", "timeline", "trial"]).ok().out;
    assert!(timeline.contains("orrect"), "{timeline}");

    ledger.run(&["correct", "1", "--withdraw", "--reason", "of another rollout"]).ok();
    let now = ledger.run(&["rollout", "show", "trial"]).ok().out;
    assert!(now.contains("no stages are planned or recorded"), "{now}");
    let timeline = ledger.run(&["rollout", "timeline", "trial"]).ok().out;
    assert!(timeline.contains("ithdr"), "{timeline}");
    ledger.run(&["views", "rebuild"]).ok();
    ledger.run(&["views", "diff"]).ok();
    ledger.verifies();
}

#[test]
fn a_flag_is_linked_to_a_rollout() {
    let ledger = Ledger::new();
    ledger
        .run(&["rollout", "link", "trial", "--flag", "trial_enabled", "--actor", "acct-0042"])
        .ok();
    let link = &ledger.entries()[1]["event"];
    assert_eq!(
        (&link["type"], &link["subject"]),
        (&json!("rollout.flag.registered.v1"), &json!("trial"))
    );
    assert_eq!(link["data"]["key"], "trial_enabled");
}

#[test]
fn the_same_id_typed_twice_is_one_entry() {
    let ledger = Ledger::new();
    let record = ["record", "note", "added", "--rollout", "trial", "--text", "Said", "--id", "one"];
    let receipts: BTreeMap<_, _> = [false, true]
        .map(|duplicate| {
            let ran = ledger.run(&[&record[..], &["--output", "jsonl"]].concat()).ok();
            (duplicate, ran.lines()[0].clone())
        })
        .into();
    for (duplicate, receipt) in &receipts {
        assert_eq!(receipt["duplicate"], *duplicate);
        assert_eq!(receipt["seq"], 1);
    }
}
