//! Holds what was observed against what was to be reached, exactly and without floats.
//!
//! What people write is often a bound (`< 5 %`) or a range (`70-80 %`). A goal is met when every
//! number that the words allow meets it, missed when none does, and undecided otherwise.

use std::cmp::Ordering;

use schemas::{
    event::decision::{Comparison, CriterionForm, CriterionSet},
    id::Decimal,
    values::{Qualifier, Quantity},
};

/// Digits behind the point that are compared.
const SCALE: usize = 9;

/// What a goal asks of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    range: Range,
    unit: Option<String>,
}

/// An end of a range: the number, and whether it belongs to the range.
type End = Option<(i128, bool)>;

/// The numbers that words allow. No end means without end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    least: End,
    greatest: End,
}

impl Demand {
    /// What a criterion demands, or why that is not known.
    pub(super) fn of_criterion(set: &CriterionSet) -> (Option<Demand>, Option<&'static str>) {
        if let CriterionForm::Change | CriterionForm::BaselineRange = set.form {
            return (None, Some("the goal is a change against the baseline, in words"));
        }
        let (Some(comparison), Some(at)) =
            (set.comparison, set.threshold.as_ref().and_then(scaled))
        else {
            return (None, Some("the goal is in words"));
        };
        let (least, greatest) = match comparison {
            Comparison::Lt => (None, Some((at, false))),
            Comparison::Le => (None, Some((at, true))),
            Comparison::Eq => (Some((at, true)), Some((at, true))),
            Comparison::Ge => (Some((at, true)), None),
            Comparison::Gt => (Some((at, false)), None),
        };
        (Some(Demand { range: Range { least, greatest }, unit: set.unit.clone() }), None)
    }

    /// What a quantity demands that stands as a goal, or why that is not known.
    pub(super) fn of_quantity(goal: &Quantity) -> (Option<Demand>, Option<&'static str>) {
        let bound = matches!(
            goal.qualifier,
            Some(Qualifier::Lt | Qualifier::Le | Qualifier::Gt | Qualifier::Ge | Qualifier::Range)
        );
        match Range::of(goal) {
            None if goal.value.as_ref().is_some_and(|number| scaled(number).is_none()) => (
                None,
                Some("the goal has too many digits to be compared: nine behind the point are"),
            ),
            None => (None, Some("the goal is no number")),
            Some(_) if !bound => (None, Some("the goal does not say which way it is met")),
            Some(range) => (Some(Demand { range, unit: goal.unit.clone() }), None),
        }
    }
}

/// Whether what was observed meets the demand, or why that cannot be said.
pub(super) fn compare(demand: &Demand, actual: &Quantity) -> Result<bool, &'static str> {
    let range = Range::of(actual).ok_or_else(|| {
        let given = [&actual.value, &actual.min, &actual.max];
        let too_long = |number: &&Decimal| scaled(number).is_none();
        if given.into_iter().flatten().any(|number| too_long(&number)) {
            "what was recorded has too many digits to be compared: nine behind the point are"
        } else {
            "what was recorded is no number"
        }
    })?;
    if demand.unit != actual.unit {
        return Err("goal and actual are in different units");
    }
    if range.is_within(&demand.range) {
        Ok(true)
    } else if range.is_apart_from(&demand.range) {
        Ok(false)
    } else {
        Err("what was recorded allows numbers on both sides of the goal")
    }
}

impl Range {
    fn of(quantity: &Quantity) -> Option<Range> {
        if let (Some(min), Some(max)) = (&quantity.min, &quantity.max) {
            return Some(Range {
                least: Some((scaled(min)?, true)),
                greatest: Some((scaled(max)?, true)),
            });
        }
        let at = scaled(quantity.value.as_ref()?)?;
        Some(match quantity.qualifier {
            Some(Qualifier::Lt) => Range { least: None, greatest: Some((at, false)) },
            Some(Qualifier::Le) => Range { least: None, greatest: Some((at, true)) },
            Some(Qualifier::Gt) => Range { least: Some((at, false)), greatest: None },
            Some(Qualifier::Ge) => Range { least: Some((at, true)), greatest: None },
            _ => Range { least: Some((at, true)), greatest: Some((at, true)) },
        })
    }

    fn is_within(&self, wanted: &Range) -> bool {
        let above = match (self.least, wanted.least) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some((here, closed)), Some((end, allowed))) => {
                here > end || (here == end && (allowed || !closed))
            }
        };
        let below = match (self.greatest, wanted.greatest) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some((here, closed)), Some((end, allowed))) => {
                here < end || (here == end && (allowed || !closed))
            }
        };
        above && below
    }

    fn is_apart_from(&self, wanted: &Range) -> bool {
        let ends_before = |greatest: End, least: End| match (greatest, least) {
            (Some((high, closed)), Some((low, allowed))) => match high.cmp(&low) {
                Ordering::Less => true,
                Ordering::Equal => !(closed && allowed),
                Ordering::Greater => false,
            },
            _ => false,
        };
        ends_before(self.greatest, wanted.least) || ends_before(wanted.greatest, self.least)
    }
}

/// A decimal in units of the ninth digit behind the point, if it is that exact.
fn scaled(decimal: &Decimal) -> Option<i128> {
    let text = decimal.as_str();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > SCALE {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<SCALE$}").parse().ok()?;
    Some(sign * units)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn quantity(of: &Value) -> Quantity {
        let mut of = of.clone();
        of["raw"] = "as written".into();
        serde_json::from_value(of).unwrap()
    }

    #[test]
    fn every_number_that_the_words_allow_meets_the_goal_or_none_does() {
        let ge_35 = json!({ "value": "35", "qualifier": "ge", "unit": "%" });
        let lt_5 = json!({ "value": "5", "qualifier": "lt", "unit": "%" });
        let between = json!({ "min": "70", "max": "80", "qualifier": "range", "unit": "%" });
        let rows = [
            (&ge_35, json!({ "value": "35", "unit": "%" }), Ok(true)),
            (&ge_35, json!({ "value": "35.000000001", "unit": "%" }), Ok(true)),
            (&ge_35, json!({ "value": "34.999999999", "unit": "%" }), Ok(false)),
            (&ge_35, json!({ "value": "-35", "unit": "%" }), Ok(false)),
            (&ge_35, json!({ "value": "35", "unit": "users" }), Err("units")),
            (&ge_35, json!({ "value": "35" }), Err("units")),
            (&ge_35, json!({ "unit": "%" }), Err("no number")),
            (&ge_35, json!({ "value": "35.0000000001", "unit": "%" }), Err("too many digits")),
            (&ge_35, json!({ "min": "35", "max": "40", "unit": "%" }), Ok(true)),
            (&ge_35, json!({ "min": "30", "max": "34", "unit": "%" }), Ok(false)),
            (&ge_35, json!({ "min": "30", "max": "40", "unit": "%" }), Err("both sides")),
            (&ge_35, json!({ "value": "35", "qualifier": "gt", "unit": "%" }), Ok(true)),
            (&ge_35, json!({ "value": "35", "qualifier": "lt", "unit": "%" }), Ok(false)),
            (&ge_35, json!({ "value": "35", "qualifier": "le", "unit": "%" }), Err("both sides")),
            (&lt_5, json!({ "value": "5", "unit": "%" }), Ok(false)),
            (&lt_5, json!({ "value": "5", "qualifier": "lt", "unit": "%" }), Ok(true)),
            (&lt_5, json!({ "value": "5", "qualifier": "le", "unit": "%" }), Err("both sides")),
            (&lt_5, json!({ "value": "4", "qualifier": "ge", "unit": "%" }), Err("both sides")),
            (&between, json!({ "value": "70", "unit": "%" }), Ok(true)),
            (&between, json!({ "value": "80.1", "unit": "%" }), Ok(false)),
        ];
        for (goal, actual, expected) in rows {
            let (demand, _) = Demand::of_quantity(&quantity(goal));
            let found = compare(&demand.unwrap(), &quantity(&actual));
            match expected {
                Ok(met) => assert_eq!(found, Ok(met), "{actual} against {goal}"),
                Err(part) => assert!(found.unwrap_err().contains(part), "{actual} against {goal}"),
            }
        }
    }

    #[test]
    fn a_goal_that_does_not_say_which_way_demands_nothing() {
        for goal in
            [json!({ "value": "35" }), json!({ "value": "35", "qualifier": "exact" }), json!({})]
        {
            assert_eq!(Demand::of_quantity(&quantity(&goal)).0, None, "{goal}");
        }
    }
}
