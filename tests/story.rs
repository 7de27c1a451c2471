//! The story of `examples/`: a pilot, a canary, a rollback with its four steps, a relaunch, everyone,
//! two snapshots. What the ledger then knows, and what it says did not follow the plan.

use std::{fs, process::Command, sync::LazyLock};

use serde_json::{Value, json};

use crate::harness::{Ledger, Ran, binary, examples, root};

const ID: &str = "appointment-reminders";

/// The whole story, told once for all tests that only ask.
static STORY: LazyLock<Ledger> = LazyLock::new(|| {
    let ledger = Ledger::new();
    tell(&ledger);
    ledger
});

pub(crate) fn tell(ledger: &Ledger) {
    let example = |path: &str| root().join("examples").join(path).to_str().unwrap().to_owned();
    ledger.run(&["plan", "import", &example("plans/appointment-reminders.md")]).ok();
    let (log, map) = (example("flags/appointment_reminders.csv"), example("flags/accounts.csv"));
    let import = ["flags", "import", &log, "--source", "flags", "--environment", "production"];
    ledger.run(&[&import[..], &["--actors", &map]].concat()).ok();
    for chapter in examples("story", "ndjson") {
        let ran =
            ledger.run(&["event", "append", "-f", chapter.to_str().unwrap(), "--output", "jsonl"]);
        assert!(ran.ok().lines().iter().all(|receipt| receipt["duplicate"] == false));
    }
}

fn show(args: &[&str]) -> Value {
    STORY.run(&[&["rollout", "show", ID, "--output", "json"], args].concat()).ok().json()
}

#[test]
fn everyone_sees_it_after_two_attempts_and_two_snapshots() {
    let page = show(&[]);
    let page = page.get("data").unwrap_or(&page);
    assert_eq!(page["current"]["stage"], "stage-d");
    let checkpoints: Vec<_> = page["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (&c["checkpoint"], &c["state"]))
        .collect();
    let (week, month, recorded) = (json!("P7D"), json!("P1M"), json!("recorded"));
    assert_eq!(checkpoints, [(&week, &recorded), (&month, &recorded)]);

    let shown = STORY.run(&["rollout", "show", ID]).ok().out;
    let stages: Vec<_> = shown
        .lines()
        .map(|line| line.split_whitespace().next().unwrap_or_default())
        .filter(|word| *word == "pilot" || word.starts_with("stage-"))
        .collect();
    for (stage, rows) in [("stage-a", 2), ("stage-b", 1), ("stage-c", 1), ("stage-d", 1)] {
        assert_eq!(stages.iter().filter(|s| **s == stage).count(), rows, "{stage}:\n{shown}");
    }
    for fact in ["694", "702", "4871", "9406", "12874", "rolled back", "4 steps done", "ARM-118"] {
        assert!(shown.contains(fact), "{fact} is not shown:\n{shown}");
    }
    assert!(shown.contains("rollout-ledger record"), "the next fact's command:\n{shown}");
    let list = STORY.run(&["rollout", "list", "--output", "json"]).ok().json();
    assert!(list.to_string().contains(ID));
}

#[test]
fn the_two_deviations_are_found_and_every_rule_has_a_verdict() {
    let args = ["rollout", "deviations", ID, "--output", "jsonl"];
    let mut verdicts = STORY.run(&args).ok().lines();
    // The flag that nobody removes becomes a third one day, whenever this runs.
    verdicts.retain(|verdict| verdict["code"] != "flag_not_removed_after_90_days");
    let of = |outcome: &'static str| verdicts.iter().filter(move |v| v["outcome"] == outcome);
    let (kept, undecided) = (of("kept").count(), of("undecided").count());
    assert_eq!(verdicts.len(), kept + undecided + of("broken").count());
    assert!(kept > 30, "{kept}");
    let broken: Vec<_> = of("broken").map(|v| (&v["code"], &v["stage"], &v["attempt"])).collect();
    let (short, late) = (json!("stage_shorter_than_minimum"), json!("rollback_step_late"));
    let stage = json!("stage-a");
    assert_eq!(broken, [(&short, &stage, &json!(2)), (&late, &stage, &json!(1))]);
    for (verdict, why) in of("broken").zip(["22 h 30 min", "3 h 5 min"]) {
        assert!(verdict["why"].as_str().unwrap().contains(why), "{verdict}");
        assert!(verdict["clause"]["line"].is_u64(), "names the plan's line: {verdict}");
        assert!(!verdict["seqs"].as_array().unwrap().is_empty(), "names the events: {verdict}");
    }
    for verdict in &verdicts {
        assert!(verdict["why"].as_str().is_some_and(|why| !why.is_empty()), "{verdict}");
    }
}

#[test]
fn the_report_holds_plan_against_actual_and_the_rollback() {
    let text = STORY.run(&["report", ID]).ok().out;
    for fact in ["702", "12,874", "ARM-118", "4,871"] {
        assert!(text.contains(fact) || text.contains(&fact.replace(',', "")), "{fact}:\n{text}");
    }
    let report = STORY.run(&["report", ID, "--format", "json"]).ok().json();
    assert!(report.is_object());
}

#[test]
fn the_filled_plan_comes_back_and_records_nothing_of_its_own_values() {
    let ledger = Ledger::new();
    tell(&ledger);
    let plan = fs::read_to_string(root().join("examples/plans/appointment-reminders.md")).unwrap();
    let filled = ledger.run(&["plan", "export", ID]).ok();
    assert!(filled.err.contains("blanks filled") && filled.err.contains("no place in the plan"));
    assert_eq!(filled.out.lines().count(), plan.lines().count());
    for (before, after) in plan.lines().zip(filled.out.lines()) {
        let blank = ["FILL_IN", "PICK_ONE", "[ ]"].iter().any(|b| before.contains(b));
        assert!(
            before == after
                || blank
                || before.trim().is_empty()
                || before.ends_with([':', '?', '|']),
            "{before}\n{after}"
        );
    }
    assert!(filled.out.contains("- Number of unique users: 702"));
    assert_eq!(ledger.run(&["plan", "export", ID, "--revision", "1"]).ok().out, plan);
    let appended = ledger.run(&["plan", "export", ID, "--append"]).ok();
    assert!(appended.out.starts_with(&filled.out) && appended.out.len() > filled.out.len());

    let count = ledger.entries().len();
    let file = ledger.file("filled.md", &filled.out);
    let import = ["plan", "import", &file, "--rollout", ID, "--output", "json"];
    assert_eq!(ledger.run(&import).ok().json()["revision"], 2);
    let new: Vec<_> =
        ledger.entries()[count..].iter().map(|e| e["event"]["type"].clone()).collect();
    assert_eq!(new, ["rollout.plan.revised.v1"]);
    assert_eq!(ledger.run(&["plan", "export", ID]).ok().out, filled.out);
    ledger.verifies();
    ledger.run(&["views", "diff"]).ok();
}

#[test]
fn the_flags_state_at_any_time_has_the_promised_members() {
    let gates = |percentage: &str, actors: u64| {
        json!({
            "boolean": false, "percentage_of_actors": percentage, "percentage_of_time": "0",
            "actors": actors, "groups": [], "expression": false,
        })
    };
    let rows = [
        ("2026-01-05T14:02:11.104330Z", false, "0", 0),
        ("2026-01-05 14:02:11.104331", true, "0", 0),
        ("2026-01-06 15:00", true, "0", 6),
        ("2026-01-15", true, "5", 6),
        ("2026-01-22T16:57:40.001999Z", true, "5", 6),
        ("2026-01-22T16:57:40.002Z", true, "0", 0),
        ("2026-01-29T08:30:22.481-05:00", true, "25", 0),
        ("2026-03-31", true, "100", 0),
    ];
    for (at, exists, percentage, actors) in rows {
        let key = "appointment_reminders_enabled";
        let state = STORY.run(&["flags", "show", key, "--at", at, "--output", "json"]).ok().json();
        assert_eq!((&state["key"], &state["exists"]), (&json!(key), &json!(exists)), "{at}");
        assert_eq!(state["gates"], gates(percentage, actors), "{at}");
        assert_eq!(state["seq"].is_u64(), exists, "{at}");
        assert!(state["at"].is_string(), "{at}");
    }
    let unknown = STORY
        .run(&["flags", "show", "never_heard_of", "--at", "2026-01-15", "--output", "json"])
        .ok()
        .json();
    assert_eq!((&unknown["exists"], &unknown["seq"]), (&json!(false), &json!(null)));
    assert_eq!(unknown["gates"], gates("0", 0));
    assert!(STORY.run(&["flags", "list"]).ok().out.contains("appointment_reminders_enabled"));
}

#[test]
fn a_flag_log_is_resumed_and_a_changed_row_is_a_conflict() {
    let ledger = Ledger::new();
    let log = fs::read_to_string(root().join("examples/flags/appointment_reminders.csv")).unwrap();
    let lines: Vec<_> = log.lines().collect();
    let import = |text: &str| {
        let file = ledger.file("log.csv", text);
        ledger.run(&["flags", "import", &file, "--source", "flags", "--environment", "production"])
    };
    let changes = || {
        let entries = ledger.entries();
        entries.iter().filter(|e| e["event"]["type"] == "rollout.flag.changed.v1").count()
    };
    import(&(lines[..6].join("\n") + "\n")).ok();
    assert_eq!(changes(), 5);
    import(&log).ok();
    assert_eq!(changes(), lines.len() - 1);
    import(&log).ok();
    assert_eq!(changes(), lines.len() - 1);
    let before = ledger.entries().len();
    let changed = log.replacen("percentage_of_actors,25,", "percentage_of_actors,26,", 1);
    assert_ne!(changed, log);
    // A value is not among what must agree; operation, gate, flag and time are.
    for (from, to) in [
        ("disable,boolean", "enable,boolean"),
        ("percentage_of_actors,25,", "percentage_of_time,25,"),
        ("2026-01-29 13:30:22.481", "2026-01-29 13:30:22.482"),
    ] {
        let changed = log.replacen(from, to, 1);
        assert_ne!(changed, log, "{from}");
        import(&changed).exits(5);
        assert_eq!(ledger.entries().len(), before, "{from}");
    }
}

#[test]
fn both_clocks_can_be_asked() {
    let as_of = |time: &str| STORY.run(&["rollout", "show", ID, "--as-of", time]).ok().out;
    assert!(as_of("2026-01-20").contains("stage-a"));
    assert!(!as_of("2026-01-20").contains("rolled back"));
    assert!(as_of("2026-01-25").contains("rolled back"));
    let known =
        |time: &str, code: i32| STORY.run(&["rollout", "show", ID, "--known-at", time]).exits(code);
    // All of it was recorded a moment ago.
    known("2099-01-01", 0);
    let entries = STORY.entries();
    let imported = entries[1]["recorded_at"].as_str().unwrap();
    assert!(!known(imported, 0).out.contains("ARM-118"));
    let timeline = STORY.run(&["rollout", "timeline", ID, "--output", "jsonl"]).ok().lines();
    assert!(timeline.len() > 100);
    let early = STORY
        .run(&["rollout", "timeline", ID, "--as-of", "2026-01-10", "--output", "jsonl"])
        .ok()
        .lines();
    assert!(!early.is_empty() && early.len() < timeline.len());
}

#[test]
fn telling_it_again_changes_nothing() {
    let ledger = Ledger::new();
    tell(&ledger);
    let count = ledger.entries().len();
    for chapter in examples("story", "ndjson") {
        let ran =
            ledger.run(&["event", "append", "-f", chapter.to_str().unwrap(), "--output", "jsonl"]);
        assert!(ran.ok().lines().iter().all(|receipt| receipt["duplicate"] == true));
    }
    assert_eq!(ledger.entries().len(), count);
}

/// What `rollout show` suggests as the next command.
fn suggested(ledger: &Ledger, id: &str) -> (String, Option<String>) {
    let page = ledger.run(&["rollout", "show", id, "--output", "json"]).ok().json();
    let next = &page["data"]["next"];
    (next["what"].as_str().unwrap().to_owned(), next["command"].as_str().map(str::to_owned))
}

/// Types a line into a shell that finds the program and the ledger.
fn typed(ledger: &Ledger, line: &str) -> Ran {
    let dir = binary().parent().unwrap().display().to_string();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("PATH=\"{dir}:$PATH\"; {line}")]);
    Ran::of(shell.env("ROLLOUT_LEDGER_DATA", &ledger.dir).output().unwrap())
}

#[test]
fn the_suggested_commands_work_as_they_stand_and_lead_to_the_launch() {
    let ledger = Ledger::new();
    let plan = root().join("examples/plans/appointment-reminders.md");
    ledger.run(&["plan", "import", plan.to_str().unwrap()]).ok();
    let before = ledger.entries().len();
    let mut run = Vec::new();
    let end = loop {
        let (what, command) = suggested(&ledger, ID);
        let Some(command) = command else { break what };
        assert!(!run.contains(&command), "it is suggested again after it was run: {command}");
        typed(&ledger, &command).ok();
        run.push(command);
    };
    assert!(end.starts_with("Nothing is missing until the P7D snapshot falls due at 2"), "{end}");
    let recorded = ledger.entries().split_off(before);
    assert!(recorded.len() == run.len() && run.len() > 5, "{run:?}");
    for entry in recorded {
        assert!(entry["event"]["time"].is_string(), "nobody knows when: {entry}");
    }
}

#[test]
fn a_fact_from_before_others_is_not_suggested_as_of_now() {
    let ledger = Ledger::new();
    let plan = root().join("examples/plans/appointment-reminders.md");
    ledger.run(&["plan", "import", plan.to_str().unwrap()]).ok();
    let go = ["record", "gate", "decided", "--rollout", ID, "--gate", "launch", "--verdict", "go"];
    ledger.run(&go).ok();
    let late = ["record", "stage", "started", "--rollout", ID, "--stage", "stage-b"];
    ledger.run(&[&late[..], &["--happened", "now"]].concat()).ok();
    let (what, command) = suggested(&ledger, ID);
    let command = command.unwrap();
    assert!(what.starts_with("Neither a start of "), "{what}");
    assert!(command.ends_with(" --happened '<WHEN>'"), "{command}");
    typed(&ledger, &command).exits(2).says("--happened wants a moment such as now");
    typed(&ledger, &command.replace("<WHEN>", "2026-01-14 10:30")).ok();
    assert_ne!(suggested(&ledger, ID).1.as_ref(), Some(&command));
}
