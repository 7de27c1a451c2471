//! Walks the outline of a plan and puts every line in its place.

use projector::checkpoints::CountedFrom;
use schemas::values::{FieldKind, PlanValue};

use super::{
    headings::{Role, checkpoint, distance_of, role},
    labels::{self, Label},
    outline::{Block, Item, Section},
    sheet::{Sheet, Want},
    stages::{Stages, Wanted},
    text::Span,
};
use crate::words;

/// Which part of a stage a line stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Planning,
    Results,
    /// Right under the stage's own heading.
    Open,
}

/// What the lines under a heading belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Other,
    Template,
    Flags,
    Staged,
    Rollback(&'static str),
    Rollout,
    Stage { key: String, part: Part },
    Criteria,
    Kpis,
    Checkpoint(String),
    PostLaunch,
    Gate(&'static str),
    Questions,
    Cleanup,
}

/// Where the reader is.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) place: Place,
    /// Slug of the nearest heading.
    pub(crate) slug: String,
    /// The line that the next lines stand under, when it names them.
    pub(crate) group: Option<Span>,
    /// Whether a heading above says that stages here show their results.
    pub(crate) shows: bool,
}

impl Context {
    pub(crate) fn with(&self, place: Place) -> Context {
        Context { place, slug: self.slug.clone(), group: None, shows: self.shows }
    }

    pub(crate) fn under(&self, group: Option<Span>) -> Context {
        Context { group: group.or(self.group), ..self.clone() }
    }
}

pub(crate) struct Reader<'t> {
    pub(crate) sheet: Sheet<'t>,
    pub(crate) stages: Stages,
    titled: bool,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(sheet: Sheet<'t>, root: &Section) -> Self {
        let mut stages = Stages::default();
        stages.announce(sheet.text, root);
        Reader { sheet, stages, titled: false }
    }

    /// Reads a section and all below it; gives back where its lines belong.
    pub(crate) fn section(&mut self, section: &Section, above: &Context) -> Context {
        let (here, done) = self.enter(section, above);
        if !done {
            self.blocks(&section.blocks, &here);
        }
        let mut stage_before: Option<Context> = None;
        for below in &section.sections {
            let words = below.heading.map_or("", |h| self.sheet.of(h));
            let announced = role(words);
            let part = matches!(announced, Role::Planning | Role::Results);
            let in_stage = matches!(here.place, Place::Stage { .. });
            // `Planning` at the level of its stage's heading belongs to that stage.
            let parent = stage_before.clone().filter(|_| part && !in_stage);
            let inner = self.section(below, parent.as_ref().unwrap_or(&here));
            if !part {
                let stage = matches!(inner.place, Place::Stage { part: Part::Open, .. });
                let open = stage && !has_parts(self.sheet.text, below);
                stage_before = open.then_some(inner);
            }
        }
        here
    }

    /// Reads a heading. Says where what stands under it belongs, and whether its lines are read.
    fn enter(&mut self, section: &Section, above: &Context) -> (Context, bool) {
        let Some(heading) = section.heading else { return (above.clone(), false) };
        let heading = heading.unwrap_emphasis(self.sheet.text);
        let words = self.sheet.of(heading);
        self.sheet.structure(heading);
        let announced = role(words);
        let told = ["metrics", "results"].iter().any(|w| labels::normal(words).contains(w));
        let shows = told && announced == Role::Rollout || above.shows;
        let mut here = Context { place: Place::Other, slug: slug(words), group: None, shows };
        if self.is_title(section, words, &announced) {
            self.titled = true;
            let title = PlanValue::Text(words.to_owned());
            self.sheet.put("title", None, heading, FieldKind::Value, Some(title));
            return (here, false);
        }
        if let Some(done) = self.heading_label(section, heading, &announced, above, &mut here) {
            return (here, done);
        }
        here.place = self.place(section, heading, announced, above);
        (here, false)
    }

    fn is_title(&self, section: &Section, words: &str, announced: &Role) -> bool {
        let stage = matches!(announced, Role::Stage(_) | Role::Phase(_) | Role::Uat | Role::GoLive);
        let draft = words.trim_start_matches(['-', '[', '*']).to_lowercase().starts_with("draft");
        !self.titled && section.level == 1 && !stage && !draft
    }

    /// A heading that is itself a label: `#### Rollout dates: TBD`.
    fn heading_label(
        &mut self,
        section: &Section,
        heading: Span,
        announced: &Role,
        above: &Context,
        here: &mut Context,
    ) -> Option<bool> {
        if matches!(
            announced,
            Role::Stage(_)
                | Role::Named(_)
                | Role::Phase(_)
                | Role::Checkpoint(_)
                | Role::Questions
        ) {
            return None;
        }
        let found = labels::split(self.sheet.text, heading)?;
        let label = labels::find(self.sheet.of(found.label))?;
        let place = match (label, &above.place) {
            (Label::Flags | Label::RollbackText | Label::Staged, _) => return None,
            (_, Place::Stage { .. } | Place::Checkpoint(_) | Place::Rollout) => above.place.clone(),
            _ => Place::Rollout,
        };
        here.place = place;
        self.labelled(label, found, &section.blocks, &[], here);
        Some(true)
    }

    fn place(
        &mut self,
        section: &Section,
        heading: Span,
        announced: Role,
        above: &Context,
    ) -> Place {
        let text = self.sheet.text;
        let keep = |other: Place| match &above.place {
            Place::Other | Place::Questions | Place::Template | Place::Staged | Place::Flags => {
                other
            }
            place => place.clone(),
        };
        match announced {
            Role::Template => Place::Template,
            Role::Flags => {
                self.label_value(heading, "other/flags", Want::Text);
                Place::Flags
            }
            Role::Staged => {
                self.staged(heading);
                Place::Staged
            }
            Role::Rollback(list) => {
                let inside = matches!(above.place, Place::Rollback(_));
                if list != "plan" && !inside {
                    return keep(Place::Other);
                }
                if list != "plan" {
                    let value = PlanValue::Text(self.sheet.of(heading).to_owned());
                    let path = format!("rollback/{list}/trigger");
                    self.sheet.put(&path, None, heading, FieldKind::Value, Some(value));
                }
                Place::Rollback(list)
            }
            Role::Stage(name) => self.open(Wanted::Stage(name), section, heading, above),
            Role::Named(key) => match self.named(key, section, heading, above) {
                Some(place) => place,
                None => keep(Place::Other),
            },
            Role::Phase(number) => self.phase(number, section, heading, above),
            Role::Uat => self.open(Wanted::Uat(None), section, heading, above),
            Role::Pilot => self.open(Wanted::Pilot(None), section, heading, above),
            Role::GoLive => self.open(Wanted::GoLive, section, heading, above),
            Role::Rollout if has_results(text, section) => {
                self.open(Wanted::Named("rollout".to_owned()), section, heading, above)
            }
            Role::Rollout => Place::Rollout,
            Role::Planning | Role::Results => Self::part(&announced, above),
            Role::Checkpoint(distance) => {
                self.covered(&distance, heading);
                self.counted_from(&distance, heading);
                Place::Checkpoint(distance)
            }
            Role::PostLaunch => Place::PostLaunch,
            Role::Criteria => Place::Criteria,
            Role::Kpis => Place::Kpis,
            Role::GoNoGo => {
                let gate = gate_of(&above.place);
                self.gate_date(gate, heading);
                Place::Gate(gate)
            }
            Role::Questions => Place::Questions,
            Role::Cleanup => Place::Cleanup,
            Role::Other => {
                self.not_staged(heading);
                keep(Place::Other)
            }
        }
    }

    /// `Wave 2`: a stage; `Week 1` after launch: a checkpoint; or nothing of both.
    fn named(
        &mut self,
        key: String,
        section: &Section,
        heading: Span,
        above: &Context,
    ) -> Option<Place> {
        let after = matches!(above.place, Place::PostLaunch | Place::Checkpoint(_));
        if let Some(distance) = distance_of(&key).filter(|_| after) {
            return Some(Place::Checkpoint(distance));
        }
        let stage = is_stage(self.sheet.text, section, heading, above);
        stage.then(|| self.open(Wanted::Named(key), section, heading, above))
    }

    /// The part of a stage that `Planning` or `Results` opens.
    fn part(announced: &Role, above: &Context) -> Place {
        let results = *announced == Role::Results;
        match &above.place {
            Place::Stage { key, .. } => {
                let part = if results { Part::Results } else { Part::Planning };
                Place::Stage { key: key.clone(), part }
            }
            Place::Checkpoint(_) | Place::PostLaunch => above.place.clone(),
            _ if results => Place::Other,
            Place::Other => Place::Rollout,
            _ => above.place.clone(),
        }
    }

    /// `Phase II: ...`: a stage of its own, or what the stages stand in.
    fn phase(&mut self, number: u32, section: &Section, heading: Span, above: &Context) -> Place {
        let words = labels::normal(self.sheet.of(heading));
        let has = |part: &str| words.contains(part);
        let results = has_results(self.sheet.text, section);
        let moderated = has("moderated") && !has("unmoderated");
        let wanted = if has("go live") {
            Wanted::GoLive
        } else if has("pilot") {
            Wanted::Pilot(Some(number))
        } else if has("uat") || has("user acceptance") || moderated {
            Wanted::Uat(Some(number))
        } else if !results && has("rollout") {
            self.stages.contain(number, heading);
            return Place::Rollout;
        } else if has("post-launch") || has("post launch") {
            return Place::PostLaunch;
        } else {
            Wanted::Phase(number)
        };
        self.open(wanted, section, heading, above)
    }

    /// Opens a stage under a heading.
    pub(crate) fn open(
        &mut self,
        wanted: Wanted,
        section: &Section,
        heading: Span,
        above: &Context,
    ) -> Place {
        let parts = parts_of(self.sheet.text, section);
        let key = self.stage(&wanted, parts);
        let words = labels::normal(self.sheet.of(heading));
        let path = format!("stages/{key}/label");
        if !self.sheet.has(&path) || words.len() > "stage a".len() {
            let label = PlanValue::Text(self.sheet.of(heading).to_owned());
            self.sheet.put(&path, None, heading, FieldKind::Value, Some(label));
        }
        let shows = above.shows || words.contains("results");
        let part = if shows { Part::Results } else { Part::Open };
        Place::Stage { key, part }
    }

    /// The days that a checkpoint's numbers cover: `1-week results (June 2-9, 2025)`.
    fn covered(&mut self, distance: &str, heading: Span) {
        let words = self.sheet.of(heading);
        let Some((open, close)) = words.find('(').zip(words.rfind(')')) else { return };
        let inner = heading.first(close).skip(open + 1).trim(self.sheet.text);
        if let Some(window) = self.sheet.window(self.sheet.of(inner), inner.start) {
            let path = format!("checkpoints/{distance}/window");
            let value = Some(PlanValue::Window(window));
            self.sheet.put(&path, None, inner, FieldKind::Value, value);
        }
    }

    /// What a checkpoint is counted from where its heading says something else than the launch:
    /// `1-week results at 100%`.
    fn counted_from(&mut self, distance: &str, heading: Span) {
        let words = self.sheet.of(heading).to_owned();
        if CountedFrom::named(&words) != CountedFrom::Launch {
            let path = format!("checkpoints/{distance}/anchor");
            self.sheet.put(&path, None, heading, FieldKind::Value, Some(PlanValue::Text(words)));
        }
    }

    /// When a go/no-go meeting is, where its heading says so.
    pub(crate) fn gate_date(&mut self, gate: &str, heading: Span) {
        let words = self.sheet.of(heading);
        let after = words.to_lowercase().find("meeting").map(|at| at + "meeting".len());
        let Some(rest) = after.map(|at| heading.skip(at).trim(self.sheet.text)) else { return };
        if self.sheet.of(rest).chars().any(|c| c.is_ascii_digit()) {
            let value = self.sheet.parse(self.sheet.of(rest), Want::Occurrence, rest.start);
            self.sheet.put(
                &format!("gates/{gate}/date"),
                None,
                rest,
                FieldKind::Value,
                Some(value),
            );
        }
    }

    fn staged(&mut self, heading: Span) {
        let Some(found) = labels::split(self.sheet.text, heading) else { return };
        if !found.value.is_empty() {
            self.staged_answer(found.value);
        }
    }

    pub(crate) fn staged_answer(&mut self, span: Span) {
        let arrow = self.sheet.of(span).len()
            - self.sheet.of(span).trim_start_matches(['-', '>', '–', '→', ' ']).len();
        let span = span.skip(arrow);
        let no = labels::normal(self.sheet.of(span)).starts_with("no");
        let path = if no { "why_not_staged" } else { "rollout/staged" };
        self.sheet.fill(path, None, span, Want::Answer);
    }

    /// `We will not do a staged rollout`, as a heading.
    fn not_staged(&mut self, heading: Span) {
        let words = labels::normal(self.sheet.of(heading));
        if words.contains("not") && words.contains("staged rollout") {
            let value = PlanValue::Text(self.sheet.of(heading).to_owned());
            self.sheet.put("why_not_staged", None, heading, FieldKind::Value, Some(value));
        }
    }

    /// The value behind a heading that is a label.
    fn label_value(&mut self, heading: Span, path: &str, want: Want) {
        if let Some(found) = labels::split(self.sheet.text, heading).filter(|f| !f.value.is_empty())
        {
            self.sheet.fill(path, Some(found.label), found.value, want);
        }
    }
}

/// The slug of a heading.
fn slug(words: &str) -> String {
    let slug = words::slug(&labels::normal(words));
    if slug.is_empty() { "section".to_owned() } else { slug }
}

/// Which gate a go/no-go under this place decides.
pub(crate) fn gate_of(place: &Place) -> &'static str {
    match place {
        Place::Stage { key, .. } if key.starts_with("uat") || key.starts_with("pilot") => "pilot",
        Place::Stage { key, .. } if key.starts_with("stage") => "stage",
        _ => "launch",
    }
}

/// Which parts a stage's section has below it: planning, results.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) planning: bool,
    pub(crate) results: bool,
}

pub(crate) fn parts_of(text: &str, section: &Section) -> Parts {
    let mut parts = Parts::default();
    for below in &section.sections {
        match role(below.heading.map_or("", |h| h.of(text))) {
            Role::Planning => parts.planning = true,
            Role::Results => parts.results = true,
            _ => {}
        }
    }
    parts
}

fn has_parts(text: &str, section: &Section) -> bool {
    let parts = parts_of(text, section);
    parts.planning || parts.results
}

/// Whether a section has results of its own and no stages that they could belong to.
pub(crate) fn has_results(text: &str, section: &Section) -> bool {
    fn stages(text: &str, section: &Section) -> bool {
        section.sections.iter().any(|below| {
            matches!(
                role(below.heading.map_or("", |h| h.of(text))),
                Role::Stage(_) | Role::Named(_)
            ) || stages(text, below)
        })
    }
    parts_of(text, section).results && !stages(text, section)
}

/// Whether what is called a wave, a ring or a week is a stage: its heading names a share, or what
/// stands under it is planned or shown of one.
fn is_stage(text: &str, section: &Section, heading: Span, above: &Context) -> bool {
    let elsewhere = matches!(
        above.place,
        Place::Rollback(_) | Place::Flags | Place::Questions | Place::Cleanup | Place::Template
    );
    let words = labels::normal(heading.of(text));
    let told = |item: &Item| {
        let label = labels::split(text, item.text).and_then(|f| labels::find(f.label.of(text)));
        label.is_some_and(|label| {
            matches!(
                label,
                Label::Dates
                    | Label::Length
                    | Label::Exposure
                    | Label::Users
                    | Label::PlannedUsers
                    | Label::ActualUsers
                    | Label::ActualDates
                    | Label::Bugs
                    | Label::BugsFixed
                    | Label::Downstream
                    | Label::Errors
            )
        })
    };
    let labelled = section.blocks.iter().any(|block| match block {
        Block::Item(item) => told(item) || item.items().any(told),
        _ => false,
    });
    !elsewhere
        && (words.contains('%')
            || words.contains("results")
            || labelled
            || has_parts(text, section))
}

/// The distance in a table's column such as `Post-Launch 1 week`.
pub(crate) fn column_checkpoint(words: &str) -> Option<String> {
    checkpoint(&labels::normal(words))
}
