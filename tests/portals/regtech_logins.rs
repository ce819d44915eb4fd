//! Logging in to REGTECH: what proves it, what refuses it, and that no password is sent twice.

use super::fakes::regtech::{ADD_LOGIN, FIND_MEMBER, LOGIN_PAGE, PASSWORD, Regtech, SecondStep, USER};
use super::regtech::settings;
use super::{fetch, now};
use ironlist::collect::regtech::{Client, Error};
use ironlist::fetch::Failure;

fn client(portal: &Regtech) -> Client {
    Client::new(fetch(&portal.server), settings(portal)).unwrap()
}

async fn refused(portal: &Regtech, password: &str) -> Error {
    let mut client = client(portal);
    let error = client.login(USER, password, now()).await.unwrap_err();
    assert!(client.needs_login());
    error
}

#[tokio::test]
async fn a_login_asks_as_the_page_does() {
    let portal = Regtech::start(Vec::new());
    let mut client = client(&portal);
    assert!(client.needs_login());
    client.login(USER, PASSWORD, now()).await.unwrap();
    assert!(!client.needs_login());
    let asked = portal.server.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, [LOGIN_PAGE, FIND_MEMBER, ADD_LOGIN]);
    assert_eq!(asked[1].headers["x-requested-with"], "XMLHttpRequest");
    assert_eq!(asked[2].cookie("regtech-front"), Some("visitor"));
    let form = ["username", "password", "login_error", "txId", "token", "memberId", "smsTimeExcess"];
    let values: Vec<_> = form.iter().map(|name| asked[2].values.get(*name).map(String::as_str)).collect();
    assert_eq!(values, [USER, PASSWORD, "", "", "", "", "N"].map(Some));
}

#[tokio::test]
async fn without_the_cookie_the_page_proves_the_login() {
    let portal = Regtech::start(Vec::new());
    portal.set(|state| state.token_seconds = None);
    let mut client = client(&portal);
    client.login(USER, PASSWORD, now()).await.unwrap();
    assert_eq!(portal.server.count("/main/main"), 1);
}

#[tokio::test]
async fn a_token_that_is_over_at_once_does_not_cause_login_after_login() {
    let portal = Regtech::start(Vec::new());
    for seconds in [-86_400, 10, 299] {
        portal.set(|state| state.token_seconds = Some(seconds));
        let mut client = client(&portal);
        client.login(USER, PASSWORD, now()).await.unwrap();
        assert!(!client.needs_login(), "{seconds}");
    }
}

#[tokio::test]
async fn each_code_of_the_first_step_has_a_name_and_the_second_is_not_taken() {
    let portal = Regtech::start(Vec::new());
    for (code, name, kind) in [
        ("E00010002", "wrong_credentials", Failure::Credentials),
        ("E00010201", "wrong_credentials", Failure::Credentials),
        ("E00010203", "certification_needed", Failure::Attention),
        ("E00010204", "account_locked", Failure::Credentials),
        ("E00010205", "portal_message", Failure::Credentials),
        ("E00010206", "account_dormant", Failure::Attention),
        ("E00010207", "consent_needed", Failure::Attention),
        ("E00010209", "account_lock_check", Failure::Attention),
        ("E00010601", "foreign_address", Failure::Attention),
        ("E00019999", "login_refused", Failure::Credentials),
    ] {
        portal.set(|state| state.member = Some((code, "점검 중입니다")));
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), (name, kind), "{code}");
        let shows = matches!(code, "E00010205" | "E00019999");
        assert_eq!(error.to_string().contains("점검 중입니다"), shows, "{error}");
    }
    assert_eq!((portal.state().logins.len(), portal.server.count(ADD_LOGIN)), (10, 0));
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_and_is_in_no_message() {
    let portal = Regtech::start(Vec::new());
    let error = refused(&portal, "hunter2").await;
    assert_eq!((error.code(), error.kind()), ("wrong_credentials", Failure::Credentials));
    assert_eq!(portal.wrong_logins(), (1, false));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn five_wrong_logins_lock_the_account_of_whoever_does_that() {
    let portal = Regtech::start(Vec::new());
    for _ in 0..5 {
        assert_eq!(refused(&portal, "wrong").await.code(), "wrong_credentials");
    }
    assert_eq!(portal.wrong_logins(), (5, true));
    assert_eq!(refused(&portal, PASSWORD).await.code(), "account_locked");
}

#[tokio::test]
async fn an_address_outside_korea_is_told_so() {
    let portal = Regtech::start(Vec::new());
    portal.set(|state| state.is_foreign = true);
    assert_eq!(refused(&portal, PASSWORD).await.code(), "foreign_address");
}

#[tokio::test]
async fn the_second_step_refuses_in_three_ways() {
    let portal = Regtech::start(Vec::new());
    for (step, code, kind) in [
        (SecondStep::Errs, "login_turned_away", Failure::Credentials),
        (SecondStep::ShowsLogin, "login_turned_away", Failure::Credentials),
        (SecondStep::Forgets, "login_unproven", Failure::Attention),
    ] {
        portal.set(|state| state.second_step = step);
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), (code, kind), "{step:?}");
    }
    assert_eq!(portal.server.count(ADD_LOGIN), 3);
}

#[tokio::test]
async fn a_password_whose_fate_is_unknown_is_not_sent_again() {
    let portal = Regtech::start(Vec::new());
    for (path, status, kind) in [
        (FIND_MEMBER, 200, Failure::Blocked),
        (FIND_MEMBER, 403, Failure::Blocked),
        (FIND_MEMBER, 500, Failure::SOON),
        (ADD_LOGIN, 200, Failure::Blocked),
        (ADD_LOGIN, 502, Failure::SOON),
    ] {
        let before = (portal.server.count(FIND_MEMBER), portal.server.count(ADD_LOGIN));
        portal.set(|state| state.login_faults.push_back((path, status)));
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), ("login_unanswered", kind), "{path} {status}");
        let after = (portal.server.count(FIND_MEMBER), portal.server.count(ADD_LOGIN));
        assert_eq!(after, (before.0 + 1, before.1 + usize::from(path == ADD_LOGIN)));
    }
}

#[tokio::test]
async fn no_password_is_given_to_a_page_that_does_not_ask_for_one() {
    let portal = Regtech::start(Vec::new());
    for (faults, code, kind) in [
        (vec![200, 403, 429], "blocked_too_many", Failure::Blocked),
        (vec![503], "unexpected_status", Failure::SOON),
        (vec![404], "no_login_page", Failure::Broken),
        (vec![406], "foreign_address", Failure::Attention),
    ] {
        portal.set(|state| state.login_faults.extend(faults.into_iter().map(|status| (LOGIN_PAGE, status))));
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), (code, kind));
    }
    assert_eq!(portal.server.count(FIND_MEMBER), 0);
}

#[tokio::test]
async fn a_portal_that_is_not_there_is_tried_again_later() {
    let portal = Regtech::start(Vec::new());
    let mut settings = settings(&portal);
    settings.base_url = "http://127.0.0.1:1".to_owned();
    let error = Client::new(fetch(&portal.server), settings.clone())
        .unwrap()
        .login(USER, PASSWORD, now())
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.kind()), ("connect_failed", Failure::SOON));
    for (wrong, code) in [
        ("regtech.fsec.or.kr", "bad_url"),
        ("ftp://127.0.0.1", "scheme_denied"),
        ("https://10.0.0.1:1", "address_denied"),
        ("", "bad_url"),
    ] {
        settings.base_url = wrong.to_owned();
        let error = Client::new(fetch(&portal.server), settings.clone()).err().unwrap();
        assert_eq!((error.code(), error.kind()), (code, Failure::Attention));
    }
}
