//! `rollout list|show|timeline|checkpoints|deviations|link` and `report`.

use projector::{
    checkpoints,
    deviations::{self, Outcome},
    recorded::Recorded,
    report as retrospective,
    timeline::{self, Mark},
};
use schemas::{Event, FlagKey, RolloutId};
use serde_json::{Value, json};

use super::event::print_receipts;
use crate::{
    answers::{self, Answer, AsOf, View},
    clock,
    config::{self, ReportFormat, Rollout as Command},
    context::Context,
    exit::{Code, fail},
    history::History,
    home::random_hex,
    intake::own::Own,
    json::set,
    moment,
    output::{self, Rows},
    record, show,
};

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List => list(context),
        Command::Show { id, moment } => show(context, &id, &moment),
        Command::Timeline { id, moment } => timeline(context, &id, &moment),
        Command::Checkpoints { id, moment } => checkpoints(context, &id, &moment),
        Command::Deviations { id, only, moment } => deviations(context, &id, only, &moment),
        Command::Link { id, flag, valid_from, role, new, actor } => {
            heard_of(context, &id, &flag, new)?;
            link(context, &id, &flag, valid_from.as_deref(), &role, actor.as_deref())
        }
    }
}

/// A rollout looked at from one moment.
struct Look {
    id: RolloutId,
    events: Vec<Recorded>,
    view: View,
    as_of: AsOf,
}

fn look(context: &Context, id: &str, moment: &config::Moment) -> anyhow::Result<Look> {
    let view = View::parse(moment, clock::now())?;
    let id = rollout_id(id)?;
    let history = context.history()?;
    let events = history.of_rollout(&id)?;
    Ok(Look { id, events, view, as_of: as_of(&history) })
}

pub(super) fn as_of(history: &History) -> AsOf {
    let (seq, hash) = history.as_of();
    AsOf { seq, hash }
}

/// # Errors
/// When it cannot be a rollout's id.
pub(super) fn rollout_id(text: &str) -> anyhow::Result<RolloutId> {
    text.parse().map_err(|e| fail(Code::Usage, format!("a rollout's id {e}")))
}

fn list(context: &Context) -> anyhow::Result<()> {
    let history = context.history()?;
    let ids = history.rollouts()?;
    let events = history.of_rollouts(&ids)?;
    let view = View::default();
    let mut rows = Rows::new(&["id", "title", "status", "stage", "exposure", "events", "last"]);
    for id in &ids {
        let events = events.get(id).map_or(&[][..], Vec::as_slice);
        let summary = answers::summary(id, events, &view.fold(events));
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let cells = vec![
            id.to_string(),
            text(&summary.title),
            summary.status.replace('_', " "),
            text(&summary.stage),
            summary.exposure.clone(),
            summary.events.to_string(),
            summary.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string()),
        ];
        rows.push(cells, &summary);
    }
    rows.print(context.format, "no rollout yet; `rollout-ledger plan import FILE.md` makes one")?;
    let (seq, hash) = history.as_of();
    Ok(output::computed_at(seq, &hash)?)
}

fn show(context: &Context, id: &str, moment: &config::Moment) -> anyhow::Result<()> {
    let look = look(context, id, moment)?;
    let page = answers::page(&look.id, look.view.fold(&look.events), &look.view);
    let text = || {
        let seq = look.as_of.seq.unwrap_or_default();
        let by = |what: &str, at: Option<i64>| {
            at.map_or_else(String::new, |at| format!("\n{what} {}", moment::shown(at)))
        };
        let happened = by("by what had happened by", look.view.as_of_us);
        let known = by("by what was known at", look.view.known_at_us);
        let text = output::printable(&show::text(&page));
        format!("{text}\n\ncomputed at entry {seq} {}{happened}{known}", look.as_of.hash)
    };
    let answer = Answer { data: &page, as_of: look.as_of.clone() };
    output::object(context.format, &answer, text)
}

fn timeline(context: &Context, id: &str, moment: &config::Moment) -> anyhow::Result<()> {
    let look = look(context, id, moment)?;
    let mut rows = Rows::new(&["time", "seq", "what", "actor", "basis", "marks", "authid"]);
    for row in timeline::timeline(&look.events, look.view.as_of_us, look.view.known_at_us) {
        let time = row.time.map_or_else(|| "unknown".to_owned(), |at| moment::shown(at.0));
        let marks: Vec<_> = row.marks.iter().map(Mark::words).collect();
        let cells = vec![
            time,
            row.seq.to_string(),
            row.what.clone(),
            row.actor.clone().unwrap_or_else(|| "-".to_owned()),
            row.basis.map_or_else(|| "-".to_owned(), |basis| basis.to_string()),
            marks.join(", "),
            row.authid.clone().unwrap_or_else(|| output::ABSENT.to_owned()),
        ];
        rows.push(cells, &row);
    }
    rows.print(context.format, "nothing had happened by then")?;
    Ok(output::computed_at(look.as_of.seq, &look.as_of.hash)?)
}

/// A row for each checkpoint, and one for each of its KPIs.
fn checkpoints(context: &Context, id: &str, moment: &config::Moment) -> anyhow::Result<()> {
    let look = look(context, id, moment)?;
    let now = projector::recorded::Moment(look.view.now_us);
    let snapshots = checkpoints::snapshots(&look.view.fold(&look.events), now);
    let mut rows =
        Rows::new(&["checkpoint", "what", "goal", "baseline", "actual", "basis", "why", "events"]);
    for snapshot in &snapshots {
        rows.push(show::checkpoint_cells(snapshot), snapshot);
        if matches!(context.format, output::Format::Table | output::Format::Csv) {
            for kpi in &snapshot.kpis {
                rows.push(show::kpi_cells(&snapshot.checkpoint, kpi), kpi);
            }
        }
    }
    rows.print(context.format, "it has no checkpoint")?;
    Ok(output::computed_at(look.as_of.seq, &look.as_of.hash)?)
}

fn deviations(
    context: &Context,
    id: &str,
    only: Option<config::Verdict>,
    moment: &config::Moment,
) -> anyhow::Result<()> {
    let look = look(context, id, moment)?;
    let rollout = look.view.fold(&look.events);
    let now = projector::recorded::Moment(look.view.now_us);
    let verdicts = deviations::Deviations::of(&rollout, now);
    let mut rows = Rows::new(&["verdict", "rule", "where", "what", "clause", "events"]);
    let wanted = |outcome: Outcome| match only {
        None => true,
        Some(config::Verdict::Kept) => outcome == Outcome::Kept,
        Some(config::Verdict::Broken) => outcome == Outcome::Broken,
        Some(config::Verdict::Undecided) => outcome == Outcome::Undecided,
    };
    let (kept, broken, undecided) = (verdicts.kept, verdicts.broken, verdicts.undecided);
    for verdict in verdicts.verdicts.into_iter().filter(|v| wanted(v.outcome)) {
        let cells = answers::deviation_cells(&verdict);
        rows.push(cells, &verdict);
    }
    rows.print(context.format, "no rule has that verdict")?;
    output::say(&format!("{kept} kept, {broken} broken, {undecided} undecided"))?;
    Ok(output::computed_at(look.as_of.seq, &look.as_of.hash)?)
}

pub(super) fn report(
    context: &Context,
    id: &str,
    format: Option<ReportFormat>,
    moment: &config::Moment,
) -> anyhow::Result<()> {
    let look = look(context, id, moment)?;
    let rollout = look.view.fold(&look.events);
    let now = projector::recorded::Moment(look.view.now_us);
    let report = retrospective::Report::of(&rollout, now);
    let by_output = match context.format {
        output::Format::Table => ReportFormat::Md,
        _ => ReportFormat::Json,
    };
    match format.unwrap_or(by_output) {
        ReportFormat::Json => {
            let answer = Answer { data: &report, as_of: look.as_of };
            let format = match context.format {
                output::Format::Table => output::Format::Json,
                other => other,
            };
            output::object(format, &answer, String::new)?;
        }
        ReportFormat::Md => {
            let markdown = retrospective::report_markdown(&report);
            let seq = look.as_of.seq.unwrap_or_default();
            let hash = look.as_of.hash;
            let markdown = output::printable(&markdown);
            output::print(&format!("{markdown}\n<!-- computed at entry {seq} {hash} -->"))?;
        }
    }
    Ok(())
}

/// Refuses to link a rollout that is likely a slip, and names a flag that nobody has heard of.
fn heard_of(context: &Context, id: &str, flag: &str, new: bool) -> anyhow::Result<()> {
    let (id, history) = (rollout_id(id)?, context.history()?);
    let events = history.of_rollouts(std::slice::from_ref(&id))?;
    if events.values().all(Vec::is_empty) {
        if !new {
            super::record::near(&id, &history)?;
        }
        output::say(&format!("note: {id} is a new rollout; `plan import` would bring its plan"))?;
    }
    let changes = history.of_types(|name| name == "rollout.flag.changed.v1")?;
    let known =
        |e: &Recorded| matches!(e.known(), Some(Event::FlagChanged(c)) if c.key.as_str() == flag);
    if !changes.is_empty() && !changes.iter().any(known) {
        output::say(&format!("note: no change of a flag {flag} is recorded"))?;
    }
    Ok(())
}

fn link(
    context: &Context,
    id: &str,
    flag: &str,
    valid_from: Option<&str>,
    role: &str,
    actor: Option<&str>,
) -> anyhow::Result<()> {
    let id = rollout_id(id)?;
    let key: FlagKey = flag.parse().map_err(|e| fail(Code::Usage, format!("--flag {e}")))?;
    let mut data = json!({ "key": key, "role": role, "basis": "reported" });
    if let Some(from) = valid_from {
        set(&mut data, "valid_from", json!(moment::shown(moment::parse("--valid-from", from)?)));
    }
    if let Some(actor) = actor {
        set(&mut data, "actor", json!(record::person(actor)));
    }
    let event: Value = json!({
        "specversion": "1.0", "id": random_hex::<16>(), "source": record::SOURCE,
        "subject": id, "type": "rollout.flag.registered.v1", "data": data,
    });
    let mut appender = context.appender()?;
    let receipts = appender.append(&[event], Own::Words);
    appender.close()?;
    print_receipts(context, receipts?)
}
