//! When digits are a number of a person, and not a part of something longer.

use std::ops::Range;

/// What joins the groups of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joints {
    /// Nothing, or not every group: a run of digits, which many things are.
    None,
    /// Spaces or dots, as also in large numbers.
    Loose,
    /// Dashes or parentheses, as in hardly anything else.
    Firm,
}

impl Joints {
    /// The joints of a number of at least so many groups.
    pub(super) fn of(piece: &str, groups: usize) -> Joints {
        let is_digit = |c: char| c.is_ascii_digit();
        let count = piece.split(|c| !is_digit(c)).filter(|group| !group.is_empty()).count();
        if count < groups {
            Joints::None
        } else if piece.chars().all(|c| is_digit(c) || c == ' ' || c == '.' || c == '+') {
            Joints::Loose
        } else {
            Joints::Firm
        }
    }
}

/// Whether digits are not the middle of something longer.
pub(super) fn stands_alone(text: &str, at: &Range<usize>, joints: Joints) -> bool {
    let head = text.get(..at.start).unwrap_or_default();
    let mut after = text.get(at.end..).unwrap_or_default().chars();
    let mut before = head.chars().rev();
    let joined = |c: char| c.is_alphanumeric() || (c == '_' && joints == Joints::None);
    let starts = match before.next() {
        Some(c) if joined(c) || "-.%".contains(c) => false,
        Some('_' | '#' | ',' | '/' | '=') => match joints {
            Joints::None => false,
            // `1,234 567 8901` is one number.
            Joints::Loose => !before.next().is_some_and(|c| c.is_ascii_digit()),
            Joints::Firm => true,
        },
        Some(_) | None => true,
    };
    let ends = match after.next() {
        Some(',' | '/') if joints == Joints::Firm => true,
        Some('-' | '.' | ',' | '/' | '%') => !after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => !joined(c),
        None => true,
    };
    ends && (starts || says_ssn(head))
}

/// Whether the words before a number call it a social security number.
fn says_ssn(head: &str) -> bool {
    let head = head.trim_end_matches(|c| " -_:#=/,.".contains(c));
    let start = head.len().saturating_sub(3);
    head.get(start..).is_some_and(|word| word.eq_ignore_ascii_case("ssn"))
}

/// Nine digits in a row are only a number when such numbers are given out.
pub(super) fn is_ssn(piece: &str) -> bool {
    let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
    let bare = digits.len() == piece.len();
    !bare || !(digits.starts_with("000") || digits.starts_with("666") || digits.starts_with('9'))
}

pub(super) fn is_toll_free(piece: &str) -> bool {
    let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
    let number = if digits.len() == 11 { digits.get(1..) } else { Some(digits.as_str()) };
    let area = number.and_then(|number| number.get(..3)).unwrap_or_default();
    matches!(area, "800" | "833" | "844" | "855" | "866" | "877" | "888")
}

/// The phone number that begins with this `+`: 8 to 15 digits in groups, or 11 and more in a row.
///
/// Numbers of country 1 have a pattern of their own. A difference such as `+50 000 000` is none, and
/// a date after a difference is no part of it.
pub(super) fn international(
    text: &str,
    plus: usize,
    in_link: &dyn Fn(&Range<usize>) -> bool,
) -> Option<Range<usize>> {
    let before = text.get(..plus)?.chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || c == '+') {
        return None;
    }
    let rest = text.get(plus + 1..)?;
    let body = rest.trim_start_matches(' ');
    let first = plus + 1 + (rest.len() - body.len());
    if rest.len() - body.len() > 1 || !body.starts_with(|c| ('2'..='9').contains(&c)) {
        return None;
    }
    let (groups, length) = groups(body);
    let digits: usize = groups.iter().map(|group| group.len()).sum();
    let tail = body.get(length..).unwrap_or_default();
    let mut after = tail.chars();
    let ends = match after.next() {
        Some('.' | ',' | '-') => !after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => !(c.is_alphanumeric() || c == '%' || c == '_'),
        None => true,
    };
    let at = plus..first + length;
    let linked = in_link(&at);
    let enough = match groups.as_slice() {
        [_] => !linked && digits >= 11,
        [_, thousands @ ..] => {
            let amount = thousands.iter().all(|group| group.len() == 3)
                && thousands.last().is_some_and(|group| *group == "000");
            digits >= if linked { 10 } else { 8 } && !amount
        }
        [] => false,
    };
    (ends && enough && digits <= 15).then_some(at)
}

/// The groups of digits at the start of a text, joined by one kind of mark, up to a date or the
/// fifteenth digit; and their length with what joins them.
fn groups(body: &str) -> (Vec<&str>, usize) {
    let mut groups: Vec<&str> = Vec::new();
    let (mut length, mut digits, mut dotted) = (0, 0, None);
    loop {
        let rest = body.get(length..).unwrap_or_default();
        let number = rest.trim_start_matches(|c| " .-()/".contains(c));
        let joint = rest.get(..rest.len() - number.len()).unwrap_or_default();
        let group_length = number.bytes().take_while(u8::is_ascii_digit).count();
        let group = number.get(..group_length).unwrap_or_default();
        let has_dot = joint.contains('.');
        let fits = if groups.is_empty() {
            joint.is_empty()
        } else {
            matches!(joint.len(), 1..=3) && dotted.is_none_or(|dotted| dotted == has_dot)
        };
        if group.is_empty() || !fits || digits + group_length > 15 || is_date(number) {
            return (groups, length);
        }
        if !groups.is_empty() {
            dotted = Some(has_dot);
        }
        groups.push(group);
        digits += group_length;
        length += joint.len() + group_length;
    }
}

/// Whether this begins as `2026-11-21` does.
fn is_date(text: &str) -> bool {
    let shape =
        |(i, b): (usize, &u8)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() };
    text.len() >= 10 && text.as_bytes().iter().take(10).enumerate().all(shape)
}
