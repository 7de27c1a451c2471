//! Go/no-go: dated decisions one by one, conditions and blockers.

use schemas::values::FieldKind;

use super::{
    items::whole,
    labels::{self, Labelled},
    outline::{Block, Item},
    reader::{Context, Place, Reader},
    results::is_verdict,
    sheet::Want,
};
use crate::words;

impl Reader<'_> {
    /// `8/1/2023: no-go` under a go/no-go. Says whether it was one.
    pub(crate) fn dated_verdict(&mut self, item: &Item, here: &Context) -> bool {
        let Place::Gate(gate) = here.place else { return false };
        let Some(found) = labels::split(self.sheet.text, item.text) else { return false };
        let when = self.sheet.of(found.label);
        let dated = when.chars().any(|c| c.is_ascii_digit()) && words::window(when, None).is_some();
        if !dated || !is_verdict(self.sheet.of(found.value)) {
            return false;
        }
        let when = self.sheet.parse(when, Want::Occurrence, found.label.start);
        let date = format!("gates/{gate}/date");
        // One decision has one date: both get the same number behind them.
        self.sheet.put(&date, None, found.label, FieldKind::Value, Some(when));
        let value = super::text::Span::new(found.value.start, whole(item).end);
        self.sheet.fill(&format!("gates/{gate}/verdict"), None, value, Want::Text);
        self.blocks(&item.blocks, here);
        true
    }

    /// A line of a go/no-go with no label that is known: its conditions, its blockers, or a note.
    pub(crate) fn gate_line(
        &mut self,
        item: &Item,
        found: Option<Labelled>,
        gate: &str,
        here: &Context,
    ) {
        let leaf = found.and_then(|f| match labels::normal(self.sheet.of(f.label)).as_str() {
            "condition" | "conditions" => Some("conditions"),
            "blocker" | "blockers" | "blocking issues" | "launch blockers" => Some("blockers"),
            _ => None,
        });
        let (Some(found), Some(leaf)) = (found, leaf) else {
            let base = format!("other/{}", here.slug);
            return self.note(item, found, &base, here);
        };
        let base = format!("gates/{gate}/{leaf}");
        let behind = super::text::Span::new(found.value.start, whole(item).end);
        if !found.value.is_empty() || item.blocks.is_empty() {
            let path = self.sheet.next(&base);
            let span = if found.value.is_empty() { found.value } else { behind };
            self.sheet.fill(&path, Some(found.label), span, Want::Text);
        } else {
            self.sheet.structure(found.label);
        }
        for (at, block) in item.blocks.iter().enumerate() {
            match block {
                Block::Item(below) if below.tick.is_none() && !below.text.is_empty() => {
                    let path = self.sheet.next(&base);
                    self.sheet.fill(&path, Some(found.label), whole(below), Want::Text);
                    self.blocks(&below.blocks, here);
                }
                _ => self.blocks(item.blocks.get(at..=at).unwrap_or_default(), here),
            }
        }
    }
}
