//! The contract from outside: what the OpenAPI document says is what the server does, and nothing
//! beside it.

use std::{env, fs, process::Command};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Ledger, Ran, Server, examples, root};

/// A server of a ledger with one event of every type.
fn filled() -> (Ledger, Server) {
    let ledger = Ledger::new();
    let all = examples("events", "json").into_iter().map(|path| fs::read(path).unwrap());
    let events: Vec<Value> = all.map(|text| serde_json::from_slice(&text).unwrap()).collect();
    ledger.append(&events).ok();
    let server = ledger.serve();
    server.ready();
    (ledger, server)
}

fn document(server: &Client) -> Value {
    let answer = server.get("/openapi.json");
    assert_eq!((answer.status, &*answer.kind), (200, "application/json"));
    answer.json()
}

/// Asks with any method, without a body, on a connection of its own: a server that refuses a
/// method does not wait for a body, and closes.
fn ask(server: &Client, method: &str, path: &str) -> (Answer, Option<String>) {
    let request = ureq::http::Request::builder()
        .method(method)
        .header("connection", "close")
        .uri(format!("{}{path}", server.url));
    let response = server.agent().run(request.body(()).unwrap());
    let response = response.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
    let allow = response.headers().get("allow").map(|v| v.to_str().unwrap().to_owned());
    (Answer::of(response), allow)
}

#[test]
fn no_path_takes_a_method_that_the_document_does_not_name() {
    let (_ledger, server) = filled();
    let document = document(&server);
    for (template, item) in document["paths"].as_object().unwrap() {
        let path = template.replace(['{', '}'], "");
        let named: Vec<_> = item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            // A stream that is asked for ends with its reader only; tests/stream.rs reads it.
            if method == "GET" && template.ends_with("/stream") {
                continue;
            }
            let (answer, allow) = ask(&server, method, &path);
            if named.iter().any(|name| name == method) {
                assert_ne!(answer.status, 405, "{method} {template}");
            } else {
                answer.problem(405, "method_not_allowed");
                let allow = allow.unwrap();
                assert!(
                    named.iter().all(|name| allow.contains(name)),
                    "{method} {template}: {allow}"
                );
            }
        }
    }
    for unknown in ["/", "/api/v1", "/docs/", "/schemas/", "/api/v1/rollouts/a/b/c"] {
        server.get(unknown).problem(404, "not_found");
    }
}

#[test]
fn what_is_said_of_parameters_is_true_where_there_are_none() {
    let (_ledger, server) = filled();
    for path in ["/api/v1/rollouts", "/openapi.json", "/readyz", "/api/v1/events/1"] {
        server.get(&format!("{path}?unknown=1")).problem(400, "invalid_request");
    }
}

#[test]
fn every_problem_that_the_code_names_has_a_page() {
    let (_ledger, server) = filled();
    let mut codes = Vec::new();
    let mut folders = vec![root().join("api/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let made = text.split("Problem::new(").skip(1).filter_map(|rest| {
                    let arguments = rest.split(';').next()?;
                    let code = arguments.split('"').nth(1)?;
                    let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                    plain.then(|| code.to_owned())
                });
                codes.extend(made);
            }
        }
    }
    assert!(codes.len() > 15, "{codes:?}");
    codes.extend(
        ["not_json", "invalid_event", "own_door", "personal_data", "busy", "in_doubt"]
            .map(str::to_owned),
    );
    // And each that the documents name.
    let table = fs::read_to_string(root().join("docs/HTTP.md")).unwrap();
    for row in table.lines().filter(|row| row.starts_with("| 4") || row.starts_with("| 5")) {
        let named = row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2);
        codes.extend(named.map(str::to_owned));
    }
    for code in codes {
        let page = server.get(&format!("/problems/{code}"));
        assert_eq!((page.status, &*page.kind), (200, "text/html; charset=utf-8"), "{code}");
        assert!(page.text.contains(&format!("<h1>{code}</h1>")), "{code}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let (_ledger, server) = filled();
    let response = server.agent().get(format!("{}/docs", server.url)).call().unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    let page = Answer::of(response).text;
    for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        match link.strip_prefix('#') {
            Some(id) => assert!(
                page.contains(&format!("id=\"{id}\"")) || page.contains(&format!("id={id} ")),
                "{link}"
            ),
            None => assert_eq!(server.get(link).status, 200, "{link}"),
        }
    }
    assert!(!page.contains(" src=") && !page.contains("<script") && !page.contains("style=\""));
}

#[test]
fn schemathesis_finds_nothing() {
    let python = env::var_os("PYTHON").expect("PYTHON names the venv's; type: make test");
    let program = std::path::Path::new(&python).with_file_name("schemathesis");
    let make = "type: make target/venv/ready";
    assert!(program.is_file(), "{} is missing; {make}", program.display());
    let (ledger, server) = filled();
    let mut run = Command::new(program);
    run.arg("--config-file").arg(root().join("tests/schemathesis.toml"));
    // A ledger without tokens lets everyone on the machine in, so a token is something that may be
    // shown here and need not be.
    let mut asked = document(&server);
    for item in asked["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            let security = operation["security"].as_array_mut().unwrap();
            if security[0] != json!({}) {
                security.push(json!({}));
            }
        }
    }
    let file = ledger.file("openapi.json", asked.to_string());
    let serving = fs::read(ledger.dir.join("serve.json")).unwrap();
    let serving: Value = serde_json::from_slice(&serving).unwrap();
    let token = format!("Authorization: Bearer {}", serving["token"].as_str().unwrap());
    run.args(["run", &file, "--url", &server.url, "--checks", "all", "--no-color"]);
    run.args(["--header", &token]);
    run.current_dir(ledger.temp.path());
    let ran = Ran::of(run.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("Stateful"), "{}", ran.out);
    let end: Vec<_> = ran.out.lines().rev().take(25).collect();
    eprintln!("{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
    ledger.verifies();
}
