//! Runs that are interrupted, by a stop or by a crash: what goes on, with what was asked for, and what is said.

use super::*;
use crate::collect::ledger::Resume;
use crate::engine::EngineError;

const CSV: &str = "ip,reason\n20.0.0.1,a\n20.0.0.2,b\n";

/// The run is at work, and that is on the disk.
async fn until_running(collector: &Collector, id: Uuid) {
    let mut progress = collector.progress(id).unwrap();
    progress.wait_for(|progress| progress.step == "endless").await.unwrap();
}

fn endless() -> Script {
    script(|job| {
        Box::pin(async move {
            job.step("endless", 0, None);
            job.until_stopped(std::future::pending()).await
        })
    })
}

/// The last run of a source when all is quiet.
async fn last(collector: &Collector, source: &str) -> Run {
    let id = standing(collector, source).await.last_run.unwrap();
    over(collector, id).await
}

#[tokio::test]
async fn a_file_that_was_taken_is_read_after_a_crash_in_the_name_of_who_brought_it() {
    let house = House::new();
    let collector = open(&house, endless());
    let id = collector.upload(name("files"), "mina", Some("a.csv".to_owned()), CSV.into()).await.unwrap();
    until_running(&collector, id).await;
    crash(collector).await;
    let collector = open(&house, flow::work());
    let fault = collector.run(id).await.unwrap().fault.unwrap();
    assert!(fault.code == "interrupted" && fault.detail.contains("read again by itself"), "{fault:?}");
    collector.0.tick().await.unwrap();
    assert_eq!(last(&collector, "files").await.id, id, "not at once: what ended it may do so again");
    house.wait(1);
    collector.0.tick().await.unwrap();
    let run = last(&collector, "files").await;
    assert_eq!((run.state, run.counts.new, run.trigger), (State::Done, 2, Trigger::Again));
    assert_eq!((run.wish.again, run.actor.as_str(), run.attempt), (Some(id), "mina", 1));
    collector.0.tick().await.unwrap();
    assert_eq!(last(&collector, "files").await.id, run.id, "once");
}

#[tokio::test]
async fn what_is_read_again_goes_on_from_the_bytes_of_the_first_run_after_a_stop() {
    let house = House::new();
    let collector = open(&house, flow::work());
    let first = collector.upload(name("files"), "mina", None, CSV.into()).await.unwrap();
    over(&collector, first).await;
    collector.stop().await;
    drop(collector);
    let collector = open(&house, endless());
    let again = collector.again(first, "jun").await.unwrap();
    until_running(&collector, again).await;
    collector.stop().await;
    let waits = standing(&collector, "files").await.resume.unwrap();
    assert_eq!((waits.run, waits.actor.as_str(), waits.attempt), (first, "jun", 0));
    drop(collector);
    let collector = open(&house, flow::work());
    house.wait(1);
    collector.0.tick().await.unwrap();
    let run = last(&collector, "files").await;
    assert_eq!((run.state, run.counts.unchanged, run.wish.again), (State::Done, 2, Some(first)));
}

#[tokio::test]
async fn what_was_brought_before_a_newer_run_is_not_put_over_it() {
    let house = House::new();
    let collector = open(&house, endless());
    let id = collector.upload(name("files"), "mina", None, CSV.into()).await.unwrap();
    until_running(&collector, id).await;
    crash(collector).await;
    let collector = open(&house, flow::work());
    let newer = collector.upload(name("files"), "mina", None, "20.0.0.9\n".into()).await.unwrap();
    over(&collector, newer).await;
    house.wait(1);
    collector.0.tick().await.unwrap();
    assert_eq!(last(&collector, "files").await.id, newer);
    assert_eq!(house.engine().snapshot().listings(), 1);
}

#[tokio::test]
async fn a_schedule_that_meets_an_upload_waits_for_it_and_for_what_is_left_of_it() {
    let house = House::new();
    let collector = open(&house, endless());
    collector.define(name("hourly"), feed("every = '1h'"), "tester", true).await.unwrap();
    let id = collector.upload(name("hourly"), "mina", None, CSV.into()).await.unwrap();
    until_running(&collector, id).await;
    house.wait(2);
    collector.0.tick().await.unwrap();
    assert_eq!(standing(&collector, "hourly").await.last_run, Some(id), "one run at a time");
    crash(collector).await;
    let by_trigger = script(|job| {
        Box::pin(async move {
            let list = if job.run.trigger == Trigger::Schedule { "20.0.0.7\n" } else { TWO };
            deliver(job, list).await.map(drop)
        })
    });
    let collector = open(&house, by_trigger);
    collector.0.tick().await.unwrap();
    assert_eq!(standing(&collector, "hourly").await.last_run, Some(id), "the file comes first");
    let mut triggers = Vec::new();
    for _ in 0..3 {
        house.wait(2);
        collector.0.tick().await.unwrap();
        triggers.push(last(&collector, "hourly").await.trigger);
    }
    // The source's first turn is set when it is first free.
    assert_eq!(triggers, [Trigger::Again, Trigger::Again, Trigger::Schedule]);
}

#[tokio::test]
async fn a_run_that_dies_every_time_goes_on_ten_times_and_then_says_what_to_do() {
    let house = House::new();
    let mut collector = open(&house, endless());
    let mut id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    for death in 1..=11_u16 {
        until_running(&collector, id).await;
        crash(collector).await;
        collector = open(&house, endless());
        let fault = collector.run(id).await.unwrap().fault.unwrap();
        let left = standing(&collector, "list").await.retry;
        assert_eq!(left.map(|retry| retry.attempt), Some(death).filter(|death| *death <= 10));
        assert_eq!(fault.detail.contains("goes on by itself"), left.is_some(), "{fault:?}");
        if left.is_some() {
            house.wait(1);
            collector.0.tick().await.unwrap();
            id = standing(&collector, "list").await.last_run.unwrap();
        }
    }
    crash(collector).await;
}

#[tokio::test]
async fn a_retry_asks_for_what_the_person_asked_for_and_leaves_the_schedule_its_turn() {
    let house = House::new();
    let collector = open(&house, fails(Failure::SOON));
    collector.define(name("hourly"), feed("every = '1h'"), "tester", true).await.unwrap();
    collector.0.tick().await.unwrap();
    last(&collector, "hourly").await;
    let day = house.now().day_in(chrono_tz::UTC);
    let wish = Wish { first: Some(day.plus(-9)), last: Some(day), force: true, again: None };
    let id = collector.trigger(name("hourly"), "tester", wish).await.unwrap();
    over(&collector, id).await;
    house.wait(3);
    collector.0.tick().await.unwrap();
    let retry = last(&collector, "hourly").await;
    assert_eq!((retry.trigger, retry.wish), (Trigger::Retry, wish));
    assert!(standing(&collector, "hourly").await.next.unwrap().due <= house.now(), "all days are still due");
    crash(collector).await;
    let collector = open(&house, endless());
    let id = collector.trigger(name("hourly"), "tester", wish).await.unwrap();
    until_running(&collector, id).await;
    collector.stop().await;
    assert_eq!(standing(&collector, "hourly").await.retry.unwrap().wish, wish, "a stop forgets it neither");
}

#[tokio::test]
async fn a_blacklist_that_stops_interrupts_the_run_and_cancels_nothing() {
    let house = House::new();
    let mut options = options(&house);
    options.submit = Arc::new(|_| Box::pin(async { Err(EngineError::Stopped) }));
    let work = lists([TWO]);
    let collector = Collector::with_work(options, work.clone(), work).unwrap();
    let ended = run(&collector, "list").await;
    assert_eq!((ended.state, ended.fault.unwrap().code.as_str()), (State::Failed, "interrupted"));
    collector.enable(&name("list"), true, "tester").await.unwrap();
    assert!(standing(&collector, "list").await.retry.is_some(), "who switches on what is on drops nothing");
    let id = collector.upload(name("files"), "mina", None, CSV.into()).await.unwrap();
    assert_eq!(over(&collector, id).await.state, State::Failed, "as far as the first batch");
    let resume = standing(&collector, "files").await.resume;
    assert!(matches!(resume, Some(Resume { run, .. }) if run == id));
}

#[tokio::test]
async fn an_interrupted_login_says_that_it_does_not_go_on_by_itself() {
    let house = House::new();
    let dies = script(|job| {
        Box::pin(async move {
            job.attempt::<serde_json::Value>().await?;
            job.step("sent", 0, None);
            job.until_stopped(std::future::pending()).await
        })
    });
    let collector = open(&house, dies);
    set_account(&collector).await;
    let id = collector.trigger(name("account"), "tester", Wish::default()).await.unwrap();
    collector.progress(id).unwrap().wait_for(|progress| progress.step == "sent").await.unwrap();
    crash(collector).await;
    let collector = open(&house, lists([TWO]));
    let fault = collector.run(id).await.unwrap().fault.unwrap();
    assert!(fault.detail.contains("has no answer") && !fault.detail.contains("by itself"), "{fault:?}");
}
