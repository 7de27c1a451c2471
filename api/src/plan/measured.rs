//! What a stage or a checkpoint showed under the plan's own names: bugs, metrics, other results.

use schemas::values::FieldKind;

use super::{
    items::whole,
    labels::{self, Labelled},
    outline::{Block, Item},
    reader::{Context, Reader},
    results::results_base,
    sheet::{Want, is_measure},
    text::Span,
};
use crate::words::{self, Filled};

impl Reader<'_> {
    /// Bugs: how many were identified and fixed, and which.
    pub(crate) fn bugs(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
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
    pub(crate) fn metrics(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
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
            None if self.names_what_follows(item) => {
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

    /// Whether a paragraph's line only names the results under it, which have no labels themselves.
    fn names_what_follows(&self, item: &Item) -> bool {
        let unlabelled = |below: &Item| {
            below.text.is_empty() || labels::split(self.sheet.text, below.text).is_none()
        };
        item.marker.is_none() && item.items().next().is_some_and(unlabelled)
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
}

/// Whether a line only names what is to be measured.
fn is_name(raw: &str) -> bool {
    let words = labels::normal(raw);
    let link_alone = raw.starts_with("![") || raw.starts_with('[') && raw.ends_with(')');
    let answers = ["no ", "none", "nothing", "only ", "all ", "n/a", "not "];
    !link_alone
        && !words.contains(|c: char| c.is_ascii_digit())
        && !raw.ends_with(['.', '!'])
        && !answers.iter().any(|a| words.starts_with(a))
        && words.split(' ').count() <= 8
        && matches!(words::filled(raw), Filled::Value(_))
}
