//! The plan as a tree: sections with their headings, items with what stands under them, tables.

use super::{
    labels,
    lines::{Kind, Line, Marker, Tick},
    text::Span,
};

/// A heading and what stands under it, up to the next heading of its level.
#[derive(Debug, Default)]
pub(crate) struct Section {
    /// Absent for what stands before the first heading.
    pub(crate) heading: Option<Span>,
    pub(crate) level: u8,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug)]
pub(crate) enum Block {
    Item(Item),
    Table(Table),
    /// A line that is hidden (a comment) or verbatim (code).
    Aside {
        text: Span,
        code: bool,
    },
}

/// A list item, or a line of a paragraph.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) text: Span,
    /// Absent for a line of a paragraph.
    pub(crate) marker: Option<Marker>,
    pub(crate) tick: Option<Tick>,
    pub(crate) quoted: bool,
    /// Lines that go on with its text.
    pub(crate) more: Vec<Span>,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) head: Vec<Span>,
    pub(crate) rows: Vec<Vec<Span>>,
}

impl Item {
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Item(item) => Some(item),
            _ => None,
        })
    }
}

/// Builds the tree. The root has no heading.
pub(crate) fn build(text: &str, lines: &[Line]) -> Section {
    let mut open = vec![Section::default()];
    let mut start = 0;
    for (at, line) in lines.iter().enumerate() {
        let Kind::Heading(level) = line.kind else { continue };
        fill(text, lines.get(start..at).unwrap_or_default(), open.last_mut());
        start = at + 1;
        close(&mut open, level);
        open.push(Section { heading: Some(line.content), level, ..Section::default() });
    }
    fill(text, lines.get(start..).unwrap_or_default(), open.last_mut());
    close(&mut open, 0);
    open.pop().unwrap_or_default()
}

/// Ends every open section at or below the level. The root stays.
fn close(open: &mut Vec<Section>, level: u8) {
    while open.len() > 1 && open.last().is_some_and(|s| s.level >= level) {
        if let (Some(done), Some(above)) = (open.pop(), open.last_mut()) {
            above.sections.push(done);
        }
    }
}

/// An item that may still grow. Ranks rise with depth: a paragraph's line among items of depth `d`
/// has rank `2d`, an item of depth `d` has `2d + 1`.
struct Growing {
    rank: usize,
    item: Item,
}

fn fill(text: &str, lines: &[Line], section: Option<&mut Section>) {
    let Some(section) = section else { return };
    let mut blocks = Vec::new();
    let mut open: Vec<Growing> = Vec::new();
    let mut fresh = false; // whether the line before belongs to the innermost open item
    for line in lines {
        match line.kind {
            Kind::Empty | Kind::Structure | Kind::Heading(_) => fresh = false,
            Kind::Comment | Kind::Code => {
                let code = line.kind == Kind::Code;
                put(&mut open, &mut blocks, Block::Aside { text: line.content, code });
                fresh = false;
            }
            Kind::TableHead => {
                settle(&mut open, &mut blocks, 1);
                let head = cells(text, line.content);
                put(&mut open, &mut blocks, Block::Table(Table { head, rows: Vec::new() }));
                fresh = false;
            }
            Kind::TableRow => {
                let here = open.last_mut().map_or(&mut blocks, |g| &mut g.item.blocks);
                if let Some(Block::Table(table)) = here.last_mut() {
                    table.rows.push(cells(text, line.content));
                }
            }
            Kind::Item { depth, marker, tick } => {
                grow(&mut open, &mut blocks, 2 * depth + 1, item(line, Some(marker), tick));
                fresh = true;
            }
            Kind::Inside { depth } => {
                let labelled = is_labelled(text, line.content);
                let lazy = line.indent == 0;
                match open.last_mut() {
                    Some(above) if fresh && !labelled => above.item.more.push(line.content),
                    _ if lazy && labelled => {
                        grow(&mut open, &mut blocks, 0, item(line, None, None));
                    }
                    _ => {
                        grow(&mut open, &mut blocks, 2 * depth, item(line, None, None));
                        fresh = true;
                    }
                }
            }
            Kind::Text => {
                grow(&mut open, &mut blocks, 0, item(line, None, None));
                fresh = false;
            }
        }
    }
    settle(&mut open, &mut blocks, 0);
    section.blocks.append(&mut blocks);
}

fn item(line: &Line, marker: Option<Marker>, tick: Option<Tick>) -> Item {
    let (more, blocks) = (Vec::new(), Vec::new());
    Item { text: line.content, marker, tick, quoted: line.quoted, more, blocks }
}

/// Whether a line that Markdown lets run on has a label of its own.
fn is_labelled(text: &str, line: Span) -> bool {
    let own = labels::split(text, line).map_or(line, |found| found.label);
    labels::find(own.of(text)).is_some()
}

fn put(open: &mut [Growing], blocks: &mut Vec<Block>, block: Block) {
    match open.last_mut() {
        Some(above) => above.item.blocks.push(block),
        None => blocks.push(block),
    }
}

fn grow(open: &mut Vec<Growing>, blocks: &mut Vec<Block>, rank: usize, item: Item) {
    settle(open, blocks, rank);
    open.push(Growing { rank, item });
}

/// Ends the open items at or below the rank.
fn settle(open: &mut Vec<Growing>, blocks: &mut Vec<Block>, rank: usize) {
    while open.last().is_some_and(|g| g.rank >= rank) {
        if let Some(done) = open.pop() {
            put(open, blocks, Block::Item(done.item));
        }
    }
}

/// The cells of a table's row. An escaped bar is no border.
fn cells(text: &str, row: Span) -> Vec<Span> {
    let inner = row.of(text);
    let mut borders = Vec::new();
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        if c == '|' && !escaped {
            borders.push(at);
        }
        escaped = c == '\\' && !escaped;
    }
    let mut out = Vec::new();
    let mut start = 0;
    for border in borders {
        if !(border == 0 && start == 0) {
            out.push((start, border));
        }
        start = border + 1;
    }
    if start < inner.len() {
        out.push((start, inner.len()));
    }
    out.into_iter()
        .map(|(from, to)| {
            let cell = Span::new(row.start + from, row.start + to);
            if cell.of(text).trim().is_empty() { Span::at(cell.start) } else { cell.trim(text) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lines::classify;

    fn shown(text: &str) -> String {
        fn item_of(item: &Item, text: &str, depth: usize, out: &mut String) {
            let more: Vec<_> = item.more.iter().map(|m| m.of(text)).collect();
            let more = if more.is_empty() { String::new() } else { format!(" +{more:?}") };
            let line = format!("{}{}{more}\n", "  ".repeat(depth), item.text.of(text));
            out.push_str(&line);
            blocks_of(&item.blocks, text, depth + 1, out);
        }
        fn blocks_of(blocks: &[Block], text: &str, depth: usize, out: &mut String) {
            for block in blocks {
                match block {
                    Block::Item(item) => item_of(item, text, depth, out),
                    Block::Table(table) => {
                        for row in std::iter::once(&table.head).chain(&table.rows) {
                            let row: Vec<_> = row.iter().map(|c| c.of(text)).collect();
                            let line = format!("{}{row:?}\n", "  ".repeat(depth));
                            out.push_str(&line);
                        }
                    }
                    Block::Aside { text: span, .. } => {
                        let line = format!("{}({})\n", "  ".repeat(depth), span.of(text));
                        out.push_str(&line);
                    }
                }
            }
        }
        fn section_of(section: &Section, text: &str, out: &mut String) {
            if let Some(heading) = section.heading {
                let line = format!("# {}\n", heading.of(text));
                out.push_str(&line);
            }
            blocks_of(&section.blocks, text, 1, out);
            section.sections.iter().for_each(|s| section_of(s, text, out));
        }
        let mut out = String::new();
        section_of(&build(text, &classify(text)), text, &mut out);
        out
    }

    #[test]
    fn items_belong_to_what_they_stand_under() {
        let rows = [
            (
                "# A\nbefore\n- one\n  - two\n\n    under two\n- three\nruns on\nNumber of users: 3\n",
                "# A\n  before\n    one\n      two\n        under two\n    three +[\"runs on\"]\n  Number of users: 3\n",
            ),
            (
                "Traffic ([board](x))\n\n1. \n\nOther\n\n1. \n",
                "  Traffic ([board](x))\n    \n  Other\n    \n",
            ),
            ("| a | b \\| c |\n|--|--|\n| 1 | |\n", "  [\"a\", \"b \\\\| c\"]\n  [\"1\", \"\"]\n"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }
}
