//! Runs: counted, cancelled, repeated.

use super::*;

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
async fn one_run_at_a_time_a_source_and_it_can_be_cancelled_while_it_works_or_waits() {
    let house = House::new();
    let endless = script(|job| Box::pin(async move { job.until_stopped(std::future::pending()).await }));
    let collector = open(&house, endless);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    let busy = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap_err();
    assert!(matches!(busy, CollectError::Busy { run, .. } if run == id));
    let mut progress = collector.progress(id).unwrap();
    progress.wait_for(|progress| progress.run.state == State::Running).await.unwrap();
    collector.cancel(id, "tester").await.unwrap();
    assert_eq!(over(&collector, id).await.state, State::Cancelled);
    assert!(matches!(
        collector.cancel(id, "tester").await,
        Err(CollectError::Over { state: State::Cancelled, .. })
    ));
    assert!(standing(&collector, "list").await.retry.is_none(), "what a person ended stays ended");
    let (audit, _) = collector.audit(None, 1).await.unwrap();
    let entry = &audit[0].1;
    assert_eq!(
        (&*entry.action, &*entry.actor, &entry.detail),
        ("run.cancel", "tester", &format!("run {id}"))
    );
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
async fn a_row_of_regtech_without_a_release_day_ends_so_many_days_after_its_listing() {
    let house = House::new();
    let collector = open(&house, flow::work());
    for (settings, end) in
        [("", "2026-12-19T15:00:00Z"), ("regtech = { release_days = 30 }", "2026-10-20T15:00:00Z")]
    {
        let definition = "kind = 'regtech'\npolicy = { expires_days = 7 }\n";
        let definition = toml::from_str(&format!("{definition}{settings}")).unwrap();
        collector.configure(&[(name("account"), definition)].into()).await.unwrap();
        let list = "IP,국가,등록사유,등록일,해제일\n20.0.0.1,CN,scan,2026-09-20,\n";
        let id = collector.upload(name("account"), "tester", None, list.into()).await.unwrap();
        assert_eq!(over(&collector, id).await.state, State::Done);
        let mut ends = Vec::new();
        house.look(|look| {
            look.view.each_entry(None, |entry| {
                ends.extend(entry.listings.iter().filter_map(|(_, detail)| detail.expires));
                true
            })
        });
        assert_eq!(ends, [end.parse().unwrap()], "whatever the policy says of what is not seen any more");
    }
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
async fn files_are_brought_to_a_source_that_only_imports_know_and_mean_what_its_listings_mean() {
    let house = House::new();
    let collector = open(&house, flow::work());
    house.list("mine", &crate::analyze::fixture::plain(&["20.9.9.9"]), crate::model::Scope::Part).await;
    let id = collector.upload(name("mine"), "tester", None, TWO.into()).await.unwrap();
    let run = over(&collector, id).await;
    assert_eq!((run.state, run.counts.new, run.counts.expired), (State::Done, 2, 0));
    let again = collector.again(id, "tester").await.unwrap();
    assert_eq!(over(&collector, again).await.counts.unchanged, 2);
    let fetched = collector.trigger(name("mine"), "tester", Wish::default()).await;
    assert!(matches!(fetched, Err(CollectError::NotFetched(_))), "{fetched:?}");
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_is_in_no_other_sources_way() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    collector.define(name("mine"), feed(""), "tester", true).await.unwrap();
    collector.0.change(|change| change.spoil(&name("spoiled"))).await.unwrap();
    for source in ["list", "mine", "firehol-level1"] {
        assert!(collector.source(&name(source)).await.is_ok(), "{source}");
    }
    assert_eq!(run(&collector, "mine").await.state, State::Done);
    assert!(matches!(collector.source(&name("spoiled")).await, Err(CollectError::Disk(_))));
}

#[tokio::test]
async fn no_key_of_a_url_is_in_a_fault_or_a_step_and_no_portal_fills_the_ledger() {
    let house = House::new();
    let talks = script(|job| {
        Box::pin(async move {
            job.step("asking https://lists.example/a?key=hidden", 0, None);
            let step = job.live.progress.borrow().step.clone();
            assert_eq!(step, "asking https://lists.example/a?…");
            let told = format!("led to https://other.example/?key=hidden {}", "x".repeat(100_000));
            Err(Ending::new(Failure::Broken, "scripted", told))
        })
    });
    let fault = run(&open(&house, talks), "list").await.fault.unwrap();
    assert!(fault.detail.len() < 2_000 && fault.detail.starts_with("led to https://other.example/?… x"));
}

#[tokio::test]
async fn raw_bytes_are_held_to_their_size_as_they_come_and_what_is_held_or_at_work_stays() {
    let house = House::new();
    let mut options = options(&house);
    options.retention.bytes = 1;
    let work = lists(["20.0.0.1\n", "20.0.0.2\n", "<html><body>20.0.0.9</body></html>", "20.0.0.3\n"]);
    let collector = Collector::with_work(options, work.clone(), work).unwrap();
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(run(&collector, "list").await.id);
    }
    let kept = async |id| collector.raw(id, 0).await.is_ok();
    assert_eq!([kept(runs[0]).await, kept(runs[1]).await, kept(runs[2]).await], [false, false, true]);
    collector.0.tidy().await;
    assert!(kept(runs[2]).await, "it waits for a person's word");
    run(&collector, "list").await;
    collector.0.tidy().await;
    assert!(!kept(runs[2]).await, "a newer run took its place");
    assert_eq!(collector.0.raw.used(), 0);
}

#[tokio::test]
async fn an_empty_list_is_held_against_what_its_source_lists() {
    let house = House::new();
    let collector = open(&house, lists([TWO, ""]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let hold = collector.holds().await.unwrap().remove(0);
    assert_eq!(hold.documents[0].grounds, [Ground::Empty { before: 2 }]);
}
