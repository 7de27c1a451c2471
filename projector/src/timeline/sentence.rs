//! One plain sentence for every type of event.

use schemas::{
    Event,
    values::{Exposure, Party, Quantity, Target},
};

use super::{flags_and_plan, outcomes, stages};
use crate::{rollout::exposure, timeline::actor};

/// What an event says, in one sentence on one line.
pub fn sentence(event: &Event) -> String {
    let said = stages::sentence(event)
        .or_else(|| outcomes::sentence(event))
        .or_else(|| flags_and_plan::sentence(event));
    // Every type has its sentence, which a test proves; a new one shows its name until then.
    let said = said.unwrap_or_else(|| format!("{}.", event.type_name()));
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `: ` and the words, then a full stop; the full stop alone without words.
pub(super) fn because(words: Option<&String>) -> String {
    match words.map(|w| w.trim().trim_end_matches('.')).filter(|w| !w.is_empty()) {
        Some(words) => format!(": {words}."),
        None => ".".to_owned(),
    }
}

/// ` with 5 %`, or nothing when the event does not say.
pub(super) fn with(exposures: &[Exposure]) -> String {
    if exposures.is_empty() {
        return String::new();
    }
    format!(" with {}", exposure::words(exposures))
}

pub(super) fn attempt(number: Option<u64>) -> String {
    number.map_or_else(String::new, |n| format!(" (attempt {n})"))
}

pub(super) fn parties(parties: &[Party]) -> String {
    parties.iter().map(party).collect::<Vec<_>>().join(", ")
}

/// A party by its role, its account or its words.
pub(crate) fn party(party: &Party) -> String {
    let who = party.actor.as_ref().map(actor);
    match (&party.role, who, &party.raw) {
        (Some(role), Some(who), _) => format!("{role} {who}"),
        (Some(role), None, _) => role.clone(),
        (None, Some(who), _) => who,
        (None, None, Some(raw)) => raw.clone(),
        (None, None, None) => "someone".to_owned(),
    }
}

pub(super) fn quantity(quantity: &Quantity) -> &str {
    quantity.raw.trim()
}

pub(super) fn target(target: &Target) -> String {
    format!("event {}", target.seq)
}

/// `a, b and c`, for what stands in a sentence.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
