//! The client against receivers on this machine and names that lie.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const OPEN: Rules = Rules { loopback: true, hosts: Vec::new() };
const SHUT: Rules = Rules { loopback: false, hosts: Vec::new() };

fn message() -> Message {
    let (id, signature) = ("evt_1".to_owned(), "v1,AA==".to_owned());
    Message {
        id,
        timestamp: 7,
        signature,
        body: Body { kind: crate::wire::EVENT, text: "{}".to_owned() },
    }
}

/// Answers every connection with `answer`, and counts them.
async fn receiver(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let mut part = [0; 4096];
            let _ = stream.read(&mut part).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, count)
}

/// A lookup that gives these addresses, one set for each call, and then the last for ever.
fn lookup(answers: &'static [&'static [&'static str]]) -> (Lookup, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let calls = count.clone();
    let lookup: Lookup = Arc::new(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let found = answers[call].iter().map(|ip| ip.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) })
    });
    (lookup, count)
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let (port, connections) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let inside: [&'static [&'static [&'static str]]; 4] = [
        &[&["127.0.0.1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["10.0.0.7"]],
        &[&["1.1.1.1", "127.0.0.1"]],
    ];
    for answers in inside {
        let (lookup, _) = lookup(answers);
        let client = Client::with_lookup(SHUT, lookup);
        let url = format!("https://hooks.example:{port}/");
        let answer = client.post(&url, message()).await;
        assert!(matches!(answer, Err(NoAnswer::Refused(_))), "{answers:?}: {answer:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let (port, connections) = receiver(answer).await;
    // The second lookup would lead elsewhere: it is another delivery's, and refused.
    let (lookup, lookups) = lookup(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = Client::with_lookup(OPEN, lookup);
    let url = format!("http://a.localhost:{port}/in");
    assert_eq!(client.post(&url, message()).await.unwrap().status, 204);
    assert_eq!(lookups.load(Ordering::SeqCst), 1, "one lookup is checked and used");
    let second = client.post(&url, message()).await;
    assert!(matches!(second, Err(NoAnswer::Refused(Refused::Private))), "{second:?}");
    assert_eq!((lookups.load(Ordering::SeqCst), connections.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (inner, reached) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = format!("HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{inner}/\r\n");
    let answer: &'static str = format!("{location}content-length: 0\r\n\r\n").leak();
    let (port, _) = receiver(answer).await;
    let client = Client::new(OPEN);
    let answer = client.post(&format!("http://127.0.0.1:{port}/"), message()).await.unwrap();
    assert_eq!((answer.status, reached.load(Ordering::SeqCst)), (307, 0));
}

#[tokio::test]
async fn what_a_receiver_asks_for_is_read_and_its_body_is_not() {
    let answer = "HTTP/1.1 503 Busy\r\nretry-after: 90\r\ncontent-length: 999999999\r\n\r\nxxxx";
    let (port, _) = receiver(answer).await;
    let client = Client::new(OPEN);
    let answer = client.post(&format!("http://127.0.0.1:{port}/"), message()).await.unwrap();
    assert_eq!(answer, Answer { status: 503, retry_after: Some(Duration::from_secs(90)) });
}

#[tokio::test]
async fn a_failure_does_not_repeat_the_url() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/a-key-of-the-receiver");
    let failed = Client::new(OPEN).post(&url, message()).await.unwrap_err();
    assert!(matches!(failed, NoAnswer::Connect(_)), "{failed:?}");
    assert!(!format!("{failed} {failed:?}").contains("a-key"), "{failed}");
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now: jiff::Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
    let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
    assert_eq!(seconds("120"), Some(120));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
    assert_eq!(seconds("soon"), None);
}
