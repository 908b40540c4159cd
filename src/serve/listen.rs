//! The socket, and what a connection may cost.

use super::patience::Patient;
use super::reply::words;
use super::routes;
use super::site::Site;
use crate::error::{Error, Result};
use crate::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_HEADERS_MAX, HTTP_REQUEST_BYTES_MAX, HTTP_REQUEST_SECONDS,
    HTTP_SEND_BUFFER_BYTES,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

/// Connections that the kernel completes while the thread is busy. Beyond them a client tries again after a second: in a
/// flood, others shall come in among those that are about to be closed.
const BACKLOG: u32 = 1024;
/// Rest after the system had no descriptor left for a connection.
const REST: Duration = Duration::from_millis(100);

/// Listens at `address`; of the runtime's thread.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A daemon that starts again need not wait until the connections of the last one are forgotten.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        // Accepted sockets inherit it.
        socket.set_send_buffer_size(HTTP_SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => {
            Error::Usage(format!("--http {address}: in use by another program; choose another port"))
        }
        ErrorKind::AddrNotAvailable => Error::Usage(format!(
            "--http {address}: not an address of this machine; 0.0.0.0:{} listens on all that it has",
            address.port()
        )),
        ErrorKind::PermissionDenied => Error::Usage(format!(
            "--http {address}: this user may not listen on ports below 1024; choose another port, such as 8080"
        )),
        _ => Error::io(format!("--http {address}"), e),
    })
}

/// Accepts connections until the runtime ends. Beyond [`HTTP_CONNECTIONS_MAX`] they are closed at once, so that nobody
/// waits, and no memory, for who holds the others.
pub(super) async fn accept(listener: TcpListener, site: Arc<Site>) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                log::debug!("http: {e}");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            site.counters.refused.fetch_add(1, Relaxed);
            continue;
        };
        // Pictures are sent as a whole; nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            site.counters.connections.fetch_add(1, Relaxed);
            serve(stream, &site).await;
            site.counters.connections.fetch_sub(1, Relaxed);
            drop(place);
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, site: &Arc<Site>) {
    let service = service_fn(|request| async {
        let reply = routes::answer(request, site).await;
        Ok::<_, Infallible>(reply.unwrap_or_else(|refusal| words(refusal.0, refusal.1)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HTTP_REQUEST_SECONDS))
        .max_headers(HTTP_HEADERS_MAX)
        .max_header_size(HTTP_REQUEST_BYTES_MAX)
        .max_buf_size(HTTP_REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    // Clients go as they like, and hostile ones do as they like: that is nothing to report.
    if let Err(error) = connection.await {
        log::debug!("http: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::{Settings, guard::Guard, pictures::Pictures, site::Counters};
    use crate::watch::board::{About, Board};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep, timeout};

    struct NoSettings;

    impl Settings for NoSettings {
        fn read(&self) -> String {
            String::new()
        }

        fn change(&self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn snapshots(&self) -> Option<std::path::PathBuf> {
            None
        }
    }

    fn site() -> Arc<Site> {
        let about = About {
            version: "0",
            model: "m".into(),
            precision: "int8",
            input: [32, 32],
            classes: Vec::new(),
            threads: 1,
        };
        let (board, _) = Board::new(about, &[]);
        Arc::new(Site {
            guard: Guard::new(([127, 0, 0, 1], 80).into(), None).unwrap(),
            pictures: Pictures::start(Arc::clone(&board)).unwrap(),
            settings: Arc::new(NoSettings),
            outlets: Vec::new(),
            streams: Arc::new(Semaphore::new(1)),
            counters: Counters::default(),
            board,
        })
    }

    /// Seconds until a connection ends on which a client does this; the clock jumps where all wait.
    fn seconds<F: Future<Output = ()>>(client: impl FnOnce(DuplexStream) -> F) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (ours, theirs) = duplex(1 << 16);
            let (site, start) = (site(), Instant::now());
            tokio::select! {
                done = timeout(Duration::from_secs(3600), serve(theirs, &site)) => done.expect("it ends"),
                () = client(ours) => unreachable!("clients stay"),
            }
            start.elapsed().as_secs()
        })
    }

    async fn say(client: &mut DuplexStream, text: &str) {
        let _ = client.write_all(text.as_bytes()).await;
    }

    #[test]
    fn a_head_that_does_not_come_is_not_waited_for() {
        let silent = seconds(|client| async move {
            let _client = client;
            std::future::pending().await
        });
        let half = seconds(|mut client| async move {
            say(&mut client, "GET / HTTP/1.1\r\nHost: lo").await;
            std::future::pending().await
        });
        let trickle = seconds(|mut client| async move {
            say(&mut client, "GET / HTTP/1.1\r\nX: ").await;
            loop {
                say(&mut client, "x").await;
                sleep(Duration::from_secs(1)).await;
            }
        });
        let idle = seconds(|mut client| async move {
            say(&mut client, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            std::future::pending().await
        });
        let body = seconds(|mut client| async move {
            say(&mut client, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx").await;
            std::future::pending().await
        });
        assert_eq!([silent, half, trickle, idle], [HTTP_REQUEST_SECONDS; 4]);
        assert!((HTTP_REQUEST_SECONDS..=2 * HTTP_REQUEST_SECONDS).contains(&body), "{body}");
    }
}
