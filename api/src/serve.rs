//! Start, run, stop: the service over one directory.
//!
//! Order matters. The log is locked and verified before anything is answered; the address is
//! printed once requests are answered; on a stop, requests in flight finish, the writer's thread
//! records what it has accepted, and only then is the log closed.

pub(crate) mod door;
mod office;

use std::{io::Write as _, sync::Arc, thread, time::Duration};

use anyhow::Context as _;
use ledger::{Head, IndexWatch, Log, LogError, Report, VerifyOptions, verify_with_index};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

pub use self::door::Doors;
use self::office::{Means, Office};
use crate::{
    clock,
    config::{Switch, door::Door},
    context::Context,
    engine::{Engine, OWN_SOURCE, VERSION},
    facts::{Facts, ViewsThread},
    home::{Home, Serving, random_hex},
    http::App,
    ingest::{Place, WriterThread},
    intake::{Submitter, admit_all, own::Own},
    listener,
    metrics::Metrics,
    slot::Slot,
    station::Station,
    stream::Hub,
    tokens::{
        file::TokenFile,
        record::{revoke_recorded, settle},
    },
    verified::Verified,
    webhooks,
};

/// How long requests in flight may take to finish once the server is told to stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(4);

/// Entries from which on it is told that listening waits for them: fewer are read in a moment.
const WAIT_TOLD_FROM: u64 = 1_000;

/// How often it is told how far the views are while listening waits for them.
const WAIT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// What shows, for as long as there is a log, that a token was once made.
const TOKEN_CREATED: &str = "rollout.token.created.v1";

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the directory or the address cannot be used, or recording stopped.
pub async fn run(
    context: &Context,
    listen: &str,
    scheduler: Switch,
    streams: usize,
    webhooks: webhooks::Settings,
    door: Door,
) -> anyhow::Result<()> {
    let home = context.alone()?;
    let doors = Doors::open(&home, listen, door).await?;
    let stopping = CancellationToken::new();
    watch_signals(stopping.clone())?;
    serve(doors, home, scheduler, streams, stopping, webhooks).await
}

/// Serves one directory until told to stop, with at most so many event streams.
pub async fn serve(
    doors: Doors,
    home: Home,
    scheduler: Switch,
    streams: usize,
    stopping: CancellationToken,
    webhooks: webhooks::Settings,
) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new(VERSION, clock::wall_us()));
    let Ground { log, place, writer, index } = Ground::open(&home, &metrics).await?;
    let intake = place.intake();
    let (facts, mut views, made) =
        read_views(log.clone(), &home, intake.heads(), &stopping).await?;
    let token: Arc<str> = random_hex::<32>().into();
    let (verified, mut damaged) = verify_aside(&home, (log.clone(), index), metrics.clone())?;
    let stream =
        Hub::start(log.clone(), intake.heads(), stopping.clone(), streams, metrics.clone());
    let means = Arc::new(Means {
        home: home.clone(),
        scheduler,
        settings: webhooks,
        facts: facts.clone(),
        metrics: metrics.clone(),
        log,
        place,
        webhooks: Slot::default(),
        stopping: stopping.clone(),
    });
    let app = App {
        facts,
        intake,
        metrics,
        stream,
        webhooks: means.webhooks.clone(),
        verified,
        token: token.clone(),
        gate: doors.gate(token.clone(), made),
        station: Arc::new(Station::alone()),
        passage: None,
    };
    let (office, closing) = (Office::open(means, writer)?, CancellationToken::new());
    let until = closing.clone();
    let mut duty = tokio::spawn(async move { office.keep(&until).await });
    let serving = Serving {
        url: doors.url()?,
        token: token.to_string(),
        pid: std::process::id(),
        place: home.place()?,
    };
    home.announce(&serving).context("cannot write serve.json")?;

    let lines = doors.lines()?;
    let (listening, rules) = doors.finish(&app, stopping.clone())?;
    drop(app);
    let cut = rules.cut.clone().drop_guard();
    let server = listener::serve(listening, rules);
    announce(&lines)?;
    let patience = async {
        stopping.cancelled().await;
        tokio::time::sleep(STOP_WAIT_MAX).await;
    };
    let mut done = None;
    let result = tokio::select! {
        () = server => Ok(()),
        () = patience => {
            tracing::warn!("requests that were still open are cut off");
            Ok(())
        }
        Ok(damage) = &mut damaged => Err(damage),
        ended = &mut duty => {
            done = Some(ended);
            Ok(())
        }
        _ = views.ended.recv() => Err(anyhow::anyhow!("the views stopped")),
    };
    home.withdraw();
    stopping.cancel();
    // Connections that are still open end here, and what they hold with them.
    drop(cut);
    closing.cancel();
    let recorded = match done {
        Some(ended) => ended?,
        None => duty.await?,
    };
    let folded = spawn_blocking(move || views.join()).await?;
    // The first cause is the one that says something.
    recorded.and(folded).and(result)
}

/// What a server stands on.
struct Ground {
    log: Arc<dyn Log>,
    place: Place,
    writer: WriterThread,
    index: IndexWatch,
}

impl Ground {
    /// Opens the log and begins to record.
    async fn open(home: &Home, metrics: &Arc<Metrics>) -> anyhow::Result<Ground> {
        let opening = home.clone();
        let engine = spawn_blocking(move || open(&opening)).await??;
        let (log, index) = (engine.log.clone(), engine.writer.index_watch());
        let place = Place::vacant(engine.writer.head(), engine.space.clone());
        let writer = place.take(engine, metrics.clone())?;
        Ok(Ground { log, place, writer, index })
    }
}

/// Begins to keep the views, and tells whether a token was ever made. Unless the file of tokens or
/// the views say so at once, all that was durable must have been read first: to listen before that
/// could open a door that a token has closed.
async fn read_views(
    log: Arc<dyn Log>,
    home: &Home,
    heads: watch::Receiver<Head>,
    stopping: &CancellationToken,
) -> anyhow::Result<(Arc<Facts>, ViewsThread, bool)> {
    let durable = heads.borrow().next.0;
    let home = home.clone();
    let read = spawn_blocking(move || {
        let (facts, views) = Facts::start(log, &home, heads)?;
        let made = !TokenFile::of(&home).read()?.is_empty() || facts.holds(TOKEN_CREATED)?;
        anyhow::Ok((facts, views, made))
    });
    let (facts, views, made) = read.await??;
    if made {
        return Ok((facts, views, true));
    }
    let mut news = facts.news();
    let telling = tell_wait(&facts, durable);
    tokio::select! {
        reached = news.wait_for(|next| *next >= durable) => {
            reached.map_err(|_| anyhow::anyhow!("the views stopped before they were read"))?;
        }
        never = telling => match never {},
        // Whoever comes in between finds the door closed.
        () = stopping.cancelled() => return Ok((facts, views, true)),
    }
    let asking = facts.clone();
    let made = spawn_blocking(move || asking.holds(TOKEN_CREATED)).await??;
    Ok((facts, views, made))
}

/// Tells that listening waits for the views, and how far they are. Never ends.
async fn tell_wait(facts: &Facts, durable: u64) -> std::convert::Infallible {
    let mut behind = durable.saturating_sub(facts.next());
    if behind < WAIT_TOLD_FROM {
        return std::future::pending().await;
    }
    loop {
        tracing::info!(
            behind,
            "not listening yet: the views read the log first, since it says whether a token was made"
        );
        tokio::time::sleep(WAIT_TOLD_EVERY).await;
        behind = durable.saturating_sub(facts.next());
    }
}

/// Verifies the whole log beside the service: opening has checked what is new since the last clean
/// stop, and what is older may have been changed meanwhile. `readyz` waits for it. The index of ids is
/// compared with the log as well, and the writer makes it again if it lies.
fn verify_aside(
    home: &Home,
    (log, index): (Arc<dyn Log>, IndexWatch),
    metrics: Arc<Metrics>,
) -> std::io::Result<(watch::Receiver<bool>, oneshot::Receiver<anyhow::Error>)> {
    let (done, verified) = watch::channel(false);
    let (tell, damaged) = oneshot::channel();
    let home = home.clone();
    thread::Builder::new().name("verify".to_owned()).spawn(move || {
        let found = verify_with_index(&*log, &index, &VerifyOptions::default());
        let sound = found.as_ref().is_ok_and(|report| report.first_bad.is_none());
        let entries = found.as_ref().map_or(0, |report| report.entries);
        metrics.verified(sound, entries, clock::wall_us());
        if let Ok(report) = &found {
            for note in &report.notes {
                tracing::warn!("{note}");
            }
            Verified::of(report, clock::wall_us()).note(&home);
        }
        let error = match found {
            Ok(Report { first_bad: None, .. }) => {
                done.send_replace(true);
                return;
            }
            Ok(Report { first_bad: Some(damage), .. }) => LogError::from(damage),
            Err(e) => e,
        };
        let _ = tell.send(anyhow::Error::from(error));
    })?;
    Ok((verified, damaged))
}

/// Opens the log for a server and records that a writer took it over.
fn open(home: &Home) -> anyhow::Result<Engine> {
    let mut engine = Engine::open(home)?;
    engine.note_opened(home)?;
    // A command that holds the file settles it itself.
    if let Some(held) = TokenFile::of(home).try_lock()? {
        let (mut tokens, now_us) = (held.read()?, clock::now().as_microsecond());
        revoke_recorded(&held, &mut tokens, now_us, |id| {
            Ok(engine.writer.recorded(OWN_SOURCE, id)?.map(|seq| seq.0))
        })?;
        settle(&held, &mut tokens, now_us, |events| {
            let admitted =
                admit_all(events, &Submitter::here(Own::Tokens)).map_err(|r| r.failure())?;
            engine.append_regardless(admitted).map(drop)
        })?;
    }
    Ok(engine)
}

/// Prints the lines that scripts wait for.
fn announce(lines: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes())?;
    out.flush()
}

fn watch_signals(stopping: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    Ok(())
}
