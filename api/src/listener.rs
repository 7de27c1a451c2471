//! Connections: taken, counted, served and ended. `axum::serve` does not limit them.
//!
//! A connection costs its socket, one task and the buffers of hyper, which grow to
//! [`BUFFER_SIZE_MAX`] at most. What limits a request is in `http/perimeter.rs`.

mod room;

use std::{
    convert::Infallible,
    io::{self, Write as _},
    net::SocketAddr,
    pin::pin,
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

pub use self::room::Room;
use self::room::Seat;
use crate::patient::Patient;

/// The largest buffer of one connection, in bytes. A head that is larger is 431; a body goes
/// through in pieces.
const BUFFER_SIZE_MAX: usize = 32 * 1024;

/// How long nothing is accepted after the system refused, for want of descriptors mostly. The
/// connections that end meanwhile give theirs back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What is told to a connection that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 188\r\n\r\n\
    {\"type\":\"/problems/too_many_connections\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"as many connections are open as this server allows; try again\",\
    \"code\":\"too_many_connections\"}\n";

/// Who is at the other end of a request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// One address that is listened on, and what answers there.
pub struct Listening {
    pub listener: TcpListener,
    pub service: Router,
}

/// How connections are served and ended.
#[derive(Clone)]
pub struct Rules {
    pub room: Room,
    /// How long a connection may be without a whole request's head: at its start and between
    /// requests.
    pub idle: Duration,
    /// Nothing more is accepted, and connections end with the answer they are at.
    pub stopping: CancellationToken,
    /// Connections end where they are.
    pub cut: CancellationToken,
}

/// Serves until told to stop and every connection has ended.
pub async fn serve(listening: Vec<Listening>, rules: Rules) {
    let tasks = TaskTracker::new();
    for one in listening {
        tasks.spawn(accept(one, rules.clone(), tasks.clone()));
    }
    rules.stopping.cancelled().await;
    tasks.close();
    tasks.wait().await;
}

async fn accept(Listening { listener, service }: Listening, rules: Rules, tasks: TaskTracker) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(rules.idle).max_buf_size(BUFFER_SIZE_MAX);
    loop {
        let accepted = rules.stopping.run_until_cancelled(listener.accept()).await;
        let (stream, peer) = match accepted {
            None => return,
            Some(Ok(accepted)) => accepted,
            Some(Err(e)) if is_the_clients(&e) => continue,
            Some(Err(e)) => {
                tracing::error!(error = %e, "cannot accept a connection; trying again");
                rules.stopping.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                continue;
            }
        };
        let Some(seat) = rules.room.enter(peer.ip()) else {
            refuse(stream);
            continue;
        };
        // Without it events of a stream would wait for each other. A socket that is gone says so
        // when it is read.
        let _ = stream.set_nodelay(true);
        let talking = talk(http.clone(), stream, Peer(peer), service.clone(), rules.clone(), seat);
        tasks.spawn(talking);
    }
}

/// Errors that concern one connection only: it ended before it was accepted.
fn is_the_clients(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Tells a connection that it is one too many, if it listens.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(FULL);
    }
}

/// Serves one connection.
async fn talk(
    http: http1::Builder,
    stream: TcpStream,
    peer: Peer,
    service: Router,
    Rules { stopping, cut, .. }: Rules,
    _seat: Seat,
) {
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let service = service.clone();
        async move { answer(service, peer, request).await }
    });
    let mut talking = pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), answer));
    tokio::select! {
        // How a connection ended concerns its client.
        _ = talking.as_mut() => return,
        () = stopping.cancelled() => talking.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = talking => {}
        () = cut.cancelled() => {}
    }
}

async fn answer(
    service: Router,
    peer: Peer,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    service.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_one_too_many_is_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "too_many_connections");
    }
}
