//! One line of a list without columns, in any of the forms such lists use.

use super::error::RowFault;
use super::rows::{Fields, Sink, Tally};
use super::{LONGEST_LINE, Layout};
use crate::addr::{Fault, IpRange, parse_between, parse_range};

/// What a line states; nothing, if it is one that belongs to the form but names no address.
type Statement<'a> = Option<(IpRange, Fields<'a>)>;

/// Reads one line: a row, several (values between commas), a rejected value, or nothing.
pub(super) fn read<S: Sink>(line: &str, number: u64, layout: &Layout, rows: &mut Tally<'_, S>) {
    let line = line.trim();
    if line.is_empty() || layout.is_comment(line) {
        return;
    }
    if let Some(values) = several(line) {
        for value in values.split(',').map(str::trim).filter(|value| !value.is_empty()) {
            let read = parse_range(value.as_bytes()).map_err(RowFault::Value);
            rows.put(number, value, read.map(|range| (range, Fields::NONE)));
        }
        return;
    }
    if line.len() > LONGEST_LINE {
        return rows.reject(number, line, RowFault::LineTooLong);
    }
    match statement(line, layout) {
        Ok(Some((range, fields))) => rows.row(number, range, &fields),
        Ok(None) => {}
        Err(fault) => rows.reject(number, line, fault.into()),
    }
}

/// The values of a line that holds several: `[a,b]`, alone or in a Snort rule, or `a,b`.
///
/// Such lines are as long as their lists; what is bounded is each value.
fn several(line: &str) -> Option<&str> {
    let rule = ["alert ", "drop ", "reject ", "block "].iter().any(|action| line.starts_with(action));
    if line.starts_with('[') || rule {
        let (_, list) = line.split_once('[')?;
        return list.split_once(']').map(|(values, _)| values);
    }
    let (first, _) = line.split_once(',')?;
    parse_range(first.as_bytes()).is_ok().then_some(line)
}

fn statement<'a>(line: &'a str, layout: &Layout) -> Result<Statement<'a>, Fault> {
    let (value, comment) = layout.split_comment(line);
    match parse_range(value.as_bytes()) {
        Ok(range) => Ok(Some((range, comment_fields(comment)))),
        Err(fault) => other_form(line, value).unwrap_or(Err(fault)),
    }
}

/// What the comment behind a value says: a DROP list's id, a reputation list's columns, or why.
fn comment_fields(comment: &str) -> Fields<'_> {
    let digits = comment.strip_prefix("SBL").filter(|id| !id.is_empty());
    if digits.is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit())) {
        return Fields { upstream_id: Some(comment), ..Fields::NONE };
    }
    reputation(comment).unwrap_or(Fields { reason: given(comment), ..Fields::NONE })
}

/// `reliability#risk#type;type#country#city#…`, reliability and risk from 1 to 10.
fn reputation(columns: &str) -> Option<Fields<'_>> {
    let mut columns = columns.split('#').map(str::trim);
    let (reliability, risk) = (columns.next()?, columns.next()?);
    let (kinds, country) = (columns.next()?, columns.next()?);
    let reliability: u8 = reliability.parse().ok().filter(|n| *n <= 10)?;
    risk.parse::<u8>().ok()?;
    let confidence = Some(reliability * 10);
    Some(Fields { threat_type: given(kinds), country: given(country), confidence, ..Fields::NONE })
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The forms in which the address is not the first thing or not the only one.
fn other_form<'a>(line: &'a str, value: &'a str) -> Option<Result<Statement<'a>, Fault>> {
    named_range(line).or_else(|| tor_exit(value)).or_else(|| access_list(value)).or_else(|| columns(value))
}

/// `name:a-b`; the name may hold anything, also colons and what elsewhere begins a comment.
fn named_range(line: &str) -> Option<Result<Statement<'_>, Fault>> {
    let (name, range) = line.rsplit_once(':')?;
    let (first, last) = range.split_once('-').filter(|(first, _)| first.contains('.'))?;
    let fields = Fields { reason: given(name.trim()), ..Fields::NONE };
    Some(parse_between(first.as_bytes(), last.as_bytes()).map(|range| Some((range, fields))))
}

/// The blocks of Tor's list of exit addresses, in which one line of several has an address.
fn tor_exit(value: &str) -> Option<Result<Statement<'_>, Fault>> {
    match value.split_once(' ')? {
        ("ExitAddress", rest) => {
            let (address, date) = rest.split_once(' ').unwrap_or((rest, ""));
            let fields = Fields { detected: given(date.trim()), ..Fields::NONE };
            Some(parse_range(address.as_bytes()).map(|range| Some((range, fields))))
        }
        ("ExitNode" | "Published" | "LastStatus", _) => Some(Ok(None)),
        _ => None,
    }
}

/// `access-list … deny ip NET MASK any` and `… deny ip host A any`; what permits lists nothing.
fn access_list(value: &str) -> Option<Result<Statement<'_>, Fault>> {
    let mut words = value.split_ascii_whitespace();
    if words.next() != Some("access-list") {
        return None;
    }
    let Some(_) = words.find(|word| *word == "deny") else {
        return Some(Ok(None));
    };
    let (_protocol, net, mask) = (words.next()?, words.next()?, words.next()?);
    let range = match net {
        "host" => parse_range(mask.as_bytes()),
        _ => parse_range(format!("{net}/{mask}").as_bytes()),
    };
    Some(range.map(|range| Some((range, Fields::NONE))))
}

/// A range, blanks, and more: `a b bits …` (first, last, prefix length), or anything that says why.
fn columns(value: &str) -> Option<Result<Statement<'_>, Fault>> {
    let (first, rest) = value.split_once(|c: char| c.is_ascii_whitespace())?;
    let (second, third) =
        rest.trim_start().split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
    // Three dots and not two: dates are written with those.
    if second.starts_with(|c: char| c.is_ascii_digit()) && second.matches('.').count() == 3 {
        let bits = third.split_ascii_whitespace().next().and_then(|bits| bits.parse::<u8>().ok());
        let range = bits.map(|_| parse_between(first.as_bytes(), second.as_bytes()))?;
        return Some(range.map(|range| Some((range, Fields::NONE))));
    }
    // A dash announces a second address: one that cannot be read must not be taken for a remark.
    let range = parse_range(first.as_bytes()).ok().filter(|_| !second.starts_with('-'))?;
    let remark = given(rest.trim()).filter(|rest| !rest.bytes().all(|b| b.is_ascii_digit()));
    Some(Ok(Some((range, Fields { reason: remark, ..Fields::NONE }))))
}
