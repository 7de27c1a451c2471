//! Posts to a receiver, and to nobody else: no redirects, no proxies, and only to an address that
//! was checked. The one file that names this HTTP client.

use std::{
    error::Error,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use reqwest::{
    Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::address::{Refused, Rules};
use crate::wire::Body;

/// How long a connection may take to come about, its handshake included.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a receiver may take to answer in all. The standard asks for 15 to 30 s.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Bytes of an answer that are read, and thrown away, so that the connection can be used again.
const ANSWER_SIZE_MAX: usize = 16 * 1024;

/// How long the rest of an answer is waited for once its status is known.
const REST_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a connection is kept for the next event.
const IDLE_MAX: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("rollout-ledger/", env!("CARGO_PKG_VERSION"));

/// One message, signed.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    /// Unix seconds of this attempt.
    pub timestamp: u64,
    pub signature: String,
    pub body: Body,
}

/// What the receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// What it asks for with `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer. It names no address: the record shows the URL already.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("no answer within {} s", ANSWER_WAIT_MAX.as_secs())]
    Late,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the connection broke: {0}")]
    Broke(String),
    #[error("no TLS here: {0}")]
    Tls(String),
}

/// Sends messages under one set of rules.
#[derive(Clone)]
pub struct Client {
    rules: Rules,
    /// An error is told with each delivery: a machine without certificates still serves.
    http: Result<reqwest::Client, String>,
}

/// The addresses that a name has.
type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

impl Client {
    pub fn new(rules: Rules) -> Client {
        Client::with_lookup(rules, Arc::new(|host| Box::pin(system_lookup(host))))
    }

    fn with_lookup(rules: Rules, lookup: Lookup) -> Client {
        // The second one in a process is a test's, and the first stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let guard = Guard { rules: rules.clone(), lookup };
        let built = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Trying again is the schedule's business.
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_WAIT_MAX)
            .timeout(ANSWER_WAIT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(1)
            .dns_resolver(Arc::new(guard))
            .build();
        Client { rules, http: built.map_err(|e| root(&e)) }
    }

    /// Sends one message and waits for the status of the answer.
    pub async fn post(&self, url: &str, message: Message) -> Result<Answer, NoAnswer> {
        // A host that is written as an address is never looked up, so it is checked here.
        let url = self.rules.url(url)?;
        let http = self.http.as_ref().map_err(|e| NoAnswer::Tls(e.clone()))?;
        let sent = http
            .post(url)
            .header("content-type", message.body.kind)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body.text)
            .send()
            .await;
        let response = sent.map_err(|e| no_answer(&e))?;
        let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: asked.and_then(|text| retry_after(text, crate::clock::now())),
        };
        // The status is what counts; a body that never ends costs a connection and no more.
        let _ = tokio::time::timeout(REST_WAIT_MAX, drain(response)).await;
        Ok(answer)
    }
}

async fn drain(response: Response) {
    let mut body = response.bytes_stream();
    let mut size = 0;
    while let Some(Ok(part)) = body.next().await {
        size += part.len();
        if size > ANSWER_SIZE_MAX {
            return;
        }
    }
}

/// Seconds, or a date of HTTP.
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// Looks names up and lets no address through that the rules refuse. The client connects to what
/// this returns, so a name cannot be pointed elsewhere between the check and the connection.
struct Guard {
    rules: Rules,
    lookup: Lookup,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, rules) = (name.as_str().to_owned(), self.rules.clone());
        let found = (self.lookup)(host.clone());
        Box::pin(async move {
            let found = found.await?;
            // One bad address spoils the name: which one is connected to is not ours to choose.
            found.iter().try_for_each(|ip| rules.address(&host, *ip))?;
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

async fn system_lookup(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

/// What went wrong, without the URL, which may hold a key of the receiver's.
fn no_answer(e: &reqwest::Error) -> NoAnswer {
    let mut cause: Option<&(dyn Error + 'static)> = e.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return NoAnswer::Refused(*refused);
        }
        cause = error.source();
    }
    match () {
        () if e.is_timeout() => NoAnswer::Late,
        () if e.is_connect() => NoAnswer::Connect(root(e)),
        () => NoAnswer::Broke(root(e)),
    }
}

/// The innermost cause, which is about the system and not about the request.
fn root(e: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = e.source();
    let mut said = "unknown".to_owned();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests;
