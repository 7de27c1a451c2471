//! `record SUBJECT VERB` and `correct SEQ`.

use clap::ArgMatches;
use projector::{
    recorded::is_done_by_recording,
    rollout::{Rollout, Stage},
};
use schemas::{Event, RolloutId, event};
use serde_json::Value;

use super::event::print_receipts;
use crate::{
    clock,
    context::Context,
    exit::{Code, fail},
    history::History,
    intake::{Submitter, admit_all, own::Own},
    json::text,
    output,
    record::{Known, Request, correct},
};

/// Ids that differ by so few letters are likely one id and a slip.
const SLIP_MAX: usize = 2;

pub(super) fn record(context: &Context, matches: &ArgMatches) -> anyhow::Result<()> {
    let request = Request::of(matches)?;
    let history = context.history()?;
    let known = known(&history, request.rollout(), request.may_be_new())?;
    let hash_of = |seq| Ok(history.hash_of(seq)?.to_string());
    let event = request.event(&known, &hash_of, clock::now().as_microsecond())?;
    unheard_of(&known, &event)?;
    timeless(&event)?;
    send(context, event, request.dry_run())
}

pub(super) fn correct(context: &Context, matches: &ArgMatches) -> anyhow::Result<()> {
    let flags: Vec<String> =
        matches.get_many::<String>("flags").into_iter().flatten().cloned().collect();
    let seq = matches.get_one::<String>("seq");
    let Some(seq) = seq.and_then(|seq| seq.parse::<u64>().ok()) else {
        let mut command = correct::command();
        if seq.is_some_and(|s| s == "--help" || s == "-h") {
            return Ok(output::print(&command.render_help().to_string())?);
        }
        return Err(fail(Code::Usage, "correct wants the seq of an entry: `correct SEQ --help`"));
    };
    let history = context.history()?;
    let entry = history.entry(seq)?;
    let Some(payload) = entry.payload() else {
        return Err(fail(Code::Conflict, format!("the payload of entry {seq} is erased")));
    };
    let original: Value = serde_json::from_slice(payload)?;
    let name = text(&original, "/type").unwrap_or_default();
    let kind =
        event::find(name).filter(|kind| kind.door == event::Door::Open).ok_or_else(|| {
            let what = format!("entry {seq} is a {name}, which is never corrected");
            fail(Code::Policy, format!("{what}; add a note: `record note added`"))
        })?;
    let known = known(&history, text(&original, "/subject"), true)?;
    let hash_of = |seq| Ok(history.hash_of(seq)?.to_string());
    let hash = entry.hash().to_string();
    let target = correct::Original { seq, hash: &hash, event: &original };
    let (event, dry_run) =
        correct::event(kind, &target, &flags, &known, &hash_of, clock::now().as_microsecond())?;
    send(context, event, dry_run)
}

fn send(context: &Context, event: Value, dry_run: bool) -> anyhow::Result<()> {
    if dry_run {
        // Everything is checked but nothing is recorded.
        let here = Submitter::here(Own::Words);
        admit_all(std::slice::from_ref(&event), &here).map_err(|r| r.failure())?;
        let text = serde_json::to_string_pretty(&event).expect("a JSON value is JSON");
        return Ok(output::print(&text)?);
    }
    let mut appender = context.appender()?;
    let receipts = appender.append(&[event], Own::Words);
    appender.close()?;
    print_receipts(context, receipts?)
}

/// Says what it means that something is recorded without a time, and how to give one.
fn timeless(event: &Value) -> anyhow::Result<()> {
    let told = ["observed", "reported"].contains(&text(event, "/data/basis").unwrap_or_default());
    if !told || event.get("time").is_some() || event.pointer("/data/occurrence").is_some() {
        return Ok(());
    }
    let data = event.get("data").and_then(|data| serde_json::value::to_raw_value(data).ok());
    let kind = text(event, "/type").unwrap_or_default();
    let decoded = data.and_then(|data| Event::decode(kind, &data).ok());
    if decoded.is_none_or(|event| is_done_by_recording(&event)) {
        return Ok(());
    }
    Ok(output::say(
        "note: it has no time, so nobody will know when it happened: `--as-of` leaves it out, and no \
         length and no checkpoint is counted from it; `--happened now` or `--happened \
         '2026-01-14 10:30'` gives one",
    )?)
}

/// Says what the ledger has not heard of, in case it is a slip.
fn unheard_of(known: &Known, event: &Value) -> anyhow::Result<()> {
    let named = |pointer: &str| text(event, pointer).map(str::to_owned);
    let mut metrics: Vec<String> = named("/data/metric").into_iter().collect();
    let list = event.pointer("/data/results/metrics").and_then(Value::as_array);
    metrics.extend(list.into_iter().flatten().filter_map(|m| text(m, "/name").map(str::to_owned)));
    let new = |metric: &&String| !known.metrics.is_empty() && !known.metrics.contains(metric);
    let defined = named("/type").is_some_and(|name| name == "rollout.metric.defined.v1");
    for metric in metrics.iter().filter(new).filter(|_| !defined) {
        output::say(&format!("note: the plan has no metric called {metric:?}"))?;
    }
    let found = named("/type").is_some_and(|name| name == "rollout.bug.found.v1");
    if let Some(bug) = named("/data/bug").filter(|bug| !found && !known.bugs.contains(bug)) {
        output::say(&format!("note: no bug {bug:?} was recorded as found"))?;
    }
    let unasked = |q: String| !known.questions.is_empty() && !known.questions.contains(&q);
    if named("/data/question").is_some_and(unasked) {
        output::say("note: the plan asks no such question; --question takes its number as well")?;
    }
    Ok(())
}

/// What the rollout's plan calls its stages, metrics, steps and questions.
///
/// # Errors
/// When the rollout was never heard of and another one is called nearly the same.
fn known(history: &History, rollout: Option<&str>, may_be_new: bool) -> anyhow::Result<Known> {
    let Some(id) = rollout.and_then(|id| id.parse::<RolloutId>().ok()) else {
        return Ok(Known::default());
    };
    let events = history.of_rollouts(std::slice::from_ref(&id))?.remove(&id).unwrap_or_default();
    if events.is_empty() {
        if !may_be_new {
            near(&id, history)?;
        }
        output::say(&format!("note: {id} is a new rollout; `plan import` would bring its plan"))?;
    }
    let rollout = Rollout::fold(&events);
    let metrics = events.iter().filter_map(|e| match e.known()? {
        Event::MetricDefined(e) => Some(e.metric.clone()),
        Event::CriterionSet(e) => e.metric.clone(),
        _ => None,
    });
    let stage = |stage: &Stage| (stage.key.to_string(), stage.label().to_owned());
    let planned = rollout.rollbacks.planned.last();
    let steps = planned.into_iter().flat_map(|plan| &plan.value.steps);
    let fields = rollout.plan.newest().map_or(&[][..], |plan| &plan.fields);
    let questions =
        fields.iter().filter(|f| f.path.starts_with("questions/") && f.path.ends_with("/question"));
    Ok(Known {
        metrics: metrics.collect(),
        stages: rollout.stages.iter().map(stage).collect(),
        zone: Some(rollout.plan.time_zone().to_owned()),
        steps: steps.map(|step| (step.step.clone(), step.text.clone())).collect(),
        questions: questions.map(|f| f.raw.clone()).collect(),
        bugs: rollout.measurements.bugs.keys().cloned().collect(),
        may_be_new,
    })
}

/// Refuses an id that is nearly another one's: it would make a rollout that nobody meant.
pub(super) fn near(id: &RolloutId, history: &History) -> anyhow::Result<()> {
    let close =
        |other: &&RolloutId| strsim::damerau_levenshtein(id.as_str(), other.as_str()) <= SLIP_MAX;
    let ids = history.rollouts()?;
    let Some(meant) = ids.iter().find(close) else { return Ok(()) };
    let message =
        format!("there is no rollout {id}; did you mean {meant}? --new makes another one");
    Err(fail(Code::NotFound, message))
}
