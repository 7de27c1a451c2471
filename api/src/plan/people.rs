//! Lines that probably name a person. A guess, for whoever decides what to withhold.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    labels::{self, Label},
    lines::{Kind, Line},
};

/// A line that probably names a person. It does not repeat the name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PersonLine {
    /// Line in the file, from 1.
    pub line: u64,
    /// Why it is thought so.
    pub why: &'static str,
}

/// Capitalised words of plans that are no names.
const NO_NAMES: &str = "access account accounts activity added admin administration agile alert all analyst analytics \
    and any api apis app application applications appointment appointments april august \
    authenticated backend benefit benefits beta board bugs business calls canary care center \
    central change changes channel chat check checklist claim claims client collab collaboration \
    confirm contact content controller core critical cycle daily dashboard dashboards data datadog \
    date day debt december default delivery demo department design designer desired developer \
    development digital direct director disability domo download education email enable endpoint \
    engineer engineering engineers epic error errors event experience feature february feedback \
    find fixed flag flipper for foresee form forms forwarding friday friends front frontend full \
    ga get github go google group health healthcare help high house hub identity if in information \
    initial integrated intent internal issue issues january july june key known kpi kpis landing \
    launch lead leads letter letters library lighthouse link links list live location log logs low \
    mail management manager march may medallia meeting member metric metrics mobile monday monitor \
    monitoring month my name new no none not notification notify november number october of office \
    on online only open our outline overview owner page pages panel path payment payments \
    performance perigean phase phone pilot plan planning platform portal post prefill privacy \
    product production profile program project public quality query question questions rate rating \
    readiness record records redesign release request requests research researcher response \
    results review rollback rollout saturday search section security september service services \
    session sign six slack sprint stage staged staging start states status step submission \
    submissions success sunday support survey team teams tech technical test testing the this \
    thursday ticket tier time toggle tool traffic travel tuesday types uat unique united update \
    usage use user users ux validation veteran veterans view we web website websites wednesday \
    week when white widget work working world yes";

/// Words after which a capitalised pair is somebody.
const CUES: &str = r"(?:for|with|by|from|to|ask|contact|confirm with|owner|pm|po|dm|lead|leads|manager|analyst|engineer|engineers|developer|designer|researcher|mr\.|ms\.|mrs\.|dr\.|poc|approver|team)";

/// Lines that probably name a person, each once.
pub(crate) fn find(text: &str, lines: &[Line]) -> Vec<PersonLine> {
    let mut out = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if matches!(line.kind, Kind::Empty | Kind::Structure) {
            continue;
        }
        if let Some(why) = why(text, line) {
            out.push(PersonLine { line: at as u64 + 1, why });
        }
    }
    out
}

fn why(text: &str, line: &Line) -> Option<&'static str> {
    static TITLED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\b(?:Dr|Mr|Mrs|Ms)\. ?[A-Z][a-z]+"));
    static CUED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?:\b(?i:{CUES})[\s:,–-]+|[(&/,]\s*|\s-\s+)([A-Z][a-z]+)\s+([A-Z][a-zA-Z'-]+)"
        ))
    });
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\b([A-Z][a-z]+)\s+([A-Z][a-zA-Z'-]+)\b"));
    static FIRST_NAMES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:^|\W)([A-Z][a-z]{2,})(?:(?:/|, | and | & )[A-Z][a-z]{2,})*\s+(?:to (?:teach|enter|put|set|lead|send|write|review)|will (?:put|also|be (?:available|responsible)|conduct|monitor|lead|send))",
        )
    });
    let words = line.content.of(text);
    if TITLED.is_match(words) {
        return Some("a title before a name");
    }
    let named = |pattern: &Regex, words: &str| {
        pattern.captures_iter(words).any(|found| {
            let word = |n: usize| found.get(n).map_or("", |m| m.as_str());
            is_name(word(1)) && is_name(word(2))
        })
    };
    let found = labels::split(text, line.content);
    let label = found.and_then(|f| labels::find(f.label.of(text)));
    if let (Some(Label::Monitors), Some(found)) = (label, found)
        && named(&PAIR, found.value.of(text))
    {
        return Some("a name among those who monitor");
    }
    if named(&CUED, &without_links(words)) {
        return Some("two capitalised words after a word such as `for`, `with` or a role");
    }
    let acting = FIRST_NAMES.captures(words);
    let first = acting.and_then(|found| found.get(1)).map_or("", |m| m.as_str());
    (!first.is_empty() && is_name(first)).then_some("somebody who is to do something")
}

fn is_name(word: &str) -> bool {
    word.len() >= 2 && !NO_NAMES.split(' ').any(|no| no == word.to_lowercase())
}

/// The line without the targets of its links.
fn without_links(words: &str) -> String {
    static TARGET: LazyLock<Regex> = LazyLock::new(|| pattern(r"\]\([^\s()]*\)|https?://\S+"));
    TARGET.replace_all(words, "]").into_owned()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this file are valid: its tests use each")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lines::classify;

    #[test]
    fn lines_that_name_somebody_are_listed() {
        let rows = [
            ("- Who is monitoring the dashboards?: Ada Example & Bo Sample", true),
            ("- Turn the flag on for Ada Example in production", true),
            ("- Work with Dr. Example", true),
            ("- Product Manager (Ada Example)", true),
            ("- Ben will conduct these sessions", true),
            ("- Who is monitoring the dashboards?: Product Manager and Engineering Lead", false),
            ("- Links to Google Analytics and the Contact Center", false),
            ("- Released with the Claim Status tool", false),
        ];
        for (text, named) in rows {
            assert_eq!(!find(text, &classify(text)).is_empty(), named, "{text}");
        }
    }
}
