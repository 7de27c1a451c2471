//! Labels and what stands behind them: plans and results of stages, checkpoints, the rollout.

use schemas::values::{FieldKind, PlanValue};

use super::{
    items::whole,
    labels::{self, Label, Labelled},
    outline::{Block, Item},
    reader::{Context, Part, Place, Reader, gate_of},
    sheet::Want,
    text::Span,
};
use crate::words::{self, Filled};

/// Labels whose answers may run over several lines.
const WORDY: &[Label] = &[
    Label::Recruit,
    Label::Conduct,
    Label::Access,
    Label::Method,
    Label::Errors,
    Label::ChangesDetail,
    Label::Criteria,
    Label::Dashboards,
    Label::Changes,
    Label::Processing,
    Label::RollbackText,
];

impl Reader<'_> {
    /// Reads a line with a known label, and what stands under it.
    pub(crate) fn labelled(
        &mut self,
        label: Label,
        found: Labelled,
        blocks: &[Block],
        more: &[Span],
        here: &Context,
    ) {
        let value = self.with_more(label, found, more);
        let found = Labelled { value, ..found };
        match label {
            Label::Bugs => self.bugs(found, blocks, here),
            Label::Metrics => self.metrics(found, blocks, here),
            Label::Criteria => self.criteria(found, blocks, here),
            Label::Dashboards => self.each("rollout/dashboards", found, blocks, here),
            Label::GoNoGo => self.verdict(found, blocks, here),
            Label::Flags => {
                self.flag_line(found, blocks, here);
            }
            Label::Kpi => {
                let path = self.sheet.next("kpis");
                self.one(&path, Want::Text, found, blocks, here);
            }
            Label::KpiActual => {
                let path = self.sheet.next(&format!("{}/kpis", results_base(here)));
                self.one(&path, Want::Quantity, found, blocks, here);
            }
            Label::Staged => {
                self.sheet.structure(found.label);
                if !found.value.is_empty() {
                    self.staged_answer(found.value);
                }
                self.blocks(blocks, &Context { place: Place::Staged, ..here.clone() });
            }
            Label::RollbackText => {
                let below = Context { place: Place::Rollback("plan"), ..here.clone() };
                self.sheet.structure(found.label);
                if !found.value.is_empty() {
                    self.sheet.fill(
                        "rollback/plan/text",
                        Some(found.label),
                        found.value,
                        Want::Text,
                    );
                }
                self.blocks(blocks, &below);
            }
            _ => {
                let unique = labels::normal(self.sheet.of(found.label)).contains("unique");
                let (path, want) = match (label, &here.place) {
                    // Without a heading for results, how many came stands beside the plan.
                    (Label::Users, Place::Stage { part: Part::Open, .. })
                        if unique && !self.asks_for_users(found) =>
                    {
                        target(Label::ActualUsers, here)
                    }
                    _ => target(label, here),
                };
                self.one(&path, want, found, blocks, here);
            }
        }
    }

    /// Whether a label asks how many users are wanted.
    fn asks_for_users(&self, found: Labelled) -> bool {
        let words = labels::normal(self.sheet.of(found.label));
        ["desired", "expected", "planned", "target"].iter().any(|word| words.contains(word))
    }

    /// The value with the lines that run on from it; a stray line is kept, with a warning.
    fn with_more(&mut self, label: Label, found: Labelled, more: &[Span]) -> Span {
        let Some((first, last)) = more.first().zip(more.last()) else { return found.value };
        if found.value.is_empty() {
            return Span::new(first.start, last.end);
        }
        if WORDY.contains(&label) {
            return Span::new(found.value.start, last.end);
        }
        for line in more {
            let path = self.sheet.next("other/stray");
            self.sheet.put(&path, Some(found.label), *line, FieldKind::Prose, None);
            let words = "a line that runs on after an answer; it is kept with it and not read";
            self.sheet.warn("stray_text", line.start, words);
        }
        found.value
    }

    /// A label with one answer: behind it, or under it.
    fn one(&mut self, path: &str, want: Want, found: Labelled, blocks: &[Block], here: &Context) {
        if !found.value.is_empty() {
            self.sheet.fill(path, Some(found.label), found.value, want);
            if want == Want::Duration {
                self.dates_in_length(path, found.value);
            }
            return self.beside(path, found, blocks, here);
        }
        let mut answered = false;
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if self.is_own(item, here) => {
                    self.blocks(blocks.get(at..=at).unwrap_or_default(), here);
                }
                Block::Item(item) if !item.text.is_empty() => {
                    let text = whole(item);
                    // The words of a label without colon are often its first answer's start.
                    self.sheet.fill(path, Some(found.label), text, want);
                    if want == Want::Duration {
                        self.dates_in_length(path, text);
                    }
                    answered = true;
                    self.beside(path, found, &item.blocks, here);
                }
                Block::Item(item) => self.blocks(&item.blocks, here),
                other => self.blocks(std::slice::from_ref(other), here),
            }
        }
        if !answered {
            self.sheet.put(path, Some(found.label), found.value, FieldKind::Blank, None);
        }
    }

    /// A stage's length is often given as its dates; then the dates stand there as well.
    fn dates_in_length(&mut self, path: &str, span: Span) {
        let raw = self.sheet.of(span);
        let Filled::Value(answer) = words::filled(raw) else { return };
        let Some(window) = self.sheet.window(answer, span.start) else { return };
        if let Some(base) = path.strip_suffix("/length").filter(|b| b.ends_with("/planning")) {
            let value = Some(PlanValue::Window(window));
            self.sheet.put(&format!("{base}/dates"), None, span, FieldKind::Value, value);
        }
    }

    /// Whether an item under a label says something else: a known label, a checkbox, a stage.
    pub(crate) fn is_own(&self, item: &Item, here: &Context) -> bool {
        let known = labels::split(self.sheet.text, item.text)
            .is_some_and(|f| labels::find(self.sheet.of(f.label)).is_some());
        let share = matches!(here.place, Place::Rollout)
            && matches!(
                super::headings::role(self.sheet.of(item.text)),
                super::headings::Role::Stage(_)
            );
        item.tick.is_some() || known || share || self.is_stage_item(item)
    }

    /// What stands under a label that has its answer already.
    fn beside(&mut self, path: &str, found: Labelled, blocks: &[Block], here: &Context) {
        let notes = match &here.place {
            Place::Stage { key, part: Part::Results } => format!("stages/{key}/results/other"),
            Place::Stage { key, .. } => format!("stages/{key}/planning/note"),
            Place::Checkpoint(distance) => format!("checkpoints/{distance}/other"),
            _ => format!("other/{}", here.slug),
        };
        let repeats = path.ends_with("/errors") || path.ends_with("/changes_detail");
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if !self.is_own(item, here) && !item.text.is_empty() => {
                    let path = if repeats { path.to_owned() } else { self.sheet.next(&notes) };
                    let label = item.marker.map(|_| found.label);
                    self.line(&path, label, whole(item));
                    self.beside(&path, found, &item.blocks, here);
                }
                _ => self.blocks(blocks.get(at..=at).unwrap_or_default(), here),
            }
        }
    }

    /// A label with a list of answers; each gets a number.
    fn each(&mut self, base: &str, found: Labelled, blocks: &[Block], here: &Context) {
        let items: Vec<&Block> = blocks.iter().collect();
        if !found.value.is_empty() || items.is_empty() {
            let path = self.sheet.next(base);
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        } else {
            self.sheet.structure(found.label);
        }
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if !self.is_own(item, here) => {
                    let path = self.sheet.next(base);
                    self.sheet.fill(&path, None, whole(item), Want::Text);
                    let below = Labelled { label: item.text, value: Span::at(item.text.end) };
                    if !item.blocks.is_empty() {
                        self.each(base, below, &item.blocks, here);
                    }
                }
                _ => self.blocks(blocks.get(at..=at).unwrap_or_default(), here),
            }
        }
    }

    /// The verdict of a go/no-go.
    fn verdict(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        let gate = gate_of(&here.place);
        let raw = self.sheet.of(found.value);
        let path = format!("gates/{gate}/verdict");
        let meeting = labels::normal(self.sheet.of(found.label)).contains("meeting");
        if found.value.is_empty() && self.sheet.of(found.label).starts_with('[') {
            // A link to where it was talked about.
            let path = self.sheet.next(&format!("gates/{gate}/note"));
            self.sheet.prose(&path, found.label);
            return self.blocks(blocks, here);
        }
        if found.value.is_empty() && meeting {
            // It names the meeting and does not ask for its verdict.
            self.sheet.structure(found.label);
            self.gate_date(gate, found.label);
            return self.blocks(blocks, here);
        }
        if let Some(len) = choice(raw) {
            let (blank, rest) =
                (found.value.first(len), found.value.skip(len).trim(self.sheet.text));
            self.sheet.put(&path, Some(found.label), blank, FieldKind::Blank, None);
            if !rest.is_empty() {
                self.sheet.put(&format!("{path}/guidance"), None, rest, FieldKind::Guidance, None);
            }
        } else if is_verdict(raw) || !matches!(words::filled(raw), Filled::Value(_)) {
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        } else if words::window(raw, None).is_some() {
            let path = format!("gates/{gate}/date");
            self.sheet.fill(&path, Some(found.label), found.value, Want::Occurrence);
        } else {
            let path = self.sheet.next(&format!("gates/{gate}/note"));
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        }
        let slug = format!("{gate}-gate");
        let below = Context { place: Place::Gate(gate), slug, group: None, shows: here.shows };
        self.blocks(blocks, &below);
    }
}

/// The length of the choice that waits to be made: `(ready / not ready)`, `Go / No Go`.
fn choice(raw: &str) -> Option<usize> {
    let options: Vec<&str> = raw.trim_matches(['`', '*', '_']).split('/').collect();
    if options.len() > 1 && options.iter().all(|option| is_verdict(option)) {
        return Some(raw.len());
    }
    let plain = raw.replace('\\', " ").to_lowercase();
    let end = plain.find("not ready")? + "not ready".len();
    let waits =
        plain.trim_start().starts_with("(ready") || plain.trim_start().starts_with("ready /");
    let closing = plain.get(end..)?.find(')').map_or(0, |at| at + 1);
    (waits && closing <= 2).then_some(end + closing)
}

/// Whether words are a verdict at all.
pub(crate) fn is_verdict(raw: &str) -> bool {
    let words = labels::normal(raw);
    let first: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).collect();
    let known = [
        "go",
        "no",
        "nogo",
        "launch",
        "pause",
        "pivot",
        "deferred",
        "postponed",
        "conditional",
        "ready",
        "approved",
    ];
    first.first().is_some_and(|word| known.contains(word))
}

/// Where results of this place go.
pub(crate) fn results_base(here: &Context) -> String {
    match &here.place {
        Place::Stage { key, .. } => format!("stages/{key}/results"),
        Place::Checkpoint(distance) => format!("checkpoints/{distance}"),
        _ => format!("other/{}", here.slug),
    }
}

/// The place of a label's answer, and what is asked for.
fn target(label: Label, here: &Context) -> (String, Want) {
    let planning = |leaf: &str| match &here.place {
        Place::Stage { key, .. } => format!("stages/{key}/planning/{leaf}"),
        _ => format!("rollout/{leaf}"),
    };
    let results = |leaf: &str| format!("{}/{leaf}", results_base(here));
    let in_results =
        matches!(here.place, Place::Stage { part: Part::Results, .. } | Place::Checkpoint(_));
    match label {
        Label::ActualDates => (results("dates"), Want::Window),
        Label::Length if in_results => (results("length"), Want::Duration),
        Label::Length => (planning("length"), Want::Duration),
        Label::Exposure => (planning("exposure"), Want::Exposures),
        Label::Users if in_results => (results("unique_users"), Want::Quantity),
        Label::Users | Label::PlannedUsers => (planning("users"), Want::Quantity),
        Label::ActualUsers => (results("unique_users"), Want::Quantity),
        Label::BugsFixed => (results("bugs_fixed"), Want::Quantity),
        Label::Recruit => (planning("recruit"), Want::Text),
        Label::Conduct => (planning("conduct"), Want::Text),
        Label::Access => (planning("access"), Want::Text),
        Label::Method => (planning("method"), Want::Text),
        Label::Monitors => ("rollout/monitors".to_owned(), Want::Text),
        Label::Downstream => (results("downstream"), Want::Answer),
        Label::Processing => (results("processing"), Want::Answer),
        Label::Errors => (results("errors"), Want::Text),
        Label::Changes => (results("changes"), Want::Answer),
        Label::ChangesDetail => (results("changes_detail"), Want::Text),
        Label::Latency => (results("latency"), Want::Quantity),
        _ => (planning("dates"), Want::Window),
    }
}
