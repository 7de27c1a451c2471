//! The tokens as a running server knows them. Each question looks whether the file was replaced,
//! so a revocation by any command is effective with the next request.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Stage, Standing, Token, file::TokenFile, secret};
use crate::home::Home;

/// The digest that a token of an unknown id is compared with, so that it takes as long as another.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The tokens of a directory.
#[derive(Debug)]
pub struct Tokens {
    file: TokenFile,
    known: Mutex<Known>,
}

/// What was read, and of which file.
#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    tokens: Arc<HashMap<String, Arc<Token>>>,
    /// A token was once made. Stays when the file is lost meanwhile: that opens no door.
    ever: bool,
    /// Tokens that were seen to be revoked: no other file brings one back.
    revoked: HashSet<String>,
    /// The file that is there cannot be read.
    unreadable: bool,
}

/// Tells one file from the one that replaced it: inode, size, and when it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Why somebody with a token, or without one, is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this is no token of this server; `rollout-ledger token create` makes one")]
    Unknown,
    #[error("this token has expired; `rollout-ledger token create` makes another")]
    Expired,
    #[error("this token was revoked; `rollout-ledger token create` makes another")]
    Revoked,
    #[error("the file of tokens cannot be read, so nobody is let in; the server's log says more")]
    Unreadable,
}

/// Who may connect, for the lines at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub live: usize,
    /// Whether a token was ever made.
    pub ever: bool,
}

impl Tokens {
    /// Reads the directory's tokens.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub fn open(home: &Home) -> anyhow::Result<Tokens> {
        let file = TokenFile::of(home);
        file.read()?;
        Ok(Tokens { file, known: Mutex::default() })
    }

    /// The ledger holds that a token was made, whatever has become of the file since.
    pub fn were_made(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).ever = true;
    }

    /// Whether a token was ever made: from then on every scoped route wants one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn ever(&self) -> Result<bool, Denied> {
        self.look(|known| if known.unreadable { Err(Denied::Unreadable) } else { Ok(known.ever) })
    }

    /// The token that was shown, if it opens a door at this moment (Unix microseconds).
    pub fn authenticate(&self, text: &str, now_us: i64) -> Result<Arc<Token>, Denied> {
        let id = secret::id_of(text);
        let token = self.look(|known| {
            let token = id.and_then(|id| known.tokens.get(id).cloned());
            if known.unreadable { Err(Denied::Unreadable) } else { Ok(token) }
        })?;
        let sha256 = token.as_ref().map_or(NOBODY, |token| &token.sha256);
        // Only who has the whole token is told more of it.
        let right = secret::matches(text, sha256);
        let token = token.filter(|_| right).ok_or(Denied::Unknown)?;
        worth(&token, now_us).map(|()| token)
    }

    /// Whether the token of this id still opens doors: a stream asks again while it is open.
    pub fn still(&self, id: &str, now_us: i64) -> bool {
        let token = self.look(|known| known.tokens.get(id).cloned());
        token.is_some_and(|token| worth(&token, now_us).is_ok())
    }

    pub fn count(&self, now_us: i64) -> Count {
        self.look(|known| {
            let live = known.tokens.values().filter(|t| worth(t, now_us).is_ok()).count();
            Count { live, ever: known.ever }
        })
    }

    /// Asks what is known, after reading the file again if it was replaced.
    fn look<T>(&self, question: impl FnOnce(&Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match fs::metadata(self.file.path()) {
            Ok(found) => Some(Stamp::of(&found)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            // Not known whether it changed: nobody is let in.
            Err(e) => {
                known.fail(None, &e.into());
                return question(&known);
            }
        };
        if stamp != known.stamp || known.unreadable {
            match self.file.read() {
                Ok(tokens) => known.replace(stamp, tokens),
                Err(e) => known.fail(stamp, &e),
            }
        }
        question(&known)
    }
}

fn worth(token: &Token, now_us: i64) -> Result<(), Denied> {
    match token.standing(now_us) {
        Standing::Live => Ok(()),
        Standing::Expired => Err(Denied::Expired),
        Standing::Revoked => Err(Denied::Revoked),
        // Nobody was told it, so nobody has it.
        Standing::Pending => Err(Denied::Unknown),
    }
}

impl Known {
    fn replace(&mut self, stamp: Option<Stamp>, tokens: Vec<Token>) {
        let revoked = tokens.iter().filter(|t| matches!(t.stage, Stage::Revoked { .. }));
        self.revoked.extend(revoked.map(|token| token.id.clone()));
        let tokens = tokens.into_iter().map(|mut token| {
            let live = !matches!(token.stage, Stage::Revoked { .. });
            if live && self.revoked.contains(&token.id) {
                let reason = "revoked before this file was put back".to_owned();
                token.stage = Stage::Revoked { at_us: token.created_us, reason, recorded: true };
            }
            (token.id.clone(), Arc::new(token))
        });
        self.tokens = Arc::new(tokens.collect());
        self.ever |= !self.tokens.is_empty();
        (self.stamp, self.unreadable) = (stamp, false);
    }

    fn fail(&mut self, stamp: Option<Stamp>, e: &anyhow::Error) {
        if !self.unreadable {
            tracing::error!(error = format!("{e:#}"), "the tokens cannot be read");
        }
        self.tokens = Arc::default();
        (self.stamp, self.ever, self.unreadable) = (stamp, true, true);
    }
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Stamp {
        let changed = (found.ctime(), found.ctime_nsec());
        Stamp { inode: found.ino(), size: found.len(), changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{principal::Scope, tokens::secret::Secret};

    /// The lock's holder, the server's side, and a live token that expires at 100.
    struct Story {
        _temp: tempfile::TempDir,
        home: Home,
        secret: Secret,
        token: Token,
    }

    impl Story {
        fn new() -> Story {
            let temp = tempfile::tempdir().unwrap();
            let home = Home::at(temp.path());
            let secret = Secret::draw();
            let token = Token {
                id: secret.id().to_owned(),
                sha256: secret.sha256(),
                scopes: vec![Scope::EventsRead],
                sources: Vec::new(),
                for_whom: "ci".to_owned(),
                created_us: 0,
                expires_us: 100,
                rate: None,
                stage: Stage::Live,
            };
            Story { _temp: temp, home, secret, token }
        }

        fn write(&self, tokens: &[Token]) {
            TokenFile::of(&self.home).lock().unwrap().write(tokens).unwrap();
        }
    }

    #[test]
    fn the_file_decides_at_each_question() {
        let story = Story::new();
        let tokens = Tokens::open(&story.home).unwrap();
        let text = story.secret.reveal();
        let ask = |now| tokens.authenticate(text, now).map(|token| token.id.clone());
        assert_eq!((ask(0), tokens.ever()), (Err(Denied::Unknown), Ok(false)));
        let mut token = story.token.clone();
        token.stage = Stage::Pending;
        story.write(std::slice::from_ref(&token));
        assert_eq!((ask(0), tokens.ever()), (Err(Denied::Unknown), Ok(true)));
        token.stage = Stage::Live;
        story.write(std::slice::from_ref(&token));
        assert_eq!(ask(99), Ok(token.id.clone()));
        assert_eq!(ask(100), Err(Denied::Expired));
        assert!(tokens.still(&token.id, 99) && !tokens.still(&token.id, 100));
        assert_eq!(tokens.count(0), Count { live: 1, ever: true });
        token.stage = Stage::Revoked { at_us: 1, reason: String::new(), recorded: false };
        story.write(std::slice::from_ref(&token));
        assert_eq!(ask(0), Err(Denied::Revoked));
        // An older file brings nobody back.
        story.write(std::slice::from_ref(&story.token));
        assert_eq!(ask(0), Err(Denied::Revoked));
        story.write(std::slice::from_ref(&token));
        assert_eq!(tokens.count(0), Count { live: 0, ever: true });
    }

    #[test]
    fn who_lacks_a_character_of_the_token_is_told_nothing_of_it() {
        let story = Story::new();
        let mut token = story.token.clone();
        token.stage = Stage::Revoked { at_us: 1, reason: String::new(), recorded: true };
        story.write(&[token]);
        let tokens = Tokens::open(&story.home).unwrap();
        let other = Secret::draw();
        let mixed = format!("rlt_{}{}", story.secret.id(), other.reveal().get(16..).unwrap());
        for text in [mixed.as_str(), other.reveal(), "", "rlt_", "Bearer"] {
            assert_eq!(tokens.authenticate(text, 0), Err(Denied::Unknown));
        }
    }

    #[test]
    fn a_damaged_or_lost_file_opens_no_door() {
        let story = Story::new();
        story.write(std::slice::from_ref(&story.token));
        let tokens = Tokens::open(&story.home).unwrap();
        let text = story.secret.reveal();
        assert!(tokens.authenticate(text, 0).is_ok());
        let path = TokenFile::of(&story.home).path().to_owned();
        fs::write(&path, "{").unwrap();
        assert_eq!(tokens.authenticate(text, 0), Err(Denied::Unreadable));
        assert_eq!(tokens.ever(), Err(Denied::Unreadable));
        assert!(Tokens::open(&story.home).is_err());
        fs::remove_file(&path).unwrap();
        assert_eq!(tokens.authenticate(text, 0), Err(Denied::Unknown));
        assert_eq!(tokens.ever(), Ok(true));
        story.write(std::slice::from_ref(&story.token));
        assert!(tokens.authenticate(text, 0).is_ok());
    }
}
