//! A start on a shared log waits until what is to be recorded can be: here, or passed on.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{http::forwarded::Passage, station::Station};

/// How long a start waits for a writer at most; then it answers questions all the same. A group of
/// one takes about 4 s to give its place away, and opening the log about 2 s.
const WRITER_WAIT_MAX: Duration = Duration::from_secs(15);

/// How often it looks.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Returns when there is a writer, here or where one is said to be, or when there is none for long.
pub(super) async fn until_there_is_a_writer(
    station: &Station,
    passage: &Passage,
    stopping: &CancellationToken,
) {
    let begun = Instant::now();
    while begun.elapsed() < WRITER_WAIT_MAX && !stopping.is_cancelled() && !station.records() {
        let other = station.writer().filter(|writer| *writer.url != *passage.own_url);
        if let Some(writer) = other
            && passage.forwarder.finds_writer(&writer.url).await
        {
            return;
        }
        sleep(LOOK_PERIOD).await;
    }
    if !station.records() && begun.elapsed() >= WRITER_WAIT_MAX {
        tracing::warn!("there is no writer yet: questions are answered, and nothing is recorded");
    }
}
