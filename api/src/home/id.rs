//! Which place is a ledger's home: a directory by its random id, a topic by its cluster and name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A home as entries name it. Two are the same if kind and id are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeId {
    /// `directory` or `topic`.
    pub kind: String,
    /// 32 hexadecimal digits, or `CLUSTER_ID/TOPIC`.
    pub id: String,
}

impl HomeId {
    /// The directory with this random id.
    pub fn directory(id: impl Into<String>) -> HomeId {
        HomeId { kind: "directory".to_owned(), id: id.into() }
    }

    /// The topic of this name on the cluster with this id.
    pub fn topic(cluster: &str, name: &str) -> HomeId {
        HomeId { kind: "topic".to_owned(), id: format!("{cluster}/{name}") }
    }
}

impl fmt::Display for HomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}
