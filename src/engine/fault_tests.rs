//! What must hold when the disk fails under a running engine: it says so, look-ups go on, and it
//! works again by itself when the fault is gone.

use super::crash_tests::{House, Verdicts, golden, list, script};
use super::*;
use crate::disk::faulty::Fault;
use crate::model::Scope;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Runs the script on an open engine with one fault in it; says whether it happened. What fails
/// is asked again after the fault is gone, and must then work without a restart.
fn outlive(fault: Fault, golden: &[Verdicts]) -> bool {
    let what = format!("{fault:?}");
    let mut house = House::new(Fault::None);
    house.open().unwrap();
    house.disk.set_fault(fault);
    let mut struck = false;
    for (number, batch) in script().into_iter().enumerate() {
        let receipt = house.submit(batch.clone()).or_else(|error| {
            let named = match fault {
                Fault::Full(_) => matches!(error, EngineError::Full(_)),
                _ => matches!(error, EngineError::Disk(_)),
            };
            assert!(named, "{what}: {error}");
            let generation = house.engine().snapshot().generation as usize;
            assert_eq!(house.verdicts(), golden[generation], "{what}: look-ups go on");
            struck = true;
            house.disk.set_fault(Fault::None);
            house.submit(batch)
        });
        assert_eq!(receipt.unwrap().generation, number as u64 + 1, "{what}");
        assert_eq!(house.verdicts(), golden[number + 1], "{what}");
    }
    struck |= house.disk.has_struck();
    house.disk.set_fault(Fault::None);
    house.heal();
    house.reopen_after_power_cut().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(house.check(golden, &what), script().len(), "{what}");
    struck
}

impl House {
    /// Waits until the engine has noticed that the fault is gone.
    fn heal(&self) {
        let began = Instant::now();
        while self.engine().condition() != Condition::Writable {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", self.engine().condition());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_bad_sync_is_told_and_outlived() {
    let golden = golden();
    assert!((1..).take_while(|number| outlive(Fault::Sync(*number), &golden)).count() >= 2 * script().len());
}

#[test]
fn a_bad_write_is_told_and_outlived() {
    let golden = golden();
    assert!((1..).take_while(|number| outlive(Fault::Write(*number), &golden)).count() >= 2 * script().len());
}

#[test]
fn a_full_disk_is_told_and_outlived_when_there_is_room_again() {
    let golden = golden();
    assert!((1..).take_while(|number| outlive(Fault::Full(*number), &golden)).count() >= 2 * script().len());
}

#[test]
fn projections_that_could_not_be_made_durable_catch_up_before_the_next_batch() {
    let (golden, script) = (golden(), script());
    let mut house = House::new(Fault::None);
    house.open().unwrap();
    house.submit_all(&script[..4]);
    house.disk.set_fault(Fault::Full(1));
    let began = Instant::now();
    while !house.disk.has_struck() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing was made durable");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(house.verdicts(), golden[4]);
    house.disk.set_fault(Fault::None);
    house.submit_all(&script[4..]);
    assert_eq!(house.check(&golden, "after a failed settling"), script.len());
}

#[test]
fn a_failed_read_that_costs_the_last_seconds_of_the_hot_store_is_caught_up() {
    let (golden, script) = (golden(), script());
    let mut house = House::new(Fault::None);
    house.open().unwrap();
    house.submit_all(&script[..4]);
    // The full disk keeps the hot store from saving itself while it is closed.
    house.disk.set_fault(Fault::Full(1));
    let failed: Result<(), _> = house.engine().view(|_| Err(redb::Error::Io(std::io::Error::other("bad"))));
    assert!(matches!(failed, Err(EngineError::Disk(_))));
    house.disk.set_fault(Fault::None);
    house.submit_all(&script[4..]);
    assert_eq!(house.check(&golden, "after a failed read"), script.len());
}

/// `count` batches, each listing an address of its own.
fn many(count: u32) -> Vec<Batch> {
    let batch = |number: u32| {
        let address = format!("20.0.{}.{}", number / 200, number % 200);
        let change = list("a", &[&address], Scope::Part, None);
        Batch { id: Uuid::from_u128(u128::from(number) + 1), change, ..script().swap_remove(0) }
    };
    (0..count).map(batch).collect()
}

impl House {
    /// Submits batches that wait for the writer together.
    fn submit_at_once(&self, batches: Vec<Batch>) -> Vec<Result<Receipt, EngineError>> {
        self.runtime.block_on(async {
            let submit = |batch| {
                let engine = self.engine().clone();
                tokio::spawn(async move { engine.submit(batch).await })
            };
            let asked: Vec<_> = batches.into_iter().map(submit).collect();
            let mut answers = Vec::new();
            for one in asked {
                answers.push(one.await.unwrap());
            }
            answers
        })
    }
}

#[test]
fn batches_that_wait_together_share_their_syncs() {
    let mut house = House::new(Fault::None);
    house.open().unwrap();
    house.disk.set_sync_time(Duration::from_millis(2));
    house.disk.set_fault(Fault::None);
    let receipts = house.submit_at_once(many(200));
    let syncs = house.disk.syncs();
    assert!(syncs <= 40, "{syncs} syncs for {} batches", receipts.len());
    let generations = receipts.into_iter().map(|receipt| receipt.unwrap().generation);
    assert!(generations.eq(1..=200), "each has a record of its own, in order");
}

#[test]
fn a_group_that_fails_is_there_once_when_every_sender_asks_again() {
    for fault in (1..=4).flat_map(|number| [Fault::Sync(number), Fault::Write(number * 3)]) {
        let mut house = House::new(Fault::None);
        house.open().unwrap();
        house.disk.set_sync_time(Duration::from_millis(1));
        house.disk.set_fault(fault);
        let first = house.submit_at_once(many(30));
        // How the batches fall into groups is a matter of timing; the first two syncs always are.
        assert!(house.disk.has_struck() || !matches!(fault, Fault::Sync(1 | 2)), "{fault:?}");
        house.disk.set_fault(Fault::None);
        let again = house.submit_at_once(many(30));
        let mut generations = Vec::new();
        for (first, again) in first.into_iter().zip(again) {
            let again = again.unwrap();
            assert!(first.is_err() || first.unwrap() == again, "{fault:?}");
            generations.push(again.generation);
        }
        generations.sort_unstable();
        assert!(generations.into_iter().eq(1..=30), "{fault:?}");
        house.reopen_after_power_cut().unwrap();
        let snapshot = house.engine().snapshot();
        assert_eq!((snapshot.generation, snapshot.listings()), (30, 30), "{fault:?}");
    }
}
