//! How a token looks: `rlt_<id>_<secret>`, where the id is 12 lower-case letters that anyone may
//! see and the secret 256 random bits as 43 characters of base64url (RFC 4648, section 5).
//!
//! The prefix lets a scanner of leaked secrets find one. Letters alone, so that no id looks like a
//! person's number.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::home::hex;

/// Begins every token.
pub const PREFIX: &str = "rlt_";

/// Letters of an id: 56 bits, so that two tokens of one ledger never share one.
const ID_LEN: usize = 12;

/// Random bytes of a secret.
const SECRET_SIZE: usize = 32;

/// Characters of those in base64url.
const SECRET_LEN: usize = 43;

/// A token as its holder has it. It is printed once and kept nowhere.
pub struct Secret(String);

impl Secret {
    /// A new token from randomness that the caller draws: one part for the id, one for the secret.
    pub fn new(for_id: [u8; ID_LEN], secret: [u8; SECRET_SIZE]) -> Secret {
        let id: String = for_id.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        Secret(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// Draws a new token.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn draw() -> Secret {
        let (mut for_id, mut secret) = ([0; ID_LEN], [0; SECRET_SIZE]);
        getrandom::fill(&mut for_id).expect("the system has randomness");
        getrandom::fill(&mut secret).expect("the system has randomness");
        Secret::new(for_id, secret)
    }

    /// The token's public part.
    pub fn id(&self) -> &str {
        id_of(&self.0).unwrap_or_default()
    }

    /// What is kept of it.
    pub fn sha256(&self) -> String {
        hex(&digest(&self.0))
    }

    /// The token itself, to be shown to its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({PREFIX}{}_…)", self.id())
    }
}

/// The id in a text that has the form of a token.
pub fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_at_checked(ID_LEN)?;
    let secret = secret.strip_prefix('_')?;
    let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let good = id.bytes().all(|b| b.is_ascii_lowercase())
        && secret.len() == SECRET_LEN
        && secret.bytes().all(base64url);
    good.then_some(id)
}

/// Whether the text is the token of which this digest is kept, in a time that does not depend on
/// how much of it is right.
pub fn matches(text: &str, sha256: &str) -> bool {
    hex(&digest(text)).as_bytes().ct_eq(sha256.as_bytes()).into()
}

/// Compares two secrets in a time that does not depend on where they differ.
pub fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_form_and_is_known_by_its_digest() {
        let made = Secret::new([0, 1, 2, 25, 26, 27, 255, 0, 0, 0, 0, 3], [0xff; SECRET_SIZE]);
        assert_eq!(made.id(), "abczabvaaaad");
        let text = "rlt_abczabvaaaad___________________________________________8";
        assert_eq!(made.reveal(), text);
        // printf %s rlt_... | sha256sum
        let sha256 = "6f6feb31bd2d932381944d21d4f7d504aeeabd11e2ea402fb8577ff3294f13f3";
        assert_eq!(made.sha256(), sha256);
        assert!(matches(text, &made.sha256()));
        assert!(!matches(&text.replace('8', "4"), &made.sha256()));
        assert!(!matches(text, ""));
        assert_eq!(format!("{made:?}"), "Secret(rlt_abczabvaaaad_…)");
    }

    #[test]
    fn what_has_another_form_is_no_token() {
        let secret = "A".repeat(43);
        assert_eq!(id_of(&format!("rlt_abcdefghijkl_{secret}")), Some("abcdefghijkl"));
        let bad = [
            String::new(),
            format!("rlt_abcdefghijk_{secret}"),
            format!("rlt_ABCDEFGHIJKL_{secret}"),
            format!("rlt_abcdefghijkl-{secret}"),
            format!("rlt_abcdefghijkl_{secret}A"),
            format!("rlt_abcdefghijkl_{}", secret.replace('A', "+")),
            format!("tok_abcdefghijkl_{secret}"),
            format!("rlt_abcdefghijké_{secret}"),
        ];
        for text in bad {
            assert_eq!(id_of(&text), None, "{text}");
        }
    }

    #[test]
    fn two_draws_differ() {
        let (one, other) = (Secret::draw(), Secret::draw());
        assert_ne!(one.id(), other.id());
        assert_ne!(one.reveal().get(16..), other.reveal().get(16..));
    }
}
