//! Who was refused what, and why: gathered in memory, equal ones of a minute in one row. Pure.

use crate::model::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// So many rows are gathered between two writings; what comes beyond is one row without a name.
const MOST: usize = 2_000;
/// The longest path that is noted, in bytes.
const LONGEST: usize = 200;

/// What equal refusals have in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Who they said, or seemed, to be; never what they showed for it.
    pub claimed: String,
    /// From where.
    pub from: Option<IpAddr>,
    /// What for: method and path.
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

    fn without_names(why: &str) -> Self {
        Self { claimed: "others".to_owned(), from: None, what: String::new(), why: why.to_owned() }
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

/// What was gathered and is not wholly written.
#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<(i64, Refusal), Row>);

impl Gathered {
    pub(super) fn note(&mut self, refusal: Refusal, now: Time) {
        let minute = now.unix() / 60;
        let key = (minute, refusal);
        let key = match self.0.len() < MOST || self.0.contains_key(&key) {
            true => key,
            // Two hundred codes there are not: this ends.
            false => (minute, Refusal::without_names(&key.1.why)),
        };
        let row = self.0.entry(key).or_insert_with_key(|(_, refusal)| Row {
            refusals: Refusals { refusal: refusal.clone(), first: now, last: now, count: 0 },
            number: None,
            is_kept: false,
        });
        row.refusals.count += 1;
        row.refusals.last = row.refusals.last.max(now);
        row.is_kept = false;
    }

    /// What is to be written now.
    pub(super) fn news(&self) -> Vec<News> {
        let mut news: Vec<News> = self.0.values().filter(|row| !row.is_kept).map(Row::news).collect();
        news.sort_by_key(|(number, row)| (number.is_none(), *number, row.first));
        news
    }

    /// They have been written under these numbers; what is of an earlier minute than `now` is let go.
    pub(super) fn kept(&mut self, news: &[News], numbers: &[u64], now: Time) {
        let minute = now.unix() / 60;
        for ((_, written), number) in news.iter().zip(numbers) {
            let key = (written.first.unix() / 60, written.refusal.clone());
            if let Some(row) = self.0.get_mut(&key) {
                row.number = Some(*number);
                row.is_kept = row.refusals == *written;
            }
        }
        self.0.retain(|(of, _), row| !row.is_kept || *of == minute);
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
        let mut gathered = Gathered::default();
        gathered.note(refusal("kim"), NOON);
        gathered.note(refusal("kim"), NOON.plus(3));
        gathered.note(refusal("lee"), NOON);
        let news = gathered.news();
        let counts: Vec<_> = news.iter().map(|(number, row)| (*number, row.count)).collect();
        assert_eq!(counts.len(), 2);
        assert!(counts.contains(&(None, 2)) && counts.contains(&(None, 1)));
        gathered.kept(&news, &[7, 8], NOON.plus(10));
        assert!(gathered.news().is_empty());
        gathered.note(refusal("kim"), NOON.plus(11));
        let more = gathered.news();
        assert_eq!((more.len(), more[0].0.is_some(), more[0].1.count), (1, true, 3));
        gathered.kept(&more, &[7], NOON.plus(60));
        assert!(gathered.0.is_empty(), "the minute is over");
        gathered.note(refusal("kim"), NOON.plus(60));
        assert_eq!(gathered.news()[0].0, None, "another minute is another row");
    }

    #[test]
    fn what_came_while_it_was_written_is_written_the_next_time() {
        let mut gathered = Gathered::default();
        gathered.note(refusal("kim"), NOON);
        let news = gathered.news();
        gathered.note(refusal("kim"), NOON);
        gathered.kept(&news, &[1], NOON.plus(60));
        assert_eq!(gathered.news()[0].1.count, 2);
    }

    #[test]
    fn a_flood_takes_a_bounded_memory_and_is_counted_all_the_same() {
        let mut gathered = Gathered::default();
        for n in 0..3 * MOST {
            gathered.note(refusal(&n.to_string()), NOON);
        }
        assert_eq!(gathered.0.len(), MOST + 1);
        assert_eq!(gathered.news().iter().map(|(_, row)| row.count).sum::<u64>(), 3 * MOST as u64);
    }

    #[test]
    fn a_strangers_text_is_short_and_has_no_control_characters() {
        let refusal = Refusal::new("x\u{1b}[2J", None, &"/a".repeat(1000), "y");
        assert_eq!((refusal.claimed.as_str(), refusal.what.len()), ("x [2J", LONGEST));
    }
}
