//! What begins by itself, what is tried again, and what a restart finds.

use super::*;
use std::collections::BTreeMap;

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
        collector.audit(None, 9).await.unwrap().0.into_iter().map(|(_, entry)| entry.action).collect();
    assert_eq!(actions, ["source.remove", "source.disable", "source.define", "source.define"]);
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
    let collector = Collector::with_work(options, work.clone(), work).unwrap();
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
        of: None,
        next: None,
        file: None,
    };
    let last = collector.0.begin(beginning).await.unwrap();
    over(&collector, last).await;
    assert!(standing(&collector, "hourly").await.retry.is_none(), "there were enough");
}

#[tokio::test]
async fn switching_a_source_on_again_clears_a_refusal_that_no_credentials_were_part_of() {
    let house = House::new();
    let collector = open(&house, fails(Failure::Credentials));
    run(&collector, "list").await;
    assert!(collector.trigger(name("list"), "tester", Wish::default()).await.is_err());
    let view = collector.enable(&name("list"), true, "tester").await.unwrap();
    assert!(view.enabled && view.stopped.is_none());
    assert!(collector.trigger(name("list"), "tester", Wish::default()).await.is_ok());
}

#[tokio::test]
async fn what_is_due_waits_while_a_person_is_busy_with_the_source() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    collector.define(name("hourly"), feed("every = '1h'"), "tester", true).await.unwrap();
    let (_, _, place) = collector.0.occupy(&name("hourly"), "tester").unwrap();
    collector.0.tick().await.unwrap();
    let redefined = collector.define(name("hourly"), feed("every = '2h'"), "tester", false).await;
    assert!(matches!(redefined, Err(CollectError::Busy { .. })));
    assert!(standing(&collector, "hourly").await.next.is_none());
    drop(place);
    collector.0.tick().await.unwrap();
    let run = collector.source(&name("hourly")).await.unwrap().last_run.unwrap();
    assert_eq!(over(&collector, run).await.trigger, Trigger::Schedule);
}

#[tokio::test(start_paused = true)]
async fn a_slow_login_is_waited_for_on_the_way_down() {
    let house = House::new();
    let slow = script(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(25)).await;
            Ok(())
        })
    });
    let collector = open(&house, slow);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    collector.progress(id).unwrap().wait_for(|p| p.run.state == State::Running).await.unwrap();
    collector.stop().await;
    assert_eq!(collector.run(id).await.unwrap().state, State::Done);
}
