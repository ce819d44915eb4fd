//! Who was refused what, and why: gathered in memory, equal ones of a minute in one row. Pure.
//!
//! Nobody blinds it. An address has few rows a minute, a name that is tried few an hour, and beyond them one that counts; and what is
//! about people and keys that there are stands in a ring of its own, which strangers cannot fill.

use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// So many rows of a ring are gathered between two writings; what comes beyond is one row without a name.
const MOST: usize = 2_000;
/// So many rows one address has in a minute, or one name in an hour.
const OF_ONE: u32 = 30;
/// The longest text that is noted, in bytes.
const LONGEST: usize = 200;

/// What equal refusals have in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Who they said, or seemed, to be; never what they showed for it.
    pub claimed: String,
    /// From where.
    pub from: Option<IpAddr>,
    /// What for: method and route.
    pub what: String,
    /// Why: the code of the answer.
    pub why: String,
}

impl Refusal {
    /// One whose texts may be a stranger's.
    pub fn new(claimed: &str, from: Option<IpAddr>, what: &str, why: &str) -> Self {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
        };
        Self { claimed: plain(claimed), from, what: plain(what), why: plain(why) }
    }

    /// The rest of what one does, or all do.
    fn rest(claimed: &str, from: Option<IpAddr>, why: &str) -> Self {
        Self { claimed: claimed.to_owned(), from, what: String::new(), why: why.to_owned() }
    }
}

/// Who of the many that are refused somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ring {
    /// Strangers: the rows of each address are few.
    Strangers,
    /// Whoever is, or wants to be, somebody that there is: the rows of each name are few in an hour, from how many
    /// places it may be tried.
    Known,
}

impl Ring {
    pub(super) const ALL: [Self; 2] = [Self::Strangers, Self::Known];

    /// For whom rows are counted; nobody is called as an address is.
    fn one(self, refusal: &Refusal) -> String {
        match (self, refusal.from) {
            (Self::Known, _) => refusal.claimed.clone(),
            (Self::Strangers, Some(from)) => network(from).to_string(),
            (Self::Strangers, None) => String::new(),
        }
    }

    /// How long rows are counted together, in seconds.
    fn window(self) -> i64 {
        match self {
            Self::Strangers => 60,
            Self::Known => 3600,
        }
    }

    fn rest_of(self, refusal: &Refusal) -> Refusal {
        match self {
            Self::Known => Refusal::rest(&refusal.claimed, None, &refusal.why),
            Self::Strangers => Refusal::rest("others", refusal.from.map(network), &refusal.why),
        }
    }
}

/// An address, or the network of IPv6 that one subscriber has.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(from) => Ipv6Addr::from_bits(from.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Equal refusals of one minute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refusals {
    /// What they have in common.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// The first of them.
    pub first: Time,
    /// The last of them.
    pub last: Time,
    /// How many.
    pub count: u64,
}

#[derive(Debug)]
struct Row {
    refusals: Refusals,
    /// The number in the book, once it has one.
    number: Option<u64>,
    is_kept: bool,
}

/// A row to be written: under its number, or under the next.
pub(super) type News = (Option<u64>, Refusals);

/// What was gathered of a ring and is not wholly written.
#[derive(Debug)]
pub(super) struct Gathered {
    ring: Ring,
    rows: HashMap<(i64, Refusal), Row>,
    /// How many rows each has in a window of the ring.
    ones: HashMap<(i64, String), u32>,
}

impl Gathered {
    pub(super) fn new(ring: Ring) -> Self {
        Self { ring, rows: HashMap::new(), ones: HashMap::new() }
    }

    /// Notes that it has happened so often.
    pub(super) fn note(&mut self, refusal: Refusal, count: u64, now: Time) {
        let refusal = match self.ring {
            Ring::Known => Refusal { from: refusal.from.map(network), ..refusal },
            Ring::Strangers => refusal,
        };
        let key = self.place(refusal, now);
        let row = self.rows.entry(key).or_insert_with_key(|(_, refusal)| Row {
            refusals: Refusals { refusal: refusal.clone(), first: now, last: now, count: 0 },
            number: None,
            is_kept: false,
        });
        row.refusals.count += count;
        row.refusals.last = row.refusals.last.max(now);
        row.is_kept = false;
    }

    /// The row in which it stands: its own, that for the rest of what the same does, or that of everybody.
    fn place(&mut self, refusal: Refusal, now: Time) -> (i64, Refusal) {
        let rest = self.ring.rest_of(&refusal);
        let all = Refusal::rest("others", None, &refusal.why);
        let [rest, all, own] = [rest, all, refusal].map(|refusal| (self.begin(&refusal, now), refusal));
        if self.rows.contains_key(&own) {
            return own;
        }
        let window = now.unix() / self.ring.window();
        let rows = self.ones.entry((window, self.ring.one(&own.1))).or_default();
        if *rows < OF_ONE && self.rows.len() < MOST {
            *rows += 1;
            return own;
        }
        // A row of the rest comes after many of one's own, and there are not two hundred codes: this ends.
        if self.rows.contains_key(&rest) || (*rows >= OF_ONE && self.rows.len() < MOST * 2) {
            rest
        } else {
            all
        }
    }

    /// The minute in which the row of something that is refused `now` begins; what is counted together is so for a window.
    fn begin(&self, refusal: &Refusal, now: Time) -> i64 {
        let window = if refusal.what.is_empty() { self.ring.window() } else { 60 };
        now.unix() / window * window / 60
    }

    /// What is to be written now.
    pub(super) fn news(&self) -> Vec<News> {
        let mut news: Vec<News> = self.rows.values().filter(|row| !row.is_kept).map(Row::news).collect();
        news.sort_by_key(|(number, row)| (number.is_none(), *number, row.first));
        news
    }

    /// They have been written under these numbers; what `now` adds nothing to is let go.
    pub(super) fn kept(&mut self, news: &[News], numbers: &[u64], now: Time) {
        for ((_, written), number) in news.iter().zip(numbers) {
            let key = (self.begin(&written.refusal, written.first), written.refusal.clone());
            if let Some(row) = self.rows.get_mut(&key) {
                row.number = Some(*number);
                row.is_kept = row.refusals == *written;
            }
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|(begin, refusal), row| !row.is_kept || *begin == self.begin(refusal, now));
        self.rows = rows;
        let window = now.unix() / self.ring.window();
        self.ones.retain(|(of, _), _| *of == window);
    }
}

impl Row {
    fn news(&self) -> News {
        (self.number, self.refusals.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time::from_unix(1_790_000_040);

    fn refusal(claimed: &str) -> Refusal {
        Refusal::new(claimed, Some([192, 0, 2, 1].into()), "POST /api/v1/auth/login", "login_wrong")
    }

    #[test]
    fn equal_ones_of_a_minute_are_one_row_also_when_it_was_written_between() {
        let mut gathered = Gathered::new(Ring::Known);
        gathered.note(refusal("kim"), 1, NOON);
        gathered.note(refusal("kim"), 1, NOON.plus(3));
        gathered.note(refusal("lee"), 1, NOON);
        let news = gathered.news();
        let counts: Vec<_> = news.iter().map(|(number, row)| (*number, row.count)).collect();
        assert_eq!(counts.len(), 2);
        assert!(counts.contains(&(None, 2)) && counts.contains(&(None, 1)));
        gathered.kept(&news, &[7, 8], NOON.plus(10));
        assert!(gathered.news().is_empty());
        gathered.note(refusal("kim"), 1, NOON.plus(11));
        let more = gathered.news();
        assert_eq!((more.len(), more[0].0.is_some(), more[0].1.count), (1, true, 3));
        gathered.kept(&more, &[7], NOON.plus(60));
        assert!(gathered.rows.is_empty(), "the minute is over");
        gathered.note(refusal("kim"), 1, NOON.plus(60));
        assert_eq!(gathered.news()[0].0, None, "another minute is another row");
    }

    #[test]
    fn what_came_while_it_was_written_is_written_the_next_time() {
        let mut gathered = Gathered::new(Ring::Known);
        gathered.note(refusal("kim"), 1, NOON);
        let news = gathered.news();
        gathered.note(refusal("kim"), 1, NOON);
        gathered.kept(&news, &[1], NOON.plus(60));
        assert_eq!(gathered.news()[0].1.count, 2);
    }

    /// A refusal of a stranger from there.
    fn stranger(from: u32, what: u32) -> Refusal {
        let from = std::net::Ipv4Addr::from(from).into();
        Refusal::new("anonymous", Some(from), &format!("GET /{what}"), "key_missing")
    }

    fn sum(gathered: &Gathered) -> u64 {
        gathered.news().iter().map(|(_, row)| row.count).sum()
    }

    #[test]
    fn a_flood_takes_a_bounded_memory_and_is_counted_all_the_same() {
        let mut gathered = Gathered::new(Ring::Strangers);
        for n in 0..200_000 {
            gathered.note(stranger(n, 0), 1, NOON);
        }
        assert_eq!(gathered.rows.len(), MOST + 1);
        for n in 0..200_000 {
            gathered.note(stranger(n % 5000, n), 1, NOON);
        }
        assert!(gathered.rows.len() <= MOST * 2 + 1, "{}", gathered.rows.len());
        assert_eq!(sum(&gathered), 400_000);
    }

    #[test]
    fn an_address_has_few_rows_whatever_it_asks_for_and_hides_nobody_elses() {
        let mut gathered = Gathered::new(Ring::Strangers);
        for n in 0..3000 {
            gathered.note(stranger(1, n), 1, NOON);
        }
        assert_eq!(gathered.rows.len(), OF_ONE as usize + 1);
        let rest = gathered.news().into_iter().find(|(_, row)| row.refusal.claimed == "others").unwrap().1;
        assert_eq!(rest.refusal.from, Some([0, 0, 0, 1].into()), "and is named");
        assert_eq!(rest.count, 3000 - u64::from(OF_ONE));
        gathered.note(stranger(2, 7), 1, NOON);
        assert!(gathered.news().iter().any(|(_, row)| row.refusal == stranger(2, 7)));
        let v6 = |n: u128| Refusal::new("anonymous", Some(std::net::Ipv6Addr::from(n).into()), "x", "y");
        (0..3000).for_each(|n| gathered.note(v6(0x2001 << 112 | n), 1, NOON));
        assert!(gathered.rows.len() < 100, "a /64 is one");
    }

    #[test]
    fn a_name_that_is_tried_from_everywhere_hides_no_other_name() {
        let mut gathered = Gathered::new(Ring::Known);
        let tried = |name: &str, from: u32| {
            let from = std::net::Ipv4Addr::from(from).into();
            Refusal::new(name, Some(from), "POST /api/v1/auth/login", "login_wrong")
        };
        (0..3000).for_each(|n| gathered.note(tried("admin", n), 1, NOON));
        assert_eq!(gathered.rows.len(), OF_ONE as usize + 1);
        let mut written = 0;
        for minute in 0..60 {
            let now = Time::from_unix(NOON.unix() / 3600 * 3600 + minute * 60);
            (0..3000).for_each(|n| gathered.note(tried("admin", n), 1, now));
            let news = gathered.news();
            let numbers: Vec<u64> = (0..).take(news.len()).collect();
            written += news.iter().filter(|(number, _)| number.is_none()).count();
            gathered.kept(&news, &numbers, now);
        }
        assert_eq!(written, OF_ONE as usize + 1, "an hour's rows of a name, however often it is tried");
        gathered.note(tried("kim", 1), 5, NOON);
        assert!(gathered.news().iter().any(|(_, row)| row.refusal == tried("kim", 1) && row.count == 5));
    }

    #[test]
    fn of_a_place_from_which_a_name_is_tried_the_network_is_noted() {
        let mut gathered = Gathered::new(Ring::Known);
        for last in 0..100_u128 {
            let from = std::net::Ipv6Addr::from(0x2001_0db8 << 96 | last);
            gathered.note(Refusal::new("kim", Some(from.into()), "x", "login_wrong"), 1, NOON);
        }
        let news = gathered.news();
        assert_eq!((news.len(), news[0].1.count), (1, 100));
        assert_eq!(news[0].1.refusal.from, Some("2001:db8::".parse().unwrap()));
    }

    #[test]
    fn a_strangers_text_is_short_and_has_no_control_characters() {
        let refusal = Refusal::new("x\u{1b}[2J", None, &"/a".repeat(1000), "y");
        assert_eq!((refusal.claimed.as_str(), refusal.what.len()), ("x [2J", LONGEST));
    }
}
