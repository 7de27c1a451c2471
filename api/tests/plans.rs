//! Plans, read as people write them: own fixtures, and the real ones when they are there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic; what is absent is said"
)]

use std::{collections::BTreeMap, fs, path::Path};

use api::plan::{
    self, Plan,
    derive::{self, ImportContext},
    lint::Lint,
    revise::{Before, revise},
};
use expect_test::expect_file;
use proptest::prelude::*;
use schemas::{
    CloudEvent,
    values::{FieldKind, PlanField, PlanValue},
};

/// Markdown files of a folder beside the repository, in order; none when it is not there.
fn folder(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let Ok(entries) = fs::read_dir(&path) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "md"));
    files.sort();
    let name = |f: &Path| f.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|f| (name(f), fs::read_to_string(f).unwrap())).collect()
}

fn every_plan() -> Vec<(String, String)> {
    let mut plans = folder("tests/plans");
    plans.extend(folder("../../shared/seeds"));
    plans.extend(folder("../../shared/templates"));
    let corpus = folder("../../shared/corpus");
    if corpus.is_empty() {
        println!("corpus absent");
    }
    plans.extend(corpus);
    plans
}

fn check(name: &str, text: &str) -> Plan {
    let plan = plan::read(text);
    let mut paths = std::collections::BTreeSet::new();
    for field in &plan.fields {
        let (start, end) =
            (usize::try_from(field.start).unwrap(), usize::try_from(field.end).unwrap());
        let found = text.get(start..end);
        assert_eq!(found, Some(field.raw.as_str()), "{name}: {}", field.path);
        let line = text[..start].matches('\n').count() as u64 + 1;
        assert_eq!(field.line, line, "{name}: {}", field.path);
        assert!(paths.insert(&field.path), "{name}: {} twice", field.path);
    }
    plan
}

/// Lines with words that belong to no field and are no structure.
fn lost(text: &str, plan: &Plan) -> Vec<u64> {
    let lines: Vec<&str> = text.lines().collect();
    let separator = |line: &str| line.contains("--") && line.chars().all(|c| "|-: ".contains(c));
    let mut start = 0;
    let mut lost = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let end = start + line.len();
        let place =
            |f: &PlanField| (usize::try_from(f.start).unwrap(), usize::try_from(f.end).unwrap());
        let field = plan.fields.iter().any(|f| place(f).0 <= end && place(f).1 >= start);
        let label = plan
            .fields
            .iter()
            .filter_map(|f| f.label.as_ref())
            .any(|l| line.contains(l.lines().next().unwrap()));
        let head = lines.get(at + 1).is_some_and(|next| separator(next));
        let words = line.trim_start_matches(['\u{feff}', ' ', '>']);
        let alone = words.trim_end().len() < 20; // a label with nothing behind it
        let structure = alone
            || words.starts_with('#')
            || head
            || words.starts_with('<')
            || words.starts_with("```");
        // A line that only introduces a list below it.
        let indent = |line: &str| line.len() - line.trim_start().len();
        let above = lines.get(at + 1).is_some_and(|next| indent(next) > indent(line));
        let introduces =
            above || words.trim_end().trim_end_matches(['*', '_', ' ']).ends_with([':', '?']);
        if words.chars().any(char::is_alphanumeric) && !field && !label && !structure && !introduces
        {
            lost.push(at as u64 + 1);
        }
        start = end + 1;
    }
    lost
}

#[test]
fn no_line_is_lost() {
    for (name, text) in every_plan() {
        let text = text.replace("\r\n", "\n");
        assert_eq!(lost(&text, &plan::read(&text)), [0_u64; 0], "{name}");
    }
}

fn shown(plan: &Plan) -> String {
    let mut out = String::new();
    for field in &plan.fields {
        let value =
            field.value.as_ref().map_or(String::new(), |v| serde_json::to_string(v).unwrap());
        let label = field.label.as_ref().map_or(String::new(), |l| format!(" <{l}>"));
        let place = format!("{:3} {:8} {}", field.line, field.kind.as_str(), field.path);
        out = format!("{out}{place}{label}\n      {:?} {value}\n", field.raw);
    }
    for warning in &plan.warnings {
        out = format!("{out}! {} {}: {}\n", warning.line, warning.code, warning.message);
    }
    for person in &plan.people {
        out = format!("{out}? {}: {}\n", person.line, person.why);
    }
    out
}

#[test]
fn fixtures_are_read_as_before() {
    let fixtures = folder("tests/plans");
    assert!(fixtures.len() >= 6, "the fixtures are missing");
    for (name, text) in fixtures {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name);
        let plan = plan::read(&text);
        expect_file![golden.with_extension("fields")].assert_eq(&shown(&plan));
        let events = derive::events(&plan, &context(&text));
        let mut lines = String::new();
        for event in events.iter().skip(1) {
            let mut data = event.event.data();
            data.as_object_mut().unwrap().retain(|key, _| key != "basis");
            data["plan"].as_object_mut().unwrap().remove("digest");
            let time = event.time.as_ref().map_or("-", |time| time.as_str());
            lines = format!("{lines}{} {time} {data}\n", event.event.type_name());
        }
        expect_file![golden.with_extension("events")].assert_eq(&lines);
    }
}

#[test]
fn every_field_is_where_it_says() {
    for (name, text) in every_plan() {
        check(&name, &text);
        let crlf = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let plan = check(&name, &format!("\u{feff}{crlf}"));
        assert_eq!(plan.fields.len(), plan::read(&text).fields.len(), "{name} with CRLF and BOM");
    }
}

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
        time_zone: Some(plan::TIME_ZONE.parse().unwrap()),
    }
}

#[test]
fn every_event_passes_the_door_and_has_its_own_id() {
    for (name, text) in every_plan() {
        let plan = plan::read(&text);
        let events = derive::events(&plan, &context(&text));
        let mut ids = std::collections::BTreeSet::new();
        for event in &events {
            let value = event.to_value();
            let read = CloudEvent::from_sender(&value);
            assert!(read.is_ok(), "{name}: {} {read:?}", event.id);
            assert_eq!(&read.unwrap(), event, "{name}: {}", event.id);
            assert!(ids.insert(event.id.clone()), "{name}: {} twice", event.id);
        }
        assert_eq!(events, derive::events(&plan::read(&text), &context(&text)), "{name}: twice");
    }
}

/// Prints how much of each plan was understood, as a table for `docs/`.
#[test]
fn corpus_table() {
    let corpus = folder("../../shared/corpus");
    println!("| plan | understood | blank | unread | warnings |\n|---|---|---|---|---|");
    for (name, text) in &corpus {
        let plan = check(name, text);
        let count = |kind| plan.fields.iter().filter(|f| f.kind == kind).count();
        let understood = plan.fields.len() - count(FieldKind::Blank) - count(FieldKind::Unread);
        let number = name.split('_').next().unwrap();
        let (blank, unread) = (count(FieldKind::Blank), count(FieldKind::Unread));
        println!("| {number} | {understood} | {blank} | {unread} | {} |", plan.warnings.len());
    }
}

fn field<'p>(plan: &'p Plan, path: &str) -> &'p PlanField {
    plan.fields.iter().find(|f| f.path == path).unwrap_or_else(|| panic!("no {path}"))
}

/// The five plans that this reader was first asked to read.
#[test]
fn the_seeds_say_what_they_say() {
    let seeds: BTreeMap<String, String> = folder("../../shared/seeds").into_iter().collect();
    if seeds.is_empty() {
        println!("seeds absent");
        return;
    }
    for (name, text) in &seeds {
        let plan = plan::read(text);
        let unread: Vec<_> = plan.fields.iter().filter(|f| f.kind == FieldKind::Unread).collect();
        assert!(unread.is_empty(), "{name}: {unread:?}");
        assert!(api::guard::scan(text).is_empty(), "{name}");
    }
    let read = |name: &str| plan::read(&seeds[name]);
    let json = |f: &PlanField| serde_json::to_value(f.value.as_ref().unwrap()).unwrap();

    let travel = read("travel-pay.md");
    let latency = json(field(&travel, "stages/uat/results/latency"));
    assert_eq!(
        (&latency["quantity"]["min"], &latency["quantity"]["max"]),
        (&"4".into(), &"23".into())
    );
    assert!(travel.warnings.iter().any(|w| w.code == "bug_count_mismatch" && w.line == 47));
    assert!(travel.warnings.iter().any(|w| w.code == "stray_text" && w.line == 70));
    assert!(travel.warnings.iter().any(|w| w.code == "duplicate_stage"));
    let metrics = travel
        .fields
        .iter()
        .filter(|f| f.path.starts_with("metrics/") && f.path.ends_with("/name"));
    assert_eq!(metrics.count(), 13);

    let clinic = read("community-care-provider-selection.md");
    let range = json(field(&clinic, "stages/stage-b/planning/exposure"));
    assert_eq!(
        (&range["exposures"][0]["min_bp"], &range["exposures"][0]["max_bp"]),
        (&3000.into(), &6000.into())
    );
    assert_eq!(json(field(&clinic, "baseline/2/auth-users"))["quantity"]["value"], "1103090");
    assert_eq!(field(&clinic, "flags/1/name").raw, "va_online_scheduling_provider_selection");

    let status = read("representative-status-2.md");
    assert_eq!(field(&status, "gates/launch/verdict").kind, FieldKind::Blank);
    assert_eq!(field(&status, "gates/launch/verdict").raw, "TBD");
    assert_eq!(status.fields.iter().filter(|f| f.path.starts_with("rollback/plan/steps/") && f.path.split('/').count() == 4).count(), 4);
    assert_eq!(field(&status, "stages/stage-a/results/metrics/1").kind, FieldKind::Blank);

    let letters = read("1095-b.md");
    let ticked = letters.fields.iter().filter(|f| f.value == Some(PlanValue::Checked(true)));
    assert_eq!(ticked.count(), 6);
    let contacts = read("personal-health-care-contacts.md");
    assert_eq!(field(&contacts, "stages/stage-a/planning/length").raw, "[FILL_IN]");
}

/// A template that nobody filled in says nothing of a release but its stages.
#[test]
fn a_template_states_no_facts() {
    for (name, text) in folder("../../shared/templates") {
        let events = derive::events(&plan::read(&text), &context(&text));
        let said =
            events.iter().skip(2).filter(|e| e.event.type_name() != "rollout.stage.planned.v1");
        let said: Vec<_> = said.map(|e| (e.event.type_name(), e.id.clone())).collect();
        assert!(said.is_empty(), "{name}: {said:?}");
    }
}

/// A revision of a plan: its text, and the revision it follows.
fn revision(old: &str, new: &str, number: u64, known: &dyn Fn(&PlanField) -> bool) -> Vec<String> {
    let before_plan = plan::read(old);
    let before = Before {
        revision: number - 1,
        seq: 7,
        hash: None,
        digest: plan::digest(old),
        reader_version: plan::READER_VERSION,
        fields: &before_plan.fields,
    };
    let context = ImportContext { revision: number, ..context(new) };
    let events = revise(&before, &plan::read(new), &context, known);
    let row = |event: &CloudEvent| {
        assert!(CloudEvent::from_sender(&event.to_value()).is_ok(), "{}", event.id);
        let data = event.event.data();
        let place = &data["plan"];
        let differences = data["differences"].as_array().map_or(0, Vec::len);
        let what = event.event.type_name().trim_start_matches("rollout.").trim_end_matches(".v1");
        match place["path"].as_str() {
            Some(path) => format!("{what} {path} {}", place["before"]),
            None => format!("{what} {differences}"),
        }
    };
    events.iter().map(row).collect()
}

#[test]
fn a_revision_records_only_what_is_new() {
    let plans: BTreeMap<String, String> = folder("tests/plans").into_iter().collect();
    let old = plans["staged-form.md"].as_str();
    let nothing = |_: &PlanField| false;
    assert_eq!(revision(old, old, 2, &nothing), [""; 0], "the same bytes");
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "- Number of unique users: [FILL_IN]",
            "- Number of unique users: 310",
            &[
                "plan.revised 1",
                "stage.results_recorded stages/stage-a/results/unique_users \"[FILL_IN]\"",
            ],
        ),
        ("Users: 75%", "Users: 50%", &["plan.revised 1", "stage.replanned stages/stage-b \"75%\""]),
        (
            "  - Blank card",
            "  - Torn card: half of it shows\n  - Blank card",
            &["plan.revised 1", "bug.found stages/uat/results/bug/1 null"],
        ),
        (
            "[ ] Hold",
            "[x] Hold",
            &["plan.revised 1", "checklist.item_set checklist/step-2-validation/2 \"[ ]\""],
        ),
        (
            "# Dental Card Release Plan\n",
            "# Dental Card Release Plan\n\nA word.\n",
            &["plan.revised 1"],
        ),
        (
            "### 1-month results\n",
            "### Stage C: 100%\n\n### 1-month results\n",
            &["plan.revised 2", "stage.planned stages/stage-c null"],
        ),
    ];
    for (from, to, expected) in rows {
        assert!(old.contains(from), "{from}");
        assert_eq!(revision(old, &old.replacen(from, to, 1), 2, &nothing), *expected, "{to}");
    }
    // What the ledger put there itself is no news.
    let filled = old.replacen("unique users: [FILL_IN]", "unique users: 310", 1);
    let known = |f: &PlanField| f.raw == "310";
    assert_eq!(revision(old, &filled, 2, &known), ["plan.revised 1"]);
}

#[test]
fn a_newer_reader_records_its_reading_alone() {
    let text = "# A\n\n- Number of users: 3\n";
    let fields = plan::read("# A\n").fields;
    let before = Before {
        revision: 1,
        seq: 7,
        hash: None,
        digest: plan::digest(text),
        reader_version: plan::READER_VERSION - 1,
        fields: &fields,
    };
    let events = revise(&before, &plan::read(text), &context(text), &|_| false);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.data()["reason"], "reader");
}

#[test]
fn a_report_lists_blanks_and_people_with_their_lines() {
    let text = "# A\n- Number of users: TBD\n- Who is monitoring?: Ada Example, ada@example.org\n";
    let lint = Lint::of(&plan::read(text), text);
    assert_eq!(lint.blanks.iter().map(|b| b.line).collect::<Vec<_>>(), [2]);
    assert_eq!(lint.people.iter().map(|p| p.line).collect::<Vec<_>>(), [3]);
    let found: Vec<_> = lint.personal_data.iter().map(|f| (f.line, f.rule.as_str())).collect();
    assert_eq!(found, [(3, "email")]);
}

#[test]
fn a_text_without_any_fact_is_no_plan() {
    let rows = [
        ("", true),
        ("\n\n<!-- nothing -->\n", true),
        ("Some words about the weather.\n", true),
        ("# A\n", false),
        ("- Number of users: [FILL_IN]\n", false),
    ];
    for (text, empty) in rows {
        let plan = plan::read(text);
        assert_eq!(plan.is_empty(), empty, "{text:?}");
        assert_eq!(Lint::of(&plan, text).empty, empty, "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_in_its_place(text in "(?s)([-#*|>\\[\\]`:?_ \n\t\r0-9.x%]|Stage A|Results|\\[FILL_IN\\]|[a-zé]{1,4}|\u{feff}|</?li>|<!--|-->){0,60}") {
        check("arbitrary", &text);
        Lint::of(&plan::read(&text), &text);
    }

    #[test]
    fn a_mangled_plan_is_read_in_its_place(which in 0_usize..6, cuts in prop::collection::vec((0_usize..4000, 0_usize..80), 0..6)) {
        let (name, text) = folder("tests/plans").remove(which);
        let mut chars: Vec<char> = text.chars().collect();
        for (at, len) in cuts {
            let at = at % chars.len().max(1);
            let end = (at + len).min(chars.len());
            chars.drain(at.min(end)..end);
        }
        let text: String = chars.into_iter().collect();
        let plan = check(&name, &text);
        for event in derive::events(&plan, &context(&text)) {
            prop_assert!(CloudEvent::from_sender(&event.to_value()).is_ok(), "{}", event.id);
        }
    }
}
