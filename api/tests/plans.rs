//! Plans, read as people write them: own fixtures, and the real ones when they are there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic; what is absent is said"
)]

use std::{fs, path::Path};

use api::plan::{
    self, Plan,
    derive::{self, ImportContext},
};
use schemas::{CloudEvent, values::FieldKind};

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
