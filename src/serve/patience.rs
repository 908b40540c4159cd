//! A connection whose other side must keep reading.

use crate::limits::{HTTP_STALL_BYTES_MIN, HTTP_STALL_SECONDS};
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

const WINDOW: Duration = Duration::from_secs(HTTP_STALL_SECONDS);

/// Fails where there is something to send and the other side takes less than [`HTTP_STALL_BYTES_MIN`] in
/// [`HTTP_STALL_SECONDS`]: neither a client that reads nothing nor one that reads a byte now and then holds its
/// connection, and the picture that waits in it, for long.
pub(super) struct Patient<S> {
    stream: S,
    /// The end of the time in which `taken` is counted; none while the other side keeps up.
    window: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl<S> Patient<S> {
    pub fn new(stream: S) -> Self {
        Patient { stream, window: None, taken: 0 }
    }

    /// Counts what became of an attempt to write `offered` bytes.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(all)) if all == offered => {
                self.window = None;
                return wrote;
            }
            Poll::Ready(Ok(part)) => self.taken += part,
            Poll::Ready(Err(_)) => return wrote,
            Poll::Pending => {}
        }
        let taken = &mut self.taken;
        let window = self.window.get_or_insert_with(|| {
            *taken = 0;
            Box::pin(sleep(WINDOW))
        });
        // Polling registers the wake-up, too.
        while window.as_mut().poll(context).is_ready() {
            if std::mem::take(taken) < HTTP_STALL_BYTES_MIN {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            window.as_mut().reset(Instant::now() + WINDOW);
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, bytes.len(), wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, slices.iter().map(|slice| slice.len()).sum(), wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    /// Writes a megabyte while the other side reads `bytes` a second; the clock jumps where all wait.
    fn write_to_a_reader(bytes: usize) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (mut reader, writer) = duplex(1 << 14);
            let read = async {
                let mut buffer = vec![0; bytes];
                loop {
                    sleep(Duration::from_secs(1)).await;
                    if bytes > 0 && reader.read_exact(&mut buffer).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let mut patient = Patient::new(writer);
            let write = async {
                patient.write_all(&vec![0; 1 << 20]).await?;
                patient.shutdown().await
            };
            tokio::select! {
                done = timeout(Duration::from_secs(1 << 20), write) => done.expect("it ends"),
                () = read => unreachable!(),
            }
        })
    }

    #[test]
    fn readers_must_keep_a_least_pace() {
        let least = HTTP_STALL_BYTES_MIN / HTTP_STALL_SECONDS as usize;
        assert!(write_to_a_reader(2 * least).is_ok());
        for slow in [0, 1, least / 2] {
            assert_eq!(write_to_a_reader(slow).unwrap_err().kind(), ErrorKind::TimedOut, "{slow}");
        }
    }
}
