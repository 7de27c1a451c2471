//! A program that was built without Kafka serves ledgers in directories alone.

use std::{convert::Infallible, sync::Arc};

use ledger::Log;
use tokio_util::sync::CancellationToken;

use super::office::Means;
use crate::{forward::ForwardKey, home::Home, station::Station};

/// There are no shared logs here.
pub(super) struct Shared(Infallible);

/// What a server would be to others.
pub(super) struct Part {
    pub station: Arc<Station>,
    pub own_url: String,
    #[expect(dead_code, reason = "as with Kafka")]
    pub stands_by: bool,
}

impl Shared {
    /// A directory whose log is a topic is refused where its log is opened.
    #[expect(clippy::unnecessary_wraps, reason = "as with Kafka")]
    pub(super) fn open(_: &Home) -> anyhow::Result<Option<Shared>> {
        Ok(None)
    }

    pub(super) fn log(&self) -> Arc<dyn Log> {
        match self.0 {}
    }

    pub(super) fn key(&self) -> &ForwardKey {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "as with Kafka")]
    pub(super) async fn take_part(
        self,
        _: Arc<Means>,
        _: Part,
        _: CancellationToken,
    ) -> anyhow::Result<()> {
        match self.0 {}
    }
}
