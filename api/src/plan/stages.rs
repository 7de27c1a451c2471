//! The stages of a plan: their keys, and stages that are written as list items.

use std::collections::BTreeMap;

use super::{
    headings::{Role, role},
    items::whole,
    labels::{self, Labelled},
    outline::{Item, Section},
    reader::{Context, Part, Parts, Place, Reader},
    sheet::Want,
    text::Span,
};
use crate::words;
use schemas::values::{FieldKind, PlanValue};

/// Which stage a heading, an item or a row speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its letter or number, or the share that names it: `25-percent`.
    Stage(String),
    /// Testing with known users; the phase's number if it is one.
    Uat(Option<u32>),
    Pilot(Option<u32>),
    Phase(u32),
    GoLive,
    Named(String),
}

#[derive(Debug)]
pub(crate) struct Entry {
    number: Option<u32>,
    parts: Parts,
}

/// The stages in the order of the plan.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    pub(crate) entries: Vec<Entry>,
    /// Where the entry of a key is.
    places: BTreeMap<String, usize>,
    /// How many stages have the same name.
    times: BTreeMap<String, usize>,
    /// Numbers of phases that hold stages.
    containers: Vec<u32>,
    /// The heading of the last of them.
    phase: Option<Span>,
    /// Shares that headings of lettered stages name, so that a table's rows find them.
    announced: Vec<(String, String)>,
}

impl Stages {
    /// Looks ahead for the shares in stage headings.
    pub(crate) fn announce(&mut self, text: &str, section: &Section) {
        let words = section.heading.map_or("", |h| h.of(text));
        if let (Role::Stage(name), Some(share)) = (role(words), share_in(words))
            && name.len() == 1
        {
            self.announced.push((share, format!("stage-{name}")));
        }
        section.sections.iter().for_each(|below| self.announce(text, below));
    }

    /// A phase that holds stages.
    pub(crate) fn contain(&mut self, number: u32, heading: Span) {
        self.containers.push(number);
        self.phase = Some(heading);
    }

    /// The key of the stage that is opened; a new one when it is another stage of the same name.
    pub(crate) fn open(&mut self, wanted: &Wanted, parts: Parts) -> String {
        let number = match wanted {
            Wanted::Phase(n) => Some(*n),
            Wanted::Uat(n) | Wanted::Pilot(n) => *n,
            _ => None,
        };
        let base = self.base(wanted);
        let again = matches!(wanted, Wanted::Uat(Some(_)) | Wanted::Pilot(Some(_)));
        // Only the newest stage of a name may go on; those before it are done.
        let mut times = self.times.get(&base).copied().unwrap_or(1);
        let named = |times| if times == 1 { base.clone() } else { format!("{base}-{times}") };
        let mut key = named(times);
        let newest = self.places.get(&key).copied();
        if let Some(entry) = newest.and_then(|at| self.entries.get_mut(at)) {
            let twice = (entry.parts.planning && parts.planning)
                || (entry.parts.results && parts.results)
                || again;
            if !twice {
                entry.parts.planning |= parts.planning;
                entry.parts.results |= parts.results;
                return key;
            }
            times += 1;
            key = named(times);
        }
        self.times.insert(base, times);
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push(Entry { number, parts });
        key
    }

    fn base(&self, wanted: &Wanted) -> String {
        match wanted {
            Wanted::Stage(name) => match name.strip_suffix("-percent") {
                Some(share) => {
                    let known = self.announced.iter().find(|(s, _)| s == share);
                    known.map_or_else(|| format!("launch-{share}"), |(_, key)| key.clone())
                }
                None if name == "canary" => name.clone(),
                None => format!("stage-{name}"),
            },
            Wanted::Uat(_) => "uat".to_owned(),
            Wanted::Pilot(_) => "pilot".to_owned(),
            Wanted::GoLive => "go-live".to_owned(),
            Wanted::Named(name) => name.clone(),
            Wanted::Phase(number) => {
                let same = self.entries.iter().filter_map(|e| e.number);
                let taken =
                    same.chain(self.containers.iter().copied()).filter(|n| n == number).count();
                let letter = u8::try_from(taken).ok().filter(|t| (1..26).contains(t));
                let letter = letter.map_or(String::new(), |t| char::from(b'a' + t).to_string());
                format!("phase-{number}{letter}")
            }
        }
    }
}

/// The whole percentage in a heading: `25` of `Stage B: 25% of users`.
fn share_in(words: &str) -> Option<String> {
    let at = words.find('%')?;
    let before = words.get(..at)?.trim_end();
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let share = before.get(before.len() - digits..)?;
    (!share.is_empty()).then(|| share.to_owned())
}

impl Reader<'_> {
    /// Opens a stage, and says which phase it stands in.
    pub(crate) fn stage(&mut self, wanted: &Wanted, parts: Parts) -> String {
        let known = self.stages.entries.len();
        let key = self.stages.open(wanted, parts);
        let phase = self.stages.phase.filter(|_| self.stages.entries.len() > known);
        if let (Some(phase), Wanted::Stage(_)) = (phase, wanted) {
            let words = PlanValue::Text(self.sheet.of(phase).to_owned());
            let path = format!("stages/{key}/phase");
            self.sheet.put(&path, None, phase, FieldKind::Value, Some(words));
        }
        key
    }

    /// Whether an item is a stage: `Stage A: 5% of users`.
    pub(crate) fn is_stage_item(&self, item: &Item) -> bool {
        let text = self.sheet.of(item.text);
        matches!(role(text), Role::Stage(name) if !name.ends_with("-percent") && name != "canary")
            && labels::split(self.sheet.text, item.text).is_some()
    }

    /// Reads an item that is a stage. Says whether it was one.
    pub(crate) fn stage_item(&mut self, item: &Item, here: &Context) -> bool {
        let text = self.sheet.of(item.text);
        let Role::Stage(name) = role(text) else { return false };
        let share = name.ends_with("-percent");
        let schedule = matches!(here.place, Place::Rollout)
            || matches!(&here.place, Place::Stage { key, part } if key == "go-live" && *part != Part::Results);
        if share && !(schedule && item.marker.is_some()) || name == "canary" {
            return false;
        }
        let whole_line = Labelled { label: Span::at(item.text.start), value: item.text };
        let found =
            if share { Some(whole_line) } else { labels::split(self.sheet.text, item.text) };
        let Some(found) = found else { return false };
        let key = self.stage(&Wanted::Stage(name), Parts::default());
        let label = if share { item.text } else { found.label };
        let path = format!("stages/{key}/label");
        if self.sheet.has(&path) {
            self.sheet.structure(label);
        } else {
            let value = PlanValue::Text(self.sheet.of(label).to_owned());
            self.sheet.put(&path, None, label, FieldKind::Value, Some(value));
        }
        let value = Span::new(found.value.start, whole(item).end);
        self.exposure_and_dates(&key, found.label, value);
        let place = Place::Stage { key, part: Part::Planning };
        let below = Context { place, slug: here.slug.clone(), group: None, shows: here.shows };
        self.blocks(&item.blocks, &below);
        true
    }

    /// `25% of users (~4k a day) - Tuesday, 5/27`: who, and when.
    fn exposure_and_dates(&mut self, key: &str, label: Span, value: Span) {
        let text = self.sheet.of(value);
        let cuts = [", dates:", ", Dates:", ": ", " - ", " – ", " — ", " on ", " ("];
        let cut = cuts.iter().filter_map(|cut| text.find(cut).map(|at| (at, cut.len()))).find(
            |(at, len)| {
                let (who, when) =
                    (text.get(..*at).unwrap_or_default(), text.get(at + len..).unwrap_or_default());
                !words::exposures(who).is_empty() && words::window(when, None).is_some()
            },
        );
        let base = format!("stages/{key}/planning");
        let label = (!label.is_empty()).then_some(label);
        match cut {
            Some((at, len)) => {
                let who = value.first(at).trim(self.sheet.text);
                let when = value.skip(at + len).trim(self.sheet.text);
                self.sheet.fill(&format!("{base}/exposure"), label, who, Want::Exposures);
                self.sheet.fill(&format!("{base}/dates"), None, when, Want::Window);
            }
            None => {
                self.sheet.fill(&format!("{base}/exposure"), label, value, Want::Exposures);
            }
        }
    }
}
