//! Lists whose items need no label: questions, rollback steps, criteria, goals, clean-up.

use schemas::values::{FieldKind, PlanValue};

use super::{
    items::whole,
    labels::{self, Labelled},
    lines::Marker,
    outline::{Block, Item},
    reader::{Context, Place, Reader},
    sheet::Want,
    text::Span,
};

impl Reader<'_> {
    /// A post-launch question and its answer, behind it or under it.
    pub(crate) fn question(&mut self, item: &Item, found: Option<Labelled>, here: &Context) {
        let asked = found.filter(|f| {
            let words = labels::normal(self.sheet.of(f.label));
            words.ends_with('?') && words.split(' ').count() >= 4
        });
        let number = self.sheet.count("questions");
        let Some(asked) = asked.filter(|_| {
            item.marker == Some(Marker::Number)
                || !self.sheet.has("questions/1/question")
                || item.marker.is_none()
        }) else {
            return self.more_answer(item, number, here);
        };
        let base = self.sheet.next("questions");
        let question = PlanValue::Text(self.sheet.of(asked.label).to_owned());
        let path = format!("{base}/question");
        self.sheet.put(&path, None, asked.label, FieldKind::Value, Some(question));
        let end = last_of(&item.blocks).unwrap_or(whole(item).end);
        let under = first_of(&item.blocks);
        let behind = Span::new(asked.value.start, whole(item).end.max(asked.value.end));
        let place = match (self.sheet.of(behind).trim().is_empty(), under) {
            (false, _) => Span::new(behind.start, end),
            (true, Some(start)) => Span::new(start, end),
            (true, None) => asked.value,
        };
        self.answer(&base, asked.label, place.trim(self.sheet.text));
        let words = labels::normal(self.sheet.of(asked.label));
        if words.contains("clean up") || words.contains("clean-up") || words.contains("cleanup") {
            self.cleanup_lines(&item.blocks, behind.trim(self.sheet.text));
        }
    }

    fn answer(&mut self, base: &str, question: Span, place: Span) {
        let path = format!("{base}/answer");
        let empty = !self.sheet.of(place).chars().any(char::is_alphanumeric);
        if empty && !place.is_empty() {
            // An empty item waits for the answer.
            self.sheet.structure(place);
            self.sheet.put(&path, Some(question), Span::at(place.end), FieldKind::Blank, None);
        } else {
            self.sheet.fill(&path, Some(question), place, Want::Text);
        }
    }

    /// A line after a question that is none itself: more of the answer.
    fn more_answer(&mut self, item: &Item, number: u64, here: &Context) {
        let text = whole(item);
        let end = last_of(&item.blocks).unwrap_or(text.end);
        let all = Span::new(text.start, end);
        if item.items().any(|below| self.sheet.of(below.text).contains('?')) {
            // The questions stand under this line.
            let path = self.sheet.next(&format!("other/{}", here.slug));
            self.line(&path, None, text);
            return self.blocks(&item.blocks, here);
        }
        if number == 0 || !self.sheet.of(all).chars().any(char::is_alphanumeric) {
            let path = self.sheet.next(&format!("other/{}", here.slug));
            return self.line(&path, None, all);
        }
        let path = format!("questions/{number}/answer");
        // The answer does not stand behind the question, so its place there is no blank.
        let question = self.sheet.forget_blank(&path);
        self.sheet.fill(&path, question, all, Want::Text);
    }

    fn cleanup_lines(&mut self, blocks: &[Block], behind: Span) {
        if !behind.is_empty() {
            let path = self.sheet.next("cleanup");
            self.sheet.fill(&path, None, behind, Want::Text);
        }
        for block in blocks {
            if let Block::Item(item) = block
                && !item.text.is_empty()
            {
                let path = self.sheet.next("cleanup");
                self.sheet.fill(&path, None, whole(item), Want::Text);
            }
        }
    }

    pub(crate) fn cleanup(&mut self, item: &Item, here: &Context) {
        let path = self.sheet.next("cleanup");
        self.sheet.fill(&path, None, whole(item), Want::Text);
        self.blocks(&item.blocks, here);
    }

    /// A line of the rollback plan: a numbered step with what belongs to it, or text.
    pub(crate) fn rollback(&mut self, item: &Item, list: &str, here: &Context) {
        let text = whole(item);
        if item.marker != Some(Marker::Number) {
            let introduces = self.sheet.of(text).trim_end_matches(['*', '_']).ends_with(':');
            let title = introduces && labels::normal(self.sheet.of(text)).len() <= 60;
            if title && !item.blocks.is_empty() {
                self.sheet.structure(text);
            } else if !text.is_empty() {
                self.sheet.fill(&format!("rollback/{list}/text"), None, text, Want::Text);
            }
            return self.blocks(&item.blocks, here);
        }
        let path = self.sheet.next(&format!("rollback/{list}/steps"));
        self.sheet.fill(&path, None, text, Want::Text);
        self.substeps(&path, &item.blocks, here);
    }

    fn substeps(&mut self, step: &str, blocks: &[Block], here: &Context) {
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Item(item) if item.tick.is_none() => {
                    let path = self.sheet.next(step);
                    self.sheet.fill(&path, None, whole(item), Want::Text);
                    self.substeps(step, &item.blocks, here);
                }
                _ => self.blocks(blocks.get(at..=at).unwrap_or_default(), here),
            }
        }
    }

    /// `Success criteria: ...`, and the list under it.
    pub(crate) fn criteria(&mut self, found: Labelled, blocks: &[Block], here: &Context) {
        let below = Context { place: Place::Criteria, group: None, ..here.clone() };
        if !found.value.is_empty() || blocks.is_empty() {
            let path = self.sheet.next("rollout/criteria");
            self.sheet.fill(&path, Some(found.label), found.value, Want::Text);
        } else {
            self.sheet.structure(found.label);
        }
        self.blocks(blocks, &below);
    }

    /// One success criterion: a sentence, or the name of a metric with nothing behind it.
    pub(crate) fn criterion(&mut self, item: &Item, here: &Context) {
        let text = whole(item);
        let found = labels::split(self.sheet.text, item.text).filter(|f| self.is_label(*f));
        let heads =
            |words: &str| words.ends_with(':') || words.ends_with("**") || words.ends_with('?');
        if item.marker.is_none()
            && item.blocks.is_empty()
            && !heads(self.sheet.of(text))
            && here.group.is_none()
        {
            return self.criterion_text(text);
        }
        match found {
            Some(f) if f.value.is_empty() && item.blocks.is_empty() => {
                let path = self.sheet.next("rollout/criteria");
                self.sheet.put(&path, Some(f.label), f.value, FieldKind::Blank, None);
            }
            Some(f) if f.value.is_empty() => self.sheet.structure(text),
            Some(f)
                if matches!(
                    crate::words::filled(self.sheet.of(f.value)),
                    crate::words::Filled::Blank { .. }
                ) =>
            {
                let path = self.sheet.next("rollout/criteria");
                self.sheet.fill(&path, Some(f.label), f.value, Want::Text);
            }
            _ => self.criterion_text(text),
        }
        let below = here.clone();
        self.blocks(&item.blocks, &below);
    }

    fn criterion_text(&mut self, text: Span) {
        if text.is_empty() {
            let path = self.sheet.next("rollout/criteria");
            return self.sheet.put(&path, None, text, FieldKind::Blank, None);
        }
        let path = self.sheet.next("rollout/criteria");
        self.sheet.fill(&path, None, text, Want::Text);
    }

    /// A KPI and its goal.
    pub(crate) fn goal(&mut self, item: &Item, here: &Context) {
        let text = whole(item);
        if item.marker.is_none() {
            let path = self.sheet.next(&format!("other/{}", here.slug));
            self.sheet.prose(&path, text);
        } else {
            let path = self.sheet.next("kpis");
            let found = labels::split(self.sheet.text, item.text).filter(|f| self.is_label(*f));
            match found {
                Some(f) if !f.value.is_empty() => {
                    self.sheet.fill(
                        &path,
                        Some(f.label),
                        Span::new(f.value.start, text.end),
                        Want::Text,
                    );
                }
                _ => drop(self.sheet.fill(&path, None, text, Want::Text)),
            }
        }
        self.blocks(&item.blocks, here);
    }

    /// The answer to `Do I need a staged rollout?`; the template's reasoning is advice.
    pub(crate) fn staged_line(&mut self, item: &Item, here: &Context) {
        let text = whole(item);
        let words = labels::normal(self.sheet.of(text));
        let short = words.len() <= 24
            || words.starts_with("no,")
            || words.starts_with("no.")
            || words.starts_with("no ");
        let answer = (words.starts_with("yes") || words.starts_with("no")) && short;
        if answer {
            self.staged_answer(text);
        } else {
            let path = self.sheet.next(&format!("other/{}", here.slug));
            self.sheet.put(&path, None, text, FieldKind::Guidance, None);
        }
        self.blocks(&item.blocks, here);
    }
}

fn first_of(blocks: &[Block]) -> Option<usize> {
    blocks.iter().find_map(|block| match block {
        Block::Item(item) => Some(item.text.start),
        Block::Table(table) => table.head.first().map(|cell| cell.start),
        Block::Aside { text, .. } => Some(text.start),
    })
}

/// The end of the last line of blocks.
fn last_of(blocks: &[Block]) -> Option<usize> {
    blocks.last().map(|block| match block {
        Block::Item(item) => last_of(&item.blocks).unwrap_or(whole(item).end),
        Block::Table(table) => {
            let row = table.rows.last().unwrap_or(&table.head);
            row.last().map_or(0, |cell| cell.end)
        }
        Block::Aside { text, .. } => text.end,
    })
}
