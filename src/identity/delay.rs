//! Wrong passwords make the next attempt wait: ever longer, and never for good. Pure: the time comes with the question.
//!
//! Three counts are kept: of one name from one place, of one place whatever the name, and, far more patient, of one name
//! from everywhere. A place from which that person has logged in before answers for itself only, so whoever attacks from
//! elsewhere cannot keep them out; and where a name is tried from too many, lots are drawn, so that they cannot keep a new
//! place of that person out by being quicker. Names and places are known by a mark and not by what they are.

use super::lottery::Lottery;
use super::mark::{Mark, mark};
use crate::disk::Digest;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// So many of each kind are remembered. When there are more, those that have the least to wait go.
const MOST: usize = 20_000;

/// How one kind of count makes wait.
#[derive(Debug)]
struct Rule {
    /// So many failures cost nothing.
    free: u32,
    /// The first delay and the longest, in seconds; each failure doubles it.
    delays: (u64, u64),
    /// After so many seconds one failure is forgiven.
    forgives: u64,
}

/// By kind: name and place, place, name.
const RULES: [Rule; 3] = [
    Rule { free: 5, delays: (2, 900), forgives: 600 },
    Rule { free: 30, delays: (2, 300), forgives: 60 },
    // Beyond, who may try is drawn.
    Rule { free: 60, delays: (0, 0), forgives: 60 },
];
/// The kind that is the flood's own.
const PLACE: usize = 1;
/// The kind for which lots are drawn.
const NAME: usize = 2;

#[derive(Clone, Debug, Default)]
struct Tally {
    failures: u32,
    /// When the failures were counted last, on a clock that only goes forward.
    counted: Duration,
    until: Duration,
    /// Whether the book has it so, and whether it has it at all.
    is_kept: bool,
    is_known: bool,
    /// Who may try, where too many do.
    lottery: Option<Box<Lottery>>,
}

impl Tally {
    fn forgive(&mut self, rule: &Rule, now: Duration) {
        let forgiven = now.saturating_sub(self.counted).as_secs() / rule.forgives;
        if forgiven > 0 {
            let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
            self.failures = self.failures.saturating_sub(forgiven);
            self.counted = now;
            self.is_kept = false;
        }
    }

    fn count(&mut self, rule: &Rule, now: Duration) {
        if self.failures == 0 {
            self.counted = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.until = now + rule.delay(self.failures);
        self.is_kept = false;
    }

    fn take_back(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.until = Duration::ZERO;
        self.is_kept = false;
    }
}

impl Rule {
    fn delay(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.free).filter(|beyond| *beyond > 0) else {
            return Duration::ZERO;
        };
        let (first, most) = self.delays;
        Duration::from_secs(first.saturating_mul(1 << (beyond - 1).min(20)).min(most))
    }
}

/// Whence somebody asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whence {
    /// The nearest address that is known.
    pub address: IpAddr,
    /// Whether they are somebody unknown behind it: that is another place than the machine there.
    pub is_behind: bool,
}

impl From<IpAddr> for Whence {
    fn from(address: IpAddr) -> Self {
        Self { address, is_behind: false }
    }
}

impl Whence {
    /// The place that it stands for: an address, or the /64 of IPv6, which is one machine's.
    pub(super) fn place(self) -> [u8; 17] {
        self.cut(16, 8)
    }

    /// The network that it is in: a /24, or a /48, which is one customer's.
    pub(super) fn network(self) -> [u8; 17] {
        self.cut(15, 6)
    }

    /// So many bytes of an address, with its family's length in all.
    fn cut(self, v4: usize, v6: usize) -> [u8; 17] {
        let (octets, length) = match self.address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), v4),
            IpAddr::V6(address) => (address.octets(), v6),
        };
        let mut cut = [0; 17];
        cut[..length].copy_from_slice(&octets[..length]);
        cut[16] = u8::from(self.is_behind);
        cut
    }
}

/// Who attempts something from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    marks: [Mark; 3],
    /// The network, as the draw for the name knows it.
    network: Mark,
    /// Whether this person has been let in from there before.
    is_known: bool,
}

impl Attempt {
    pub(super) fn new(salt: &Digest, name: &str, from: Whence, is_known: bool) -> Self {
        let (place, name) = (from.place(), name.as_bytes());
        let marks = [
            mark(salt, &[b"pair", &place, name]),
            mark(salt, &[b"place", &place]),
            mark(salt, &[b"name", name]),
        ];
        let network = mark(salt, &[b"network", &from.network(), name]);
        Self { marks, network, is_known }
    }

    /// Whether this person has been let in from there before.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The kinds that judge it.
    fn kinds(&self) -> impl Iterator<Item = (usize, Mark)> + use<> {
        let count = if self.is_known { 1 } else { 3 };
        self.marks.into_iter().enumerate().take(count)
    }
}

/// A count as it is kept: of which kind and what, how many failures, and how many seconds are left to wait. None is
/// left of one that has been forgiven.
pub(super) type KeptDelay = ((u8, Mark), Option<(u32, u64)>);

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Delays([HashMap<Mark, Tally>; 3]);

impl Delays {
    /// Goes on where an earlier process ended: nothing is forgiven for the time in which nobody ran, and nothing added.
    pub(super) fn resume(kept: impl Iterator<Item = ((u8, Mark), (u32, u64))>, now: Duration) -> Self {
        let mut delays = Self::default();
        for ((kind, mark), (failures, wait)) in kept {
            let until = now + Duration::from_secs(wait);
            let tally = Tally { failures, counted: now, until, is_kept: true, is_known: true, lottery: None };
            if let Some(tallies) = delays.0.get_mut(usize::from(kind)) {
                tallies.insert(mark, tally);
            }
        }
        delays
    }

    /// Lets an attempt begin, and counts it as failed until it is known better: many at once are not cheaper than one
    /// after the other.
    ///
    /// # Errors
    /// So long is to be waited; then nothing is counted.
    pub(super) fn begin(&mut self, attempt: &Attempt, now: Duration) -> Result<(), Duration> {
        let until = attempt.kinds().filter_map(|(kind, mark)| Some(self.0[kind].get(&mark)?.until)).max();
        let wait = until.unwrap_or_default().saturating_sub(now);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.draw(attempt, now)?;
        for (kind, mark) in attempt.kinds() {
            self.make_room(kind, now);
            let (rule, tally) = (&RULES[kind], self.0[kind].entry(mark).or_default());
            tally.forgive(rule, now);
            tally.count(rule, now);
        }
        Ok(())
    }

    /// Where too many have failed with a name, from wherever: whether it is this network's turn.
    fn draw(&mut self, attempt: &Attempt, now: Duration) -> Result<(), Duration> {
        let tally = self.0[NAME].get_mut(&attempt.marks[NAME]).filter(|_| !attempt.is_known);
        let Some(tally) = tally else { return Ok(()) };
        tally.forgive(&RULES[NAME], now);
        if tally.failures <= RULES[NAME].free {
            tally.lottery = None;
            return Ok(());
        }
        tally.lottery.get_or_insert_default().draw(&attempt.network, now)
    }

    /// It succeeded: this name from this place begins anew, and the others are as if it had not been.
    pub(super) fn succeed(&mut self, attempt: &Attempt) {
        self.withdraw(attempt);
        if let Some(pair) = self.0[0].get_mut(&attempt.marks[0]) {
            pair.failures = 0;
        }
    }

    /// It was not carried out.
    pub(super) fn withdraw(&mut self, attempt: &Attempt) {
        for (kind, mark) in attempt.kinds() {
            self.take_back(kind, &mark, attempt);
        }
    }

    /// It was not carried out because too many were made: that counts for its place, as a flood costs whoever makes it,
    /// and against no name.
    pub(super) fn turn_away(&mut self, attempt: &Attempt) {
        for (kind, mark) in attempt.kinds().filter(|(kind, _)| *kind != PLACE) {
            self.take_back(kind, &mark, attempt);
        }
    }

    fn take_back(&mut self, kind: usize, mark: &Mark, attempt: &Attempt) {
        let Some(tally) = self.0[kind].get_mut(mark) else { return };
        tally.take_back();
        if let Some(lottery) = &mut tally.lottery {
            lottery.give_back(&attempt.network);
        }
    }

    /// What differs from what is kept; it is taken for kept from now on.
    pub(super) fn keep(&mut self, now: Duration) -> Vec<KeptDelay> {
        let mut news = Vec::new();
        for (kind, tallies) in (0..).zip(&mut self.0) {
            let rule = &RULES[usize::from(kind)];
            tallies.retain(|mark, tally| {
                tally.forgive(rule, now);
                let is_worth = tally.failures > rule.free;
                let wait = tally.until.saturating_sub(now).as_secs();
                if !tally.is_kept && (is_worth || tally.is_known) {
                    news.push(((kind, *mark), is_worth.then_some((tally.failures, wait))));
                }
                (tally.is_kept, tally.is_known) = (true, is_worth);
                tally.failures > 0
            });
        }
        news
    }

    /// Has what could not be written told again the next time.
    pub(super) fn unkeep(&mut self, news: &[KeptDelay]) {
        for ((kind, mark), _) in news {
            let tally = self.0[usize::from(*kind)].get_mut(mark);
            tally.into_iter().for_each(|tally| (tally.is_kept, tally.is_known) = (false, true));
        }
    }

    fn make_room(&mut self, kind: usize, now: Duration) {
        let (tallies, rule) = (&mut self.0[kind], &RULES[kind]);
        if tallies.len() < MOST {
            return;
        }
        tallies.iter_mut().for_each(|(_, tally)| tally.forgive(rule, now));
        tallies.retain(|_, tally| tally.failures > 0);
        if tallies.len() < MOST * 3 / 4 {
            return;
        }
        let weight = |tally: &Tally| (tally.until, tally.failures);
        let mut weights: Vec<_> = tallies.values().map(weight).collect();
        let (_, middle, _) = weights.select_nth_unstable(MOST / 2);
        let middle = *middle;
        let mut equal = MOST / 4;
        tallies.retain(|_, tally| match weight(tally).cmp(&middle) {
            std::cmp::Ordering::Equal => {
                equal = equal.saturating_sub(1);
                equal > 0
            }
            order => order.is_gt(),
        });
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.iter().map(HashMap::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Digest = [7; 32];

    fn attempt(name: &str, from: [u8; 4]) -> Attempt {
        Attempt::new(&SALT, name, IpAddr::from(from).into(), false)
    }

    fn anywhere(name: &str, from: impl Into<IpAddr>) -> Attempt {
        Attempt::new(&SALT, name, from.into().into(), false)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long one waits who fails as often as they may until `end`; the waits one after the other.
    fn waits(delays: &mut Delays, attempt: &Attempt, count: usize) -> (Vec<u64>, Duration) {
        let (mut now, mut waits) = (at(1000), Vec::new());
        while waits.len() < count {
            match delays.begin(attempt, now) {
                Ok(()) => waits.push(0),
                Err(wait) => {
                    *waits.last_mut().unwrap() += wait.as_secs();
                    now += wait;
                }
            }
        }
        (waits, now)
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let mut delays = Delays::default();
        let (waits, now) = waits(&mut delays, &attempt("kim", [192, 0, 2, 1]), 16);
        assert_eq!(waits[..11], [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64]);
        assert!(waits.iter().all(|wait| *wait <= 900) && waits.contains(&512), "{waits:?}");
        assert!(delays.begin(&attempt("lee", [192, 0, 2, 1]), now).is_ok(), "another name may try");
        assert!(delays.begin(&attempt("kim", [192, 0, 2, 2]), now).is_ok(), "another place may try");
    }

    #[test]
    fn many_at_once_are_not_cheaper_than_one_after_the_other() {
        let mut delays = Delays::default();
        let begun = (0..100).filter(|_| delays.begin(&attempt("kim", [192, 0, 2, 1]), at(1)).is_ok());
        assert_eq!(begun.count(), 6, "five are free, and the sixth makes wait");
    }

    #[test]
    fn a_place_that_tries_many_names_waits_as_a_whole() {
        let mut delays = Delays::default();
        let tried = |n: usize| attempt(&format!("user{n}"), [192, 0, 2, 1]);
        assert_eq!((0..100).filter(|n| delays.begin(&tried(*n), at(1)).is_ok()).count(), 31);
        let neighbour = anywhere("x", "2001:db8::1".parse::<IpAddr>().unwrap());
        for _ in 0..6 {
            delays.begin(&neighbour, at(1)).unwrap();
        }
        let same = anywhere("x", "2001:db8::ffff".parse::<IpAddr>().unwrap());
        assert!(delays.begin(&same, at(1)).is_err(), "a /64 is one place");
    }

    #[test]
    fn an_attack_from_everywhere_slows_a_name_down_and_never_stops_it() {
        let mut delays = Delays::default();
        // Of thirty networks, each from an address of its own.
        let from = |n: u32| anywhere("kim", std::net::Ipv4Addr::from(((n % 30) << 8) | (n / 30 % 256)));
        let (mut let_in, mut now, mut person) = (0, at(30), None);
        for n in 0..60_000 {
            match delays.begin(&from(n), now) {
                Ok(()) => let_in += 1,
                Err(wait) => assert!(wait <= at(30), "{wait:?}"),
            }
            now += Duration::from_millis(25);
            // They ask forty times a second, the person when they are told to.
            if n % 1200 == 1199 && person.is_none() {
                person = delays.begin(&anywhere("kim", [203, 0, 113, 9]), now).is_ok().then_some(n / 1200);
            }
        }
        assert!(person.is_some_and(|slots| slots < 30), "{person:?}");
        assert!(let_in < 60 + 50 * 13, "{let_in} attempts in 25 minutes");
        // Where this person has been let in before, nothing of that counts.
        let home = Attempt::new(&SALT, "kim", IpAddr::from([203, 0, 113, 5]).into(), true);
        assert!(delays.begin(&home, now).is_ok());
        for _ in 0..5 {
            delays.begin(&home, now).unwrap();
        }
        assert!(delays.begin(&home, now).is_err(), "but what is wrong there counts there");
    }

    #[test]
    fn success_begins_anew_and_what_was_not_carried_out_does_not_count() {
        let mut delays = Delays::default();
        let kim = attempt("kim", [192, 0, 2, 1]);
        for _ in 0..100 {
            delays.begin(&kim, at(1)).unwrap();
            delays.succeed(&kim);
        }
        for _ in 0..100 {
            delays.begin(&kim, at(1)).unwrap();
            delays.withdraw(&kim);
        }
        let sent_away = (0..100).take_while(|n| {
            let one = attempt(&format!("user{n}"), [192, 0, 2, 9]);
            let is_let_in = delays.begin(&one, at(1)).is_ok();
            delays.turn_away(&one);
            is_let_in
        });
        assert_eq!(sent_away.count(), 31, "a flood counts for its place");
        assert!(delays.begin(&attempt("user0", [192, 0, 2, 10]), at(1)).is_ok(), "and for nobody else");
        delays = Delays::default();
        assert!(delays.keep(at(1)).is_empty());
        assert_eq!(delays.len(), 0, "nothing is left of it");
    }

    #[test]
    fn a_restart_goes_on_where_it_was_and_time_forgives() {
        let mut delays = Delays::default();
        let kim = attempt("kim", [192, 0, 2, 1]);
        while delays.begin(&kim, at(1)).is_ok() {}
        let news = delays.keep(at(2));
        assert_eq!(news.len(), 1);
        assert!(delays.keep(at(2)).is_empty(), "once is enough");
        delays.unkeep(&news);
        assert_eq!(delays.keep(at(2)).len(), 1, "unless it could not be written");
        let kept: Vec<_> = news.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let mut again = Delays::resume(kept.into_iter(), at(0));
        assert_eq!(again.begin(&kim, at(0)), Err(at(1)));
        assert_eq!(again.begin(&kim, at(1)), Ok(()));
        assert_eq!(again.begin(&kim, at(1)), Err(at(4)), "the seventh failure");
        let gone = again.keep(at(100_000));
        assert_eq!(gone.iter().filter(|(_, left)| left.is_none()).count(), 1, "{gone:?}");
        assert_eq!(again.len(), 0);
    }

    #[test]
    fn a_flood_of_names_and_places_takes_a_bounded_memory_and_frees_nobody() {
        let mut delays = Delays::default();
        let kim = attempt("kim", [192, 0, 2, 1]);
        while delays.begin(&kim, at(1)).is_ok() {}
        while delays.begin(&kim, at(3)).is_ok() {}
        for n in 0..3 * MOST as u32 {
            let flood = anywhere(&format!("n{n}"), std::net::Ipv4Addr::from(n));
            delays.begin(&flood, at(3)).unwrap();
            assert!(delays.len() <= MOST);
        }
        assert!(delays.begin(&kim, at(4)).is_err());
    }
}
