//! REGTECH's list: workbooks, pages, and all that is said to be one of them.

use super::fakes::data::{day, rows};
use super::fakes::regtech::{Fault, LIST, LOGIN_PAGE, PASSWORD, Regtech, USER, WORKBOOK};
use super::{fetch, now, read_by_program};
use ironlist::collect::portal::Gathering;
use ironlist::collect::regtech::{Client, Error, Row, Settings, Window, ndjson};
use ironlist::fetch::Failure;
use ironlist::fetch::FetchSettings;
use std::time::Duration;

pub(super) fn settings(portal: &Regtech) -> Settings {
    Settings { base_url: portal.server.url().to_owned(), pause_ms: 0, ..Settings::default() }
}

/// A client that has logged in.
async fn client(portal: &Regtech) -> Client {
    let mut client = Client::new(fetch(&portal.server), settings(portal)).unwrap();
    client.login(USER, PASSWORD, now()).await.unwrap();
    client
}

/// Ten rows a day in a week.
fn portal() -> Regtech {
    Regtech::start(rows(day("2026-06-04"), day("2026-06-10"), 10))
}

fn week() -> Window {
    Window { first: "2026-06-04".parse().unwrap(), last: "2026-06-10".parse().unwrap() }
}

/// The addresses and last days that the program reads from a download, in order.
fn listed(bytes: &[u8]) -> Vec<(String, String)> {
    let intake = read_by_program(bytes, Default::default()).unwrap();
    assert_eq!(intake.rejected, 0);
    intake
        .rows
        .iter()
        .map(|(range, detail)| (range.to_string(), detail.expires.unwrap().to_string()))
        .collect()
}

/// What the portal lists, as [`listed`] gives it.
fn truth(portal: &Regtech) -> Vec<(String, String)> {
    let state = portal.state();
    let mut all: Vec<_> = state
        .rows
        .iter()
        .map(|row| (row.ip.clone(), format!("{}T15:00:00Z", row.released.unwrap())))
        .collect();
    all.sort_by_key(|(ip, _)| ip.parse::<std::net::Ipv4Addr>().unwrap());
    all
}

async fn gather(client: &mut Client, window: Window) -> Result<Vec<Row>, Error> {
    let mut rows = Gathering::new(Row::key);
    client.gather(window, &mut rows).await?;
    Ok(rows.finish()?)
}

#[tokio::test]
async fn a_workbook_is_read_whether_it_has_one_sheet_or_three() {
    let portal = portal();
    let mut client = client(&portal).await;
    let one = client.workbook(week()).await.unwrap();
    assert_eq!(listed(&one), truth(&portal));
    portal.set(|state| state.all_tabs = true);
    let three = client.workbook(week()).await.unwrap();
    assert_eq!(listed(&three), truth(&portal));
    let asked = portal.server.asked().pop().unwrap();
    assert_eq!((asked.value("startDate"), asked.value("endDate")), ("20260604", "20260610"));
    assert_eq!((asked.value("tabSort"), asked.value("findCondition")), ("blacklist", "all"));
}

#[tokio::test]
async fn a_window_without_rows_is_a_success() {
    let portal = Regtech::start(Vec::new());
    let mut client = client(&portal).await;
    assert_eq!(listed(&client.workbook(week()).await.unwrap()), []);
    assert_eq!(gather(&mut client, week()).await.unwrap(), []);
}

#[tokio::test]
async fn the_pages_hold_what_the_workbook_holds() {
    let portal = portal();
    let mut client = client(&portal).await;
    for size in [10, 30, 50] {
        let mut settings = settings(&portal);
        settings.page_size = size;
        let mut client = Client::new(fetch(&portal.server), settings).unwrap();
        client.login(USER, PASSWORD, now()).await.unwrap();
        let before = portal.server.count(LIST);
        let rows = gather(&mut client, week()).await.unwrap();
        assert_eq!(portal.server.count(LIST) - before, 70_usize.div_ceil(size.into()));
        assert_eq!(rows[0].uuid, portal.state().rows[0].uuid);
        let mut read = listed(&ndjson(&rows));
        read.sort_by_key(|(ip, _)| ip.parse::<std::net::Ipv4Addr>().unwrap());
        assert_eq!(read, truth(&portal));
    }
    assert_eq!(listed(&client.workbook(week()).await.unwrap()), truth(&portal));
}

#[tokio::test]
async fn rows_that_shift_between_pages_come_once_and_none_is_missing() {
    let portal = portal();
    let before = portal.state().rows.clone();
    portal.misbehave([Fault::Shift(0), Fault::Shift(7)]);
    let rows = gather(&mut client(&portal).await, week()).await.unwrap();
    assert_eq!(rows.len(), before.len());
    assert!(before.iter().all(|row| rows.iter().any(|read| read.uuid == row.uuid)));
}

#[tokio::test]
async fn a_page_that_comes_again_is_a_fault() {
    let portal = portal();
    portal.misbehave([Fault::Shift(0), Fault::Repeat]);
    let error = gather(&mut client(&portal).await, week()).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("repeated_page", Failure::Broken));
}

#[tokio::test]
async fn a_page_in_euc_kr_reads_as_any_other() {
    let portal = portal();
    portal.misbehave([Fault::EucKr, Fault::EucKr]);
    let rows = gather(&mut client(&portal).await, week()).await.unwrap();
    assert_eq!((rows.len(), rows[0].reason.as_str()), (70, portal.state().rows[0].reason));
}

#[tokio::test]
async fn what_is_said_to_be_a_workbook_and_is_none_has_a_name() {
    let portal = portal();
    for (fault, code, kind) in [
        (Fault::NoSheets, "workbook_without_sheets", Failure::Broken),
        (Fault::Stub, "workbook_stub", Failure::Broken),
        (Fault::PageForWorkbook, "page_for_workbook", Failure::Broken),
        (Fault::LoginPage, "login_page", Failure::Broken),
        (Fault::Status(406), "foreign_address", Failure::Attention),
        (Fault::Status(503), "unexpected_status", Failure::SOON),
        (Fault::Status(404), "unexpected_status", Failure::Broken),
        (Fault::CutOff, "answer_truncated", Failure::SOON),
    ] {
        let mut client = client(&portal).await;
        portal.misbehave([fault]);
        let error = client.workbook(week()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
        assert_eq!(client.needs_login(), code == "login_page");
    }
}

#[tokio::test]
async fn a_download_that_drips_is_waited_for_only_so_long() {
    let portal = portal();
    let fetch = FetchSettings { timeout: Duration::from_secs(1), ..fetch(&portal.server) };
    let mut client = Client::new(fetch, settings(&portal)).unwrap();
    client.login(USER, PASSWORD, now()).await.unwrap();
    portal.misbehave([Fault::Drip(500, Duration::from_millis(5)), Fault::Drip(1, Duration::from_millis(20))]);
    assert_eq!(listed(&client.workbook(week()).await.unwrap()), truth(&portal));
    let error = client.workbook(week()).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("fetch_timeout", Failure::SOON));
}

#[tokio::test]
async fn an_answer_without_end_is_not_kept() {
    let portal = portal();
    let fetch = FetchSettings { size_limit: 4_000, ..fetch(&portal.server) };
    let mut client = Client::new(fetch, settings(&portal)).unwrap();
    client.login(USER, PASSWORD, now()).await.unwrap();
    let error = client.page(week(), 0).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("answer_too_large", Failure::Broken));
}

#[tokio::test]
async fn three_block_signals_in_a_row_end_the_asking() {
    for (fault, code) in [
        (Fault::Empty, "blocked_empty"),
        (Fault::Status(403), "blocked_forbidden"),
        (Fault::Status(429), "blocked_too_many"),
        (Fault::NoTable, "blocked_no_table"),
    ] {
        let portal = portal();
        portal.set(|state| state.mood = Some(fault));
        let error = client(&portal).await.workbook(week()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Failure::Blocked));
        assert_eq!(portal.server.count(WORKBOOK), 3);
        let error = client(&portal).await.page(week(), 0).await.unwrap_err();
        assert_eq!((error.code(), portal.server.count(LIST)), (code, 3));
    }
}

#[tokio::test]
async fn signals_that_are_not_in_a_row_end_nothing() {
    let portal = portal();
    let mut client = client(&portal).await;
    for _ in 0..3 {
        portal.misbehave([Fault::Empty, Fault::Status(429)]);
        assert_eq!(listed(&client.workbook(week()).await.unwrap()), truth(&portal));
    }
}

#[tokio::test]
async fn a_session_that_is_lost_is_made_anew_once() {
    let portal = portal();
    for status in [302, 401, 500] {
        let mut client = client(&portal).await;
        portal.misbehave([Fault::Shift(0), Fault::SessionOver(status)]);
        let mut rows = Gathering::new(Row::key);
        let error = client.gather(week(), &mut rows).await.unwrap_err();
        assert_eq!((error.code(), client.needs_login()), ("session_lost", true), "{status}");
        client.login(USER, PASSWORD, now()).await.unwrap();
        client.gather(week(), &mut rows).await.unwrap();
        assert_eq!(rows.finish().unwrap().len(), 70, "it goes on where it stopped");
        portal.set(|state| state.forget_sessions());
        let error = client.workbook(week()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("session_lost_again", Failure::Broken));
    }
    assert_eq!(portal.wrong_logins(), (0, false));
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let portal = portal();
    let mut settings = settings(&portal);
    settings.pause_ms = 60;
    let mut client = Client::new(fetch(&portal.server), settings).unwrap();
    client.login(USER, PASSWORD, now()).await.unwrap();
    portal.misbehave([Fault::Empty]);
    client.workbook(week()).await.unwrap();
    assert_eq!(portal.server.asked().len(), 5);
    // Measured where they arrive, so somewhat less than where they leave.
    assert!(portal.server.shortest_pause().unwrap() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_bomb_ends_its_reading_and_nothing_else() {
    let portal = portal();
    portal.misbehave([Fault::Bomb]);
    let book = client(&portal).await.workbook(week()).await.unwrap();
    assert_eq!(read_by_program(&book, Default::default()).unwrap_err().code(), "sheet_resources");
}

#[tokio::test]
async fn paths_can_be_set() {
    let portal = portal();
    let mut settings = settings(&portal);
    settings.paths.workbook = "/elsewhere".to_owned();
    let mut client = Client::new(fetch(&portal.server), settings).unwrap();
    client.login(USER, PASSWORD, now()).await.unwrap();
    assert_eq!(client.workbook(week()).await.unwrap_err().to_string(), "the portal answers with status 404");
    assert_eq!((portal.server.count("/elsewhere"), portal.server.count(LOGIN_PAGE)), (1, 1));
}
