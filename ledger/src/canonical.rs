//! Tells canonical JSON from everything else, without ever writing it again.
//!
//! Canonical is RFC 8785 with integers only: no spaces, names sorted by UTF-16 code units and never
//! repeated, the shortest escapes, numbers within +-(2^53 - 1) and without fraction or exponent.
//! Re-encoding stored bytes to compare them would trust the encoder; this reads what is there.

mod scan;

use std::{borrow::Cow, cmp::Ordering, ops::Range};

use scan::Specials;

/// How deep arrays and objects may lie in each other.
pub const DEPTH_MAX: usize = 64;

/// The largest integer that every JSON reader keeps exact: 2^53 - 1.
pub const INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// Why some bytes are not canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}, at byte {at}")]
pub struct NotCanonical {
    /// Where reading stopped, counted from the payload's first byte.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// Checks that these bytes are one canonical JSON value and nothing more.
pub fn check(bytes: &[u8]) -> Result<(), NotCanonical> {
    let mut parser = Parser::new(bytes)?;
    let end = parser.value(0, 0);
    parser.end(end)
}

/// Hands on each member of a canonical object: raw name (without its quotes) and raw value.
///
/// Fails if the bytes are anything else; some members may have been handed on before.
pub(crate) fn for_each_member<'a>(
    bytes: &'a [u8],
    mut on_member: impl FnMut(&'a str, &'a str),
) -> Result<(), NotCanonical> {
    let mut parser = Parser::new(bytes)?;
    let text = parser.text;
    if parser.byte(0) != Some(b'{') {
        return Err(NotCanonical { at: 0, why: "the value is not an object" });
    }
    let end = parser.object(0, 1, |name, value| {
        if let (Some(name), Some(value)) = (text.get(name), text.get(value)) {
            on_member(name, value);
        }
    });
    parser.end(end)
}

/// The members of a canonical object.
pub(crate) fn members(bytes: &[u8]) -> Result<Vec<(&str, &str)>, NotCanonical> {
    let mut found = Vec::with_capacity(12);
    for_each_member(bytes, |name, value| found.push((name, value)))?;
    Ok(found)
}

/// The text of a raw canonical string, quotes included, or `None` if it is another kind of value.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    Some(unescape(raw.strip_prefix('"')?.strip_suffix('"')?))
}

/// The value of a raw canonical integer that is not negative.
pub(crate) fn unsigned(raw: &str) -> Option<u64> {
    raw.parse().ok()
}

/// Undoes the few escapes that canonical JSON has.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let code = chars.by_ref().take(4).filter_map(|digit| digit.to_digit(16));
                let code = code.fold(0, |code, digit| code << 4 | digit);
                text.extend(char::from_u32(code));
            }
            other => text.extend(other),
        }
    }
    Cow::Owned(text)
}

/// Reads from left to right. Each step is given where it begins and returns where it ends, or `None`
/// once it has failed: so that a place stays in a register, which is most of the speed.
struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// The special bytes not yet passed. All that lie before the place that is being read are passed,
    /// because outside of strings none is accepted but a quote, which begins one.
    specials: Specials<'a>,
    /// Why a step has returned `None`.
    failure: NotCanonical,
}

impl<'a> Parser<'a> {
    #[inline]
    fn new(bytes: &'a [u8]) -> Result<Parser<'a>, NotCanonical> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| NotCanonical { at: e.valid_up_to(), why: "the text is not UTF-8" })?;
        let failure = NotCanonical { at: 0, why: "" };
        Ok(Parser { text, bytes, specials: Specials::of(bytes), failure })
    }

    #[cold]
    fn fail(&mut self, at: usize, why: &'static str) -> Option<usize> {
        self.failure = NotCanonical { at, why };
        None
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Judges what the outermost step has returned.
    fn end(&self, at: Option<usize>) -> Result<(), NotCanonical> {
        match at {
            Some(at) if at == self.bytes.len() => Ok(()),
            Some(at) => Err(NotCanonical { at, why: "the value goes on" }),
            None => Err(self.failure),
        }
    }

    /// Steps over one value, which lies inside `depth` arrays and objects.
    fn value(&mut self, at: usize, depth: usize) -> Option<usize> {
        match self.byte(at) {
            Some(b'"') => self.string(at),
            Some(b'{') => self.object(at, depth + 1, |_, _| {}),
            Some(b'[') => self.array(at, depth + 1),
            Some(b'-' | b'0'..=b'9') => self.integer(at),
            Some(b't') => self.word(at, b"true"),
            Some(b'f') => self.word(at, b"false"),
            Some(b'n') => self.word(at, b"null"),
            _ => self.fail(at, "a value was expected"),
        }
    }

    fn word(&mut self, at: usize, word: &[u8]) -> Option<usize> {
        if !self.bytes.get(at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail(at, "a value was expected");
        }
        Some(at + word.len())
    }

    fn array(&mut self, at: usize, depth: usize) -> Option<usize> {
        if depth > DEPTH_MAX {
            return self.fail(at, "the value is nested too deep");
        }
        let mut at = at + 1;
        if self.byte(at) == Some(b']') {
            return Some(at + 1);
        }
        loop {
            at = self.value(at, depth)?;
            match self.byte(at) {
                Some(b',') => at += 1,
                Some(b']') => return Some(at + 1),
                _ => return self.fail(at, "`,` or `]` was expected"),
            }
        }
    }

    /// Steps over an object and hands on each member: the range of its name, without the quotes,
    /// and of its value.
    fn object(
        &mut self,
        at: usize,
        depth: usize,
        mut on_member: impl FnMut(Range<usize>, Range<usize>),
    ) -> Option<usize> {
        if depth > DEPTH_MAX {
            return self.fail(at, "the value is nested too deep");
        }
        let mut at = at + 1;
        if self.byte(at) == Some(b'}') {
            return Some(at + 1);
        }
        let mut before: Option<Range<usize>> = None;
        loop {
            if self.byte(at) != Some(b'"') {
                return self.fail(at, "a name was expected");
            }
            let end = self.string(at)?;
            let name = at + 1..end - 1;
            if let Some(before) = before
                && !self.is_sorted(before, name.clone())
            {
                return self.fail(name.start, "names are not sorted, or one is repeated");
            }
            if self.byte(end) != Some(b':') {
                return self.fail(end, "`:` was expected");
            }
            at = self.value(end + 1, depth)?;
            on_member(name.clone(), end + 1..at);
            match self.byte(at) {
                Some(b',') => at += 1,
                Some(b'}') => return Some(at + 1),
                _ => return self.fail(at, "`,` or `}` was expected"),
            }
            before = Some(name);
        }
    }

    /// Whether one name comes before another.
    fn is_sorted(&self, a: Range<usize>, b: Range<usize>) -> bool {
        // Most names differ in the first letter already.
        let (from_a, from_b) = (self.byte(a.start), self.byte(b.start));
        let is_letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase());
        if is_letter(from_a) && is_letter(from_b) && from_a != from_b {
            return from_a < from_b;
        }
        self.order(a, b) == Ordering::Less
    }

    /// Compares two names as RFC 8785 sorts them: by UTF-16 code units.
    fn order(&self, a: Range<usize>, b: Range<usize>) -> Ordering {
        let a = self.text.get(a).unwrap_or_default();
        let b = self.text.get(b).unwrap_or_default();
        let differ = a.bytes().zip(b.bytes()).position(|(a, b)| a != b);
        // A name that another begins with comes first, and where both have an ASCII character that
        // is no part of an escape, the order of bytes is the order of code units.
        let Some(at) = differ else { return a.len().cmp(&b.len()) };
        let (same, from_a, from_b) =
            (a.as_bytes().get(..at), a.as_bytes().get(at), b.as_bytes().get(at));
        let is_plain =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii() && *byte != b'\\');
        if is_plain(from_a)
            && is_plain(from_b)
            && same.is_some_and(|same| same.iter().all(|byte| *byte != b'\\'))
        {
            return from_a.cmp(&from_b);
        }
        unescape(a).encode_utf16().cmp(unescape(b).encode_utf16())
    }

    /// Steps over a string, whose quote is at `at`.
    fn string(&mut self, at: usize) -> Option<usize> {
        // The quote itself, unless this file is wrong.
        if self.specials.next() != at {
            return self.fail(at, "a value was expected");
        }
        loop {
            let at = self.specials.next();
            match self.byte(at) {
                Some(b'"') => return Some(at + 1),
                Some(b'\\') => self.escape(at)?,
                Some(_) => return self.fail(at, "a control character must be escaped"),
                None => return self.fail(at, "the string does not end"),
            };
        }
    }

    fn escape(&mut self, at: usize) -> Option<usize> {
        match self.bytes.get(at + 1..).unwrap_or_default() {
            [b'"' | b'\\', ..] => {
                // It is special itself, and does not end the string.
                self.specials.next();
                Some(at + 2)
            }
            [b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(at + 2),
            // Those with a short escape, and all that need none, are not canonical here.
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
            | [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => Some(at + 6),
            _ => self.fail(at, "the escape is not the shortest, or none"),
        }
    }

    fn integer(&mut self, at: usize) -> Option<usize> {
        let negative = self.byte(at) == Some(b'-');
        let at = at + usize::from(negative);
        let rest = self.bytes.get(at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..len).unwrap_or_default();
        let zero_first = digits.first() == Some(&b'0');
        if len == 0 || (zero_first && (negative || len > 1)) {
            return self.fail(at, "an integer has no leading zero and no minus before zero");
        }
        // 16 digits hold INTEGER_MAX, and cannot overflow.
        let value = digits.iter().take(17).fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
        if len > 16 || value > INTEGER_MAX {
            return self.fail(at, "an integer is beyond 2^53 - 1");
        }
        if matches!(self.byte(at + len), Some(b'.' | b'e' | b'E')) {
            return self.fail(at + len, "a number has a fraction or an exponent");
        }
        Some(at + len)
    }
}
