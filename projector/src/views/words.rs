//! The words that an event says: what a search for text finds.
//!
//! Only what somebody wrote to be read counts: notes, reasons, titles, descriptions, answers. Ids,
//! keys, names of metrics and monitors, codes, URLs, values of gates and the text of a plan's file
//! do not; other conditions find those.

use schemas::{
    Event,
    values::{Answer, AnyObject, Results},
};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

/// Longest word in characters. What is longer is a digest or a token, and no word.
pub const WORD_LEN_MAX: usize = 48;

/// How many words of an event are looked at, repeated ones included. The rest is not found.
pub const WORDS_LEN_MAX: usize = 1_024;

/// The members of a correction's replacement that hold words.
const TEXT_MEMBERS: [&str; 21] = [
    "note",
    "reason",
    "text",
    "title",
    "description",
    "detail",
    "gist",
    "question",
    "answer",
    "why",
    "why_not_staged",
    "condition",
    "conditions",
    "blockers",
    "exit_criteria",
    "item",
    "raw",
    "resolution",
    "root_cause",
    "trigger",
    "until",
];

/// Calls `each` with every word of a text: a run of letters and digits, in lower case, of
/// compatible characters the plain ones (Unicode NFKC). Longer ones than [`WORD_LEN_MAX`] are none.
pub fn words_of(text: &str, mut each: impl FnMut(&str)) {
    if text.is_ascii() {
        let mut lower = String::new();
        // By bytes: of a long text it takes half as long as by characters.
        for word in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
            if word.is_empty() || word.len() > WORD_LEN_MAX {
                continue;
            }
            let Ok(word) = std::str::from_utf8(word) else { continue };
            if word.bytes().any(|b| b.is_ascii_uppercase()) {
                lower.clear();
                lower.push_str(word);
                lower.make_ascii_lowercase();
                each(&lower);
            } else {
                each(word);
            }
        }
        return;
    }
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words = folded.split(|c: char| !c.is_alphanumeric());
    words.filter(|w| !w.is_empty() && w.chars().count() <= WORD_LEN_MAX).for_each(each);
}

/// Calls `each` with the words of an event, up to [`WORDS_LEN_MAX`].
pub fn each_word(event: &Event, mut each: impl FnMut(&str)) {
    let mut left = WORDS_LEN_MAX;
    each_text(event, |text| {
        if left > 0 {
            words_of(text, |word| {
                if left > 0 {
                    left -= 1;
                    each(word);
                }
            });
        }
    });
}

/// Whether an event says all these words, given as [`words_of`] writes them.
pub(super) fn says(event: &Event, wanted: &[String]) -> bool {
    let mut missing: Vec<&str> = wanted.iter().map(String::as_str).collect();
    each_word(event, |word| missing.retain(|wanted| *wanted != word));
    missing.is_empty()
}

/// Calls `each` with every text of an event that somebody wrote to be read, its note first.
pub fn each_text(event: &Event, mut each: impl FnMut(&str)) {
    if let Some(note) = event.common().note {
        each(note);
    }
    match event {
        Event::GateDecided(_)
        | Event::GateConditionResolved(_)
        | Event::ChecklistItemSet(_)
        | Event::CriterionSet(_)
        | Event::CriterionEvaluated(_) => of_decision(event, each),
        Event::StagePlanned(e) => e.exit_criteria.iter().for_each(|text| each(text)),
        Event::StageReplanned(e) => {
            e.reason.iter().chain(&e.exit_criteria).for_each(|text| each(text));
        }
        Event::StageResultsRecorded(e) => of_results(&e.results, each),
        Event::CheckpointRecorded(e) => of_results(&e.results, each),
        Event::RollbackPlanned(e) => {
            e.trigger.iter().for_each(|text| each(text));
            for step in &e.steps {
                each(&step.text);
                step.substeps.iter().for_each(|text| each(text));
            }
        }
        Event::ReleaseDefined(e) => {
            each(&e.title);
            e.why_not_staged.iter().for_each(|text| each(text));
        }
        Event::EventCorrected(e) => {
            each(&e.reason);
            of_replacement(&e.replacement, each);
        }
        _ => texts(event).into_iter().flatten().for_each(each),
    }
}

/// The few texts of an event that has no lists of them.
fn texts(event: &Event) -> [Option<&str>; 4] {
    let (a, b, c, d) = match event {
        Event::NoteAdded(e) => (Some(&e.text), None, None, None),
        Event::FeedbackNoted(e) => (Some(&e.gist), None, None, None),
        Event::QuestionAnswered(e) => (Some(&e.question), Some(&e.answer), None, None),
        Event::EventWithdrawn(e) => (Some(&e.reason), None, None, None),
        Event::EventRedacted(e) => (Some(&e.reason), None, None, None),
        Event::FlagRegistered(e) => (e.description.as_ref(), None, None, None),
        Event::SourceImported(e) => (e.filter.as_ref(), None, None, None),
        Event::MetricDefined(e) => (e.description.as_ref(), None, None, None),
        Event::MetricRedefined(e) => (Some(&e.reason), e.description.as_ref(), None, None),
        Event::AlertRaised(e) => (e.title.as_ref(), None, None, None),
        Event::DownstreamAffected(e) => (e.detail.as_ref(), None, None, None),
        Event::BugFound(e) => (Some(&e.title), e.root_cause.as_ref(), e.resolution.as_ref(), None),
        Event::BugDeferred(e) => (e.reason.as_ref(), e.until.as_ref(), None, None),
        Event::BugFixed(e) => (e.root_cause.as_ref(), e.resolution.as_ref(), None, None),
        Event::BugVerified(e) => (e.detail.as_ref(), None, None, None),
        Event::RollbackStepCompleted(e) => (e.text.as_ref(), None, None, None),
        Event::CleanupPlanned(e) => (e.raw.as_ref(), None, None, None),
        Event::LedgerSettingsChanged(e) => (Some(&e.reason), None, None, None),
        Event::LedgerClockStepped(e) => (Some(&e.reason), None, None, None),
        other => (reason(other), None, None, None),
    };
    [a, b, c, d].map(|text| text.map(String::as_str))
}

/// The reason of an event that has no other words.
fn reason(event: &Event) -> Option<&String> {
    match event {
        Event::FlagRetired(e) => e.reason.as_ref(),
        Event::FlagChanged(e) => e.reason.as_ref(),
        Event::StageStarted(e) => e.reason.as_ref(),
        Event::StageHeld(e) => e.reason.as_ref(),
        Event::StageResumed(e) => e.reason.as_ref(),
        Event::StageRetargeted(e) => e.reason.as_ref(),
        Event::StageCompleted(e) => e.reason.as_ref(),
        Event::StageSkipped(e) => e.reason.as_ref(),
        Event::StageCancelled(e) => e.reason.as_ref(),
        Event::BugDisputed(e) => e.reason.as_ref(),
        Event::RollbackStarted(e) => e.reason.as_ref(),
        Event::RollbackCompleted(e) => e.reason.as_ref(),
        Event::RolloutResumed(e) => e.reason.as_ref(),
        Event::RolloutLaunched(e) => e.reason.as_ref(),
        Event::OwnershipTransferred(e) => e.reason.as_ref(),
        Event::LedgerMoved(e) => e.reason.as_ref(),
        Event::TokenRevoked(e) => e.reason.as_ref(),
        _ => None,
    }
}

fn of_decision(event: &Event, mut each: impl FnMut(&str)) {
    match event {
        Event::GateDecided(e) => {
            e.blockers.iter().chain(&e.conditions).chain(&e.raw).for_each(|text| each(text));
            e.sign_offs.iter().for_each(|sign_off| each(&sign_off.verdict));
        }
        Event::GateConditionResolved(e) => each(&e.condition),
        Event::ChecklistItemSet(e) => each(&e.item),
        Event::CriterionSet(e) => each(&e.text),
        Event::CriterionEvaluated(e) => e.why.iter().for_each(|text| each(text)),
        _ => {}
    }
}

fn of_results(results: &Results, mut each: impl FnMut(&str)) {
    let answers = [&results.downstream, &results.processing, &results.changes_needed];
    for Answer { raw, detail, .. } in answers.into_iter().flatten() {
        each(raw);
        if let Some(detail) = detail {
            each(detail);
        }
    }
    results.error_types.iter().for_each(|text| each(text));
    results.other.iter().for_each(|text| each(&text.raw));
}

/// A correction is found by the words that it puts in the place of others.
fn of_replacement(replacement: &AnyObject, mut each: impl FnMut(&str)) {
    for value in TEXT_MEMBERS.iter().filter_map(|name| replacement.0.get(*name)) {
        match value {
            Value::String(text) => each(text),
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).for_each(&mut each),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = vec![];
        words_of(text, |word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn a_text_falls_into_words() {
        let long = "x".repeat(WORD_LEN_MAX + 1);
        let rows: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("...", &[]),
            ("Build 1841 is in production.", &["build", "1841", "is", "in", "production"]),
            ("don't re-enable E-17", &["don", "t", "re", "enable", "e", "17"]),
            ("GRÖSSE größe Größe", &["grösse", "größe", "größe"]),
            // A decomposed letter, full-width ones, a ligature.
            ("e\u{301}te\u{301} \u{ff35}\u{ff30} \u{fb01}ne", &["été", "up", "fine"]),
            ("данные 字 ok", &["данные", "字", "ok"]),
            (&long, &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(words(&long[1..]), [&long[1..]]);
        // What is looked for falls apart as what is found.
        assert_eq!(
            words(&words("\u{130}stanbul Straße").join(" ")),
            words("\u{130}stanbul Straße")
        );
    }

    #[test]
    fn only_so_many_words_of_an_event_are_looked_at() {
        let text = |last: &str| ["word ".repeat(WORDS_LEN_MAX - 1), last.to_owned()].concat();
        for (text, found) in [(text("tail"), true), (text("one tail"), false)] {
            let data = serde_json::json!({ "text": text, "basis": "reported" }).to_string();
            let raw = serde_json::value::RawValue::from_string(data).unwrap();
            let event = Event::decode("rollout.note.added.v1", &raw).unwrap();
            assert_eq!(says(&event, &["tail".to_owned(), "word".to_owned()]), found);
        }
    }
}
