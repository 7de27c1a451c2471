//! `views rebuild|diff`, by the server where one holds the directory.

use std::sync::Arc;

use ledger::Log;
use serde_json::Value;

use crate::{
    config::Views as Command,
    context::Context,
    exit::{Code, fail},
    facts::{difference, open_views, threads, views_failed},
    home::Home,
    logs, output, progress,
    remote::Remote,
};

/// Makes a directory's views again.
pub(super) fn rebuild(home: &Home, log: &Arc<dyn Log>) -> anyhow::Result<()> {
    let (views, head) = (open_views(home, &**log)?, log.head());
    progress::reading("rebuilding the views", head.next.0, log, |log| {
        views.rebuild(log, head, threads()).map_err(views_failed)
    })
}

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let home = context.home()?;
    if let Some(remote) = Remote::of(&home)? {
        return by_server(&remote, command);
    }
    let log = logs::readable(&home)?;
    let head = log.head();
    match command {
        Command::Rebuild => {
            rebuild(&home, &log)?;
            made(head.next.0)
        }
        Command::Diff => {
            let views = open_views(&home, &*log)?;
            // Views that were never made have nothing to differ from.
            if views.position().next == 0 {
                views.catch_up(&*log, head, threads()).map_err(views_failed)?;
            }
            let differences = progress::reading("comparing the views", head.next.0, &log, |log| {
                views.diff(log, threads()).map_err(views_failed)
            })?;
            let differences: Vec<_> = differences.iter().map(difference).collect();
            compared(&differences, views.position().next)
        }
    }
}

fn by_server(remote: &Remote, command: Command) -> anyhow::Result<()> {
    let what = match command {
        Command::Rebuild => "rebuild",
        Command::Diff => "diff",
    };
    let answer = remote.views(what)?;
    let entries = answer.get("entries").and_then(Value::as_u64).unwrap_or_default();
    if let Command::Rebuild = command {
        return made(entries);
    }
    let list = answer.get("differences").and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    compared(&texts.collect::<Vec<_>>(), entries)
}

fn made(entries: u64) -> anyhow::Result<()> {
    Ok(output::print(&format!("made the views again from {entries} entries"))?)
}

fn compared(differences: &[String], entries: u64) -> anyhow::Result<()> {
    if differences.is_empty() {
        return Ok(output::print(&format!(
            "the views of {entries} entries are what the log gives"
        ))?);
    }
    differences.iter().try_for_each(|difference| output::print(difference))?;
    let count = differences.len();
    let what = format!("the views of {entries} entries differ in at least {count} rows");
    Err(fail(Code::Failure, format!("{what}; `views rebuild` makes them again")))
}
