//! `DIR/log.json`: which topic of Kafka is the log of the ledger in a directory.

use std::{fs, io};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Code, fail},
    home::{Home, HomeId, write_private},
};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// `kafka://HOST:PORT,.../TOPIC`: the brokers to begin with, and the topic.
    pub log: String,
    /// The cluster's random id.
    pub cluster: String,
    /// The ledger's random id, which entry 0 names.
    pub ledger: String,
}

impl Topic {
    /// The topic of a directory; `None` where the log is segments.
    ///
    /// # Errors
    /// When there is a file that cannot be read, and where there are segments beside it.
    pub fn of(home: &Home) -> anyhow::Result<Option<Topic>> {
        let topic = Topic::read(home)?;
        if topic.is_some() && home.log().is_dir() {
            let shown = home.log_json().display().to_string();
            let what = format!("{shown} names a topic, and log/ is there too");
            let way = "if a move to that topic was broken off, type the same `log move` again; else move \
                       the one away that is wrong";
            return Err(fail(Code::Conflict, format!("{what}; {way}")));
        }
        Ok(topic)
    }

    /// What the file says, if there is one, whatever else is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(home: &Home) -> anyhow::Result<Option<Topic>> {
        let path = home.log_json();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let shown = path.display();
        let topic = serde_json::from_slice(&text);
        topic.map(Some).map_err(|_| {
            let way = "put it back from a backup, or make the directory anew with `kafka join`";
            fail(Code::Failure, format!("{shown} does not say which topic holds the log; {way}"))
        })
    }

    /// Writes the file, for this account alone, durable once this returns.
    pub fn write(&self, home: &Home) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(self).expect("plain strings are JSON");
        text.push(b'\n');
        let path = home.log_json();
        write_private(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The topic's own name.
    pub fn name(&self) -> &str {
        self.log.rsplit('/').next().unwrap_or_default()
    }

    /// The brokers to begin with.
    pub fn brokers(&self) -> &str {
        let rest = self.log.strip_prefix("kafka://").unwrap_or(&self.log);
        rest.split('/').next().unwrap_or_default()
    }

    /// The home that this topic is.
    pub fn home_id(&self) -> HomeId {
        HomeId::topic(&self.cluster, self.name())
    }
}
