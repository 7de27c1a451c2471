//! Tells canonical JSON from everything else, without ever writing it again.
//!
//! Canonical is RFC 8785 with integers only: no spaces, names sorted by UTF-16 code units and never
//! repeated, the shortest escapes, numbers within +-(2^53 - 1) and without fraction or exponent.
//! Re-encoding stored bytes to compare them would trust the encoder; this reads what is there.

use std::{borrow::Cow, cmp::Ordering, ops::Range};

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
    parser.value(0)?;
    parser.end()
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
    if parser.peek() != Some(b'{') {
        return Err(parser.fail("the value is not an object"));
    }
    parser.object(1, |name, value| {
        if let (Some(name), Some(value)) = (text.get(name), text.get(value)) {
            on_member(name, value);
        }
    })?;
    parser.end()
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

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Result<Parser<'a>, NotCanonical> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| NotCanonical { at: e.valid_up_to(), why: "the text is not UTF-8" })?;
        Ok(Parser { text, bytes, at: 0 })
    }

    fn fail(&self, why: &'static str) -> NotCanonical {
        NotCanonical { at: self.at, why }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn end(&self) -> Result<(), NotCanonical> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fail("the value goes on")) }
    }

    /// Steps over one value, which lies inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<(), NotCanonical> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth + 1, |_, _| {}),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.fail("a value was expected")),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), NotCanonical> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fail("a value was expected"));
        }
        self.at += word.len();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), NotCanonical> {
        if depth > DEPTH_MAX {
            return Err(self.fail("the value is nested too deep"));
        }
        self.at += 1;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.fail("`,` or `]` was expected"));
            }
        }
    }

    /// Steps over an object and hands on each member: the range of its name, without the quotes,
    /// and of its value.
    fn object(
        &mut self,
        depth: usize,
        mut on_member: impl FnMut(Range<usize>, Range<usize>),
    ) -> Result<(), NotCanonical> {
        if depth > DEPTH_MAX {
            return Err(self.fail("the value is nested too deep"));
        }
        self.at += 1;
        if self.eat(b'}') {
            return Ok(());
        }
        let mut before: Option<Range<usize>> = None;
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fail("a name was expected"));
            }
            let name = self.string()?;
            if let Some(before) = before
                && self.order(before, name.clone()) != Ordering::Less
            {
                return Err(NotCanonical {
                    at: name.start,
                    why: "names are not sorted, or one is repeated",
                });
            }
            if !self.eat(b':') {
                return Err(self.fail("`:` was expected"));
            }
            let start = self.at;
            self.value(depth)?;
            on_member(name.clone(), start..self.at);
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.fail("`,` or `}` was expected"));
            }
            before = Some(name);
        }
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
        if is_plain(from_a) && is_plain(from_b) && same.is_some_and(|same| !same.contains(&b'\\')) {
            return from_a.cmp(&from_b);
        }
        unescape(a).encode_utf16().cmp(unescape(b).encode_utf16())
    }

    /// Steps over a string and returns the range between its quotes.
    fn string(&mut self) -> Result<Range<usize>, NotCanonical> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fail("a control character must be escaped")),
                None => return Err(self.fail("the string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotCanonical> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += match rest {
            [_, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            // Those with a short escape, and all that need none, are not canonical here.
            [_, b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
            | [_, b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return Err(self.fail("the escape is not the shortest, or none")),
        };
        Ok(())
    }

    fn integer(&mut self) -> Result<(), NotCanonical> {
        let negative = self.eat(b'-');
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..len).unwrap_or_default();
        let zero_first = digits.first() == Some(&b'0');
        if len == 0 || (zero_first && (negative || len > 1)) {
            return Err(self.fail("an integer has no leading zero and no minus before zero"));
        }
        // 16 digits hold INTEGER_MAX, and cannot overflow.
        let value = digits.iter().take(17).fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
        if len > 16 || value > INTEGER_MAX {
            return Err(self.fail("an integer is beyond 2^53 - 1"));
        }
        self.at += len;
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(self.fail("a number has a fraction or an exponent"));
        }
        Ok(())
    }
}

/// How many bytes come before the next quote, backslash or control character.
///
/// Payloads are checked whole at every verify, and strings are most of them. Long ones are looked at
/// in blocks, without stopping inside of one, so that the compiler can use one instruction for many
/// bytes. Short ones, and ends, are looked at in words: see [`first_special`].
fn plain_len(bytes: &[u8]) -> usize {
    const BLOCK_LEN: usize = 32;
    #[expect(clippy::needless_bitwise_bool, reason = "a jump would keep it to one byte at a time")]
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut len = 0;
    // A name is rarely longer than a word or two, so the first words come before the blocks.
    let (words, _) = bytes.as_chunks::<8>();
    for word in words.iter().take(2) {
        if let Some(at) = first_special(*word) {
            return len + at;
        }
        len += 8;
    }
    let (blocks, _) = bytes.get(len..).unwrap_or_default().as_chunks::<BLOCK_LEN>();
    let is_plain =
        |block: &&[u8; BLOCK_LEN]| !block.iter().fold(false, |any, byte| any | is_special(*byte));
    len += blocks.iter().take_while(is_plain).count() * BLOCK_LEN;
    let (words, rest) = bytes.get(len..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        if let Some(at) = first_special(*word) {
            return len + at;
        }
        len += 8;
    }
    len + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Where in eight bytes the first quote, backslash or control character is.
///
/// In each of the three tests, the top bit of a byte's lane says that it matches. A borrow can set a
/// lane by mistake, but only above a lane that does match, and the lowest one is what counts.
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let hits = ((word.wrapping_sub(ONES * 0x20) & !word)
        | (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash))
        & TOPS;
    (hits != 0).then(|| (hits.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::plain_len;

    #[test]
    fn a_string_stops_at_the_first_special_byte_wherever_it_stands() {
        for special in 0..=255u8 {
            let stops = special < 0x20 || special == b'"' || special == b'\\';
            for at in 0..80 {
                let mut bytes = vec![b'a'; 80];
                bytes[at] = special;
                let expected = if stops { at } else { 80 };
                assert_eq!(plain_len(&bytes), expected, "{special} at {at}");
            }
        }
    }
}
