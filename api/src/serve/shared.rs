//! One of several servers on a log that is a topic: it follows the log, and writes it when it is its
//! turn.
//!
//! Being a writer begins with the group's word and ends in one of three ways: the service stops; the
//! brokers do not answer, and the server goes on as a reader; or another server has taken the log over
//! from this one unasked, and it ends with exit 75, to be started again as a reader. What a commit
//! that failed has left in doubt is decided by whoever opens the log next, having read it to its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ledger::{KafkaAddress, KafkaOptions, Log, LogError, Turn};
use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    follow::{Again, Follow, Way},
    ground::{Opened, open_as_writer},
    group::{Group, Membership},
    office::{Means, Office},
    turned::Turned,
};
use crate::{
    exit::{Code, Failure},
    forward::ForwardKey,
    home::Home,
    logs::{self, Topic, TopicLog},
    progress,
    station::{Role, Station, WriterAt},
};

/// How long a server whose turn it is rests before it tries to open the log again.
const OPEN_AGAIN_WAIT: Duration = Duration::from_secs(2);

/// Entries that a start reads at once.
const START_LEN: usize = 1_000;

/// A shared log, opened for reading.
pub(super) struct Shared {
    address: KafkaAddress,
    options: KafkaOptions,
    key: ForwardKey,
    follower: Arc<TopicLog>,
    log: Arc<Turned>,
}

/// What this server is to others.
pub(super) struct Part {
    pub station: Arc<Station>,
    /// Where others reach it.
    pub own_url: String,
    /// Whether it may become the writer.
    pub stands_by: bool,
}

impl Shared {
    /// Opens a shared log and reads what is new since it was last read here. `None` where the log is
    /// the directory's own. Blocks.
    ///
    /// # Errors
    /// When the brokers or the directory cannot be read; exit 3 when the log does not verify.
    pub(super) fn open(home: &Home) -> anyhow::Result<Option<Shared>> {
        let Some(topic) = Topic::of(home)? else { return Ok(None) };
        let key = ForwardKey::of(&home.pseudonym_key()?);
        let follower = logs::follow(home)?;
        let (address, options) = logs::kafka::address(home, &topic)?;
        progress::timed("reading the log", || {
            loop {
                let before = follower.head().next.0;
                if follower.advance(START_LEN, false)?.next.0 < before + START_LEN as u64 {
                    return Ok::<_, LogError>(());
                }
            }
        })?;
        follower.keep();
        let log = Arc::new(Turned::to(follower.clone()));
        Ok(Some(Shared { address, options, key, follower, log }))
    }

    /// The log that questions are answered from.
    pub(super) fn log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    pub(super) fn key(&self) -> &ForwardKey {
        &self.key
    }

    /// Takes part until `closing`, or until it can go on no more.
    pub(super) async fn take_part(
        self,
        means: Arc<Means>,
        part: Part,
        closing: CancellationToken,
    ) -> anyhow::Result<()> {
        let Shared { address, options, key, follower, log } = self;
        let group = Group { address, options, key };
        let membership = group.enter(part.stands_by, &part.station)?;
        let mut server = Server {
            means,
            log,
            group,
            part,
            closing,
            membership,
            turn: false,
            rest: Duration::ZERO,
        };
        let served = server.serve(Way::Open(follower)).await;
        server.membership.leave().await;
        served
    }
}

/// A server that takes part.
struct Server {
    means: Arc<Means>,
    log: Arc<Turned>,
    group: Group,
    part: Part,
    closing: CancellationToken,
    membership: Membership,
    /// Whether it is this server's turn to write.
    turn: bool,
    /// How long it rests before it tries to.
    rest: Duration,
}

/// Why a reader is one no more.
enum Next {
    Close,
    Write,
}

/// How a writer has left its office.
enum Left {
    ToStop,
    /// A commit failed, so it gave the log up before anybody took it.
    InDoubt,
    /// The group went on without it, and it could have written until then.
    Unasked,
}

/// Why a writer is one no more.
enum Over {
    Close,
    /// Another one's turn.
    Turn,
    /// The writer's thread has ended.
    Ended,
}

impl Server {
    async fn serve(&mut self, mut way: Way) -> anyhow::Result<()> {
        loop {
            if let Next::Close = self.read(way).await? {
                return Ok(());
            }
            way = match self.write().await? {
                Some(again) => Way::Again(self.means.home.clone(), again),
                None => return Ok(()),
            };
        }
    }

    /// Follows the log until it is time to write.
    async fn read(&mut self, way: Way) -> anyhow::Result<Next> {
        let role = if self.part.stands_by { Role::Standby } else { Role::Reader };
        self.part.station.set_role(role);
        let Part { station, stands_by, .. } = &self.part;
        let mut follow = Follow::start(way, &self.means, &self.log, station, *stands_by)?;
        let next = loop {
            let (turn, rest, caught_up) = (self.turn, self.rest, follow.caught_up());
            let may_write = async move {
                // Whoever wrote meanwhile is read of before this one may shut it out.
                caught_up.await;
                sleep(rest).await;
            };
            tokio::select! {
                () = self.closing.cancelled() => break Next::Close,
                () = may_write, if turn && !self.means.stopping.is_cancelled() => break Next::Write,
                turn = self.membership.turns.recv() => self.turn = turn == Some(Turn::Taken),
                e = follow.ended() => return Err(e),
            }
        };
        follow.stop().await;
        Ok(next)
    }

    /// Opens the log and writes it. How to go on as a reader, or `None` when the service stops.
    async fn write(&mut self) -> anyhow::Result<Option<Again>> {
        let before = self.log.head().next;
        let opening = open_aside(self.means.home.clone())?;
        let opened = tokio::select! {
            () = self.closing.cancelled() => return Ok(None),
            opened = opening => opened.unwrap_or_else(|_| Err(anyhow::anyhow!("opening panicked"))),
        };
        let Opened { engine, host_id, seq } = match opened {
            Ok(opened) => opened,
            Err(e) if is_passing(&e) => {
                let error = format!("{e:#}");
                tracing::warn!(error, "the log cannot be written now; trying again");
                self.rest = OPEN_AGAIN_WAIT;
                return Ok(Some(Again { from: before, had_it: false }));
            }
            Err(e) => return Err(e),
        };
        self.log.turn_to(engine.log.clone());
        let written = engine.log.clone();
        let thread = self.means.place.take(engine, self.means.metrics.clone())?;
        let office = Office::open(self.means.clone(), thread)?;
        let over = Arc::new(AtomicBool::new(false));
        let writer = WriterAt { url: self.part.own_url.clone(), host_id, seq: seq.0 };
        tracing::info!(seq = writer.seq, "this server is the writer now");
        self.part.station.learn(writer.clone());
        self.membership.slept.store(false, Ordering::Relaxed);
        self.part.station.set_role(Role::Writer);
        self.group.tell(writer, over.clone())?;
        let left = self.keep(office).await;
        over.store(true, Ordering::Relaxed);
        Ok(match left? {
            Left::ToStop => None,
            Left::Unasked => Some(Again { from: written.head().next, had_it: true }),
            Left::InDoubt => {
                // A writer that slept may hear of doubt before it hears that it was shut out.
                let had_it = self.membership.slept.swap(false, Ordering::Relaxed);
                Some(Again { from: written.head().next, had_it })
            }
        })
    }

    /// Keeps the office, and says how it was left.
    async fn keep(&mut self, mut office: Office) -> anyhow::Result<Left> {
        let over = loop {
            tokio::select! {
                () = self.closing.cancelled() => break Over::Close,
                () = office.ended() => break Over::Ended,
                turn = self.membership.turns.recv() => {
                    self.turn = turn == Some(Turn::Taken);
                    if !self.turn {
                        break Over::Turn;
                    }
                }
            }
        };
        if !matches!(over, Over::Close) {
            // What comes from now on is passed on, or told to come again.
            let role = if self.part.stands_by { Role::Standby } else { Role::Reader };
            self.part.station.set_role(role);
        }
        let closed = office.close().await;
        match (over, closed) {
            (Over::Close, closed) => closed.map(|()| Left::ToStop),
            (Over::Ended, Ok(())) => Err(anyhow::anyhow!("recording stopped")),
            (_, Err(e)) if !is_passing(&e) => Err(e),
            (_, Err(e)) => {
                let error = format!("{e:#}");
                tracing::warn!(
                    error,
                    "recording stopped; the log is read again to tell what is in it"
                );
                self.rest = OPEN_AGAIN_WAIT;
                Ok(Left::InDoubt)
            }
            (Over::Turn, Ok(())) => {
                tracing::info!("this server is not the writer any more");
                self.rest = Duration::ZERO;
                Ok(Left::Unasked)
            }
        }
    }
}

/// Opens the log for writing on a thread of its own: brokers that do not answer hold it for long, and
/// a stop does not wait for that.
fn open_aside(home: Home) -> anyhow::Result<oneshot::Receiver<anyhow::Result<Opened>>> {
    let (tell, opened) = oneshot::channel();
    thread::Builder::new().name("opening".to_owned()).spawn(move || {
        let _ = tell.send(open_as_writer(&home));
    })?;
    Ok(opened)
}

/// Whether opening the log again later is what may help. That another server has taken the log over,
/// and damage, are for whoever runs this one.
fn is_passing(e: &anyhow::Error) -> bool {
    for cause in e.chain() {
        if let Some(e) = cause.downcast_ref::<LogError>() {
            return matches!(e, LogError::Unavailable { .. } | LogError::InDoubt(_));
        }
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.code == Code::TryAgain;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::fail;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let unavailable = LogError::Unavailable {
            doing: "asking".to_owned(),
            source: std::io::ErrorKind::TimedOut.into(),
        };
        assert!(is_passing(&anyhow::Error::from(unavailable).context("no broker answers")));
        assert!(is_passing(&LogError::InDoubt(None).into()));
        assert!(!is_passing(&LogError::Fenced.into()));
        assert!(!is_passing(&LogError::ReadOnly.into()));
        assert!(!is_passing(&fail(Code::Conflict, "it moved")));
        assert!(!is_passing(&anyhow::anyhow!("something else")));
    }
}
