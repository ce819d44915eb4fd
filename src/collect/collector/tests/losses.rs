//! What a portal that says too little may cost: nothing that somebody has not looked at.

use super::flows::{FORCED, PAGES, begin, code, open_regtech, open_regtech_with};
use super::*;
use crate::fakes::regtech::{Fault, Regtech};

/// A run over all windows, which reads pages.
async fn read(portal: &Regtech, collector: &Collector) -> Run {
    portal.misbehave(PAGES.repeat(9));
    let run = begin(collector, "account", Trigger::Person, FORCED).await;
    portal.set(|state| state.faults.clear());
    run
}

#[tokio::test]
async fn windows_that_come_back_empty_or_nearly_do_not_end_what_they_listed() {
    let house = House::new();
    let (portal, collector) = open_regtech_with(&house, 13).await;
    assert_eq!(read(&portal, &collector).await.state, State::Done);
    let before = house.engine().snapshot().listings();
    let all = portal.state().rows;
    portal.set(|state| state.rows.clear());
    assert_eq!(read(&portal, &collector).await.state, State::Held);
    assert_eq!(house.engine().snapshot().listings(), before);
    let hold = collector.holds().await.unwrap().remove(0);
    assert!(hold.documents.iter().all(|held| held.grounds[0].code() == "empty"), "{hold:?}");
    // A row of each week is left: what one window may lose, all may not; nor a little more in each run.
    portal.set(|state| state.rows = all.iter().step_by(14).cloned().collect());
    for _ in 0..3 {
        read(&portal, &collector).await;
        assert_eq!(house.engine().snapshot().listings(), before);
    }
    portal.set(|state| state.rows = all);
    let mended = read(&portal, &collector).await;
    assert_eq!((mended.state, collector.holds().await.unwrap().len()), (State::Done, 0), "{mended:?}");
}

#[tokio::test]
async fn a_list_that_counts_nothing_is_a_fault_and_no_empty_window() {
    let house = House::new();
    let (portal, collector) = open_regtech(&house).await;
    read(&portal, &collector).await;
    let before = house.engine().snapshot().listings();
    let empty =
        "<table><caption>요주의 IP 목록</caption><tr><th>IP</th><th>국가</th></tr><tbody></tbody></table>";
    portal.misbehave([Fault::NoSheets, Fault::Html(empty)]);
    let run = begin(&collector, "account", Trigger::Person, FORCED).await;
    assert_eq!((run.state, code(&run)), (State::Failed, "uncounted_list"));
    assert_eq!(house.engine().snapshot().listings(), before);
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_costs_nothing_once_it_is_right() {
    let house = House::new();
    let (portal, collector) = open_regtech(&house).await;
    let first = read(&portal, &collector).await;
    let before = house.engine().snapshot().listings();
    house.wait(200 * 24);
    portal.misbehave(PAGES.repeat(99));
    let ahead = begin(&collector, "account", Trigger::Schedule, Wish::default()).await;
    assert_eq!(ahead.state, State::Done, "{:?}", ahead.fault);
    portal.set(|state| state.faults.clear());
    house.wait(-200 * 24);
    portal.misbehave(PAGES.repeat(9));
    let back = begin(&collector, "account", Trigger::Schedule, Wish::default()).await;
    assert_eq!((back.state, house.engine().snapshot().listings()), (State::Done, before), "{back:?}");
    let labels = |run: &Run| run.documents.iter().map(|read| read.label.clone()).collect::<Vec<_>>();
    // All but the last, which held nothing that was active.
    let [back, first] = [labels(&back), labels(&first)];
    assert_eq!(back, first[..first.len() - 1]);
}

#[tokio::test]
async fn what_a_person_rejected_is_known_again_though_each_file_differs() {
    let house = House::new();
    let turn = Arc::new(AtomicUsize::new(0));
    let collector = open(
        &house,
        script(move |job| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let rows: String = (0..if turn == 0 { 400 } else { 3 })
                    .map(|n| format!("20.0.{}.{}\n", n / 200, n % 200))
                    .collect();
                deliver(job, &format!("# made at {turn}\n{rows}")).await.map(drop)
            })
        }),
    );
    run(&collector, "list").await;
    assert_eq!(run(&collector, "list").await.state, State::Held);
    let hold = collector.holds().await.unwrap().remove(0);
    collector.reject(hold.id, "admin", "no").await.unwrap();
    assert_eq!(run(&collector, "list").await.state, State::Rejected);
    assert!(collector.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_whose_own_date_is_old_is_believed_and_somebody_is_told() {
    let house = House::new();
    let dated = house.now().plus(-40 * 86_400);
    let collector = open(
        &house,
        script(move |job| {
            let delivery = Delivery { dated: Some(dated), ..Delivery::new("list".to_owned(), TWO.into()) };
            Box::pin(async move { job.deliver(delivery).await.map(drop) })
        }),
    );
    let run = run(&collector, "list").await;
    assert_eq!((run.state, run.warnings.len()), (State::Done, 1), "{run:?}");
    assert_eq!(collector.source(&name("list")).await.unwrap().dated, Some(dated));
}
