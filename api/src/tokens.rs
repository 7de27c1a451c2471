//! Access tokens: who may connect, beside the commands of this machine.
//!
//! - [`secret`]: how a token looks, and its digest, which is all that is kept of it.
//! - [`file`](self::file): `DIR/state/tokens.json`, and its lock.
//! - [`record`]: the events that a token's making and revocation are.
//! - [`live`]: what a running server knows of them; it looks whether the file changed each time.
//! - [`expiry`]: how long a token lives.
//!
//! # Order of the writes, and what a crash between them costs
//!
//! A token that works has its event, always. Making one: it is written as *pending*, which opens no
//! door; then the event is recorded; then it is written as *live*; then the token is printed. A
//! crash leaves a pending token that nobody was told. Revoking one: the file first, so that it is
//! refused at once whatever comes of the rest; then the event; then the file says that the event is
//! recorded. What a crash left is settled by the next command that makes or revokes, and by the
//! next start of `serve`: the events have ids made of the token's, so none is recorded twice.

pub mod expiry;
pub mod file;
pub mod live;
pub mod record;
pub mod secret;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::principal::Scope;

/// Tokens that are kept, dead ones too. Past it the oldest dead ones are dropped from the file;
/// their events stay.
pub const TOKENS_LEN_MAX: usize = 1_000;

/// Sources of one token.
pub const SOURCES_LEN_MAX: usize = 64;

/// What is kept of a token. The token itself is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The public part.
    pub id: String,
    /// SHA-256 of the whole token, 64 hexadecimal digits. A token has 256 random bits, so that
    /// nobody finds it from this by trying.
    pub sha256: String,
    #[serde(with = "scope_texts")]
    pub scopes: Vec<Scope>,
    /// The `source`s that it may write as; empty for any but the ledger's own.
    pub sources: Vec<String>,
    /// Who is to use it: an account id or the name of a system.
    pub for_whom: String,
    /// Unix microseconds.
    pub created_us: i64,
    /// Unix microseconds; from then on it is refused.
    pub expires_us: i64,
    /// Its own limit of requests, when it is not the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    pub stage: Stage,
}

/// How far a token came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its event may not be recorded yet. Nobody was told the token.
    Pending,
    Live,
    Revoked {
        /// Unix microseconds.
        at_us: i64,
        reason: String,
        /// Whether the event is known to be recorded.
        recorded: bool,
    },
}

/// Requests that one token may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, after a while without any.
    pub burst: NonZeroU32,
}

/// What a token is worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Pending,
    Live,
    Expired,
    Revoked,
}

impl Token {
    /// What it is worth at a moment in Unix microseconds.
    pub fn standing(&self, now_us: i64) -> Standing {
        match self.stage {
            Stage::Pending => Standing::Pending,
            Stage::Revoked { .. } => Standing::Revoked,
            Stage::Live if now_us < self.expires_us => Standing::Live,
            Stage::Live => Standing::Expired,
        }
    }
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Live => "live",
            Standing::Expired => "expired",
            Standing::Revoked => "revoked",
        }
    }
}

/// Scopes as the texts that people write.
mod scope_texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use super::Scope;

    pub(super) fn serialize<S: Serializer>(scopes: &[Scope], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(scopes.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Scope>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_expires_at_its_moment_and_stays_revoked() {
        let token = |stage| Token {
            id: "a".to_owned(),
            sha256: String::new(),
            scopes: vec![Scope::EventsRead],
            sources: Vec::new(),
            for_whom: "ci".to_owned(),
            created_us: 0,
            expires_us: 100,
            rate: None,
            stage,
        };
        let revoked = Stage::Revoked { at_us: 1, reason: String::new(), recorded: false };
        let rows = [
            (Stage::Live, 99, Standing::Live),
            (Stage::Live, 100, Standing::Expired),
            (Stage::Pending, 0, Standing::Pending),
            (Stage::Pending, 100, Standing::Pending),
            (revoked.clone(), 0, Standing::Revoked),
            (revoked, 100, Standing::Revoked),
        ];
        for (stage, now, expected) in rows {
            assert_eq!(token(stage.clone()).standing(now), expected, "{stage:?} at {now}");
        }
    }
}
