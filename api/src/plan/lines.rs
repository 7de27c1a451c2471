//! What each line of a plan is: heading, list item, table row, paragraph, or mere structure.
//!
//! The Markdown parser says which block a line stands in; the leaves are lines, because that is how
//! people write plans: `label: value` on a line of its own, whatever a paragraph is to Markdown.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::text::{LineIndex, Span};

/// What stands before the text of a list item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Bullet,
    Number,
}

/// A checkbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// The brackets and what is between them.
    pub(crate) span: Span,
    pub(crate) checked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    /// A rule, a fence, a table's separator, a tag alone: nothing to read.
    Structure,
    /// A line of a comment: hidden from the plan's readers.
    Comment,
    Code,
    Heading(u8),
    Item {
        depth: usize,
        marker: Marker,
        tick: Option<Tick>,
    },
    /// A line that goes on inside an item of a list, `depth` items deep.
    Inside {
        depth: usize,
    },
    Text,
    TableHead,
    TableRow,
}

/// One line of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Without what marks its kind (`##`, `-`, `1.`, `>`, a checkbox) and white space around.
    pub(crate) content: Span,
    pub(crate) kind: Kind,
    /// Columns of white space before it.
    pub(crate) indent: usize,
    /// Whether it stands in a block quote.
    pub(crate) quoted: bool,
}

/// Every line of the text, in order.
pub(crate) fn classify(text: &str) -> Vec<Line> {
    let mut lines = split(text);
    mark_blocks(text, &mut lines);
    mark_authors_tables(text, &mut lines);
    lines
}

fn split(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive('\n') {
        let whole = Span::new(start, start + piece.len());
        start = whole.end;
        // A byte order mark is kept in the file and is no part of the first line.
        let bom = if whole.start == 0 && piece.starts_with('\u{feff}') { 3 } else { 0 };
        let content = whole.skip(bom).trim(text);
        let indent = piece
            .chars()
            .take_while(|c| *c == ' ' || *c == '\t')
            .map(|c| if c == '\t' { 4 } else { 1 })
            .sum();
        let kind = if content.is_empty() { Kind::Empty } else { Kind::Text };
        lines.push(Line { content, kind, indent, quoted: false });
    }
    lines
}

/// Lays what the Markdown parser finds over the lines.
fn mark_blocks(text: &str, lines: &mut [Line]) {
    let index = LineIndex::new(text);
    let bom = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let parser = Parser::new_ext(text.get(bom..).unwrap_or_default(), options);
    let mut lists: Vec<Marker> = Vec::new();
    for (event, range) in parser.into_offset_iter() {
        let (first, end) = (range.start + bom, range.end + bom);
        let last = end.saturating_sub(1).max(first);
        let covered = index.index(first)..=index.index(last);
        let mut each = |mark: &mut dyn FnMut(&mut Line)| {
            for line in lines.get_mut(covered.clone()).unwrap_or_default() {
                if line.kind != Kind::Empty {
                    mark(line);
                }
            }
        };
        match event {
            Event::Start(Tag::List(number)) => {
                lists.push(if number.is_some() { Marker::Number } else { Marker::Bullet });
            }
            Event::End(TagEnd::List(_)) => drop(lists.pop()),
            Event::Start(Tag::BlockQuote(_)) => each(&mut |line| unquote(text, line)),
            Event::Start(Tag::Item) => {
                let depth = lists.len();
                each(&mut |line| {
                    if !matches!(line.kind, Kind::Item { .. }) {
                        line.kind = Kind::Inside { depth };
                    }
                });
                let marker = lists.last().copied().unwrap_or(Marker::Bullet);
                if let Some(line) = lines.get_mut(*covered.start()) {
                    line.content = after_marker(text, line.content);
                    line.kind = Kind::Item { depth: depth.saturating_sub(1), marker, tick: None };
                }
            }
            Event::TaskListMarker(_) => mark_tick(text, lines.get_mut(*covered.start()), first),
            Event::Start(Tag::Heading { level, .. }) => {
                mark_heading(text, lines, covered, level as u8);
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                each(&mut |line| {
                    let fence = ["```", "~~~"].iter().any(|f| line.content.of(text).starts_with(f));
                    line.kind = if fence { Kind::Structure } else { Kind::Code };
                });
            }
            Event::Start(Tag::HtmlBlock) => mark_html(text, lines, covered),
            Event::Start(Tag::Table(_)) => mark_table(lines, covered),
            Event::Rule => each(&mut |line| line.kind = Kind::Structure),
            _ => {}
        }
    }
    for line in lines {
        authors_bullet(text, line);
        authors_tags(text, line);
    }
}

fn unquote(text: &str, line: &mut Line) {
    line.quoted = true;
    if line.content.of(text).starts_with('>') {
        line.content = line.content.skip(1).trim(text);
    }
    if line.content.is_empty() {
        line.kind = Kind::Structure;
    }
}

/// The content after a bullet or a number.
fn after_marker(text: &str, content: Span) -> Span {
    let inner = content.of(text);
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let len = match inner.as_bytes().get(digits) {
        Some(b'.' | b')') if digits > 0 => digits + 1,
        Some(b'-' | b'*' | b'+') if digits == 0 => 1,
        _ => 0,
    };
    let rest = content.skip(len);
    if len > 0 && rest.is_empty() {
        // An empty item: the answer belongs after the marker and a blank.
        return Span::at(content.end);
    }
    rest.trim(text)
}

fn mark_tick(text: &str, line: Option<&mut Line>, start: usize) {
    let Some(line) = line else { return };
    if let Kind::Item { tick, .. } = &mut line.kind {
        let span = Span::new(start, start + 3);
        let checked = matches!(span.of(text), "[x]" | "[X]");
        *tick = Some(Tick { span, checked });
        line.content = Span::new(span.end, line.content.end).trim(text);
    }
}

fn mark_heading(
    text: &str,
    lines: &mut [Line],
    covered: std::ops::RangeInclusive<usize>,
    level: u8,
) {
    let many = covered.end() > covered.start();
    let Some(block) = lines.get_mut(covered) else { return };
    if !many {
        if let Some(line) = block.first_mut() {
            let inner = line.content.of(text);
            let after_marks =
                inner.trim_start_matches(['-', '*', '+', ' ']).trim_start_matches('#');
            let body = after_marks.trim_start();
            let trailing = body.trim_end_matches('#');
            let closed =
                trailing.len() == body.len() || trailing.ends_with(' ') || trailing.is_empty();
            let body = if closed { trailing.trim_end() } else { body };
            line.content = line.content.slice_of(text, body);
            line.kind = if body.is_empty() { Kind::Structure } else { Kind::Heading(level) };
        }
        return;
    }
    // An underlined heading. Three dashes right below a text are mostly meant as a rule.
    let rule = block.last().is_some_and(|line| line.content.of(text) == "---");
    let single = block.len() == 2 && !rule;
    for (at, line) in block.iter_mut().enumerate() {
        let inner = line.content.of(text);
        if !inner.is_empty() && inner.chars().all(|c| c == '=' || c == '-') {
            line.kind = Kind::Structure;
        } else {
            let heading = at == 0 && single && inner.len() <= 80;
            line.kind = if heading { Kind::Heading(level) } else { Kind::Text };
        }
    }
}

fn mark_html(text: &str, lines: &mut [Line], covered: std::ops::RangeInclusive<usize>) {
    let mut comment = false;
    for line in lines.get_mut(covered).unwrap_or_default() {
        let inner = line.content.of(text);
        comment |= inner.starts_with("<!--");
        if comment && line.kind != Kind::Empty {
            line.kind = Kind::Comment;
        }
        if inner.contains("-->") {
            comment = false;
        }
    }
}

fn mark_table(lines: &mut [Line], covered: std::ops::RangeInclusive<usize>) {
    for (at, line) in lines.get_mut(covered).unwrap_or_default().iter_mut().enumerate() {
        line.kind = match at {
            0 => Kind::TableHead,
            1 => Kind::Structure,
            _ => Kind::TableRow,
        };
    }
}

/// A table right after a paragraph's line is no table to Markdown, but it is one to its author.
fn mark_authors_tables(text: &str, lines: &mut [Line]) {
    let loose = |line: &Line| matches!(line.kind, Kind::Text | Kind::Inside { .. });
    let mut at = 1;
    while at < lines.len() {
        let separator = lines.get(at).is_some_and(|l| loose(l) && is_separator(l.content.of(text)));
        let head = lines.get(at - 1).is_some_and(|l| loose(l) && l.content.of(text).contains('|'));
        if separator && head {
            if let Some(line) = lines.get_mut(at - 1) {
                line.kind = Kind::TableHead;
            }
            if let Some(line) = lines.get_mut(at) {
                line.kind = Kind::Structure;
            }
            for line in lines.get_mut(at + 1..).unwrap_or_default() {
                if !loose(line) || !line.content.of(text).contains('|') {
                    break;
                }
                line.kind = Kind::TableRow;
            }
        }
        at += 1;
    }
}

fn is_separator(inner: &str) -> bool {
    inner.contains('|')
        && inner.contains("--")
        && inner.bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' '))
}

/// Bullets that only their author sees: `-like this`, `--this`, `• this`.
fn authors_bullet(text: &str, line: &mut Line) {
    let depth = match line.kind {
        Kind::Text => 0,
        Kind::Inside { depth } => depth,
        _ => return,
    };
    let inner = line.content.of(text);
    let body = inner.trim_start_matches(['-', '•', '–', '*', '+']);
    let marks = inner.len() - body.len();
    let bullet = match inner.chars().next() {
        Some('•') => true,
        Some('-' | '–') => marks <= 3 && body.starts_with(|c: char| c.is_alphanumeric()),
        // What Markdown takes for code, four columns in, is a list to its author.
        Some('*' | '+') => marks == 1 && body.starts_with(' ') && line.indent >= 4,
        _ => false,
    } || (inner.starts_with("- ") && line.indent >= 4);
    if bullet {
        line.content = line.content.skip(marks).trim(text);
        line.kind = Kind::Item { depth, marker: Marker::Bullet, tick: None };
    }
}

/// Takes HTML tags off the ends of a line; an `<li>` is an item of a list.
fn authors_tags(text: &str, line: &mut Line) {
    if !matches!(line.kind, Kind::Text | Kind::Inside { .. }) {
        return;
    }
    let mut list_item = false;
    loop {
        let inner = line.content.of(text);
        // An autolink `<https://...>` is text.
        let tag_at_start = inner.starts_with('<')
            && inner
                .get(1..2)
                .is_some_and(|c| c.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/'))
            && !inner.get(1..).is_some_and(|r| {
                r.starts_with("http") || r.starts_with("mailto") || r.starts_with("a ")
            });
        if let (true, Some(end)) = (tag_at_start, inner.find('>')) {
            let tag = inner.get(1..end).unwrap_or_default().to_ascii_lowercase();
            list_item |= tag == "li" || tag.starts_with("li ");
            line.content = line.content.skip(end + 1).trim(text);
            continue;
        }
        let closing = inner.ends_with('>').then(|| inner.rfind("</")).flatten();
        match closing {
            Some(at)
                if inner.get(at..).is_some_and(|t| t.len() <= 12) && !inner.contains("<a ") =>
            {
                line.content = line.content.first(at).trim(text);
            }
            _ => break,
        }
    }
    if line.content.is_empty() {
        line.kind = Kind::Structure;
    } else if list_item {
        let depth = if let Kind::Inside { depth } = line.kind { depth } else { 0 };
        line.kind = Kind::Item { depth, marker: Marker::Bullet, tick: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let short = |kind: Kind| match kind {
            Kind::Item { depth, marker, tick } => {
                let tick = tick.map_or(String::new(), |t| format!(" {}", t.checked));
                format!("{marker:?}{depth}{tick}")
            }
            other => format!("{other:?}"),
        };
        classify(text).iter().map(|l| format!("{}|{}", short(l.kind), l.content.of(text))).collect()
    }

    #[test]
    fn lines_are_what_their_author_meant() {
        let rows: &[(&str, &[&str])] = &[
            ("\u{feff}# A\r\n", &["Heading(1)|A"]),
            ("- a: b\n  - [x] c\n", &["Bullet0|a: b", "Bullet1 true|c"]),
            ("1. \n1. x\n", &["Number0|", "Number0|x"]),
            ("- \\[FILL\\]\n", &["Bullet0|\\[FILL\\]"]),
            ("- a\nb\n", &["Bullet0|a", "Inside { depth: 1 }|b"]),
            (
                "**U**\nA | B\n-- | --\n1 | 2\n",
                &["Text|**U**", "TableHead|A | B", "Structure|-- | --", "TableRow|1 | 2"],
            ),
            ("<ul>\n<li>a</li>\n</ul>\n", &["Structure|", "Bullet0|a", "Structure|"]),
            ("Text:\n--one\n-Two\n", &["Text|Text:", "Bullet0|one", "Bullet0|Two"]),
            ("a: b\n---\n", &["Text|a: b", "Structure|---"]),
            ("<!--\nhidden\n-->\n", &["Comment|<!--", "Comment|hidden", "Comment|-->"]),
            ("> Example\n>\n> - x\n", &["Text|Example", "Structure|", "Bullet0|x"]),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), *expected, "{text:?}");
        }
    }
}
