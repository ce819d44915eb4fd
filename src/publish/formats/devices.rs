//! What devices read that take one entry a line: alone, with its length, or with how sure and how grave it is.

use super::page::Page;
use super::sheet::Sheet;
use crate::addr::{IpRange, RangeSet, Word, write_address, write_prefix, write_span};
use crate::model::{Families, Format, Lines, Severity};
use md5::{Digest, Md5};
use std::io::{self, Write};

/// Entries, one a line, and nothing else. FortiGate, Sophos and Juniper take a comment for a broken entry, and
/// the others need none.
pub(super) fn lines(format: Format, sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let families = format.families();
    if families != Families::V6 {
        family(&sheet.selection.v4, sheet.lines, page)?;
    }
    if families != Families::V4 {
        family(&sheet.selection.v6, sheet.lines, page)?;
    }
    Ok(())
}

/// What firewalls poll all day is written straight from the set, in a third of the time.
fn family<W: Word>(set: &RangeSet<W>, lines: Lines, page: &mut Page<'_>) -> io::Result<()> {
    for range in set.iter() {
        match lines {
            Lines::Ranges => line(page, |out| write_span(out, range))?,
            Lines::Cidrs => {
                range
                    .prefixes()
                    .try_for_each(|(address, len)| line(page, |out| write_prefix(out, address, len)))?;
            }
            Lines::Addresses => {
                let above = |address: &W| address.next().filter(|next| *next <= range.last());
                let mut addresses = std::iter::successors(Some(range.first()), above);
                addresses.try_for_each(|address| line(page, |out| write_address(out, address)))?;
            }
        }
    }
    Ok(())
}

#[inline]
fn line(page: &mut Page<'_>, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    page.entry(|out| {
        write(out);
        out.push(b'\n');
    })
}

/// Entries with their length, also of single addresses: Juniper's feeds are of prefixes.
pub(super) fn juniper(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    prefixes(Format::Juniper, sheet, page, b"/", b"\n")
}

/// `address,length,list,category`. Without a category an entry gets the one that the feed list on the device
/// names; `bl` is the blacklist. The length is written because F5 takes an IPv6 address without one for a /64.
pub(super) fn f5(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    prefixes(Format::F5, sheet, page, b",", b",bl,\n")
}

fn prefixes(
    format: Format,
    sheet: &Sheet<'_>,
    page: &mut Page<'_>,
    between: &[u8],
    after: &[u8],
) -> io::Result<()> {
    sheet.pieces(format.families()).try_for_each(|(range, _)| {
        page.entry(|out| {
            match range {
                IpRange::V4(range) => write_address(out, range.first()),
                IpRange::V6(range) => write_address(out, range.first()),
            }
            out.extend_from_slice(between);
            write_number(out, range.level());
            out.extend_from_slice(after);
        })
    })
}

/// An include for nginx' `geo`, which finds an address among a million prefixes by its bits; `deny` would try
/// them one by one.
pub(super) fn nginx(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    sheet.write_entries(Format::Nginx.families(), "", " 1;\n", page)
}

/// Check Point's indicators: `name,value,type,confidence,severity,product,comment`. A field that is left empty
/// means the gateway's default. The name must be unique and is the value's, so that it stays from feed to feed.
pub(super) fn check_point(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    page.put("#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT\n")?;
    sheet.pieces(Format::CheckPoint.families()).try_for_each(|(range, facts)| {
        page.entry(|out| {
            out.extend_from_slice(b"ironlist-");
            sheet.write_range(out, range);
            out.push(b',');
            sheet.write_range(out, range);
            out.extend_from_slice(if range.size() == 1 { b",IP," } else { b",IP Range," });
            out.extend_from_slice(confidence(facts.and_then(|facts| facts.confidence)).as_bytes());
            out.push(b',');
            out.extend_from_slice(severity(facts.and_then(|facts| facts.severity)).as_bytes());
            out.extend_from_slice(b",AB,");
            for (at, source) in facts.iter().flat_map(|facts| facts.sources.iter()).enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b" " });
                out.extend_from_slice(source.as_str().as_bytes());
            }
            out.push(b'\n');
        })
    })
}

fn confidence(percent: Option<u8>) -> &'static str {
    match percent {
        None => "",
        Some(..50) => "low",
        Some(50..80) => "medium",
        Some(80..) => "high",
    }
}

fn severity(severity: Option<Severity>) -> &'static str {
    match severity {
        None => "",
        Some(Severity::Minor) => "low",
        Some(Severity::Warning) => "medium",
        Some(Severity::Critical) => "high",
        Some(Severity::Fatal) => "critical",
    }
}

/// The one category. Suricata reads new reputations while it runs but new categories only when it starts, so
/// they must not depend on what is listed.
const CATEGORY: &str = "1,Ironlist,Listed by Ironlist\n";

/// The categories file of [`suricata`].
pub(super) fn suricata_categories(page: &mut Page<'_>) -> io::Result<()> {
    page.put(CATEGORY)
}

/// `address,category,score`: how sure the sources are, from 1 to 127, where 0 would be "no data". What nobody
/// rates is listed all the same, with the highest score.
pub(super) fn suricata(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    sheet.pieces(Format::Suricata.families()).try_for_each(|(range, facts)| {
        let percent = facts.and_then(|facts| facts.confidence).unwrap_or(100).min(100);
        // 100 percent is 127.
        let score = 1 + u16::from(percent) * 126 / 100;
        page.entry(|out| {
            sheet.write_range(out, range);
            out.extend_from_slice(b",1,");
            write_number(out, score);
            out.push(b'\n');
        })
    })
}

/// The MD5 of what [`lines`] writes for Cisco, as its second address gives it: polled every five minutes, the
/// list itself is fetched only when this differs.
pub(super) fn cisco_digest(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut digest = Digesting(Md5::new());
    let mut list = Page::new(&mut digest);
    lines(Format::Cisco, sheet, &mut list)?;
    list.finish()?;
    page.put(crate::disk::hex(&digest.0.finalize()))?;
    page.put("\n")
}

/// Bytes that are only digested.
struct Digesting(Md5);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends a number of at most three digits without making a string of it first.
fn write_number(out: &mut Vec<u8>, number: impl Into<u16>) {
    let number = number.into();
    let digit = |tens: u16| b'0' + (number / tens % 10) as u8;
    let digits = [digit(100), digit(10), digit(1)];
    let skip = if number < 10 { 2 } else { usize::from(number < 100) };
    out.extend_from_slice(&digits[skip..]);
}
