//! Keyed pseudonyms: the same person gets the same name, and nobody without the key learns whose.
//!
//! A pseudonym is `u1:<key id>:<digits>`: the first 8 hexadecimal digits of the key's fingerprint,
//! and the first 32 (128 bits) of the HMAC-SHA-256 over the trimmed, lower-cased text. A plain hash
//! would be undone by hashing every address of a directory. Whoever destroys the key makes the link
//! from pseudonym to person unknowable for ever.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use schemas::id::Sha256Hex;
use sha2::{Digest as _, Sha256};

/// Bytes of a key: as many as the hash has.
pub const KEY_SIZE: usize = 32;

/// Hexadecimal digits of the fingerprint that stand in each pseudonym.
const KEY_ID_LEN: usize = 8;

/// Hexadecimal digits of the pseudonym itself: 128 bits.
const PSEUDONYM_LEN: usize = 32;

/// The secret that pseudonyms of one ledger are made with.
#[derive(Clone)]
pub struct PseudonymKey([u8; KEY_SIZE]);

/// Why a key cannot be used. Never repeats the file's content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "there is no pseudonym key at {}; put back the one of this ledger (a backup leaves keys out)",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: not a key: 64 hexadecimal digits and a line end are expected", .0.display())]
    Malformed(PathBuf),
    #[error("{}: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] io::Error),
}

impl PseudonymKey {
    /// The key made of 32 random bytes, which the caller draws.
    pub fn generate(random: [u8; KEY_SIZE]) -> Self {
        PseudonymKey(random)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it is missing, unreadable or not 64 hexadecimal digits.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            io::ErrorKind::InvalidData => KeyError::Malformed(path.to_owned()),
            _ => KeyError::Unreadable(path.to_owned(), e),
        })?;
        from_hex(text.trim_end()).ok_or_else(|| KeyError::Malformed(path.to_owned()))
    }

    /// Writes the key to a new file that its owner alone can read.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn save_new(&self, path: &Path) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(hex(&self.0).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// SHA-256 of the key, which `ledger.opened` holds: it shows whether a key is the ledger's own,
    /// and tells nothing about the key.
    pub fn fingerprint(&self) -> Sha256Hex {
        let digest = hex(&Sha256::digest(self.0));
        digest.try_into().expect("a SHA-256 has 64 hexadecimal digits")
    }

    /// Another secret made from this one, for one use. No text has its digits as a pseudonym: the
    /// byte before the name of the use stands in no UTF-8.
    pub fn derive(&self, used_for: &str) -> [u8; KEY_SIZE] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every size");
        mac.update(&[0xff]);
        mac.update(used_for.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The pseudonym of a person's name or address in a flag service.
    pub fn pseudonym(&self, text: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every size");
        mac.update(normalised(text).as_bytes());
        let mut digits = hex(&mac.finalize().into_bytes());
        digits.truncate(PSEUDONYM_LEN);
        let fingerprint = String::from(self.fingerprint());
        let key_id: String = fingerprint.chars().take(KEY_ID_LEN).collect();
        format!("u1:{key_id}:{digits}")
    }
}

/// Keys do not appear in logs.
impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

/// One spelling for the addresses that mail systems take for one. Anything else is an id that the
/// flag service compares byte by byte, and keeps its spelling.
pub fn normalised(text: &str) -> String {
    if text.contains('@') { text.trim().to_lowercase() } else { text.to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn from_hex(text: &str) -> Option<PseudonymKey> {
    let mut key = [0; KEY_SIZE];
    let digits = text.len() == 2 * KEY_SIZE && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(PseudonymKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PseudonymKey {
        let mut bytes = [0; KEY_SIZE];
        for (at, byte) in (0..).zip(&mut bytes) {
            *byte = at;
        }
        PseudonymKey::generate(bytes)
    }

    #[test]
    fn the_vector_holds() {
        // Made with Python's hmac and hashlib, not with this code.
        assert_eq!(key().fingerprint().as_str(), FINGERPRINT);
        for (text, pseudonym) in VECTORS {
            assert_eq!(key().pseudonym(text), pseudonym, "{text:?}");
        }
    }

    #[test]
    fn a_key_file_reads_back_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pseudonym.key");
        assert!(matches!(PseudonymKey::load(&path), Err(KeyError::Missing(_))));
        key().save_new(&path).unwrap();
        assert_eq!(PseudonymKey::load(&path).unwrap().0, key().0);
        assert!(key().save_new(&path).is_err(), "an existing key is never written over");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(PseudonymKey::load(&path), Err(KeyError::Malformed(_))), "{bad:?}");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(PseudonymKey::load(&path), Err(KeyError::Malformed(_))));
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "PseudonymKey(…)");
    }

    const FINGERPRINT: &str = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";

    const VECTORS: [(&str, &str); 4] = [
        ("pat.engineer@example.com", "u1:630dcd29:9a7da8e84ed21a0417422b1b70b1bb5f"),
        (" Pat.Engineer@Example.COM\t", "u1:630dcd29:9a7da8e84ed21a0417422b1b70b1bb5f"),
        ("", "u1:630dcd29:d38b42096d80f45f826b44a9d5607de7"),
        ("ÉLODIE@example.com", "u1:630dcd29:07b51813a24714d45d1e2785fe34dae4"),
    ];
}
