//! The baseline: axum routes that answer a constant, in a process of their own.

use std::{
    convert::Infallible,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use api::clock;
use axum::{
    Router,
    body::{Body, Bytes},
    http::header,
    response::IntoResponse,
    routing::get,
};
use futures_util::stream;
use tokio::sync::watch;

use crate::process::Server;

/// The argument that makes this program the baseline.
pub(crate) const COMMAND: &str = "constant";

/// The size of a typical answer.
const SIZE: usize = 4 * 1_024;

/// The size of a message about an event, with its proof.
const MESSAGE_SIZE: usize = 800;

/// The baseline, started.
pub(crate) fn server() -> Server {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(COMMAND).stderr(Stdio::inherit());
    Server::start(command)
}

pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answer = Bytes::from(format!("{{\"data\":\"{}\"}}", "x".repeat(SIZE)));
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let (said, ticks) = watch::channel(Bytes::new());
        let (_silent, nothing) = watch::channel(Bytes::new());
        tokio::spawn(tick(said));
        let router = Router::new()
            .route("/", get(async move || (kind, answer)))
            .route("/wait", get(async move || messages(nothing)))
            .route("/ticks", get(async move || messages(ticks)));
        println!("listening on http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

/// Says the time as often as events come in; whoever is slow misses some.
async fn tick(said: watch::Sender<Bytes>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1) / super::streams::RATE);
    let filler = "x".repeat(MESSAGE_SIZE);
    loop {
        interval.tick().await;
        let message = format!("id: {}\ndata: {filler}\n\n", clock::wall_us());
        said.send_replace(Bytes::from(message));
    }
}

/// A greeting, then each message of the channel.
fn messages(mut channel: watch::Receiver<Bytes>) -> impl IntoResponse {
    channel.mark_unchanged();
    let greeting = Some(Bytes::from_static(b": begin\n\n"));
    let messages = stream::unfold((channel, greeting), async |(mut channel, greeting)| {
        let said = if let Some(greeting) = greeting {
            greeting
        } else {
            channel.changed().await.ok()?;
            channel.borrow_and_update().clone()
        };
        Some((Ok::<_, Infallible>(said), (channel, None)))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(messages))
}
