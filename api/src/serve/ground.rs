//! What a server stands on: its log, and its duty to it. On a log in the directory it is the writer
//! from its start to its end; on a shared one it takes part.

use std::sync::Arc;

use ledger::{IndexWatch, Log, Seq};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    Doors,
    office::{Means, Office},
    shared::{Part, Shared},
};
use crate::{
    clock,
    engine::{Engine, OWN_SOURCE},
    forward::send::Forwarder,
    home::Home,
    http::forwarded::Passage,
    ingest::{Place, WriterThread},
    intake::{Submitter, admit_all, own::Own},
    metrics::Metrics,
    space::Space,
    station::{Role, Station},
    tokens::{
        file::TokenFile,
        record::{revoke_recorded, settle},
    },
};

/// The ground of one server.
pub(super) struct Ground {
    pub log: Arc<dyn Log>,
    pub place: Place,
    /// What the index of ids says, where this server keeps it from its start on.
    pub index: Option<IndexWatch>,
    pub duty: Duty,
}

/// What a server does beside answering questions.
pub(super) enum Duty {
    Alone(WriterThread),
    Among(Box<Shared>, Part),
}

impl Ground {
    /// Opens the log. Of a ledger that is alone it is written from now on.
    pub(super) async fn open(
        home: &Home,
        doors: &Doors,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Ground> {
        let opening = home.clone();
        if let Some(shared) = spawn_blocking(move || Shared::open(&opening)).await?? {
            let (own_url, stands_by) = doors.advertised()?;
            let role = if stands_by { Role::Standby } else { Role::Reader };
            let part = Part { station: Arc::new(Station::among(role)), own_url, stands_by };
            let (log, space) = (shared.log(), Space::of(&home.disk(), home.min_free()));
            let place = Place::vacant(log.head(), Arc::new(space));
            return Ok(Ground {
                log,
                place,
                index: None,
                duty: Duty::Among(Box::new(shared), part),
            });
        }
        let opening = home.clone();
        let Opened { engine, .. } = spawn_blocking(move || open_as_writer(&opening)).await??;
        let (log, index) = (engine.log.clone(), Some(engine.writer.index_watch()));
        let place = Place::vacant(engine.writer.head(), engine.space.clone());
        let writer = place.take(engine, metrics.clone())?;
        Ok(Ground { log, place, index, duty: Duty::Alone(writer) })
    }
}

impl Duty {
    pub(super) fn station(&self) -> Arc<Station> {
        match self {
            Duty::Alone(_) => Arc::new(Station::alone()),
            Duty::Among(_, part) => part.station.clone(),
        }
    }

    /// How requests are passed on, where there may be somebody to pass them on to.
    pub(super) fn passage(&self) -> anyhow::Result<Option<Passage>> {
        let Duty::Among(shared, part) = self else { return Ok(None) };
        let forwarder = Forwarder::new(shared.key().clone())?;
        Ok(Some(Passage::new(forwarder, &part.own_url)))
    }

    /// Does it until `closing`.
    pub(super) fn begin(
        self,
        means: Arc<Means>,
        closing: CancellationToken,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
        Ok(match self {
            Duty::Alone(writer) => {
                let office = Office::open(means, writer)?;
                tokio::spawn(async move { office.keep(&closing).await })
            }
            Duty::Among(shared, part) => tokio::spawn(shared.take_part(means, part, closing)),
        })
    }
}

/// A log that was opened for writing, and how that is recorded.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "other servers are told of it"))]
pub(super) struct Opened {
    pub engine: Engine,
    pub host_id: String,
    /// The entry that says that this process writes from now on.
    pub seq: Seq,
}

/// Opens the log for a server and records that a writer took it over.
pub(super) fn open_as_writer(home: &Home) -> anyhow::Result<Opened> {
    let mut engine = Engine::open(home)?;
    let host_id = engine.note_opened(home)?;
    let opened = engine.writer.recorded(OWN_SOURCE, &format!("writer-opened-{host_id}"))?;
    let opened = opened.or(engine.writer.head().last_seq()).unwrap_or(Seq(0));
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
    Ok(Opened { engine, host_id, seq: opened })
}
