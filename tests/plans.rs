//! Release plans go in whole and come out byte for byte.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::{Ledger, examples, root};

/// The plans of `examples/`, and those that the owner keeps beside the repository.
fn plans() -> Vec<PathBuf> {
    let mut plans = examples("plans", "md");
    assert_eq!(plans.len(), 5);
    let seeds = root().join("../shared/seeds");
    match fs::read_dir(&seeds) {
        Ok(entries) => {
            let more = entries.map(|e| e.unwrap().path());
            plans.extend(more.filter(|p| p.extension().is_some_and(|e| e == "md")));
        }
        Err(_) => eprintln!("seeds absent"),
    }
    plans
}

fn import(ledger: &Ledger, args: &[&str]) -> Value {
    ledger.run(&[&["plan", "import", "--output", "json"], args].concat()).ok().json()
}

#[test]
fn plans_come_out_as_they_went_in() {
    let ledger = Ledger::new();
    for path in plans() {
        let (file, bytes) = (path.to_str().unwrap(), fs::read_to_string(&path).unwrap());
        let count = ledger.entries().len();
        let lint = ledger.run(&["plan", "lint", file, "--output", "json"]).ok().json();
        assert_eq!(ledger.entries().len(), count, "lint writes nothing");
        let first = import(&ledger, &[file]);
        let id = first["rollout"].as_str().unwrap().to_owned();
        assert_eq!(id, path.file_stem().unwrap().to_str().unwrap());
        assert_eq!(first["revision"], 1);
        let recorded = first["recorded"].as_u64().unwrap();
        assert_eq!(ledger.entries().len() as u64, count as u64 + recorded, "{id}");
        assert_eq!(
            first["blanks"].as_array().unwrap().len(),
            lint["blanks"].as_array().unwrap().len()
        );
        assert_eq!(first["unread"], Value::Array(vec![]), "{id}");
        for member in ["blanks", "unread", "warnings"] {
            for item in first[member].as_array().unwrap() {
                assert!(item["line"].as_u64().is_some_and(|line| line > 0), "{item}");
            }
        }
        let exact = ledger.run(&["plan", "export", &id, "--revision", "1"]).ok();
        assert_eq!(exact.out, bytes, "{id}");
        let filled = ledger.run(&["plan", "export", &id]).ok();
        assert_eq!(filled.out, bytes, "{id}: nothing is known that the plan does not say");
        let again = import(&ledger, &[file]);
        assert_eq!((&again["recorded"], &again["revision"]), (&0.into(), &1.into()), "{id}");
        assert_eq!(ledger.entries().len() as u64, count as u64 + recorded);
        ledger.run(&["plan", "export", &id, "--revision", "2"]).exits(4);
        for question in ["show", "timeline", "deviations"] {
            let ran = ledger.run(&["rollout", question, &id]).ok();
            assert!(!ran.out.is_empty(), "{question} {id}");
        }
        assert!(ledger.run(&["report", &id]).ok().out.starts_with('#'));
    }
    let imported = ledger.entries().into_iter().filter(|e| e["event"]["subject"].is_string());
    for entry in imported {
        assert_eq!(entry["event"]["data"]["basis"], "imported", "{entry}");
        assert_eq!(entry["event"]["recordedvia"], "import", "{entry}");
    }
    ledger.verifies();
    ledger.run(&["views", "diff"]).ok();
}

#[test]
fn a_changed_plan_is_a_revision_with_the_differences_only() {
    let ledger = Ledger::new();
    let path = root().join("examples/plans/appointment-reminders.md");
    let plan = fs::read_to_string(path).unwrap();
    let file = ledger.file("appointment-reminders.md", &plan);
    let first = import(&ledger, &[&file]);
    let changed = plan.replacen("- Number of users: [FILL_IN]", "- Number of users: 6", 1);
    assert_ne!(changed, plan);
    fs::write(&file, &changed).unwrap();
    let second = import(&ledger, &[&file]);
    assert_eq!((&second["rollout"], &second["revision"]), (&first["rollout"], &2.into()));
    let kinds = |from: u64| -> Vec<String> {
        let entries = ledger.entries();
        let new = entries.iter().filter(|e| e["seq"].as_u64() > Some(from));
        new.map(|e| e["event"]["type"].as_str().unwrap().to_owned()).collect()
    };
    let after_first = first["recorded"].as_u64().unwrap();
    assert_eq!(
        kinds(after_first),
        ["rollout.plan.revised.v1", "rollout.stage.results_recorded.v1"],
    );
    let export = |n: &str| {
        ledger.run(&["plan", "export", "appointment-reminders", "--revision", n]).ok().out
    };
    assert_eq!((export("1"), export("2")), (plan.clone(), changed.clone()));

    // A file with another title is another rollout, unless it is said.
    let other = changed.replacen("appointment reminders", "visit letters", 1);
    assert_ne!(other, changed);
    let other = other.replace("appointment_reminders_enabled", "visit_letters_enabled");
    fs::write(&file, other).unwrap();
    let ran = ledger.run(&["plan", "import", &file]).exits(5);
    assert!(ran.err.contains("--rollout appointment-reminders"), "{}", ran.err);
    assert_eq!(import(&ledger, &[&file, "--rollout", "visit-letters"])["revision"], 1);
    assert_eq!(import(&ledger, &[&file, "--rollout", "appointment-reminders"])["revision"], 3);
}

#[test]
fn a_file_that_is_no_plan_is_refused_by_its_place() {
    let ledger = Ledger::new();
    let long = "a".repeat(129 * 1024);
    let rows: [(&[u8], &str); 4] = [
        (b"# Plan\n\xff\n", "7"),
        (b"# Plan\n\n\x07\n", "8"),
        (b"# Plan \x1b[31m\n", "7"),
        (long.as_bytes(), "bytes"),
    ];
    for (bytes, place) in rows {
        let file = ledger.file("plan.md", bytes);
        let ran = ledger.run(&["plan", "import", &file, "--rollout", "trial"]).exits(1);
        assert!(ran.err.contains(place), "{}", ran.err);
    }
    ledger.run(&["plan", "import", "nowhere.md"]).exits(1);
    assert_eq!(ledger.entries().len(), 1);
    // A byte order mark and the line ends of another system come back.
    let text = "\u{feff}# Release plan: letters\r\n\r\n- Number of users: [FILL_IN]\r\n";
    let file = ledger.file("Visit Letters.md", text);
    assert_eq!(import(&ledger, &[&file])["rollout"], "visit-letters");
    assert_eq!(ledger.run(&["plan", "export", "visit-letters"]).ok().out, text);
}

#[test]
fn a_plan_with_a_generic_name_is_called_after_its_folder() {
    let ledger = Ledger::new();
    let folder = ledger.temp.path().join("Clinic_Choice 2");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("release-plan.md");
    fs::copy(root().join("examples/plans/clinic-choice.md"), &file).unwrap();
    let ran = ledger.run(&["plan", "import", file.to_str().unwrap()]).ok();
    assert_eq!(ran.out.lines().next(), Some("clinic-choice-2"));
}
