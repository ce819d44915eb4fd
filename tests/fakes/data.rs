//! What the portals list: rows that look like theirs, the same in every test.

use chrono::{Days, NaiveDate};

/// What is listed, by whichever portal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// The record's id on the portal.
    pub(crate) uuid: String,
    pub(crate) ip: String,
    pub(crate) country: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) listed: NaiveDate,
    pub(crate) released: Option<NaiveDate>,
}

const COUNTRIES: [&str; 6] = ["CN", "US", "RU", "NL", "KR", "VN"];
const REASONS: [&str; 5] = [
    "SSH 무차별 대입 공격 탐지",
    "웹 취약점 스캐닝 공격 탐지",
    "Apache Log4j 원격코드 실행 공격 탐지",
    "악성코드 유포지 접속 <URL> 탐지",
    "SQL Injection & 정보 유출 시도 공격 탐지",
];

/// Row number `n`, listed on a day and released 90 to 166 days later. Every address is different and
/// globally reachable.
pub(crate) fn row(n: u32, listed: NaiveDate) -> Row {
    let at = |all: &[&'static str]| all[n as usize % all.len()];
    Row {
        uuid: format!("{n:08x}-6d2c-4f0e-9a51-3b7c5d1e{:04x}", n % 0xffff),
        ip: format!("{}.{}.{}.{}", 20 + n / 8_000_000, n / 50_000 % 160, n / 250 % 200, n % 250 + 1),
        country: at(&COUNTRIES),
        reason: at(&REASONS),
        listed,
        released: listed.checked_add_days(Days::new(90 + u64::from(n % 77))),
    }
}

/// `a_day` rows on each day of a period, newest first.
pub(crate) fn rows(first: NaiveDate, last: NaiveDate, a_day: u32) -> Vec<Row> {
    let days = first.iter_days().take_while(|day| *day <= last);
    let mut rows: Vec<Row> =
        days.flat_map(|day| (0..a_day).map(move |_| day)).zip(0..).map(|(day, n)| row(n, day)).collect();
    rows.reverse();
    rows
}

/// A day as tests write it.
pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}
