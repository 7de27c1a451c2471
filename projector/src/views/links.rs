//! The tickets and links that an event names, and how one is looked for.
//!
//! A ticket is written in many ways: `#1234`, `va/site#1234`, `https://tracker.example/issues/1234`.
//! An event is found by the whole of what it says and by the short name in it, so `1234` and
//! `#1234` find all three, and the URL finds the URL alone.

use schemas::{Event, values::AnyObject};
use serde_json::Value;

/// How many tickets and links of an event can be looked for. The rest is not found.
pub const LINKS_LEN_MAX: usize = 64;

/// Members of a correction's replacement that name a ticket or a link.
const LINK_MEMBERS: [&str; 4] = ["bug", "incident", "link", "ticket"];

/// A ticket or link as it is compared: in lower case, without blanks around it, `#` before it and
/// `/` behind it.
pub fn folded(link: &str) -> String {
    let link = link.trim().trim_start_matches('#').trim_end_matches('/');
    link.to_lowercase()
}

/// The ticket within a folded link: of a URL the last part of its path, else what stands behind
/// the last `#`.
fn short(folded: &str) -> Option<&str> {
    let name = if let Some((_, place)) = folded.split_once("://") {
        let path = place.split(['?', '#']).next()?;
        path.split_once('/')?.1.rsplit('/').find(|part| !part.is_empty())?
    } else {
        folded.rsplit_once('#')?.1.trim()
    };
    Some(name).filter(|name| !name.is_empty())
}

/// Calls `each` with every name that an event's tickets and links go by.
pub fn each_name(event: &Event, mut each: impl FnMut(&str)) {
    let mut left = LINKS_LEN_MAX;
    each_link(event, |link| {
        if left == 0 {
            return;
        }
        left -= 1;
        let whole = folded(link);
        if whole.is_empty() {
            return;
        }
        each(&whole);
        if let Some(short) = short(&whole) {
            each(short);
        }
    });
}

/// Whether an event names this ticket or link, given as [`folded`] writes it.
pub(super) fn names(event: &Event, wanted: &str) -> bool {
    let mut found = false;
    each_name(event, |name| found |= name == wanted);
    found
}

/// Calls `each` with the tickets, bugs, incidents, links and URLs of evidence of an event.
fn each_link(event: &Event, mut each: impl FnMut(&str)) {
    let (one, two) = match event {
        Event::NoteAdded(e) => (e.link.as_ref(), None),
        Event::RollbackStepCompleted(e) => (e.link.as_ref(), None),
        Event::AlertRaised(e) => (e.incident.as_ref(), e.link.as_ref()),
        Event::AlertCleared(e) => (e.incident.as_ref(), e.link.as_ref()),
        Event::BugFound(e) => (Some(&e.bug), e.link.as_ref()),
        Event::BugDeferred(e) => (Some(&e.bug), e.link.as_ref()),
        Event::BugFixed(e) => (Some(&e.bug), e.link.as_ref()),
        Event::BugVerified(e) => (Some(&e.bug), e.link.as_ref()),
        Event::BugDisputed(e) => (Some(&e.bug), e.link.as_ref()),
        Event::CleanupPlanned(e) => (e.ticket.as_ref(), None),
        Event::CleanupDue(e) => (e.ticket.as_ref(), None),
        Event::CleanupDone(e) => (e.ticket.as_ref(), None),
        _ => (None, None),
    };
    one.into_iter().chain(two).for_each(|link| each(link));
    if let Event::EventCorrected(e) = event {
        of_replacement(&e.replacement, &mut each);
    }
    event.common().evidence.iter().filter_map(|e| e.url.as_deref()).for_each(each);
}

fn of_replacement(replacement: &AnyObject, each: impl FnMut(&str)) {
    let values = LINK_MEMBERS.iter().filter_map(|name| replacement.0.get(*name));
    values.filter_map(Value::as_str).for_each(each);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_goes_by_the_whole_and_by_its_short_name() {
        let rows = [
            ("#1234", "1234", None),
            (" B-12 ", "b-12", None),
            ("va/site#1234", "va/site#1234", Some("1234")),
            (
                "https://tracker.example/org/site/issues/1234",
                "https://tracker.example/org/site/issues/1234",
                Some("1234"),
            ),
            (
                "https://tracker.example/browse/OPS-9/?focus=1#c-7",
                "https://tracker.example/browse/ops-9/?focus=1#c-7",
                Some("ops-9"),
            ),
            ("https://tracker.example/", "https://tracker.example", None),
            ("#", "", None),
        ];
        for (given, whole, name) in rows {
            let folded = folded(given);
            assert_eq!((&*folded, short(&folded)), (whole, name), "{given}");
        }
    }
}
