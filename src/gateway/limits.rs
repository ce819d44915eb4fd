//! How often somebody may ask: a token bucket for each caller and each class of route.
//!
//! It must not know which path is of which class, nor what else decides whether a request comes in.

use super::buckets::{Buckets, Wish};
use super::whose::Whose;
use crate::web::{Caller, Problem};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use std::io::Write as _;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// Rows of eight buckets for each class: 16,384 callers, a quarter of a megabyte.
const ROWS: usize = 2048;

/// How much is left (draft-ietf-httpapi-ratelimit-headers-10, 3).
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How much there is (the same, 2).
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// One address: is it listed?
    Check,
    /// Many at once.
    Bulk,
    /// Lists for firewalls.
    Feeds,
    /// Everything else that changes nothing.
    Read,
    /// What changes something.
    Write,
    /// Who somebody is.
    Auth,
}

impl Class {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Check, Self::Bulk, Self::Feeds, Self::Read, Self::Write, Self::Auth];

    /// Its name, in settings, headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Bulk => "bulk",
            Self::Feeds => "feeds",
            Self::Read => "read",
            Self::Write => "write",
            Self::Auth => "auth",
        }
    }
}

/// So many in a window of time, all of them at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    window: Duration,
}

impl Rate {
    /// None beyond a thousand million a second: there is less than a nanosecond between two.
    fn quota(self) -> Option<Quota> {
        Some(Quota::with_period(self.window / self.count.get())?.allow_burst(self.count))
    }
}

/// What is no rate.
#[derive(Debug, thiserror::Error)]
#[error("a rate is meant, as in \"100/s\", \"600/m\" or \"1000/h\", or \"off\"")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (count, unit) = text.split_once('/').ok_or(BadRate)?;
        let count = count.trim().parse().map_err(|_| BadRate)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(BadRate),
        };
        let rate = Self { count, window: Duration::from_secs(seconds) };
        rate.quota().map(|_| rate).ok_or(BadRate)
    }
}

/// The rate of each class, in the order of [`Class::ALL`]; none: as often as they like.
pub type Rates = [Option<Rate>; Class::ALL.len()];

/// What an answer says of the bucket that it was paid from.
pub(super) type Told = [(HeaderName, HeaderValue); 2];

/// All buckets.
pub(super) struct Limits<C: Clock + Clone = MonotonicClock> {
    classes: [Option<Limiter<C>>; Class::ALL.len()],
    whose: Whose,
}

type Gcra<C> = RateLimiter<Wish, Buckets, C, StateInformationMiddleware>;

struct Limiter<C: Clock + Clone> {
    gcra: Gcra<C>,
    clock: C,
    name: &'static str,
    window: Duration,
    policy: HeaderValue,
}

impl Limits {
    pub(super) fn new(rates: &Rates) -> Self {
        Self::with_clock(rates, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn with_clock(rates: &Rates, clock: &C) -> Self {
        let limiter = |class: Class| Some(Limiter::new(class.name(), rates[class as usize]?, clock.clone()));
        Self { classes: Class::ALL.map(limiter), whose: Whose::default() }
    }

    /// Pays for a request, and says what is left; nothing where there is no limit. The holder of the installation who
    /// asks through its socket is never limited.
    ///
    /// # Errors
    /// 429 when nothing is left.
    pub(super) fn pay(&self, class: Class, caller: &Caller) -> Result<Option<Told>, Problem> {
        let Some(limiter) = &self.classes[class as usize] else { return Ok(None) };
        let Some(whose) = self.whose.of(caller) else { return Ok(None) };
        limiter.pay(Wish { whose, is_look: false }).map(Some)
    }

    /// Whether it could be paid for.
    ///
    /// # Errors
    /// 429 when nothing is left.
    pub(super) fn look(&self, class: Class, caller: &Caller) -> Result<(), Problem> {
        let Some(limiter) = &self.classes[class as usize] else { return Ok(()) };
        let Some(whose) = self.whose.of(caller) else { return Ok(()) };
        limiter.pay(Wish { whose, is_look: true }).map(drop)
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn new(name: &'static str, rate: Rate, clock: C) -> Self {
        // The rate was found to be one when it was read.
        let quota = rate.quota().unwrap_or(Quota::per_second(rate.count));
        let gcra = Gcra::new(quota, Buckets::new(ROWS), clock.clone());
        let (count, window) = (rate.count, rate.window.as_secs());
        let policy = HeaderValue::try_from(format!("\"{name}\";q={count};w={window}"));
        let policy = policy.unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { gcra, clock, name, window: rate.window, policy }
    }

    fn pay(&self, wish: Wish) -> Result<Told, Problem> {
        match self.gcra.check_key(&wish) {
            Ok(state) => Ok(self.told(state.remaining_burst_capacity(), self.until_full(&state))),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now()).as_secs_f64().ceil().max(1.0) as u32;
                Err(self.refusal(wait))
            }
        }
    }

    /// Seconds until all is there again, rounded up.
    fn until_full(&self, state: &StateSnapshot) -> u32 {
        let quota = state.quota();
        let spent = quota.burst_size().get() - state.remaining_burst_capacity();
        (self.window.as_secs_f64() * f64::from(spent) / f64::from(quota.burst_size().get())).ceil() as u32
    }

    fn told(&self, left: u32, seconds: u32) -> Told {
        let mut text = Vec::with_capacity(32);
        // Writing into memory does not fail, and what is written is plain text.
        let _ = write!(text, "\"{}\";r={left};t={seconds}", self.name);
        let left = HeaderValue::from_maybe_shared(bytes::Bytes::from(text));
        let left = left.unwrap_or_else(|_| HeaderValue::from_static(""));
        [(RATELIMIT, left), (RATELIMIT_POLICY, self.policy.clone())]
    }

    fn refusal(&self, seconds: u32) -> Problem {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
            .detail("This was asked too often; RateLimit-Policy says how often it may be.")
            .retry_after(seconds);
        self.told(0, seconds).into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::{Identity, Rights};
    use crate::web::Peer;
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;
    use std::net::IpAddr;
    use std::sync::Arc;

    fn limits(rate: &str) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let mut rates = Rates::default();
        rates[Class::Check as usize] = Some(rate.parse().unwrap());
        (Limits::with_clock(&rates, &clock), clock)
    }

    fn from(address: &str) -> Caller {
        let address: IpAddr = address.parse().unwrap();
        Caller {
            peer: Peer::Tcp((address, 9).into()),
            who: None,
            rights: Rights::NONE,
            is_open: false,
            is_earlier: false,
        }
    }

    fn pays(limits: &Limits<FakeRelativeClock>, caller: &Caller) -> bool {
        limits.pay(Class::Check, caller).is_ok()
    }

    #[test]
    fn what_is_left_is_told_and_then_refused_until_it_is_there_again() {
        let (limits, clock) = limits("2/m");
        let caller = from("192.0.2.1");
        let [left, policy] = limits.pay(Class::Check, &caller).unwrap().unwrap();
        assert_eq!(
            (left.1, policy.1),
            ("\"check\";r=1;t=30".parse().unwrap(), "\"check\";q=2;w=60".parse().unwrap())
        );
        assert!(pays(&limits, &caller));
        let refused = limits.pay(Class::Check, &caller).unwrap_err().render("r");
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "30");
        assert_eq!(refused.headers()["ratelimit"], "\"check\";r=0;t=30");
        clock.advance(Duration::from_secs(30));
        assert!(pays(&limits, &caller) && !pays(&limits, &caller));
    }

    #[test]
    fn an_address_an_ipv6_network_and_an_identity_have_a_bucket_each() {
        let (limits, _) = limits("1/h");
        assert!(pays(&limits, &from("192.0.2.1")) && pays(&limits, &from("192.0.2.2")));
        assert!(!pays(&limits, &from("::ffff:192.0.2.1")), "the same address");
        assert!(pays(&limits, &from("2001:db8::1")) && !pays(&limits, &from("2001:db8::ffff:0:0:1")));
        assert!(pays(&limits, &from("2001:db8:0:1::1")));
        let somebody = |address| Caller { who: Some(Arc::new(Identity::installation())), ..from(address) };
        assert!(pays(&limits, &somebody("192.0.2.1")) && !pays(&limits, &somebody("192.0.2.9")));
    }

    #[test]
    fn who_hides_behind_a_proxy_that_nobody_declared_pays_as_the_proxy() {
        let (limits, _) = limits("1/h");
        let behind = || Caller { peer: Peer::Behind(([192, 0, 2, 1], 9).into()), ..from("192.0.2.1") };
        assert!(pays(&limits, &behind()) && !pays(&limits, &behind()));
        assert!(!pays(&limits, &from("192.0.2.1")));
    }

    #[test]
    fn what_has_no_rate_and_who_has_the_socket_are_not_limited() {
        let (limits, _) = limits("1/h");
        assert!((0..9).all(|_| matches!(limits.pay(Class::Feeds, &from("192.0.2.1")), Ok(None))));
        assert!((0..9).all(|_| matches!(limits.pay(Class::Check, &Caller::local()), Ok(None))));
    }

    #[test]
    fn rates_are_read_with_their_units() {
        let rate =
            |text: &str| text.parse::<Rate>().ok().map(|rate| (rate.count.get(), rate.window.as_secs()));
        assert_eq!(rate("2000/s"), Some((2000, 1)));
        assert_eq!(rate("600 / m"), Some((600, 60)));
        assert_eq!(rate("7/h"), Some((7, 3600)));
        for wrong in ["", "0/s", "-1/s", "5", "5/d", "4294967295/s"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    proptest! {
        /// The golden model is a bucket that is filled second by second.
        #[test]
        fn it_is_a_bucket_that_fills_at_its_rate(
            count in 1_u32..20,
            steps in proptest::collection::vec((0_u64..40_000, 0_u8..4), 0..200),
        ) {
            let (limits, clock) = limits(&format!("{count}/m"));
            let callers: Vec<Caller> = (0..4).map(|at| from(&format!("192.0.2.{at}"))).collect();
            // In units of a token's sixty-thousandth, so that a millisecond fills `count` of them.
            let full = u64::from(count) * 60_000;
            let mut buckets = [full; 4];
            for (millis, at) in steps {
                clock.advance(Duration::from_millis(millis));
                buckets.iter_mut().for_each(|left| *left = (*left + millis * u64::from(count)).min(full));
                let left = &mut buckets[usize::from(at)];
                let nearly = left.abs_diff(60_000) <= u64::from(count);
                let paid = pays(&limits, &callers[usize::from(at)]);
                prop_assert!(nearly || paid == (*left >= 60_000));
                if paid {
                    *left = left.saturating_sub(60_000);
                }
            }
        }
    }
}
