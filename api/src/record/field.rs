//! The members of an event as command-line flags, read off its JSON Schema.
//!
//! The schema is made from the Rust type, so a new member is a new flag with its help text, and
//! nothing is listed twice.

use clap::{Arg, ArgAction};
use serde_json::Value as Json;

/// How the text of one flag becomes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, checked by the schema when the event is made.
    Text,
    /// One of these words.
    Words(Vec<String>),
    Integer,
    Boolean,
    /// A value of `schemas::values`, by its name there, read from the words people write.
    Value(&'static str),
    /// Anything else, given as JSON.
    Json,
}

/// One member of an event.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name in the event.
    pub(crate) name: String,
    /// Its flag: the name with dashes; the singular of a list that is given one by one.
    pub(crate) flag: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) list: bool,
    pub(crate) required: bool,
    /// Whether it is a member of `results`.
    pub(crate) in_results: bool,
}

/// Values with a reader of their own.
const READABLE: [&str; 13] = [
    "Quantity",
    "Exposure",
    "Duration",
    "Window",
    "Answer",
    "Party",
    "SignOff",
    "Evidence",
    "Target",
    "MetricValue",
    "CategoryCount",
    "LabelledText",
    "PlannedStep",
];

/// Members that every event has and that have flags of their own.
const COMMON: [&str; 6] = ["basis", "actor", "occurrence", "evidence", "plan", "note"];

/// The members of the data that a schema describes, without the common ones.
pub(crate) fn fields(schema: &Json) -> Vec<Field> {
    let mut out = Vec::new();
    collect(schema, schema, false, &mut out);
    out
}

fn collect(root: &Json, record: &Json, in_results: bool, out: &mut Vec<Field>) {
    let required: Vec<&str> = texts(record.get("required")).collect();
    let Some(members) = record.get("properties").and_then(Json::as_object) else { return };
    for (name, member) in members {
        if !in_results && COMMON.contains(&name.as_str()) {
            continue;
        }
        let (def, resolved) = resolve(root, member);
        if def == Some("Results") {
            collect(root, resolved, true, out);
            continue;
        }
        let list = resolved.get("type").is_some_and(|t| t == "array");
        let (def, item) = match resolved.get("items").filter(|_| list) {
            Some(items) => resolve(root, items),
            None => (def, resolved),
        };
        let help = member.get("description").or_else(|| item.get("description"));
        out.push(Field {
            flag: flag(name, list),
            help: help.and_then(Json::as_str).unwrap_or_default().replace('\n', " "),
            kind: kind(def, item),
            list,
            required: !in_results && required.contains(&name.as_str()),
            in_results,
            name: name.clone(),
        });
    }
}

/// Follows one `$ref`; the name of what it led to.
fn resolve<'a>(root: &'a Json, schema: &'a Json) -> (Option<&'a str>, &'a Json) {
    let name = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    match name.and_then(|name| root.get("$defs").and_then(|defs| defs.get(name))) {
        Some(found) => (name, found),
        None => (None, schema),
    }
}

fn kind(def: Option<&str>, schema: &Json) -> Kind {
    if let Some(known) = READABLE.iter().find(|known| Some(**known) == def) {
        return Kind::Value(known);
    }
    let words: Vec<String> = texts(schema.get("enum")).map(str::to_owned).collect();
    if !words.is_empty() {
        return Kind::Words(words);
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        _ => Kind::Json,
    }
}

fn texts(list: Option<&Json>) -> impl Iterator<Item = &str> {
    list.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// A list is given one by one, so its flag is singular: `--metric`, `--condition`.
fn flag(name: &str, list: bool) -> String {
    let dashed = name.replace('_', "-");
    let singular = match dashed.as_str() {
        "considered" | "triggered-by" | "decided-by" => None,
        "exit-criteria" => Some("exit-criterion"),
        "categories" => Some("category"),
        other => other.strip_suffix('s'),
    };
    match singular {
        Some(singular) if list => singular.to_owned(),
        _ => dashed,
    }
}

impl Field {
    /// The flag as clap knows it. What is required is checked with a better message later.
    pub(crate) fn arg(&self) -> Arg {
        let mut arg = Arg::new(self.id()).long(self.flag.clone()).help(self.help());
        arg = match &self.kind {
            Kind::Words(words) => arg.value_parser(words.clone()).value_name("WORD"),
            Kind::Integer => arg.value_parser(clap::value_parser!(u64)).value_name("N"),
            Kind::Boolean => arg
                .value_parser(clap::value_parser!(bool))
                .value_name("BOOL")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            Kind::Value(name) => arg.value_name(form(name)),
            Kind::Text => arg.value_name("TEXT"),
            Kind::Json => arg.value_name("JSON"),
        };
        let arg = arg.allow_hyphen_values(true);
        if self.list { arg.action(ArgAction::Append) } else { arg.action(ArgAction::Set) }
    }

    /// clap's id of the flag; apart from those of the common flags.
    pub(crate) fn id(&self) -> String {
        format!("field:{}", self.name)
    }

    fn help(&self) -> String {
        let mut help = self.help.trim_end_matches('.').to_owned();
        if self.required {
            help.push_str(" (required)");
        }
        if self.list {
            help.push_str(" (may be repeated)");
        }
        help
    }
}

/// How a value is written on the command line.
fn form(name: &str) -> &'static str {
    match name {
        "Quantity" => "NUMBER AS WRITTEN",
        "Exposure" => "EXPOSURE SUCH AS '25% of users'",
        "Duration" => "LENGTH SUCH AS '2 hours'",
        "Window" => "DATES SUCH AS '2026-01-14 - 2026-01-16'",
        "Answer" => "YES, NO OR N/A, AND WORDS",
        "Party" => "ROLE, ROLE=ACCOUNT OR =ACCOUNT",
        "SignOff" => "PARTY:VERDICT",
        "Evidence" => "URL OR KIND=URL",
        "Target" => "SEQ",
        "MetricValue" => "NAME=NUMBER",
        "CategoryCount" => "LABEL=NUMBER",
        "LabelledText" => "LABEL=TEXT",
        "PlannedStep" => "KIND: TEXT",
        _ => "JSON",
    }
}
