//! A detail as bytes: a mask of what is there, then what is there.

use super::{Damaged, Reader, Writer};
use crate::model::{Country, Day, Detail, Severity, Time};

const REASON: u16 = 1;
const THREAT: u16 = 1 << 1;
const SEVERITY: u16 = 1 << 2;
const COUNTRY: u16 = 1 << 3;
const CONFIDENCE: u16 = 1 << 4;
const DETECTED: u16 = 1 << 5;
const LISTED: u16 = 1 << 6;
const EXPIRES: u16 = 1 << 7;
const UPSTREAM: u16 = 1 << 8;
const KNOWN: u16 = (1 << 9) - 1;

pub(super) fn put(writer: &mut Writer, detail: &Detail) {
    writer.number(mask(detail));
    writer.signed(detail.first_seen.unix());
    for text in [&detail.reason, &detail.threat, &detail.upstream_id].into_iter().flatten() {
        writer.bytes(text.as_bytes());
    }
    if let Some(severity) = detail.severity {
        writer.byte(severity as u8);
    }
    if let Some(country) = detail.country {
        writer.raw(country.as_str().as_bytes());
    }
    if let Some(confidence) = detail.confidence {
        writer.byte(confidence);
    }
    for day in [detail.detected, detail.listed].into_iter().flatten() {
        writer.signed(day.number().into());
    }
    if let Some(expires) = detail.expires {
        writer.signed(expires.unix());
    }
}

fn mask(detail: &Detail) -> u16 {
    let bit = |there: bool, bit: u16| if there { bit } else { 0 };
    bit(detail.reason.is_some(), REASON)
        | bit(detail.threat.is_some(), THREAT)
        | bit(detail.severity.is_some(), SEVERITY)
        | bit(detail.country.is_some(), COUNTRY)
        | bit(detail.confidence.is_some(), CONFIDENCE)
        | bit(detail.detected.is_some(), DETECTED)
        | bit(detail.listed.is_some(), LISTED)
        | bit(detail.expires.is_some(), EXPIRES)
        | bit(detail.upstream_id.is_some(), UPSTREAM)
}

pub(super) fn get(reader: &mut Reader) -> Result<Detail, Damaged> {
    let mask: u16 = reader.fitting()?;
    if mask & !KNOWN != 0 {
        return Err(Damaged("a detail has unknown parts"));
    }
    let has = |bit: u16| mask & bit != 0;
    Ok(Detail {
        first_seen: time(reader)?,
        reason: has(REASON).then(|| text(reader)).transpose()?,
        threat: has(THREAT).then(|| text(reader)).transpose()?,
        upstream_id: has(UPSTREAM).then(|| text(reader)).transpose()?,
        severity: has(SEVERITY).then(|| severity(reader)).transpose()?,
        country: has(COUNTRY).then(|| country(reader)).transpose()?,
        confidence: has(CONFIDENCE).then(|| reader.byte()).transpose()?,
        detected: has(DETECTED).then(|| day(reader)).transpose()?,
        listed: has(LISTED).then(|| day(reader)).transpose()?,
        expires: has(EXPIRES).then(|| time(reader)).transpose()?,
    })
}

fn text(reader: &mut Reader) -> Result<Box<str>, Damaged> {
    Ok(reader.text()?.into())
}

fn severity(reader: &mut Reader) -> Result<Severity, Damaged> {
    Severity::ALL.get(usize::from(reader.byte()?)).copied().ok_or(Damaged("a severity is unknown"))
}

fn country(reader: &mut Reader) -> Result<Country, Damaged> {
    let letters = reader.raw(2)?;
    std::str::from_utf8(letters).ok().and_then(Country::new).ok_or(Damaged("a country is not two letters"))
}

fn time(reader: &mut Reader) -> Result<Time, Damaged> {
    reader.signed()?.try_into().map_err(|_| Damaged("a moment is out of range"))
}

fn day(reader: &mut Reader) -> Result<Day, Damaged> {
    i32::try_from(reader.signed()?).map(Day::from_number).map_err(|_| Damaged("a day is out of range"))
}
