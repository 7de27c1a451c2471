//! The labels of a plan: where a label ends and its value begins, and which label it is.
//!
//! Labels vary from plan to plan, so they are matched by their normalised beginnings.

use super::text::Span;

/// What a label asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Dates,
    Length,
    Exposure,
    Users,
    /// How many users are expected, wherever it is said.
    PlannedUsers,
    /// How many there were, wherever it is said.
    ActualUsers,
    Recruit,
    Conduct,
    Access,
    Method,
    Criteria,
    Dashboards,
    Monitors,
    GoNoGo,
    Kpi,
    KpiActual,
    Bugs,
    BugsFixed,
    Metrics,
    Downstream,
    Processing,
    Errors,
    Changes,
    ChangesDetail,
    Latency,
    Staged,
    Flags,
    RollbackText,
    ActualDates,
}

/// How a label is compared with an entry of the table.
#[derive(Clone, Copy)]
enum By {
    /// It begins so.
    Start,
    /// It is that, brackets aside.
    Whole,
}

const LABELS: &[(&str, By, Label)] = &[
    ("desired date", By::Start, Label::Dates),
    ("desired launch date", By::Start, Label::Dates),
    ("desired go live", By::Start, Label::Dates),
    ("desired range", By::Start, Label::Dates),
    ("date range", By::Start, Label::Dates),
    ("rollout date", By::Start, Label::Dates),
    ("target date", By::Start, Label::Dates),
    ("launch date", By::Start, Label::Dates),
    ("release date", By::Start, Label::Dates),
    ("planned date", By::Start, Label::Dates),
    ("start date", By::Whole, Label::Dates),
    ("timeline", By::Whole, Label::Dates),
    ("dates", By::Whole, Label::Dates),
    ("date", By::Whole, Label::Dates),
    ("actual date", By::Start, Label::ActualDates),
    ("actual launch date", By::Start, Label::ActualDates),
    ("length of time", By::Start, Label::Length),
    ("length", By::Whole, Label::Length),
    ("test duration", By::Start, Label::Length),
    ("duration", By::Whole, Label::Length),
    ("time frame", By::Whole, Label::Length),
    ("timeframe", By::Whole, Label::Length),
    ("percentage of users", By::Start, Label::Exposure),
    ("percentage of veterans", By::Start, Label::Exposure),
    ("percentage of traffic", By::Start, Label::Exposure),
    ("percent of users", By::Start, Label::Exposure),
    ("% of users", By::Start, Label::Exposure),
    ("launch %", By::Whole, Label::Exposure),
    ("exposure", By::Whole, Label::Exposure),
    ("percentage", By::Whole, Label::Exposure),
    ("desired number of", By::Start, Label::Users),
    ("desired users", By::Start, Label::PlannedUsers),
    ("expected users", By::Start, Label::PlannedUsers),
    ("expected number of", By::Start, Label::PlannedUsers),
    ("planned users", By::Start, Label::PlannedUsers),
    ("planned number of", By::Start, Label::PlannedUsers),
    ("target users", By::Start, Label::PlannedUsers),
    ("target number of", By::Start, Label::PlannedUsers),
    ("actual users", By::Start, Label::ActualUsers),
    ("actual number of users", By::Start, Label::ActualUsers),
    ("actual number of unique users", By::Start, Label::ActualUsers),
    ("actual unique users", By::Start, Label::ActualUsers),
    ("number of unique users", By::Whole, Label::Users),
    ("number of unique visitors", By::Whole, Label::Users),
    ("number of unique veterans", By::Whole, Label::Users),
    ("number of users", By::Whole, Label::Users),
    ("number of participants", By::Whole, Label::Users),
    ("number of test users", By::Whole, Label::Users),
    ("unique users", By::Whole, Label::Users),
    ("users", By::Whole, Label::Users),
    ("how you'll recruit", By::Start, Label::Recruit),
    ("how will you recruit", By::Start, Label::Recruit),
    ("recruitment", By::Start, Label::Recruit),
    ("how testing will be", By::Start, Label::Conduct),
    ("how users will be given", By::Start, Label::Access),
    ("the group(s) from which", By::Start, Label::Recruit),
    ("how you'll conduct", By::Start, Label::Conduct),
    ("how will you conduct", By::Start, Label::Conduct),
    ("how you'll give", By::Start, Label::Access),
    ("how will you give", By::Start, Label::Access),
    ("how you'll make the product", By::Start, Label::Method),
    ("how will you make the product", By::Start, Label::Method),
    ("how will the product be made available", By::Start, Label::Method),
    ("what metrics-based criteria", By::Start, Label::Criteria),
    ("what metrics based criteria", By::Start, Label::Criteria),
    ("what \"success\" criteria", By::Start, Label::Criteria),
    ("what success criteria", By::Start, Label::Criteria),
    ("\"success\" criteria", By::Start, Label::Criteria),
    ("success criteria", By::Start, Label::Criteria),
    ("exit criteria", By::Start, Label::Criteria),
    ("the following metrics", By::Start, Label::Criteria),
    ("link to dashboard", By::Start, Label::Dashboards),
    ("link to the dashboard", By::Start, Label::Dashboards),
    ("links to dashboard", By::Start, Label::Dashboards),
    ("links to the dashboard", By::Start, Label::Dashboards),
    ("dashboard", By::Whole, Label::Dashboards),
    ("dashboards", By::Whole, Label::Dashboards),
    ("who is monitoring", By::Start, Label::Monitors),
    ("who will monitor", By::Start, Label::Monitors),
    ("monitored by", By::Start, Label::Monitors),
    ("go/no go", By::Start, Label::GoNoGo),
    ("launch go/no go", By::Start, Label::GoNoGo),
    ("uat go/no go", By::Start, Label::GoNoGo),
    ("verdict", By::Start, Label::GoNoGo),
    ("decision", By::Whole, Label::GoNoGo),
    ("number of bugs", By::Start, Label::Bugs),
    ("bugs fixed", By::Whole, Label::BugsFixed),
    ("bugs resolved", By::Whole, Label::BugsFixed),
    ("bugs identified", By::Start, Label::Bugs),
    ("bugs found", By::Start, Label::Bugs),
    ("list of bugs", By::Start, Label::Bugs),
    ("bugs", By::Whole, Label::Bugs),
    ("metrics at this stage", By::Start, Label::Metrics),
    ("actual results", By::Start, Label::Metrics),
    ("results per your", By::Start, Label::Metrics),
    ("metrics", By::Whole, Label::Metrics),
    ("was any downstream", By::Start, Label::Downstream),
    ("were any downstream", By::Start, Label::Downstream),
    ("downstream", By::Whole, Label::Downstream),
    ("downstream impact", By::Whole, Label::Downstream),
    ("downstream services", By::Whole, Label::Downstream),
    ("downstream services affected", By::Start, Label::Downstream),
    ("was the data submitted", By::Start, Label::Processing),
    ("any issues with", By::Start, Label::Processing),
    ("types of errors", By::Start, Label::Errors),
    ("type of errors", By::Start, Label::Errors),
    ("errors logged", By::Start, Label::Errors),
    ("error types", By::Whole, Label::Errors),
    ("any changes necessary", By::Start, Label::Changes),
    ("any ux changes", By::Start, Label::Changes),
    ("any changes needed", By::Start, Label::Changes),
    ("what changes", By::Start, Label::Changes),
    ("what ux changes", By::Start, Label::Changes),
    ("changes needed", By::Whole, Label::Changes),
    ("if yes, what", By::Start, Label::ChangesDetail),
    ("if yes what", By::Start, Label::ChangesDetail),
    ("latency", By::Whole, Label::Latency),
    ("do i need a staged rollout", By::Start, Label::Staged),
    ("feature toggle", By::Whole, Label::Flags),
    ("feature toggles", By::Whole, Label::Flags),
    ("feature toggle/flag", By::Whole, Label::Flags),
    ("feature flag", By::Whole, Label::Flags),
    ("feature flags", By::Whole, Label::Flags),
    ("toggle", By::Whole, Label::Flags),
    ("flipper", By::Whole, Label::Flags),
    ("rollback plan", By::Whole, Label::RollbackText),
    ("rollback", By::Whole, Label::RollbackText),
    ("rollback process", By::Whole, Label::RollbackText),
];

/// A line taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    /// Up to and without the colon.
    pub(crate) label: Span,
    /// After it; empty, at the place where the answer belongs, when nothing follows.
    pub(crate) value: Span,
}

/// The words alone: lower case, without emphasis, escapes and link targets, one blank between.
pub(crate) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last_link = text.rfind("](").unwrap_or(0);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '*' | '_' | '\\' | '`' | '\u{feff}' | '~' => {}
            // `](target)`: the words of a link stay, its target goes.
            ']' if text.get(at + 1..).is_some_and(|r| r.starts_with('(')) => {
                let close = text.get(at..).and_then(|r| r.find(')'));
                while let (Some(len), Some((skipped, _))) = (close, chars.clone().next()) {
                    if skipped > at + len {
                        break;
                    }
                    chars.next();
                }
            }
            '[' if at < last_link => {}
            '“' | '”' => out.push('"'),
            '’' | '‘' => out.push('\''),
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Which known label the words are.
pub(crate) fn find(words: &str) -> Option<Label> {
    let words = normal(words);
    let mut words = words.trim_matches(|c: char| ":?!.-, ".contains(c)).to_owned();
    // One spelling of go/no-go.
    for spelling in ["go / no go", "go/no-go", "go / no-go", "go-no-go", "go no go", "go no-go"] {
        words = words.replace(spelling, "go/no go");
    }
    if let Some(kpi) = kpi(&words) {
        return Some(kpi);
    }
    let bare = without_brackets(&words);
    LABELS
        .iter()
        .find(|(entry, by, _)| match by {
            By::Start => words.starts_with(entry),
            By::Whole => bare == *entry,
        })
        .map(|(_, _, label)| *label)
}

/// `Post-launch KPI 2` and `Post-launch KPI 2 actual`.
fn kpi(words: &str) -> Option<Label> {
    let rest = words.strip_prefix("post-launch ").or_else(|| words.strip_prefix("post launch "));
    let rest = rest.unwrap_or(words).strip_prefix("kpi")?.trim_start();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = rest.get(digits..).unwrap_or_default().trim_start();
    match (digits, after) {
        (1.., "actual") => Some(Label::KpiActual),
        (1.., "") => Some(Label::Kpi),
        _ => None,
    }
}

fn without_brackets(words: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out.trim_matches(|c: char| ":?!.-, ".contains(c)).to_owned()
}

/// Takes a line apart at the end of its label: a colon, a question mark, or the end of a bold
/// beginning that is a known label. Nothing when it has no label.
pub(crate) fn split(text: &str, line: Span) -> Option<Labelled> {
    let inner = line.of(text);
    let emphasis = inner.len() - inner.trim_start_matches(['*', '_']).len();
    let opening = inner.get(..emphasis).unwrap_or_default();
    let (mut label_len, mut value_at) = match label_end(inner) {
        Some(found) => found,
        None => bold_label(inner, opening)?,
    };
    if let (false, Some((len, at))) = (opening.is_empty(), bold_label(inner, opening))
        && len < label_len
    {
        (label_len, value_at) = (len, at);
    }
    let label = line.first(label_len);
    let mut value = line.skip(value_at);
    if !opening.is_empty() && !label.of(text).get(emphasis..).unwrap_or_default().contains(opening)
    {
        // Bold that begins in the label ends right after the colon or at the end of the value.
        if value.of(text).starts_with(opening) {
            value = value.skip(emphasis);
        } else if value.of(text).trim_end().ends_with(opening) {
            let kept = value.of(text).trim_end().len() - emphasis;
            value = value.first(kept);
        }
    }
    let label = Span::new(label.start + emphasis, label.end.max(label.start + emphasis)).trim(text);
    if normal(label.of(text)).is_empty() {
        return None;
    }
    let place =
        if value.of(text).trim().is_empty() { Span::at(value.start) } else { value.trim(text) };
    Some(Labelled { label, value: place })
}

/// A bold beginning that is a known label by itself: its length and where the value starts.
fn bold_label(inner: &str, opening: &str) -> Option<(usize, usize)> {
    if opening.len() < 2 {
        return None;
    }
    let close = inner.get(opening.len()..)?.find(opening)? + opening.len();
    let label = inner.get(opening.len()..close)?;
    find(label)?;
    let mut at = close + opening.len();
    let after = inner.get(at..).unwrap_or_default();
    at += after.len() - after.trim_start_matches([':', ' ', '?']).len();
    Some((close + opening.len(), at))
}

/// Length of the label and the start of the value, from the first colon or question mark outside
/// brackets, code and links.
fn label_end(inner: &str) -> Option<(usize, usize)> {
    let mut brackets = 0_i32;
    let mut code = false;
    let mut url = false;
    let mut before = ' ';
    for (at, c) in inner.char_indices() {
        let rest = inner.get(at + c.len_utf8()..).unwrap_or_default();
        url = (url || rest.starts_with("://")) && !c.is_whitespace() && !")>".contains(c);
        match c {
            '`' => code = !code,
            _ if code || url => {}
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ':' if brackets <= 0 => {
                let time =
                    before.is_ascii_digit() && rest.starts_with(|c: char| c.is_ascii_digit());
                let emoji = emoji_code(rest);
                if !time
                    && !rest.starts_with("//")
                    && !rest.starts_with(':')
                    && !emoji
                    && before != ':'
                {
                    return Some((at, at + 1));
                }
            }
            '?' if brackets <= 0 => {
                let tail = rest.trim_start_matches(['*', '_']);
                if tail.starts_with(':') {
                    return Some((at + 1, inner.len() - tail.len() + 1));
                }
                if rest.is_empty() || rest.starts_with([' ', '*', '_', '\t']) {
                    return Some((at + 1, at + 1));
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Whether a colon begins an emoji code such as `:white_check_mark:`.
fn emoji_code(rest: &str) -> bool {
    rest.find(':').is_some_and(|end| {
        let name = rest.get(..end).unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_at_the_end_of_its_label() {
        let rows: &[(&str, Option<(&str, &str)>)] = &[
            ("Number of users: 3", Some(("Number of users", "3"))),
            ("Number of users:", Some(("Number of users", ""))),
            ("**Desired number of users:** 10", Some(("Desired number of users", "10"))),
            ("**Verdict:TBD**", Some(("Verdict", "TBD"))),
            ("**Date range** Estimated: Tuesday", Some(("Date range**", "Estimated: Tuesday"))),
            ("Any changes needed? [PICK_ONE]: No", Some(("Any changes needed?", "[PICK_ONE]: No"))),
            (
                "Who (which team: all) is monitoring?: Us",
                Some(("Who (which team: all) is monitoring?", "Us")),
            ),
            ("Meeting at 1:35p", None),
            ("See https://example.invalid/a:b", None),
            ("[a: b](https://example.invalid)", None),
            ("Phase I: :white_check_mark:", Some(("Phase I", ":white_check_mark:"))),
            ("*If yes, what:* nothing", Some(("If yes, what", "nothing"))),
        ];
        for (text, expected) in rows {
            let found = split(text, Span::new(0, text.len()));
            let found = found.map(|l| (l.label.of(text), l.value.of(text)));
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn labels_are_known_by_their_beginnings() {
        let rows: &[(&str, Option<Label>)] = &[
            ("Desired date range or test duration", Some(Label::Dates)),
            ("Percentage of Users (and roughly how many)", Some(Label::Exposure)),
            ("Number of unique users (so far)", Some(Label::Users)),
            ("Number of users who clicked", None),
            ("Users can begin", None),
            ("How you’ll conduct the testing", Some(Label::Conduct)),
            ("Go / No-Go", Some(Label::GoNoGo)),
            ("Post-launch KPI3 actual", Some(Label::KpiActual)),
            ("Post-launch KPI 3", Some(Label::Kpi)),
            ("**Was the data submitted \\(if any\\) easy?**", Some(Label::Processing)),
        ];
        for (words, expected) in rows {
            assert_eq!(find(words), *expected, "{words:?}");
        }
    }
}
