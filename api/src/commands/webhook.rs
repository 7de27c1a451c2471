//! `webhook add|list|show|deliveries|test|pause|resume|replay|rotate|remove`: through the server that
//! holds the directory, or on what is stored when there is none.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    clock::wall_us,
    config::{Webhook, WebhookRules},
    context::Context,
    exit::{Code, fail},
    json::{set, text},
    output::{self, Rows},
    remote::Remote,
    webhooks::{
        self, Change, Wish,
        endpoint::{self, Endpoint},
        has_room, no_such,
        record::Delivery,
        store::{Lock, Store},
    },
};

pub(super) fn run(context: &Context, command: Webhook) -> anyhow::Result<()> {
    let home = context.home()?;
    let desk = if let Some(remote) = Remote::of(&home)? {
        Desk::Server(remote)
    } else {
        let store = Store::of(&home);
        let (newest, _) = context.history()?.as_of();
        let head = newest.map_or(0, |seq| seq + 1);
        // Who only looks leaves no file behind, not even a lock's.
        let looks =
            matches!(command, Webhook::List | Webhook::Show { .. } | Webhook::Deliveries { .. });
        let lock = if looks { None } else { Some(store.lock()?) };
        Desk::Alone { head, lock, store }
    };
    match command {
        Webhook::Add { url, filter, from, thin, rules } => {
            let wish = Wish { url, filter: endpoint::conditions(&filter), from, thin };
            print_secret(context, &desk.add(wish, &rules)?)
        }
        Webhook::List => print_all(context, desk.list()?),
        Webhook::Show { id } => print_one(context, &desk.show(&id)?),
        Webhook::Deliveries { id } => print_deliveries(context, desk.deliveries(&id)?),
        Webhook::Test { id, rules } => print_test(context, &desk.test(&id, &rules)?),
        Webhook::Pause { id } => print_one(context, &desk.change(&id, Change::Pause)?),
        Webhook::Resume { id } => print_one(context, &desk.change(&id, Change::Resume)?),
        Webhook::Replay { id, from } => {
            print_one(context, &desk.change(&id, Change::Replay { from })?)
        }
        Webhook::Rotate { id, overlap } => {
            print_secret(context, &desk.change(&id, Change::Rotate { overlap })?)
        }
        Webhook::Remove { id } => {
            desk.remove(&id)?;
            Ok(output::say("it is removed; its receiver gets nothing more")?)
        }
    }
}

/// Where changes are made.
enum Desk {
    Server(Remote),
    Alone {
        store: Store,
        #[expect(dead_code, reason = "held until the command ends")]
        lock: Option<Lock>,
        /// Entries in the log.
        head: u64,
    },
}

impl Desk {
    fn add(&self, wish: Wish, rules: &WebhookRules) -> anyhow::Result<Value> {
        match self {
            // The server's rules count, not those of this command.
            Desk::Server(remote) => data(remote.post(PATH, &json!(wish), "cli")?),
            Desk::Alone { store, head, .. } => {
                has_room(store.load()?.len())?;
                let endpoint = wish.grant(&rules.rules(), *head, wall_us())?;
                store.add(&endpoint)?;
                Ok(self.secretly(&endpoint))
            }
        }
    }

    fn list(&self) -> anyhow::Result<Vec<Value>> {
        match self {
            Desk::Server(remote) => rows(remote.get(PATH)?),
            Desk::Alone { store, .. } => Ok(store.load()?.iter().map(|e| self.shown(e)).collect()),
        }
    }

    fn show(&self, id: &str) -> anyhow::Result<Value> {
        match self {
            Desk::Server(remote) => data(remote.get(&path(id, "")?)?),
            Desk::Alone { store, .. } => Ok(self.shown(&find(store, id)?)),
        }
    }

    fn deliveries(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        match self {
            Desk::Server(remote) => rows(remote.get(&path(id, "/deliveries")?)?),
            Desk::Alone { store, .. } => {
                Ok(find(store, id)?.deliveries.newest().map(Delivery::shown).collect())
            }
        }
    }

    fn change(&self, id: &str, change: Change) -> anyhow::Result<Value> {
        match self {
            Desk::Server(remote) => {
                let (what, body) = match change {
                    Change::Pause => ("/pause", json!({})),
                    Change::Resume => ("/resume", json!({})),
                    Change::Replay { from } => ("/replay", json!({ "from": from })),
                    Change::Rotate { overlap } => {
                        ("/rotate", json!({ "overlap_seconds": seconds(overlap) }))
                    }
                };
                data(remote.post(&path(id, what)?, &body, "cli")?)
            }
            Desk::Alone { store, .. } => {
                let mut endpoint = find(store, id)?;
                change.apply(&mut endpoint, store, wall_us())?;
                let rotates = matches!(change, Change::Rotate { .. });
                Ok(if rotates { self.secretly(&endpoint) } else { self.shown(&endpoint) })
            }
        }
    }

    fn test(&self, id: &str, rules: &WebhookRules) -> anyhow::Result<Value> {
        match self {
            Desk::Server(remote) => data(remote.post(&path(id, "/test")?, &json!({}), "cli")?),
            Desk::Alone { store, .. } => {
                let mut endpoint = find(store, id)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let rules = rules.rules();
                let tested = runtime.block_on(webhooks::test_alone(&rules, &mut endpoint));
                store.save_progress(&endpoint)?;
                Ok(tested)
            }
        }
    }

    fn remove(&self, id: &str) -> anyhow::Result<()> {
        match self {
            Desk::Server(remote) => remote.delete(&path(id, "")?),
            Desk::Alone { store, .. } => store.remove(&find(store, id)?),
        }
    }

    fn shown(&self, endpoint: &Endpoint) -> Value {
        let head = if let Desk::Alone { head, .. } = self { *head } else { 0 };
        endpoint.shown(head, wall_us())
    }

    fn secretly(&self, endpoint: &Endpoint) -> Value {
        let mut shown = self.shown(endpoint);
        set(&mut shown, "secret", endpoint.terms.newest_secret());
        shown
    }
}

const PATH: &str = "/api/v1/webhooks";

/// An id that could be another path is none.
fn path(id: &str, below: &str) -> anyhow::Result<String> {
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if plain && !id.is_empty() { Ok(format!("{PATH}/{id}{below}")) } else { Err(no_such()) }
}

fn find(store: &Store, id: &str) -> anyhow::Result<Endpoint> {
    store.load()?.into_iter().find(|endpoint| endpoint.terms.id == id).ok_or_else(no_such)
}

fn data(mut body: Value) -> anyhow::Result<Value> {
    let data = body.get_mut("data").map(Value::take);
    data.ok_or_else(|| fail(Code::Failure, "the server's answer has no data"))
}

fn rows(body: Value) -> anyhow::Result<Vec<Value>> {
    match data(body)? {
        Value::Array(rows) => Ok(rows),
        _ => Err(fail(Code::Failure, "the server's answer is no list")),
    }
}

/// Whole seconds, as the server counts an overlap; a part of one is rounded up.
fn seconds(overlap: Duration) -> u64 {
    overlap.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

fn print_all(context: &Context, all: Vec<Value>) -> anyhow::Result<()> {
    let columns = ["id", "state", "next_seq", "behind", "failures", "next_attempt_at", "url"];
    let mut rows = Rows::new(&columns);
    for webhook in all {
        rows.push(columns.map(|name| cell(&webhook, name)).to_vec(), &webhook);
    }
    Ok(rows.print(context.format, "there are no webhooks; `webhook add URL` adds one")?)
}

fn print_deliveries(context: &Context, sent: Vec<Value>) -> anyhow::Result<()> {
    let columns = ["sent_at", "webhook_id", "attempt", "status", "took_ms", "error"];
    let mut rows = Rows::new(&columns);
    for delivery in sent {
        rows.push(columns.map(|name| cell(&delivery, name)).to_vec(), &delivery);
    }
    Ok(rows.print(context.format, "nothing was sent yet")?)
}

fn print_one(context: &Context, webhook: &Value) -> anyhow::Result<()> {
    output::object(context.format, webhook, || {
        let line = |name: &str| format!("{name}: {}", cell(webhook, name));
        ["id", "url", "state", "next_seq", "behind", "failures"].map(line).join("\n")
    })
}

fn print_secret(context: &Context, webhook: &Value) -> anyhow::Result<()> {
    output::object(context.format, webhook, || {
        let secret = text(webhook, "/secret").unwrap_or_default();
        format!("id: {}\nsecret: {secret}", cell(webhook, "id"))
    })?;
    Ok(output::say("give the secret to the receiver now: it is not shown again")?)
}

/// # Errors
/// When the receiver did not answer with 2xx.
fn print_test(context: &Context, tested: &Value) -> anyhow::Result<()> {
    output::object(context.format, tested, || {
        let line = |name: &str| format!("{name}: {}", cell(tested, name));
        ["webhook_id", "status", "took_ms", "error"].map(line).join("\n")
    })?;
    if tested.get("delivered") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    Err(fail(Code::Failure, "the receiver did not take the test"))
}

fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => output::ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
