//! `rollout show` for people: where it is, what each stage showed, what is missing next.

mod checkpoints;

use std::fmt::Write as _;

use projector::{
    recorded::Moment,
    rollout::{Attempt, Rollout, Stage, exposure, stages::Ended},
};
use schemas::values::{Answer, Quantity, Results};

pub use checkpoints::{checkpoint_cells, kpi_cells};

use crate::{
    answers::{CheckpointLine, RolloutPage, word},
    moment,
    output::table,
};

/// The page as text.
pub fn text(page: &RolloutPage) -> String {
    let rollout = &page.rollout;
    let mut parts = vec![head(page), stages(rollout)];
    parts.extend(section("GATES", &gates(rollout)));
    parts.extend(section("BUGS", &bugs(rollout)));
    parts.extend(section("ROLLBACKS", &rollbacks(rollout)));
    let checkpoints: Vec<_> = page.checkpoints.iter().map(checkpoint).collect();
    parts.extend(section("CHECKPOINTS", &checkpoints));
    parts.push(match &page.next.command {
        Some(command) => format!("NEXT: {}\n  {command}", page.next.what),
        None => format!("NEXT: {}", page.next.what),
    });
    parts.join("\n\n")
}

fn section(title: &str, lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| format!("{title}\n  {}", lines.join("\n  ")))
}

fn head(page: &RolloutPage) -> String {
    let (rollout, current) = (&page.rollout, &page.current);
    let title = rollout.plan.title().unwrap_or("(no plan imported)");
    let mut lines = vec![format!("{title} ({})", page.id)];
    let mut now = word(&current.status).replace('_', " ");
    if let Some(stage) = &current.stage {
        let label = rollout.stages.get(stage).map_or(stage.as_str(), Stage::label);
        let _ = write!(now, ", {label} ({stage})");
    }
    if let Some(attempt) = current.attempt {
        let _ = write!(now, ", attempt {attempt}");
    }
    if !current.exposures.is_empty() {
        let planned = if current.exposure_is_planned { ", by the plan" } else { "" };
        let _ = write!(now, ", exposed to {}{planned}", exposure::words(&current.exposures));
    }
    lines.push(format!("now: {now}"));
    for flag in &current.flags {
        let newest = &flag.newest;
        let state = if newest.exposures.is_empty() {
            "off".to_owned()
        } else {
            exposure::words(&newest.exposures)
        };
        let (key, environment) = (&newest.key, &newest.environment);
        lines.push(format!("flag {key} in {environment}: {state} (entry {})", newest.seq));
    }
    if let Some(revision) = rollout.plan.newest() {
        let (number, file) = (revision.number, &revision.file_name);
        lines.push(format!("plan: revision {number} of {file} (entry {})", revision.from.seq));
    }
    if !current.inferred_ran.is_empty() {
        let keys: Vec<_> = current.inferred_ran.iter().map(ToString::to_string).collect();
        lines.push(format!("inferred: only their results say that {} ran", keys.join(", ")));
    }
    if !rollout.unread_events.is_empty() {
        let count = rollout.unread_events.len();
        lines.push(format!("unread: {count} events of types that this version does not know"));
    }
    lines.join("\n")
}

fn stages(rollout: &Rollout) -> String {
    let columns = [
        "stage",
        "label",
        "planned",
        "try",
        "started (UTC)",
        "ended (UTC)",
        "exposed",
        "users",
        "bugs",
        "downstream",
    ];
    let mut rows = Vec::new();
    for stage in rollout.stages.iter() {
        if stage.attempts.is_empty() {
            rows.push(row(stage, None));
        }
        rows.extend(stage.attempts.iter().map(|attempt| row(stage, Some(attempt))));
    }
    if rows.is_empty() {
        return "no stages are planned or recorded".to_owned();
    }
    table(&columns, &rows)
}

fn row(stage: &Stage, attempt: Option<&Attempt>) -> Vec<String> {
    let dash = || "-".to_owned();
    let planned = stage.plan().map(|plan| exposure::words(&plan.exposures));
    let mut cells = vec![
        stage.key.to_string(),
        stage.label().to_owned(),
        planned.filter(|p| !p.is_empty()).unwrap_or_else(dash),
    ];
    let Some(attempt) = attempt else {
        let skipped = if stage.skipped.is_empty() { dash() } else { "skipped".to_owned() };
        cells.extend([dash(), skipped]);
        cells.extend(std::iter::repeat_with(dash).take(5));
        return cells;
    };
    let started = match (&attempt.started, attempt.started_at()) {
        (_, Some(at)) => minute(at),
        (Some(_), None) => "time unknown".to_owned(),
        (None, None) if attempt.inferred_ran => "inferred".to_owned(),
        (None, None) => dash(),
    };
    // A plan's results arrive one by one, so the newest that says something counts.
    let newest = |pick: &dyn Fn(&Results) -> Option<String>| {
        attempt.results.iter().rev().find_map(|fact| pick(&fact.value.results))
    };
    let exposed = exposure::words(attempt.exposures());
    cells.extend([
        attempt.number.to_string(),
        started,
        ended(attempt).unwrap_or_else(dash),
        if exposed.is_empty() { dash() } else { exposed },
        newest(&|r| number(r.unique_users.as_ref())).unwrap_or_else(dash),
        newest(&bug_counts).unwrap_or_else(dash),
        newest(&|r| r.downstream.as_ref().map(answer)).unwrap_or_else(dash),
    ]);
    cells
}

fn ended(attempt: &Attempt) -> Option<String> {
    if !attempt.rollback_seqs.is_empty() {
        return Some("rolled back".to_owned());
    }
    let ended = attempt.ended.last()?;
    let what = match ended {
        Ended::Completed(_) => "",
        Ended::Cancelled(_) => "cancelled ",
    };
    Some(format!("{what}{}", ended.from().time.map_or("time unknown".to_owned(), minute)))
}

/// To the minute, in UTC.
fn minute(at: Moment) -> String {
    moment::shown(at.0).get(..16).map_or_else(String::new, |m| m.replace('T', " "))
}

fn number(quantity: Option<&Quantity>) -> Option<String> {
    quantity.map(|q| q.value.as_ref().map_or_else(|| q.raw.clone(), ToString::to_string))
}

fn answer(answer: &Answer) -> String {
    word(&answer.value).replace('_', " ")
}

fn bug_counts(results: &Results) -> Option<String> {
    let found = number(results.bugs_identified.as_ref());
    let fixed = number(results.bugs_fixed.as_ref());
    match (found, fixed) {
        (None, None) => None,
        (found, None) => found,
        (found, Some(fixed)) => Some(format!("{} / {fixed}", found.unwrap_or_else(|| "?".into()))),
    }
}

fn gates(rollout: &Rollout) -> Vec<String> {
    let line = |decision: &projector::rollout::decisions::Decision| {
        let decided = &decision.fact.value;
        let mut line =
            format!("{} {}", word(&decided.gate), word(&decided.verdict).replace('_', "-"));
        if let Some(stage) = &decided.stage {
            let _ = write!(line, " for {stage}");
        }
        if let Some(at) = decision.fact.from.time {
            let _ = write!(line, ", {}", minute(at));
        }
        let open = decision.conditions.iter().filter(|c| c.is_open()).count();
        if !decision.conditions.is_empty() {
            let _ = write!(line, ", {} conditions, {open} open", decision.conditions.len());
        }
        format!("{line} (entry {})", decision.fact.from.seq)
    };
    rollout.decisions.gates.iter().map(line).collect()
}

fn bugs(rollout: &Rollout) -> Vec<String> {
    let bugs = rollout.measurements.bugs.iter();
    bugs.map(|(id, bug)| {
        let blocking = if bug.launch_blocking() { ", launch-blocking" } else { "" };
        format!("{id}: {} [{}{blocking}]", bug.title(), bug.state().as_str())
    })
    .collect()
}

fn rollbacks(rollout: &Rollout) -> Vec<String> {
    let line = |rollback: &projector::rollout::Rollback| {
        let started = &rollback.started;
        let at = started.from.time.map_or("time unknown".to_owned(), minute);
        let mut line = format!("{at} {}", word(&started.value.trigger).replace('_', " "));
        if let Some(stage) = &rollback.stage {
            let _ = write!(line, " in {stage}");
        }
        let _ = write!(line, ", {} steps done", rollback.steps.len());
        if let Some(done) = rollback.completed.as_ref().and_then(|c| c.from.time) {
            let _ = write!(line, ", completed {}", minute(done));
        }
        format!("{line} (entry {})", started.from.seq)
    };
    rollout.rollbacks.actual.iter().map(line).collect()
}

fn checkpoint(line: &CheckpointLine) -> String {
    let mut text = format!("{}: {}", line.checkpoint, word(&line.state).replace('_', " "));
    if let Some(due) = line.due {
        let _ = write!(text, ", due {} UTC", minute(due));
    }
    if let Some(seq) = line.recorded_by {
        let _ = write!(text, " (entry {seq})");
    }
    text
}
