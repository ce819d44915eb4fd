//! What an answer to a request for data really is. Pure.

use super::error::{Error, Signal};
use super::list::{self, Page};
use super::session::is_login_page;
use crate::collect::portal::{Answer, LARGEST_PAGE};
use bytes::Bytes;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Below this, what is no workbook is not worth telling apart.
const STUB: usize = 1_000;
/// More of the part that names the sheets is not looked at.
const PART: u64 = 64 << 10;
const ZIP: &[u8] = b"PK";
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";

/// An answer that is not data.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A sign that the portal has had enough.
    Signal(Signal),
    /// The session is gone, and how that shows.
    SessionOver(&'static str),
    /// Something else.
    Failed(Error),
}

/// What every answer must be.
fn usual(answer: Answer) -> Result<Answer, Trouble> {
    match answer.status.as_u16() {
        200 if answer.body.trim_ascii().is_empty() => Err(Trouble::Signal(Signal::Empty)),
        200 => Ok(answer),
        401 => Err(Trouble::SessionOver("status 401")),
        500 => Err(Trouble::SessionOver("status 500")),
        300..=399 if answer.location.as_deref().is_some_and(|at| at.contains("login")) => {
            Err(Trouble::SessionOver("led to the login page"))
        }
        403 => Err(Trouble::Signal(Signal::Forbidden)),
        429 => Err(Trouble::Signal(Signal::TooMany)),
        406 => Err(Trouble::Failed(Error::Foreign)),
        status => Err(Trouble::Failed(Error::Status(status))),
    }
}

/// The sign of the firewall in an answer to a login, if there is one.
pub(super) fn signal(answer: &Answer) -> Option<Signal> {
    match answer.status.as_u16() {
        403 => Some(Signal::Forbidden),
        429 => Some(Signal::TooMany),
        200 if answer.body.trim_ascii().is_empty() => Some(Signal::Empty),
        _ => None,
    }
}

/// The workbook, by its first bytes: what headers say of it means nothing.
pub(super) fn workbook(answer: Answer) -> Result<Bytes, Trouble> {
    let answer = usual(answer)?;
    let bytes = &answer.body;
    let failed = |error| Err(Trouble::Failed(error));
    if bytes.starts_with(OLE) {
        return Ok(answer.body);
    }
    if bytes.starts_with(ZIP) {
        return match has_no_sheets(bytes) {
            Some(true) => failed(Error::NoSheets),
            Some(false) => Ok(answer.body),
            None if bytes.len() < STUB => failed(Error::Stub(bytes.len())),
            None => failed(Error::NotAWorkbook(bytes.len())),
        };
    }
    if bytes.len() > LARGEST_PAGE {
        return failed(Error::NotAWorkbook(bytes.len()));
    }
    if is_login_page(&answer) {
        return failed(Error::LoginPage);
    }
    if answer.is_html() {
        // With the table it is the list, given in place of the workbook; without, a sign.
        let has_list = list::page(&answer.text()).is_some();
        return if has_list { failed(Error::PageForWorkbook) } else { Err(Trouble::Signal(Signal::NoTable)) };
    }
    failed(if bytes.len() < STUB { Error::Stub(bytes.len()) } else { Error::NotAWorkbook(bytes.len()) })
}

/// A page of the list.
pub(super) fn page(answer: Answer) -> Result<Page, Trouble> {
    let answer = usual(answer)?;
    if is_login_page(&answer) {
        return Err(Trouble::Failed(Error::LoginPage));
    }
    list::page(&answer.text()).ok_or(Trouble::Signal(Signal::NoTable))
}

/// Whether a workbook names no sheets; `None`: it is no workbook. Only looks; the reading is done
/// elsewhere, where a bomb does no harm.
fn has_no_sheets(bytes: &[u8]) -> Option<bool> {
    if bytes.len() > LARGEST_PAGE {
        // One without a sheet is small; the list of what is in a large one may itself be a bomb.
        return Some(false);
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let part = archive.by_name("xl/workbook.xml").ok()?;
    let mut text = Vec::new();
    part.take(PART).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    Some(!text.contains("<sheet ") && !text.contains(":sheet "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        let (status, location) = (StatusCode::from_u16(status).unwrap(), location.map(str::to_owned));
        Answer { status, location, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[track_caller]
    fn trouble(answer: Answer) -> String {
        match workbook(answer).unwrap_err() {
            Trouble::Signal(signal) => format!("{signal:?}"),
            Trouble::SessionOver(_) => "over".to_owned(),
            Trouble::Failed(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn what_is_no_workbook_has_a_name() {
        for (status, location, body, name) in [
            (200, None, "", "Empty"),
            (200, None, " \r\n", "Empty"),
            (403, None, "x", "Forbidden"),
            (429, None, "", "TooMany"),
            (401, None, "", "over"),
            (500, None, "<html>", "over"),
            (302, Some("/login/loginForm?x"), "", "over"),
            (302, Some("/main/main"), "", "unexpected_status"),
            (406, None, "", "foreign_address"),
            (503, None, "<html>", "unexpected_status"),
            (200, None, "error", "workbook_stub"),
            (200, None, "PK and nothing", "workbook_stub"),
            (200, None, "\n\n<!DOCTYPE html><form action='/login/addLogin'>", "login_page"),
            (200, None, "<html>wait</html>", "NoTable"),
            (200, None, "<table><caption>요주의 IP 목록</caption><th>IP</th></table>", "page_for_workbook"),
        ] {
            assert_eq!(trouble(answer(status, location, body)), name, "{status} {body}");
        }
        assert_eq!(trouble(answer(200, None, &"x".repeat(1_000))), "not_a_workbook");
        assert_eq!(trouble(answer(200, None, &format!("PK{}", "x".repeat(1_000)))), "not_a_workbook");
    }

    #[test]
    fn the_older_kind_of_workbook_is_taken_too() {
        let body = Bytes::from_static(b"\xd0\xcf\x11\xe0 and more");
        let answer = Answer { status: StatusCode::OK, location: None, body: body.clone() };
        assert_eq!(workbook(answer).unwrap(), body);
    }
}
