//! The lines of a section: which label each has, and what it says where it has none.

use schemas::values::{FieldKind, PlanValue};

use super::{
    headings::{Role, role},
    labels::{self, Label, Labelled},
    outline::{Block, Item},
    reader::{Context, Part, Place, Reader},
    results::results_base,
    sheet::Want,
    text::Span,
};
use crate::words::{self, Filled};

/// Longest line, in bytes, that may be a label with a placeholder at its end.
const LABEL_SIZE_MAX: usize = 300;

impl Reader<'_> {
    pub(crate) fn blocks(&mut self, blocks: &[Block], here: &Context) {
        let mut here = here.clone();
        let mut at = 0;
        while let Some(block) = blocks.get(at) {
            at += 1;
            match block {
                Block::Aside { text, code } => self.aside(*text, *code, &here),
                Block::Table(table) => self.table(table, &here),
                Block::Item(item) if self.severity_line(item, &mut here) => {
                    self.blocks(&item.blocks, &here);
                }
                Block::Item(item) => {
                    // A bold line names what comes after it.
                    here.group = self.bold_line(item).or(here.group);
                    let rest = blocks.get(at..).unwrap_or_default();
                    at += self.item(item, rest, &here);
                }
            }
        }
    }

    /// `**High severity**` in the rollback plan: what comes after it is that severity's list.
    fn severity_line(&mut self, item: &Item, here: &mut Context) -> bool {
        let bold = item.marker.is_none() && self.sheet.of(item.text).starts_with("**");
        if !matches!(here.place, Place::Rollback(_)) || !bold {
            return false;
        }
        let words = self.sheet.of(item.text).trim_end_matches([':', ' ']);
        let inner = item.text.first(words.len()).unwrap_emphasis(self.sheet.text);
        let words = labels::normal(self.sheet.of(inner));
        let words = words.trim_end_matches([':', ' ']);
        let alone = ["critical", "high", "medium", "low"].iter().find(|level| **level == words);
        let level = alone.copied().or_else(|| match role(words) {
            Role::Rollback(level) if level != "plan" => Some(level),
            _ => None,
        });
        let Some(level) = level.filter(|_| !self.sheet.of(inner).contains("**")) else {
            return false;
        };
        let value = PlanValue::Text(self.sheet.of(inner).to_owned());
        let path = format!("rollback/{level}/trigger");
        self.sheet.put(&path, None, inner, FieldKind::Value, Some(value));
        *here = Context { place: Place::Rollback(level), group: None, ..here.clone() };
        true
    }

    fn bold_line(&self, item: &Item) -> Option<Span> {
        let inner = item.text.unwrap_emphasis(self.sheet.text);
        let bold = item.marker.is_none() && self.sheet.of(item.text).starts_with("**");
        let named = inner.end - inner.start <= 100 && !self.sheet.of(inner).starts_with('[');
        (bold && inner != item.text && named).then_some(inner)
    }

    fn aside(&mut self, text: Span, code: bool, here: &Context) {
        if !self.sheet.of(text).chars().any(char::is_alphanumeric) {
            self.sheet.structure(text);
            return;
        }
        let path = self.sheet.next(&format!("other/{}", here.slug));
        let kind = if code { FieldKind::Unread } else { FieldKind::Guidance };
        self.sheet.put(&path, None, text, kind, None);
    }

    /// Reads an item. Gives the number of blocks after it that belong to it.
    fn item(&mut self, item: &Item, rest: &[Block], here: &Context) -> usize {
        if item.tick.is_some() {
            self.checkbox(item, here);
            return 0;
        }
        if here.place == Place::Template
            || (item.marker.is_none() && is_advice(self.sheet.of(item.text)))
            || (item.quoted && matches!(here.place, Place::Rollback(_)))
        {
            self.guidance(item, here);
            return 0;
        }
        if self.stage_item(item, here) || self.dated_verdict(item, here) {
            return 0;
        }
        let found = labels::split(self.sheet.text, item.text);
        let label = self.label_of(item, found, here);
        if let Some(label) = label {
            let found = found.filter(|f| labels::find(self.sheet.of(f.label)).is_some());
            let found =
                found.unwrap_or(Labelled { label: item.text, value: Span::at(item.text.end) });
            let adopted = self.adopted(label, found, item, rest, here);
            if adopted.is_empty() {
                self.labelled(label, found, &item.blocks, &item.more, here);
            } else {
                self.labelled(label, found, adopted, &item.more, here);
            }
            return adopted.len();
        }
        let shows =
            matches!(here.place, Place::Stage { part: Part::Results, .. } | Place::Checkpoint(_));
        let bare = found.filter(|f| f.value.is_empty() && shows && item.blocks.is_empty());
        let lines = if bare.is_some() { self.loose_lines(item, rest) } else { 0 };
        match (bare, first_text(rest), last_text(rest.get(..lines).unwrap_or_default())) {
            (Some(f), Some(start), Some(end)) => {
                let path = self.sheet.next(&format!("{}/metrics", results_base(here)));
                self.sheet.fill(&path, Some(f.label), Span::new(start, end), Want::Quantity);
            }
            _ => self.unknown(item, found, here),
        }
        lines
    }

    /// How many paragraph lines after a label on a line of its own are its answer.
    fn loose_lines(&self, item: &Item, rest: &[Block]) -> usize {
        let loose = |block: &&Block| match block {
            Block::Item(next) => {
                next.marker.is_none()
                    && self.bold_line(next).is_none()
                    && next.blocks.is_empty()
                    && !self.sheet.of(next.text).starts_with("**")
                    && labels::split(self.sheet.text, next.text).is_none()
                    && labels::find(self.sheet.of(next.text)).is_none()
            }
            _ => false,
        };
        if item.marker.is_some() { 0 } else { rest.iter().take_while(loose).count() }
    }

    /// The known label that an item begins with, where labels are looked for.
    fn label_of(&self, item: &Item, found: Option<Labelled>, here: &Context) -> Option<Label> {
        let by_split = found.and_then(|f| labels::find(self.sheet.of(f.label)));
        let label = match by_split {
            Some(label) => label,
            // Without a colon only a whole line that is a label counts.
            None => labels::find(self.sheet.of(item.text)).filter(|_| {
                found.is_none_or(|f| f.value.is_empty()) && self.sheet.of(item.text).len() < 160
            })?,
        };
        let listed = matches!(here.place, Place::Criteria | Place::Kpis | Place::Questions);
        let section = matches!(
            label,
            Label::Monitors | Label::Dashboards | Label::Criteria | Label::Method | Label::Dates
        );
        (!listed || section).then_some(label)
    }

    /// The blocks after an empty label that are its answer although they do not stand under it.
    fn adopted<'b>(
        &self,
        label: Label,
        found: Labelled,
        item: &Item,
        rest: &'b [Block],
        here: &Context,
    ) -> &'b [Block] {
        let lists =
            matches!(label, Label::Criteria | Label::Dashboards | Label::Flags | Label::Method);
        let loose =
            matches!(label, Label::Errors | Label::Bugs | Label::Metrics) && item.marker.is_none();
        if !found.value.is_empty() || !item.blocks.is_empty() {
            return &[];
        }
        if !(lists || loose) {
            // `label?` on a line of its own, and its answer as the next line.
            let shows = matches!(
                here.place,
                Place::Stage { part: Part::Results, .. } | Place::Checkpoint(_)
            );
            let len = if shows { self.loose_lines(item, rest).min(1) } else { 0 };
            return rest.get(..len).unwrap_or_default();
        }
        let own = |block: &Block| match block {
            Block::Item(next) => {
                let split = labels::split(self.sheet.text, next.text);
                self.label_of(next, split, &here.with(Place::Rollout)).is_none()
                    && next.tick.is_none()
                    && !self.is_stage_item(next)
            }
            Block::Table(_) => label == Label::Criteria,
            Block::Aside { .. } => false,
        };
        let len = rest.iter().take_while(|block| own(block)).count();
        rest.get(..len).unwrap_or_default()
    }

    fn guidance(&mut self, item: &Item, here: &Context) {
        let path = self.sheet.next(&format!("other/{}", here.slug));
        self.sheet.put(&path, None, whole(item), FieldKind::Guidance, None);
        self.blocks(&item.blocks, here);
    }

    fn checkbox(&mut self, item: &Item, here: &Context) {
        let Some(tick) = item.tick else { return };
        let path = self.sheet.next(&format!("checklist/{}", here.slug));
        let kind = if tick.checked { FieldKind::Value } else { FieldKind::Blank };
        let value = Some(PlanValue::Checked(tick.checked));
        self.sheet.put(&path, Some(whole(item)), tick.span, kind, value);
        self.blocks(&item.blocks, here);
    }

    /// An item with no label that is known.
    fn unknown(&mut self, item: &Item, found: Option<Labelled>, here: &Context) {
        match &here.place {
            Place::Questions => self.question(item, found, here),
            Place::Rollback(list) => self.rollback(item, list, here),
            Place::Flags => self.flag_item(item, here),
            Place::Criteria => self.criterion(item, here),
            Place::Kpis => self.goal(item, here),
            Place::Cleanup => self.cleanup(item, here),
            Place::Staged => self.staged_line(item, here),
            Place::Stage { key, part: Part::Results } => {
                let base = format!("stages/{key}/results");
                self.result(item, found, &base, here);
            }
            Place::Checkpoint(distance) => {
                let base = format!("checkpoints/{distance}");
                self.result(item, found, &base, here);
            }
            Place::Stage { key, part: Part::Open } if self.is_result(found) => {
                let base = format!("stages/{key}/results");
                self.result(item, found, &base, here);
            }
            Place::Gate(gate) => self.gate_line(item, found, gate, here),
            Place::Stage { key, .. } => {
                let base = format!("stages/{key}/planning/note");
                self.note(item, found, &base, here);
            }
            Place::PostLaunch if item.marker.is_some() => self.goal(item, here),
            _ => {
                let base = format!("other/{}", here.slug);
                self.note(item, found, &base, here);
            }
        }
    }

    /// Whether a label is by its nature a result: errors, or a metric of the success criteria.
    fn is_result(&self, found: Option<Labelled>) -> bool {
        let Some(found) = found.filter(|f| !f.value.is_empty()) else { return false };
        let words = labels::normal(self.sheet.of(found.label));
        let mut criteria =
            self.sheet.fields.iter().filter(|f| f.path.starts_with("rollout/criteria/"));
        let named = |label: &String| labels::normal(label) == words;
        let metric = |text: &str| {
            let name = text.split([':', '<', '>']).next().unwrap_or(text);
            labels::normal(name) == words
        };
        matches!(words.as_str(), "errors" | "error rate" | "error count" | "unique visitors")
            || criteria.any(|f| f.label.as_ref().is_some_and(named) || metric(&f.raw))
    }

    /// Something said beside the labels: with a label of its own, a list item, or running text.
    pub(crate) fn note(
        &mut self,
        item: &Item,
        found: Option<Labelled>,
        base: &str,
        here: &Context,
    ) {
        let text = whole(item);
        if text.is_empty() {
            let path = self.sheet.next(base);
            self.sheet.put(&path, here.group, text, FieldKind::Blank, None);
            return self.blocks(&item.blocks, here);
        }
        let path = self.sheet.next(base);
        let label_only = found.is_some_and(|f| f.value.is_empty());
        match found {
            Some(f) if !f.value.is_empty() && self.is_label(f) => {
                self.sheet.fill(
                    &path,
                    Some(f.label),
                    Span::new(f.value.start, text.end),
                    Want::Text,
                );
            }
            Some(f) if label_only && self.is_label(f) && !item.blocks.is_empty() => {
                self.sheet.structure(item.text);
            }
            Some(f) if label_only && self.is_label(f) && item.marker.is_some() => {
                self.sheet.put(&path, Some(f.label), f.value, FieldKind::Blank, None);
            }
            _ if item.marker.is_some() && matches!(here.place, Place::Stage { .. }) => {
                self.sheet.fill(&path, None, text, Want::Text);
            }
            _ => self.line(&path, None, text),
        }
        let group = if label_only { found.map(|f| f.label) } else { None };
        self.blocks(&item.blocks, &here.under(group));
    }

    /// A line without a label of its own: a blank, advice, or prose. What ends with a placeholder
    /// is a label with a blank.
    pub(crate) fn line(&mut self, path: &str, label: Option<Span>, text: Span) {
        match words::filled(self.sheet.of(text)) {
            Filled::Value(_) => match trailing_blank(self.sheet.of(text)) {
                Some(at) => {
                    let label = text.first(at).trim(self.sheet.text);
                    self.sheet.fill(
                        path,
                        Some(label),
                        text.skip(at).trim(self.sheet.text),
                        Want::Text,
                    );
                }
                None if label.is_some() => drop(self.sheet.fill(path, label, text, Want::Text)),
                None => self.sheet.prose(path, text),
            },
            _ => drop(self.sheet.fill(path, label, text, Want::Text)),
        }
    }

    /// Whether what was split off is a label and not the first half of a sentence.
    pub(crate) fn is_label(&self, found: Labelled) -> bool {
        let words = labels::normal(self.sheet.of(found.label));
        words.len() <= 100 && !words.contains(". ")
    }
}

/// Whether a paragraph's line speaks to the plan's author: the template does, a team does not.
fn is_advice(raw: &str) -> bool {
    let words = format!(" {} ", labels::normal(raw));
    let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
    let to_you = has(&[
        " you'll need",
        " you're ",
        " your feature",
        " your product ",
        " your team's",
        " your vsp ",
    ]);
    let own = has(&[" our ", " we ", " we'll ", " i "]);
    (to_you && !own)
        || has(&["sure! if it makes sense", "plan template is for", " use this template"])
}

fn first_text(blocks: &[Block]) -> Option<usize> {
    match blocks.first() {
        Some(Block::Item(item)) => Some(item.text.start),
        _ => None,
    }
}

fn last_text(blocks: &[Block]) -> Option<usize> {
    match blocks.last() {
        Some(Block::Item(item)) => Some(whole(item).end),
        _ => None,
    }
}

/// The text of an item with the lines that go on with it.
pub(crate) fn whole(item: &Item) -> Span {
    Span::new(item.text.start, item.more.last().map_or(item.text.end, |last| last.end))
}

/// Where a placeholder in brackets at the end of a line begins: `Launch ticket [TBD]`.
fn trailing_blank(raw: &str) -> Option<usize> {
    if raw.len() > LABEL_SIZE_MAX || !raw.ends_with([']', '_', '*', '.', ' ']) {
        return None;
    }
    let opening = raw.match_indices('[').map(|(at, _)| at).find(|at| {
        let rest = raw.get(*at..).unwrap_or_default();
        matches!(words::filled(rest), Filled::Blank { placeholder } if placeholder.len() + 1 >= rest.trim_end().len())
    })?;
    let opening = if raw.get(..opening)?.ends_with('\\') { opening - 1 } else { opening };
    (!raw.get(..opening)?.trim().is_empty()).then_some(opening)
}
