//! A second model of the flag service: two tables in strings, as its database has them, replayed
//! from the first row for every question. It shares nothing with the fold but the test.

use proptest::prelude::*;

use super::{FlagChangedRecorded, change, row, state_at};

/// A row as the service's table holds it.
#[derive(Clone, Debug)]
struct TableRow {
    id: u64,
    created_at: i64,
    operation: &'static str,
    gate: Option<&'static str>,
    value: Option<String>,
}

/// The service's own two tables for one flag: does the flag stand in the first; the second as
/// (gate, value) pairs.
#[derive(Default)]
struct Tables {
    feature: bool,
    gates: Vec<(&'static str, String)>,
}

impl Tables {
    fn write(&mut self, row: &TableRow) {
        self.feature = true;
        let value = row.value.clone();
        match (row.operation, row.gate) {
            ("remove", _) => *self = Tables::default(),
            ("clear", _) | ("disable", Some("boolean")) => self.gates.clear(),
            ("enable", Some("boolean")) => self.gates = vec![("boolean", "true".to_owned())],
            ("enable", Some(set @ ("actor" | "group"))) => {
                let entry = (set, value.unwrap());
                if !self.gates.contains(&entry) {
                    self.gates.push(entry);
                }
            }
            ("disable", Some(set @ ("actor" | "group"))) => {
                let gone = value.unwrap();
                self.gates.retain(|(gate, member)| (*gate, member) != (set, &gone));
            }
            ("enable", Some(scalar)) => {
                self.gates.retain(|(gate, _)| *gate != scalar);
                self.gates.push((scalar, value.unwrap_or_default()));
            }
            ("disable", Some(scalar)) => self.gates.retain(|(gate, _)| *gate != scalar),
            _ => {}
        }
    }

    fn json(&self) -> serde_json::Value {
        let values = |gate: &str| {
            let all = self.gates.iter().filter(move |(g, _)| *g == gate);
            all.map(|(_, value)| value.clone()).collect::<Vec<String>>()
        };
        // Thousandths, as the service's own scaling factor has it.
        let percent = |gate: &str| {
            let written = values(gate).pop().unwrap_or_default();
            let number: f64 = if written.is_empty() { 0.0 } else { written.parse().unwrap() };
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        let mut groups = values("group");
        groups.sort_unstable();
        serde_json::json!({
            "boolean": !values("boolean").is_empty(),
            "percentage_of_actors": percent("percentage_of_actors"),
            "percentage_of_time": percent("percentage_of_time"),
            "actors": values("actor").len(),
            "groups": groups,
            "expression": !values("expression").is_empty(),
        })
    }
}

fn table_row() -> impl Strategy<Value = TableRow> {
    let percent = prop_oneof![
        Just("0".to_owned()),
        (0..=100_u32).prop_map(|n| n.to_string()),
        (0..=100_000_u32).prop_map(|n| format!("{}.{:03}", n / 1000, n % 1000)),
    ];
    let member = |names: &'static [&'static str]| prop::sample::select(names);
    let boolean = prop::sample::select(&[None, Some("t"), Some("f"), Some("true"), Some("0")]);
    let verb = || prop::sample::select(&["enable", "enable", "disable"]);
    let gate = |gate: &'static str| Just(Some(gate));
    let some = |text: &'static str| Some(text.to_owned());
    let change = prop_oneof![
        1 => (prop::sample::select(&["add", "remove", "clear"]), Just(None), Just(None)),
        1 => (verb(), gate("boolean"), boolean.prop_map(|v| v.map(str::to_owned))),
        3 => (
            verb(),
            prop::sample::select(&[Some("percentage_of_actors"), Some("percentage_of_time")]),
            prop_oneof![9 => percent.prop_map(Some), 1 => Just(None)],
        ),
        2 => (verb(), gate("actor"), member(&["u1:a", "u1:b", "u1:c"]).prop_map(some)),
        2 => (verb(), gate("group"), member(&["testers", "staff", "a b"]).prop_map(some)),
        1 => (verb(), gate("expression"), Just(some("{}"))),
    ];
    // Few moments, so that rows share them and clocks step back.
    (1..=1_000_u64, 0..60_i64, change).prop_map(|(id, created_at, (operation, gate, value))| {
        TableRow { id, created_at, operation, gate, value }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_and_the_model_agree_at_every_moment(
        table in prop::collection::vec(table_row(), 0..40),
        moments in prop::collection::vec(-1..61_i64, 1..6),
    ) {
        let mut table = table;
        table.sort_by_key(|r| r.id);
        table.dedup_by_key(|r| r.id);
        let mut events: Vec<FlagChangedRecorded> = table
            .iter()
            .map(|r| {
                let change = change(r.operation, r.gate.unwrap_or_default(), r.value.as_deref());
                row(r.id, r.created_at, change)
            })
            .collect();
        // The order of recording is not the order of the rows.
        events.reverse();
        for at in moments.into_iter().map(Some).chain([None]) {
            let mut tables = Tables::default();
            let mut last = None;
            for r in table.iter().filter(|r| at.is_none_or(|at| r.created_at <= at)) {
                tables.write(r);
                last = Some(1000 + r.id);
            }
            let answer = state_at(super::KEY, &events, at);
            prop_assert_eq!(serde_json::to_value(&answer.gates).unwrap(), tables.json());
            prop_assert_eq!(answer.exists, tables.feature);
            prop_assert_eq!(answer.seq, last);
        }
    }
}
