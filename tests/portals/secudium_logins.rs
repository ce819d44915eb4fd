//! Logging in to SECUDIUM: nobody is thrown out unasked, and no password or code is sent twice.

use super::fakes::secudium::{CODE, LOGIN, PASSWORD, Secudium, USER};
use super::fakes::server::Reply;
use super::fetch;
use super::secudium::settings;
use ironlist::collect::secudium::{Client, Error, Login, Settings};
use ironlist::fetch::Failure;

fn client(portal: &Secudium) -> Client {
    Client::new(fetch(&portal.server), settings(portal)).unwrap()
}

/// A client whose operator has switched taking over on.
fn bold(portal: &Secudium) -> Client {
    let settings = Settings { take_over_session: true, ..settings(portal) };
    Client::new(fetch(&portal.server), settings).unwrap()
}

async fn refused(portal: &Secudium, password: &str) -> Error {
    let mut client = client(portal);
    let error = client.login(USER, password).await.unwrap_err();
    assert!(!client.is_logged_in());
    error
}

#[tokio::test]
async fn a_login_asks_as_the_page_does_and_the_token_is_tried() {
    let portal = Secudium::start(Vec::new());
    let mut client = client(&portal);
    assert_eq!(client.login(USER, PASSWORD).await.unwrap(), Login::Done);
    let asked = portal.server.asked();
    assert_eq!(asked.len(), 2);
    let form = ["lang", "is_otp", "is_expire", "login_name", "password", "otp_value"];
    assert_eq!(form.map(|name| asked[0].value(name)), ["ko", "N", "N", USER, PASSWORD, ""]);
    assert_eq!(asked[0].headers["x-requested-with"], "XMLHttpRequest");
    let token = portal.state().token.unwrap();
    assert_eq!(
        (asked[1].value("X-Auth-Token"), asked[1].cookie("token")),
        (token.as_str(), Some(token.as_str()))
    );
}

#[tokio::test]
async fn somebody_elses_session_ends_only_when_the_operator_says_so() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| state.somebody = true);
    let error = refused(&portal, PASSWORD).await;
    assert_eq!((error.code(), error.kind()), ("already_logged_in", Failure::Broken));
    assert!(error.to_string().contains("take_over_session"));
    assert_eq!((portal.state().thrown_out, portal.state().logins.len()), (0, 1));
    assert_eq!(bold(&portal).login(USER, PASSWORD).await.unwrap(), Login::Done);
    assert_eq!((portal.state().thrown_out, portal.state().logins.len()), (1, 3));
    bold(&portal).login(USER, PASSWORD).await.unwrap();
    assert_eq!(portal.server.asked().iter().filter(|asked| asked.value("is_expire") == "Y").count(), 1);
}

#[tokio::test]
async fn a_one_time_code_is_asked_for_once_and_sent_once() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| state.needs_code = true);
    let mut client = client(&portal);
    assert_eq!(client.login(USER, PASSWORD).await.unwrap(), Login::NeedsCode);
    assert!(!client.is_logged_in());
    for wrong in ["12345", "1234567", "12345a", "４８１５１６", ""] {
        assert_eq!(client.login_with_code(USER, PASSWORD, wrong).await.unwrap_err().code(), "bad_code");
    }
    client.login_with_code(USER, PASSWORD, CODE).await.unwrap();
    assert!(client.is_logged_in());
    assert_eq!(
        (portal.state().codes_sent, portal.state().wrong_codes, portal.server.count(LOGIN)),
        (1, 0, 2)
    );
}

#[tokio::test]
async fn a_wrong_code_ends_the_login_and_three_lock() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| state.needs_code = true);
    for count in 1..=3 {
        let mut client = client(&portal);
        client.login(USER, PASSWORD).await.unwrap();
        let error = client.login_with_code(USER, PASSWORD, "000000").await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("wrong_code", Failure::Attention));
        assert_eq!((portal.state().wrong_codes, portal.is_locked()), (count, count == 3));
    }
    assert_eq!(refused(&portal, PASSWORD).await.code(), "login_refused");
}

#[tokio::test]
async fn a_code_is_not_wasted_on_a_session_that_may_be_ended() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| (state.needs_code, state.somebody) = (true, true));
    let mut client = bold(&portal);
    assert_eq!(client.login(USER, PASSWORD).await.unwrap(), Login::NeedsCode);
    client.login_with_code(USER, PASSWORD, CODE).await.unwrap();
    assert_eq!((portal.state().codes_sent, portal.state().thrown_out), (1, 1));
    // Without leave, somebody who came while the code was on its way stays.
    let mut modest = Client::new(fetch(&portal.server), settings(&portal)).unwrap();
    assert_eq!(modest.login(USER, PASSWORD).await.unwrap(), Login::NeedsCode);
    portal.set(|state| state.somebody = true);
    let error = modest.login_with_code(USER, PASSWORD, CODE).await.unwrap_err();
    assert_eq!((error.code(), portal.state().thrown_out), ("already_logged_in", 1));
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_and_is_in_no_message() {
    let portal = Secudium::start(Vec::new());
    let error = refused(&portal, "hunter2").await;
    assert_eq!((error.code(), error.kind()), ("login_refused", Failure::Credentials));
    assert!(error.to_string().contains("login.fail"), "the portal's own code is told");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert_eq!((portal.state().wrong, portal.server.count(LOGIN)), (1, 1));
}

#[tokio::test]
async fn any_other_code_is_told_as_it_is() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| state.refusal = Some(("password.expired", "비밀번호를 변경하세요.")));
    let error = refused(&portal, PASSWORD).await;
    assert!(error.to_string().contains("password.expired: 비밀번호를 변경하세요."), "{error}");
}

#[tokio::test]
async fn a_failed_certification_is_a_refusal_and_no_request_for_a_code() {
    let portal = Secudium::start(Vec::new());
    for message in ["사용자 인증에 실패했습니다.", "인증 정보가 일치하지 않습니다.", "비밀번호 인증 오류"]
    {
        portal.set(|state| state.refusal = Some(("login.fail", message)));
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), ("login_refused", Failure::Credentials), "{message}");
    }
}

#[tokio::test]
async fn a_code_is_asked_for_though_it_is_called_a_password() {
    let portal = Secudium::start(Vec::new());
    for message in
        ["일회용 비밀번호(OTP)를 입력하세요.", "일회용 비밀번호를 입력하세요.", "인증번호를 입력하세요."]
    {
        portal.set(|state| state.refusal = Some(("", message)));
        let mut client = client(&portal);
        assert_eq!(client.login(USER, PASSWORD).await.unwrap(), Login::NeedsCode, "{message}");
    }
}

#[tokio::test]
async fn a_token_that_opens_nothing_is_no_login() {
    let portal = Secudium::start(Vec::new());
    portal.set(|state| state.dead_token = true);
    let error = refused(&portal, PASSWORD).await;
    assert_eq!((error.code(), error.kind()), ("login_unproven", Failure::Attention));
}

#[tokio::test]
async fn a_password_whose_fate_is_unknown_is_not_sent_again() {
    let portal = Secudium::start(Vec::new());
    for (reply, kind) in [
        (Reply::default(), Failure::Blocked),
        (Reply::status(403), Failure::Blocked),
        (Reply::status(502), Failure::SOON),
        (Reply::html("<html>점검 중</html>"), Failure::Broken),
        (Reply::json(&serde_json::json!({"other": 1})), Failure::Broken),
    ] {
        let before = portal.server.count(LOGIN);
        portal.set(|state| state.login_faults.push_back(reply));
        let error = refused(&portal, PASSWORD).await;
        assert_eq!((error.code(), error.kind()), ("login_unanswered", kind), "{error}");
        assert_eq!(portal.server.count(LOGIN), before + 1);
    }
    let mut settings = settings(&portal);
    settings.base_url = "http://127.0.0.1:1".to_owned();
    let error =
        Client::new(fetch(&portal.server), settings).unwrap().login(USER, PASSWORD).await.unwrap_err();
    assert!(matches!(error, Error::Web(_)), "nothing was sent: {error}");
    assert_eq!(error.kind(), Failure::SOON);
}

#[tokio::test]
async fn no_token_is_told_when_a_request_fails() {
    let portal = Secudium::start(Vec::new());
    let mut client = client(&portal);
    client.login(USER, PASSWORD).await.unwrap();
    let token = portal.state().token.unwrap();
    drop(portal);
    let day = "2026-06-01".parse().unwrap();
    let error = client.posts(day, day).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&token[..20]), "{error:?}");
}
