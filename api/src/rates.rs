//! How often somebody may ask: a limit for each token, one for whoever needs none, and one for
//! failed attempts from one address. Every map is bounded.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
};

use crate::tokens::{Rate, TOKENS_LEN_MAX};

/// Failed attempts from one address: ten at once, then one in six seconds. A secret of 256 bits is
/// not found by trying; this keeps a client with an old token from filling the log.
const FAILURES_BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long until another failed attempt is answered as such.
const FAILURE_PERIOD: Duration = Duration::from_secs(6);

/// Addresses whose failures are counted apart. Past it all others share one count.
const ADDRESSES_LEN_MAX: usize = 10_000;

/// How long to wait before asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

/// The limits of one server.
#[derive(Debug)]
pub struct Rates {
    /// Of tokens that name none.
    default: Rate,
    tokens: Mutex<HashMap<String, Limited>>,
    /// Of commands on this machine and, while there are no tokens, of loopback.
    tokenless: Option<DefaultDirectRateLimiter>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
}

/// A token's limit as it was when the token was last seen.
#[derive(Debug)]
struct Limited {
    rate: Rate,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Rates {
    pub fn new(default: Rate, tokenless: Option<Rate>) -> Rates {
        let failures = Quota::with_period(FAILURE_PERIOD).expect("six seconds are some time");
        Rates {
            default,
            tokens: Mutex::default(),
            tokenless: tokenless.map(limiter),
            failures: RateLimiter::keyed(failures.allow_burst(FAILURES_BURST)),
        }
    }

    /// Counts a request of a token.
    pub fn token(&self, id: &str, own: Option<Rate>) -> Result<(), Wait> {
        let rate = own.unwrap_or(self.default);
        let limiter = {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            // Tokens that are gone from the file leave theirs here; beginning anew is harmless.
            if tokens.len() > TOKENS_LEN_MAX {
                tokens.clear();
            }
            let known = tokens.get(id).filter(|limited| limited.rate == rate);
            let known = known.map(|limited| limited.limiter.clone());
            known.unwrap_or_else(|| {
                let limiter = Arc::new(limiter(rate));
                tokens.insert(id.to_owned(), Limited { rate, limiter: limiter.clone() });
                limiter
            })
        };
        count(&limiter)
    }

    /// Counts a request of somebody who needs no token.
    pub fn tokenless(&self) -> Result<(), Wait> {
        self.tokenless.as_ref().map_or(Ok(()), count)
    }

    /// Counts a failed attempt. A right token is never refused for the failures of others.
    pub fn failed(&self, from: IpAddr) -> Result<(), Wait> {
        if self.failures.len() >= ADDRESSES_LEN_MAX {
            self.failures.retain_recent();
        }
        let full = self.failures.len() >= ADDRESSES_LEN_MAX;
        let key = if full { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { network(from) };
        self.failures
            .check_key(&key)
            .map_err(|not_until| Wait(not_until.wait_time_from(MonotonicClock.now())))
    }
}

fn limiter(rate: Rate) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst))
}

fn count(limiter: &DefaultDirectRateLimiter) -> Result<(), Wait> {
    limiter.check().map_err(|not_until| Wait(not_until.wait_time_from(MonotonicClock.now())))
}

/// Whoever has an address of the sixth version has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let number = |n| NonZeroU32::new(n).unwrap();
        Rate { per_second: number(per_second), burst: number(burst) }
    }

    #[test]
    fn each_token_has_its_own_burst_and_is_told_how_long_to_wait() {
        let rates = Rates::new(rate(1, 2), None);
        for id in ["a", "b"] {
            assert_eq!(rates.token(id, None), Ok(()));
            assert_eq!(rates.token(id, None), Ok(()));
            let Wait(wait) = rates.token(id, None).unwrap_err();
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        }
        assert_eq!(rates.token("c", Some(rate(1, 1))), Ok(()));
        assert!(rates.token("c", Some(rate(1, 1))).is_err());
        // Another limit than before begins anew.
        assert_eq!(rates.token("c", Some(rate(1, 5))), Ok(()));
    }

    #[test]
    fn whoever_needs_no_token_is_limited_only_if_that_is_set() {
        let free = Rates::new(rate(1, 1), None);
        assert!((0..100).all(|_| free.tokenless().is_ok()));
        let bound = Rates::new(rate(1, 1), Some(rate(1, 3)));
        assert_eq!((0..10).filter(|_| bound.tokenless().is_ok()).count(), 3);
    }

    #[test]
    fn failures_are_counted_by_address_in_bounded_memory() {
        let rates = Rates::new(rate(1, 1), None);
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!((0..50).filter(|_| rates.failed(address(7)).is_ok()).count(), 10);
        assert_eq!(rates.failed(address(8)), Ok(()));
        for n in 0..20_000 {
            let _ = rates.failed(address(n));
        }
        assert!(rates.failures.len() <= ADDRESSES_LEN_MAX + 1, "{}", rates.failures.len());
        let v6 = |text: &str| network(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_eq!(v6("::ffff:10.0.0.1"), v6("10.0.0.1"));
    }
}
