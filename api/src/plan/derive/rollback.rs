//! The rollback plan: one event for each of its lists, with the kind of each step by its words.

use std::sync::LazyLock;

use regex::Regex;
use schemas::event::{
    measurement::Severity,
    rollback::{PlannedStep, RollbackPlanned, StepKind},
};
use schemas::values::{Duration, PlanField};

use super::{Fact, Tree, answer, said};
use crate::{plan::labels::normal, words};

pub(super) fn planned<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let lists = tree.names("rollback");
    let mut out = Vec::new();
    for list in &lists {
        let base = format!("rollback/{list}");
        let fields = tree.values(&base);
        let steps = steps(tree, &base);
        let text = tree.values(&format!("{base}/text"));
        // A text above lists by severity introduces them and is no list itself.
        if fields.is_empty() || (steps.is_empty() && *list == "plan" && lists.len() > 1) {
            continue;
        }
        let trigger = tree.value(&format!("{base}/trigger")).map(answer);
        let told = text.iter().map(|f| answer(f)).collect::<Vec<_>>();
        let (trigger, steps) = if steps.is_empty() {
            let sentences = text.iter().enumerate().map(|(at, f)| step(at + 1, f, Vec::new()));
            (trigger, sentences.collect())
        } else {
            (trigger.or_else(|| (!told.is_empty()).then(|| told.join(" "))), steps)
        };
        let severity = severity(list);
        out.extend(Fact::new(base, fields, move |said| {
            said!(said, RollbackPlanned { trigger, severity, steps, within: None })
        }));
    }
    out
}

fn severity(list: &str) -> Option<Severity> {
    Severity::ALL.iter().copied().find(|severity| severity.as_str() == list)
}

fn steps(tree: &Tree, base: &str) -> Vec<PlannedStep> {
    let base = format!("{base}/steps");
    let mut out = Vec::new();
    for number in tree.names(&base) {
        let path = format!("{base}/{number}");
        let Some(field) = tree.value(&path) else { continue };
        let below = tree.values(&path).into_iter().filter(|f| f.path != path).map(answer).collect();
        out.push(step(number, field, below));
    }
    out
}

fn step(number: impl ToString, field: &PlanField, substeps: Vec<String>) -> PlannedStep {
    let text = answer(field);
    let kind = kind(&text);
    PlannedStep { step: number.to_string(), kind, within: within(&text), text, substeps }
}

/// How soon a step is promised: `within 15 minutes`.
fn within(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find("within ")? + "within ".len();
    let words: Vec<&str> = text.get(at..)?.split_whitespace().take(3).collect();
    let short = |len: usize| words::duration(&words.get(..len)?.join(" ").replace([',', '.'], ""));
    let found = short(2).or_else(|| short(3)).filter(|d| d.max.is_some())?;
    Some(Duration { min: None, ..found })
}

/// What a step does, by its words.
fn kind(text: &str) -> StepKind {
    let words = normal(text);
    let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
    let flag = has(&["toggle", "flag", "flipper", "feature"]);
    let off = is_off(&words);
    if has(&["re-enable", "reenable", "turn back on", "re-enabling"]) {
        StepKind::FlagReenabled
    } else if has(&["reduction", "reduce", "lower"]) && !has(&["no reduction"]) {
        StepKind::FlagReduced
    } else if off && has(&["contact", "ask ", "request", "flag to the"]) {
        StepKind::FlagOffRequested
    } else if off && (flag || names_a_flag(text) || !is_no_flag(&words)) {
        StepKind::FlagOff
    } else if has(&["thread", "follow up", "follow-up"]) {
        StepKind::ThreadUpdated
    } else if has(&["alert", "notify", "inform the team", "tell the team"]) {
        StepKind::TeamAlerted
    } else if has(&["ticket", "create an issue", "open an issue"]) {
        StepKind::TicketCreated
    } else if has(&["revert"]) {
        StepKind::CommitReverted
    } else if has(&["fix"]) && has(&["deploy"]) {
        StepKind::FixDeployed
    } else {
        StepKind::Other
    }
}

/// `turn the toggle off`, `switches it off`, `disabled`.
fn is_off(words: &str) -> bool {
    static OFF: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\b(?:disabl(?:e|es|ed|ing)|(?:turn|switch|toggle|flip)(?:s|es|ed|d|ing)? (?:[^.;,]{0,80} )?off)\b",
        )
        .expect("the pattern is valid: a test uses it")
    });
    OFF.is_match(words)
}

/// Whether words name something that is turned off beside a flag.
fn is_no_flag(words: &str) -> bool {
    ["alert", "monitor", "notif", "mail", "job", "cron", "server", "account", "banner"]
        .iter()
        .any(|word| words.contains(word))
}

/// Whether a step names what is turned off by its key: `turn claim_status_v2 off`.
fn names_a_flag(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "`*,.;:()\"".contains(c))
        .any(|word| word.contains('_') && word.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_has_a_length() {
        let rows = [
            ("Turn off the flag within 15 minutes of the alert", Some("PT15M")),
            ("Write to the team within an hour.", Some("PT1H")),
            ("Stay within the budget", None),
        ];
        for (text, max) in rows {
            let found = within(text).and_then(|d| d.max);
            assert_eq!(found.as_ref().map(schemas::id::IsoDuration::as_str), max, "{text}");
        }
    }

    #[test]
    fn steps_are_known_by_their_words() {
        let rows: &[(&str, StepKind)] = &[
            ("Turn off the feature toggle `a_b`", StepKind::FlagOff),
            ("Turn the toggle off", StepKind::FlagOff),
            ("Switch `a_b` off for everyone", StepKind::FlagOff),
            ("The developer on duty turns the flag off", StepKind::FlagOff),
            ("The lead disables the toggle", StepKind::FlagOff),
            ("Disable a_b", StepKind::FlagOff),
            ("Turn the new search off", StepKind::FlagOff),
            ("Switch the nightly job off", StepKind::Other),
            ("Contact the engineers to disable the toggle", StepKind::FlagOffRequested),
            ("Alert the team in the channel that the rollback began", StepKind::TeamAlerted),
            ("Create a ticket to document:", StepKind::TicketCreated),
            ("Follow up in the alert's thread with the ticket", StepKind::ThreadUpdated),
            ("Revert the offending commit", StepKind::CommitReverted),
            ("Test the fix and deploy it", StepKind::FixDeployed),
            ("Re-enable the toggle at a lower percentage", StepKind::FlagReenabled),
            ("Keep the toggle on with no reduction", StepKind::Other),
            ("Reduce the share of users", StepKind::FlagReduced),
        ];
        for (text, expected) in rows {
            assert_eq!(kind(text), *expected, "{text}");
        }
    }
}
