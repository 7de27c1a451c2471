//! From the words of a command line to the values of an event.

use schemas::{
    event::rollback::{PlannedStep, StepKind},
    values::{
        Actor, ActorKind, CategoryCount, Evidence, LabelledText, MetricValue, Party, SignOff,
    },
};
use serde_json::{Value, json};

use super::field::{Field, Kind};
use crate::{
    exit::{Code, fail},
    words,
};

/// What the ledger knows that makes words unambiguous.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Keys and labels of the rollout's stages.
    pub stages: Vec<(String, String)>,
    /// The plan's own names of metrics.
    pub metrics: Vec<String>,
    /// The plan's time zone.
    pub zone: Option<String>,
    /// Numbers and texts of the steps of the planned rollback.
    pub steps: Vec<(String, String)>,
    /// Ids of the bugs that were found.
    pub bugs: Vec<String>,
    /// The plan's questions, in its order.
    pub questions: Vec<String>,
    /// Whether a stage or a step may be named that the plan does not have.
    pub may_be_new: bool,
}

/// Finds the hash of an entry.
pub type HashOf<'a> = dyn Fn(u64) -> anyhow::Result<String> + 'a;

/// The value of one flag.
///
/// # Errors
/// Names the flag and the form that it wants.
pub(crate) fn value(
    field: &Field,
    text: &str,
    known: &Known,
    hash_of: &HashOf,
) -> anyhow::Result<Value> {
    Ok(match &field.kind {
        Kind::Text if field.name == "stage" => json!(known.stage(text)?),
        Kind::Text if field.name == "metric" => json!(known.metric(text)),
        Kind::Text if field.name == "step" => json!(known.step(text)?),
        Kind::Text if field.name == "question" => json!(known.question(text)),
        Kind::Text if field.name == "checkpoint" => json!(checkpoint(text)),
        Kind::Text | Kind::Words(_) => json!(text),
        Kind::Integer => json!(text.parse::<u64>().map_err(|_| wrong(field, "a whole number"))?),
        Kind::Boolean => json!(text == "true"),
        Kind::Json => schemas::canonical::parse(text.as_bytes())
            .map_err(|e| wrong(field, &format!("JSON ({e})")))?,
        Kind::Value(name) => named(field, name, text, known, hash_of)?,
    })
}

fn named(
    field: &Field,
    name: &str,
    text: &str,
    known: &Known,
    hash_of: &HashOf,
) -> anyhow::Result<Value> {
    let unreadable = |form| wrong(field, form);
    Ok(match name {
        "Quantity" => to(&words::quantity(text)),
        "Exposure" => match words::exposures(text).as_slice() {
            [] => return Err(unreadable("an exposure such as '25% of users'")),
            [only] if !field.list => to(only),
            several => to(&several),
        },
        "Duration" => to(&words::duration(text)
            .ok_or_else(|| unreadable("a length of time such as '2 hours' or '1-2 days'"))?),
        "Window" => to(&words::window(text, None)
            .ok_or_else(|| unreadable("dates such as '1/14/2026 - 1/16/2026'"))?),
        "Answer" => to(&words::answer(text)),
        "Party" => to(&party(text)),
        "SignOff" => {
            let (who, verdict) = split(text, ':').ok_or_else(|| unreadable("PARTY:VERDICT"))?;
            to(&SignOff { party: party(who), verdict: verdict.to_owned() })
        }
        "Evidence" => to(&evidence(text)),
        "Target" => {
            let seq = text.parse::<u64>().map_err(|_| unreadable("the seq of an entry"))?;
            json!({ "seq": seq, "hash": hash_of(seq)? })
        }
        "MetricValue" => {
            let (name, quantity) = metric(text).ok_or_else(|| unreadable("NAME=NUMBER"))?;
            to(&MetricValue { name: known.metric(&name), quantity, goal: None })
        }
        "CategoryCount" => {
            let (label, quantity) = metric(text).ok_or_else(|| unreadable("LABEL=NUMBER"))?;
            to(&CategoryCount { label, quantity })
        }
        "LabelledText" => {
            let (label, raw) = split(text, '=').ok_or_else(|| unreadable("LABEL=TEXT"))?;
            to(&LabelledText { label: label.to_owned(), raw: raw.to_owned() })
        }
        "PlannedStep" => to(&planned_step(text)),
        _ => unreachable!("field.rs names every readable value"),
    })
}

fn wrong(field: &Field, form: &str) -> anyhow::Error {
    fail(Code::Usage, format!("--{} wants {form}", field.flag))
}

fn to(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("values have string keys and no floats")
}

fn split(text: &str, at: char) -> Option<(&str, &str)> {
    let (before, after) = text.split_once(at)?;
    (!before.trim().is_empty()).then(|| (before.trim(), after.trim()))
}

fn metric(text: &str) -> Option<(String, schemas::values::Quantity)> {
    let (name, number) = text.rsplit_once('=')?;
    (!name.trim().is_empty() && !number.trim().is_empty())
        .then(|| (name.trim().to_owned(), words::quantity(number.trim())))
}

/// A person by account id.
pub fn person(id: &str) -> Actor {
    Actor { id: Some(id.to_owned()), kind: ActorKind::Person, reason_unknown: None }
}

/// `ROLE`, `ROLE=ACCOUNT` or `=ACCOUNT`.
pub(crate) fn party(text: &str) -> Party {
    let (role, account) = match text.split_once('=') {
        Some((role, account)) => (role.trim(), Some(account.trim())),
        None => (text.trim(), None),
    };
    Party {
        role: (!role.is_empty()).then(|| role.to_owned()),
        actor: account.filter(|a| !a.is_empty()).map(person),
        raw: None,
    }
}

/// A URL, or its kind in front: `dashboard=https://...`.
pub(crate) fn evidence(text: &str) -> Evidence {
    let (kind, url) = match text.split_once('=') {
        Some((kind, url)) if kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            (kind, url)
        }
        _ => ("link", text),
    };
    let (kind, url) = (kind.to_owned(), Some(url.to_owned()));
    Evidence { kind, url, sha256: None, captured_at: None, live: None }
}

/// `1 week` is `P7D`, as the plan's own checkpoints are called.
fn checkpoint(text: &str) -> String {
    let length = words::duration(&text.replace('-', " "));
    let named = length.filter(|length| length.min == length.max).and_then(|length| length.min);
    named.map_or_else(|| text.to_owned(), |named| named.to_string())
}

fn planned_step(text: &str) -> PlannedStep {
    let word = |w: &str| StepKind::ALL.iter().find(|k| k.as_str() == w.replace('-', "_"));
    let (kind, words) = match text.split_once(':').map(|(k, rest)| (word(k.trim()), rest.trim())) {
        Some((Some(kind), rest)) => (*kind, rest),
        _ => (StepKind::Other, text),
    };
    PlannedStep {
        step: String::new(),
        kind,
        text: words.to_owned(),
        substeps: Vec::new(),
        within: None,
    }
}

impl Known {
    /// The key of the stage that a text means: its key, its label, or an unambiguous part of it.
    ///
    /// # Errors
    /// When it fits several stages, or none of a plan that has stages: both name the choices.
    pub fn stage(&self, text: &str) -> anyhow::Result<String> {
        let wanted = words::slug(text);
        let heard_of = self.stages.iter().any(|(key, _)| *key == wanted);
        if self.stages.is_empty() || (self.may_be_new && !heard_of) {
            return Ok(wanted);
        }
        let exact =
            |(key, label): &&(String, String)| *key == wanted || words::slug(label) == wanted;
        if let Some((key, _)) = self.stages.iter().find(exact) {
            return Ok(key.clone());
        }
        let part = |slug: &str| {
            let (slug, wanted) = (format!("-{slug}-"), format!("-{wanted}-"));
            slug.contains(&wanted)
        };
        let fits: Vec<_> =
            self.stages.iter().filter(|(k, l)| part(k) || part(&words::slug(l))).collect();
        if let [(key, _)] = fits.as_slice() {
            return Ok(key.clone());
        }
        let choices: Vec<_> = self.stages.iter().map(|(k, l)| format!("{k} ({l})")).collect();
        let what = if fits.is_empty() { "no stage" } else { "more than one stage" };
        let choices = choices.join(", ");
        let way_out = "--new records one that the plan does not have";
        let message = format!("--stage {text:?} fits {what}; the stages are {choices}; {way_out}");
        Err(fail(Code::Usage, message))
    }

    /// The number of the planned rollback step that a text means: its number, its words, or an
    /// unambiguous beginning of them.
    fn step(&self, text: &str) -> anyhow::Result<String> {
        let number = text.rsplit('/').next().unwrap_or(text).trim();
        let exact = self.steps.iter().find(|(step, _)| step == number);
        if self.steps.is_empty() || self.may_be_new || exact.is_some() {
            return Ok(exact.map_or(text, |(step, _)| step).to_owned());
        }
        let wanted = words::slug(text);
        let begins = |(_, words): &&(String, String)| words::slug(words).starts_with(&wanted);
        if let [(step, _)] = self.steps.iter().filter(begins).collect::<Vec<_>>().as_slice() {
            return Ok(step.clone());
        }
        let steps: Vec<_> =
            self.steps.iter().map(|(step, text)| format!("{step} ({text})")).collect();
        let steps = steps.join(", ");
        let way_out = "without --step it counts by its --kind, and --new records any other";
        let message = format!("--step {text:?} fits no planned step; they are {steps}; {way_out}");
        Err(fail(Code::Usage, message))
    }

    /// The plan's question that a text means: its number, or an unambiguous beginning.
    fn question(&self, text: &str) -> String {
        let numbered = text.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if let Some(question) = numbered.and_then(|n| self.questions.get(n)) {
            return question.clone();
        }
        let wanted = words::slug(text);
        let begins = |question: &&String| words::slug(question).starts_with(&wanted);
        match self.questions.iter().filter(begins).collect::<Vec<_>>().as_slice() {
            [question] => (*question).clone(),
            _ => text.to_owned(),
        }
    }

    /// The plan's own spelling of a metric, if it has one.
    fn metric(&self, name: &str) -> String {
        let wanted = words::slug(name);
        let known = self.metrics.iter().find(|m| words::slug(m) == wanted);
        known.cloned().unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_found_by_any_unambiguous_label() {
        let stage = |key: &str, label: &str| (key.to_owned(), label.to_owned());
        let known = Known {
            stages: vec![
                stage("stage-a", "Stage A: Canary"),
                stage("stage-b", "Stage B: 25% of users"),
                stage("stage-d", "Stage D: 100% of users"),
            ],
            ..Known::default()
        };
        let rows = [
            ("stage-a", Some("stage-a")),
            ("canary", Some("stage-a")),
            ("B", Some("stage-b")),
            ("25% of users", Some("stage-b")),
            ("100%", Some("stage-d")),
            ("of users", None),
            ("stage", None),
            ("pilot", None),
        ];
        for (text, expected) in rows {
            assert_eq!(known.stage(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn parties_and_evidence_are_read() {
        let shown = |p: Party| (p.role, p.actor.and_then(|a| a.id));
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(shown(party("product owner")), (some("product owner"), None));
        assert_eq!(shown(party("qa=acct-7")), (some("qa"), some("acct-7")));
        assert_eq!(shown(party("=acct-7")), (None, some("acct-7")));
        let url = "https://example.com/x?a=b";
        assert_eq!(evidence(url).url.as_deref(), Some(url));
        assert_eq!(evidence(&format!("dashboard={url}")).kind, "dashboard");
    }
}
