//! What the writer alone does: it takes what is to be recorded, announces what falls due and sends
//! webhooks. An office is opened when a server becomes the writer and closed when it is one no more.

use std::sync::Arc;

use ledger::Log;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Switch,
    facts::Facts,
    home::Home,
    ingest::{Place, WriterThread},
    metrics::Metrics,
    scheduler::serving::{self, SystemWall},
    slot::Slot,
    webhooks::{self, Webhooks},
};

/// What an office is opened with.
pub(super) struct Means {
    pub home: Home,
    pub scheduler: Switch,
    pub settings: webhooks::Settings,
    pub facts: Arc<Facts>,
    pub metrics: Arc<Metrics>,
    /// What webhooks send.
    pub log: Arc<dyn Log>,
    pub place: Place,
    /// Where handlers look for the webhooks.
    pub webhooks: Slot<Webhooks>,
    /// The server is told to stop: nothing new is begun.
    pub stopping: CancellationToken,
}

/// An open office.
pub(super) struct Office {
    means: Arc<Means>,
    writer: WriterThread,
    scheduling: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Office {
    /// Opens an office for a writer that has the place already.
    ///
    /// # Errors
    /// When the webhooks cannot be read, or another process is changing them.
    pub(super) fn open(means: Arc<Means>, writer: WriterThread) -> anyhow::Result<Office> {
        let stop = means.stopping.child_token();
        let webhooks = Webhooks::start(
            &means.home,
            means.settings.clone(),
            means.log.clone(),
            means.place.intake().heads(),
            means.metrics.clone(),
            stop.clone(),
        )?;
        means.webhooks.set(Some(webhooks));
        let (due, recorder) = (means.facts.clone(), means.place.intake());
        let (counting, ending) = (means.metrics.clone(), stop.clone());
        let scheduling = (means.scheduler == Switch::On)
            .then(|| tokio::spawn(serving::run(due, recorder, SystemWall, counting, ending)));
        Ok(Office { means, writer, scheduling, stop })
    }

    /// Returns when the writer's thread has ended, whatever the reason.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.writer.ended).await;
    }

    /// Keeps the office until it is to be closed, or until the writer ends.
    pub(super) async fn keep(mut self, closing: &CancellationToken) -> anyhow::Result<()> {
        let kept = tokio::select! {
            () = closing.cancelled() => Ok(()),
            // Start again is the one way to recover: what is stored decides.
            () = self.ended() => Err(anyhow::anyhow!("recording stopped")),
        };
        // The first cause is the one that says something.
        self.close().await.and(kept)
    }

    /// Sends and announces nothing more, records what was accepted, and says why the writer ended.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        if let Some(webhooks) = self.means.webhooks.set(None) {
            webhooks.stop().await;
        }
        self.means.place.leave();
        if let Some(scheduling) = self.scheduling {
            // It says itself what went wrong with it.
            let _ = scheduling.await;
        }
        spawn_blocking(move || self.writer.join()).await?
    }
}
