//! Start, run, stop: the service over one directory.
//!
//! Order matters. The log is locked and verified before anything is answered; the address is
//! printed once requests are answered; on a stop, requests in flight finish, the writer's thread
//! records what it has accepted, and only then is the log closed.

use std::{
    io::Write as _,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use ledger::{Log, LogError, Report, VerifyOptions};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    config::Switch,
    context::Context,
    engine::{Engine, VERSION},
    exit::{Code, fail},
    facts::Facts,
    home::{Home, Serving, random_hex},
    http::{self, App},
    ingest,
    json::set,
    metrics::Metrics,
    patient::PatientListener,
    scheduler::serving::{self, SystemWall},
    stream::Hub,
    webhooks::{self, Webhooks},
};

/// How long requests in flight may take to finish once the server is told to stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(4);

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
) -> anyhow::Result<()> {
    let address = loopback(listen)?;
    let home = context.alone()?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen"))?;
    let stopping = CancellationToken::new();
    watch_signals(stopping.clone())?;
    serve(listener, home, scheduler, streams, stopping, webhooks).await
}

/// Serves one directory on a listener until told to stop, with at most so many event streams.
pub async fn serve(
    listener: TcpListener,
    home: Home,
    scheduler: Switch,
    streams: usize,
    stopping: CancellationToken,
    webhooks: webhooks::Settings,
) -> anyhow::Result<()> {
    let opening = home.clone();
    let engine = spawn_blocking(move || open(&opening)).await??;
    let log = engine.log.clone();
    let (verifying, history) = (log.clone(), log.clone());
    let metrics = Arc::new(Metrics::new(VERSION, clock::wall_us()));
    let (intake, mut writer) = ingest::start(engine, metrics.clone())?;
    let (heads, stop) = (intake.heads(), stopping.clone());
    let webhooks = Webhooks::start(&home, webhooks, log.clone(), heads, metrics.clone(), stop)?;
    let (opening, heads) = (home.clone(), intake.heads());
    let (facts, mut views) = spawn_blocking(move || Facts::start(log, &opening, heads)).await??;
    let token: Arc<str> = random_hex::<32>().into();
    let (verified, mut damaged) = verify_aside(verifying, metrics.clone())?;
    let (log, heads) = (history, intake.heads());
    let stream = Hub::start(log, heads, stopping.clone(), streams, metrics.clone());
    let app = App {
        facts: facts.clone(),
        intake: intake.clone(),
        metrics,
        stream,
        webhooks: webhooks.clone(),
        verified,
        token: token.clone(),
    };
    let (due, recorder) = (facts.clone(), intake.clone());
    let scheduling = (scheduler == Switch::On)
        .then(|| tokio::spawn(serving::run(due, recorder, SystemWall, stopping.clone())));
    let url = format!("http://{}", listener.local_addr()?);
    let serving = Serving {
        url: url.clone(),
        token: token.to_string(),
        pid: std::process::id(),
        place: home.place()?,
    };
    home.announce(&serving).context("cannot write serve.json")?;

    let stop = stopping.clone();
    let server = axum::serve(PatientListener(listener), http::router(app)?)
        .with_graceful_shutdown(async move { stop.cancelled().await });
    announce(&url)?;
    let patience = async {
        stopping.cancelled().await;
        tokio::time::sleep(STOP_WAIT_MAX).await;
    };
    let result = tokio::select! {
        stopped = server => stopped.context("the server stopped"),
        () = patience => {
            tracing::warn!("requests that were still open are cut off");
            Ok(())
        }
        Ok(damage) = &mut damaged => Err(damage),
        // Start again is the one way to recover: what is stored decides.
        _ = &mut writer.ended => Err(anyhow::anyhow!("recording stopped")),
        _ = views.ended.recv() => Err(anyhow::anyhow!("the views stopped")),
    };
    home.withdraw();
    stopping.cancel();
    drop(facts);
    webhooks.stop().await;
    intake.stop().await;
    if let Some(scheduling) = scheduling {
        // It says itself what went wrong with it.
        let _ = scheduling.await;
    }
    let (recorded, folded) = spawn_blocking(move || (writer.join(), views.join())).await?;
    // The first cause is the one that says something.
    recorded.and(folded).and(result)
}

/// Verifies the whole log beside the service: opening has checked what is new since the last clean
/// stop, and what is older may have been changed meanwhile. `readyz` waits for it.
fn verify_aside(
    log: Arc<dyn Log>,
    metrics: Arc<Metrics>,
) -> std::io::Result<(watch::Receiver<bool>, oneshot::Receiver<anyhow::Error>)> {
    let (done, verified) = watch::channel(false);
    let (tell, damaged) = oneshot::channel();
    thread::Builder::new().name("verify".to_owned()).spawn(move || {
        let found = ledger::verify(&*log, &VerifyOptions::default());
        let sound = found.as_ref().is_ok_and(|report| report.first_bad.is_none());
        let entries = found.as_ref().map_or(0, |report| report.entries);
        metrics.verified(sound, entries, clock::wall_us());
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
    let host_id = random_hex::<16>();
    let mut data = json!({ "version": VERSION, "host_id": host_id, "basis": "observed" });
    if engine.torn_bytes > 0 {
        set(&mut data, "torn_bytes", json!(engine.torn_bytes));
    }
    if let Some(left) = home.serving() {
        set(&mut data, "took_over_from", json!(format!("pid {}", left.pid)));
    }
    let id = format!("writer-opened-{host_id}");
    engine.append_own("rollout.ledger.writer_opened.v1", &id, data)?;
    Ok(engine)
}

/// The address to listen on. There are no access tokens yet, so whoever can connect may record.
fn loopback(listen: &str) -> anyhow::Result<SocketAddr> {
    let unusable = || fail(Code::Usage, "--listen wants ADDRESS:PORT such as 127.0.0.1:8080");
    let address = listen.to_socket_addrs().map_err(|_| unusable())?.next().ok_or_else(unusable)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    let why = "without access tokens only loopback may be listened on, such as 127.0.0.1:8080";
    Err(fail(Code::Policy, why))
}

/// The one line that scripts wait for.
fn announce(url: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {url}")?;
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
