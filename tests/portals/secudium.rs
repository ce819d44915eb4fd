//! SECUDIUM's posts and attachments, and all that is said to be one of them.

use super::fakes::books::{self, Sheet};
use super::fakes::data::{Row, day, rows};
use super::fakes::secudium::{
    DOWNLOAD, Fault, LOGOUT, PASSWORD, POSTS, Post, Secudium, TimeForm, USER, cells,
};
use super::{fetch, read_by_program};
use ironlist::collect::secudium::{Attachment, Client, Error, Login, Settings};
use ironlist::fetch::Failure;
use ironlist::model::{Day, Detail};
use std::time::Duration;

pub(super) fn settings(portal: &Secudium) -> Settings {
    Settings { base_url: portal.server.url().to_owned(), pause_ms: 0, ..Settings::default() }
}

async fn client(portal: &Secudium) -> Client {
    let mut client = Client::new(fetch(&portal.server), settings(portal)).unwrap();
    assert_eq!(client.login(USER, PASSWORD).await.unwrap(), Login::Done);
    client
}

fn june() -> (Day, Day) {
    ("2026-06-01".parse().unwrap(), "2026-06-30".parse().unwrap())
}

/// A day's rows.
fn listed() -> Vec<Row> {
    rows(day("2026-06-09"), day("2026-06-09"), 113)
}

fn book(form: TimeForm) -> Vec<u8> {
    books::poi(&[Sheet { name: "Sheet1", rows: cells(&listed(), form) }])
}

/// A post each day, the newest first; every third has no button.
fn posts(count: u32) -> Vec<Post> {
    let file = |n: u32| (!n.is_multiple_of(3)).then(|| ("Black IP.xlsx", book(TimeForm::Text)));
    (0..count).map(|n| Post::new(9_000 - n, &format!("2026-06-{:02}", 30 - n / 8), file(n))).collect()
}

#[tokio::test]
async fn posts_of_every_page_are_read_and_attachments_only_where_there_is_a_button() {
    let portal = Secudium::start(posts(94));
    for size in [7, 94, 100] {
        let settings = Settings { page_size: size, ..settings(&portal) };
        let mut client = Client::new(fetch(&portal.server), settings).unwrap();
        client.login(USER, PASSWORD).await.unwrap();
        let before = portal.server.count(POSTS);
        let (first, last) = june();
        let read = client.posts(first, last).await.unwrap();
        assert_eq!(portal.server.count(POSTS) - before, 94_usize.div_ceil(size.into()));
        assert_eq!((read.len(), read[0].id.as_str(), read[0].posted), (94, "9000", Some(last)));
        assert_eq!(read.iter().filter(|post| post.attachment.is_none()).count(), 32);
    }
}

#[tokio::test]
async fn a_period_without_posts_is_a_success() {
    let portal = Secudium::start(posts(20));
    let mut client = client(&portal).await;
    let (first, last) = ("2026-05-01".parse().unwrap(), "2026-05-31".parse().unwrap());
    assert_eq!(client.posts(first, last).await.unwrap(), []);
}

#[tokio::test]
async fn an_attachment_is_read_whatever_form_its_times_have() {
    for form in [TimeForm::Text, TimeForm::Korean, TimeForm::Serial] {
        let portal =
            Secudium::start(vec![Post::new(1, "2026-06-10", Some(("공격 IP (6월).xls", book(form))))]);
        let mut client = client(&portal).await;
        let post = client.posts(june().0, june().1).await.unwrap().remove(0);
        let bytes = client.attachment(&post.attachment.unwrap()).await.unwrap();
        let detail = Detail { listed: post.posted, ..Detail::default() };
        let intake = read_by_program(&bytes, detail).unwrap();
        assert_eq!((intake.rows.len(), intake.rejected), (113, 0), "{form:?}");
        let wanted = &listed()[0];
        let (_, detail) = intake.rows.iter().find(|(range, _)| range.to_string() == wanted.ip).unwrap();
        assert_eq!(detail.detected.unwrap().to_string(), "2026-06-09", "{form:?}");
        assert_eq!(detail.listed.unwrap().to_string(), "2026-06-10");
        assert_eq!(
            (detail.threat.as_deref(), detail.reason.as_deref()),
            (Some("Hacking"), Some(wanted.reason))
        );
        assert_eq!(detail.severity.unwrap().as_str(), "minor");
        assert_eq!(detail.country.unwrap().as_str(), wanted.country);
    }
}

#[tokio::test]
async fn the_extension_of_an_attachment_proves_nothing() {
    let old = include_bytes!("../data/attacks.xls").to_vec();
    let portal = Secudium::start(vec![Post::new(1, "2026-06-10", Some(("Black.xlsx", old.clone())))]);
    let mut client = client(&portal).await;
    let post = client.posts(june().0, june().1).await.unwrap().remove(0);
    let bytes = client.attachment(&post.attachment.unwrap()).await.unwrap();
    assert_eq!(bytes, old);
    let intake = read_by_program(&bytes, Detail::default()).unwrap();
    let days: Vec<_> = intake.rows.iter().map(|(_, detail)| detail.detected.unwrap().to_string()).collect();
    assert_eq!((days, intake.rejected), (vec!["2025-06-24".to_owned(), "2025-06-29".to_owned()], 0));
}

#[tokio::test]
async fn what_is_no_attachment_has_a_name() {
    let portal = Secudium::start(posts(3));
    let mut client = client(&portal).await;
    let posts = client.posts(june().0, june().1).await.unwrap();
    let attachment = posts[1].attachment.clone().unwrap();
    for (fault, code, kind) in [
        (Fault::Html, "page_for_attachment", Failure::Broken),
        (Fault::Empty, "empty_attachment", Failure::Broken),
        (Fault::Garbage, "not_a_workbook", Failure::Broken),
        (Fault::CutOff, "answer_truncated", Failure::SOON),
        (Fault::Status(429), "unexpected_status", Failure::Blocked),
        (Fault::Status(500), "unexpected_status", Failure::SOON),
    ] {
        portal.set(|state| state.faults.push_back(fault));
        let error = client.attachment(&attachment).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
    }
    let gone = Attachment { uuid: "gone".to_owned(), name: "gone.xls".to_owned() };
    assert_eq!(client.attachment(&gone).await.unwrap_err().code(), "page_for_attachment");
    assert!(client.attachment(&attachment).await.is_ok());
}

#[tokio::test]
async fn what_is_not_the_list_has_a_name() {
    let portal = Secudium::start(posts(94));
    for (faults, code) in [
        (vec![Fault::Html], "not_the_list"),
        (vec![Fault::Empty], "not_the_list"),
        (vec![Fault::Garbage], "not_the_list"),
        (vec![Fault::CutOff], "answer_truncated"),
    ] {
        let mut client = client(&portal).await;
        portal.set(|state| state.faults.extend(faults));
        assert_eq!(client.posts(june().0, june().1).await.unwrap_err().code(), code);
    }
    let settings = Settings { page_size: 50, ..settings(&portal) };
    let mut client = Client::new(fetch(&portal.server), settings).unwrap();
    client.login(USER, PASSWORD).await.unwrap();
    assert_eq!(client.posts(june().0, june().1).await.unwrap().len(), 94);
    portal.set(|state| state.faults.extend([Fault::Repeat, Fault::Repeat]));
    assert_eq!(client.posts(june().0, june().1).await.unwrap_err().code(), "repeated_page");
}

#[tokio::test]
async fn a_401_is_the_end_of_the_session_and_of_the_run() {
    let portal = Secudium::start(posts(3));
    let mut client = client(&portal).await;
    portal.set(|state| state.token = None);
    let error = client.posts(june().0, june().1).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("session_gone", Failure::SOON));
    assert!(!client.is_logged_in());
    let asked = portal.server.asked().len();
    assert!(matches!(client.posts(june().0, june().1).await, Err(Error::SessionGone)));
    client.logout().await.unwrap();
    assert_eq!(portal.server.asked().len(), asked, "without a session nothing is asked");
    assert_eq!(portal.state().logins.len(), 1);
}

#[tokio::test]
async fn a_run_logs_in_once_asks_no_faster_than_told_and_logs_out() {
    let portal = Secudium::start(posts(3));
    let settings = Settings { pause_ms: 60, ..settings(&portal) };
    let mut client = Client::new(fetch(&portal.server), settings).unwrap();
    client.login(USER, PASSWORD).await.unwrap();
    let posts = client.posts(june().0, june().1).await.unwrap();
    for attachment in posts.iter().filter_map(|post| post.attachment.as_ref()) {
        client.attachment(attachment).await.unwrap();
    }
    client.logout().await.unwrap();
    assert!(!client.is_logged_in() && portal.state().token.is_none());
    assert_eq!(
        (portal.state().logins.len(), portal.server.count(DOWNLOAD), portal.server.count(LOGOUT)),
        (1, 2, 1)
    );
    // Measured where they arrive, so somewhat less than where they leave.
    assert!(portal.server.shortest_pause().unwrap() >= Duration::from_millis(40));
}
