//! What the service counts of itself: one registry, and its text in OpenMetrics 1.0.
//!
//! Names, units and what to alarm on stand in `docs/METRICS.md`. A label is only ever a value of a
//! set that the code bounds: never anything that a client sent.

mod buckets;
mod commits;

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use commits::{Committed, Committing};

use crate::station::{Role, Standing};

/// What every name begins with.
const PREFIX: &str = "rollout_ledger";

/// A gauge of seconds or of a moment, both with fractions.
type Fraction = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The one registry of a server. It is shared behind an `Arc`.
pub struct Metrics {
    registry: Registry,
    append: Histogram,
    queue: Gauge,
    head: Gauge,
    lag_entries: Gauge,
    lag: Fraction,
    subscribers: Gauge,
    subscribers_cut_off: Counter,
    deliveries: Family<Outcome, Counter>,
    refusals: Family<Rule, Counter>,
    rate_limited: Counter,
    requests: Family<Answered, Histogram, fn() -> Histogram>,
    commit: Histogram,
    commit_events: Histogram,
    events: Counter,
    checkpoints: Family<Kind, Counter>,
    verified_at: Fraction,
    verified_ok: Gauge,
    verified_entries: Gauge,
    disk_free: Gauge,
    min_free: Gauge,
    announcements_refused: Counter,
    role: Family<InRole, Gauge>,
    lag_records: Gauge,
    silence: Fraction,
    writer_known: Gauge,
}

/// What is read from the service at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Submissions that wait for the writer.
    pub queue: usize,
    /// The newest durable entry.
    pub head: Option<u64>,
    /// Entries that are durable and not in the views.
    pub lag_entries: u64,
    /// How long the oldest of these has been durable.
    pub lag: Duration,
    /// Free bytes on the log's disk, where it tells.
    pub disk_free: Option<u64>,
    /// Below so many nothing is recorded.
    pub min_free: u64,
    /// What the server is among others of its ledger.
    pub standing: Option<Standing>,
}

/// One answered request, in bounded words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: &'static str,
}

/// Why a request was refused: a problem's code, and the rule of the guard if it was the guard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    code: &'static str,
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InRole {
    role: &'static str,
}

/// How a try to deliver a webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The endpoint answered with success.
    Delivered,
    /// It did not, and is tried again later.
    Retried,
    /// The last try of the schedule failed.
    GivenUp,
    /// The endpoint said that it is gone, and is disabled.
    Gone,
    /// The address may not be reached from here.
    Blocked,
}

impl Delivery {
    const ALL: [Delivery; 5] = [
        Delivery::Delivered,
        Delivery::Retried,
        Delivery::GivenUp,
        Delivery::Gone,
        Delivery::Blocked,
    ];

    fn name(self) -> &'static str {
        match self {
            Delivery::Delivered => "delivered",
            Delivery::Retried => "retried",
            Delivery::GivenUp => "given_up",
            Delivery::Gone => "gone",
            Delivery::Blocked => "blocked",
        }
    }
}

/// Counts a subscriber for as long as it is held.
#[derive(Debug)]
pub struct Subscriber(Gauge);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A registry in which everything is there from the first scrape on, at 0. `now_us` is when the
    /// server started, in Unix microseconds.
    pub fn new(version: &'static str, now_us: u64) -> Metrics {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("build", "The version that runs", Info::new([("version", version)]));
        let started = Fraction::default();
        started.set(seconds_since_1970(now_us));
        let help = "When the server started, since 1970";
        registry.register_with_unit("start_time", help, Unit::Seconds, started);
        let mut metrics = Metrics {
            registry,
            append: buckets::seconds(),
            queue: Gauge::default(),
            head: Gauge::default(),
            lag_entries: Gauge::default(),
            lag: Fraction::default(),
            subscribers: Gauge::default(),
            subscribers_cut_off: Counter::default(),
            deliveries: Family::default(),
            refusals: Family::default(),
            rate_limited: Counter::default(),
            requests: Family::new_with_constructor(buckets::seconds),
            commit: buckets::seconds(),
            commit_events: buckets::events(),
            events: Counter::default(),
            checkpoints: Family::default(),
            verified_at: Fraction::default(),
            verified_ok: Gauge::default(),
            verified_entries: Gauge::default(),
            disk_free: Gauge::default(),
            min_free: Gauge::default(),
            announcements_refused: Counter::default(),
            role: Family::default(),
            lag_records: Gauge::default(),
            silence: Fraction::default(),
            writer_known: Gauge::default(),
        };
        for outcome in Delivery::ALL {
            metrics.delivered_so(outcome, 0);
        }
        for kind in commits::CHECKPOINTS {
            metrics.checkpoints.get_or_create(&Kind { kind: kind.name }).inc_by(0);
        }
        metrics.head.set(-1);
        metrics.name_recording();
        metrics.name_reading();
        metrics.name_standing();
        metrics
    }

    fn name_recording(&mut self) {
        let r = &mut self.registry;
        let help = "From receipt of a request's head until its events are durable";
        r.register_with_unit("append", help, Unit::Seconds, self.append.clone());
        r.register("intake_queue", "Submissions that wait for the writer", self.queue.clone());
        let help = "The newest durable entry; -1 in an empty ledger";
        r.register("head_seq", help, self.head.clone());
        let help = "One commit of the writer, with its sync";
        r.register_with_unit("commit", help, Unit::Seconds, self.commit.clone());
        r.register("commit_events", "New events in a commit", self.commit_events.clone());
        r.register("events", "New events since the start", self.events.clone());
        let help = "New entries about KPI snapshots, by kind";
        r.register("checkpoint_events", help, self.checkpoints.clone());
        let help = "Requests answered with a problem, by its code and the guard's rule";
        r.register("refusals", help, self.refusals.clone());
        let help = "When the whole log was last verified, since 1970; 0 before the first time";
        r.register_with_unit("last_verify_time", help, Unit::Seconds, self.verified_at.clone());
        let help = "1 if that found nothing, 0 if it did or was not done yet";
        r.register("last_verify_ok", help, self.verified_ok.clone());
        let help = "How many entries it read";
        r.register("last_verify_entries", help, self.verified_entries.clone());
        let help = "Announcements of the scheduler that were refused for good";
        r.register("scheduler_refused", help, self.announcements_refused.clone());
        let help = "Bytes free on the log's disk; -1 where it does not tell";
        r.register_with_unit("disk_free", help, Unit::Bytes, self.disk_free.clone());
        let help = "Bytes below which nothing is recorded";
        r.register_with_unit("disk_min_free", help, Unit::Bytes, self.min_free.clone());
    }

    fn name_reading(&mut self) {
        let r = &mut self.registry;
        let help = "Durable entries that the views do not hold yet";
        r.register("view_lag_entries", help, self.lag_entries.clone());
        let help = "How long the oldest of these has been durable";
        r.register_with_unit("view_lag", help, Unit::Seconds, self.lag.clone());
        r.register("subscribers", "Open event streams", self.subscribers.clone());
        let help = "Event streams cut off because their readers were too slow";
        r.register("subscribers_cut_off", help, self.subscribers_cut_off.clone());
        let help = "Tries to deliver a webhook, by how they ended";
        r.register("webhook_deliveries", help, self.deliveries.clone());
        let help = "Requests refused because too many came";
        r.register("rate_limited", help, self.rate_limited.clone());
        let help = "From receipt of a request's head until its answer begins";
        r.register_with_unit("request", help, Unit::Seconds, self.requests.clone());
    }

    fn name_standing(&mut self) {
        let r = &mut self.registry;
        r.register("role", "1 for what this server is among others", self.role.clone());
        let help = "Records of a shared log that this server has not read yet";
        r.register("log_lag_records", help, self.lag_records.clone());
        let help = "For how long nothing was heard of a shared log";
        r.register_with_unit("log_silence", help, Unit::Seconds, self.silence.clone());
        let help = "1 if this server is the writer or knows where the writer is";
        r.register("writer_known", help, self.writer_known.clone());
    }

    /// Events of one request are durable, so long after its receipt.
    pub fn appended(&self, after: Duration) {
        self.append.observe(after.as_secs_f64());
    }

    /// A request was answered. `route` is the template of the path, never the path.
    pub fn answered(
        &self,
        method: &'static str,
        route: &str,
        status: &'static str,
        after: Duration,
    ) {
        let route = Answered { method, route: route.to_owned(), status };
        self.requests.get_or_create(&route).observe(after.as_secs_f64());
    }

    /// A request was refused.
    pub fn refused(&self, code: &'static str, rule: Option<&'static str>) {
        let rule = rule.unwrap_or_default();
        self.refusals.get_or_create(&Rule { code, rule }).inc();
    }

    /// A request was refused because too many came.
    pub fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// Counts one open event stream until what is returned is dropped.
    pub fn subscriber(&self) -> Subscriber {
        self.subscribers.inc();
        Subscriber(self.subscribers.clone())
    }

    /// An event stream was ended because its reader was too slow.
    pub fn cut_off(&self) {
        self.subscribers_cut_off.inc();
    }

    /// A try to deliver a webhook ended.
    pub fn delivered(&self, outcome: Delivery) {
        self.delivered_so(outcome, 1);
    }

    fn delivered_so(&self, outcome: Delivery, count: u64) {
        self.deliveries.get_or_create(&Outcome { outcome: outcome.name() }).inc_by(count);
    }

    /// A commit is durable.
    pub fn committed(&self, commit: &Committed, after: Duration) {
        self.commit.observe(after.as_secs_f64());
        let events = u32::try_from(commit.events).unwrap_or(u32::MAX);
        self.commit_events.observe(events.into());
        self.events.inc_by(events.into());
        for kind in &commit.checkpoints {
            self.checkpoints.get_or_create(&Kind { kind }).inc();
        }
    }

    /// So many announcements of the scheduler were refused for good since the start.
    pub fn announcements_refused(&self, count: u64) {
        self.announcements_refused.inc_by(count.saturating_sub(self.announcements_refused.get()));
    }

    /// The whole log was verified.
    pub fn verified(&self, ok: bool, entries: u64, now_us: u64) {
        self.verified_at.set(seconds_since_1970(now_us));
        self.verified_ok.set(ok.into());
        self.verified_entries.set(whole(entries));
    }

    /// Everything, as OpenMetrics text.
    pub fn text(&self, now: &Reading) -> String {
        self.queue.set(whole(now.queue as u64));
        self.head.set(now.head.map_or(-1, whole));
        self.lag_entries.set(whole(now.lag_entries));
        self.lag.set(now.lag.as_secs_f64());
        self.disk_free.set(now.disk_free.map_or(-1, whole));
        self.min_free.set(whole(now.min_free));
        if let Some(standing) = &now.standing {
            for (role, is) in standing.role.each() {
                self.role.get_or_create(&InRole { role }).set(is.into());
            }
            self.lag_records.set(whole(standing.lag));
            self.silence.set(standing.silence.as_secs_f64());
            let known = standing.role == Role::Writer || standing.writer.is_some();
            self.writer_known.set(known.into());
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("a string takes what is written to it");
        text
    }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds_since_1970(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_from_the_first_scrape_on() {
        let metrics = Metrics::new("1.2.3", 1_500_000);
        let text = metrics.text(&Reading { head: Some(7), ..Reading::default() });
        for line in [
            "rollout_ledger_build_info{version=\"1.2.3\"} 1",
            "rollout_ledger_start_time_seconds 1.5",
            "rollout_ledger_head_seq 7",
            "rollout_ledger_append_seconds_count 0",
            "rollout_ledger_webhook_deliveries_total{outcome=\"gone\"} 0",
            "rollout_ledger_checkpoint_events_total{kind=\"missed\"} 0",
            "rollout_ledger_last_verify_ok 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_subscriber_counts_as_long_as_it_is_there() {
        let metrics = Metrics::new("1", 0);
        let (one, two) = (metrics.subscriber(), metrics.subscriber());
        assert!(metrics.text(&Reading::default()).contains("_subscribers 2\n"));
        drop((one, two));
        assert!(metrics.text(&Reading::default()).contains("_subscribers 0\n"));
    }
}
