//! `plan lint|import|export`.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use anyhow::Context as _;
use projector::rollout::Rollout;
use schemas::{
    CloudEvent, Event, RolloutId,
    values::{FieldKind, PlanField, Redaction},
};
use serde_json::{Value, json};

use super::rollout::rollout_id;
use crate::{
    config::Plan as Command,
    context::Context,
    exit::{Code, fail},
    guard,
    history::History,
    intake::own::Own,
    output,
    plan::{
        self, Plan, copies, derive::ImportContext, fill, identity, lint::Lint, moved::Moved,
        revise, text,
    },
    progress,
    record::person,
};

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Lint { file } => lint(context, &file),
        Command::Import { file, rollout, actor, commit, redact, redact_lines } => {
            let import = Import { file: &file, rollout, actor, commit, redact, redact_lines };
            import.run(context)
        }
        Command::Export { id, revision, append } => export(context, &id, revision, append),
    }
}

/// Reads a plan file, no more than a plan may have.
fn read(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).with_context(|| format!("cannot read {shown}"))?;
    let limit = text::PLAN_SIZE_MAX as u64 + 1;
    opened.take(limit).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    let text = text::accept(&bytes).map_err(|e| fail(Code::Failure, format!("{shown}: {e}")))?;
    Ok(text.to_owned())
}

fn lint(context: &Context, file: &Path) -> anyhow::Result<()> {
    let text = read(file)?;
    // What an import would refuse is named by line and rule, and not repeated.
    let (shown, _) = guard::redact(&text, &guard::scan(&text));
    let lint = Lint::of(&plan::read(&shown), &text);
    output::object(context.format, &lint, || lint_words(&lint))?;
    Ok(())
}

fn lint_words(lint: &Lint) -> String {
    let title = lint.title.as_deref().unwrap_or("(no title)");
    let mut out = vec![title.to_owned()];
    out.push(format!("flags: {}", list(&lint.flags)));
    out.push(format!("stages: {}", list(&lint.stages)));
    let (blanks, unread) = (lint.blanks.len(), lint.unread.len());
    out.push(format!("{} fields understood, {blanks} blank, {unread} unread", lint.understood));
    let mut part = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push(format!("\n{title}"));
            out.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
    };
    let understood = lint.fields.iter().filter(|f| f.value.is_some());
    let value = |f: &PlanField| format!("line {}: {} = {}", f.line, f.path, short(&f.raw));
    part("UNDERSTOOD", understood.map(value).collect());
    let place = |line: u64, path: &str, label: &Option<String>| {
        format!("line {line}: {path} {}", label.as_deref().map(short).unwrap_or_default())
    };
    part("BLANK", lint.blanks.iter().map(|f| place(f.line, &f.path, &f.label)).collect());
    let unread = lint.unread.iter().map(|f| format!("line {}: {}", f.line, short(&f.raw)));
    part("UNREAD", unread.collect());
    let warnings = lint.warnings.iter();
    part(
        "WARNINGS",
        warnings.map(|w| format!("line {}: {} [{}]", w.line, w.message, w.code)).collect(),
    );
    let people = lint.people.iter().map(|p| format!("line {}: {}", p.line, p.why));
    part("PROBABLY NAMES A PERSON (--redact-lines withholds a line)", people.collect());
    let data = lint.personal_data.iter().map(|f| format!("line {}: rule {}", f.line, f.rule));
    part("PERSONAL DATA (an import refuses it; --redact replaces it)", data.collect());
    out.join("\n")
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// One line of at most eighty characters.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

struct Import<'a> {
    file: &'a Path,
    rollout: Option<String>,
    actor: Option<String>,
    commit: Option<String>,
    redact: bool,
    redact_lines: Vec<u64>,
}

/// A plan as it was read, and what is to be recorded of it.
struct Read {
    plan: Plan,
    import: ImportContext,
    new: Vec<CloudEvent>,
}

impl Import<'_> {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let read = progress::timed("reading the plan", || self.read(context))?;
        let Read { plan, import, new } = read;
        let recorded = if new.is_empty() { 0 } else { record(context, &new)? };
        let revision = if new.is_empty() { import.revision - 1 } else { import.revision };
        self.report(context, &plan, &import.text, (&import.rollout, revision, recorded))
    }

    /// Reads the file beside what is recorded of the rollout, and records nothing.
    fn read(&self, context: &Context) -> anyhow::Result<Read> {
        let (text, redactions) = self.text()?;
        let mut plan = plan::read(&text);
        if !plan.fields.iter().any(|field| field.kind == FieldKind::Value) {
            let shown = self.file.display();
            let what = format!("{shown} says nothing that a plan would say; nothing was recorded");
            return Err(fail(Code::Failure, format!("{what}; `plan lint` shows what is read")));
        }
        let id = self.id()?;
        let history = context.history()?;
        plan.warnings.extend(copies::warnings(&plan.fields, &other_plans(&history, &id)?));
        plan.warnings.sort_by_key(|warning| warning.line);
        let events =
            history.of_rollouts(std::slice::from_ref(&id))?.remove(&id).unwrap_or_default();
        let rollout = Rollout::fold(&events);
        let import = ImportContext {
            rollout: id,
            file_name: self.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            commit: self.commit.clone(),
            revision: rollout.plan.newest().map_or(1, |newest| newest.number + 1),
            actor: self.actor.as_deref().map(person),
            digest: plan::digest(&text),
            text,
            redactions,
            time_zone: plan::TIME_ZONE.parse().ok(),
        };
        let new = self.events(&plan, &import, &rollout, &history)?;
        if let Some(newest) = rollout.plan.newest().filter(|_| !new.is_empty()) {
            let moved = Moved::between(&newest.fields, &plan.fields);
            plan.warnings.extend(moved.warnings(&plan.fields));
            plan.warnings.sort_by_key(|warning| warning.line);
        }
        Ok(Read { plan, import, new })
    }

    /// The text that is recorded: without personal data.
    fn text(&self) -> anyhow::Result<(String, Vec<Redaction>)> {
        let text = read(self.file)?;
        let (text, mut redactions) = guard::withhold_lines(&text, &self.redact_lines);
        let findings = guard::scan(&text);
        if findings.is_empty() {
            return Ok((text, redactions));
        }
        if !self.redact {
            let places: Vec<_> = findings
                .iter()
                .map(|f| format!("line {} (rule {})", guard::line_of(&text, f.start), f.rule))
                .collect();
            let shown = self.file.display();
            return Err(fail(
                Code::Policy,
                format!(
                    "{shown} holds what looks like personal data: {}; nothing was recorded; take \
                     it out, or import with --redact",
                    places.join(", ")
                ),
            ));
        }
        let (text, more) = guard::redact(&text, &findings);
        redactions.extend(more);
        Ok((text, redactions))
    }

    fn id(&self) -> anyhow::Result<RolloutId> {
        if let Some(id) = &self.rollout {
            return rollout_id(id);
        }
        // A relative path may hide the folder's name.
        let file = fs::canonicalize(self.file).unwrap_or_else(|_| self.file.to_owned());
        identity::rollout_id(&file).ok_or_else(|| {
            fail(Code::Usage, "the file's name gives no rollout id; say --rollout ID")
        })
    }

    fn events(
        &self,
        plan: &Plan,
        import: &ImportContext,
        rollout: &Rollout,
        history: &History,
    ) -> anyhow::Result<Vec<CloudEvent>> {
        let Some(newest) = rollout.plan.newest() else {
            return Ok(plan::derive::events(plan, import));
        };
        if self.rollout.is_none() && !identity::agree(&newest.fields, &plan.fields) {
            let id = &import.rollout;
            return Err(fail(
                Code::Conflict,
                format!(
                    "there is a rollout {id} with another title or other flags; nothing was \
                     recorded; if this file revises it say --rollout {id}, else --rollout ANOTHER-ID"
                ),
            ));
        }
        let before = revise::Before {
            revision: newest.number,
            seq: newest.from.seq,
            hash: history.hash_of(newest.from.seq)?.to_string().parse().ok(),
            digest: newest.digest.parse().map_err(|e| anyhow::anyhow!("a digest {e}"))?,
            reader_version: newest.reader_version,
            fields: &newest.fields,
        };
        let known = |field: &PlanField| fill::already_known(rollout, field);
        Ok(revise::revise(&before, plan, import, &known))
    }

    fn report(
        &self,
        context: &Context,
        plan: &Plan,
        text: &str,
        (id, revision, recorded): (&RolloutId, u64, usize),
    ) -> anyhow::Result<()> {
        let lint = Lint::of(plan, text);
        let done = json!({
            "rollout": id, "revision": revision, "recorded": recorded,
            "blanks": lint.blanks, "unread": lint.unread, "warnings": lint.warnings,
            "people": lint.people, "digest": lint.digest,
        });
        output::object(context.format, &done, || {
            let (blanks, unread) = (lint.blanks.len(), lint.unread.len());
            let mut lines = vec![id.to_string()];
            lines.push(match recorded {
                0 => format!("revision {revision} has these bytes already; nothing was recorded"),
                _ => format!("revision {revision}: {recorded} events recorded"),
            });
            let understood = lint.understood;
            lines.push(format!("{understood} fields understood, {blanks} blank, {unread} unread"));
            let warnings = lint.warnings.iter();
            lines.extend(warnings.map(|w| format!("warning, line {}: {}", w.line, w.message)));
            let unread = lint.unread.iter();
            lines.extend(unread.map(|f| format!("unread, line {}: {}", f.line, short(&f.raw))));
            lines.push(format!("next: rollout-ledger rollout show {id}"));
            lines.join("\n")
        })?;
        let people = lint.people.iter().filter(|p| !self.redact_lines.contains(&p.line)).count();
        if people > 0 {
            output::say(&format!(
                "{people} lines probably name a person; `plan lint` lists them and --redact-lines \
                 withholds them"
            ))?;
        }
        Ok(())
    }
}

/// The newest fields of every other rollout's plan.
fn other_plans(
    history: &History,
    id: &RolloutId,
) -> anyhow::Result<BTreeMap<String, Vec<PlanField>>> {
    let mut plans = BTreeMap::new();
    for event in history.of_types(|name| name.starts_with("rollout.plan."))? {
        let Some(other) = event.subject.as_ref().filter(|subject| *subject != id) else { continue };
        let fields = match event.known() {
            Some(Event::PlanImported(plan)) => plan.fields.clone(),
            Some(Event::PlanRevised(plan)) => plan.fields.clone(),
            _ => continue,
        };
        plans.insert(other.to_string(), fields);
    }
    Ok(plans)
}

fn record(context: &Context, events: &[CloudEvent]) -> anyhow::Result<usize> {
    let values: Vec<Value> = events.iter().map(CloudEvent::to_value).collect();
    let mut appender = context.appender()?;
    let receipts = progress::timed("recording the plan", || appender.append(&values, Own::Import));
    appender.close()?;
    Ok(receipts?.iter().filter(|receipt| !receipt.duplicate).count())
}

fn export(context: &Context, id: &str, revision: Option<u64>, append: bool) -> anyhow::Result<()> {
    let id = rollout_id(id)?;
    let rollout = Rollout::fold(&context.history()?.of_rollout(&id)?);
    let revisions = &rollout.plan.revisions;
    let chosen = match revision {
        Some(number) => revisions.iter().find(|r| r.number == number),
        None => rollout.plan.newest(),
    };
    let Some(chosen) = chosen else {
        let numbers: Vec<_> = revisions.iter().map(|r| r.number.to_string()).collect();
        let there = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
        let what = format!("{id} has no such revision of a plan; there are: {there}");
        return Err(fail(Code::NotFound, what));
    };
    if revision.is_some() {
        output::print_bytes(chosen.text.as_bytes())?;
        return Ok(());
    }
    let filled = fill::fill(&chosen.text, &chosen.fields, &rollout);
    output::print_bytes(filled.text.as_bytes())?;
    if append {
        output::print_bytes(fill::appendix(&filled).as_bytes())?;
    }
    output::say(&format!("{} blanks filled", filled.filled.len()))?;
    for fact in filled.unplaced.iter().filter(|_| !append) {
        let seqs: Vec<_> = fact.seqs.iter().map(ToString::to_string).collect();
        let what = &fact.what;
        output::say(&format!("no place in the plan: {what} (entry {})", seqs.join(", ")))?;
    }
    Ok(())
}
