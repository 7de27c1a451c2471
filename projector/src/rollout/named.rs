//! Which item of a list people mean: they name it by its number, by its words or by its path.

use super::decisions::same_words;

/// The place of the item that `given` names. An item has the name that the plan gives it (`3`) and
/// its text. It is named by either, by a number said in other ways (`step 3`, `3.`,
/// `plan/steps/3`), or by the beginning of its text if no other begins so.
pub(crate) fn place(given: &str, items: &[(&str, &str)]) -> Option<usize> {
    let given = given.trim();
    let of_name = |name: &str| items.iter().position(|(n, _)| n.trim() == name);
    let of_words = |words: &str| {
        let mut same = items.iter().enumerate().filter(|(_, (_, text))| same_words(text, words));
        let first = same.next().map(|(place, _)| place);
        if same.next().is_some() { None } else { first }
    };
    if given.is_empty() {
        return None;
    }
    of_name(given)
        .or_else(|| of_words(given))
        .or_else(|| of_name(number(given)?))
        .or_else(|| of_words(without_number(given)))
        .or_else(|| begun_by(without_number(given), items))
}

/// The number that stands for an item: alone, behind one word, or at the end of a path. A path of
/// two numbers (`steps/3/2`) names what is below an item.
fn number(given: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if given.contains('/') && !given.contains(char::is_whitespace) {
        let parts = given.trim_matches('/').strip_suffix("/question");
        let mut parts = parts.unwrap_or(given.trim_matches('/')).split('/');
        let mut numbers = parts.clone().filter(|part| is_number(part));
        let (first, second) = (numbers.next(), numbers.next());
        return first.filter(|_| second.is_none()).filter(|first| parts.next_back() == Some(first));
    }
    let words = given.split_whitespace().collect::<Vec<_>>();
    let last = match words.as_slice() {
        [one] => *one,
        ["step" | "Step" | "question" | "Question" | "no." | "No." | "number", number] => *number,
        _ => return None,
    };
    let digits = last.trim_matches(|c| "#.):(Qq-_step".contains(c));
    Some(digits).filter(|digits| is_number(digits))
}

/// `3. Tell the team` without its number.
fn without_number(given: &str) -> &str {
    let rest = given.trim_start_matches(|c: char| c.is_ascii_digit());
    let mark = rest.starts_with(['.', ')', ':']) && rest.len() < given.len();
    if mark { rest.trim_start_matches(['.', ')', ':']).trim() } else { given }
}

fn begun_by(words: &str, items: &[(&str, &str)]) -> Option<usize> {
    let plain = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
    };
    let words = plain(words);
    if words.is_empty() {
        return None;
    }
    let mut begun = (0..).zip(items).filter(|(_, (_, text))| plain(text).starts_with(&words));
    let first = begun.next().map(|(place, _)| place);
    if begun.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn people_name_an_item_in_many_ways() {
        let items = [
            ("1", "Turn off the flag"),
            ("2", "Alert the team within 30 minutes."),
            ("3", "Alert the on-call engineer"),
        ];
        let rows = [
            ("2", Some(1)),
            ("step 2", Some(1)),
            ("Step 2.", Some(1)),
            ("#3", Some(2)),
            ("step-3", Some(2)),
            ("plan/steps/3", Some(2)),
            ("rollback/high/steps/3", Some(2)),
            ("rollback/plan/steps/3/2", None),
            ("questions/1/question", Some(0)),
            ("Turn off the flag", Some(0)),
            ("turn off the flag.", Some(0)),
            ("1. Turn off the flag", Some(0)),
            ("Turn off", Some(0)),
            ("Alert the t", Some(1)),
            ("Alert the", None),
            ("4", None),
            ("Tell the press", None),
            ("", None),
            (" . ", None),
        ];
        for (given, expected) in rows {
            assert_eq!(place(given, &items), expected, "{given}");
        }
    }
}
