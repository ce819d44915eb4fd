//! From a file's rows to listings: dates in the source's zone, words in our terms, limits.
//!
//! Knows formats and the model; not where the bytes come from, nor what becomes of the listings.

use super::dates::{parse_day, parse_expiry};
use super::formats::{self, Fields, Options, ReadError, Refused, RowFault, Sink};
use crate::addr::IpRange;
use crate::model::{Country, Detail, Policy, Rows, RowsBuilder, Scope, TooBroad};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Line errors kept to be told; all are counted.
const ERRORS: usize = 1_000;
const VALUE_CHARS: usize = 80;

/// What holds for every listing of a file that does not say otherwise itself.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Reason, country, expiry and the rest by default.
    pub detail: Detail,
    /// The zone of the file's calendar days.
    pub zone: Tz,
    /// What the file cannot mean.
    pub too_broad: TooBroad,
    /// Days after its day of listing on which a row ends that does not say when.
    pub lasts: Option<u16>,
}

impl Terms {
    /// What holds for a file of a source with that policy.
    pub fn new(detail: Detail, policy: &Policy) -> Self {
        Self { detail, zone: policy.zone, too_broad: policy.too_broad, lasts: None }
    }
}

/// A line that gave no listing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineError {
    /// Counted from 1; a record or a sheet's row likewise.
    pub line: u64,
    /// The beginning of what stood there.
    pub value: String,
    /// The stable code.
    pub code: Cow<'static, str>,
    /// The same for a person.
    pub detail: String,
}

/// What a file came to.
#[derive(Debug, Default)]
pub struct Intake {
    /// The listings.
    pub rows: Rows,
    /// Rows read, those given twice included.
    pub read: u64,
    /// Lines that gave none.
    pub rejected: u64,
    /// Ranges given more than once; the latest listing counts, of equals the last.
    pub duplicates: u64,
    /// The first of the errors.
    pub errors: Vec<LineError>,
}

impl Intake {
    /// What the file says of its source: everything, if it is the `whole` of it, or a part.
    ///
    /// # Errors
    /// [`ReadError::NothingListed`] for a whole without any listing, [`ReadError::WholeMostlyBad`] for one with
    /// more wrong lines than right ones, however short: a list that lost its content on the way must not
    /// end all that its source has ever said.
    pub fn scope(&self, whole: bool) -> Result<Scope, ReadError> {
        let Self { read, rejected, .. } = *self;
        match whole {
            true if self.rows.is_empty() => Err(ReadError::NothingListed { rejected }),
            true if rejected > read => Err(ReadError::WholeMostlyBad { rows: read, rejected }),
            true => Ok(Scope::Whole),
            false => Ok(Scope::Part),
        }
    }
}

/// Reads a file into listings. Blocks; large plain lists are read on all cores.
///
/// # Errors
/// The file as a whole cannot be used.
pub fn read(input: &[u8], options: &Options, terms: &Terms) -> Result<Intake, ReadError> {
    let (_, parts) = formats::read_in_parts(input, options, || Part::new(terms))?;
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_else(|| Part::new(terms));
    for part in parts {
        all.rows.append(part.rows);
        all.rejected += part.rejected;
        all.errors.extend(part.errors);
    }
    all.errors.truncate(ERRORS);
    let read = all.rows.len() as u64;
    let (rows, duplicates) = all.rows.finish();
    Ok(Intake { rows, read, rejected: all.rejected, duplicates: duplicates as u64, errors: all.errors })
}

struct Part<'t> {
    terms: &'t Terms,
    rows: RowsBuilder,
    rejected: u64,
    errors: Vec<LineError>,
}

impl<'t> Part<'t> {
    fn new(terms: &'t Terms) -> Self {
        Self { terms, rows: RowsBuilder::default(), rejected: 0, errors: Vec::new() }
    }

    fn error(&mut self, line: u64, value: &str, code: &'static str, detail: String) {
        self.rejected += 1;
        if self.errors.len() < ERRORS {
            let value = value.chars().take(VALUE_CHARS).collect();
            self.errors.push(LineError { line, value, code: code.into(), detail });
        }
    }
}

impl Sink for Part<'_> {
    fn row(&mut self, _: u64, range: IpRange, fields: &Fields<'_>) -> Result<(), Refused> {
        let most = self.terms.too_broad;
        if most.excludes(range) {
            return Err(Refused {
                value: range.to_string(),
                fault: RowFault::TooBroad { v4: most.v4, v6: most.v6 },
            });
        }
        if *fields == Fields::NONE {
            self.rows.push(range, &self.terms.detail);
        } else {
            self.rows.push(range, &detail(fields, self.terms)?);
        }
        Ok(())
    }

    fn reject(&mut self, line: u64, value: &str, fault: RowFault) {
        self.error(line, value, fault.code(), fault.to_string());
    }
}

fn detail(fields: &Fields<'_>, terms: &Terms) -> Result<Detail, Refused> {
    let bad_date = |text: &str| Refused { value: text.to_owned(), fault: RowFault::BadDate };
    let base = &terms.detail;
    let text = |given: Option<&str>, base: &Option<Box<str>>| {
        given.map(str::trim).filter(|t| !t.is_empty()).map(Box::from).or_else(|| base.clone())
    };
    let day = |given: Option<&str>| match given.map(str::trim).filter(|t| !matches!(*t, "" | "-")) {
        None => Ok(None),
        Some(text) => parse_day(text).map(Some).ok_or_else(|| bad_date(text)),
    };
    let listed = day(fields.listed)?.or(base.listed);
    let lasts = listed.zip(terms.lasts).map(|(day, days)| day.plus(days.into()).end_in(terms.zone));
    let expires = match fields.expires.map(str::trim).filter(|t| !matches!(*t, "" | "-")) {
        None => base.expires.or(lasts),
        Some(text) => Some(parse_expiry(text, terms.zone).ok_or_else(|| bad_date(text))?),
    };
    Ok(Detail {
        reason: text(fields.reason, &base.reason),
        threat: text(fields.threat_type, &base.threat),
        // Words that are none of ours say nothing about the listing, and do not cost it.
        severity: fields.severity.and_then(|s| s.trim().parse().ok()).or(base.severity),
        country: fields.country.and_then(|c| Country::new(c.trim())).or(base.country),
        confidence: fields.confidence.or(base.confidence),
        detected: day(fields.detected)?.or(base.detected),
        listed,
        expires,
        first_seen: base.first_seen,
        upstream_id: text(fields.upstream_id, &base.upstream_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let detail = Detail { reason: Some("default".into()), ..Detail::default() };
        Terms::new(detail, &Policy::default())
    }

    #[test]
    fn good_lines_are_kept_and_bad_ones_named() {
        let text = b"20.0.0.1\n20.0.0.01\n0.0.0.0/1\n20.0.0.1\n2a00::/32\n";
        let intake = read(text, &Options::default(), &terms()).unwrap();
        let codes: Vec<_> = intake.errors.iter().map(|e| (e.line, &*e.code)).collect();
        assert_eq!(codes, [(2, "leading_zero"), (3, "too_broad")]);
        assert_eq!((intake.read, intake.duplicates, intake.rejected, intake.rows.len()), (3, 1, 2, 2));
    }

    #[test]
    fn the_limits_of_a_source_are_its_own() {
        let terms = Terms { too_broad: TooBroad { v4: 24, v6: 19 }, ..terms() };
        let intake = read(b"20.0.0.0/24\n20.0.0.0/23\n", &Options::default(), &terms).unwrap();
        assert_eq!((intake.rows.len(), &*intake.errors[0].code), (1, "too_broad"));
        assert!(intake.errors[0].detail.contains("/24"), "{}", intake.errors[0].detail);
    }

    #[test]
    fn a_whole_without_a_listing_is_refused_and_a_part_is_not() {
        for (text, whole, refused) in [
            ("nonsense\n", true, true),
            ("# nothing\n", true, true),
            ("nonsense\n", false, false),
            ("nonsense\n20.0.0.1\n", true, false),
            ("nonsense\n20.0.0.1\n0.0.0.0/1\n", true, true),
            ("nonsense\n20.0.0.1\n0.0.0.0/1\n", false, false),
        ] {
            let intake = read(text.as_bytes(), &Options::default(), &terms()).unwrap();
            assert_eq!(intake.scope(whole).is_err(), refused, "{text:?} {whole}");
        }
    }

    #[test]
    fn lines_that_the_intake_refuses_count_when_a_file_is_judged() {
        let bad: String = (0..99).map(|n| format!("20.0.0.{n},yesterday\n")).collect();
        let text = format!("ip,detected\n{bad}20.0.1.1,2026-11-20\n");
        let error = read(text.as_bytes(), &Options::default(), &terms()).unwrap_err();
        assert_eq!(error.code(), "mostly_bad");
        assert!(
            error
                .to_string()
                .contains("99 lines are wrong, 1 are right; line 2: \"yesterday\" this is no date"),
            "{error}"
        );
    }

    #[test]
    fn a_csv_says_what_the_defaults_do_not() {
        let text = "IP,국가,등록사유,등록일,해제일\n20.0.0.1,kr,스캔,2026-06-01,2026-09-01\n20.0.0.2,,,,\n";
        let intake = read(text.as_bytes(), &Options::default(), &terms()).unwrap();
        let details: Vec<_> = intake.rows.iter().map(|(_, detail)| detail.clone()).collect();
        assert_eq!(details[0].country, Country::new("KR"));
        assert_eq!(details[0].expires.unwrap().to_string(), "2026-09-01T15:00:00Z");
        assert_eq!(details[1].reason.as_deref(), Some("default"));
    }

    #[test]
    fn a_row_without_a_release_day_lasts_days_after_its_listing_where_the_source_says_so() {
        let text = "ip,listed,expires\n20.0.0.1,2026-06-01,\n20.0.0.2,2026-06-01,2026-07-01\n20.0.0.3,,\n";
        let ends = |terms: &Terms| -> Vec<_> {
            let intake = read(text.as_bytes(), &Options::default(), terms).unwrap();
            intake.rows.iter().map(|(_, detail)| detail.expires.map(|end| end.to_string())).collect()
        };
        let said = Some("2026-07-01T15:00:00Z".to_owned());
        assert_eq!(ends(&terms()), [None, said.clone(), None]);
        let lasting = Terms { lasts: Some(90), ..terms() };
        assert_eq!(ends(&lasting), [Some("2026-08-30T15:00:00Z".to_owned()), said, None]);
    }
}
