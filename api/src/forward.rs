//! Who asked, told by the server that was asked to the one that writes.
//!
//! A server that only reads knows its client, and the writer may not: a token's use is counted here,
//! a local account is of this machine. So the reader says who it is and signs that, together with
//! what was asked. The key is made from the ledger's own key, which all its servers hold.
//!
//! | header | holds |
//! |---|---|
//! | `rollout-ledger-asked-by` | the claim: JSON in base64url |
//! | `rollout-ledger-signature` | HMAC-SHA-256, 64 hexadecimal digits |
//!
//! What is signed: method, path with query, content type, claim and the body's SHA-256, each behind
//! its length in bytes as a big-endian u64, so that nothing moves from one to the next.
//!
//! A claim is believed for [`AGE_MAX`] either way, by the one opening of the one writer that it names, and
//! there once: [`heard`] knows the copies, and forgets them with its process. A request with
//! a claim is answered or refused where it arrives and never passed on, so none goes in circles.
//! [`send`] passes requests on.
//!
//! With the same key a writer seals what it tells the other servers about itself, so that nobody who
//! can write to where they read it can have them send their requests elsewhere.

pub mod heard;
pub mod send;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    home::{hex, os_account, random_hex},
    intake::own::Own,
    principal::{Principal, Scope},
    pseudonym::PseudonymKey,
};

/// The claim.
pub const CLAIM_HEADER: &str = "rollout-ledger-asked-by";

/// What shows that the claim is one of the ledger's own servers'.
pub const SIGNATURE_HEADER: &str = "rollout-ledger-signature";

/// How far the clock of whoever signed may be from the one of whoever checks, either way: the wait
/// for an answer, and clocks that are some seconds apart.
pub const AGE_MAX: Duration = Duration::from_mins(1);

/// Bytes of a claim's header: a token's scopes and sources are of this order, and a server takes
/// 16 KiB of headers.
const CLAIM_SIZE_MAX: usize = 8 * 1024;

/// What the derived key is for.
const USE: &str = "rollout-ledger 2026-11 forwarded request v1";

/// Signs what is passed on to the writer, and checks it there.
#[derive(Clone)]
pub struct ForwardKey(Hmac<Sha256>);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// With its query, as it stands in the request line.
    pub path: &'a str,
    /// As it was sent; empty if it was not.
    pub content_type: &'a str,
    pub body: &'a [u8],
}

/// The two headers of a request that is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub claim: String,
    /// 64 hexadecimal digits.
    pub signature: String,
}

/// Whom another server answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBy {
    pub principal: Principal,
    /// What the entry says under `authid`.
    pub authid: String,
}

/// Why a claim is not believed. It never repeats what was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelieved {
    /// Another key, or something was changed on the way.
    #[error(
        "the request was not signed by a server of this ledger; compare their keys/ directories"
    )]
    Signature,
    /// A late copy, or clocks that differ.
    #[error("the request was signed too long ago, or in the future; compare the machines' clocks")]
    Age,
    /// The writer that it is for is another one, or was started again since.
    #[error("the request was signed for another writer")]
    Addressee,
    /// Signed by a server of this ledger, in words of another version.
    #[error("the signed claim is unreadable; run the same version on all machines")]
    Unreadable,
}

/// The claim as it travels.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// When it was signed, in Unix microseconds.
    at_us: u64,
    authid: String,
    /// Chance: no two claims are the same, so that a copy is known.
    nonce: String,
    /// The writer that is asked, as its `ledger.writer_opened` names it.
    to: String,
    who: Who,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Who {
    Loopback,
    OsAccount { own: String },
    Token { scopes: Vec<String>, sources: Vec<String> },
}

impl ForwardKey {
    pub fn of(key: &PseudonymKey) -> ForwardKey {
        let derived = key.derive(USE);
        ForwardKey(Hmac::new_from_slice(&derived).expect("HMAC takes keys of every size"))
    }

    /// Says who asked, to the writer with this `host_id`.
    pub fn sign(&self, asked: Asked<'_>, principal: &Principal, to: &str, now_us: u64) -> Signed {
        let (authid, who) = match principal {
            Principal::Loopback => ("loopback".to_owned(), Who::Loopback),
            Principal::OsAccount { own } => {
                (os_account(), Who::OsAccount { own: own.name().to_owned() })
            }
            Principal::Token { id, scopes, sources } => {
                let scopes = scopes.iter().map(Scope::to_string).collect();
                (id.clone(), Who::Token { scopes, sources: sources.clone() })
            }
        };
        let (nonce, to) = (random_hex::<16>(), to.to_owned());
        let claim = Claim { at_us: now_us, authid, nonce, to, who };
        let claim = serde_json::to_vec(&claim).expect("plain strings are JSON");
        let claim = URL_SAFE_NO_PAD.encode(claim);
        let signature = hex(&self.mac(asked, &claim).finalize().into_bytes());
        Signed { claim, signature }
    }

    /// Who asked, if a server of this ledger says so to the writer with the `host_id` in `here`.
    ///
    /// # Errors
    /// When it does not, or not just now, or to another one.
    pub fn check(
        &self,
        asked: Asked<'_>,
        signed: &Signed,
        here: &str,
        now_us: u64,
    ) -> Result<AskedBy, Disbelieved> {
        if signed.claim.len() > CLAIM_SIZE_MAX {
            return Err(Disbelieved::Signature);
        }
        let signature = from_hex(&signed.signature).ok_or(Disbelieved::Signature)?;
        // Compared in constant time, and before anything of the claim is read.
        let verified = self.mac(asked, &signed.claim).verify_slice(&signature);
        verified.map_err(|_| Disbelieved::Signature)?;
        let claim = URL_SAFE_NO_PAD.decode(&signed.claim).map_err(|_| Disbelieved::Unreadable)?;
        let claim: Claim = serde_json::from_slice(&claim).map_err(|_| Disbelieved::Unreadable)?;
        if u128::from(claim.at_us.abs_diff(now_us)) > AGE_MAX.as_micros() {
            return Err(Disbelieved::Age);
        }
        if claim.to != here {
            return Err(Disbelieved::Addressee);
        }
        let authid = claim.authid;
        let principal = match claim.who {
            Who::Loopback => Principal::Loopback,
            Who::OsAccount { own } => Principal::OsAccount { own: Own::of(&own) },
            Who::Token { scopes, sources } => {
                let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>();
                let scopes = scopes.map_err(|_| Disbelieved::Unreadable)?;
                Principal::Token { id: authid.clone(), scopes, sources }
            }
        };
        Ok(AskedBy { principal, authid })
    }

    /// Shows that a server of this ledger said this, whenever it was: 64 hexadecimal digits.
    pub fn seal(&self, said: &[u8]) -> String {
        hex(&self.sealing(said).finalize().into_bytes())
    }

    /// Whether a server of this ledger sealed it.
    pub fn is_sealed(&self, said: &[u8], seal: &str) -> bool {
        let seal = from_hex(seal);
        seal.is_some_and(|seal| self.sealing(said).verify_slice(&seal).is_ok())
    }

    /// What is signed of a request begins with the length of its method, which is shorter.
    fn sealing(&self, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&u64::MAX.to_be_bytes());
        mac.update(said);
        mac
    }

    fn mac(&self, asked: Asked<'_>, claim: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let digest = Sha256::digest(asked.body);
        let parts: [&[u8]; 5] = [
            asked.method.as_bytes(),
            asked.path.as_bytes(),
            asked.content_type.as_bytes(),
            claim.as_bytes(),
            &digest,
        ];
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

/// The 32 bytes of 64 hexadecimal digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        // `from_str_radix` would take a sign.
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;

    const ASKED: Asked<'static> = Asked {
        method: "POST",
        path: "/api/v1/events?x=1",
        content_type: "application/json",
        body: b"[]",
    };

    fn key(byte: u8) -> ForwardKey {
        ForwardKey::of(&PseudonymKey::generate([byte; 32]))
    }

    fn token() -> Principal {
        let scopes = vec!["events:append:rollout.bug".parse().unwrap(), Scope::EventsRead];
        Principal::Token { id: "t1".to_owned(), scopes, sources: vec!["urn:ci".to_owned()] }
    }

    #[test]
    fn the_writer_hears_who_asked_the_reader() {
        let os = Principal::OsAccount { own: Own::Import };
        let rows = [(Principal::Loopback, "loopback"), (os, &*os_account()), (token(), "t1")];
        for (principal, authid) in rows {
            let signed = key(1).sign(ASKED, &principal, "h", NOW);
            let heard = key(1).check(ASKED, &signed, "h", NOW + 1_000_000).unwrap();
            assert_eq!(heard, AskedBy { principal, authid: authid.to_owned() });
        }
    }

    #[test]
    fn nothing_that_was_signed_can_be_changed() {
        let signed = key(1).sign(ASKED, &token(), "h", NOW);
        let others = [
            Asked { method: "DELETE", ..ASKED },
            Asked { path: "/api/v1/events?x=", ..ASKED },
            Asked { path: "/api/v1/events?x=1a", content_type: "pplication/json", ..ASKED },
            Asked { content_type: "application/x-ndjson", ..ASKED },
            Asked { body: b"[ ]", ..ASKED },
        ];
        for asked in others {
            assert_eq!(
                key(1).check(asked, &signed, "h", NOW),
                Err(Disbelieved::Signature),
                "{asked:?}"
            );
        }
        let more = key(1).sign(ASKED, &Principal::Loopback, "h", NOW).claim;
        let forged = Signed { claim: more, ..signed.clone() };
        assert_eq!(key(1).check(ASKED, &forged, "h", NOW), Err(Disbelieved::Signature));
        assert_eq!(key(2).check(ASKED, &signed, "h", NOW), Err(Disbelieved::Signature));
        for signature in ["", "00", &"+0".repeat(32), &"é".repeat(32)] {
            let forged = Signed { signature: signature.to_owned(), ..signed.clone() };
            assert_eq!(key(1).check(ASKED, &forged, "h", NOW), Err(Disbelieved::Signature));
        }
    }

    #[test]
    fn a_claim_is_believed_for_a_minute_either_way() {
        let signed = key(1).sign(ASKED, &token(), "h", NOW);
        let age = u64::try_from(AGE_MAX.as_micros()).unwrap();
        for now in [NOW - age, NOW + age] {
            assert!(key(1).check(ASKED, &signed, "h", now).is_ok());
        }
        for now in [NOW - age - 1, NOW + age + 1] {
            assert_eq!(key(1).check(ASKED, &signed, "h", now), Err(Disbelieved::Age));
        }
    }

    #[test]
    fn a_claim_is_believed_by_the_writer_that_it_names() {
        let signed = key(1).sign(ASKED, &token(), "h", NOW);
        for here in ["", "g"] {
            assert_eq!(key(1).check(ASKED, &signed, here, NOW), Err(Disbelieved::Addressee));
        }
    }

    #[test]
    fn a_seal_is_of_one_text_and_one_key() {
        let seal = key(1).seal(b"said");
        assert!(key(1).is_sealed(b"said", &seal));
        assert!(!key(1).is_sealed(b"sai", &seal) && !key(2).is_sealed(b"said", &seal));
        assert!(!key(1).is_sealed(b"said", "") && !key(1).is_sealed(b"said", &"0".repeat(64)));
    }

    #[test]
    fn no_pseudonym_gives_the_derived_key_away() {
        let key = PseudonymKey::generate([7; 32]);
        let pseudonym = key.pseudonym(USE);
        let digits = pseudonym.rsplit(':').next().unwrap();
        assert!(!hex(&key.derive(USE)).starts_with(digits));
        assert_ne!(key.derive(USE), key.derive("another use"));
    }
}
