//! The same reader of canonical JSON as the product's, written as plainly as can be: one byte after
//! another, nothing in advance. What the fast one answers is compared with this.

use std::{cmp::Ordering, ops::Range};

use ledger::canonical::{DEPTH_MAX, INTEGER_MAX, NotCanonical};

/// What [`ledger::canonical::check`] must answer.
pub(crate) fn check(bytes: &[u8]) -> Result<(), NotCanonical> {
    let mut parser = Parser::new(bytes)?;
    parser.value(0)?;
    parser.end()
}

/// The UTF-16 code units of a string that is canonical between its quotes.
fn utf16(raw: &str) -> Vec<u16> {
    let text: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
    text.encode_utf16().collect()
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
            Some(b'{') => self.object(depth + 1),
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

    /// Steps over an object.
    fn object(&mut self, depth: usize) -> Result<(), NotCanonical> {
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
            self.value(depth)?;
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
        utf16(a).cmp(&utf16(b))
    }

    /// Steps over a string and returns the range between its quotes.
    fn string(&mut self) -> Result<Range<usize>, NotCanonical> {
        self.at += 1;
        let start = self.at;
        loop {
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
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
