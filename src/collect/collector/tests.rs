//! The collector with scripted flows: what a run may do to its source, to the ledger and to the
//! blacklist, whatever its craft.

use super::begin::Beginning;
use super::deliver::{Delivered, Delivery};
use super::ending::Ending;
use super::flow::Input;
use super::job::Job;
use super::*;
use crate::analyze::fixture::House;
use crate::collect::definition::Kind;
use crate::collect::failure::Failure;
use crate::collect::gate::Ground;
use crate::collect::ledger::{Answer, How};
use crate::collect::run::{Fault, State, Trigger, Wish};
use crate::collect::vault::KeySource;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a scripted run does.
type Script = Arc<dyn for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync>;

fn script<F>(act: F) -> Script
where
    F: for<'j> Fn(&'j mut Job) -> BoxFuture<'j, Result<(), Ending>> + Send + Sync + 'static,
{
    Arc::new(act)
}

/// Runs that deliver one list after the other, and then the last again and again.
fn lists<const N: usize>(lists: [&'static str; N]) -> Script {
    let turn = Arc::new(AtomicUsize::new(0));
    script(move |job| {
        let list = lists[turn.fetch_add(1, Ordering::Relaxed).min(N - 1)];
        Box::pin(async move { deliver(job, list).await.map(drop) })
    })
}

async fn deliver(job: &mut Job, list: &str) -> Result<Delivered, Ending> {
    job.deliver(Delivery::new("list".to_owned(), list.to_owned().into())).await
}

fn fails(kind: Failure) -> Script {
    script(move |_| Box::pin(async move { Err(Ending::new(kind, "scripted", "it fails")) }))
}

fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

fn feed(more: &str) -> Definition {
    toml::from_str(&format!("kind = 'feed'\nurl = 'https://lists.example/a'\n{more}")).unwrap()
}

fn open(house: &House, work: Script) -> Collector {
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let configured = [
        (name("list"), feed("")),
        (name("account"), Definition::new(Kind::Regtech)),
        (name("files"), Definition::new(Kind::Upload)),
    ];
    let options =
        Options { configured: configured.into(), ..Options::new(house.engine().clone(), medium, vault) };
    Collector::with_work(options, work).unwrap()
}

async fn run(collector: &Collector, source: &str) -> Run {
    let id = collector.trigger(name(source), "tester", Wish::default()).await.unwrap();
    over(collector, id).await
}

/// Waits for the end of a run, written down and all.
async fn over(collector: &Collector, id: Uuid) -> Run {
    for _ in 0..2_000 {
        if collector.0.live.find(id).is_none() {
            return collector.run(id).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the run does not end: {:?}", collector.run(id).await)
}

async fn standing(collector: &Collector, source: &str) -> crate::collect::ledger::Standing {
    let source = name(source);
    collector.0.look(move |look| look.standing(&source)).await.unwrap()
}

async fn set_account(collector: &Collector) {
    let account = json!({"username": "u", "password": "p"});
    collector.set_credentials(&name("account"), account, "tester").await.unwrap();
}

const TWO: &str = "20.0.0.1\n20.0.0.2\n";

#[tokio::test]
async fn a_run_counts_what_it_changed_and_equal_bytes_change_nothing() {
    let house = House::new();
    let collector = open(&house, lists([TWO, TWO, "20.0.0.2\n20.0.0.3\nnonsense\n"]));
    let first = run(&collector, "list").await;
    assert_eq!((first.state, first.counts.new, first.counts.read), (State::Done, 2, 2), "{first:?}");
    let generation = house.engine().snapshot().generation;
    let second = run(&collector, "list").await;
    assert_eq!((second.counts.unchanged, second.documents[0].kept), (2, false));
    assert_eq!(house.engine().snapshot().generation, generation);
    let third = run(&collector, "list").await;
    let counts = third.counts;
    assert_eq!((counts.new, counts.unchanged, counts.expired, counts.rejected), (1, 1, 1, 1));
    assert_eq!((third.examples[0].line, third.examples[0].value.as_str()), (3, "nonsense"));
    assert_eq!(collector.raw(first.id, 0).await.unwrap(), TWO);
    let (runs, total) = collector.runs(Some(name("list")), None, 2).await.unwrap();
    assert_eq!((runs.len(), total, runs[0].id), (2, 3, third.id));
}

#[tokio::test]
async fn an_unchanged_list_adds_one_small_record_a_day() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    run(&collector, "list").await;
    let generation = || house.engine().snapshot().generation;
    let first = generation();
    for _ in 0..3 {
        run(&collector, "list").await;
    }
    assert_eq!(generation(), first);
    house.wait(24);
    run(&collector, "list").await;
    run(&collector, "list").await;
    assert_eq!(generation(), first + 1);
}

#[tokio::test]
async fn a_list_that_shrinks_is_held_until_a_person_consents() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let long: &'static str = long.leak();
    let collector = open(&house, lists([long, TWO, TWO]));
    run(&collector, "list").await;
    let held = run(&collector, "list").await;
    assert_eq!(held.state, State::Held);
    let again = run(&collector, "list").await;
    let holds = collector.holds().await.unwrap();
    assert_eq!((holds.len(), holds[0].run), (1, again.id), "the newer run took the place of the older");
    assert!(matches!(holds[0].documents[0].grounds[..], [Ground::Shrunk { before: 400, after: 2, .. }]));
    assert_eq!(house.engine().snapshot().listings(), 400, "the last good one stays");
    let id = holds[0].id;
    assert!(matches!(collector.consent(id, "admin", " ").await, Err(CollectError::NoReason)));
    let receipt = collector.consent(id, "admin", "the owner cleaned up").await.unwrap();
    assert_eq!((receipt.removed, house.engine().snapshot().listings()), (398, 2));
    assert!(matches!(collector.consent(id, "admin", "twice").await, Err(CollectError::Settled(_))));
    let audit = collector.audit(None, 1).await.unwrap();
    assert_eq!(
        (audit[0].1.action.as_str(), audit[0].1.reason.as_str()),
        ("hold.consent", "the owner cleaned up")
    );
    let after = run(&collector, "list").await;
    assert_eq!((after.state, after.counts.unchanged), (State::Done, 2), "consent is remembered");
}

#[tokio::test]
async fn consent_is_refused_when_more_would_change_than_was_shown() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let collector = open(&house, lists([long.leak(), TWO]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let id = collector.holds().await.unwrap()[0].id;
    house.list("list", &crate::analyze::fixture::plain(&["20.9.9.9"]), crate::model::Scope::Part).await;
    let refused = collector.consent(id, "admin", "yes").await.unwrap_err();
    assert!(matches!(refused, CollectError::Grown { shown: 398, now: 399 }), "{refused}");
    assert_eq!(collector.consent(id, "admin", "yes, all").await.unwrap().removed, 399);
}

#[tokio::test]
async fn a_page_in_place_of_a_list_is_held_and_rejected() {
    let house = House::new();
    let collector = open(&house, lists([TWO, "<!DOCTYPE html><html><body>20.0.0.9</body></html>"]));
    run(&collector, "list").await;
    assert_eq!(run(&collector, "list").await.state, State::Held);
    let hold = collector.holds().await.unwrap().remove(0);
    assert_eq!(hold.documents[0].grounds, [Ground::Html]);
    assert!(matches!(collector.consent(hold.id, "admin", "why not").await, Err(CollectError::Unreadable(_))));
    collector.reject(hold.id, "admin", "a login page").await.unwrap();
    assert!(collector.holds().await.unwrap().is_empty());
    let settled = collector.0.look(move |look| look.hold(hold.id)).await.unwrap().unwrap().settled.unwrap();
    assert_eq!((settled.how, settled.reason.as_str()), (How::Rejected, "a login page"));
    assert_eq!(house.engine().snapshot().listings(), 2);
}

#[tokio::test]
async fn one_run_at_a_time_a_source_and_it_can_be_cancelled_while_it_works_or_waits() {
    let house = House::new();
    let endless = script(|job| Box::pin(async move { job.until_stopped(std::future::pending()).await }));
    let collector = open(&house, endless);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    let busy = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap_err();
    assert!(matches!(busy, CollectError::Busy { run, .. } if run == id));
    let mut progress = collector.progress(id).unwrap();
    progress.wait_for(|progress| progress.run.state == State::Running).await.unwrap();
    collector.cancel(id).await.unwrap();
    assert_eq!(over(&collector, id).await.state, State::Cancelled);
    assert!(matches!(collector.cancel(id).await, Err(CollectError::Over { state: State::Cancelled, .. })));
    assert!(standing(&collector, "list").await.retry.is_none(), "what a person ended stays ended");
}

#[tokio::test]
async fn failures_are_tried_again_only_where_that_is_right() {
    let house = House::new();
    for (kind, retries, cools, stops) in [
        (Failure::SOON, true, false, None),
        (Failure::Blocked, true, true, None),
        (Failure::Broken, false, false, None),
        (Failure::Attention, false, false, Some(false)),
        (Failure::Credentials, false, false, Some(true)),
    ] {
        let collector = open(&house, fails(kind));
        let failed = run(&collector, "list").await;
        assert_eq!((failed.state, failed.fault.unwrap().code.as_str()), (State::Failed, "scripted"));
        let standing = standing(&collector, "list").await;
        assert_eq!(
            standing.retry.map(|retry| (retry.attempt, retry.cooling)),
            retries.then_some((1, cools)),
            "{kind:?}"
        );
        assert_eq!(standing.stopped.map(|stopped| stopped.credentials), stops, "{kind:?}");
        let next = collector.trigger(name("list"), "tester", Wish::default()).await;
        assert_eq!(next.is_ok(), !cools && stops.is_none(), "{kind:?} {next:?}");
        if let Ok(id) = next {
            over(&collector, id).await;
        }
        let force = Wish { force: true, ..Wish::default() };
        let forced = collector.trigger(name("list"), "tester", force).await;
        assert_eq!(forced.is_ok(), stops != Some(true), "{kind:?} {forced:?}");
        if let Ok(id) = forced {
            over(&collector, id).await;
        }
        collector.stop().await;
        collector
            .0
            .change(|change| change.standing(&name("list"), |standing| *standing = Default::default()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_portal_runs_once_it_has_an_account_and_never_after_a_wrong_one() {
    let house = House::new();
    let wrong = script(|job| {
        Box::pin(async move {
            job.attempt().await?;
            job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await?;
            Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"))
        })
    });
    let collector = open(&house, wrong);
    let trigger = || collector.trigger(name("account"), "tester", Wish { force: true, ..Wish::default() });
    assert!(matches!(trigger().await, Err(CollectError::NoCredentials(_))));
    set_account(&collector).await;
    let id = trigger().await.unwrap();
    over(&collector, id).await;
    assert!(matches!(trigger().await, Err(CollectError::Stopped(_))));
    collector.enable(&name("account"), true, "tester").await.unwrap();
    assert!(trigger().await.is_err(), "switching it on again does not make a password right");
    set_account(&collector).await;
    assert!(trigger().await.is_ok(), "a new version may be tried once");
}

#[tokio::test]
async fn an_attempt_that_a_crash_left_unanswered_is_not_repeated_after_a_restart() {
    let house = House::new();
    for (proven, may) in [(false, false), (true, true)] {
        let dies = script(|job| {
            Box::pin(async move {
                job.attempt().await?;
                job.until_stopped(std::future::pending()).await
            })
        });
        let collector = open(&house, dies);
        set_account(&collector).await;
        if proven {
            let source = name("account");
            let prove = move |change: &Change<'_>| {
                change.credentials(&source, |kept| kept.as_mut().map(|kept| kept.answer(Answer::Accepted)))
            };
            collector.0.change(prove).await.unwrap();
        }
        let id = collector.trigger(name("account"), "tester", Wish::default()).await.unwrap();
        wait_for_attempt(&collector).await;
        crash(collector).await;
        let collector = open(&house, lists([TWO]));
        let run = collector.run(id).await.unwrap();
        assert_eq!((run.state, run.fault.unwrap().code.as_str()), (State::Failed, "interrupted"));
        let next = collector.trigger(name("account"), "tester", Wish::default()).await;
        assert_eq!(next.is_ok(), may, "{next:?}");
        if let Ok(id) = next {
            over(&collector, id).await;
        }
        crash(collector).await;
    }
}

async fn wait_for_attempt(collector: &Collector) {
    let source = name("account");
    loop {
        let source = source.clone();
        let kept = collector.0.look(move |look| look.credentials(&source)).await.unwrap();
        if kept.is_some_and(|kept| kept.attempt.is_some()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The process is gone from one instruction to the next: nothing is written down any more.
async fn crash(collector: Collector) {
    locked(&collector.0.tasks).abort_all();
    let mut tasks = std::mem::take(&mut *locked(&collector.0.tasks));
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn an_interrupted_run_goes_on_from_its_checkpoint_by_itself() {
    let house = House::new();
    let steps = script(|job| {
        Box::pin(async move {
            let done = job.checkpoint.as_u64().unwrap_or(0);
            deliver(job, TWO).await?;
            job.checkpoint = json!(done + 1);
            job.save().await?;
            match done {
                0 => job.until_stopped(std::future::pending()).await,
                _ => Ok(()),
            }
        })
    });
    let collector = open(&house, Arc::clone(&steps));
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    while standing(&collector, "list").await.checkpoint != json!(1) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    crash(collector).await;
    let collector = open(&house, steps);
    let retry = standing(&collector, "list").await.retry.unwrap();
    assert!(retry.at > house.now(), "not at once: what ended it may do so again");
    assert_eq!(collector.run(id).await.unwrap().documents.len(), 1);
    assert_eq!(run(&collector, "list").await.state, State::Done);
    assert_eq!(standing(&collector, "list").await.checkpoint, json!(2));
}

#[tokio::test]
async fn a_service_that_stops_ends_its_runs_and_says_that_they_go_on() {
    let house = House::new();
    let endless = script(|job| Box::pin(async move { job.until_stopped(std::future::pending()).await }));
    let collector = open(&house, endless);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    collector.progress(id).unwrap().wait_for(|p| p.run.state == State::Running).await.unwrap();
    collector.stop().await;
    let run = collector.run(id).await.unwrap();
    assert_eq!((run.state, run.fault.unwrap().code.as_str()), (State::Failed, "interrupted"));
    assert!(standing(&collector, "list").await.retry.is_some());
    let refused = collector.trigger(name("list"), "tester", Wish::default()).await;
    assert!(matches!(refused, Err(CollectError::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn a_code_is_waited_for_five_minutes_and_taken_once() {
    let house = House::new();
    let asks = script(|job| {
        Box::pin(async move {
            let code = job.ask_code("say the code").await?;
            assert_eq!(code, "123456");
            Ok(())
        })
    });
    let collector = open(&house, asks);
    let begin = async || {
        let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
        let mut progress = collector.progress(id).unwrap();
        progress.wait_for(|progress| progress.step == "say the code").await.unwrap();
        id
    };
    let id = begin().await;
    assert_eq!(collector.run(id).await.unwrap().state, State::AwaitingOtp);
    assert!(matches!(collector.otp(id, "12345x").await, Err(CollectError::BadCode)));
    collector.otp(id, " 123456 ").await.unwrap();
    assert!(collector.otp(id, "123456").await.is_err());
    assert_eq!(over(&collector, id).await.state, State::Done);
    let id = begin().await;
    let began = tokio::time::Instant::now();
    collector.progress(id).unwrap().wait_for(|progress| progress.run.state.is_over()).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 300);
    assert_eq!(over(&collector, id).await.fault.unwrap().code, "otp_timeout");
}

#[tokio::test]
async fn files_are_taken_in_by_hand_and_read_again_from_what_was_kept() {
    let house = House::new();
    let collector = open(&house, flow::work());
    let refused = collector.trigger(name("files"), "tester", Wish::default()).await;
    assert!(matches!(refused, Err(CollectError::NotFetched(_))));
    let csv = "ip,reason\n20.0.0.1,a\n20.0.0.2,b\n";
    let id = collector.upload(name("files"), "tester", Some("a.csv".to_owned()), csv.into()).await.unwrap();
    let first = over(&collector, id).await;
    assert_eq!((first.state, first.counts.new, first.trigger), (State::Done, 2, Trigger::Upload));
    house
        .submit(crate::model::Change::Unlist {
            source: name("files"),
            ranges: vec!["20.0.0.1".parse().unwrap()],
        })
        .await;
    let again = collector.again(id, "tester").await.unwrap();
    let again = over(&collector, again).await;
    assert_eq!((again.state, again.counts.new, again.counts.unchanged), (State::Done, 1, 1));
    let missing = collector.upload(name("nobody"), "tester", None, csv.into()).await;
    assert!(matches!(missing, Err(CollectError::UnknownSource(_))));
}

#[tokio::test]
async fn a_panic_in_a_flow_ends_its_run_and_nothing_else() {
    let house = House::new();
    let collector = open(&house, script(|_| Box::pin(async { panic!("a bug") })));
    let failed = run(&collector, "list").await;
    assert_eq!((failed.state, failed.fault.unwrap().code.as_str()), (State::Failed, "internal"));
    assert_eq!(run(&collector, "list").await.state, State::Failed);
}

#[tokio::test]
async fn sources_are_defined_switched_and_removed_and_the_file_has_the_last_word() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    let define = |definition, new| collector.define(name("mine"), definition, "tester", new);
    assert!(matches!(define(feed("every = '1s'"), true).await, Err(CollectError::BadDefinition(_))));
    assert!(define(feed("every = '1h'"), true).await.unwrap().enabled);
    assert!(matches!(define(feed(""), true).await, Err(CollectError::Exists(_))));
    assert!(define(feed("every = '2h'"), false).await.is_ok());
    let configured = collector.define(name("list"), feed(""), "tester", false).await;
    assert!(matches!(configured, Err(CollectError::Configured(_))));
    assert!(!collector.enable(&name("mine"), false, "tester").await.unwrap().enabled);
    assert!(!collector.source(&name("firehol-level1")).await.unwrap().enabled);
    collector.remove(&name("mine"), "tester").await.unwrap();
    assert!(matches!(collector.source(&name("mine")).await, Err(CollectError::UnknownSource(_))));
    let actions: Vec<String> =
        collector.audit(None, 9).await.unwrap().into_iter().map(|(_, entry)| entry.action).collect();
    assert_eq!(actions, ["source.remove", "source.disable", "source.define", "source.define"]);
}

#[tokio::test]
async fn credentials_are_sealed_and_those_of_the_environment_count_once() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    let secret = "S3cret-of-the-portal";
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    let version = async || {
        let source = name("account");
        collector.0.look(move |look| look.credentials(&source)).await.unwrap().unwrap().version
    };
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    assert_eq!(version().await, 1, "the same account keeps what is known of it");
    collector.set_account(&name("account"), "u", "another").await.unwrap();
    assert_eq!(version().await, 2);
    let refused =
        collector.set_credentials(&name("account"), json!({"password": secret}), "x").await.unwrap_err();
    assert!(!refused.to_string().contains(secret), "{refused}");
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    let ledger = std::fs::read(house.folder.path().join(crate::collect::ledger::FILE)).unwrap();
    assert!(!ledger.windows(secret.len()).any(|part| part == secret.as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn a_year_of_the_schedule_begins_every_run_once() {
    let mut house = House::new();
    house.follow_tokio();
    let begun = Arc::new(Mutex::new(BTreeMap::<String, Vec<Time>>::new()));
    let note = Arc::clone(&begun);
    let work = script(move |job| {
        let mut begun = note.lock().unwrap();
        begun.entry(job.run.source.to_string()).or_default().push(job.now());
        Box::pin(async { Ok(()) })
    });
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let configured = [
        (name("daily"), feed("cron = '30 2 * * *'\njitter = '10m'\n[policy]\nzone = 'America/New_York'")),
        (name("weekly"), feed("cron = '0 4 * * SUN'\n[policy]\nzone = 'Asia/Seoul'")),
        (name("often"), feed("every = '12h'\njitter = '1h'")),
    ];
    let options =
        Options { configured: configured.into(), ..Options::new(house.engine().clone(), medium, vault) };
    let collector = Collector::with_work(options, work).unwrap();
    let year = Duration::from_secs(365 * 86_400);
    let schedule = collector.schedule_looking_every(Duration::from_secs(6 * 3_600));
    assert!(tokio::time::timeout(year, schedule).await.is_err());
    let begun = begun.lock().unwrap();
    let counts: Vec<(&str, usize)> = begun.iter().map(|(name, runs)| (name.as_str(), runs.len())).collect();
    // One at once when a source is new, and then each by its rule.
    assert_eq!(counts, [("daily", 366), ("often", 731), ("weekly", 53)]);
    let days: std::collections::BTreeSet<_> =
        begun["daily"][1..].iter().map(|time| time.day_in(chrono_tz::America::New_York)).collect();
    assert_eq!(days.len(), 365);
}

#[tokio::test]
async fn a_retry_is_begun_when_its_time_has_come_and_takes_the_missed_turn_with_it() {
    let house = House::new();
    let collector = open(&house, fails(Failure::SOON));
    collector.define(name("hourly"), feed("every = '1h'"), "tester", true).await.unwrap();
    collector.0.tick().await.unwrap();
    let first = collector.source(&name("hourly")).await.unwrap().last_run.unwrap();
    over(&collector, first).await;
    house.wait(3);
    collector.0.tick().await.unwrap();
    let second = collector.source(&name("hourly")).await.unwrap().last_run.unwrap();
    let run = over(&collector, second).await;
    assert_eq!((run.trigger, run.attempt), (Trigger::Retry, 1));
    assert!(standing(&collector, "hourly").await.next.unwrap().due > house.now(), "no second run at once");
    let source = name("hourly");
    let beginning = Beginning {
        source,
        trigger: Trigger::Retry,
        actor: String::new(),
        wish: Wish::default(),
        attempt: 5,
        next: None,
        input: Input::Source,
    };
    let last = collector.0.begin(beginning).await.unwrap();
    over(&collector, last).await;
    assert!(standing(&collector, "hourly").await.retry.is_none(), "there were enough");
}
