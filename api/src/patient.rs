//! Connections whose other end must take what it is sent: whoever reads nothing is let go.
//!
//! What waits in a connection is bounded (by the library, less than 1 MiB), so a reader that reads
//! nothing costs that much; this bounds for how long.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a connection may take nothing of what waits for it. Then it is closed.
pub const STALL_MAX: Duration = Duration::from_secs(20);

/// A connection that fails with `TimedOut` when it takes nothing for [`STALL_MAX`].
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    /// Runs while something waits to be taken. Boxed, as most connections have none.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub fn new(stream: S) -> Patient<S> {
        Patient { stream, stalled: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        taken: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if taken.is_ready() {
            self.stalled = None;
            return taken;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_MAX)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let taken = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, taken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let taken = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, taken)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::{Instant, advance, pause},
    };

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_let_go_and_who_takes_a_little_is_not() {
        pause();
        let (near, mut far) = duplex(4);
        let mut patient = Patient::new(near);
        let begun = Instant::now();
        let writing = tokio::spawn(async move { patient.write_all(&[7; 12]).await.unwrap_err() });
        tokio::task::yield_now().await;
        advance(STALL_MAX / 2).await;
        far.read_exact(&mut [0; 4]).await.unwrap();
        let error = writing.await.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // It is the time without any progress that counts.
        assert!(begun.elapsed() >= STALL_MAX + STALL_MAX / 2, "{:?}", begun.elapsed());
    }
}
