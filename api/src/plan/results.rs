//! Labels and what stands behind them: plans and results of stages, checkpoints, the rollout.

use schemas::values::{FieldKind, PlanValue};

use super::{
    items::whole,
    labels::{self, Label, Labelled},
    outline::{Block, Item},
    reader::{Context, Part, Place, Reader, gate_of},
    sheet::{Want, is_measure},
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
                let (path, want) = target(label, here);
                self.one(&path, want, found, blocks, here);
            }
        }
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
    fn is_own(&self, item: &Item, here: &Context) -> bool {
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

    /// Bugs: how many were identified and fixed, and which.
    fn bugs(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        let base = results_base(here);
        let raw = self.sheet.of(found.value);
        let slash = raw.find('/').filter(|at| {
            let (left, right) =
                (raw.get(..*at).unwrap_or_default(), raw.get(at + 1..).unwrap_or_default());
            let short = |part: &str| part.trim().len() <= 12;
            short(left)
                && right
                    .trim()
                    .chars()
                    .next()
                    .is_some_and(|c| c.is_ascii_digit() || c == '[' || c == '\\' || c == 'x')
        });
        if let Some(at) = slash {
            let left = found.value.first(at).trim(self.sheet.text);
            let right = found.value.skip(at + 1).trim(self.sheet.text);
            self.sheet.fill(
                &format!("{base}/bugs_identified"),
                Some(found.label),
                left,
                Want::Quantity,
            );
            self.sheet.fill(
                &format!("{base}/bugs_fixed"),
                Some(found.label),
                right,
                Want::Quantity,
            );
        } else if found.value.is_empty() || !matches!(words::filled(raw), Filled::Value(_)) {
            self.sheet.fill(
                &format!("{base}/bugs"),
                Some(found.label),
                found.value,
                Want::Quantity,
            );
        } else {
            let path = format!("{base}/bugs_identified");
            self.sheet.fill(&path, Some(found.label), found.value, Want::Quantity);
        }
        self.bug_list(&format!("{base}/bug"), blocks, here);
    }

    fn bug_list(&mut self, base: &str, blocks: &[Block], here: &Context) {
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if item.tick.is_none() && !self.is_stage_item(item) => {
                    let found = labels::split(self.sheet.text, item.text);
                    let known =
                        found.is_some_and(|f| labels::find(self.sheet.of(f.label)).is_some());
                    if known {
                        self.blocks(blocks.get(at..=at).unwrap_or_default(), here);
                        continue;
                    }
                    let path = self.sheet.next(base);
                    self.sheet.fill(&path, None, whole(item), Want::Text);
                    self.blocks(&item.blocks, here);
                }
                _ => self.blocks(blocks.get(at..=at).unwrap_or_default(), here),
            }
        }
    }

    /// `Metrics at this stage`: what is behind the label, and the list under it.
    fn metrics(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        let base = results_base(here);
        let raw = self.sheet.of(found.value);
        let advice = matches!(words::filled(raw), Filled::Guidance(_));
        if advice || !found.value.is_empty() || blocks.is_empty() {
            let path = self.sheet.next(&format!("{base}/metrics"));
            self.sheet.fill(&path, Some(found.label), found.value, Want::Quantity);
        } else {
            self.sheet.structure(found.label);
        }
        let below = here.clone();
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if item.tick.is_none() && !self.is_stage_item(item) => {
                    let split = labels::split(self.sheet.text, item.text);
                    self.result(item, split, &base, &below);
                }
                _ => self.blocks(blocks.get(at..=at).unwrap_or_default(), &below),
            }
        }
    }

    /// A line among results whose label, if any, is the plan's own.
    pub(crate) fn result(
        &mut self,
        item: &Item,
        found: Option<Labelled>,
        base: &str,
        here: &Context,
    ) {
        let text = whole(item);
        let found = found.filter(|f| self.is_label(*f));
        let mut group = None;
        match found {
            _ if text.is_empty() => {
                let path = self.sheet.next(&format!("{base}/metrics"));
                self.sheet.put(&path, here.group, text, FieldKind::Blank, None);
            }
            Some(f) if f.value.is_empty() && !item.blocks.is_empty() => {
                self.sheet.structure(item.text);
                group = Some(f.label);
            }
            Some(f) => {
                let path = self.sheet.next(&format!("{base}/metrics"));
                let value =
                    if f.value.is_empty() { f.value } else { Span::new(f.value.start, text.end) };
                self.sheet.fill(&path, Some(f.label), value, Want::Quantity);
            }
            None if item.marker.is_none()
                && !item.blocks.is_empty()
                && text.end - text.start < 400 =>
            {
                self.sheet.structure(text);
                group = Some(text);
            }
            None => self.unlabelled_result(item, base, here),
        }
        let below = Context { group: group.or(here.group), ..here.clone() };
        for (at, block) in item.blocks.iter().enumerate() {
            match block {
                Block::Item(child) if child.tick.is_none() && !self.is_own(child, here) => {
                    let split = labels::split(self.sheet.text, child.text);
                    self.result(child, split, base, &below);
                }
                _ => self.blocks(item.blocks.get(at..=at).unwrap_or_default(), &below),
            }
        }
    }

    fn unlabelled_result(&mut self, item: &Item, base: &str, here: &Context) {
        let text = whole(item);
        let raw = self.sheet.of(text);
        let number = raw.chars().any(|c| c.is_ascii_digit());
        if item.marker.is_none() && !number {
            let path = self.sheet.next(&format!("{base}/other"));
            return match words::filled(raw) {
                Filled::Value(_) => self.sheet.prose(&path, text),
                _ => drop(self.sheet.fill(&path, None, text, Want::Text)),
            };
        }
        if is_name(raw) {
            // The name of a measurement, with nothing behind it.
            let path = self.sheet.next(&format!("{base}/metrics"));
            return self.sheet.put(&path, Some(text), Span::at(text.end), FieldKind::Blank, None);
        }
        let measured = is_measure(raw);
        let leaf = if measured { "metrics" } else { "other" };
        let path = self.sheet.next(&format!("{base}/{leaf}"));
        self.sheet.fill(
            &path,
            here.group,
            text,
            if measured { Want::Quantity } else { Want::Text },
        );
    }

    /// The verdict of a go/no-go.
    fn verdict(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        let gate = gate_of(&here.place);
        let raw = self.sheet.of(found.value);
        let path = format!("gates/{gate}/verdict");
        if let Some(len) = choice(raw) {
            let (blank, rest) =
                (found.value.first(len), found.value.skip(len).trim(self.sheet.text));
            self.sheet.put(&path, Some(found.label), blank, FieldKind::Blank, None);
            if !rest.is_empty() {
                self.sheet.put(&format!("{path}/guidance"), None, rest, FieldKind::Guidance, None);
            }
        } else if is_verdict(raw) || !matches!(words::filled(raw), Filled::Value(_)) {
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        } else {
            let path = self.sheet.next(&format!("gates/{gate}/note"));
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        }
        let slug = format!("{gate}-gate");
        let below = Context { place: Place::Gate(gate), slug, group: None, shows: here.shows };
        self.blocks(blocks, &below);
    }
}

/// Whether a line only names what is to be measured.
fn is_name(raw: &str) -> bool {
    let words = labels::normal(raw);
    let link_alone = raw.starts_with('[') && raw.ends_with(')');
    let answers = ["no ", "none", "nothing", "only ", "all ", "n/a", "not "];
    !link_alone
        && !words.contains(|c: char| c.is_ascii_digit())
        && !raw.ends_with(['.', '!'])
        && !answers.iter().any(|a| words.starts_with(a))
        && words.split(' ').count() <= 8
        && matches!(words::filled(raw), Filled::Value(_))
}

/// The length of the choice `(ready / not ready)` that waits to be made.
fn choice(raw: &str) -> Option<usize> {
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
        Label::Users => (planning("users"), Want::Quantity),
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
