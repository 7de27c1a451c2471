//! What a server is at the moment among those of its ledger, and who the writer is.
//!
//! A ledger in a directory has one server, which is the writer from its start to its end. Of the
//! servers on a shared log one is the writer; the others answer questions and pass on what is to be
//! recorded.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// How long nothing may be heard of a shared log until a server says that its answers may be old:
/// longer than brokers take to agree on another leader.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// It records.
    Writer,
    /// It answers questions, and becomes the writer when there is none.
    Standby,
    /// It answers questions and never records.
    Reader,
}

impl Role {
    const ALL: [Role; 3] = [Role::Writer, Role::Standby, Role::Reader];

    /// For programs. Never changes.
    pub fn name(self) -> &'static str {
        match self {
            Role::Writer => "writer",
            Role::Standby => "standby",
            Role::Reader => "reader",
        }
    }

    /// Every role and whether it is this one, for a metric.
    pub fn each(self) -> [(&'static str, bool); 3] {
        Role::ALL.map(|role| (role.name(), role == self))
    }
}

/// What a writer says of itself where all servers of the ledger can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterAt {
    /// Where it is reached.
    pub url: String,
    /// As its `ledger.writer_opened` names it.
    pub host_id: String,
    /// The entry of that; the writer with the greatest is the newest.
    pub seq: u64,
}

/// What this server is. Shared behind an `Arc`.
#[derive(Debug)]
pub struct Station {
    role: AtomicU8,
    /// Whether there may be other servers on the log.
    shared: bool,
    /// Records of the log that this server has not read yet.
    lag: AtomicU64,
    /// When the log was last heard of.
    heard: RwLock<Instant>,
    writer: RwLock<Option<WriterAt>>,
}

/// A moment's look at a [`Station`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub role: Role,
    pub shared: bool,
    /// Records of the log that this server has not read yet.
    pub lag: u64,
    /// For how long nothing was heard of the log.
    pub silence: Duration,
    pub writer: Option<WriterAt>,
}

impl Station {
    /// The only server of its ledger.
    pub fn alone() -> Station {
        Station::new(Role::Writer, false)
    }

    /// One of several servers, which is not the writer yet.
    pub fn among(role: Role) -> Station {
        Station::new(role, true)
    }

    fn new(role: Role, shared: bool) -> Station {
        Station {
            role: AtomicU8::new(role as u8),
            shared,
            lag: AtomicU64::new(0),
            heard: RwLock::new(Instant::now()),
            writer: RwLock::new(None),
        }
    }

    pub fn role(&self) -> Role {
        let role = self.role.load(Ordering::Acquire);
        Role::ALL.into_iter().find(|known| *known as u8 == role).unwrap_or(Role::Reader)
    }

    pub fn set_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::Release);
    }

    /// Whether what is to be recorded is recorded by this server.
    pub fn records(&self) -> bool {
        self.role() == Role::Writer
    }

    /// The log was heard of: so many of its records are not read yet.
    pub fn heard(&self, lag: u64) {
        self.lag.store(lag, Ordering::Relaxed);
        *self.heard.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Somebody says that it is the writer. An older one than is known is not heard.
    pub fn learn(&self, writer: WriterAt) {
        let mut known = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.seq <= writer.seq) {
            *known = Some(writer);
        }
    }

    /// Where the writer is, if one has said so.
    pub fn writer(&self) -> Option<WriterAt> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn look(&self) -> Standing {
        let heard = *self.heard.read().unwrap_or_else(PoisonError::into_inner);
        let (role, shared) = (self.role(), self.shared);
        // A writer hears of its log by every commit, and of nothing between them.
        let quiet = role == Role::Writer || !shared;
        Standing {
            role,
            shared,
            lag: if quiet { 0 } else { self.lag.load(Ordering::Relaxed) },
            silence: if quiet { Duration::ZERO } else { heard.elapsed() },
            writer: self.writer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_writer_is_not_heard() {
        let station = Station::among(Role::Standby);
        let at = |seq| WriterAt { url: format!("http://h:{seq}"), host_id: "h".to_owned(), seq };
        assert_eq!(station.writer(), None);
        for seq in [5, 3, 9] {
            station.learn(at(seq));
        }
        assert_eq!(station.writer(), Some(at(9)));
    }

    #[test]
    fn a_role_is_the_one_that_was_set() {
        let station = Station::alone();
        for role in Role::ALL {
            station.set_role(role);
            assert_eq!((station.role(), station.records()), (role, role == Role::Writer));
            assert_eq!(role.each().into_iter().filter(|(_, is)| *is).count(), 1);
        }
    }
}
