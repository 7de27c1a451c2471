//! What is recorded of a row, what is withheld, and how imports resume.

use proptest::prelude::*;

use super::*;
use crate::flags::read;

const HEADER: &str = "id,feature_name,operation,gate_name,value,user,created_at\n";
const DAY: &str = "2026-01-14 15:00:09.777";

fn key() -> PseudonymKey {
    PseudonymKey::generate([7; 32])
}

fn origin() -> Origin {
    let sha256 = "ab".repeat(32).try_into().unwrap();
    Origin::new("main", "production", "exports/flags.csv", sha256).unwrap()
}

fn export(lines: &[&str]) -> Export {
    read(format!("{HEADER}{}\n", lines.join("\n")).as_bytes()).unwrap()
}

fn import(export: &Export, known: &KnownRows) -> Result<ImportPlan, ImportError> {
    let staff = StaffMap::read(b"email,account_id\npat@example.com,a-17\n").unwrap();
    let digits = |text: &str| text.contains("123-45-6789").then(|| "ssn".to_owned());
    plan_import(export, &origin(), known, &Privacy { key: &key(), staff: &staff, guard: &digits })
}

/// What the ledger would hold after the plan.
fn recorded(plan: &ImportPlan) -> KnownRows {
    let entries: Vec<Recorded> = (0..)
        .zip(plan.batches.iter().flatten())
        .map(|(seq, event)| {
            let payload = event.to_value().to_string();
            Recorded::read(seq, "", 0, Some(payload.as_bytes()))
        })
        .collect();
    KnownRows::of(&origin().source(), &entries)
}

fn changed(plan: &ImportPlan) -> Vec<&FlagChanged> {
    let changes = plan.batches.iter().flatten().filter_map(|event| match &event.event {
        Event::FlagChanged(change) => Some(&**change),
        _ => None,
    });
    changes.collect()
}

/// The last event of every batch.
fn imported(plan: &ImportPlan) -> Vec<&SourceImported> {
    let last = plan.batches.iter().map(|batch| match &batch.last().unwrap().event {
        Event::SourceImported(imported) => &**imported,
        other => panic!("a batch ends with {}", other.type_name()),
    });
    last.collect()
}

#[test]
fn a_row_becomes_an_event_that_every_door_accepts() {
    let line = format!("7,new_form,enable,percentage_of_actors,5.0,Pat@Example.com,{DAY}");
    let plan = import(&export(&[&line]), &KnownRows::default()).unwrap();
    let [batch] = plan.batches.as_slice() else { panic!("one batch") };
    assert_eq!(
        batch[0].to_value(),
        serde_json::json!({
            "specversion": "1.0", "id": "7", "source": "urn:rollout-ledger:flags:main:production",
            "type": "rollout.flag.changed.v1", "time": "2026-01-14T15:00:09.777000Z",
            "data": {
                "key": "new_form", "operation": "enable", "gate": "percentage_of_actors",
                "value": "5.0", "service": "main", "environment": "production", "row": 7,
                "basis": "observed", "actor": { "id": "a-17", "kind": "person" },
            },
        })
    );
    assert_eq!(
        batch[1].to_value(),
        serde_json::json!({
            "specversion": "1.0", "id": "import:7-7:abababababababab",
            "source": "urn:rollout-ledger:flags:main:production",
            "type": "rollout.source.imported.v1",
            "data": {
                "service": "main", "environment": "production", "file_name": "flags.csv",
                "file_sha256": "ab".repeat(32), "first_row": 7, "last_row": 7, "rows": 1,
                "recorded": 1, "basis": "observed",
            },
        })
    );
    for event in batch {
        assert_eq!(&CloudEvent::from_sender(&event.to_value()).unwrap(), event);
    }
}

#[test]
fn who_acted_is_an_account_a_pseudonym_or_unknown() {
    let rows = [
        ("pat@example.com", r#"{"id":"a-17","kind":"person"}"#.to_owned()),
        (
            "Kim@example.com",
            format!(r#"{{"id":"{}","kind":"person"}}"#, key().pseudonym("kim@example.com")),
        ),
        ("", r#"{"kind":"unknown","reason_unknown":"not_via_ui"}"#.to_owned()),
    ];
    for (user, expected) in rows {
        let plan = import(&export(&[&format!("1,f,add,,,{user},{DAY}")]), &KnownRows::default());
        let plan = plan.unwrap();
        assert_eq!(serde_json::to_string(&changed(&plan)[0].actor).unwrap(), expected);
        assert_eq!(plan.unmapped, u64::from(user.starts_with("Kim")));
    }
}

#[test]
fn values_stay_as_written_become_pseudonyms_or_are_refused() {
    let pseudonym = |text: &str| Some(Some(key().pseudonym(text)));
    let kept = |text: &str| Some(Some(text.to_owned()));
    let rows: Vec<(&str, Option<Option<String>>)> = vec![
        ("enable,boolean,t", kept("t")),
        ("disable,boolean,false", kept("false")),
        ("enable,boolean,", Some(None)),
        ("enable,boolean,kim@example.com", pseudonym("kim@example.com")),
        ("enable,percentage_of_actors,12.500", kept("12.500")),
        ("enable,percentage_of_time,", Some(None)),
        ("enable,percentage_of_time,kim@example.com", None),
        ("disable,percentage_of_time,f", pseudonym("f")),
        ("enable,actor, Kim@Example.com", pseudonym("kim@example.com")),
        ("enable,actor,4711", pseudonym("4711")),
        ("enable,group,testers", kept("testers")),
        ("enable,group,kim@example.com", pseudonym("kim@example.com")),
        ("enable,group,team 123-45-6789", pseudonym("team 123-45-6789")),
        ("enable,expression,{}", kept("{}")),
        ("enable,expression,[kim%40example.com]", pseudonym("[kim%40example.com]")),
        ("enable,,kim", pseudonym("kim")),
        ("toggle,boolean,t", None),
        ("enable,actors,kim", None),
    ];
    for (row, expected) in rows {
        let plan = import(&export(&[&format!("1,f,{row},,{DAY}")]), &KnownRows::default()).unwrap();
        assert_eq!(changed(&plan).first().map(|change| change.value.clone()), expected, "{row}");
        assert_eq!(plan.refusals.len(), usize::from(expected.is_none()), "{row}");
        assert_eq!(plan.batches.is_empty(), expected.is_none(), "{row}: no new row, no batch");
    }
}

#[test]
fn refused_rows_and_gaps_stand_in_the_batch() {
    let line = |id: u64, name: &str| format!("{id},{name},add,,,,{DAY}");
    let lines = [
        line(3, "f"),
        line(4, "kim@example.com"),
        line(5, "f 123-45-6789"),
        line(9, "f"),
        line(10, "f").replace("add", "toggle"),
        line(12, &"f".repeat(256)),
    ];
    let export = export(&lines.each_ref().map(String::as_str));
    let plan = import(&export, &KnownRows::default()).unwrap();
    let batch = imported(&plan)[0];
    let refusals: Vec<(u64, &str)> =
        batch.refusals.iter().map(|refusal| (refusal.row, refusal.rule.as_str())).collect();
    assert_eq!(
        refusals,
        [
            (4, "feature_name:email"),
            (5, "feature_name:ssn"),
            (10, "unknown_operation"),
            (12, "feature_name:not_a_flag_key")
        ]
    );
    assert_eq!(plan.refusals, batch.refusals);
    assert_eq!(batch.gaps, [RowGap { after: 5, before: 9 }]);
    assert_eq!((batch.first_row, batch.last_row), (Some(3), Some(12)));
    assert_eq!((batch.rows, batch.recorded, plan.recorded), (6, 2, 2));
}

#[test]
fn an_import_resumes_by_row_whatever_key_or_map_it_has() {
    let line = |id: u64| format!("{id},f,enable,actor,kim@example.com,kim@example.com,{DAY}");
    let known = recorded(&import(&export(&[&line(3), &line(4)]), &KnownRows::default()).unwrap());
    let longer = export(&[&line(3), &line(4), &line(8)]);
    let guard = |_: &str| None;
    let (other_key, staff) = (PseudonymKey::generate([9; 32]), StaffMap::default());
    let privacy = Privacy { key: &other_key, staff: &staff, guard: &guard };
    let plan = plan_import(&longer, &origin(), &known, &privacy).unwrap();
    assert_eq!((plan.known, plan.recorded), (2, 1));
    assert_eq!(changed(&plan)[0].row, Some(8));
    assert_eq!(plan.gaps, [RowGap { after: 4, before: 8 }]);

    // A later export may begin where the last ended.
    let plan = plan_import(&export(&[&line(8)]), &origin(), &known, &privacy).unwrap();
    assert_eq!(plan.gaps, [RowGap { after: 4, before: 8 }]);

    let again = plan_import(&export(&[&line(4), &line(3)]), &origin(), &known, &privacy).unwrap();
    assert_eq!((again.batches.len(), again.known, again.recorded), (0, 2, 0));
}

#[test]
fn a_row_that_changed_is_a_conflict() {
    let line = "3,f,enable,boolean,t,,2026-01-14 15:00:09.777001";
    let known = recorded(&import(&export(&[line]), &KnownRows::default()).unwrap());
    let rows: [(&str, &[&str]); 7] = [
        (line, &[]),
        ("3,f,enable,boolean,true,pat@example.com,2026-01-14 15:00:09.777001Z", &[]),
        ("3,g,enable,boolean,t,,2026-01-14 15:00:09.777001", &["feature_name"]),
        ("3,f,disable,boolean,t,,2026-01-14 15:00:09.777001", &["operation"]),
        ("3,f,enable,,t,,2026-01-14 15:00:09.777001", &["gate_name"]),
        ("3,f,enable,boolean,t,,2026-01-14 15:00:09.777", &["created_at"]),
        (
            "3,kim@example.com,add,,,,2026-01-14 15:00:09",
            &["feature_name", "operation", "gate_name", "created_at"],
        ),
    ];
    for (changed, columns) in rows {
        let export = export(&[changed, "4,f,add,,,,2026-01-15 00:00:00"]);
        match import(&export, &known) {
            Ok(plan) => assert_eq!((columns.len(), plan.recorded), (0, 1), "{changed}"),
            Err(error) => {
                let expected = Conflict { row: 3, columns: columns.to_vec() };
                assert_eq!(error, ImportError::Conflicts(vec![expected]), "{changed}");
                assert!(!error.to_string().contains("kim"), "{error}");
            }
        }
    }
}

#[test]
fn batches_are_bounded_and_each_ends_with_its_import() {
    let lines: Vec<String> = (0..1_201).map(|id| format!("{id},f,add,,,,{DAY}")).collect();
    let refused = format!("1300,kim@example.com,add,,,,{DAY}");
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push(&refused);
    let plan = import(&export(&lines), &KnownRows::default()).unwrap();
    let sizes: Vec<u64> = imported(&plan).iter().map(|batch| batch.recorded).collect();
    assert_eq!(sizes, [500, 500, 201]);
    assert_eq!(imported(&plan)[2].refusals.len(), 1);

    // A refused row behind a full batch still stands in it.
    let plan = import(&export(&[&lines[..500], &[&refused]].concat()), &KnownRows::default());
    assert_eq!(imported(&plan.unwrap())[0].refusals.len(), 1);

    let long = "x".repeat(16 << 10);
    let lines: Vec<String> =
        (0..80).map(|id| format!("{id},f,enable,expression,{long},,{DAY}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let plan = import(&export(&lines), &KnownRows::default()).unwrap();
    assert_eq!(plan.recorded, 80);
    for batch in &plan.batches {
        let size: usize = batch.iter().map(|event| event.to_value().to_string().len()).sum();
        assert!(size <= BATCH_SIZE_MAX + 1_000, "{size}");
    }
    let longer = format!("1,f,enable,expression,{long}x,,{DAY}");
    let plan = import(&export(&[&longer]), &KnownRows::default()).unwrap();
    assert_eq!(plan.refusals[0].rule, "value:too_long");
}

#[test]
fn a_file_of_something_else_is_not_recorded_as_refusals() {
    let lines: Vec<String> = (0..2_001).map(|id| format!("{id},f,login,,,,{DAY}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let at_the_edge = import(&export(&lines[..2_000]), &KnownRows::default()).unwrap();
    assert_eq!(at_the_edge.refusals.len(), 2_000);
    let error = import(&export(&lines), &KnownRows::default()).unwrap_err();
    assert!(matches!(error, ImportError::TooManyRefusals(first) if first.row == 0));
}

#[test]
fn names_that_could_be_mistaken_in_a_source_are_refused() {
    let sha256 = || "ab".repeat(32).try_into().unwrap();
    for bad in ["", "a:b", "a b", "pat@example.com", &"a".repeat(65)] {
        assert_eq!(Origin::new(bad, "e", "f", sha256()).unwrap_err().option, "source");
        assert_eq!(Origin::new("s", bad, "f", sha256()).unwrap_err().option, "environment");
    }
    let origin = Origin::new("s", "e", "C:\\x\\kim@example.com.csv", sha256()).unwrap();
    let export = export(&[&format!("1,f,add,,,,{DAY}")]);
    let (key, staff) = (key(), StaffMap::default());
    let privacy = Privacy { key: &key, staff: &staff, guard: &|_| None };
    let plan = plan_import(&export, &origin, &KnownRows::default(), &privacy).unwrap();
    assert_eq!(imported(&plan)[0].file_name, "(withheld)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Addresses in any column, in any row: none of them occurs in any event.
    #[test]
    fn no_address_of_the_file_is_in_any_event(
        rows in prop::collection::vec((
            prop::sample::select(&["add", "remove", "clear", "enable", "disable", "{}"]),
            prop::sample::select(&[
                "", "boolean", "actor", "group", "expression", "percentage_of_actors", "{}",
            ]),
            prop::sample::select(&["", "t", "5", "{}", "not {} or {}", "[{}]"]),
            prop::sample::select(&["", "{}", "Kim <{}>"]),
            prop::sample::select(&["f", "f", "f", "{}", "f_{}_x"]),
        ), 1..12),
        domain in "[a-z]{3,8}\\.(com|org)",
    ) {
        let mut addresses = Vec::new();
        let mut lines = Vec::new();
        for (id, (operation, gate, value, user, name)) in rows.into_iter().enumerate() {
            let address = format!("Kim.{id}+x@{domain}");
            let fill = |text: &str| text.replace("{}", &address);
            lines.push(format!(
                "{id},{},{},{},{},{},{DAY}",
                fill(name), fill(operation), fill(gate), fill(value), fill(user)
            ));
            addresses.push(address.to_lowercase());
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let plan = import(&export(&lines), &KnownRows::default()).unwrap();
        let seen = format!("{plan:?}").to_lowercase();
        for event in plan.batches.iter().flatten() {
            let json = event.to_value().to_string().to_lowercase();
            prop_assert!(!addresses.iter().any(|address| json.contains(address)), "{}", json);
        }
        prop_assert!(!addresses.iter().any(|address| seen.contains(address)), "{}", seen);
        let total = plan.recorded + u64::try_from(plan.refusals.len()).unwrap();
        prop_assert_eq!(total, u64::try_from(lines.len()).unwrap());
    }
}
