//! The sign-offs that a plan promises, as far as its words name them, and what became of each.
//!
//! A plan promises a sign-off in a line such as `signed off by the privacy officer`, `approval from
//! ...`, or under a label such as `Sign-offs:`. What *can* or *may* be approved by somebody is no
//! promise, nor is the template's guidance. A tick beside such a line says that it is done and not
//! who signed, so it is told apart from a sign-off.

use schemas::{
    event::decision::ItemState,
    values::{FieldKind, Party, PlanField},
};
use serde::Serialize;

use crate::{
    recorded::Moment,
    rollout::{Revision, Rollout},
};

/// Longest text of a promise that an answer repeats, in characters; the plan has the whole.
const TEXT_LEN_MAX: usize = 300;

/// One sign-off that a plan promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// Whose, in the words of the plan; null when the plan leaves a blank for it.
    pub by: Option<String>,
    /// Whether these words name one party. `each discipline` does not.
    pub names_one: bool,
    /// The words of the plan.
    pub text: String,
    /// The field of the plan.
    pub path: String,
    /// Its line in the file, from 1.
    pub line: u64,
    /// The revision of the plan.
    pub revision: u64,
    /// The event that recorded it.
    pub seq: u64,
}

/// What became of a promised sign-off by some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// The party signed off, in this decision.
    Given { seq: u64 },
    /// The party said no, in this decision.
    Refused { seq: u64 },
    /// The plan's box is ticked; who signed is not recorded.
    TickedOnly { seq: u64 },
    /// No sign-off of that party is recorded.
    Absent,
    /// Why it cannot be told.
    CannotBeTold { why: String },
}

/// What one party said at a gate, as far as its words can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Given,
    Refused,
    /// A yes under a condition: `go once the script is published`.
    Conditional,
    /// Words that are neither a yes nor a no.
    Unclear,
}

impl Said {
    pub fn of(verdict: &str) -> Said {
        let words = words(verdict);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["no" | "not" | "nogo" | "refused" | "rejected" | "declined" | "denied", ..] => {
                Said::Refused
            }
            ["go" | "yes" | "ok" | "approved" | "agreed" | "conditional", rest @ ..]
                if words.first() == Some(&"conditional")
                    || rest.iter().any(|w| {
                        matches!(
                            *w,
                            "once" | "if" | "when" | "provided" | "unless" | "after" | "until"
                        )
                    }) =>
            {
                Said::Conditional
            }
            ["go" | "yes" | "ok" | "approved" | "approve" | "agreed" | "signed" | "given", ..] => {
                Said::Given
            }
            _ => Said::Unclear,
        }
    }
}

/// Everything that a revision promises, in the order of its lines.
pub fn promises(revision: &Revision) -> Vec<Promise> {
    let fields = revision.fields.iter().filter(|f| f.kind != FieldKind::Guidance);
    fields.flat_map(|field| of_field(revision, field)).collect()
}

fn of_field(revision: &Revision, field: &PlanField) -> Vec<Promise> {
    let promise = |by: Option<String>, text: &str| Promise {
        names_one: by.as_deref().is_some_and(names_one),
        by,
        text: text.trim().chars().take(TEXT_LEN_MAX).collect(),
        path: field.path.clone(),
        line: field.line,
        revision: revision.number,
        seq: revision.from.seq,
    };
    let label = field.label.as_deref().unwrap_or_default();
    if is_label(label) && !field.path.starts_with("checklist/") {
        let raw = field.raw.lines().next().unwrap_or_default();
        let text = format!("{label}: {raw}");
        if field.kind == FieldKind::Blank {
            return vec![promise(None, &text)];
        }
        return parties(raw).into_iter().map(|by| promise(Some(by), &text)).collect();
    }
    let lines = label.lines().chain(field.raw.lines());
    lines
        .flat_map(|line| named_in(line).into_iter().map(move |by| (by, line)))
        .map(|(by, line)| promise(Some(by), line))
        .collect()
}

/// A label that asks who signs: `Sign-offs`, `Approved by`, `Approvers`.
fn is_label(label: &str) -> bool {
    let words = words(label);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["required", rest @ ..] => {
            matches!(rest, ["sign", "off" | "offs"] | ["approvers" | "approvals" | "signoffs"])
        }
        ["sign", "off" | "offs", rest @ ..] | ["signoff" | "signoffs", rest @ ..] => {
            matches!(rest, [] | ["by" | "from" | "required"])
        }
        ["approver" | "approvers"]
        | ["signed", "off", "by"]
        | ["approved" | "approval" | "approvals", "by"]
        | ["approval" | "approvals", "from"] => true,
        _ => false,
    }
}

/// The parties behind `signed off by`, `sign-off from`, `approved by` and the like in a line.
fn named_in(line: &str) -> Vec<String> {
    const LEADS: [&str; 10] = [
        "signed off by ",
        "sign off by ",
        "sign off from ",
        "sign offs by ",
        "sign offs from ",
        "signoff by ",
        "signoff from ",
        "approved by ",
        "approval from ",
        "approval by ",
    ];
    // Of the same length in bytes as the line, so that places in one are places in the other.
    let lower: String = line
        .chars()
        .map(|c| if c.is_ascii() { c.to_ascii_lowercase() } else { c })
        .map(|c| if c == '-' { ' ' } else { c })
        .collect();
    let mut found = Vec::new();
    for lead in LEADS {
        for (at, _) in lower.match_indices(lead) {
            let before = lower.get(..at).unwrap_or_default();
            let whole_word = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            if whole_word && !only_possible(before) {
                found.extend(parties(line.get(at + lead.len()..).unwrap_or_default()));
            }
        }
    }
    found
}

/// Whether what follows is only possible: `can be`, `may be`.
fn only_possible(before: &str) -> bool {
    let words = words(before);
    let last = words.iter().rev().take(3).map(String::as_str);
    last.into_iter().any(|w| matches!(w, "can" | "may" | "could" | "might" | "not" | "if"))
}

/// The parties at the beginning of a text, up to where the sentence goes on about something else.
fn parties(text: &str) -> Vec<String> {
    let end = text.find(['.', ';', '(', ')', '[', '|', '\n', ':']).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let mut all: Vec<Vec<&str>> = vec![vec![]];
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = bare.to_lowercase();
        let goes_on = [
            "before", "during", "prior", "after", "once", "when", "in", "on", "at", "via", "so",
            "for", "to", "as", "that", "who", "which", "is", "are", "will", "with",
        ];
        if goes_on.contains(&lower.as_str()) {
            break;
        }
        if lower == "and" || bare.is_empty() {
            all.push(vec![]);
            continue;
        }
        if let Some(last) = all.last_mut() {
            last.push(bare);
        }
        if word.ends_with(',') {
            all.push(vec![]);
        }
    }
    let joined = all.into_iter().map(|words| words.join(" "));
    joined.filter(|party| !party.is_empty()).collect()
}

/// Whether words name one party rather than many or a meeting.
fn names_one(by: &str) -> bool {
    const MANY: [&str; 14] = [
        "each",
        "every",
        "all",
        "both",
        "any",
        "everyone",
        "stakeholders",
        "leads",
        "someone",
        "somebody",
        "call",
        "meeting",
        "others",
        "disciplines",
    ];
    let words = words(by);
    !words.is_empty() && !words.iter().any(|w| MANY.contains(&w.as_str()))
}

/// What became of a promise by a moment (and seq): by everything that was said by then.
pub fn standing(rollout: &Rollout, promise: &Promise, by: (Moment, u64)) -> Standing {
    let Some(party) = promise.by.as_deref() else {
        let why = "the plan leaves a blank where it asks who signs off";
        return Standing::CannotBeTold { why: why.to_owned() };
    };
    let gates = rollout.decisions.gates.iter().filter(|d| d.fact.from.order_key() <= by);
    let (mut strangers, mut newest) = (false, None);
    for decision in gates {
        let decided = &decision.fact.value;
        for sign_off in &decided.sign_offs {
            if !is_party(party, &sign_off.party) {
                strangers = true;
                continue;
            }
            let seq = decision.fact.seq();
            newest = Some(match Said::of(&sign_off.verdict) {
                Said::Given => Standing::Given { seq },
                Said::Refused => Standing::Refused { seq },
                Said::Conditional => Standing::CannotBeTold {
                    why: format!("in event {seq} the party said yes under a condition"),
                },
                Said::Unclear => Standing::CannotBeTold {
                    why: format!("in event {seq} the party said neither yes nor no"),
                },
            });
        }
    }
    if let Some(standing) = newest {
        return standing;
    }
    let item = promise.path.starts_with("checklist/");
    let item = item.then(|| rollout.decisions.item(&item_words(rollout, promise))).flatten();
    let ticked = item.filter(|i| i.value.state == ItemState::Done && i.from.order_key() <= by);
    match ticked {
        Some(ticked) => Standing::TickedOnly { seq: ticked.seq() },
        None if !promise.names_one => {
            let why =
                format!("\"{party}\" names no single party whose sign-off could be looked for");
            Standing::CannotBeTold { why }
        }
        None if strangers => {
            let why = "parties that the plan calls otherwise signed off; it may be one of them";
            Standing::CannotBeTold { why: why.to_owned() }
        }
        None => Standing::Absent,
    }
}

/// The checklist item that a promise stands in, in the words of the plan.
fn item_words(rollout: &Rollout, promise: &Promise) -> String {
    let revision = rollout.plan.revisions.iter().find(|r| r.number == promise.revision);
    let field = revision.and_then(|r| r.fields.iter().find(|f| f.path == promise.path));
    field.and_then(|f| f.label.clone()).unwrap_or_default()
}

/// Whether a party is the one that the plan speaks of: by its role or its own words.
fn is_party(promised: &str, party: &Party) -> bool {
    let promised = words(promised);
    [&party.role, &party.raw].into_iter().flatten().any(|said| words(said) == promised)
}

/// Lower-case words without articles.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let words = words.map(str::to_lowercase);
    words.filter(|w| !matches!(w.as_str(), "the" | "a" | "an" | "your" | "our")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_line_promises_is_a_promise() {
        let rows: [(&str, &[&str]); 9] = [
            ("Every text is approved by the content team", &["the content team"]),
            (
                "Signed off by the privacy officer, and by nobody else",
                &["the privacy officer", "by nobody else"],
            ),
            (
                "ready for use and signed off by each discipline and your ABC/XYZ contact. During",
                &["each discipline", "your ABC/XYZ contact"],
            ),
            ("Sign-off from legal before launch", &["legal"]),
            ("Other exceptions can be approved by the leads", &[]),
            ("It may only be approved by the leads", &[]),
            ("Get approval from: the owner", &[]),
            ("It was preapproved by nobody", &[]),
            (
                "Approval by engineering manager and product owner (link)",
                &["engineering manager", "product owner"],
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(named_in(line), expected, "{line}");
        }
        assert!(names_one("the content team") && !names_one("each discipline"));
        assert!(is_label("Sign-offs") && is_label("Approved by") && !is_label("Sign in"));
    }

    #[test]
    fn a_sign_off_is_a_yes_a_no_or_unclear() {
        let rows = [
            ("go", Said::Given),
            ("Approved, with thanks", Said::Given),
            ("no_go", Said::Refused),
            ("not yet", Said::Refused),
            ("go once the script is published", Said::Conditional),
            ("let me think", Said::Unclear),
            ("", Said::Unclear),
        ];
        for (words, expected) in rows {
            assert_eq!(Said::of(words), expected, "{words}");
        }
    }
}
