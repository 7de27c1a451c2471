//! `record SUBJECT VERB` and `correct SEQ`: every event of the catalogue as typed flags.
//!
//! The flags, their help and the checks come from the event's JSON Schema, so a new event in the
//! catalogue is a new command without a line here.

pub mod correct;
mod field;
mod read;
mod spelling;

use clap::{Arg, ArgAction, ArgMatches, Command};
use schemas::{
    event::{Door, EventType, TYPES},
    id::Instant,
    values::{Basis, Occurrence, Precision},
};
use serde_json::{Map, Value, json};

use self::field::Field;
pub use self::{
    read::{HashOf, Known, person},
    spelling::command_line,
};
use crate::{
    example,
    exit::{Code, fail},
    home,
    json::set,
    words,
};

/// The `source` of events that people record on the command line, unless they name another.
pub const SOURCE: &str = "urn:rollout-ledger:cli";

/// The zone that local moments are read in when there is no plan.
const DEFAULT_TIME_ZONE: &str = "America/New_York";

/// An observation recorded later than this after it happened is told from memory or notes.
const BACKFILL_AFTER_US: i64 = 24 * 3600 * 1_000_000;

/// The command, with one subcommand for each subject and verb.
pub fn command() -> Command {
    let mut command = Command::new("record")
        .about("Record a fact: `record SUBJECT VERB`, with a flag for everything it carries")
        .subcommand_required(true)
        .arg_required_else_help(true);
    let mut subjects: Vec<&str> = Vec::new();
    for (subject, _) in open_types().map(EventType::subject_verb) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    for subject in subjects {
        let verbs = open_types().filter(|t| t.subject_verb().0 == subject).map(verb);
        let words: Vec<_> = open_types()
            .map(EventType::subject_verb)
            .filter(|(s, _)| *s == subject)
            .map(|(_, verb)| dashed(verb))
            .collect();
        let about = format!("Facts about {}: {}", dashed(subject), words.join(", "));
        command = command.subcommand(
            Command::new(dashed(subject)).about(about).subcommand_required(true).subcommands(verbs),
        );
    }
    command
}

fn open_types() -> impl Iterator<Item = &'static EventType> {
    TYPES.iter().filter(|t| t.door == Door::Open)
}

fn dashed(word: &str) -> String {
    word.replace('_', "-")
}

fn verb(event: &EventType) -> Command {
    let (subject, verb) = event.subject_verb();
    let schema = (event.data_schema)().to_value();
    let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut command = Command::new(dashed(verb))
        .about(about.replace('\n', " "))
        .after_help(example::help(event.name))
        .next_help_heading("What it carries");
    for field in field::fields(&schema) {
        command = command.arg(field.arg());
    }
    let name = format!("rollout-ledger record {} {}", dashed(subject), dashed(verb));
    command.args(common_args(event)).display_name(name)
}

fn common_args(event: &EventType) -> Vec<Arg> {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading("For every event")
    };
    let rollout = if event.needs_rollout { "The rollout (required)" } else { "The rollout" };
    vec![
        text("rollout", "ID", rollout),
        text("actor", "ACCOUNT", "Account id of who did it"),
        text(
            "happened",
            "WHEN",
            "When it happened: now, '2026-01-14 10:30' in the plan's time zone, or RFC 3339; without it nobody knows when",
        ),
        text("basis", "BASIS", "How you know")
            .value_parser(Basis::ALL.iter().map(|b| b.as_str()).collect::<Vec<_>>())
            .long_help(
                "How you know [default: reported, or backfilled when it happened over a day ago]",
            ),
        text("evidence", "URL", "What shows it: a URL, or KIND=URL").action(ArgAction::Append),
        text("note", "TEXT", "Anything else worth keeping"),
        text("event-source", "SOURCE", "Which system says so").default_value(SOURCE),
        text(
            "id",
            "ID",
            "Your own id of the event: sending the same again records nothing [default: random]",
        ),
        Arg::new("new")
            .long("new")
            .action(ArgAction::SetTrue)
            .help(
                "It names a rollout, stage or step that the ledger has not heard of, and means to",
            )
            .help_heading("For every event"),
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Print the event and record nothing")
            .help_heading("For every event"),
    ]
}

/// What a `record` command line asks for.
pub struct Request<'a> {
    event: &'static EventType,
    matches: &'a ArgMatches,
}

impl<'a> Request<'a> {
    /// The subject and verb that were chosen.
    pub fn of(matches: &'a ArgMatches) -> anyhow::Result<Request<'a>> {
        let chosen = matches.subcommand().and_then(|(s, m)| Some((s, m.subcommand()?)));
        let (subject, (verb, matches)) =
            chosen.ok_or_else(|| fail(Code::Usage, "record wants a subject and a verb"))?;
        let event = open_types()
            .find(|t| {
                let (s, v) = t.subject_verb();
                dashed(s) == subject && dashed(v) == verb
            })
            .expect("the command has only subjects and verbs of the catalogue");
        Ok(Request { event, matches })
    }

    /// The rollout that it is about.
    pub fn rollout(&self) -> Option<&str> {
        self.matches.get_one::<String>("rollout").map(String::as_str)
    }

    /// Whether what is named may be unheard of.
    pub fn may_be_new(&self) -> bool {
        self.matches.get_flag("new")
    }

    pub fn dry_run(&self) -> bool {
        self.matches.get_flag("dry-run")
    }

    /// The event, as a sender would give it.
    ///
    /// # Errors
    /// What is missing or cannot be read, by its flag.
    pub fn event(&self, known: &Known, hash_of: &HashOf, now_us: i64) -> anyhow::Result<Value> {
        let known = &Known { may_be_new: self.may_be_new(), ..known.clone() };
        let fields = self.fields();
        let (mut data, results) = self.given(&fields, known, hash_of)?;
        let missing = |f: &&Field| f.required && !data.contains_key(&f.name);
        if let Some(field) = fields.iter().find(missing) {
            let what = format!("--{} is missing: {}", field.flag, field.help.to_lowercase());
            return Err(fail(Code::Usage, what.trim_end_matches('.').to_owned()));
        }
        if fields.iter().any(|f| f.in_results) {
            data.insert("results".to_owned(), Value::Object(results));
        }
        number_steps(&mut data);
        let time = self.common(&mut data, known, now_us)?;
        let text = |name: &str| self.matches.get_one::<String>(name).cloned();
        let mut event = json!({
            "specversion": "1.0",
            "id": text("id").unwrap_or_else(home::random_hex::<16>),
            "source": text("event-source").unwrap_or_else(|| SOURCE.to_owned()),
            "type": self.event.name,
            "data": data,
        });
        if let Some(rollout) = self.rollout() {
            set(&mut event, "subject", json!(rollout));
        } else if self.event.needs_rollout {
            let names = "`rollout-ledger rollout list` names them";
            return Err(fail(Code::Usage, format!("--rollout is missing; {names}")));
        }
        if let Some(time) = time {
            set(&mut event, "time", json!(time.as_str()));
        }
        Ok(event)
    }

    fn fields(&self) -> Vec<Field> {
        field::fields(&(self.event.data_schema)().to_value())
    }

    /// The members of the data, and those of its results, that flags were given for.
    fn given(
        &self,
        fields: &[Field],
        known: &Known,
        hash_of: &HashOf,
    ) -> anyhow::Result<(Map<String, Value>, Map<String, Value>)> {
        let (mut data, mut results) = (Map::new(), Map::new());
        for field in fields {
            let given = self.matches.get_raw(&field.id()).into_iter().flatten();
            let mut values = Vec::new();
            for text in given {
                let text = text.to_str();
                let text = text.ok_or_else(|| fail(Code::Usage, "arguments must be UTF-8"))?;
                match read::value(field, text, known, hash_of)? {
                    // One text may hold several exposures: "friends and family and 5 %".
                    Value::Array(several) if field.list => values.extend(several),
                    value => values.push(value),
                }
            }
            let value = if field.list { Some(Value::Array(values)) } else { values.pop() };
            let Some(value) = value.filter(|v| v.as_array().is_none_or(|a| !a.is_empty())) else {
                continue;
            };
            let target = if field.in_results { &mut results } else { &mut data };
            target.insert(field.name.clone(), value);
        }
        Ok((data, results))
    }

    /// Sets what every event carries, and returns the envelope's `time`.
    fn common(
        &self,
        data: &mut Map<String, Value>,
        known: &Known,
        now_us: i64,
    ) -> anyhow::Result<Option<Instant>> {
        let text = |name: &str| self.matches.get_one::<String>(name);
        let mut time = None;
        if let Some(when) = text("happened") {
            let occurrence = happened(when, known, now_us)?;
            time.clone_from(&occurrence.earliest);
            if occurrence.precision != Precision::Instant {
                data.insert("occurrence".to_owned(), json!(occurrence));
            }
        }
        let late = time.as_ref().is_some_and(|t| now_us - t.micros() > BACKFILL_AFTER_US);
        let basis = if late { Basis::Backfilled } else { Basis::Reported };
        let basis = text("basis").map_or(basis.as_str(), String::as_str);
        data.insert("basis".to_owned(), json!(basis));
        if let Some(actor) = text("actor") {
            data.insert("actor".to_owned(), json!(person(actor)));
        }
        if let Some(note) = text("note") {
            data.insert("note".to_owned(), json!(note));
        }
        if let Some(links) = self.matches.get_many::<String>("evidence") {
            let evidence: Vec<_> = links.map(|link| read::evidence(link)).collect();
            data.insert("evidence".to_owned(), json!(evidence));
        }
        Ok(time)
    }
}

/// Reads `--happened` in the plan's zone. `now` is the moment of the command.
fn happened(text: &str, known: &Known, now_us: i64) -> anyhow::Result<Occurrence> {
    let now = Instant::from_micros(now_us).ok().filter(|_| text.trim().eq_ignore_ascii_case("now"));
    let text = now.as_ref().map_or(text, Instant::as_str);
    let zone = known.zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE);
    let zone = jiff::tz::TimeZone::get(zone)?;
    let occurrence = words::occurrence(text, &zone, None);
    if occurrence.earliest.is_none() {
        let forms = "now, '2026-01-14 10:30', '2026-01-14' or 2026-01-14T15:30:00Z";
        return Err(fail(Code::Usage, format!("--happened wants a moment such as {forms}")));
    }
    Ok(occurrence)
}

/// Steps given one by one are numbered in their order.
fn number_steps(data: &mut Map<String, Value>) {
    let Some(Value::Array(steps)) = data.get_mut("steps") else { return };
    for (i, step) in steps.iter_mut().enumerate() {
        set(step, "step", json!((i + 1).to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_flags_of_its_own_and_an_example_that_parses() {
        command().debug_assert();
        let mut spelled = 0;
        for event in open_types() {
            correct::command_for(event).debug_assert();
            let text = example::of(event.name).expect("every open type has an example");
            // A value without its source's words has no form on a command line.
            let Some(line) = command_line(&serde_json::from_str(text).unwrap()) else { continue };
            spelled += 1;
            // Quoted texts count as one word here: their contents are read by the tests from outside.
            let flags = line.split('\'').step_by(2).flat_map(str::split_whitespace);
            for flag in flags.filter(|word| word.starts_with("--")) {
                let long = flag.trim_start_matches('-').split('=').next().unwrap();
                let known = verb(event).get_arguments().any(|arg| arg.get_long() == Some(long));
                assert!(known, "{}: --{long} is no flag", event.name);
            }
        }
        assert!(spelled >= 40, "only {spelled} examples have a command line");
    }
}
