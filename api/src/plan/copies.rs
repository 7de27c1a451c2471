//! Results that stand in another rollout's plan too: what a copied plan brings along unnoticed.
//!
//! The same ticket, or the same telling number, in the results of two plans is a warning and never
//! more: it may well be true of both.

use std::collections::BTreeMap;

use schemas::values::{FieldKind, PlanField, PlanValue, PlanWarning, Quantity};

/// Numbers with fewer digits are the same by chance.
const TELLING_DIGITS: usize = 4;

/// Most warnings about one other plan; a whole copied plan needs no line for each number.
const WARNINGS_LEN_MAX: usize = 5;

/// Warns of every telling number and ticket among the results that `others` have as well.
///
/// `others` are the fields of other rollouts' newest plans, by rollout.
pub fn warnings(
    fields: &[PlanField],
    others: &BTreeMap<String, Vec<PlanField>>,
) -> Vec<PlanWarning> {
    let mine = telling(fields);
    let mut out = Vec::new();
    for (rollout, theirs) in others {
        let theirs = telling(theirs);
        let shared = mine.iter().filter(|(what, _)| theirs.contains_key(*what));
        for (what, line) in shared.take(WARNINGS_LEN_MAX) {
            out.push(PlanWarning {
                code: "same_in_another_plan".to_owned(),
                line: *line,
                message: format!("{what} stands in the results of {rollout} too; was it copied?"),
            });
        }
    }
    out
}

/// What would hardly be the same in two plans by chance, and the first line that it stands in.
fn telling(fields: &[PlanField]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let results = fields.iter().filter(|f| {
        let place = f.path.contains("/results/") || f.path.starts_with("checkpoints/");
        place && f.kind == FieldKind::Value
    });
    for field in results {
        if let Some(PlanValue::Quantity(Quantity { value: Some(value), .. })) = &field.value {
            let digits = value.as_str().bytes().filter(u8::is_ascii_digit).count();
            if digits >= TELLING_DIGITS {
                found.entry(format!("the number {value}")).or_insert(field.line);
            }
        }
        for ticket in tickets(&field.raw) {
            found.entry(format!("the ticket {ticket}")).or_insert(field.line);
        }
    }
    found
}

/// `#81372` and `.../issues/81372` are the same ticket.
fn tickets(raw: &str) -> impl Iterator<Item = String> + '_ {
    let starts = ["#", "/issues/"];
    starts.into_iter().flat_map(move |start| {
        raw.match_indices(start).filter_map(move |(at, found)| {
            let rest = raw.get(at + found.len()..)?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (end >= TELLING_DIGITS).then(|| format!("#{}", rest.get(..end).unwrap_or_default()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<PlanField> {
        let plan = format!("# Plan\n\n### Stage A: Canary\n\n#### Results\n\n{text}\n");
        crate::plan::read(&plan).fields
    }

    #[test]
    fn a_telling_number_or_ticket_in_two_plans_is_named_with_its_line() {
        let other =
            fields("- Number of unique users: 21,616\n- Types of errors logged: see #81372");
        let others = BTreeMap::from([("other".to_owned(), other)]);
        let rows = [
            ("- Number of unique users: 21616", 1),
            ("- Number of unique users: 12", 0),
            ("- Types of errors logged: https://example.com/t/issues/81372", 1),
            ("- Types of errors logged: none", 0),
        ];
        for (text, expected) in rows {
            let found = warnings(&fields(text), &others);
            assert_eq!(found.len(), expected, "{text}: {found:?}");
            assert!(found.iter().all(|w| w.line == 7), "{found:?}");
        }
    }
}
