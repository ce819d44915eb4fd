//! The date that a list carries itself: when its maker last made it.
//!
//! Pure. A server's date says when a file was copied; a list that has been dead for a year is
//! betrayed only by what it says of itself.

use crate::model::{Day, Time};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value};

/// How much of the beginning, and of the end, is looked at.
const HEAD: usize = 4096;
const HEAD_LINES: usize = 50;

/// Words of a line of the head that announce the date of the list.
const WORDS: [&str; 9] = [
    "updated",
    "update",
    "modified",
    "generated",
    "generation",
    "created",
    "published",
    "file date",
    "timestamp",
];
/// Keys of a document's description of itself.
const KEYS: [&str; 10] = [
    "generatedat",
    "generated",
    "generatedon",
    "timestamp",
    "updated",
    "updatedat",
    "lastupdated",
    "lastmodified",
    "created",
    "date",
];

/// The date that the list says it is of, if it says one.
pub fn dated(list: &[u8]) -> Option<Time> {
    let head = String::from_utf8_lossy(&list[..list.len().min(HEAD)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    match head.as_bytes().first()? {
        b'{' if is_record_a_line(head) => in_last_line(list),
        b'{' => in_document(head),
        _ => head.lines().take(HEAD_LINES).find_map(in_comment),
    }
}

/// `# Last updated: 2026-11-22 …`, the same without a colon in seconds, and the headline of a DROP
/// list.
fn in_comment(line: &str) -> Option<Time> {
    let text = line.trim().strip_prefix(['#', ';', '/'])?.trim_matches(['#', ';', '/', ' ', '\t']);
    let lower = text.to_ascii_lowercase();
    if let Some((_, day)) = lower.split_once("drop list ") {
        return moment(day);
    }
    if let Some(seconds) = lower.strip_prefix("last updated ") {
        return moment(seconds.split(' ').next()?);
    }
    let (name, value) = text.split_once(':')?;
    let name = name.trim().to_ascii_lowercase();
    WORDS.iter().any(|word| name.ends_with(word)).then(|| moment(value))?
}

/// A value that describes the document, before its first list begins.
fn in_document(head: &str) -> Option<Time> {
    let head = &head[..head.find('[').unwrap_or(head.len())];
    let parts: Vec<&str> = head.split('"').collect();
    // Between quotes: a key, then a colon and perhaps a number, then perhaps a text.
    parts.iter().enumerate().skip(1).step_by(2).find_map(|(at, key)| {
        let after = parts.get(at + 1)?.trim().strip_prefix(':')?.trim();
        let value = if after.is_empty() { parts.get(at + 2)? } else { after };
        is_key(key).then(|| moment(value.trim_end_matches([',', '}', ' ', '\n', '\r'])))?
    })
}

/// Whether a second line begins another record. What stands in those belongs to one row each.
fn is_record_a_line(head: &str) -> bool {
    head.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .nth(1)
        .is_some_and(|line| line.starts_with('{'))
}

/// The line in which a list of a record a line describes itself.
fn in_last_line(list: &[u8]) -> Option<Time> {
    let tail = String::from_utf8_lossy(&list[list.len().saturating_sub(HEAD)..]);
    let record: Map<String, Value> = serde_json::from_str(tail.trim_end().lines().last()?).ok()?;
    if record.get("type").and_then(Value::as_str) != Some("metadata") {
        return None;
    }
    let (_, value) = record.iter().find(|(key, _)| is_key(key))?;
    value.as_str().map_or_else(|| moment(&value.to_string()), moment)
}

fn is_key(key: &str) -> bool {
    let normal: String = key.chars().filter(|c| c.is_alphanumeric()).collect();
    KEYS.contains(&normal.to_ascii_lowercase().as_str())
}

/// A moment in any of the forms that lists use; without a zone it is UTC.
fn moment(text: &str) -> Option<Time> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        let seconds = if seconds > 100_000_000_000 { seconds / 1000 } else { seconds };
        return Some(Time::from_unix(seconds)).filter(|time| is_sane(*time));
    }
    let zoned = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    let zoned = zoned.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z"));
    if let Ok(zoned) = zoned {
        return Some(Time::from_unix(zoned.timestamp())).filter(|time| is_sane(*time));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().filter(|word| !is_zone(word)).take(5).collect();
    let time = ["%a %b %e %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&words.join(" "), form).ok())
        .or_else(|| of_numbers(&words))?;
    Some(Time::from_unix(time.and_utc().timestamp())).filter(|time| is_sane(*time))
}

/// `2026-11-22 10:00:00`, `2026/11/22`, `2026-11-22T10:00:00`, with whatever behind.
fn of_numbers(words: &[&str]) -> Option<NaiveDateTime> {
    let first = words.first()?;
    let (day, time) = first.split_once('T').unwrap_or((first, words.get(1).unwrap_or(&"")));
    let day: NaiveDate = super::super::parse_day(day).map(Day::date)?;
    let hour =
        |form| chrono::NaiveTime::parse_from_str(time.split('.').next().unwrap_or_default(), form).ok();
    Some(day.and_time(hour("%H:%M:%S").or_else(|| hour("%H:%M")).unwrap_or_default()))
}

fn is_zone(word: &str) -> bool {
    matches!(word.trim_matches(['(', ')']), "UTC" | "GMT" | "Z" | "+0000" | "+00:00")
}

/// Between the years 2000 and 2100: everything else is a number that means something else.
fn is_sane(time: Time) -> bool {
    (946_684_800..4_102_444_800).contains(&time.unix())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &str) -> Option<String> {
        dated(list.as_bytes()).map(|time| time.to_string())
    }

    #[test]
    fn the_head_of_every_usual_list_tells_its_date() {
        for (list, expected) in [
            ("# Last updated: 2026-11-22 10:00:05 UTC   #\n192.0.2.1\n", "2026-11-22T10:00:05Z"),
            (
                "; Spamhaus DROP List 2026/11/22 - (c) The Project\n192.0.2.0/24 ; SBL1\n",
                "2026-11-22T00:00:00Z",
            ),
            (
                "; Last-Modified: Sun, 22 Nov 2026 10:00:05 GMT\n; Expires: Mon, 23 Nov 2026 10:00:05 GMT\n",
                "2026-11-22T10:00:05Z",
            ),
            ("#\n# This File Date  : Sun Nov 22 10:00:05 UTC 2026\n", "2026-11-22T10:00:05Z"),
            ("# Last update: Sun, 22 Nov 2026 11:00:05 +0100\n", "2026-11-22T10:00:05Z"),
            ("# updated: 2026-11-22T19:00:05+09:00\n", "2026-11-22T10:00:05Z"),
            ("# last updated 1795341605 (Sun Nov 22 10:00:05 2026 GMT)\n", "2026-11-22T10:00:05Z"),
            ("# Generated at 10: no\n# Generated: 2026-11-22 10:00\n", "2026-11-22T10:00:00Z"),
            (
                "{\"meta\":{\"generatedAt\":\"2026-11-22T10:00:05+00:00\"},\"data\":[]}",
                "2026-11-22T10:00:05Z",
            ),
            ("{\"last_updated\": 1795341605, \"ips\": [1]}", "2026-11-22T10:00:05Z"),
            (
                "{\"cidr\":\"192.0.2.0/24\"}\n{\"type\":\"metadata\",\"timestamp\":1795341605,\"size\":1}\n",
                "2026-11-22T10:00:05Z",
            ),
        ] {
            assert_eq!(found(list).as_deref(), Some(expected), "{list}");
        }
    }

    #[test]
    fn what_is_said_of_anything_else_is_no_date_of_the_list() {
        for list in [
            "",
            "192.0.2.1 # updated: 2026-11-22\n",
            "# Expires: Mon, 23 Nov 2026 10:00:05 GMT\n",
            "# Update interval: 3600\n",
            "# updated: yesterday\n",
            "# updated: 5\n",
            "[{\"ip\":\"192.0.2.1\",\"timestamp\":\"2026-11-22T10:00:05Z\"}]",
            "{\"data\":[{\"ip\":\"192.0.2.1\",\"date\":\"2026-11-22\"}]}",
            "{\"ip\":\"192.0.2.1\"}\n{\"ip\":\"192.0.2.2\",\"timestamp\":1795341605}\n",
            "\u{1f}\u{8b}\u{8}binary",
        ] {
            assert_eq!(found(list), None, "{list}");
        }
    }
}
