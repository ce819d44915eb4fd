//! Pure writers of a [`Sheet`] into the bytes of each format. They read no clock and draw no lots: the same sheet
//! is the same bytes on every machine. Nothing here knows HTTP, files, or why something is listed.
//!
//! **Hostile text.** Threats and reasons are written by strangers. They reach only formats that can quote them
//! (JSON, CSV, workbooks); configurations, scripts and zones carry addresses, numbers and our own names.
//!
//! **Nothing.** An empty selection is written as what the reader takes for nothing. Whether it may be served is
//! not decided here.

mod csv;
mod devices;
mod dns;
pub(super) mod ids;
mod json;
mod linux;
mod mikrotik;
mod misp;
mod page;
mod row;
mod sheet;
pub(super) mod stix;
mod xlsx;

pub(super) use row::one_line;
pub use sheet::{Counts, Sheet, WriteError};
pub(super) use sheet::{Cut, MOST_ADDRESSES};

use crate::model::{Document, Format};
use page::Page;
use std::io;

/// Writes one document of a format, and says what is in it. It goes out in blocks: nothing but a workbook is ever
/// in memory as a whole.
///
/// # Errors
/// [`WriteError`]; what has been written by then is of no use.
pub fn write(document: Document, sheet: &Sheet<'_>, out: &mut dyn io::Write) -> Result<Counts, WriteError> {
    let format = document.format();
    let sheet = sheet.as_taken_by(format)?;
    let mut page = Page::new(out);
    match document {
        Document::List(format) => list(format, &sheet, &mut page)?,
        Document::CiscoDigest => devices::cisco_digest(&sheet, &mut page)?,
        Document::SuricataCategories => devices::suricata_categories(&mut page)?,
        Document::MispManifest => misp::manifest(&sheet, &mut page)?,
        Document::MispHashes => misp::hashes(&sheet, &mut page)?,
    }
    Ok(sheet.counts(format, page.finish()?))
}

fn list(format: Format, sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    match format {
        Format::Plain
        | Format::Fortigate
        | Format::PaloAlto
        | Format::Cisco
        | Format::Sophos
        | Format::Opnsense
        | Format::Haproxy => devices::lines(format, sheet, page),
        Format::CheckPoint => devices::check_point(sheet, page),
        Format::F5 => devices::f5(sheet, page),
        Format::Juniper => devices::juniper(sheet, page),
        Format::Mikrotik => mikrotik::write(sheet, page),
        Format::Nftables => linux::nftables(sheet, page),
        Format::Ipset => linux::ipset(sheet, page),
        Format::Nginx => devices::nginx(sheet, page),
        Format::Suricata => devices::suricata(sheet, page),
        Format::Csv => csv::write(sheet, page),
        Format::Json => json::document(sheet, page),
        Format::Ndjson => json::lines(sheet, page),
        Format::Xlsx => xlsx::write(sheet, page),
        Format::Stix => stix::write(sheet, page),
        Format::Misp => misp::event(sheet, page),
        Format::Rpz => dns::rpz(sheet, page),
        Format::Rbldnsd => dns::rbldnsd(sheet, page),
    }
}

/// The name under which a document of the feed is offered and saved.
pub fn file_name(document: Document, feed: &str) -> String {
    match document {
        Document::List(Format::Misp) => format!("{}.json", misp::event_id(feed)),
        Document::List(format) => format!("{feed}.{}", format.extension()),
        Document::CiscoDigest => format!("{feed}.md5"),
        Document::SuricataCategories => format!("{feed}.categories"),
        Document::MispManifest => "manifest.json".to_owned(),
        Document::MispHashes => "hashes.csv".to_owned(),
    }
}

#[cfg(test)]
mod tests;
