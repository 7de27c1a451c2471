//! A text as its reader sees it, with the way back to the bytes as they were written.
//!
//! A number or an address hides behind an entity, a percent escape, a full-width form, a character
//! without width, a tag or an emphasis marker. All of these are undone here, and only to look: what
//! is found is reported and replaced in the text as it was written.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};
use unicode_normalization::char::decompose_compatible;

/// The text as read, and where each byte of it was written.
pub(super) struct Shadow {
    pub(super) text: String,
    /// For each byte of `text`, the bytes of the original it stands for.
    places: Vec<Range<usize>>,
}

/// One character as read, and where it was written.
#[derive(Clone, Copy)]
struct Piece {
    char: char,
    start: usize,
    end: usize,
}

impl Shadow {
    /// The shadow of a text, or nothing if it reads as it is written.
    pub(super) fn of(text: &str) -> Option<Shadow> {
        if text.is_ascii() && !text.bytes().any(|b| b"&%<\\*_~`".contains(&b)) {
            return None;
        }
        let mut pieces = without_markup(text);
        if text.contains('%') || text.contains('&') {
            pieces = unescaped(&pieces);
        }
        let pieces = without_emphasis(&folded(&pieces));
        let mut shadow = Shadow {
            text: String::with_capacity(text.len()),
            places: Vec::with_capacity(text.len()),
        };
        for piece in pieces {
            shadow.text.push(piece.char);
            shadow.places.resize(shadow.text.len(), piece.start..piece.end);
        }
        (shadow.text != text).then_some(shadow)
    }

    /// The bytes of the original that a part of the shadow stands for.
    pub(super) fn original(&self, at: &Range<usize>) -> Option<Range<usize>> {
        let last = at.end.checked_sub(1)?;
        Some(self.places.get(at.start)?.start..self.places.get(last)?.end)
    }
}

/// Entities decoded, and tags and comments within a word left out. A tag that could hold something
/// itself stays, and so does one that breaks the line or the cell.
fn without_markup(text: &str) -> Vec<Piece> {
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
        super::pattern(concat!(
            r"(?i)&(?:amp;)*(?:#x0*([0-9a-f]{1,6});?|#0*([0-9]{1,7});?|([a-z]{2,8});)",
            r"|<!--[^<>@&%0-9]*-->|</?([a-z][a-z0-9]{0,9})(?:\s[^<>@&%]*)?/?>",
        ))
    });
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    if text.contains(['&', '<']) {
        for token in TOKEN.captures_iter(text) {
            let Some(whole) = token.get(0) else { continue };
            push_all(&mut out, text, from..whole.start());
            from = whole.end();
            match entity(&token) {
                Some(char) => out.push(Piece { char, start: whole.start(), end: whole.end() }),
                None if is_inline(&token) => {}
                None => push_all(&mut out, text, whole.range()),
            }
        }
    }
    push_all(&mut out, text, from..text.len());
    out
}

fn push_all(out: &mut Vec<Piece>, text: &str, at: Range<usize>) {
    let part = text.get(at.clone()).unwrap_or_default();
    out.extend(part.char_indices().map(|(i, char)| Piece {
        char,
        start: at.start + i,
        end: at.start + i + char.len_utf8(),
    }));
}

fn entity(token: &Captures<'_>) -> Option<char> {
    let number = |group, radix| {
        token.get(group).and_then(|digits| u32::from_str_radix(digits.as_str(), radix).ok())
    };
    if let Some(code) = number(1, 16).or_else(|| number(2, 10)) {
        return char::from_u32(code);
    }
    Some(match token.get(3)?.as_str() {
        "commat" => '@',
        "period" => '.',
        "lowbar" | "UnderBar" => '_',
        "hyphen" | "dash" | "minus" | "ndash" | "mdash" | "horbar" => '-',
        "nbsp" | "ensp" | "emsp" | "thinsp" | "hairsp" | "numsp" => ' ',
        "shy" | "zwnj" | "zwj" => '\u{ad}',
        "percnt" => '%',
        "plus" => '+',
        "equals" => '=',
        "quot" => '"',
        "lpar" => '(',
        "rpar" => ')',
        "num" => '#',
        "amp" => '&',
        _ => return None,
    })
}

fn is_inline(token: &Captures<'_>) -> bool {
    const BREAKS: [&str; 12] =
        ["br", "hr", "td", "th", "tr", "li", "p", "div", "ul", "ol", "dd", "dt"];
    let text = token.get(0).map_or("", |whole| whole.as_str());
    let name = token.get(4).map_or("", |name| name.as_str());
    text.starts_with('<') && !BREAKS.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}

/// Percent escapes decoded, also those that were escaped again.
fn unescaped(pieces: &[Piece]) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut i = 0;
    while let Some(piece) = pieces.get(i) {
        if let Some((char, next)) = escaped_char(pieces, i) {
            let end = pieces.get(next - 1).map_or(piece.end, |last| last.end);
            out.push(Piece { char, start: piece.start, end });
            i = next;
        } else {
            out.push(*piece);
            i += 1;
        }
    }
    out
}

/// The character whose UTF-8 bytes are escaped from here on, and the place after it.
fn escaped_char(pieces: &[Piece], from: usize) -> Option<(char, usize)> {
    let (first, mut next) = escaped_byte(pieces, from)?;
    let mut bytes = vec![first];
    let length = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    while bytes.len() < length {
        let (byte, after) = escaped_byte(pieces, next)?;
        bytes.push(byte);
        next = after;
    }
    Some((std::str::from_utf8(&bytes).ok()?.chars().next()?, next))
}

fn escaped_byte(pieces: &[Piece], from: usize) -> Option<(u8, usize)> {
    let char = |i: usize| pieces.get(i).map(|piece| piece.char);
    let hex = |i: usize| char(i)?.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if char(from)? != '%' {
        return None;
    }
    let mut i = from + 1;
    while char(i) == Some('2') && char(i + 1) == Some('5') && hex(i + 2).is_some() {
        // `%25` is a percent sign: what follows may be an escape that was escaped once more.
        if hex(i + 3).is_none() {
            break;
        }
        i += 2;
    }
    Some((hex(i)? * 16 + hex(i + 1)?, i + 2))
}

/// Every form of a character as its plain one, every dash and space as the common one, and no
/// characters that cannot be seen.
fn folded(pieces: &[Piece]) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if piece.char.is_ascii() {
            out.push(*piece);
        } else if !is_invisible(piece.char) {
            decompose_compatible(piece.char, |char| {
                let char = match char {
                    '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' => {
                        '-'
                    }
                    '\u{3002}' => '.',
                    // U+1680 and the line separators have no compatible form.
                    c if c.is_whitespace() && c != '\n' => ' ',
                    c => c,
                };
                out.push(Piece { char, ..*piece });
            });
        }
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Without the emphasis markers and backslashes that stand inside a number or next to an `@`.
fn without_emphasis(pieces: &[Piece]) -> Vec<Piece> {
    let is_marker = |c: char| matches!(c, '*' | '_' | '~' | '`' | '\\');
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while let Some((piece, after)) = rest.split_first() {
        if !is_marker(piece.char) {
            out.push(*piece);
            rest = after;
            continue;
        }
        let length = rest.iter().take_while(|piece| is_marker(piece.char)).count();
        let (markers, after) = rest.split_at(length);
        let before = out.last().map(|piece| piece.char);
        let next = after.first().map(|piece| piece.char);
        if !is_emphasis(markers, before, next) {
            out.extend_from_slice(markers);
        }
        rest = after;
    }
    out
}

fn is_emphasis(markers: &[Piece], before: Option<char>, next: Option<char>) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let between = |c: Option<char>| c.is_none_or(|c| "-. ()+".contains(c));
    let all = |char| markers.iter().all(|piece| piece.char == char);
    if digit(before) && digit(next) {
        // `1_000_000` and `3*4` are numbers as they are; `12**34**` is emphasis.
        return markers.len() > 1 && !all('_');
    }
    let in_number = (digit(before) && between(next)) || (between(before) && digit(next));
    let in_address = before == Some('@')
        || (next == Some('@') && !all('_') && before.is_some_and(char::is_alphanumeric));
    let escape = all('\\') && next.is_some_and(|c| c.is_ascii_punctuation());
    in_number || in_address || escape
}
