//! Which events a question is about: one meaning on the command line and over HTTP.
//! `docs/QUERY.md` is its reference.

pub mod cursor;

use ledger::Entry;
use projector::{
    index::Order,
    views::{Filter, links, words},
};
use schemas::{Envelope, event::measurement::Severity, values::Basis};
use serde_json::{Map, Value, json};

use crate::{
    config::{EventFilter, EventOrder},
    exit::{Code, fail},
    moment,
};

/// Values of one list, and words of a text. Each costs a place in an index.
pub const VALUES_LEN_MAX: usize = 20;

/// A filter, and in which order its events are wanted from where on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub filter: Filter,
    pub order: Order,
    /// Only entries behind this seq in this order.
    pub after: Option<u64>,
}

/// Reads a question as people write it.
///
/// # Errors
/// Names the parameter and what it takes. The refused value is not repeated.
pub fn question(given: &EventFilter, place: &EventOrder) -> anyhow::Result<Question> {
    let order = match place.order.as_deref() {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(usage("order is asc or desc")),
    };
    Ok(Question { filter: parse(given)?, order, after: place.after })
}

/// Reads a filter as people write it, for answers that have an order of their own.
///
/// # Errors
/// As [`question`].
pub fn parse(given: &EventFilter) -> anyhow::Result<Filter> {
    let moment = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment::parse(name, text)).transpose()
    };
    let filter = Filter {
        rollout: id("rollout", given.rollout.as_deref())?,
        flag: id("flag", given.flag.as_deref())?,
        stage: id("stage", given.stage.as_deref())?,
        actor: filled("actor", given.actor.as_deref())?,
        types: listed("type", &given.types, type_name)?,
        source: filled("source", given.source.as_deref())?,
        bases: listed("basis", &given.basis, |word| {
            one_of("basis", Basis::ALL, Basis::as_str, word)
        })?,
        severities: listed("severity", &given.severity, |word| {
            one_of("severity", Severity::ALL, Severity::as_str, word)
        })?,
        link: filled("ticket", given.ticket.as_deref().map(links::folded).as_deref())?,
        words: said(&given.text)?,
        from_us: moment("since", &given.since)?,
        before_us: moment("until", &given.until)?,
        recorded_from_us: moment("recorded_since", &given.recorded_since)?,
        recorded_before_us: moment("recorded_until", &given.recorded_until)?,
    };
    let spans = [
        ("since", "until", filter.from_us.zip(filter.before_us)),
        (
            "recorded_since",
            "recorded_until",
            filter.recorded_from_us.zip(filter.recorded_before_us),
        ),
    ];
    for (since, until, span) in spans {
        if span.is_some_and(|(from, before)| before <= from) {
            return Err(usage(&format!("{until} must be after {since}")));
        }
    }
    Ok(filter)
}

/// A question out of a query string; what is no part of one is given to `other`, which says
/// whether it knows the name.
///
/// # Errors
/// As [`of_query`] and [`question`].
pub fn asked(
    pairs: &[(String, String)],
    mut other: impl FnMut(&str, &str) -> anyhow::Result<bool>,
) -> anyhow::Result<Question> {
    let mut place = EventOrder::default();
    let given = of_query(pairs, |name, value| {
        match name {
            "after" => place.after = Some(number("after", value)?),
            "order" => place.order = Some(value.to_owned()),
            _ => return other(name, value),
        }
        Ok(true)
    })?;
    question(&given, &place)
}

/// A filter out of a query string; what is no part of one is given to `other`, which says whether
/// it knows the name. A value of a list may hold several with commas between, and every
/// name that takes a list may stand several times.
///
/// # Errors
/// When a name is unknown, stands twice and takes no list, or a value is of the wrong kind.
pub fn of_query(
    pairs: &[(String, String)],
    mut other: impl FnMut(&str, &str) -> anyhow::Result<bool>,
) -> anyhow::Result<EventFilter> {
    let mut given = EventFilter::default();
    for (place, (name, value)) in pairs.iter().enumerate() {
        let before = pairs.get(..place).unwrap_or_default();
        let again = before.iter().any(|(earlier, _)| earlier == name);
        if let Some(list) = list_of(&mut given, name) {
            match name.as_str() {
                "text" => list.push(value.clone()),
                _ => list.extend(value.split(',').map(|part| part.trim().to_owned())),
            }
            continue;
        }
        if let Some(one) = one_named(&mut given, name) {
            *one = Some(value.clone());
        } else if !other(name, value)? {
            return Err(usage(&format!(
                "there is a parameter that this path does not have; of events it takes {}",
                PARAMETERS.join(", ")
            )));
        }
        if again {
            // Known names are ours, so one may be repeated.
            return Err(usage(&format!("{name} stands twice and takes one value")));
        }
    }
    Ok(given)
}

/// Refuses by name what asks for one page of an answer, where events go on in the order of the log.
///
/// # Errors
/// When the name is one of those. `place` names what says where it begins instead.
pub fn refuse_page(name: &str, place: &str) -> anyhow::Result<()> {
    match ["order", "limit", "cursor"].into_iter().find(|page| *page == name) {
        Some(name) => Err(usage(&format!(
            "{name} is for pages of events; here they come in the order of seq and go on, and \
             {place} says where they begin"
        ))),
        None => Ok(()),
    }
}

/// A filter as the pairs of a query string, one for each name.
pub fn pairs(given: &EventFilter) -> Vec<(&'static str, String)> {
    let mut given = given.clone();
    let mut pairs = Vec::new();
    for name in PARAMETERS {
        if let Some(list) = list_of(&mut given, name) {
            let between = if name == "text" { " " } else { "," };
            pairs.push((name, list.join(between)));
        } else if let Some(one) = one_named(&mut given, name) {
            pairs.push((name, one.take().unwrap_or_default()));
        }
    }
    pairs.retain(|(_, value)| !value.is_empty());
    pairs
}

/// The names of a filter in a query string.
pub const PARAMETERS: [&str; 14] = [
    "rollout",
    "flag",
    "stage",
    "actor",
    "type",
    "source",
    "basis",
    "ticket",
    "severity",
    "text",
    "since",
    "until",
    "recorded_since",
    "recorded_until",
];

fn list_of<'a>(given: &'a mut EventFilter, name: &str) -> Option<&'a mut Vec<String>> {
    Some(match name {
        "type" => &mut given.types,
        "basis" => &mut given.basis,
        "severity" => &mut given.severity,
        "text" => &mut given.text,
        _ => return None,
    })
}

fn one_named<'a>(given: &'a mut EventFilter, name: &str) -> Option<&'a mut Option<String>> {
    Some(match name {
        "rollout" => &mut given.rollout,
        "flag" => &mut given.flag,
        "stage" => &mut given.stage,
        "actor" => &mut given.actor,
        "source" => &mut given.source,
        "ticket" => &mut given.ticket,
        "since" => &mut given.since,
        "until" => &mut given.until,
        "recorded_since" => &mut given.recorded_since,
        "recorded_until" => &mut given.recorded_until,
        _ => return None,
    })
}

/// A whole number of a query string.
///
/// # Errors
/// Names the parameter.
pub fn number<T: std::str::FromStr>(name: &str, text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|_| usage(&format!("{name} is a whole number, such as 50")))
}

impl Question {
    /// The question as it was understood, by the names of a query string; what was not asked for is
    /// left out.
    pub fn shown(&self) -> Value {
        let filter = &self.filter;
        let mut shown = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown.insert(name.to_owned(), value);
            }
        };
        let list = |values: Vec<&str>| (!values.is_empty()).then(|| json!(values));
        let at = |us: Option<i64>| us.map(|us| json!(moment::shown(us)));
        set("rollout", filter.rollout.as_ref().map(|id| json!(id.as_str())));
        set("flag", filter.flag.as_ref().map(|key| json!(key.as_str())));
        set("stage", filter.stage.as_ref().map(|key| json!(key.as_str())));
        set("actor", filter.actor.as_ref().map(|id| json!(id)));
        set("type", list(filter.types.iter().map(String::as_str).collect()));
        set("source", filter.source.as_ref().map(|source| json!(source)));
        set("basis", list(filter.bases.iter().map(|basis| basis.as_str()).collect()));
        set("ticket", filter.link.as_ref().map(|link| json!(link)));
        set("severity", list(filter.severities.iter().map(|s| s.as_str()).collect()));
        set("text", list(filter.words.iter().map(String::as_str).collect()));
        set("since", at(filter.from_us));
        set("until", at(filter.before_us));
        set("recorded_since", at(filter.recorded_from_us));
        set("recorded_until", at(filter.recorded_before_us));
        set("after", self.after.map(Value::from));
        set("order", (self.order == Order::Descending).then(|| json!("desc")));
        Value::Object(shown)
    }
}

fn usage(what: &str) -> anyhow::Error {
    fail(Code::Usage, what)
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> anyhow::Result<Option<T>> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|e: T::Err| usage(&format!("{name} {e}")))
}

fn filled(name: &str, text: Option<&str>) -> anyhow::Result<Option<String>> {
    if text.is_some_and(str::is_empty) {
        return Err(usage(&format!("{name} is empty; leave it out to mean any")));
    }
    Ok(text.map(str::to_owned))
}

fn listed<T: PartialEq>(
    name: &str,
    values: &[String],
    read: impl Fn(&str) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let mut list = Vec::new();
    for value in values {
        let value = read(value.trim())?;
        if !list.contains(&value) {
            list.push(value);
        }
    }
    if list.len() > VALUES_LEN_MAX {
        return Err(usage(&format!("{name} takes at most {VALUES_LEN_MAX} values")));
    }
    Ok(list)
}

fn one_of<T: Copy>(
    name: &str,
    all: &[T],
    text: impl Fn(T) -> &'static str,
    word: &str,
) -> anyhow::Result<T> {
    all.iter().copied().find(|value| text(*value) == word).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|value| text(*value)).collect();
        usage(&format!("{name} is one or several of {}", words.join(", ")))
    })
}

/// A type or its beginning in full: `stage` is short for `rollout.stage`.
fn type_name(wanted: &str) -> anyhow::Result<String> {
    let odd = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_'));
    if wanted.is_empty() || wanted.contains(odd) {
        let what = "type is an event type or its beginning, such as rollout.stage.started.v1, \
                    rollout.stage or stage";
        return Err(usage(what));
    }
    let full = wanted == "rollout" || wanted.starts_with("rollout.");
    Ok(if full { wanted.to_owned() } else { format!("rollout.{wanted}") })
}

/// The words of a search, each once. One that is never found would be left out in silence, and the
/// answer hold what was not asked for: it is refused.
fn said(texts: &[String]) -> anyhow::Result<Vec<String>> {
    let mut found = std::collections::BTreeSet::new();
    for text in texts {
        let mut any = false;
        words::words_of(text, |word| {
            any = true;
            found.insert(word.to_owned());
        });
        let runs = text.split(|c: char| !c.is_alphanumeric());
        let longest = runs.map(|run| run.chars().count()).max().unwrap_or(0);
        if !any || longest > words::WORD_LEN_MAX {
            let most = words::WORD_LEN_MAX;
            let what =
                format!("text is words of letters and digits, at most {most} characters each");
            return Err(usage(&what));
        }
    }
    if found.len() > VALUES_LEN_MAX {
        return Err(usage(&format!("text takes at most {VALUES_LEN_MAX} words")));
    }
    Ok(found.into_iter().collect())
}

/// What [`cells`] holds.
pub const COLUMNS: [&str; 9] =
    ["seq", "time", "recorded_at", "rollout", "type", "actor", "basis", "authid", "hash"];
/// One row of a list: who is said to have acted beside who was seen submitting.
pub fn cells(entry: &Entry) -> Vec<String> {
    let seq = entry.seq().to_string();
    let none = || "-".to_owned();
    let Some(envelope) = entry.payload().and_then(|p| Envelope::read(p).ok()) else {
        let erased = "(erased)".to_owned();
        let recorded = moment::shown_us(entry.recorded_at_us());
        let hash = entry.hash().to_string();
        return vec![seq, none(), recorded, none(), erased, none(), none(), none(), hash];
    };
    let data: Value = serde_json::from_str(envelope.data.get()).unwrap_or_default();
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let actor = match text("/actor/kind") {
        "unknown" => format!("unknown ({})", text("/actor/reason_unknown")),
        _ => text("/actor/id").to_owned(),
    };
    let subject = envelope.subject.map_or_else(none, |s| s.to_string());
    let time = envelope.time.map_or_else(none, |t| moment::shown(t.micros()));
    vec![
        seq,
        time,
        moment::shown_us(entry.recorded_at_us()),
        subject,
        envelope.type_name.into_owned(),
        actor,
        text("/basis").to_owned(),
        envelope.authid.unwrap_or_else(none),
        entry.hash().to_string(),
    ]
}

#[cfg(test)]
mod tests;
