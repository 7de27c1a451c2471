//! `record SUBJECT VERB` and `correct SEQ`.

use clap::ArgMatches;
use projector::rollout::Rollout;
use schemas::{Event, RolloutId, event};
use serde_json::Value;

use super::event::print_receipts;
use crate::{
    clock,
    context::Context,
    exit::{Code, fail},
    history::History,
    json::text,
    output,
    record::{Known, Request, correct},
};

pub(super) fn record(context: &Context, matches: &ArgMatches) -> anyhow::Result<()> {
    let request = Request::of(matches)?;
    let history = context.history()?;
    let known = known(&history, request.rollout())?;
    let hash_of = |seq| Ok(history.hash_of(seq)?.to_string());
    let event = request.event(&known, &hash_of, clock::now().as_microsecond())?;
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
    let known = known(&history, text(&original, "/subject"))?;
    let hash_of = |seq| Ok(history.hash_of(seq)?.to_string());
    let hash = entry.hash().to_string();
    let target = correct::Original { seq, hash: &hash, event: &original };
    let (event, dry_run) = correct::event(kind, &target, &flags, &known, &hash_of)?;
    send(context, event, dry_run)
}

fn send(context: &Context, event: Value, dry_run: bool) -> anyhow::Result<()> {
    if dry_run {
        // Everything is checked but nothing is recorded.
        let here = crate::intake::Submitter::here("cli");
        crate::intake::admit_all(std::slice::from_ref(&event), &here).map_err(|r| r.failure())?;
        let text = serde_json::to_string_pretty(&event).expect("a JSON value is JSON");
        return Ok(output::print(&text)?);
    }
    let mut appender = context.appender()?;
    let receipts = appender.append(&[event], "cli");
    appender.close()?;
    print_receipts(context, receipts?)
}

/// What the rollout's plan calls its stages and metrics.
fn known(history: &History, rollout: Option<&str>) -> anyhow::Result<Known> {
    let Some(id) = rollout.and_then(|id| id.parse::<RolloutId>().ok()) else {
        return Ok(Known::default());
    };
    let events = history.of_rollouts(std::slice::from_ref(&id))?.remove(&id).unwrap_or_default();
    if events.is_empty() {
        output::say(&format!("note: {id} is a new rollout; `plan import` would bring its plan"))?;
    }
    let rollout = Rollout::fold(&events);
    let metrics = events.iter().filter_map(|e| match e.known()? {
        Event::MetricDefined(e) => Some(e.metric.clone()),
        Event::CriterionSet(e) => e.metric.clone(),
        _ => None,
    });
    let mut known = Known { metrics: metrics.collect(), ..Known::default() };
    for stage in rollout.stages.iter() {
        known.stages.push((stage.key.to_string(), stage.label().to_owned()));
    }
    known.zone = Some(rollout.plan.time_zone().to_owned());
    Ok(known)
}
