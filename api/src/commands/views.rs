//! `views rebuild|diff`.

use std::sync::Arc;

use ledger::{Log, SegmentLog};

use crate::{
    config::Views as Command,
    context::Context,
    exit::{Code, fail},
    facts::{open_views, threads, views_failed},
    home::Home,
    output,
};

/// Makes a directory's views again.
pub(super) fn rebuild(home: &Home, log: &Arc<dyn Log>) -> anyhow::Result<()> {
    let views = open_views(home, &**log)?;
    views.rebuild(&**log, log.head(), threads()).map_err(views_failed)
}

/// Views have one writer at a time, so no server may run.
pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let home = context.alone()?;
    let log: Arc<dyn Log> = Arc::new(SegmentLog::open_read_only(home.log())?);
    let head = log.head();
    match command {
        Command::Rebuild => {
            rebuild(&home, &log)?;
            Ok(output::print(&format!("made the views again from {} entries", head.next))?)
        }
        Command::Diff => {
            let views = open_views(&home, &*log)?;
            // Views that were never made have nothing to differ from.
            if views.position().next == 0 {
                views.catch_up(&*log, head, threads()).map_err(views_failed)?;
            }
            let differences = views.diff(&*log, threads()).map_err(views_failed)?;
            let entries = views.position().next;
            if differences.is_empty() {
                let same = format!("the views of {entries} entries are what the log gives");
                return Ok(output::print(&same)?);
            }
            for difference in &differences {
                let row = |row: &Option<String>| row.clone().unwrap_or_else(|| "no row".to_owned());
                let (live, rebuilt) = (row(&difference.live), row(&difference.rebuilt));
                output::print(&format!("{}: {live}, and the log gives {rebuilt}", difference.key))?;
            }
            let count = differences.len();
            let what = format!("the views of {entries} entries differ in at least {count} rows");
            Err(fail(Code::Failure, format!("{what}; `views rebuild` makes them again")))
        }
    }
}
