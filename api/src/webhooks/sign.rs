//! Secrets and signatures of Standard Webhooks 1.0: HMAC-SHA-256 over `ID.TIMESTAMP.BODY`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What a secret begins with, so that it is known when it lies around.
const PREFIX: &str = "whsec_";

/// Random bytes in a secret. The standard asks for 24 to 64.
const SECRET_SIZE: usize = 32;

/// What an endpoint and this service share. It is written to the file of its endpoint, and shown to
/// whoever makes it, once; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Vec<u8>);

/// A text that is no secret. It does not repeat the text.
#[derive(Debug, thiserror::Error)]
#[error("a secret is {PREFIX} and base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// A new one, from the system's randomness.
    pub fn random() -> Secret {
        let mut bytes = vec![0; SECRET_SIZE];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        Secret(bytes)
    }

    /// `whsec_` and base64, as the libraries of receivers take it. Only for whoever made it.
    pub fn shown(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// One signature, with its version.
    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The value of `webhook-signature`: one signature for each secret that is valid now.
pub fn signatures<'a>(
    secrets: impl Iterator<Item = &'a Secret>,
    id: &str,
    timestamp: u64,
    body: &[u8],
) -> String {
    let signed: Vec<_> = secrets.map(|secret| secret.sign(id, timestamp, body)).collect();
    signed.join(" ")
}

impl TryFrom<String> for Secret {
    type Error = InvalidSecret;

    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        bytes.filter(|bytes| (24..=64).contains(&bytes.len())).map(Secret).ok_or(InvalidSecret)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> String {
        secret.shown()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries (`standardwebhooks`, its first test).
    #[test]
    fn the_published_example_is_signed_the_same() {
        let secret = Secret::try_from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed =
            signatures([&secret].into_iter(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_none_is_shown_by_accident() {
        let secrets = [Secret::random(), Secret::random()];
        let signed = signatures(secrets.iter(), "evt_1", 7, b"{}");
        let parts: Vec<_> = signed.split(' ').collect();
        assert_eq!(parts.len(), 2);
        assert_ne!(parts[0], parts[1]);
        assert!(secrets.iter().all(|s| !format!("{s:?}").contains(&s.shown()[6..12])));
        let again = Secret::try_from(secrets[0].shown()).unwrap();
        assert_eq!(again, secrets[0]);
        for text in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(Secret::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
