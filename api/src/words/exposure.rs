//! Who gets the feature: `5% of users`, `30-60% (dependent on results)`, `2 facilities`.

use std::sync::LazyLock;

use regex::Regex;
use schemas::id::Decimal;
use schemas::values::{Exposure, ExposureKind, ExposureUnit};

use super::number::number;
use super::{after, group, pattern, plain, unwrapped};

const NUMBER: &str = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)";

/// Words that stand for a group of people that is known by name.
const COHORTS: &str = r"friends\s*(?:and|&|\+)\s*family|early adopters|allow-?\s?list(?:ed)?|white-?list(?:ed)?|beta (?:users|testers|group)|internal (?:users|testers|staff)|team members|pilot (?:users|group)|uat (?:users|participants)|employees";

/// The exposures that a text names, in its order; empty when it names none for certain. A stage's
/// name before them is passed over: `Phase 2: 50% of users`.
pub fn exposures(raw: &str) -> Vec<Exposure> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:(?:final\s+)?(?:stage|phase|step|wave|round|tier)\s+[0-9A-Z.]{1,4})\s*[:-]\s*",
        )
    });
    let text = plain(raw);
    let text = after(&NAME, &text).unwrap_or(&text);
    let parts = parts(text);
    let alone = parts.len() == 1;
    let read = |part: &str| {
        let own = if alone { raw } else { part.trim() };
        exposure(part, text).map(|found| Exposure { raw: Some(own.to_owned()), ..found })
    };
    parts.into_iter().filter_map(read).collect()
}

/// Cuts the text at each "and", comma or plus that another exposure follows.
fn parts(text: &str) -> Vec<&str> {
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)(?:,\s+and\s+|\s+(?:and|plus|then)\s+|\s*(?:[+&;/→]|->)\s*|,\s+)")
    });
    static NEXT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)^(?:(?:up to|at most|then)\s+)?(?:{NUMBER}\s*%|{NUMBER}\s*-\s*{NUMBER}\s*%|[0-9,]+\s+(?:\w+\s+)?(?:users?|veterans?|people|facilit(?:y|ies)|sites?|organi[sz]ations?|testers?)\b|{COHORTS}|everyone\b)"
        ))
    });
    let mut parts = Vec::new();
    let mut start = 0;
    for join in JOIN.find_iter(text) {
        let (Some(before), Some(next)) = (text.get(start..join.start()), text.get(join.end()..))
        else {
            continue;
        };
        let open = before.matches('(').count() > before.matches(')').count();
        // "10/15 users" is no list of exposures, "25%/50%" is one.
        let steps = !join.as_str().contains(['/', '→', '>']) || before.trim_end().ends_with('%');
        if steps && !open && !before.trim().is_empty() && NEXT.is_match(next) {
            parts.push(before);
            start = join.end();
        }
    }
    parts.extend(text.get(start..).filter(|rest| !rest.trim().is_empty()));
    parts
}

fn exposure(part: &str, whole: &str) -> Option<Exposure> {
    static STEPWISE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:gradual(?:ly)?|incremental(?:ly)?|step-?\s?wise|in steps|step by step|ramp(?:ing|ed)?(?: up)?)\b",
        )
    });
    static PLATFORM: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:on|for)\s+(?:the\s+)?(?<name>ios|android|mobile|web|desktop)\b")
    });
    let (main, notes) = without_notes(part);
    let found = share(&main, &notes).or_else(|| head_count(&main)).or_else(|| in_words(&main))?;
    let platform = PLATFORM.captures(&main).map(|found| group(&found, "name").to_ascii_lowercase());
    let stepwise = STEPWISE.is_match(whole).then_some(true);
    let condition =
        found.condition.clone().or_else(|| notes.iter().find_map(|note| condition(note)));
    let scope = found.scope.clone().or_else(|| notes.iter().find_map(|note| scope(note)));
    Some(Exposure { platform, stepwise, condition, scope, ..found })
}

/// The text without its bracketed notes, and the notes. A bracket left open is cut off.
fn without_notes(text: &str) -> (String, Vec<&str>) {
    let mut main = String::new();
    let mut notes = Vec::new();
    let mut rest = unwrapped(text.trim());
    while let Some((before, after)) = rest.split_once('(') {
        main.push_str(before);
        let (note, after) = after.split_once(')').unwrap_or((after, ""));
        notes.push(note.trim());
        rest = after;
    }
    main.push_str(rest);
    (main.trim().to_owned(), notes)
}

fn nothing(kind: ExposureKind) -> Exposure {
    Exposure {
        kind,
        min_bp: None,
        max_bp: None,
        count: None,
        unit: None,
        scope: None,
        platform: None,
        condition: None,
        stepwise: None,
        raw: None,
    }
}

/// A percentage or a range of percentages.
fn share(main: &str, notes: &[&str]) -> Option<Exposure> {
    static SHARE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)(?:^|[\s~≈<>≤≥=])(?:(?<low>{NUMBER})\s*%?\s*(?:-|\bto\b)\s*)?(?<high>{NUMBER})\s*(?:%|percent\b)"
        ))
    });
    static AT_MOST: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:[<≤]=?|\b(?:at most|up to|no more than|max(?:imum)?|less than|under|below))\s*$",
        )
    });
    static AT_LEAST: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)(?:[>≥]=?|\b(?:at least|min(?:imum)?|more than|over|above))\s*$")
    });
    static OTHER_SENSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:error|rate|increase|decrease|reduc|drop|conversion|by)\b")
    });
    let found = SHARE.captures(main)?;
    let number_at = found.name("low").or(found.name("high"))?.start();
    let before = main.get(..number_at)?;
    let rest = main.get(found.get(0)?.end()..)?;
    let led_in = before.chars().any(char::is_alphanumeric);
    if before.contains(|c: char| c.is_ascii_digit()) || OTHER_SENSE.is_match(before) {
        return None;
    }
    if led_in && (rest.contains('%') || before.len() > 60) {
        return None;
    }
    let (low, high) = (group(&found, "low"), group(&found, "high"));
    let max = basis_points(high);
    let min = if low.is_empty() { max } else { basis_points(low) };
    let backwards = min.zip(max).is_some_and(|(min, max)| min > max);
    if backwards || is_past_all(high) || is_past_all(low) {
        return None;
    }
    let ranged = !low.is_empty();
    let (at_most, at_least) = (AT_MOST.is_match(before), AT_LEAST.is_match(before));
    let kind = if ranged || at_most || at_least {
        ExposureKind::PercentRange
    } else {
        ExposureKind::Percent
    };
    Some(Exposure {
        min_bp: min.filter(|_| ranged || !at_most),
        max_bp: max.filter(|_| ranged || !at_least),
        count: notes.iter().find_map(|note| expected(note)).or_else(|| expected_after(rest)),
        unit: unit(rest, notes),
        scope: scope_after(rest),
        condition: condition_after(rest),
        ..nothing(kind)
    })
}

/// Hundredths of a percent; `None` when the share is finer than that.
fn basis_points(percent: &str) -> Option<u32> {
    let (value, _) = number(percent)?;
    let (whole, fraction) = value.as_str().split_once('.').unwrap_or((value.as_str(), ""));
    let fraction = fraction.trim_end_matches('0');
    let bp = format!("{whole}{fraction:0<2}").parse().ok();
    bp.filter(|_| fraction.len() <= 2)
}

/// Whether a share is of more than all.
fn is_past_all(percent: &str) -> bool {
    percent.parse::<f64>().is_ok_and(|percent| percent > 100.0)
}

/// What a percentage is of.
fn unit(rest: &str, notes: &[&str]) -> Option<ExposureUnit> {
    static OF: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)^\s*(?:of\s+)?(?:the\s+|all\s+|our\s+|daily\s+|new\s+|total\s+|va\.gov\s+)*(?:
              (?<logged_in>logged[\s-]?in|signed[\s-]?in|auth(?:enticated)?\s+(?:users|veterans))
            | (?<users>users?|veterans?|people|applicants?|participants?|customers?)
            | (?<visitors>visitors?|traffic|sessions?|page\s?views?)
            | (?<messages>messages?|e-?mails?|notifications?)
            | (?<submissions>submissions?|applications?|claims?|forms?)
            | (?<time>time)
            )\b",
        )
    });
    let only_logged_in = || {
        let note = notes
            .iter()
            .any(|note| OF.captures(note).is_some_and(|f| f.name("logged_in").is_some()));
        note.then_some(ExposureUnit::LoggedIn)
    };
    let Some(of) = OF.captures(rest) else { return only_logged_in() };
    let names = [
        ("logged_in", ExposureUnit::LoggedIn),
        ("users", ExposureUnit::Users),
        ("visitors", ExposureUnit::Visitors),
        ("messages", ExposureUnit::Messages),
        ("submissions", ExposureUnit::Submissions),
        ("time", ExposureUnit::Time),
    ];
    let said = names.into_iter().find(|(name, _)| of.name(name).is_some()).map(|(_, unit)| unit);
    said.map(
        |unit| if unit == ExposureUnit::Users { only_logged_in().unwrap_or(unit) } else { unit },
    )
}

/// The head count that a note gives: `~430 users`, `7500`.
fn expected(note: &str) -> Option<u64> {
    static COUNT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:(?:~|≈|=)\s*|(?:about|around|approx(?:imately)?\.?|roughly|expect(?:ed|ing)?:?|est(?:imated)?\.?)\s+)*(?<count>[0-9][0-9,.]*[kKM]?)\s*(?:unique\s+)?(?:users?|veterans?|people|applicants?|participants?)?(?:\s+expected)?\.?$",
        )
    });
    whole(group(&COUNT.captures(note)?, "count"))
}

/// The head count that follows a comma: `5% of users, about 430 users`.
fn expected_after(rest: &str) -> Option<u64> {
    static COMMA: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[^,;0-9]*[,=-]\s*"));
    let rest = after(&COMMA, rest)?;
    rest.contains(|c: char| c.is_alphabetic()).then(|| expected(rest)).flatten()
}

fn whole(digits: &str) -> Option<u64> {
    let (value, rest) = number(digits)?;
    let count = value.as_str().parse().ok();
    count.filter(|_| rest.is_empty())
}

fn condition(note: &str) -> Option<String> {
    static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:dependent|depending|depends|based|if|until|when|once|unless|pending|after|contingent|assuming|provided|only if)\b",
        )
    });
    CONDITION.is_match(note).then(|| note.to_owned())
}

fn condition_after(rest: &str) -> Option<String> {
    static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:^|\s|,)(?<words>(?:only\s+)?(?:if|once|unless|until|pending|depending on|dependent on|based on|contingent on)\s.+)$",
        )
    });
    Some(group(&CONDITION.captures(rest)?, "words").trim().to_owned())
}

/// Which users, when a note says so: `auth users only`.
fn scope(note: &str) -> Option<String> {
    static SCOPE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\bonly$|^(?:all|those|in|with|for|excluding|except|who)\s+\D*$")
    });
    SCOPE.is_match(note).then(|| note.to_owned())
}

fn scope_after(rest: &str) -> Option<String> {
    static SCOPE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\s*of\s+(?:[a-z-]+\s+){1,3}?(?<words>(?:in|at|with|who|from|using)\s[^0-9,;.]+)$",
        )
    });
    Some(group(&SCOPE.captures(rest)?, "words").trim().to_owned())
}

/// A number of users, facilities or organisations that the text begins with.
fn head_count(main: &str) -> Option<Exposure> {
    static NOUN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)^\s+(?:(?<named>named|specific|known)\s+)?(?:[a-z-]+\s+){0,2}?(?:
              (?<facility>facilit(?:y|ies)|sites?|clinics?|medical\ centers?|hospitals?)
            | (?<organisation>organi[sz]ations?|orgs?|partners?|companies)
            | (?<actors>actors?|accounts?)
            | (?<users>users?|veterans?|people|persons?|applicants?|participants?|testers?|individuals?)
            | (?<visitors>visitors?|sessions?)
            | (?<messages>messages?|e-?mails?)
            | (?<submissions>submissions?|applications?|claims?)
            )\b",
        )
    });
    static LEAD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^(?:(?:x+%)\s*)?(?:(?:~|≈)\s*|(?:about|around|approximately|roughly|up to|the first|first)\s+)*",
        )
    });
    let (count, rest) = number(after(&LEAD, main)?)?;
    let noun = NOUN.captures(rest)?;
    let other = rest.contains(|c: char| c.is_ascii_digit());
    let has = |name| noun.name(name).is_some();
    let (kind, unit) = if has("facility") {
        (ExposureKind::Facility, None)
    } else if has("organisation") {
        (ExposureKind::Organisation, None)
    } else if has("actors") || has("named") {
        (ExposureKind::Actors, None)
    } else if has("users") {
        (ExposureKind::Count, Some(ExposureUnit::Users))
    } else if has("visitors") {
        (ExposureKind::Count, Some(ExposureUnit::Visitors))
    } else if has("messages") {
        (ExposureKind::Count, Some(ExposureUnit::Messages))
    } else {
        (ExposureKind::Count, Some(ExposureUnit::Submissions))
    };
    let count = as_count(&count).filter(|_| !other)?;
    Some(Exposure { count: Some(count), unit, ..nothing(kind) })
}

fn as_count(value: &Decimal) -> Option<u64> {
    value.as_str().parse().ok()
}

/// Exposures that need no number.
fn in_words(main: &str) -> Option<Exposure> {
    static WORDS: LazyLock<[(ExposureKind, Regex); 5]> = LazyLock::new(|| {
        [
            (
                ExposureKind::Off,
                pattern(
                    r"(?i)^(?:(?:turned |switched |flag )?off|disabled|nobody|no one|no users|none)\b",
                ),
            ),
            (
                ExposureKind::All,
                pattern(
                    r"(?i)^(?:everyone|everybody|all|all (?:users|veterans|visitors|people|logged[- ]in users|traffic)|general availability|open to (?:all|everyone))\b(?:[.!]|$|\s+(?:on|of)\b|,)",
                ),
            ),
            (ExposureKind::Cohort, pattern(&format!(r"(?i)\b(?:{COHORTS})\b"))),
            (
                ExposureKind::Reach,
                pattern(
                    r"(?i)\b(?:anyone with|whoever|direct (?:link|url)|unlinked|not linked|hidden (?:url|page|link))\b",
                ),
            ),
            (
                ExposureKind::Facility,
                pattern(
                    r"(?i)^(?:one|a|the|pilot|selected)?\s*(?:pilot\s+)?(?:facilit(?:y|ies)|clinics?|medical centers?)\b",
                ),
            ),
        ]
    });
    let digits = main.contains(|c: char| c.is_ascii_digit());
    let (kind, _) = WORDS.iter().find(|(_, words)| words.is_match(main)).filter(|_| !digits)?;
    Some(nothing(*kind))
}
