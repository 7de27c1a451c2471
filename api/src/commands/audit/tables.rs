//! The answers of `audit` for people.

use std::{collections::BTreeMap, fmt::Write as _};

use projector::{
    audit::{
        Cited, Gaps, Line, Restated, State, Trail, WhoChanged,
        approvals::{Approvals, DecisionLine, PromisedSignOff},
        gaps::RolloutGaps,
        restated::{Change, Difference, How},
        state::{Gate, Place},
    },
    deviations::length_words,
    promises::Standing,
};
use serde_json::Value;

use crate::{
    answers::word,
    flags::answer::in_words,
    moment,
    output::{ABSENT, Rows, table},
};

/// A row of an event: what is claimed beside what was seen.
const LINE: [&str; 8] = [
    "seq",
    "happened (UTC)",
    "recorded after",
    "what",
    "who, as claimed",
    "submitted by",
    "via",
    "hash",
];

fn line(line: &Line) -> Vec<String> {
    vec![
        line.seq.to_string(),
        line.time.map_or_else(|| "unknown".to_owned(), |at| moment::shown(at.0)),
        lag(line),
        line.what.clone(),
        absent(line.who.claimed.as_ref()),
        submitter(line),
        absent(line.who.recordedvia.as_ref()),
        short(&line.hash),
    ]
}

fn absent(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| ABSENT.to_owned())
}

fn submitter(line: &Line) -> String {
    match (&line.who.authtype, &line.who.authid) {
        (Some(kind), Some(id)) => format!("{} {id}", kind.replace('_', " ")),
        (_, Some(id)) => id.clone(),
        _ => ABSENT.to_owned(),
    }
}

fn lag(line: &Line) -> String {
    line.lag_seconds.map_or_else(|| ABSENT.to_owned(), seconds)
}

fn seconds(seconds: i64) -> String {
    length_words(seconds.saturating_mul(1_000_000))
}

/// The first twelve digits of a hash: enough to compare by eye; JSON has the whole.
fn short(hash: &str) -> String {
    hash.get(..12).unwrap_or(hash).to_owned()
}

fn cited(cited: Option<&Cited>) -> String {
    cited.map_or_else(
        || "no event".to_owned(),
        |cited| format!("entry {} {}", cited.seq, short(&cited.hash)),
    )
}

pub(super) fn trail(trail: &Trail) -> Rows {
    let mut rows = Rows::new(&LINE);
    for step in &trail.events {
        let mut cells = line(&step.line);
        if !step.parts.is_empty()
            && let Some(what) = cells.get_mut(3)
        {
            *what = format!("{} [{}]", step.line.what, step.parts.join(", ").replace('_', " "));
        }
        if let Some(what) = cells.get_mut(3) {
            *what += &marks(&step.corrected_by, step.withdrawn_by);
            if let Some(time) = step.corrected_time {
                let _ = write!(what, " [happened {time} as corrected]");
            }
        }
        rows.push(cells, step);
    }
    rows
}

/// What was said of an event since.
fn marks(corrected_by: &[u64], withdrawn_by: Option<u64>) -> String {
    let by: Vec<_> = corrected_by.iter().map(ToString::to_string).collect();
    let corrected = (!by.is_empty()).then(|| format!(" [corrected by {}]", by.join(", ")));
    let withdrawn = withdrawn_by.map(|by| format!(" [withdrawn by {by}: does not count]"));
    [corrected, withdrawn].into_iter().flatten().collect()
}

pub(super) fn who_changed(changed: &WhoChanged) -> Rows {
    let mut columns = LINE.to_vec();
    columns.insert(4, "state behind it");
    let mut rows = Rows::new(&columns);
    for change in &changed.changes {
        let mut cells = line(&change.line);
        let state = match (&change.state_after, change.withdrawn_by) {
            (_, Some(by)) => format!("withdrawn by {by}: does not count"),
            (Some(gates), None) => {
                in_words(change.operation != schemas::event::flag::FlagOperation::Remove, gates)
            }
            (None, None) => ABSENT.to_owned(),
        };
        cells.insert(4, state);
        rows.push(cells, change);
    }
    rows
}

pub(super) fn state(state: &State) -> String {
    let mut head = format!("{}: ", state.flag);
    head += &state.at.map_or_else(
        || "by everything recorded".to_owned(),
        |at| format!("by what had happened by {at}"),
    );
    if let Some(known_at) = state.known_at {
        let _ = write!(head, ", as it was known at {known_at}");
    }
    let mut parts = vec![head];
    if state.places.is_empty() {
        parts.push("no change of it was known".to_owned());
    }
    parts.extend(state.places.iter().map(place));
    parts.join("\n\n")
}

fn place(place: &Place) -> String {
    let by = |set: &Option<Cited>| cited(set.as_ref());
    let on = |gate: &Gate<bool>| if gate.value { "on" } else { "off" }.to_owned();
    let mut rows = vec![
        vec!["exists".to_owned(), place.exists.to_string(), by(&place.exists_since)],
        vec!["on for everyone".to_owned(), on(&place.boolean), by(&place.boolean.set_by)],
        vec![
            "percent of actors".to_owned(),
            place.percentage_of_actors.value.to_string(),
            by(&place.percentage_of_actors.set_by),
        ],
        vec![
            "percent of the time".to_owned(),
            place.percentage_of_time.value.to_string(),
            by(&place.percentage_of_time.set_by),
        ],
    ];
    for (name, members) in [("actor", &place.actors), ("group", &place.groups)] {
        rows.extend(members.iter().map(|m| vec![name.to_owned(), m.value.clone(), by(&m.set_by)]));
    }
    rows.push(vec!["expression".to_owned(), on(&place.expression), by(&place.expression.set_by)]);
    let mut text = format!("{} in {}\n", place.service, place.environment);
    text += &table(&["gate", "value", "set by"], &rows);
    for (list, what) in [
        (&place.corrected, "counts as corrected by"),
        (&place.withdrawn, "does not count: withdrawn by"),
    ] {
        for amended in list {
            let by: Vec<_> = amended.by.iter().map(|c| cited(Some(c))).collect();
            let change = cited(Some(&amended.change));
            let _ = write!(text, "\n{change} {what} {}", by.join(", "));
        }
    }
    for unknown in &place.time_unknown {
        let change = cited(Some(unknown));
        let _ = write!(
            text,
            "
{change} does not count: whether it had happened by then is not known"
        );
    }
    text
}

pub(super) fn approvals(approvals: &Approvals) -> String {
    let mut parts = vec![format!("{}\n{}", approvals.rollout, approvals.promised.words)];
    parts.extend(approvals.promised.sign_offs.iter().map(promised));
    for revision in &approvals.revisions {
        let author = revision.author.as_deref().unwrap_or("nobody named");
        let entry = format!("entry {} {}", revision.line.seq, short(&revision.line.hash));
        let (number, submitter) = (revision.number, submitter(&revision.line));
        parts.push(format!(
            "plan revision {number}: imported by {author}, submitted by {submitter} ({entry})"
        ));
    }
    if approvals.decisions.is_empty() {
        parts.push("\nno decision at a gate is recorded".to_owned());
    }
    parts.extend(approvals.decisions.iter().map(decision));
    for withdrawn in &approvals.withdrawn {
        let by = cited(withdrawn.withdrawn_by.as_ref());
        parts.push(format!(
            "\nentry {} was withdrawn by {by}: {}",
            withdrawn.line.seq, withdrawn.line.what
        ));
    }
    parts.join("\n")
}

fn promised(promised: &PromisedSignOff) -> String {
    let promise = &promised.promise;
    let by = promise.by.as_deref().unwrap_or("(blank)");
    let standing = match &promised.standing {
        Standing::Given { seq } => format!("given (entry {seq})"),
        Standing::Refused { seq } => format!("refused (entry {seq})"),
        Standing::TickedOnly { seq } => {
            format!("its box is ticked (entry {seq}); who signed is not recorded")
        }
        Standing::Absent => "NONE RECORDED by then".to_owned(),
        Standing::CannotBeTold { why } => format!("cannot be told: {why}"),
    };
    format!("  promised, line {} of revision {}: {by}: {standing}", promise.line, promise.revision)
}

fn decision(decision: &DecisionLine) -> String {
    let line = &decision.line;
    let mut lines = vec![format!("\n{}", decision_head(decision))];
    let list = |items: &[String]| {
        if items.is_empty() { "not recorded".to_owned() } else { items.join(", ") }
    };
    lines.push(format!("  decided by {} (as claimed)", list(&decision.decided_by)));
    lines.push(format!(
        "  recorded by {}, submitted by {}: {}",
        line.who.claimed.as_deref().unwrap_or("nobody named"),
        submitter(line),
        line.who.claim.words()
    ));
    let time = line.time.map_or_else(|| "unknown".to_owned(), |at| moment::shown(at.0));
    lines.push(format!(
        "  happened {time}, recorded {} (after {})",
        moment::shown(line.recorded_at.0),
        lag(line)
    ));
    lines.push(format!("  plan: {}", decision.plan.words));
    lines.push(format!("  author = approver: {}", decision.author_is_approver.why));
    for sign_off in &decision.sign_offs {
        let (party, verdict) = (&sign_off.party, &sign_off.verdict);
        lines.push(format!("  sign-off: {party}: {verdict} ({})", word(&sign_off.said)));
    }
    if decision.sign_offs.is_empty() {
        lines.push("  sign-offs: none in the decision".to_owned());
    }
    lines.extend(decision.promised.iter().map(promised));
    lines.extend(decision.blockers.iter().map(|b| format!("  blocker: {b}")));
    for condition in &decision.conditions {
        let state = match (condition.open, &condition.outcome) {
            (true, Some(_)) => "FAILED, open".to_owned(),
            (true, None) => "OPEN".to_owned(),
            (false, outcome) => outcome.map_or_else(String::new, |o| o.to_string()),
        };
        let by = condition
            .resolved_by
            .as_ref()
            .map_or_else(String::new, |by| format!(" (entry {})", by.seq));
        lines.push(format!("  condition: {}: {state}{by}", condition.text));
    }
    lines.extend(considered(decision));
    lines.join("\n")
}

fn decision_head(decision: &DecisionLine) -> String {
    let stage = decision.stage.as_ref().map_or_else(String::new, |s| format!(" to {s}"));
    let attempt = decision.attempt.map_or_else(String::new, |n| format!(", attempt {n}"));
    let verdict = word(&decision.verdict).replace('_', "-");
    let line = &decision.line;
    format!(
        "{} gate{stage}{attempt}: {verdict} (entry {} {})",
        decision.gate,
        line.seq,
        short(&line.hash)
    )
}

fn considered(decision: &DecisionLine) -> Vec<String> {
    let considered = &decision.considered;
    let mut lines = Vec::new();
    if considered.listed.is_empty() {
        lines.push("  looked at: it names no event".to_owned());
    }
    for listed in &considered.listed {
        let note = match (listed.recorded_afterwards, &listed.hash) {
            (true, _) => " (RECORDED ONLY AFTERWARDS)",
            (_, None) => " (no event of this rollout)",
            _ => "",
        };
        let what = listed.what.as_deref().unwrap_or("not readable here");
        lines.push(format!("  looked at: entry {}: {what}{note}", listed.seq));
        for change in &listed.changes {
            let (how, by) = (word(&change.how), change.entry.seq);
            let at = moment::shown(change.recorded_at.0);
            let what = change.what.as_deref().unwrap_or("not readable here");
            lines.push(format!("    {how} by entry {by}, recorded {at}: {what}"));
        }
    }
    // By their types; JSON has each in a sentence.
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for fact in &considered.not_listed {
        let kind = fact.what.split(':').next().unwrap_or_default();
        let mark = if fact.may_be_later { " (may have happened later)" } else { "" };
        kinds.entry(kind).or_default().push(format!("{}{mark}", fact.entry.seq));
    }
    if !kinds.is_empty() {
        let kinds = kinds.iter().map(|(kind, seqs)| format!("{kind} {}", seqs.join(" ")));
        let kinds: Vec<String> = kinds.collect();
        lines.push(format!("  known by then and not named: {}", kinds.join("; ")));
    }
    lines
}

pub(super) fn restated(restated: &Restated) -> String {
    let mut parts: Vec<String> = restated.changes.iter().map(change).collect();
    if parts.is_empty() {
        parts.push(format!("nothing about {} was changed afterwards", restated.rollout));
    }
    for void in &restated.not_applied {
        let line = &void.line;
        parts.push(format!(
            "NOT APPLIED: entry {} {}: {} {}",
            line.seq,
            short(&line.hash),
            line.what,
            void.words
        ));
    }
    parts.join("\n\n")
}

fn change(change: &Change) -> String {
    let (by, target) = (&change.by, &change.target);
    let mut lines = vec![
        format!("{} by entry {} {}", word(&change.kind), by.seq, short(&by.hash)),
        format!("  was: entry {} {}: {}", target.seq, short(&target.hash), target.what),
        format!("  now: {}", by.what),
    ];
    lines.extend(change.values.iter().map(difference));
    lines.push(format!(
        "  the old value: recorded {} after it happened; stood for {}; changed by {}, recorded {} after",
        lag(target),
        seconds(change.stood_seconds),
        by.who.claimed.as_deref().unwrap_or("nobody named"),
        lag(by)
    ));
    if !change.approvers.is_empty() {
        lines.push(format!("  approved by {}", change.approvers.join(", ")));
    }
    for relied in &change.relied {
        let stage = relied.stage.as_ref().map_or_else(String::new, |s| format!(" to {s}"));
        let how = match relied.how {
            How::Listed => "names it",
            How::KnownOfItsStage => "does not name it; it was known of its stage",
        };
        let verdict = word(&relied.verdict).replace('_', "-");
        lines.push(format!(
            "  relied on it: {} gate{stage}: {verdict} (entry {}): {how}",
            relied.gate, relied.decision.seq
        ));
    }
    if change.relied.is_empty() {
        lines.push("  no decision relied on it".to_owned());
    }
    lines.join("\n")
}

fn difference(difference: &Difference) -> String {
    let shown = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let place = if difference.pointer.is_empty() { "the whole event" } else { &difference.pointer };
    let new = shown(&difference.new);
    if difference.pointer.is_empty() {
        return format!("  {place} -> {new}");
    }
    format!("  {place}: {} -> {new}", shown(&difference.old))
}

pub(super) fn gaps(gaps: &Gaps) -> String {
    let mut parts = vec![format!(
        "at {}: {} of {} rollouts lack something",
        gaps.at,
        gaps.rollouts.len(),
        gaps.rollouts_looked_at
    )];
    parts.extend(gaps.rollouts.iter().map(rollout_gaps));
    let loose = gaps.flags_without_rollout.iter();
    parts.extend(loose.map(|flag| {
        format!(
            "flag {} moved and belongs to no rollout: {}",
            flag.flag,
            cited(Some(&flag.newest_change))
        )
    }));
    parts.extend(gaps.row_gaps.iter().map(|gap| {
        format!(
            "rows {} to {} of {} in {}: {} missing in {} ({})",
            gap.after + 1,
            gap.before.saturating_sub(1),
            gap.service,
            gap.environment,
            gap.rows,
            gap.file_name,
            cited(Some(&gap.import))
        )
    }));
    parts.extend(gaps.sources.iter().map(|source| {
        let state = word(&source.state).replace('_', " ");
        format!(
            "source {}: {state}: {} ({})",
            source.source,
            source.why,
            cited(Some(&source.newest))
        )
    }));
    if !gaps.cut_off.is_empty() {
        parts.push(format!("cut off at the limit: {}", gaps.cut_off.join(", ")));
    }
    if let Some(next) = &gaps.page.next_after {
        parts.push(format!("more rollouts with --after {next}"));
    }
    parts.join("\n")
}

fn rollout_gaps(gaps: &RolloutGaps) -> String {
    let newest = cited(gaps.newest.as_ref());
    let mut lines = vec![format!("{} ({})", gaps.rollout, word(&gaps.status).replace('_', " "))];
    if let Some(days) = gaps.quiet_for_days {
        lines.push(format!("  quiet for {days} days: {newest}"));
    }
    for missing in &gaps.results_missing {
        let (stage, attempt) = (&missing.stage, missing.attempt);
        let by = cited(Some(&missing.started));
        lines.push(format!("  no results of {stage}, attempt {attempt}: {by}"));
    }
    for missing in &gaps.snapshots_missing {
        let due = missing.due.map_or_else(String::new, |due| format!(", due {due}"));
        lines.push(format!("  snapshot {} is {}{due}", missing.checkpoint, word(&missing.state)));
    }
    for loose in &gaps.flags_moved_without_stage {
        lines.push(format!("  {}: {} ({})", loose.flag, loose.why, cited(loose.change.as_ref())));
    }
    for open in &gaps.open_conditions {
        let since = open.open_for.as_ref().map_or_else(String::new, |s| format!(", for {s}"));
        let by = cited(Some(&open.decision));
        lines.push(format!("  open condition{since}: {} ({by})", open.condition));
    }
    lines.join("\n")
}
