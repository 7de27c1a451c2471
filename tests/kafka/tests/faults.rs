//! What the cluster and the proxy promise to the tests that use them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use kafka_cluster::{Action, Cluster, Options, Proxy, api_key};

/// A wait that is over at once where all is well.
const LONG: Duration = Duration::from_secs(30);

/// A broker that answers each request with itself, and tells what it got.
fn echo() -> (Proxy, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::new();
    proxy.forward_to(listener.local_addr().unwrap().port());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut bytes = [0; 12];
                while stream.read_exact(&mut bytes).is_ok() {
                    let _ = (tell.send(bytes.to_vec()), stream.write_all(&bytes));
                }
            });
        }
    });
    (proxy, told)
}

/// A request of 8 bytes after its length: its kind, version and number.
fn request(api_key: i16, number: u32) -> Vec<u8> {
    let mut frame = 8_u32.to_be_bytes().to_vec();
    frame.extend(api_key.to_be_bytes());
    frame.extend(3_i16.to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// The answer; nothing where the connection was cut.
fn answer(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    let read = stream.read_exact(&mut bytes);
    read.map(|()| bytes).unwrap_or_default()
}

#[test]
fn requests_and_answers_pass_and_one_kind_is_lost() {
    let (proxy, told) = echo();
    proxy.once(api_key::END_TXN, Action::Cut);
    let mut client = connect(&proxy);
    client.write_all(&request(api_key::PRODUCE, 1)).unwrap();
    assert_eq!(answer(&client), request(api_key::PRODUCE, 1));
    client.write_all(&request(api_key::END_TXN, 2)).unwrap();
    assert_eq!(answer(&client), [], "it was cut");
    let mut client = connect(&proxy);
    client.write_all(&request(api_key::END_TXN, 3)).unwrap();
    assert_eq!(answer(&client), request(api_key::END_TXN, 3));
    let got: Vec<_> = (0..2).map(|_| told.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(got, [request(api_key::PRODUCE, 1), request(api_key::END_TXN, 3)]);
}

#[test]
fn an_answer_is_lost_and_the_request_is_not() {
    for action in [Action::ForwardThenCut, Action::CutThenForward(Duration::from_millis(50))] {
        let (proxy, told) = echo();
        proxy.once(api_key::END_TXN, action);
        let mut client = connect(&proxy);
        client.write_all(&request(api_key::END_TXN, 1)).unwrap();
        assert_eq!(answer(&client), [], "{action:?}");
        assert_eq!(told.recv_timeout(LONG).unwrap(), request(api_key::END_TXN, 1), "{action:?}");
    }
}

/// An answer has its number where a request has its kind and version, so this broker sends back what a real one would.
#[test]
fn whoever_watches_hears_what_was_answered_and_not_what_was_lost() {
    let (proxy, _told) = echo();
    let (tell, heard) = mpsc::channel();
    proxy.watch_answers(move |request| tell.send(request.api_key).unwrap());
    // Its number is its kind and version.
    let numbered = |api_key: i16| request(api_key, u32::from(api_key.unsigned_abs()) << 16 | 3);
    let mut client = connect(&proxy);
    client.write_all(&numbered(api_key::PRODUCE)).unwrap();
    assert_eq!(answer(&client), numbered(api_key::PRODUCE));
    proxy.once(api_key::FETCH, Action::ForwardThenCut);
    client.write_all(&numbered(api_key::FETCH)).unwrap();
    assert_eq!(answer(&client), [], "it was cut");
    let mut client = connect(&proxy);
    client.write_all(&numbered(api_key::END_TXN)).unwrap();
    assert_eq!(answer(&client), numbered(api_key::END_TXN));
    let got: Vec<_> = (0..2).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(got, [api_key::PRODUCE, api_key::END_TXN]);
}

#[test]
fn a_request_is_held_until_it_is_released() {
    let (proxy, told) = echo();
    proxy.once(api_key::END_TXN, Action::Hold);
    let mut client = connect(&proxy);
    client.write_all(&request(api_key::END_TXN, 1)).unwrap();
    assert!(proxy.wait_for_held(LONG));
    assert!(told.try_recv().is_err());
    proxy.release();
    assert_eq!(answer(&client), request(api_key::END_TXN, 1));
}

#[test]
fn nothing_passes_a_partition_and_nothing_is_lost_by_it() {
    let (proxy, told) = echo();
    let mut client = connect(&proxy);
    proxy.partition(true);
    client.write_all(&request(api_key::FETCH, 1)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(answer(&client), []);
    assert!(told.try_recv().is_err());
    client.set_read_timeout(Some(LONG)).unwrap();
    proxy.partition(false);
    assert_eq!(answer(&client), request(api_key::FETCH, 1));
}

/// One cluster for all that is done to it: each start takes seconds.
#[test]
fn a_broker_is_killed_paused_stopped_and_comes_back_with_its_data() {
    let cluster = Cluster::start(&Options::default());
    cluster.tool(
        "kafka-topics.sh",
        &["--create", "--topic", "kept", "--bootstrap-server", "nobody:1"],
    );
    let topics = || cluster.tool("kafka-topics.sh", &["--list"]);
    assert_eq!(topics().trim(), "kept");

    let first = cluster.pid(1);
    cluster.kill(1);
    assert!(!cluster.alive(1) && !is_running(first));
    cluster.restart(1);
    assert_ne!(cluster.pid(1), first);
    assert_eq!(topics().trim(), "kept");

    cluster.pause(1);
    assert!(state(cluster.pid(1)).contains('T'), "it is paused");
    cluster.resume(1);
    cluster.stop(1);
    cluster.restart(1);
    assert_eq!(topics().trim(), "kept");

    let last = cluster.pid(1);
    drop(cluster);
    assert!(!is_running(last));
}

#[test]
fn access_control_lets_nobody_in_who_was_not_named() {
    let cluster = Cluster::start(&Options { access_control: true, ..Options::default() });
    cluster.tool("kafka-topics.sh", &["--create", "--topic", "guarded"]);
    let writer =
        ["--add", "--allow-principal", "User:writer", "--operation", "Write", "--topic", "guarded"];
    cluster.tool("kafka-acls.sh", &writer);
    let listed = cluster.tool("kafka-acls.sh", &["--list", "--topic", "guarded"]);
    assert!(listed.contains("User:writer") && !listed.contains("intruder"), "{listed}");
}

fn state(pid: u32) -> String {
    let said = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(said.stdout).unwrap()
}

fn is_running(pid: u32) -> bool {
    !state(pid).trim().is_empty()
}
