//! A program that was built without Kafka says so.

use std::{convert::Infallible, fmt, str::FromStr, sync::Arc};

use ledger::Log;

use super::{Opened, Topic};
use crate::{
    exit::{Code, fail},
    home::Home,
};

const WITHOUT: &str = "this program was built without Kafka; build it with `cargo build -p api \
                       --features kafka`";

pub(super) const DURABILITY: &str = "";

/// There are no addresses of topics here.
#[derive(Clone, Debug)]
pub struct Address(Infallible);

impl Address {
    pub fn topic(&self) -> &str {
        match self.0 {}
    }
}

impl fmt::Display for Address {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(_: &str) -> Result<Address, &'static str> {
        Err(WITHOUT)
    }
}

pub(super) fn writable(_: &Home, _: &Topic) -> anyhow::Result<Opened> {
    Err(fail(Code::Failure, WITHOUT))
}

pub(super) fn readable(_: &Home, _: &Topic) -> anyhow::Result<Arc<dyn Log>> {
    Err(fail(Code::Failure, WITHOUT))
}

/// There are no topics to copy to either.
pub mod copies {
    use std::{path::Path, sync::Arc};

    use ledger::Log;

    use super::{Address, Topic, WITHOUT};
    use crate::{
        exit::{Code, fail},
        home::{Home, HomeId},
    };

    pub fn open(
        _: &Home,
        _: &dyn Log,
        _: &Address,
        _: Option<&Path>,
    ) -> anyhow::Result<(Arc<dyn Log>, Topic)> {
        Err(fail(Code::Failure, WITHOUT))
    }

    pub fn home_of(_: &Home, _: &Address, _: Option<&Path>) -> anyhow::Result<HomeId> {
        Err(fail(Code::Failure, WITHOUT))
    }

    pub fn keep_properties(_: &Home, _: Option<&Path>) -> anyhow::Result<()> {
        Err(fail(Code::Failure, WITHOUT))
    }
}

/// Looks at topics, of which there are none.
pub(super) mod look {
    use serde_json::Value;

    use super::{Code, Home, Topic, WITHOUT, fail};

    pub(in super::super) fn check_unserved(_: &Home) -> anyhow::Result<()> {
        Ok(())
    }

    pub(in super::super) fn stat(_: &Home, _: &Topic) -> anyhow::Result<Value> {
        Err(fail(Code::Failure, WITHOUT))
    }
}
