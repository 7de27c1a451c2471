//! Who: actors, parties, sign-offs; what a statement rests on.

use super::{record, words};
use crate::id::{EntryHash, Instant, Sha256Hex};

words!(
    /// How the sender knows what it says.
    Basis {
        /// A machine saw it happen.
        Observed = "observed",
        /// A person said so at the time.
        Reported = "reported",
        /// It stood in a document that was imported. Unverified until confirmed.
        Imported = "imported",
        /// A person said so later, from memory or from notes.
        Backfilled = "backfilled",
    }
);

words!(
    /// What kind of actor.
    ActorKind { Person = "person", Service = "service", Unknown = "unknown" }
);

record!(
    /// Who acted, as the sender claims. Staff are named by an account id, never by name or e-mail
    /// address; users of the released feature are never actors.
    Actor {
        /// Account id; absent when the kind is `unknown`.
        opt id: String,
        /// A person, a service or unknown.
        req kind: ActorKind,
        /// Why the source does not tell who it was: `not_via_ui`. Only with kind `unknown`.
        opt reason_unknown: String,
    }
);

record!(
    /// Someone with a part in a decision. Plans name roles rather than people.
    Party {
        /// The role: `engineering manager`.
        opt role: String,
        /// Who it is, by account id.
        opt actor: Actor,
        /// The words of the source.
        opt raw: String,
    }
);

record!(
    /// What one party said at a gate.
    SignOff {
        /// Who said it.
        req party: Party,
        /// `go`, `no_go`, or the party's own words.
        req verdict: String,
    }
);

record!(
    /// Something that shows that a statement is true.
    Evidence {
        /// `ticket`, `dashboard`, `screenshot`, `query`, `commit`, `message`, `document`, ...
        req kind: String,
        /// Where it can be seen.
        opt url: String,
        /// SHA-256 of what was captured.
        opt sha256: Sha256Hex,
        /// When it was captured.
        opt captured_at: Instant,
        /// Whether what it shows moves: a live dashboard proves nothing a month later.
        opt live: bool,
    }
);

record!(
    /// One entry of this ledger, bound by its hash.
    Target {
        /// Its place in the chain.
        req seq: u64,
        /// Its hash, 64 hexadecimal digits.
        req hash: EntryHash,
    }
);

words!(
    /// What holds a ledger.
    HomeKind { Directory = "directory", Topic = "topic" }
);

record!(
    /// Where a ledger lives: two writable copies of one ledger cannot both be right.
    Home {
        /// A directory or a topic.
        req kind: HomeKind,
        /// A directory's random id, or the topic.
        req id: String,
    }
);
