//! What a portal's answers to a login leave in the ledger, and when the next attempt may be made.

use super::flows::{at, code, kept, open_at, open_regtech, open_secudium};
use super::*;
use crate::fakes::regtech::{ADD_LOGIN, FIND_MEMBER, LIST};
use crate::fakes::secudium::{LOGIN, LOGOUT};
use crate::fakes::server::{Reply, Server};

async fn account(collector: &Collector) -> crate::collect::ledger::Credentials {
    collector.0.look(|look| look.credentials(&name("account"))).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_answer_that_does_not_judge_a_password_that_was_never_right_counts_and_says_so() {
    for said in ["E00010209", "E00010206", "E00010601"] {
        let house = House::new();
        let (portal, collector) = open_regtech(&house).await;
        portal.set(|state| state.member = Some((said, "")));
        let tested = collector.test_credentials(&name("account"), "tester").await.unwrap();
        assert!(!tested.accepted && tested.counted, "{said}: {tested:?}");
        let again = collector.trigger(name("account"), "tester", FORCED).await;
        assert!(matches!(again, Err(CollectError::NoAttempt(_))), "{said}: {again:?}");
        assert_eq!(portal.state().logins.len(), 1);
    }
}

const FORCED: Wish = Wish { first: None, last: None, force: true, again: None };

#[tokio::test]
async fn a_test_that_never_reached_the_portal_does_not_count() {
    let house = House::new();
    let collector = open_at(&house, "account", at("http://127.0.0.1:1", Kind::Regtech));
    set_account(&collector).await;
    let tested = collector.test_credentials(&name("account"), "tester").await.unwrap();
    assert!(!tested.accepted && !tested.counted, "{tested:?}");
}

#[tokio::test]
async fn a_first_step_that_does_not_say_that_the_password_passes_is_not_followed_by_the_second() {
    for said in [r#"{}"#, r#"{"result":"fail"}"#, r#"{"code":"X1"}"#, r#"{"code":[]}"#, "[]"] {
        let house = House::new();
        let server = Server::start(move |asked| match asked.path.as_str() {
            FIND_MEMBER => Reply::bytes(said),
            _ => Reply::html(crate::fakes::regtech_pages::login()),
        });
        let collector = open_at(&house, "account", at(server.url(), Kind::Regtech));
        set_account(&collector).await;
        assert_eq!(code(&run(&collector, "account").await), "login_unanswered", "{said}");
        assert_eq!((server.count(ADD_LOGIN), account(&collector).await.unanswered.len()), (0, 1));
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_but_not_with_a_password_that_was_never_right() {
    for proven in [false, true] {
        let house = House::new();
        let (portal, collector) = open_regtech(&house).await;
        if proven {
            assert!(collector.test_credentials(&name("account"), "tester").await.unwrap().accepted);
        }
        portal.set(|state| state.login_faults = [(FIND_MEMBER, 503)].into());
        assert_eq!(code(&run(&collector, "account").await), "login_unanswered");
        let left = standing(&collector, "account").await;
        assert_eq!((left.stopped.is_some(), left.retry.is_some()), (!proven, proven));
        let hours = left.retry.map(|retry| (retry.at.unix() - house.now().unix()) / 3_600);
        assert_eq!(hours, proven.then_some(20), "three such attempts span days");
    }
}

#[tokio::test]
async fn a_secudium_in_trouble_is_asked_again_soon() {
    let house = House::new();
    let server = Server::start(|asked| match asked.path.as_str() {
        LOGIN => Reply::json(&json!({"response": {"error": false, "token": "u:1:a1"}})),
        LOGOUT | "/isap-api/myinfo" => Reply::json(&json!({"response": {"error": false}})),
        _ => Reply::status(503),
    });
    let collector = open_secudium(&house, server.url()).await;
    assert_eq!(code(&run(&collector, "posts").await), "unexpected_status");
    let at = standing(&collector, "posts").await.retry.unwrap().at.unix() - house.now().unix();
    assert!((60..=90).contains(&at), "{at}");
}

#[tokio::test]
async fn a_login_of_secudium_that_fails_with_503_is_not_repeated_before_it_was_right() {
    let house = House::new();
    let server = Server::start(|_| Reply::status(503));
    let collector = open_secudium(&house, server.url()).await;
    assert_eq!(code(&run(&collector, "posts").await), "login_unanswered");
    assert!(standing(&collector, "posts").await.stopped.is_some_and(|stopped| stopped.credentials));
    assert_eq!((server.count(LOGIN), kept(&collector).await.unanswered.len()), (1, 1));
}

fn with_key(house: &House, digit: &str, work: &Script) -> Collector {
    let vault = Vault::new(KeySource::Text(digit.repeat(64).into()));
    Collector::with_work(Options { vault: vault.into(), ..options(house) }, work.clone(), work.clone())
        .unwrap()
}

#[tokio::test]
async fn an_account_of_the_environment_is_not_sent_again_because_the_key_is_another() {
    let house = House::new();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let refuses = script(move |job| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            job.attempt::<serde_json::Value>().await?;
            count.fetch_add(1, Ordering::Relaxed);
            job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await?;
            Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"))
        })
    });
    for (start, key) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let collector = with_key(&house, key, &refuses);
        let set = collector.set_account(&name("account"), "u", "wrong").await;
        assert_eq!(set.is_ok(), key == "a", "{set:?}");
        let begun = collector.trigger(name("account"), "tester", FORCED).await;
        assert_eq!(begun.is_ok(), start == 0, "{begun:?}");
        until_nobody(&collector).await;
    }
    assert_eq!(sent.load(Ordering::Relaxed), 1);
    let collector = with_key(&house, "b", &refuses);
    set_account(&collector).await;
    assert!(collector.set_account(&name("account"), "u", "another").await.is_ok(), "a person has set it");
}

async fn until_nobody(collector: &Collector) {
    while !collector.0.live.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Many megabytes that are packed into few kilobytes.
fn bomb(piece: &str) -> &'static [u8] {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let piece = piece.repeat((1 << 20) / piece.len());
    (0..64).for_each(|_| packed.write_all(piece.as_bytes()).unwrap());
    packed.finish().unwrap().leak()
}

#[tokio::test]
async fn a_page_that_unpacks_without_end_is_a_fault_of_the_portal() {
    use crate::fakes::regtech::Fault;
    let house = House::new();
    let (portal, collector) = open_regtech(&house).await;
    portal.misbehave([Fault::NoSheets, Fault::Packed(bomb("<b a><p>"))]);
    assert_eq!(code(&run(&collector, "account").await), "page_too_large");
    assert_eq!(portal.server.count(LIST), 1);
    portal.misbehave([Fault::Packed(bomb("<b a><p>"))]);
    run(&collector, "account").await;
    assert!(portal.server.count(LIST) > 1, "in place of such a workbook the list is read");
}

#[tokio::test]
async fn a_list_of_posts_that_unpacks_without_end_is_one_too() {
    let (house, posts) = (House::new(), bomb("{\"id\":1,\"data\":[[[0],0],0]},"));
    let server = Server::start(move |asked| match asked.path.as_str() {
        LOGIN => Reply::json(&json!({"response": {"error": false, "token": "u:1:a1"}})),
        LOGOUT | "/isap-api/myinfo" => Reply::json(&json!({"response": {"error": false}})),
        _ => Reply::bytes(posts).header("content-encoding", "gzip"),
    });
    let collector = open_secudium(&house, server.url()).await;
    assert_eq!(code(&run(&collector, "posts").await), "page_too_large");
}

#[tokio::test]
async fn a_key_that_is_missing_for_a_moment_stops_nothing_and_is_told() {
    let house = House::new();
    let key = house.folder.path().join("key");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let open = || {
        let vault = Vault::new(KeySource::File(key.clone())).into();
        let work = script(|job| Box::pin(async move { job.attempt::<serde_json::Value>().await.map(drop) }));
        Collector::with_work(Options { vault, ..options(&house) }, work.clone(), work).unwrap()
    };
    set_account(&open()).await;
    std::fs::rename(&key, key.with_extension("gone")).unwrap();
    let collector = open();
    assert_eq!(code(&run(&collector, "account").await), "vault");
    let left = collector.source(&name("account")).await.unwrap();
    assert!(left.stopped.is_none() && left.hindered.is_some_and(|hindered| hindered.fault.code == "vault"));
    std::fs::rename(key.with_extension("gone"), &key).unwrap();
    assert_eq!(run(&collector, "account").await.state, State::Done);
    assert!(collector.source(&name("account")).await.unwrap().hindered.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_code_that_nobody_says_fails_the_run_and_not_the_source() {
    let house = House::new();
    let asks = script(|job| Box::pin(async move { job.ask_code("say the code").await.map(drop) }));
    let collector = open(&house, asks);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    let mut progress = collector.progress(id).unwrap();
    progress.wait_for(|progress| progress.run.state.is_over()).await.unwrap();
    assert_eq!(code(&over(&collector, id).await), "otp_timeout");
    let left = collector.source(&name("list")).await.unwrap();
    assert!(left.stopped.is_none() && left.hindered.is_some(), "the next one tries");
}

#[tokio::test]
async fn a_definition_that_is_mended_sets_its_source_going_and_keeps_what_is_due() {
    let house = House::new();
    let collector = open(
        &house,
        script(|_| Box::pin(async { Err(Ending::new(Failure::Attention, "port_denied", "port 81")) })),
    );
    let define = async |more: &str| collector.define(name("mine"), feed(more), "admin", false).await.unwrap();
    define("every = '1d'").await;
    collector.0.tick().await.unwrap();
    until_nobody(&collector).await;
    let waiting = standing(&collector, "mine").await.next.unwrap().due;
    assert!(collector.source(&name("mine")).await.unwrap().stopped.is_some());
    define("every = '1d'\ngate = { few = 9 }").await;
    let left = standing(&collector, "mine").await;
    assert!(left.stopped.is_none() && left.retry.is_some());
    assert_eq!(left.next.unwrap().due, waiting, "the same rule");
    house.wait(25);
    define("every = '2d'").await;
    assert_eq!(standing(&collector, "mine").await.next.unwrap().due, waiting, "it is due already");
    house.wait(-25);
    define("every = '3d'").await;
    assert!(standing(&collector, "mine").await.next.is_none(), "another rule");
}
