//! `flags import|list|show`.

use std::{fs, path::Path, sync::atomic::Ordering};

use anyhow::Context as _;
use projector::{
    flag_state::FlagChangedRecorded,
    recorded::{Recorded, resolve},
};
use schemas::{CloudEvent, Event, id::Sha256Hex};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    config::Flags as Command,
    context::Context,
    exit::{Code, fail},
    flags::{
        self, KnownRows, Origin, Privacy, StaffMap,
        answer::{FlagEvent, FlagLine},
    },
    guard,
    history::History,
    home::hex,
    intake::own::Own,
    json::set,
    moment,
    output::{self, Rows},
    progress::{self, Unit},
};

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Import { file, format: _, source, environment, actors, filter } => {
            let import = Import { file: &file, source, environment, actors, filter };
            import.run(context)
        }
        Command::List => list(context),
        Command::Show { key, at, environment, source } => {
            show(context, &key, at.as_deref(), source.as_deref(), environment.as_deref())
        }
    }
}

struct Import<'a> {
    file: &'a Path,
    source: String,
    environment: String,
    actors: Option<std::path::PathBuf>,
    filter: Option<String>,
}

impl Import<'_> {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let home = context.home()?;
        let history = context.history()?;
        // A wrong key would give the same person another pseudonym.
        let key = home.pseudonym_key()?;
        check_key(&history, key.fingerprint().as_str())?;
        let bytes = read(self.file, flags::read::FILE_SIZE_MAX)?;
        let export = flags::read(&bytes)
            .map_err(|e| fail(Code::Failure, format!("{}: {e}", self.file.display())))?;
        let staff = match &self.actors {
            Some(map) => StaffMap::read(&read(map, flags::read::FILE_SIZE_MAX)?)
                .map_err(|e| fail(Code::Failure, format!("{}: {e}", map.display())))?,
            None => StaffMap::default(),
        };
        let sha256: Sha256Hex = hex(&Sha256::digest(&bytes)).parse().expect("64 digits");
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let origin = Origin::new(&self.source, &self.environment, &name, sha256)
            .map_err(|e| fail(Code::Usage, e.to_string()))?;
        let known = known_rows(&history, &origin)?;
        let rule = |text: &str| guard::scan(text).first().map(|finding| finding.rule.to_owned());
        let privacy = Privacy { key: &key, staff: &staff, guard: &rule };
        let plan = flags::plan_import(&export, &origin, &known, &privacy)
            .map_err(|e| fail(Code::Conflict, e.to_string()))?;
        let mut recorded = 0;
        if !plan.batches.is_empty() {
            let mut appender = context.appender()?;
            let total = plan.batches.iter().map(|batch| batch.len() as u64).sum();
            progress::counted("importing", Unit::Entries, Some(total), |done| {
                for batch in &plan.batches {
                    let events: Vec<_> = batch.iter().map(|event| self.declared(event)).collect();
                    recorded += appender.append(&events, Own::Import)?.len();
                    done.fetch_add(events.len() as u64, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })?;
            appender.close()?;
        }
        for refusal in &plan.refusals {
            output::say(&format!("row {} is refused: {}", refusal.row, refusal.rule))?;
        }
        if plan.unmapped > 0 {
            let count = plan.unmapped;
            output::say(&format!("{count} rows name staff by a pseudonym; --actors maps them"))?;
        }
        let done = json!({
            "rows": export.rows_in_file, "recorded": plan.recorded, "known": plan.known,
            "refused": plan.refusals, "gaps": plan.gaps, "events": recorded,
        });
        output::object(context.format, &done, || {
            let (rows, new, known) = (export.rows_in_file, plan.recorded, plan.known);
            let (refused, gaps) = (plan.refusals.len(), plan.gaps.len());
            format!(
                "{rows} rows: {new} recorded, {known} known already, {refused} refused; {gaps} \
                 gaps in the numbers"
            )
        })?;
        if plan.refusals.is_empty() {
            return Ok(());
        }
        let count = plan.refusals.len();
        let what = format!("{count} rows are refused and not recorded; the others are");
        Err(fail(Code::Policy, what))
    }
}

impl Import<'_> {
    /// The event, with what the exporter says it left out.
    fn declared(&self, event: &CloudEvent) -> Value {
        let mut value = event.to_value();
        if let (Event::SourceImported(_), Some(filter)) = (&event.event, &self.filter) {
            set(value.get_mut("data").unwrap_or(&mut Value::Null), "filter", filter.clone());
        }
        value
    }
}

fn read(path: &Path, max: usize) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let size = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    if size > max as u64 {
        return Err(fail(Code::Failure, format!("{shown} has more than {max} bytes; split it")));
    }
    fs::read(path).with_context(|| format!("cannot read {shown}"))
}

/// The key must be the one that entry 0 names.
fn check_key(history: &History, fingerprint: &str) -> anyhow::Result<()> {
    let opened = history.of_types(|name| name == "rollout.ledger.opened.v1")?;
    let named = opened.iter().find_map(|e| match e.known()? {
        Event::LedgerOpened(opened) => opened.pseudonym_key.clone(),
        _ => None,
    });
    if named.is_none_or(|named| named.as_str() == fingerprint) {
        return Ok(());
    }
    let what = "keys/pseudonym.key is not the key that this ledger began with";
    Err(fail(Code::Policy, format!("{what}; put it back from a backup")))
}

/// The rows of one source that are recorded already, as they were recorded first.
fn known_rows(history: &History, origin: &Origin) -> anyhow::Result<KnownRows> {
    let entries = history.of_types(|name| name == "rollout.flag.changed.v1")?;
    Ok(KnownRows::of(&origin.source(), &entries))
}

/// Every change of every flag as corrections left it.
fn changes(events: &[Recorded]) -> Vec<FlagChangedRecorded> {
    resolve(events.iter()).iter().filter_map(FlagChangedRecorded::from_resolved).collect()
}

fn recorded(history: &History) -> anyhow::Result<Vec<FlagChangedRecorded>> {
    let bears =
        |name: &str| name == "rollout.flag.changed.v1" || name.starts_with("rollout.event.");
    Ok(changes(&history.of_types(bears)?))
}

fn list(context: &Context) -> anyhow::Result<()> {
    let history = context.history()?;
    let mut rows = Rows::new(&FlagLine::HEADER);
    for line in flags::list(&recorded(&history)?, None) {
        rows.push(line.cells().to_vec(), &line);
    }
    Ok(rows.print(context.format, "no flag yet; `rollout-ledger flags import` brings their log")?)
}

fn show(
    context: &Context,
    key: &str,
    at: Option<&str>,
    source: Option<&str>,
    environment: Option<&str>,
) -> anyhow::Result<()> {
    let at = at.map(|at| moment::parse("--at", at)).transpose()?;
    let history = context.history()?;
    let shown = flags::show(key, &recorded(&history)?, source, environment, at)
        .map_err(|e| fail(Code::Usage, format!("{e}; say --environment or --source")))?;
    if at.is_some() && context.format != output::Format::Table {
        return output::object(context.format, &shown.answer, String::new);
    }
    output::object(context.format, &shown, || {
        let rows: Vec<_> = shown.events.iter().map(|e| e.cells().to_vec()).collect();
        let state = shown.state_in_words();
        format!("{key}: {state}\n\n{}", output::table(&FlagEvent::HEADER, &rows))
    })?;
    Ok(())
}
