//! The report as Markdown, for people.

use std::fmt::Write as _;

use super::{Goal, Line, Report, RollbackRow, Snapshot, StageRow};
use crate::{deviations::length_words, recorded::Moment};

/// The report in Markdown. Numbers in square brackets are the events that a line rests on.
pub fn report_markdown(report: &Report) -> String {
    let mut out = String::new();
    let title = report.title.as_deref().or(report.rollout.as_deref()).unwrap_or("rollout");
    put(&mut out, &format!("# Retrospective: {}\n", one_line(title)));
    let status = serde_json::to_value(report.status).ok();
    let status = status.as_ref().and_then(|s| s.as_str()).unwrap_or_default().replace('_', " ");
    put(&mut out, &format!("Status by {}: {status}. Times are UTC.", when(Some(report.by))));
    put(&mut out, "Numbers in brackets are the events that a line rests on.");
    put(&mut out, "*Unverified* marks what was read from a document and confirmed by nobody.");
    if !report.unread_events.is_empty() {
        let count = report.unread_events.len();
        put(&mut out, &format!("\n{count} events could not be read by this version."));
    }
    list(&mut out, "Decisions", &report.gates);
    stages(&mut out, &report.stages);
    goals(&mut out, &report.goals);
    criteria(&mut out, report);
    snapshots(&mut out, &report.snapshots);
    rollbacks(&mut out, &report.rollbacks);
    bugs(&mut out, report);
    questions(&mut out, report);
    list(&mut out, "Feedback", &report.feedback);
    list(&mut out, "Clean-up still open", &report.cleanup);
    deviations(&mut out, report);
    blanks(&mut out, report);
    out
}

fn stages(out: &mut String, rows: &[StageRow]) {
    if rows.is_empty() {
        return;
    }
    put(out, "\n## Stages: plan against actual\n");
    put(out, "| Stage | Attempt | Planned | Actual | Planned length | Began | Outcome | Events |");
    put(out, "| --- | --- | --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let attempt = row.attempt.map_or_else(String::new, |a| a.to_string());
        let began = row.started.map_or_else(String::new, |at| when(Some(at)));
        let cells = [
            &row.label,
            &attempt,
            &row.planned_exposure,
            &row.actual_exposure,
            &row.planned_length,
            &began,
            row.outcome,
            &seqs(&row.seqs),
        ];
        put(out, &table_row(&cells));
    }
    for row in rows.iter().filter(|r| !r.results.is_empty()) {
        let attempt = row.attempt.map_or_else(String::new, |a| format!(", attempt {a}"));
        put(out, &format!("\n### Results of {}{attempt}\n", one_line(&row.label)));
        row.results.iter().for_each(|line| item(out, line));
    }
}

fn goals(out: &mut String, goals: &[Goal]) {
    if goals.is_empty() {
        return;
    }
    put(out, "\n## KPIs against goals\n");
    put(out, "| KPI | Goal | Baseline | Snapshot | Actual | Reached | Event |");
    put(out, "| --- | --- | --- | --- | --- | --- | --- |");
    for goal in goals {
        let wanted = goal.goal.as_deref().unwrap_or_default();
        let baseline = goal.baseline.as_deref().unwrap_or_default();
        if goal.actual.is_empty() {
            put(out, &table_row(&[&goal.name, wanted, baseline, "", "not recorded", "", ""]));
        }
        for actual in &goal.actual {
            let reached = match actual.reached {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            let cells = [
                &goal.name,
                wanted,
                baseline,
                &actual.checkpoint,
                &actual.value,
                reached,
                &seqs(&[actual.seq]),
            ];
            put(out, &table_row(&cells));
        }
    }
}

fn criteria(out: &mut String, report: &Report) {
    if report.criteria.is_empty() {
        return;
    }
    put(out, "\n## Success criteria\n");
    for row in &report.criteria {
        let verdict = row.verdict.map_or("not evaluated", |v| v.as_str());
        put(out, &format!("- {}: {verdict} {}", one_line(&row.text), seqs(&row.seqs)));
    }
}

fn snapshots(out: &mut String, snapshots: &[Snapshot]) {
    put(out, "\n## Snapshots after launch\n");
    for snapshot in snapshots {
        let due = snapshot.due.map_or_else(String::new, |due| format!(" ({})", when(Some(due))));
        put(out, &format!("- {}{due}: {}", snapshot.checkpoint, snapshot.state));
        for line in &snapshot.results {
            out.push_str("  ");
            item(out, line);
        }
    }
}

fn rollbacks(out: &mut String, rows: &[RollbackRow]) {
    if rows.is_empty() {
        return;
    }
    put(out, "\n## Rollbacks\n");
    for row in rows {
        let set_off = when(row.triggered_at);
        put(out, &format!("- {} Set off at {set_off}. {}", one_line(&row.what), seqs(&row.seqs)));
        for step in &row.steps {
            let after = step.after_us.map_or_else(|| "time unknown".to_owned(), after);
            put(out, &format!("  - {after}: {} {}", one_line(&step.what), seqs(&[step.seq])));
        }
        if let Some(lasted) = row.lasted_us {
            put(out, &format!("  - It ended {}.", after(lasted)));
        }
        if row.resumed.is_some() {
            put(out, &format!("  - The rollout went on at {}.", when(row.resumed)));
        }
    }
}

fn after(us: i64) -> String {
    format!("{} after the trigger", length_words(us))
}

fn bugs(out: &mut String, report: &Report) {
    if report.bugs.is_empty() {
        return;
    }
    put(out, "\n## Bugs\n");
    put(out, "| Bug | Title | Found in | State | What the source says | Events |");
    put(out, "| --- | --- | --- | --- | --- | --- |");
    for bug in &report.bugs {
        let words = bug.resolution.as_deref().unwrap_or_default();
        let (stages, events) = (bug.stages.join(", "), seqs(&bug.seqs));
        let cells = [&bug.bug, &bug.title, &stages, bug.state.as_str(), words, &events];
        put(out, &table_row(&cells));
    }
}

fn questions(out: &mut String, report: &Report) {
    if report.questions.is_empty() && report.unanswered.is_empty() {
        return;
    }
    put(out, "\n## Post-launch questions\n");
    for row in &report.questions {
        let (question, answer) = (one_line(&row.question), one_line(&row.answer));
        put(out, &format!("- **{question}** {answer} {}", seqs(&[row.seq])));
    }
    for question in &report.unanswered {
        put(out, &format!("- **{}** *not answered*", one_line(question)));
    }
}

fn deviations(out: &mut String, report: &Report) {
    put(out, "\n## Did it follow the plan?\n");
    let (kept, undecided) = (report.kept, report.undecided);
    let broken = report.deviations.len();
    put(out, &format!("{kept} rules kept, {broken} broken, {undecided} cannot be decided.\n"));
    for verdict in &report.deviations {
        let clause = verdict.clause.as_ref().map_or_else(String::new, |clause| {
            let line = clause.line.map_or_else(String::new, |l| format!(", line {l}"));
            format!(" Held against: \u{201c}{}\u{201d}{line}.", one_line(&clause.text))
        });
        let (code, about, why) = (verdict.code, &verdict.about, one_line(&verdict.why));
        put(out, &format!("- `{code}` {about}: {why}{clause} {}", seqs(&verdict.seqs)));
    }
}

fn blanks(out: &mut String, report: &Report) {
    if report.blanks.is_empty() {
        return;
    }
    put(out, "\n## Still blank in the plan\n");
    for blank in &report.blanks {
        let label = blank.label.as_deref().map(one_line).unwrap_or_default();
        put(out, &format!("- line {}: {label} (`{}`)", blank.line, blank.path));
    }
}

fn list(out: &mut String, heading: &str, lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    put(out, &format!("\n## {heading}\n"));
    for line in lines {
        let at = line.time.map_or_else(|| "time unknown".to_owned(), |at| when(Some(at)));
        put(out, &format!("- {at}: {}{} {}", one_line(&line.what), mark(line), seqs(&line.seqs)));
    }
}

fn item(out: &mut String, line: &Line) {
    put(out, &format!("- {}{} {}", one_line(&line.what), mark(line), seqs(&line.seqs)));
}

fn mark(line: &Line) -> &'static str {
    if line.unverified { " *unverified*" } else { "" }
}

/// `2026-01-14 15:30`; what happened is told by the minute.
fn when(at: Option<Moment>) -> String {
    let Some(at) = at else { return "a moment unknown".to_owned() };
    let text = at.to_string().replacen('T', " ", 1);
    text.get(..16).unwrap_or(&text).to_owned()
}

fn seqs(seqs: &[u64]) -> String {
    let seqs: Vec<String> = seqs.iter().map(ToString::to_string).collect();
    format!("[{}]", seqs.join(", "))
}

fn table_row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|c| one_line(c).replace('|', r"\|")).collect();
    format!("| {} |", cells.join(" | "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn put(out: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}
