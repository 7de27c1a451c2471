//! What a heading announces.

use super::labels::normal;

/// What stands under a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The template's own text.
    Template,
    Flags,
    /// Whether the rollout is staged at all.
    Staged,
    /// The rollback plan, or one of its lists: `plan`, `critical`, `high`, `medium`, `low`.
    Rollback(&'static str),
    /// `Stage B: 25 %`; the letter or number, or the share that names it.
    Stage(String),
    /// `Wave 2`, `Ring 1: 10 %`, `Week 1`: a stage if what stands under it is one; its key.
    Named(String),
    /// `Phase II: ...`; its number.
    Phase(u32),
    /// Testing with a few known users.
    Uat,
    Pilot,
    GoLive,
    /// The rollout as a whole.
    Rollout,
    Planning,
    Results,
    /// The ISO 8601 distance from launch: `P7D`.
    Checkpoint(String),
    PostLaunch,
    Criteria,
    Kpis,
    GoNoGo,
    Questions,
    Cleanup,
    Other,
}

/// What a heading announces, from its words alone.
pub(crate) fn role(heading: &str) -> Role {
    let words = words(heading);
    let w = words.as_str();
    let has = |part: &str| w.contains(part);
    let starts = |part: &str| w.starts_with(part);
    if starts("when to use this")
        || starts("how to use this")
        || w == "exceptions"
        || w == "guidance"
    {
        return Role::Template;
    }
    if starts("do i need a staged rollout") || starts("do we need a staged rollout") {
        return Role::Staged;
    }
    if let Some(distance) = checkpoint(w).filter(|_| is_checkpoint(w)) {
        return Role::Checkpoint(distance);
    }
    if (has("launch") && has("question")) || w == "questions" {
        return Role::Questions;
    }
    if let Some(severity) = severity(w) {
        return Role::Rollback(severity);
    }
    if has("rollback") || has("roll back") || has("roll-back") || has("rolling back") {
        return Role::Rollback("plan");
    }
    if let Some(stage) = stage(w) {
        return Role::Stage(stage);
    }
    if let Some(number) = phase(w) {
        return Role::Phase(number);
    }
    if starts("go live") || starts("go-live") {
        return Role::GoLive;
    }
    let announced = part(w);
    match named(w) {
        Some(key) if matches!(announced, Role::Other | Role::Results | Role::Rollout) => {
            Role::Named(key)
        }
        _ => announced,
    }
}

/// Whether a heading with a distance speaks of what was measured then, and not of a step of the
/// rollout: `Week 1: 10 % of visitors` is a step.
fn is_checkpoint(w: &str) -> bool {
    let shown =
        ["result", "post-launch", "post launch", "postlaunch", "check-in", "metrics", "kpi"]
            .iter()
            .any(|word| w.contains(word));
    let share = w.replace("100%", "").replace("100 %", "").contains('%');
    let week_first = w.starts_with(|c: char| c.is_alphabetic())
        && UNITS.iter().any(|(unit, _)| w.starts_with(unit));
    if week_first { shown && !share } else { shown || !share }
}

/// `wave 2` gives `wave-2`: what else people call a stage, with its letter or number.
fn named(w: &str) -> Option<String> {
    let (noun, rest) = w.split_once(' ')?;
    let known = ["ring", "wave", "cohort", "group", "step", "batch", "tier", "week"];
    let name: String =
        rest.trim_start_matches('#').chars().take_while(|c| c.is_alphanumeric()).collect();
    let spelled = NUMBERS.iter().find(|(word, _)| *word == name).map(|(_, n)| n.to_string());
    let digits = name.len() <= 3 && name.bytes().all(|b| b.is_ascii_digit());
    let letter = name.len() == 1 && noun != "week";
    let name = spelled.or_else(|| Some(name).filter(|n| !n.is_empty() && (digits || letter)))?;
    known.contains(&noun).then(|| format!("{noun}-{name}"))
}

/// The distance that a stage's name would have as a checkpoint: `week-1` gives `P7D`.
pub(crate) fn distance_of(key: &str) -> Option<String> {
    key.starts_with("week-").then(|| checkpoint(&key.replace('-', " "))).flatten()
}

/// Headings that are told by what they contain.
fn part(w: &str) -> Role {
    let has = |part: &str| w.contains(part);
    let starts = |part: &str| w.starts_with(part);
    if has("success criteria")
        || has("metrics-based criteria")
        || has("exit criteria")
        || has("exit velocity")
    {
        Role::Criteria
    } else if has("go/no go")
        || has("go/no-go")
        || has("go / no go")
        || has("go-no-go")
        || has("go no go")
        || has("go no-go")
    {
        Role::GoNoGo
    } else if starts("planning") || w == "the plan" || w == "plan" || starts("description") {
        Role::Planning
    } else if starts("results")
        || starts("actual results")
        || w.ends_with(" results")
        || w == "issues"
    {
        Role::Results
    } else if starts("rollout")
        || starts("staged rollout")
        || starts("production rollout")
        || starts("phased rollout")
        || starts("staged release")
        || has("rollout planning")
        || has("rollout schedule")
    {
        Role::Rollout
    } else if starts("pilot") {
        Role::Pilot
    } else if starts("uat")
        || starts("user acceptance")
        || has("moderated testing")
        || starts("moderated production testing")
    {
        Role::Uat
    } else if has("toggle") || has("feature flag") || has("flipper") || w == "flags" {
        Role::Flags
    } else if starts("kpi")
        || starts("okr")
        || has("key result")
        || starts("objective")
        || starts("success metrics")
        || w == "goals"
    {
        Role::Kpis
    } else if has("post-launch") || has("post launch") || has("postlaunch") {
        Role::PostLaunch
    } else if has("clean up") || has("cleanup") || has("clean-up") {
        Role::Cleanup
    } else {
        Role::Other
    }
}

/// A heading's words: without `Step 3:` before them and emoji codes in them.
fn words(heading: &str) -> String {
    let words = normal(heading);
    let mut w = words.as_str();
    if let Some(rest) = w.strip_prefix("step ") {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if let Some(rest) = rest.strip_prefix([':', '.', ' ']) {
            w = rest.trim_start();
        }
    }
    w.trim_matches(|c: char| !c.is_alphanumeric() && !"\"'%()[]".contains(c)).to_owned()
}

const NUMBERS: &[(&str, u32)] = &[
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("six", 6),
    ("first", 1),
    ("second", 2),
    ("third", 3),
];

const UNITS: &[(&str, &str)] = &[("day", "D"), ("week", "W"), ("month", "M"), ("year", "Y")];

/// The distance from launch in words such as `1-week results` or `Post-Launch 1 month`.
pub(crate) fn checkpoint(words: &str) -> Option<String> {
    let w = words.replace("post-launch", "").replace("post launch", "");
    let mut w = w.trim_start_matches(|c: char| !c.is_alphanumeric());
    for skip in ["kpis ", "metrics ", "results after ", "results at ", "after "] {
        w = w.strip_prefix(skip).unwrap_or(w);
    }
    let tokens: Vec<&str> =
        w.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).collect();
    let number = |t: &str| {
        t.parse().ok().or_else(|| NUMBERS.iter().find(|(word, _)| *word == t).map(|(_, n)| *n))
    };
    let unit = |t: &str| {
        let single = t.strip_suffix('s').unwrap_or(t);
        UNITS.iter().find(|(word, _)| *word == single).map(|(_, letter)| *letter)
    };
    let (first, second) = (*tokens.first()?, *tokens.get(1)?);
    // `1 week`, or `week 1`.
    let (count, unit) = match (number(first), unit(second), unit(first), number(second)) {
        (Some(n), Some(u), ..) => (n, u),
        (_, _, Some(u), Some(n)) if !matches!(n, 5..) => (n, u),
        _ => return None,
    };
    match (count, unit) {
        (1..=366, "W") => Some(format!("P{}D", count * 7)),
        (1..=366, letter) => Some(format!("P{count}{letter}")),
        _ => None,
    }
}

fn severity(w: &str) -> Option<&'static str> {
    let spoken = w.contains("severity") || w.contains("sev ") || w.ends_with(" issue");
    let levels = ["critical", "high", "medium", "low"];
    levels
        .into_iter()
        .find(|level| spoken && w.split(|c: char| !c.is_alphanumeric()).any(|t| t == *level))
}

/// `stage b: ...` gives `b`; `25% of users` gives `25-percent`; `canary` itself.
fn stage(w: &str) -> Option<String> {
    if let Some(rest) = w.strip_prefix("stage ") {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        let lettered =
            name.len() == 1 || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()));
        return lettered.then(|| name.to_lowercase());
    }
    if w == "canary" || w.starts_with("canary:") || w.starts_with("canary ") {
        return Some("canary".to_owned());
    }
    let rest = w.strip_prefix("launch to ").or_else(|| w.strip_prefix("rollout to ")).unwrap_or(w);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let share = rest.get(digits.len()..).unwrap_or_default();
    (!digits.is_empty() && share.trim_start().starts_with('%')).then(|| format!("{digits}-percent"))
}

/// The number of a phase, Roman or not.
fn phase(w: &str) -> Option<u32> {
    let rest = w.strip_prefix("phase ")?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
    let roman = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];
    let at = roman.iter().position(|r| *r == name).and_then(|at| u32::try_from(at + 1).ok());
    let words = NUMBERS.iter().find(|(word, _)| *word == name).map(|(_, n)| *n);
    at.or(words).or_else(|| name.parse().ok()).filter(|n| (0..=99).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_announce_what_stands_under_them() {
        let rows: &[(&str, Role)] = &[
            ("Stage B: 25% of users", Role::Stage("b".into())),
            ("Stage A Results (5/13-5/15) - 10% of users", Role::Stage("a".into())),
            ("**Stage C: 50%**", Role::Stage("c".into())),
            ("Staged Rollout", Role::Rollout),
            ("Step 3: Production rollout", Role::Rollout),
            ("Phase II: 10-50%", Role::Phase(2)),
            ("Phase I.B: more", Role::Phase(1)),
            ("Phase 0: the team", Role::Phase(0)),
            ("Week 1 (1/20/25): 10% of visitors redirected", Role::Named("week-1".into())),
            ("Week 1", Role::Named("week-1".into())),
            ("Week 1 results", Role::Checkpoint("P7D".into())),
            ("Week 1 results: 10% of users", Role::Named("week-1".into())),
            ("Post-launch week 1", Role::Checkpoint("P7D".into())),
            ("Ring 1", Role::Named("ring-1".into())),
            ("Wave Two Results", Role::Named("wave-2".into())),
            ("Group A: 10%", Role::Named("group-a".into())),
            ("Step 1", Role::Named("step-1".into())),
            ("Group therapy", Role::Other),
            ("Go Live!", Role::GoLive),
            ("1-week results (at 100%):", Role::Checkpoint("P7D".into())),
            ("1-Month Results Post Launch", Role::Checkpoint("P1M".into())),
            ("One month check-in", Role::Checkpoint("P1M".into())),
            ("Define the Rollback process", Role::Rollback("plan")),
            ("If a high-severity issue", Role::Rollback("high")),
            ("Rollout Planning", Role::Rollout),
            ("Planning:", Role::Planning),
            ("Results/Issues:", Role::Results),
            ("Post-launch Questions", Role::Questions),
            ("Post Launch metrics", Role::PostLaunch),
            ("Feature Toggles", Role::Flags),
            ("Overview", Role::Other),
        ];
        for (heading, expected) in rows {
            assert_eq!(role(heading), *expected, "{heading:?}");
        }
    }
}
