//! Start, run, stop: the service over one directory.
//!
//! Order matters. The log is locked and verified before anything is answered; the address is
//! printed once requests are answered; on a stop, requests in flight finish, the writer's thread
//! records what it has accepted, and only then is the log closed.

pub(crate) mod door;
#[cfg(feature = "kafka")]
mod follow;
mod ground;
#[cfg(feature = "kafka")]
pub(crate) mod group;
mod office;
mod settle;
#[cfg(feature = "kafka")]
mod shared;
#[cfg(not(feature = "kafka"))]
#[path = "serve/no_shared.rs"]
mod shared;
#[cfg(feature = "kafka")]
mod turned;

use std::{io::Write as _, sync::Arc, thread, time::Duration};

use anyhow::Context as _;
use ledger::{Head, IndexWatch, Log, LogError, Report, VerifyOptions, verify, verify_with_index};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::{JoinError, JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

pub use self::door::Doors;
use self::{ground::Ground, office::Means};
use crate::{
    clock,
    config::{Switch, door::Door},
    context::Context,
    engine::VERSION,
    facts::{Facts, ViewsThread},
    home::{Home, Serving, random_hex},
    http::{App, gate::Gate},
    listener,
    metrics::Metrics,
    slot::Slot,
    stream::Hub,
    tokens::file::TokenFile,
    verified::Verified,
    webhooks,
};

/// How long requests in flight may take to finish once the server is told to stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(4);

/// Entries from which on it is told that listening waits for them: fewer are read in a moment.
const WAIT_TOLD_FROM: u64 = 1_000;

/// How often it is told how far the views are while listening waits for them.
const WAIT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// How long a server among others rests between two looks whether a token was made elsewhere.
const DOOR_LOOK_GAP: Duration = Duration::from_millis(250);

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
    let Ground { log, place, index, duty } = Ground::open(&home, &doors, &metrics).await?;
    let intake = place.intake();
    let (facts, views, made) = read_views(log.clone(), &home, intake.heads(), &stopping).await?;
    let token: Arc<str> = random_hex::<32>().into();
    let (verified, damaged) = verify_aside(&home, (log.clone(), index), metrics.clone())?;
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
        station: duty.station(),
        passage: duty.passage()?,
    };
    if app.passage.is_some() && !made {
        let (facts, gate) = (app.facts.clone(), app.gate.clone());
        tokio::spawn(close_door(facts, gate, stopping.clone()));
    }
    let closing = CancellationToken::new();
    let duty = duty.begin(means, closing.clone())?;
    let serving = Serving {
        url: doors.url()?,
        token: token.to_string(),
        pid: std::process::id(),
        place: home.place()?,
    };
    home.announce(&serving).context("cannot write serve.json")?;
    let mut running = Running { duty, done: None, views, damaged, stopping };
    let result = running.answer(doors, app).await;
    home.withdraw();
    running.stopping.cancel();
    closing.cancel();
    let recorded = match running.done {
        Some(ended) => ended?,
        None => running.duty.await?,
    };
    let views = running.views;
    let folded = spawn_blocking(move || views.join()).await?;
    // The first cause is the one that says something.
    recorded.and(folded).and(result)
}

/// Closes the door to whoever has no token once one was made, on whichever machine.
async fn close_door(facts: Arc<Facts>, gate: Arc<Gate>, stopping: CancellationToken) {
    let mut news = facts.news();
    while let Some(Ok(())) = stopping.run_until_cancelled(news.changed()).await {
        let asked = facts.clone();
        match spawn_blocking(move || asked.holds(TOKEN_CREATED)).await {
            Ok(Ok(true)) => return gate.tokens_were_made(),
            Ok(Ok(false)) => {}
            _ => tracing::error!("it is not known whether a token was made"),
        }
        stopping.run_until_cancelled(tokio::time::sleep(DOOR_LOOK_GAP)).await;
    }
}

/// What a server that answers may end by.
struct Running {
    duty: JoinHandle<anyhow::Result<()>>,
    /// How the duty ended, once it has.
    done: Option<Result<anyhow::Result<()>, JoinError>>,
    views: ViewsThread,
    damaged: oneshot::Receiver<anyhow::Error>,
    stopping: CancellationToken,
}

impl Running {
    /// Answers until told to stop, or until it cannot go on.
    async fn answer(&mut self, doors: Doors, app: App) -> anyhow::Result<()> {
        let lines = doors.lines()?;
        let (listening, rules) = doors.finish(&app, self.stopping.clone())?;
        let settled = app.passage.clone().map(|passage| (app.station.clone(), passage));
        drop(app);
        // Connections that are still open end with this, and what they hold with them.
        let _cut = rules.cut.clone().drop_guard();
        let server = listener::serve(listening, rules);
        if let Some((station, passage)) = settled {
            tokio::select! {
                () = settle::until_there_is_a_writer(&station, &passage, &self.stopping) => {}
                ended = &mut self.duty => {
                    self.done = Some(ended);
                    return Ok(());
                }
            }
        }
        announce(&lines)?;
        let stopping = self.stopping.clone();
        let patience = async {
            stopping.cancelled().await;
            tokio::time::sleep(STOP_WAIT_MAX).await;
        };
        tokio::select! {
            () = server => Ok(()),
            () = patience => {
                tracing::warn!("requests that were still open are cut off");
                Ok(())
            }
            Ok(damage) = &mut self.damaged => Err(damage),
            ended = &mut self.duty => {
                self.done = Some(ended);
                Ok(())
            }
            _ = self.views.ended.recv() => Err(anyhow::anyhow!("the views stopped")),
        }
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
    (log, index): (Arc<dyn Log>, Option<IndexWatch>),
    metrics: Arc<Metrics>,
) -> std::io::Result<(watch::Receiver<bool>, oneshot::Receiver<anyhow::Error>)> {
    let (done, verified) = watch::channel(false);
    let (tell, damaged) = oneshot::channel();
    let home = home.clone();
    thread::Builder::new().name("verify".to_owned()).spawn(move || {
        let found = match &index {
            Some(index) => verify_with_index(&*log, index, &VerifyOptions::default()),
            None => verify(&*log, &VerifyOptions::default()),
        };
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
