//! The fold against the service's rules, and against a second model written without it.

mod model;

use schemas::{
    id::FlagKey,
    values::{Basis, Occurrence, Precision},
};

use super::*;

const KEY: &str = "new_form_enabled";

pub(super) fn change(operation: &str, gate: &str, value: Option<&str>) -> FlagChanged {
    let word = |text: &str| serde_json::Value::from(text);
    FlagChanged {
        key: KEY.parse::<FlagKey>().unwrap(),
        operation: serde_json::from_value(word(operation)).unwrap(),
        gate: (!gate.is_empty()).then(|| serde_json::from_value(word(gate)).unwrap()),
        value: value.map(str::to_owned),
        before: None,
        after: None,
        service: "main".to_owned(),
        environment: "production".to_owned(),
        platform: None,
        row: None,
        reason: None,
        basis: Basis::Observed,
        actor: None,
        occurrence: None,
        evidence: Vec::new(),
        plan: None,
        note: None,
    }
}

/// A row of the service: its number and its time in microseconds.
pub(super) fn row(id: u64, time_us: i64, change: FlagChanged) -> FlagChangedRecorded {
    let change = FlagChanged { row: Some(id), ..change };
    FlagChangedRecorded { seq: 1000 + id, recorded_at_us: 1 << 50, time_us: Some(time_us), change }
}

type Step = (&'static str, &'static str, Option<&'static str>);

/// Whether the flag exists, and its gates as the contract's JSON.
type Seen = (bool, String);

fn after(steps: &[Step]) -> Seen {
    let mut fold = FlagFold::default();
    for (seq, (operation, gate, value)) in (0..).zip(steps) {
        fold.apply(seq, &change(operation, gate, *value));
    }
    (fold.exists(), serde_json::to_string(&Gates::from(fold.state())).unwrap())
}

fn gates(set: &[(&str, serde_json::Value)]) -> String {
    let mut gates = Gates::from(&FlagState::default());
    for (gate, value) in set {
        let text = || value.as_str().unwrap().to_owned().try_into().unwrap();
        match *gate {
            "boolean" => gates.boolean = value.as_bool().unwrap(),
            "percentage_of_actors" => gates.percentage_of_actors = text(),
            "percentage_of_time" => gates.percentage_of_time = text(),
            "actors" => gates.actors = usize::try_from(value.as_u64().unwrap()).unwrap(),
            "groups" => gates.groups = serde_json::from_value(value.clone()).unwrap(),
            "expression" => gates.expression = value.as_bool().unwrap(),
            other => panic!("no gate {other}"),
        }
    }
    serde_json::to_string(&gates).unwrap()
}

const EVERYTHING: [Step; 5] = [
    ("enable", "percentage_of_actors", Some("5")),
    ("enable", "percentage_of_time", Some("7")),
    ("enable", "actor", Some("u1:a")),
    ("enable", "group", Some("testers")),
    ("enable", "expression", Some("{}")),
];

fn with_everything(last: Step) -> Seen {
    after(&[&EVERYTHING[..], &[last]].concat())
}

#[test]
fn every_rule_of_the_service() {
    let off = || (true, gates(&[]));
    let on = || (true, gates(&[("boolean", true.into())]));
    let all = after(&EVERYTHING);
    let actors_at = |text: &str| (true, gates(&[("percentage_of_actors", text.into())]));
    let rows: Vec<(&str, Seen, Seen)> = vec![
        ("nothing", after(&[]), (false, gates(&[]))),
        ("add: exists, off", after(&[("add", "", None)]), off()),
        ("add keeps the gates", with_everything(("add", "", None)), all.clone()),
        ("on clears the rest", with_everything(("enable", "boolean", Some("t"))), on()),
        ("the operation decides", with_everything(("enable", "boolean", Some("f"))), on()),
        ("no value", with_everything(("enable", "boolean", None)), on()),
        ("off clears all", with_everything(("disable", "boolean", Some("f"))), off()),
        ("off, whatever the value", with_everything(("disable", "boolean", Some("t"))), off()),
        ("clear", with_everything(("clear", "", None)), off()),
        ("remove", with_everything(("remove", "", None)), (false, gates(&[]))),
        ("removed, added", after(&[EVERYTHING[2], ("remove", "", None), ("add", "", None)]), off()),
        ("clear makes it exist", after(&[("clear", "", None)]), off()),
        ("disable makes it exist", after(&[("disable", "group", Some("x"))]), off()),
        ("no gate: nothing", with_everything(("enable", "", None)), all.clone()),
        ("no gate: nothing", with_everything(("disable", "", None)), all),
        (
            "a percentage leaves the boolean on",
            after(&[("enable", "boolean", None), ("enable", "percentage_of_actors", Some("5"))]),
            (true, gates(&[("boolean", true.into()), ("percentage_of_actors", "5".into())])),
        ),
        (
            "lowered",
            after(&[
                ("enable", "percentage_of_actors", Some("10")),
                ("enable", "percentage_of_actors", Some("5")),
            ]),
            actors_at("5"),
        ),
        (
            "enable with 0 is off",
            after(&[EVERYTHING[0], ("enable", "percentage_of_actors", Some("0"))]),
            off(),
        ),
        (
            "disable writes 0",
            after(&[EVERYTHING[1], ("disable", "percentage_of_time", Some("7"))]),
            off(),
        ),
        (
            "no number: as before",
            after(&[EVERYTHING[0], ("enable", "percentage_of_actors", Some("many"))]),
            actors_at("5"),
        ),
        (
            "sets",
            after(&[
                ("enable", "actor", Some("a")),
                ("enable", "actor", Some("b")),
                ("enable", "actor", Some("a")),
                ("disable", "actor", Some("b")),
                ("disable", "actor", Some("never there")),
                ("enable", "group", Some("z")),
                ("enable", "group", Some("c")),
            ]),
            (true, gates(&[("actors", 1.into()), ("groups", serde_json::json!(["c", "z"]))])),
        ),
        ("expression", after(&[EVERYTHING[4], ("disable", "expression", None)]), off()),
    ];
    for (rule, found, expected) in rows {
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn a_percentage_has_one_spelling() {
    for (written, expected) in [
        (None, Some("0")),
        (Some(""), Some("0")),
        (Some("0"), Some("0")),
        (Some("0.000"), Some("0")),
        (Some("-0"), Some("0")),
        (Some("25"), Some("25")),
        (Some("25.0"), Some("25")),
        (Some("12.500"), Some("12.5")),
        (Some("0.125"), Some("0.125")),
        (Some(".5"), Some("0.5")),
        (Some("5."), Some("5")),
        (Some("005"), Some("5")),
        (Some("100"), Some("100")),
        (Some(" 5 "), Some("5")),
        (Some("."), None),
        (Some("-"), None),
        (Some("1.2.3"), None),
        (Some("1e1"), None),
        (Some("5%"), None),
        (Some("five"), None),
    ] {
        let found = percentage(written);
        assert_eq!(found.as_ref().map(Decimal::as_str), expected, "{written:?}");
    }
}

#[test]
fn the_answer_is_the_contract() {
    let events = [
        row(7, 1_767_225_600_000_001, change("enable", "percentage_of_actors", Some("12.50"))),
        row(9, 1_767_225_700_000_000, change("enable", "group", Some("testers"))),
    ];
    let at = |us| serde_json::to_string(&state_at(KEY, &events, us)).unwrap();
    assert_eq!(
        at(Some(1_767_225_700_000_000)),
        r#"{"key":"new_form_enabled","at":"2026-01-01T00:01:40.000000Z","exists":true,"seq":1009,"gates":{"boolean":false,"percentage_of_actors":"12.5","percentage_of_time":"0","actors":0,"groups":["testers"],"expression":false}}"#
    );
    assert_eq!(
        at(Some(1_767_225_600_000_000)),
        r#"{"key":"new_form_enabled","at":"2026-01-01T00:00:00.000000Z","exists":false,"seq":null,"gates":{"boolean":false,"percentage_of_actors":"0","percentage_of_time":"0","actors":0,"groups":[],"expression":false}}"#
    );
    let unknown = serde_json::to_value(state_at("no_such_flag", &events, None)).unwrap();
    assert_eq!(unknown["exists"], false);
    assert_eq!(unknown["at"], serde_json::Value::Null);
    assert_eq!(unknown["seq"], serde_json::Value::Null);
}

/// A change that was not read from a table of rows.
fn rowless(seq: u64, time_us: Option<i64>, value: &str) -> FlagChangedRecorded {
    let change = change("enable", "percentage_of_actors", Some(value));
    FlagChangedRecorded { seq, recorded_at_us: 500, time_us, change }
}

fn order_of(events: &[FlagChangedRecorded], at_us: Option<i64>) -> Vec<u64> {
    steps(KEY, events, at_us).iter().map(|step| step.event.seq).collect()
}

#[test]
fn rows_fold_by_number_and_the_rest_by_time() {
    let percent = |value| change("enable", "percentage_of_actors", Some(value));
    // Row 3 was stamped by a server whose clock is behind.
    let events = [row(3, 100, percent("3")), row(2, 200, percent("2")), row(4, 300, percent("4"))];
    assert_eq!(order_of(&events, None), [1002, 1003, 1004]);
    assert_eq!(order_of(&events, Some(150)), [1003]);
    assert_eq!(order_of(&events, Some(200)), [1002, 1003]);
    assert_eq!(state_at(KEY, &events, Some(200)).gates.percentage_of_actors.as_str(), "3");

    let mut mixed = events.to_vec();
    mixed.extend([rowless(1, Some(250), "50"), rowless(0, Some(250), "40")]);
    assert_eq!(order_of(&mixed, None), [1002, 1003, 0, 1, 1004]);
}

#[test]
fn a_change_of_unknown_time_counts_once_its_latest_moment_has_passed() {
    let mut event = rowless(5, None, "50");
    assert_eq!(order_of(std::slice::from_ref(&event), Some(i64::MAX)), [0_u64; 0]);
    assert_eq!(order_of(std::slice::from_ref(&event), None), [5]);
    event.change.occurrence = Some(Occurrence {
        raw: Some("some time in January".to_owned()),
        earliest: None,
        latest: Some(Instant::from_micros(700).unwrap()),
        precision: Precision::Unknown,
        time_zone: None,
        year_inferred_from: None,
    });
    assert_eq!(order_of(std::slice::from_ref(&event), Some(699)), [0_u64; 0]);
    assert_eq!(order_of(std::slice::from_ref(&event), Some(700)), [5]);
}

#[test]
fn corrected_changes_count_as_corrected_and_withdrawn_ones_not_at_all() {
    let payload = |id: &str, kind: &str, data: serde_json::Value| {
        let event = serde_json::json!({
            "specversion": "1.0", "id": id, "source": "test", "type": kind, "data": data,
        });
        event.to_string().into_bytes()
    };
    let percent = |value: &str, row: u64| {
        serde_json::json!({
            "key": KEY, "operation": "enable", "gate": "percentage_of_actors", "value": value,
            "service": "main", "environment": "production", "row": row, "basis": "observed",
        })
    };
    let (hash, changed) = (|seq: u64| format!("{seq:064x}"), "rollout.flag.changed.v1");
    let corrected = serde_json::json!({
        "target": { "seq": 1, "hash": hash(1) }, "replacement": percent("10", 1),
        "reason": "misread", "basis": "reported",
    });
    let withdrawn = serde_json::json!({
        "target": { "seq": 2, "hash": hash(2) }, "reason": "other flag", "basis": "reported",
    });
    let payloads = [
        payload("a", changed, percent("50", 1)),
        payload("b", changed, percent("75", 2)),
        payload("c", "rollout.event.corrected.v1", corrected),
        payload("d", "rollout.event.withdrawn.v1", withdrawn),
    ];
    let recorded: Vec<Recorded> = (1..)
        .zip(&payloads)
        .map(|(seq, payload)| Recorded::read(seq, &hash(seq), 500, Some(payload)))
        .collect();
    let resolved = crate::recorded::resolve(recorded.iter());
    let events: Vec<_> = resolved.iter().filter_map(FlagChangedRecorded::from_resolved).collect();
    let answer = state_at(KEY, &events, None);
    assert_eq!(answer.gates.percentage_of_actors.as_str(), "10");
    assert_eq!(answer.seq, Some(1));
}
