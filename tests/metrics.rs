//! What the server says of itself: `/metrics`, lines on stderr, ids of requests and traces.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{Answer, Ledger, Server, note, notes};

/// One family of OpenMetrics text.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    unit: Option<String>,
    /// Sample name and labels, as written, with the value.
    samples: BTreeMap<(String, String), f64>,
}

/// Reads OpenMetrics 1.0 text and refuses what its specification does.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with `# EOF`");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        assert_eq!(line, line.trim(), "no white space around a line");
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name, said) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            if name != current {
                assert!(!families.contains_key(name), "{name} comes in one piece");
                name.clone_into(&mut current);
            }
            let family = families.entry(current.clone()).or_default();
            assert!(family.samples.is_empty(), "{name} is described before its samples");
            match what {
                "TYPE" => said.clone_into(&mut family.kind),
                "HELP" => said.clone_into(&mut family.help),
                "UNIT" => family.unit = Some(said.to_owned()),
                _ => panic!("an unknown line: {line}"),
            }
            continue;
        }
        let family = families.get_mut(&current).expect("a sample stands in a family");
        let (name_and_labels, value) = line.rsplit_once(' ').expect("a value behind a space");
        let (name, labels) = match name_and_labels.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
            None => (name_and_labels, ""),
        };
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total", "_created"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum", "_created"],
            "info" => &["_info"],
            other => panic!("{current} has the type {other}"),
        };
        let suffix = name.strip_prefix(current.as_str()).expect("a sample has its family's name");
        assert!(suffixes.contains(&suffix), "{name} is no sample of a {}", family.kind);
        let value: f64 = value.parse().unwrap();
        assert!(family.kind == "gauge" || value >= 0.0, "{line}");
        let key = (name.to_owned(), labels.to_owned());
        assert!(family.samples.insert(key, value).is_none(), "{line} comes twice");
    }
    for (name, family) in &families {
        assert!(!family.kind.is_empty() && !family.help.is_empty(), "{name} is described");
        let unit = family.unit.as_ref();
        assert!(unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}: {unit:?}");
        check_histogram(name, family);
    }
    families
}

/// Buckets grow up to `+Inf`, which is the count.
fn check_histogram(name: &str, family: &Family) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let bucket = format!("{name}_bucket");
    for ((_, labels), value) in family.samples.iter().filter(|((n, _), _)| *n == bucket) {
        let parts: Vec<&str> = labels.split(',').collect();
        let (le, rest): (Vec<&str>, Vec<&str>) = parts.iter().partition(|p| p.starts_with("le="));
        let limit = le[0].trim_start_matches("le=").trim_matches('"');
        let limit = if limit == "+Inf" { f64::INFINITY } else { limit.parse().unwrap() };
        buckets.entry(rest.join(",")).or_default().push((limit, *value));
    }
    for (labels, mut limits) in buckets {
        limits.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(limits.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {limits:?}");
        let count = family.samples[&(format!("{name}_count"), labels)];
        assert_eq!(limits.last(), Some(&(f64::INFINITY, count)), "{name}");
    }
}

/// A scrape, by sample name and labels.
struct Scrape(BTreeMap<String, Family>);

impl Scrape {
    fn of(server: &Server) -> Scrape {
        let answer = server.get("/metrics");
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!((answer.status, answer.kind.as_str()), (200, kind));
        Scrape(parse(&answer.text))
    }

    /// The value of a sample in words; 0 where there is none yet.
    fn value(&self, name: &str, labels: &str) -> String {
        let name = format!("rollout_ledger_{name}");
        let samples = self.0.values().flat_map(|family| &family.samples);
        let mut fitting = samples.filter(|((n, l), _)| *n == name && l == labels);
        fitting.next().map_or(0.0, |(_, value)| *value).to_string()
    }
}

#[test]
fn counters_move_when_they_should() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    server.ready();
    let before = Scrape::of(&server);
    assert_eq!(before.value("last_verify_ok", ""), "1");
    assert_eq!(
        before.value("build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))),
        "1"
    );
    assert_eq!(before.value("append_seconds_count", ""), "0");
    assert_eq!(
        before.value("events_total", ""),
        "0",
        "what a start records is no commit of the intake"
    );
    let head: u64 = before.value("head_seq", "").parse().unwrap();

    let first = note("m-0", "said");
    assert_eq!(server.post(&first).status, 201);
    assert_eq!(server.post(&first).status, 200, "a duplicate");
    assert_eq!(server.post(&notes("m", 4).into()).status, 201);
    let address = ["someone", "mail.example"].join("@");
    server.post(&note("m-x", &address)).problem(422, "personal_data");
    server.get("/api/v1/rollouts/nowhere").problem(404, "not_found");
    server.get("/api/v1/rollouts/nobody").problem(404, "not_found");
    server.get("/no/such/path").problem(404, "not_found");
    assert_eq!(server.get("/api/v1/rollouts/trial").status, 200);

    let after = Scrape::of(&server);
    let rows = [
        ("append_seconds_count", "", "3"),
        ("commit_events_count", "", "3"),
        ("commit_events_sum", "", "4"),
        ("commit_seconds_count", "", "3"),
        ("events_total", "", "4"),
        ("head_seq", "", &(head + 4).to_string()),
        ("view_lag_entries", "", "0"),
        ("view_lag_seconds", "", "0"),
        ("intake_queue", "", "0"),
        ("subscribers", "", "0"),
        ("rate_limited_total", "", "0"),
        ("refusals_total", "code=\"personal_data\",rule=\"email\"", "1"),
        ("refusals_total", "code=\"not_found\",rule=\"\"", "3"),
        ("request_seconds_count", "method=\"POST\",route=\"/api/v1/events\",status=\"2xx\"", "3"),
        ("request_seconds_count", "method=\"POST\",route=\"/api/v1/events\",status=\"4xx\"", "1"),
        (
            "request_seconds_count",
            "method=\"GET\",route=\"/api/v1/rollouts/{id}\",status=\"2xx\"",
            "1",
        ),
        (
            "request_seconds_count",
            "method=\"GET\",route=\"/api/v1/rollouts/{id}\",status=\"4xx\"",
            "2",
        ),
        ("request_seconds_count", "method=\"GET\",route=\"unmatched\",status=\"4xx\"", "1"),
        ("request_seconds_count", "method=\"GET\",route=\"/metrics\",status=\"2xx\"", "1"),
    ];
    for (name, labels, expected) in rows {
        assert_eq!(after.value(name, labels), expected, "{name}{{{labels}}}");
    }
    assert_ne!(after.value("append_seconds_sum", ""), "0");
    server.stop();
}

#[test]
fn every_metric_stands_in_the_documentation_and_no_label_holds_what_was_sent() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    server.post(&note("secret-id", "secret words")).json();
    server.get("/api/v1/rollouts/secret-name?secret=1");
    server.get("/secret/path");
    let answer = server.get("/metrics");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    let page = std::fs::read_to_string(crate::harness::root().join("docs/METRICS.md")).unwrap();
    let documented: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    for (name, family) in parse(&answer.text) {
        let sample = match family.kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name,
        };
        assert!(documented.contains(sample.as_str()), "docs/METRICS.md does not name {sample}");
    }
    server.stop();
}

/// What the server logged about answered requests.
fn answered(said: &str) -> Vec<Value> {
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter(|line| line["message"] == "answered").collect()
}

#[test]
fn a_request_is_one_line_of_json_with_its_ids_and_nothing_that_was_sent() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let url = format!("{}/api/v1/rollouts/whispered?as_of=2026-01-01", server.url);
    let request = server.agent().get(&url).header("x-request-id", "build-1841");
    let request = request.header("traceparent", format!("00-{trace}-{parent}-01"));
    let response = request.call().unwrap();
    assert_eq!(response.headers()["x-request-id"], "build-1841");
    let problem = Answer::of(response).problem(404, "not_found");
    assert_eq!(problem["request_id"], "build-1841");

    let request = server.agent().get(&url).header("x-request-id", "not an id");
    let response = request.header("traceparent", "00-nonsense-01").call().unwrap();
    let made = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(Answer::of(response).problem(404, "not_found")["request_id"], made.as_str());
    assert_eq!(server.post(&note("whispered", "whispered")).status, 201);
    let said = server.stop();

    assert!(!said.contains("whispered") && !said.contains("nonsense"), "{said}");
    let lines = answered(&said);
    assert_eq!(lines.len(), 3, "{said}");
    let first = &lines[0];
    assert_eq!(first["level"], "INFO");
    assert_eq!((&first["method"], &first["status"]), (&"GET".into(), &404.into()));
    assert_eq!(
        (&first["route"], &first["code"]),
        (&"/api/v1/rollouts/{id}".into(), &"not_found".into())
    );
    assert!(first["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    let span = &first["span"];
    assert_eq!(span["request_id"], "build-1841");
    assert_eq!((&span["trace_id"], &span["parent_span_id"]), (&trace.into(), &parent.into()));
    assert_eq!(span["span_id"].as_str().map(str::len), Some(16));
    let second = &lines[1]["span"];
    assert_eq!(second["request_id"], made.as_str());
    assert_eq!(second["trace_id"].as_str().map(str::len), Some(32));
    assert!(second.get("parent_span_id").is_none());
    assert_eq!(lines[2]["status"], 201);
}

#[test]
fn text_is_logged_where_it_is_asked_for() {
    let ledger = Ledger::new();
    let args = ["serve", "--listen", "127.0.0.1:0", "--log-format", "text"];
    let server = Server::start(ledger.command(&args));
    server.get("/healthz");
    let said = server.stop();
    let line = said.lines().find(|line| line.contains("answered")).expect("one line a request");
    assert!(line.contains("route=\"/healthz\"") && !line.starts_with('{'), "{line}");
}
