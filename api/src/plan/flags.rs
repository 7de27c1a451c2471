//! The names of flags: in tables, in lists, in backticks, in running text.

use std::sync::LazyLock;

use regex::Regex;
use schemas::values::{FieldKind, PlanValue};

use super::{
    items::whole,
    labels::{self, Labelled},
    outline::{Block, Item},
    reader::{Context, Place, Reader},
    sheet::Want,
    text::Span,
};
use crate::words::{self, Filled};

/// A name in backticks, or a word with underscores or inner capitals.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"`([A-Za-z][A-Za-z0-9_.:-]{2,99})`|\b([A-Za-z][a-z0-9]*(?:_[A-Za-z0-9]+){2,})\b|\b([a-z]+[a-z0-9]*(?:[A-Z][a-z0-9]+){2,})\b",
    )
    .expect("the pattern is valid: a test uses it")
});

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"https?://[^\s)>\]]+").expect("the pattern is valid: a test uses it")
});

/// How far below a line that speaks of flags a name alone is one.
const NEAR_LINES: usize = 12;

impl Reader<'_> {
    /// The places of flag names in a text; names inside of links' targets are none.
    fn names(&self, span: Span) -> Vec<Span> {
        let text = self.sheet.of(span);
        let urls: Vec<_> = URL.find_iter(text).map(|m| m.range()).collect();
        NAME.captures_iter(text)
            .filter_map(|found| found.iter().skip(1).flatten().next())
            .filter(|name| !urls.iter().any(|url| url.contains(&name.start())))
            .filter(|name| {
                name.as_str().contains(['_', '-']) || name.as_str().chars().any(char::is_uppercase)
            })
            .map(|name| Span::new(span.start + name.start(), span.start + name.end()))
            .collect()
    }

    fn known_flag(&self, name: &str) -> bool {
        self.sheet
            .fields
            .iter()
            .any(|f| f.path.starts_with("flags/") && f.path.ends_with("/name") && f.raw == name)
    }

    fn flag(&mut self, name: Span) -> Option<String> {
        let text = self.sheet.of(name).to_owned();
        if self.known_flag(&text) {
            return None;
        }
        let base = self.sheet.next("flags");
        let value = Some(PlanValue::Text(text));
        self.sheet.put(&format!("{base}/name"), None, name, FieldKind::Value, value);
        Some(base)
    }

    /// A row of a table of flags.
    pub(crate) fn flag_row(&mut self, row: &[Span]) {
        let Some(cell) = row.first() else { return };
        let name = match (self.names(*cell).first(), words::filled(self.sheet.of(*cell))) {
            (Some(name), _) => *name,
            (None, Filled::Value(name)) => {
                cell.slice_of(self.sheet.text, name.trim_matches(['`', '*', '~', ' ']))
            }
            _ => *cell,
        };
        let base = self.sheet.next("flags");
        self.sheet.structure(*cell);
        self.sheet.fill(&format!("{base}/name"), None, name, Want::Text);
        for description in row.iter().skip(1) {
            self.sheet.fill(&format!("{base}/description"), None, *description, Want::Text);
        }
    }

    /// An item in a section about flags.
    pub(crate) fn flag_item(&mut self, item: &Item, here: &Context) {
        let text = whole(item);
        let names = self.names(text);
        let mut base = None;
        for name in &names {
            base = self.flag(*name).or(base);
        }
        self.flag_prose(text, here);
        // What stands under one flag describes it.
        let described = item.blocks.iter().all(
            |b| matches!(b, Block::Item(i) if self.names(i.text).is_empty() && i.tick.is_none()),
        );
        match base.filter(|_| names.len() == 1 && described) {
            Some(base) => {
                for below in item.items() {
                    self.sheet.fill(&format!("{base}/description"), None, whole(below), Want::Text);
                    self.blocks(&below.blocks, here);
                }
            }
            None => self.blocks(&item.blocks, here),
        }
    }

    fn flag_prose(&mut self, text: Span, here: &Context) {
        if text.is_empty() {
            return;
        }
        let path = self.sheet.next(&format!("other/{}", here.slug));
        match words::filled(self.sheet.of(text)) {
            Filled::Value(_) => self.sheet.prose(&path, text),
            _ => drop(self.sheet.fill(&path, None, text, Want::Text)),
        }
    }

    /// `Feature toggle: name`, and what stands under it.
    pub(crate) fn flag_line(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        self.sheet.structure(found.label);
        let below = Context { place: Place::Flags, ..here.clone() };
        if !found.value.is_empty() {
            let names = self.names(found.value);
            for name in &names {
                self.flag(*name);
            }
            if names.is_empty() {
                let base = self.sheet.next("flags");
                self.sheet.fill(
                    &format!("{base}/name"),
                    Some(found.label),
                    found.value,
                    Want::Text,
                );
            } else {
                self.flag_prose(found.value, here);
            }
        }
        self.blocks(blocks, &below);
    }

    /// Flags that are named anywhere else in the plan: on a line that speaks of a flag, or alone on
    /// a line not far below such a line.
    pub(crate) fn flags_in_prose(&mut self, lines: &[Span]) {
        let mut spoken_of = usize::MAX;
        for line in lines {
            let words = labels::normal(self.sheet.of(*line));
            let speaks = ["toggle", "flag", "flipper"].iter().any(|word| words.contains(word));
            spoken_of = if speaks { 0 } else { spoken_of.saturating_add(1) };
            let bare = self.sheet.of(*line).trim_matches('`');
            for name in self.names(*line) {
                let alone = spoken_of <= NEAR_LINES
                    && self.sheet.of(name) == bare
                    && bare.matches('_').count() >= 2;
                if speaks || alone {
                    self.flag(name);
                }
            }
        }
    }
}
