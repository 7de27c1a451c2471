//! Which bytes are accepted as a plan, and places in its text.

/// Largest plan file, in bytes. The largest of eighty real ones has 16 KiB.
pub const PLAN_SIZE_MAX: usize = 128 * 1024;

/// Why bytes are not a plan's text. `offset` counts bytes from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("the file has {size} bytes; a plan has at most {PLAN_SIZE_MAX}")]
    TooLarge { size: usize },
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 { offset: usize },
    #[error("a control character (U+{code:04X}) at byte {offset}; only tab, CR and LF may stand")]
    Control { offset: usize, code: u32 },
}

/// The text of a plan file, a byte order mark and CRLF kept.
///
/// # Errors
/// When it is too large, not UTF-8, or holds a control character other than tab, CR and LF.
pub fn accept(bytes: &[u8]) -> Result<&str, TextError> {
    if bytes.len() > PLAN_SIZE_MAX {
        return Err(TextError::TooLarge { size: bytes.len() });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|e| TextError::NotUtf8 { offset: e.valid_up_to() })?;
    let control = |(_, c): &(usize, char)| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    match text.char_indices().find(control) {
        Some((offset, c)) => Err(TextError::Control { offset, code: c.into() }),
        None => Ok(text),
    }
}

/// A part of a text, in bytes: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end: end.max(start) }
    }

    /// An empty place.
    pub fn at(place: usize) -> Self {
        Span { start: place, end: place }
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The text in it; nothing when it does not lie in `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Without white space at either end. What is all white space ends as its first place.
    pub fn trim(self, text: &str) -> Self {
        let inner = self.of(text);
        let start = self.start + (inner.len() - inner.trim_start().len());
        let inner = inner.trim();
        if inner.is_empty() { Span::at(self.start) } else { Span::new(start, start + inner.len()) }
    }

    /// The part from `offset` bytes into it.
    pub fn skip(self, offset: usize) -> Self {
        Span::new((self.start + offset).min(self.end), self.end)
    }

    /// The first `len` bytes of it.
    pub fn first(self, len: usize) -> Self {
        Span::new(self.start, (self.start + len).min(self.end))
    }

    /// The part of this that `inner`, a slice of the same text, covers.
    pub fn slice_of(self, text: &str, inner: &str) -> Self {
        let base = text.as_ptr() as usize;
        let at = (inner.as_ptr() as usize).wrapping_sub(base);
        if at >= self.start && at + inner.len() <= self.end {
            Span::new(at, at + inner.len())
        } else {
            Span::at(self.end)
        }
    }

    /// Without this many of the same emphasis marks (`*`, `_`, `~`) round all of it.
    pub fn unwrap_emphasis(self, text: &str) -> Self {
        let mut span = self.trim(text);
        loop {
            let inner = span.of(text);
            let marks = ["***", "**", "__", "~~", "*", "_"];
            let wrapped = marks.iter().find(|m| {
                let body = inner.strip_prefix(**m).and_then(|rest| rest.strip_suffix(**m));
                body.is_some_and(|body| !body.is_empty() && !body.contains(**m))
            });
            match wrapped {
                Some(mark) => {
                    span = Span::new(span.start + mark.len(), span.end - mark.len()).trim(text);
                }
                None => return span,
            }
        }
    }
}

/// Line numbers, from 1, of places in a text.
pub(crate) struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        LineIndex { starts: std::iter::once(0).chain(after).collect() }
    }

    /// The line, from 0, that holds the byte.
    pub(crate) fn index(&self, place: usize) -> usize {
        self.starts.partition_point(|start| *start <= place).saturating_sub(1)
    }

    pub(crate) fn number(&self, place: usize) -> u64 {
        self.index(place) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plan_is_refused_with_its_place() {
        let rows: &[(&[u8], Result<(), TextError>)] = &[
            (b"\xef\xbb\xbf# A\r\n\tb\n", Ok(())),
            (b"ab\xff", Err(TextError::NotUtf8 { offset: 2 })),
            (b"a\x00b", Err(TextError::Control { offset: 1, code: 0 })),
            ("é\u{85}".as_bytes(), Err(TextError::Control { offset: 2, code: 0x85 })),
        ];
        for (bytes, expected) in rows {
            assert_eq!(accept(bytes).map(|_| ()), *expected, "{bytes:?}");
        }
        assert!(accept(&vec![b'a'; PLAN_SIZE_MAX]).is_ok());
        let size = PLAN_SIZE_MAX + 1;
        assert_eq!(accept(&vec![b'a'; size]), Err(TextError::TooLarge { size }));
    }

    #[test]
    fn emphasis_is_taken_off_whole() {
        let rows =
            [("**a b**", "a b"), ("_\\[x\\]_", "\\[x\\]"), ("**a** b **c**", "**a** b **c**")];
        for (text, inner) in rows {
            assert_eq!(Span::new(0, text.len()).unwrap_emphasis(text).of(text), inner);
        }
    }
}
