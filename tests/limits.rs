//! Limits of connections and requests, tried from outside.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Instant,
};

use crate::{
    harness::{Client, Ledger, PATIENCE, Server, note, signal, wait},
    tokens::{create, get},
};

fn serve(ledger: &Ledger, more: &[&str]) -> Server {
    Server::start(ledger.command(&[&["serve", "--listen", "127.0.0.1:0"], more].concat()))
}

/// A connection on which nothing was said yet.
fn connect(client: &Client) -> TcpStream {
    let stream = TcpStream::connect(client.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the server ends the connection.
fn exchange(client: &Client, sent: &str) -> String {
    let mut stream = connect(client);
    stream.write_all(sent.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let ledger = Ledger::new();
    let server = serve(&ledger, &["--idle-timeout", "1"]);
    for sent in ["", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let begun = Instant::now();
        assert_eq!(exchange(&server, sent), "", "{sent:?}");
        assert!(begun.elapsed() < PATIENCE);
    }
    // So does keeping a connection without using it.
    let kept = exchange(&server, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(kept.starts_with("HTTP/1.1 200 OK\r\n"), "{kept}");
    server.stop();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let begin = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let long = |len: usize| format!("{begin}x-long: {}\r\n\r\n", "x".repeat(len));
    assert!(exchange(&server, &long(15_000)).starts_with("HTTP/1.1 200 "));
    let refused = exchange(&server, &long(17_000));
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    assert!(refused.contains("\"code\":\"headers_too_large\""), "{refused}");
    assert!(exchange(&server, &long(40_000)).starts_with("HTTP/1.1 431 "));
    let many = |len: usize| -> String {
        let lines: Vec<_> = (0..len).map(|n| format!("x-{n}: x\r\n")).collect();
        format!("{begin}{}\r\n", lines.concat())
    };
    assert!(exchange(&server, &many(62)).starts_with("HTTP/1.1 200 "));
    let refused = exchange(&server, &many(63));
    assert!(refused.contains("\"code\":\"headers_too_large\""), "{refused}");
    assert!(exchange(&server, &many(150)).starts_with("HTTP/1.1 431 "));
    server.stop();
}

#[test]
fn one_connection_too_many_is_told_so_and_there_is_room_again() {
    let ledger = Ledger::new();
    let server = serve(&ledger, &["--max-connections", "2"]);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut status = String::new();
            BufReader::new(&stream).read_line(&mut status).unwrap();
            assert_eq!(status, "HTTP/1.1 200 OK\r\n");
            stream
        })
        .collect();
    let refused = exchange(&server, "");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\"code\":\"too_many_connections\""), "{refused}");
    drop(held);
    let begun = Instant::now();
    while !server.try_get("/healthz").is_ok_and(|answer| answer.status == 200) {
        assert!(begun.elapsed() < PATIENCE, "the room is never free again");
    }
    server.stop();
}

#[test]
fn a_token_that_asks_too_often_is_told_when_to_ask_again() {
    let ledger = Ledger::new();
    let slow = create(&ledger, &["--rate", "1", "--burst", "2"]);
    let other = create(&ledger, &[]);
    let server = ledger.serve();
    let ask = |token: &str| {
        let asked = server.agent().get(format!("{}/api/v1/rollouts", server.url));
        asked.header("authorization", format!("Bearer {token}")).call().unwrap()
    };
    let statuses: Vec<u16> = (0..20).map(|_| ask(&slow.text).status().as_u16()).collect();
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    let refused = loop {
        let response = ask(&slow.text);
        if response.status() == 429 {
            break response;
        }
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(ask(&other.text).status(), 200);
    server.stop();
}

#[test]
fn failed_attempts_are_limited_and_nobody_else_pays_for_them() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let server = ledger.serve();
    let wrong = token.text.replace("rlt_", "rlt-");
    let codes: Vec<_> =
        (0..30).map(|_| get(&server, "/api/v1/rollouts", &wrong).0.status).collect();
    assert_eq!(codes[..10], [401; 10]);
    assert!(codes.contains(&429), "{codes:?}");
    assert_eq!(get(&server, "/api/v1/rollouts", &token.text).0.status, 200);
    server.stop();
}

#[test]
fn pages_of_other_origins_read_only_if_they_are_named() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let page = "https://status.example";
    let preflight = |server: &Server, origin: &str| {
        let head =
            format!("OPTIONS /api/v1/rollouts HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n");
        let asks = "access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n";
        exchange(server, &format!("{head}{asks}connection: close\r\n\r\n")).to_lowercase()
    };
    let ask = |server: &Server, origin: &str| {
        let asked = server.agent().get(format!("{}/api/v1/rollouts", server.url));
        let asked = asked.header("authorization", format!("Bearer {}", token.text));
        let response = asked.header("origin", origin).call().unwrap();
        assert_eq!(response.status(), 200);
        let allowed = response.headers().get("access-control-allow-origin");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
        allowed.map(|value| value.to_str().unwrap().to_owned())
    };
    let server = ledger.serve();
    assert_eq!(ask(&server, page), None);
    assert!(!preflight(&server, page).contains("access-control"));
    server.stop();
    let server = serve(&ledger, &["--cors-origin", page]);
    assert_eq!(ask(&server, page).as_deref(), Some(page));
    assert_eq!(ask(&server, "https://status.example.evil.example"), None);
    let allowed = preflight(&server, page);
    assert!(allowed.contains(&format!("access-control-allow-origin: {page}")), "{allowed}");
    assert!(allowed.contains("access-control-allow-headers: authorization"), "{allowed}");
    assert!(!preflight(&server, "https://evil.example").contains("allow-origin"));
    server.stop();
    ledger.run(&["serve", "--listen", "127.0.0.1:0", "--cors-origin", "*"]).exits(2);
}

#[test]
fn an_address_for_reading_only_reads() {
    let ledger = Ledger::new();
    let token = create(&ledger, &[]);
    let args = ["serve", "--listen", "127.0.0.1:0", "--listen-read-only", "127.0.0.1:0"];
    let mut command = ledger.command(&args);
    let mut child: Child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut url = |begin: &str| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(begin).unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let both = Client::of(&url("listening on "));
    let reads = Client::of(&url("listening read-only on "));
    get(&reads, "/api/v1/rollouts", "").0.problem(401, "token_wanted");
    assert_eq!(get(&reads, "/api/v1/rollouts", &token.text).0.status, 200);
    for client in [&both, &reads] {
        let asked = client.agent().head(format!("{}/api/v1/rollouts", client.url));
        let asked = asked.header("authorization", format!("Bearer {}", token.text));
        assert_eq!(asked.call().unwrap().status(), 200);
    }
    let post = |client: &Client| {
        let asked = client.agent().post(format!("{}/api/v1/events", client.url));
        let asked = asked.header("authorization", format!("Bearer {}", token.text));
        let asked = asked.header("content-type", "application/json");
        asked.send(note("one", "said").to_string()).unwrap()
    };
    let refused = post(&reads);
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
    crate::harness::Answer::of(refused).problem(405, "read_only_address");
    assert_eq!(post(&both).status(), 201);
    signal("TERM", child.id());
    assert!(wait(child).success());
}

#[test]
fn a_stop_does_not_wait_for_those_who_say_nothing() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let silent = connect(&server);
    let mut slow = connect(&server);
    slow.write_all(b"POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{").unwrap();
    assert_eq!(server.get("/healthz").status, 200);
    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    drop((silent, slow));
}
