//! `schedule show|run`.

use std::{path::Path, thread, time::Duration};

use projector::recorded::Moment;

use crate::{
    clock,
    config::Schedule as Command,
    context::Context,
    exit::Failure,
    logging, moment,
    output::{self, Rows},
    scheduler::{
        Board, RETRY_WAIT, Scheduler,
        remote::{Directory, Server, in_directory},
        sleep,
    },
};

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Show { until } => show(context, until.as_deref()),
        Command::Run { url, token_file, once } => {
            logging::start(None);
            match url {
                Some(url) => {
                    announce(&Server::at(&url, token_file.as_deref().map(Path::new))?, once)
                }
                None => announce(&Directory(context), once),
            }
        }
    }
}

fn show(context: &Context, until: Option<&str>) -> anyhow::Result<()> {
    let now = Moment(clock::now().as_microsecond());
    let until = until.map(|text| moment::parse("--until", text)).transpose()?;
    let history = context.history()?;
    let due = in_directory(&history, now, until.map_or(Moment(i64::MAX), Moment))?;
    let mut rows = Rows::new(&["at", "rollout", "event", "what", "fallen_due"]);
    for announcement in &due.announcements {
        let text =
            |pointer: &str| crate::json::text(&announcement.event, pointer).map(str::to_owned);
        let what = text("/data/checkpoint").or_else(|| text("/data/flag")).unwrap_or_default();
        let cells = vec![
            announcement.at.clone(),
            announcement.rollout.to_string(),
            text("/type").unwrap_or_default(),
            what,
            if announcement.fallen_due { "yes" } else { "no" }.to_owned(),
        ];
        rows.push(cells, announcement);
    }
    rows.print(context.format, "nothing falls due that is not recorded")?;
    let (seq, hash) = history.as_of();
    Ok(output::computed_at(seq, &hash)?)
}

/// Announces what falls due: once, or until the process is stopped.
fn announce(board: &impl Board, once: bool) -> anyhow::Result<()> {
    let mut scheduler = Scheduler::default();
    loop {
        let wait: Duration = match scheduler.look(board) {
            Ok(looked) if once => {
                let next = looked.next.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
                let (recorded, known) = (looked.recorded, looked.known);
                let line = format!("{recorded} announced, {known} known already; next: {next}");
                return Ok(output::print(&line)?);
            }
            Ok(looked) => {
                if looked.recorded > 0 {
                    tracing::info!(events = looked.recorded, "announced what has fallen due");
                }
                sleep(Moment(clock::now().as_microsecond()), looked.next)
            }
            Err(e) if once => return Err(e),
            // A server that restarts is waited for; one that refuses us is not.
            Err(e) if e.downcast_ref::<Failure>().is_some_and(Failure::is_for_good) => {
                return Err(e);
            }
            Err(e) => {
                tracing::warn!(error = %e, "what has fallen due could not be announced; trying again");
                RETRY_WAIT
            }
        };
        thread::sleep(wait);
    }
}
