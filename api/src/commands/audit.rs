//! `audit`: ask a ready question, print the answer.

mod tables;

use projector::audit::Trail;
use serde::Serialize;

use crate::{
    answers::{Answer, AsOf, View},
    audit, clock,
    config::audit::{Audit as Command, By},
    context::Context,
    moment,
    output::{self, Format, Rows},
};

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::WhoChanged { flag, page } => {
            let wanted = audit::wanted(page.after, page.limit)?;
            let (data, as_of) = audit::who_changed(&context.history()?, &flag, wanted)?;
            let rows = tables::who_changed(&data);
            let (total, next) = (data.total, more(data.page.next_after));
            let said = format!("{total} changes of {flag} are recorded{next}");
            print(context, Answer { data, as_of }, rows, &said)
        }
        Command::Actor { id, page } => {
            let wanted = audit::wanted(page.after, page.limit)?;
            let (data, as_of) = audit::actor(&context.history()?, &id, wanted)?;
            let nothing = if page.after.is_some() {
                format!("no more events name {id}")
            } else {
                format!(
                    "the ledger has never heard of {id} acting: no event names this account; \
                     compare the spelling"
                )
            };
            trail(context, data, as_of, &nothing)
        }
        Command::Between { from, until, by, rollout, page } => {
            let wanted = audit::wanted(page.after, page.limit)?;
            let (from, until) = (moment::parse("A", &from)?, moment::parse("B", &until)?);
            let history = context.history()?;
            let rollout = rollout.as_deref();
            let (data, as_of) = audit::between(&history, from, until, by, rollout, wanted)?;
            let nothing = match by {
                By::Happened => "nothing of known time happened between these moments",
                By::Recorded => "nothing was recorded between these moments",
            };
            trail(context, data, as_of, nothing)
        }
        Command::State { flag, at, known_at } => {
            let parse = |option: &str, text: Option<&String>| {
                text.map(|text| moment::parse(option, text)).transpose()
            };
            let (at, known_at) =
                (parse("--at", at.as_ref())?, parse("--known-at", known_at.as_ref())?);
            let (data, as_of) = audit::state(&context.history()?, &flag, at, known_at)?;
            let text = tables::state(&data);
            object(context, Answer { data, as_of }, text)
        }
        Command::Approvals { id, moment } => {
            let view = View::parse(&moment, clock::now())?;
            let (data, as_of) = audit::approvals(&context.history()?, &id, &view)?;
            let text = tables::approvals(&data);
            object(context, Answer { data, as_of }, text)
        }
        Command::Restated { id } => {
            let (data, as_of) = audit::restated(&context.history()?, &id)?;
            let text = tables::restated(&data);
            object(context, Answer { data, as_of }, text)
        }
        Command::Gaps { quiet_days, silent_days, at, after, limit } => {
            let at_us = at.map(|at| moment::parse("--at", &at)).transpose()?;
            let now_us = clock::now().as_microsecond();
            let asked = audit::AskedGaps { at_us, now_us, quiet_days, silent_days, after, limit };
            let (data, as_of) = audit::gaps(&context.history()?, &asked)?;
            let text = tables::gaps(&data);
            object(context, Answer { data, as_of }, text)
        }
    }
}

fn trail(context: &Context, data: Trail, as_of: AsOf, nothing: &str) -> anyhow::Result<()> {
    let rows = tables::trail(&data);
    let said = match data.events.len() {
        0 => nothing.to_owned(),
        1 => format!("1 event{}", more(data.page.next_after)),
        count => format!("{count} events{}", more(data.page.next_after)),
    };
    print(context, Answer { data, as_of }, rows, &said)
}

fn more(next_after: Option<u64>) -> String {
    next_after.map_or_else(String::new, |seq| format!("; more with --after {seq}"))
}

/// Rows for people and spreadsheets; the whole answer as one object for JSON.
fn print<T: Serialize>(
    context: &Context,
    answer: Answer<T>,
    rows: Rows,
    said: &str,
) -> anyhow::Result<()> {
    if context.format == Format::Json {
        return output::object(context.format, &answer, String::new);
    }
    rows.print(context.format, said)?;
    output::say(said)?;
    Ok(output::computed_at(answer.as_of.seq, &answer.as_of.hash)?)
}

fn object<T: Serialize>(context: &Context, answer: Answer<T>, text: String) -> anyhow::Result<()> {
    output::object(context.format, &answer, || output::printable(&text))?;
    if context.format == Format::Table {
        output::computed_at(answer.as_of.seq, &answer.as_of.hash)?;
    }
    Ok(())
}
