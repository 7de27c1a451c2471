//! Who may connect to a server: its addresses, its limits, and what the start says of them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::http::{HeaderValue, Uri};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    config::{Switch, door::Door},
    exit::{Code, fail},
    home::Home,
    http::{
        self, App,
        gate::Gate,
        perimeter::{self, Takes},
    },
    listener::{Listening, Room, Rules},
    rates::Rates,
    tokens::{
        Rate,
        live::{Count, Tokens},
    },
};

/// Descriptors that are kept for the log, the views and webhooks. A log that cannot open its next
/// segment stops recording, so connections never take the last ones.
pub(crate) const FILES_KEPT: usize = 256;

/// The longest address that other servers are told, in bytes: they believe no longer one.
const ADVERTISED_LEN_MAX: usize = 256;

/// The addresses of a server and who may come in.
pub struct Doors {
    main: TcpListener,
    read_only: Option<TcpListener>,
    tokens: Arc<Tokens>,
    origins: Vec<HeaderValue>,
    settings: Door,
}

impl Doors {
    /// Listens, and says who may connect.
    ///
    /// # Errors
    /// When an address cannot be listened on, or is not of this machine only while no token works
    /// (exit 7).
    pub async fn open(home: &Home, listen: &str, settings: Door) -> anyhow::Result<Doors> {
        let tokens = Arc::new(Tokens::open(home)?);
        let origins = perimeter::origins(&settings.cors_origins)?;
        let count = tokens.count(clock::now().as_microsecond());
        let main = address("--listen", listen, count)?;
        let read_only = settings.listen_read_only.as_deref();
        let read_only =
            read_only.map(|text| address("--listen-read-only", text, count)).transpose()?;
        let main = bind(main).await?;
        let read_only = match read_only {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Doors { main, read_only, tokens, origins, settings })
    }

    /// Where commands on this machine reach the server.
    pub fn url(&self) -> anyhow::Result<String> {
        let mut address = self.main.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(format!("http://{address}"))
    }

    /// Where other servers reach this one, and whether it stands by to become the writer.
    ///
    /// # Errors
    /// When nobody else could reach it there (exit 2).
    pub(super) fn advertised(&self) -> anyhow::Result<(String, bool)> {
        let stands_by = self.settings.standby == Switch::On;
        if let Some(url) = &self.settings.advertise {
            return Ok((checked_url(url)?, stands_by));
        }
        let address = self.main.local_addr()?;
        if address.ip().is_unspecified() {
            let what = "other servers cannot reach this one at the address that it listens on; say \
                        where they can, such as --advertise http://ledger-1.example:8080";
            return Err(fail(Code::Usage, what));
        }
        Ok((format!("http://{address}"), stands_by))
    }

    /// The lines that scripts wait for.
    pub fn lines(&self) -> anyhow::Result<String> {
        let main = format!("listening on http://{}\n", self.main.local_addr()?);
        let Some(read_only) = &self.read_only else { return Ok(main) };
        Ok(format!("{main}listening read-only on http://{}\n", read_only.local_addr()?))
    }

    /// What knows who may come in, and says so. `local` is the token of `serve.json`; `made` says
    /// whether the ledger holds that a token was ever made, whatever became of their file.
    pub fn gate(&self, local: Arc<str>, made: bool) -> Arc<Gate> {
        if made {
            self.tokens.were_made();
        }
        who_may_connect(self.tokens.count(clock::now().as_microsecond()));
        let Door { rate, burst, tokenless_rate, .. } = self.settings;
        let tokenless = tokenless_rate.map(|rate| Rate { per_second: rate, burst: rate });
        let rates = Rates::new(Rate { per_second: rate, burst }, tokenless);
        Arc::new(Gate::new(self.tokens.clone(), rates, local, self.origins.clone()))
    }

    /// What answers where, and how connections are served.
    pub fn finish(
        self,
        app: &App,
        stopping: CancellationToken,
    ) -> anyhow::Result<(Vec<Listening>, Rules)> {
        let service = http::router(app.clone(), Takes::Everything)?;
        let mut listening = vec![Listening { listener: self.main, service }];
        if let Some(listener) = self.read_only {
            let service = http::router(app.clone(), Takes::ReadsOnly)?;
            listening.push(Listening { listener, service });
        }
        let len_max = connections_max(self.settings.max_connections.get());
        let of_one = self.settings.max_connections_per_address.map(Into::into);
        let rules = Rules {
            room: Room::new(len_max, of_one),
            idle: Duration::from_secs(self.settings.idle_timeout.get()),
            stopping,
            cut: CancellationToken::new(),
        };
        Ok((listening, rules))
    }
}

/// The address that other servers are told, without a slash at its end.
fn checked_url(text: &str) -> anyhow::Result<String> {
    let refuse = |why: &str| Err(fail(Code::Usage, format!("--advertise {why}")));
    let wanted =
        "wants http:// or https://, a host and a port, such as http://ledger-1.example:8080";
    let Ok(url) = text.parse::<Uri>() else { return refuse(wanted) };
    let scheme = url.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    let (Some(scheme), Some(authority)) = (scheme, url.authority()) else { return refuse(wanted) };
    let bare = ["", "/"].contains(&url.path()) && url.query().is_none();
    if !bare || authority.as_str().contains('@') || text.len() > ADVERTISED_LEN_MAX {
        return refuse(wanted);
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
        return refuse("names an address that nobody else can reach; name a host that they can");
    }
    Ok(format!("{scheme}://{authority}"))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen"))
}

/// The address to listen on.
fn address(option: &str, text: &str, count: Count) -> anyhow::Result<SocketAddr> {
    let unusable =
        || fail(Code::Usage, format!("{option} wants ADDRESS:PORT such as 127.0.0.1:8080"));
    let address = text.to_socket_addrs().map_err(|_| unusable())?.next().ok_or_else(unusable)?;
    if address.ip().is_loopback() || count.live > 0 {
        return Ok(address);
    }
    let why = if count.ever {
        "no access token works any more, so only loopback may be listened on, such as \
         127.0.0.1:8080; `rollout-ledger token create` makes another"
    } else {
        "without access tokens only loopback may be listened on, such as 127.0.0.1:8080; \
         `rollout-ledger token create` makes one"
    };
    Err(fail(Code::Policy, why))
}

fn who_may_connect(count: Count) {
    match count {
        Count { ever: false, .. } => tracing::warn!(
            "no access token was ever made: whoever is on this machine may read and record, and \
             nobody else may connect; `rollout-ledger token create` changes that"
        ),
        Count { live: 0, .. } => tracing::warn!(
            "no access token works any more: nobody but commands that can read serve.json may read \
             or record until `rollout-ledger token create` makes another"
        ),
        Count { live, .. } => tracing::info!(
            tokens = live,
            "whoever connects needs an access token; commands that can read serve.json need none. \
             Nothing is encrypted: beyond this machine put a proxy with TLS in front"
        ),
    }
}

/// As many connections as the settings allow and the system's limit of open files leaves.
fn connections_max(wanted: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(files) = open_files(&limits) else { return wanted };
    let room = files.saturating_sub(FILES_KEPT).max(1);
    if room < wanted {
        tracing::warn!(
            files,
            connections = room,
            "fewer connections at once than --max-connections, as this process may not open more \
             files; raise the limit (`ulimit -n`, LimitNOFILE=)"
        );
    }
    room.min(wanted)
}

/// The soft limit of open files, as Linux tells it.
pub(crate) fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             96000                96000                processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(open_files("Max open files            unlimited   unlimited   files"), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn an_address_that_is_told_is_one_that_others_can_reach() {
        for (text, told) in [
            ("http://ledger-1.example:8080", "http://ledger-1.example:8080"),
            ("https://ledger-1.example/", "https://ledger-1.example"),
            ("http://[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(checked_url(text).unwrap(), told);
        }
        let long = format!("http://{}.example", "a".repeat(ADVERTISED_LEN_MAX));
        for text in [
            "ledger-1.example:8080",
            "ftp://a.example",
            "http://",
            "http://u:p@a.example",
            "http://a.example/path",
            "http://a.example?x=1",
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            &long,
        ] {
            let e = checked_url(text).unwrap_err();
            let failure = e.downcast_ref::<crate::exit::Failure>().expect(text);
            assert_eq!(failure.code, Code::Usage, "{text}");
        }
    }

    #[test]
    fn other_addresses_want_a_token_that_works() {
        let count = |live, ever| Count { live, ever };
        let code = |text, count| {
            let e = address("--listen", text, count).unwrap_err();
            e.downcast_ref::<crate::exit::Failure>().map(|failure| failure.code)
        };
        assert!(address("--listen", "127.0.0.1:0", count(0, false)).is_ok());
        assert!(address("--listen", "[::1]:0", count(0, true)).is_ok());
        assert!(address("--listen", "0.0.0.0:0", count(1, true)).is_ok());
        assert_eq!(code("0.0.0.0:0", count(0, false)), Some(Code::Policy));
        assert_eq!(code("[::]:0", count(0, true)), Some(Code::Policy));
        assert_eq!(code("nonsense", count(1, true)), Some(Code::Usage));
    }
}
