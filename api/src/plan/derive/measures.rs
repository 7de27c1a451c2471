//! What a plan says of the release, its flags, its metrics, a baseline and bugs.

use schemas::{
    FlagKey, StageKey,
    event::{
        flag::{FlagRegistered, FlagRole},
        measurement::{BugFound, MetricDefined, MetricObserved},
        plan::{ReleaseDefined, ReleaseKind},
    },
    values::{Occurrence, Party, PlanField, PlanValue},
};

use super::{Fact, ImportContext, Tree, answer, said, stages::quantity};
use crate::{plan::labels::normal, words};

/// Longest part of a bug's words that goes into its id.
const BUG_SLUG_LEN_MAX: usize = 40;

/// What is released, and how.
pub(super) fn release<'f>(tree: &Tree<'f>, context: &ImportContext) -> Option<Fact<'f>> {
    let title = tree.value("title");
    let why = tree.value("why_not_staged");
    let monitors = tree.values("rollout/monitors");
    let mut fields: Vec<_> = title.into_iter().chain(why).collect();
    fields.extend(&monitors);
    if fields.is_empty() {
        fields.extend(tree.fields.first());
    }
    let zone = context.time_zone.clone();
    let named = title.map_or_else(|| context.file_name.clone(), answer);
    let kind = release_kind(tree, &named);
    let monitors = monitors.iter().map(|f| Party { role: None, actor: None, raw: Some(answer(f)) });
    let monitors = monitors.collect();
    let why_not_staged = why.map(answer);
    Fact::new("title", fields, move |said| {
        said!(
            said,
            ReleaseDefined {
                title: named,
                kind,
                owners: Vec::new(),
                monitors,
                why_not_staged,
                time_zone: zone,
            }
        )
    })
}

fn release_kind(tree: &Tree, title: &str) -> ReleaseKind {
    let title = normal(title);
    let told = |words: &[&str]| words.iter().any(|word| title.contains(word));
    let method =
        tree.values("rollout/method").into_iter().map(|f| normal(&f.raw)).collect::<String>();
    let by_flag = ["toggle", "flag", "flipper"].iter().any(|word| method.contains(word));
    if told(&["mobile"]) {
        ReleaseKind::Mobile
    } else if told(&["email", "e-mail"]) {
        ReleaseKind::Email
    } else if told(&["migration"]) {
        ReleaseKind::Migration
    } else if told(&["deactivat", "decommission", "sunset"]) {
        ReleaseKind::Deactivation
    } else if !tree.values("flags").is_empty() || by_flag {
        ReleaseKind::Flag
    } else if method.contains("allowlist") || method.contains("allow list") {
        ReleaseKind::Allowlist
    } else if told(&["content", "page", "learning"]) {
        ReleaseKind::Content
    } else {
        ReleaseKind::Process
    }
}

/// The flags that the plan names.
pub(super) fn flags<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for number in tree.names("flags") {
        let base = format!("flags/{number}");
        let Some(name) = tree.value(&format!("{base}/name")) else { continue };
        let Ok(key) = answer(name).parse::<FlagKey>() else { continue };
        let described = tree.values(&format!("{base}/description"));
        let description = described.iter().map(|f| answer(f)).collect::<Vec<_>>().join("; ");
        let words = normal(&description);
        let role = if words.contains("kill switch") || words.contains("killswitch") {
            FlagRole::KillSwitch
        } else {
            FlagRole::Rollout
        };
        let description = Some(description).filter(|d| !d.is_empty());
        let fields = std::iter::once(name).chain(described).collect();
        out.extend(Fact::new(format!("{base}/name"), fields, move |said| {
            said!(
                said,
                FlagRegistered { key, valid_from: None, actor_type: None, role, description }
            )
        }));
    }
    out
}

/// The metrics that the plan defines.
pub(super) fn metrics<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for number in tree.names("metrics") {
        let base = format!("metrics/{number}");
        let Some(name) = tree.value(&format!("{base}/name")) else { continue };
        let at = |leaf: &str| tree.value(&format!("{base}/{leaf}"));
        let (description, source) = (at("description"), at("source"));
        let fields = std::iter::once(name).chain(description).chain(source).collect();
        out.extend(Fact::new(format!("{base}/name"), fields, move |said| {
            said!(
                said,
                MetricDefined {
                    metric: answer(name),
                    description: description.map(answer),
                    group: name.label.clone(),
                    kind: None,
                    unit: None,
                    source: source.map(answer),
                    query: None,
                }
            )
        }));
    }
    out
}

/// What was measured before the rollout.
pub(super) fn baseline<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for row in tree.names("baseline") {
        let fields = tree.values(&format!("baseline/{row}"));
        let occurrence = fields.iter().find_map(|f| when(f));
        for field in fields {
            let Some(PlanValue::Quantity(_)) = &field.value else { continue };
            let Some(metric) = field.label.clone() else { continue };
            let fact = Fact::new(field.path.clone(), vec![field], move |said| {
                said!(
                    said,
                    MetricObserved {
                        metric,
                        quantity: Some(quantity(field)),
                        categories: Vec::new(),
                        stage: None,
                        attempt: None,
                        checkpoint: Some("baseline".to_owned()),
                        source: None,
                        restates: None,
                    }
                )
            });
            out.extend(fact.map(|fact| Fact { occurrence: occurrence.clone(), ..fact }));
        }
    }
    out
}

/// The moment in a field.
pub(super) fn when(field: &PlanField) -> Option<Occurrence> {
    match &field.value {
        Some(PlanValue::Occurrence(occurrence)) => Some(occurrence.clone()),
        _ => None,
    }
}

/// The bugs that the plan lists under a stage or a checkpoint.
pub(super) fn bugs<'f>(tree: &Tree<'f>) -> Vec<Fact<'f>> {
    let mut out = Vec::new();
    for field in tree.values("stages").into_iter().chain(tree.values("checkpoints")) {
        let segments: Vec<_> = field.path.split('/').collect();
        let (stage, checkpoint) = match *segments {
            ["stages", key, "results", "bug", _] => (key.parse::<StageKey>().ok(), None),
            ["checkpoints", distance, "bug", _] => (None, Some(distance.to_owned())),
            _ => continue,
        };
        let place = segments.get(1).copied().unwrap_or_default();
        let said_of = Bug::of(&answer(field));
        let slug: String =
            words::slug(&normal(&said_of.title)).chars().take(BUG_SLUG_LEN_MAX).collect();
        let bug = format!("{place}-{}", slug.trim_end_matches('-'));
        out.extend(Fact::new(field.path.clone(), vec![field], move |said| {
            said!(
                said,
                BugFound {
                    bug,
                    title: said_of.title,
                    link: said_of.link,
                    stage,
                    checkpoint,
                    severity: None,
                    launch_blocking: None,
                    root_cause: None,
                    resolution: said_of.resolution,
                }
            )
        }));
    }
    out
}

struct Bug {
    title: String,
    link: Option<String>,
    resolution: Option<String>,
}

impl Bug {
    /// `Name: what happened; what became of it`, in whatever part of it the plan has.
    fn of(text: &str) -> Bug {
        let link = link(text);
        let ends = |part: &str| {
            let words = normal(part);
            ["resolv", "fixed", "done", "started", "closed", "deferred", "will be", "provided"]
                .iter()
                .any(|word| words.contains(word))
        };
        let cut = |at: usize, len: usize| (text.get(..at).unwrap_or(text), text.get(at + len..));
        let colon = text.find(": ").filter(|at| *at <= 60 && !text.starts_with('['));
        let (title, rest) = match (text.find(" | "), text.rfind("; "), colon) {
            (Some(at), ..) => cut(at, 3),
            (None, _, Some(at)) | (None, Some(at), None) => cut(at, 2),
            _ => (text, None),
        };
        match rest {
            Some(rest) if ends(rest) => Bug {
                title: title.trim().to_owned(),
                link,
                resolution: Some(rest.trim().to_owned()),
            },
            _ => Bug { title: text.to_owned(), link, resolution: None },
        }
    }
}

/// The target of the first link of a text.
pub(super) fn link(text: &str) -> Option<String> {
    let at = text.find("](http").map(|at| at + 2).or_else(|| text.find("http"))?;
    let target = text.get(at..)?;
    let end = target.find([')', ' ', ']', '>']).unwrap_or(target.len());
    target.get(..end).map(str::to_owned)
}
