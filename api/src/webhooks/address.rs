//! Where a webhook may be sent: never into the network that the service itself stands in.
//!
//! Whoever may add an endpoint could otherwise have the service call what only it can reach: a
//! cloud's metadata, a database, itself. So an address is checked as it is connected to, behind the
//! last lookup of its name, and not when the endpoint was added: a name may point elsewhere by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// The longest URL that is kept, in bytes.
pub const URL_LEN_MAX: usize = 2_048;

/// What the operator allows.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// This machine itself may be called, without TLS too.
    pub loopback: bool,
    /// Only these hosts and those below them; any if empty.
    pub hosts: Vec<String>,
}

/// Why nothing is sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the URL of a webhook is https://HOST/PATH, of at most {URL_LEN_MAX} characters")]
    Form,
    #[error("a URL with a user or a password is not taken; the signature says who sends")]
    Credentials,
    #[error("a webhook is sent over https; only loopback may do without, if the server allows it")]
    Plain,
    #[error("webhooks to loopback are off; `serve --webhook-loopback` allows them on this machine")]
    Loopback,
    #[error("the host has an address of a private, link-local or reserved network")]
    Private,
    #[error("the host is not one that `serve --webhook-host` allows")]
    Host,
}

impl Rules {
    /// Reads a URL and checks what can be known without a lookup.
    pub fn url(&self, text: &str) -> Result<Url, Refused> {
        let url = Url::parse(text).map_err(|_| Refused::Form)?;
        let host = url.host_str().ok_or(Refused::Form)?;
        if text.len() > URL_LEN_MAX || url.fragment().is_some() {
            return Err(Refused::Form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let literal = literal(host);
        let local = literal.map_or_else(|| is_localhost(host), |ip| plain(ip).is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => return Err(Refused::Plain),
            _ => return Err(Refused::Form),
        }
        if local && !self.loopback {
            return Err(Refused::Loopback);
        }
        if let Some(ip) = literal {
            self.address(host, ip)?;
        }
        let below = |name: &String| {
            host == name || host.strip_suffix(name.as_str()).is_some_and(|h| h.ends_with('.'))
        };
        if !self.hosts.is_empty() && !self.hosts.iter().any(below) {
            return Err(Refused::Host);
        }
        Ok(url)
    }

    /// Whether a host may be connected to at this address of it.
    pub fn address(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let ip = plain(address);
        if ip.is_loopback() {
            return if self.loopback { Ok(()) } else { Err(Refused::Loopback) };
        }
        let public = match ip {
            IpAddr::V4(v4) => is_public_v4(v4),
            IpAddr::V6(v6) => is_public_v6(v6),
        };
        // Such a name goes without TLS, so it must not leave the machine.
        if public && !is_localhost(host) { Ok(()) } else { Err(Refused::Private) }
    }
}

/// The address that a host is written as, if it is no name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

/// The address that is reached: IPv4 in its clothes of IPv6 (mapped, compatible, translated by
/// NAT64) is IPv4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [before @ .., high, low] = v6.segments();
    let embeds = matches!(before, [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]);
    if !embeds || v6.is_loopback() {
        return address;
    }
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// IANA's registry of special-purpose IPv4 addresses (RFC 6890) lists what is none.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    !matches!(
        ip.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Only `2000::/3` is handed out, and of that not what the registry keeps: protocols and tunnels
/// (`2001::/23`, so Teredo; `2002::/16`, 6to4) and documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let kept =
        a == 0x2001 && (b < 0x200 || b == 0xdb8) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    (0x2000..0x4000).contains(&a) && !kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Rules = Rules { loopback: true, hosts: Vec::new() };
    const SHUT: Rules = Rules { loopback: false, hosts: Vec::new() };

    #[test]
    fn only_public_addresses_are_connected_to() {
        let refused = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.9.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
        ];
        for text in refused {
            let ip = text.parse().unwrap();
            let why = SHUT.address("hooks.example", ip).expect_err(text);
            let local = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"];
            let expected = if local.contains(&text) { Refused::Loopback } else { Refused::Private };
            assert_eq!(why, expected, "{text}");
            // What the setting opens is loopback alone.
            assert_eq!(OPEN.address("hooks.example", ip).is_ok(), local.contains(&text), "{text}");
        }
        let public = [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ];
        for text in public {
            assert_eq!(SHUT.address("hooks.example", text.parse().unwrap()), Ok(()), "{text}");
        }
        // A name that goes without TLS stays on the machine.
        let away = "1.1.1.1".parse().unwrap();
        assert_eq!(OPEN.address("localhost", away), Err(Refused::Private));
    }

    #[test]
    fn a_url_is_read_as_it_will_be_connected_to() {
        let shut = [
            ("https://hooks.example/in?a=b", Ok(())),
            ("https://1.1.1.1/", Ok(())),
            ("http://hooks.example/", Err(Refused::Plain)),
            ("ftp://hooks.example/", Err(Refused::Form)),
            ("hooks.example", Err(Refused::Form)),
            ("https://hooks.example/#part", Err(Refused::Form)),
            ("https://user:word@hooks.example/", Err(Refused::Credentials)),
            ("https://127.0.0.1/", Err(Refused::Loopback)),
            ("http://localhost:80/", Err(Refused::Loopback)),
            ("https://2130706433/", Err(Refused::Loopback)),
            ("https://0x7f.1/", Err(Refused::Loopback)),
            ("https://0177.0.0.1/", Err(Refused::Loopback)),
            ("https://[::ffff:7f00:1]/", Err(Refused::Loopback)),
            ("https://169.254.169.254/latest/", Err(Refused::Private)),
            ("https://[fd00::1]/", Err(Refused::Private)),
            ("http://10.0.0.1/", Err(Refused::Plain)),
        ];
        for (text, expected) in shut {
            assert_eq!(SHUT.url(text).map(drop), expected, "{text}");
        }
        for text in
            ["http://127.0.0.1:9/", "http://[::1]:9/", "http://localhost/", "https://a.localhost/"]
        {
            assert!(OPEN.url(text).is_ok(), "{text}");
        }
        assert_eq!(OPEN.url("http://localhost.evil.example/"), Err(Refused::Plain));
        let long = format!("https://hooks.example/{}", "x".repeat(URL_LEN_MAX));
        assert_eq!(SHUT.url(&long), Err(Refused::Form));
    }

    #[test]
    fn hosts_can_be_narrowed() {
        let rules = Rules { loopback: false, hosts: vec!["hooks.example".to_owned()] };
        assert!(rules.url("https://hooks.example/").is_ok());
        assert!(rules.url("https://a.hooks.example/").is_ok());
        assert_eq!(rules.url("https://evilhooks.example/"), Err(Refused::Host));
        assert_eq!(rules.url("https://hooks.example.evil/"), Err(Refused::Host));
    }
}
