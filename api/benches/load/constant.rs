//! The baseline: an axum route that answers a constant, in a process of its own.

use std::io::Write as _;

use axum::{Router, http::header, routing::get};

/// The argument that makes this program the baseline.
pub(crate) const COMMAND: &str = "constant";

/// The size of a typical answer: half of a page of a time line.
const SIZE: usize = 4 * 1_024;

pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answer = bytes(&format!("{{\"data\":\"{}\"}}", "x".repeat(SIZE)));
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let router = Router::new().route("/", get(move || async move { (kind, answer.clone()) }));
        println!("listening on http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

fn bytes(text: &str) -> axum::body::Bytes {
    axum::body::Bytes::copy_from_slice(text.as_bytes())
}
