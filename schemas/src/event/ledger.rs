//! The ledger about itself, written only by its own commands; and access tokens.

use super::event;
use crate::{
    id::{Instant, Sha256Hex},
    values::Home,
};

event!(
    /// A ledger begins. Always entry 0.
    LedgerOpened = "rollout.ledger.opened.v1", false, Own {
        /// A random id, so that no entry can be moved to another ledger.
        req ledger_id: String,
        /// The checkpoint origin, fixed for ever; no spaces, no `+`.
        req origin: String,
        /// Where the ledger lives.
        req home: Home,
        /// Who runs it.
        opt run_by: String,
        /// The version of the binary.
        req version: String,
        /// What an acknowledgement promises.
        req durability: String,
        /// SHA-256 of the key that pseudonyms are made with.
        opt pseudonym_key: Sha256Hex,
    }
);

event!(
    /// A setting that bears on what the log can prove was changed.
    LedgerSettingsChanged = "rollout.ledger.settings_changed.v1", false, Own {
        /// The name of the setting.
        req setting: String,
        /// Its value before, if it had one.
        opt from: String,
        /// Its value from now on.
        req to: String,
        /// Why, in words.
        req reason: String,
    }
);

event!(
    /// The ledger moved to another home. The last entry of the source.
    LedgerMoved = "rollout.ledger.moved.v1", false, Own {
        /// Where the ledger lives from now on.
        req to: Home,
        /// Why it moved.
        opt reason: String,
    }
);

event!(
    /// An unfinished commit was cut off the end of the log when it was opened.
    LedgerTailCut = "rollout.ledger.tail_cut.v1", false, Own {
        /// The seq that the first cut entry would have had.
        req first_seq: u64,
        /// How many bytes were cut.
        req bytes: u64,
        /// SHA-256 of them.
        opt sha256: Sha256Hex,
        /// The file that keeps them.
        req kept_as: String,
    }
);

event!(
    /// The clock was set back. The only entry that may be earlier than the one before.
    LedgerClockStepped = "rollout.ledger.clock_stepped.v1", false, Own {
        /// What the clock said before.
        req from: Instant,
        /// What the clock says from now on.
        req to: Instant,
        /// Why it was set back.
        req reason: String,
    }
);

event!(
    /// A server or a new writer took the ledger over.
    LedgerWriterOpened = "rollout.ledger.writer_opened.v1", false, Own {
        /// The version of the binary.
        req version: String,
        /// A random id of the process.
        req host_id: String,
        /// The process whose lock was left behind.
        opt took_over_from: String,
        /// Bytes set aside from a torn tail.
        opt torn_bytes: u64,
        /// Settings with which entries could be lost, and which were allowed all the same.
        list allowed: String,
    }
);

event!(
    /// An access token was made. The token itself is never recorded.
    TokenCreated = "rollout.token.created.v1", false, Commands {
        /// The id of the token.
        req token_id: String,
        /// What it allows, such as `events:read`.
        list scopes: String,
        /// The `source`s that it may write as; empty for any.
        list sources: String,
        /// When it stops working.
        req expires_at: Instant,
        /// Who is to use it: an account id or the name of a system.
        req for_whom: String,
    }
);

event!(
    /// An access token was revoked.
    TokenRevoked = "rollout.token.revoked.v1", false, Commands {
        /// The id of the token.
        req token_id: String,
        /// Why it was revoked.
        opt reason: String,
    }
);
