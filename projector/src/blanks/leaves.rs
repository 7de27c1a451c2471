//! One place of a block of results: what the block says for it.

use schemas::values::{Answer, AnswerValue, MetricValue, Results};

use crate::rollout::decisions::same_words;

/// The place that is asked for.
pub(super) struct Leaf<'a> {
    /// `["unique_users"]`, `["metrics", "2"]`.
    pub(super) path: &'a [&'a str],
    /// The plan's label of the place.
    pub(super) label: Option<&'a str>,
    /// What the plan calls the goal, when the place is a goal's actual value.
    pub(super) goal: Vec<&'a str>,
    /// Whether the plan asks for the details of necessary changes in a place of their own.
    pub(super) has_detail: bool,
}

impl Leaf<'_> {
    /// What a block of results says for the place.
    pub(super) fn text(&self, results: &Results) -> Option<String> {
        let raw = |q: &Option<schemas::values::Quantity>| q.as_ref().map(|q| q.raw.clone());
        match self.path {
            ["unique_users"] => raw(&results.unique_users),
            ["latency"] => raw(&results.latency),
            ["bugs_identified"] => raw(&results.bugs_identified),
            ["bugs_fixed"] => raw(&results.bugs_fixed),
            ["bugs"] => {
                let found = raw(&results.bugs_identified)?;
                Some(raw(&results.bugs_fixed).map_or(found.clone(), |f| format!("{found} / {f}")))
            }
            ["length"] => {
                let length = results.length.as_ref()?;
                length.raw.clone().or_else(|| length.min.as_ref().map(ToString::to_string))
            }
            ["downstream"] => results.downstream.as_ref().map(in_full),
            ["processing"] => results.processing.as_ref().map(in_full),
            ["changes"] => {
                let answer = results.changes_needed.as_ref()?;
                Some(if self.has_detail { answer.raw.clone() } else { in_full(answer) })
            }
            ["changes_detail"] => {
                let answer = results.changes_needed.as_ref()?;
                let wordy = answer.value == AnswerValue::Other;
                answer.detail.clone().or_else(|| wordy.then(|| answer.raw.clone()))
            }
            ["errors"] => (!results.error_types.is_empty()).then(|| results.error_types.join(", ")),
            ["metrics", _] => self.named(&results.metrics).or_else(|| self.named(&results.goals)),
            ["kpis", _] => self.named(&results.goals).or_else(|| self.named(&results.metrics)),
            ["other", _] => {
                let label = self.label?;
                results.other.iter().find(|o| is_about(&o.label, label)).map(|o| o.raw.clone())
            }
            _ => None,
        }
    }

    fn named(&self, values: &[MetricValue]) -> Option<String> {
        let names = self.label.iter().chain(&self.goal);
        let of_name =
            |name: &&str| values.iter().find(|v| is_about(&v.name, name)).map(|v| &v.quantity);
        names.into_iter().find_map(of_name).map(|q| q.raw.clone())
    }
}

/// Whether a value's name is what a label asks for: `KPI 1` is asked for by `KPI 1 actual:`.
pub(super) fn is_about(name: &str, label: &str) -> bool {
    if same_words(name, label) {
        return true;
    }
    let bare = label.trim().trim_end_matches(':').trim_end();
    bare.to_lowercase()
        .strip_suffix("actual")
        .is_some_and(|bare| !bare.trim().is_empty() && same_words(name, bare))
}

/// An answer with its detail: `Yes: a clearer off switch`.
pub(super) fn in_full(answer: &Answer) -> String {
    match &answer.detail {
        Some(detail) if !answer.raw.contains(detail.as_str()) => {
            format!("{}: {detail}", answer.raw.trim())
        }
        _ => answer.raw.clone(),
    }
}
