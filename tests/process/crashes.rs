//! kill -9 in the middle of writing, again and again: what was acknowledged is there, and no batch
//! is there by half.

use super::house::{House, Plan};
use super::http;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const ROUNDS: u32 = 12;
/// Every round begins with enough batches to be in the middle of one when it ends.
const WRITERS: usize = 3;

/// What a writer knows when the service is gone.
struct Seen {
    acknowledged: Vec<u32>,
    /// The one that was under way.
    open: u32,
    /// The newest generation of an answer.
    generation: u64,
}

/// The addresses of a batch: enough for several blocks in the store, and none beside another.
fn marks(batch: u32) -> impl Iterator<Item = Ipv4Addr> {
    let size = if batch.is_multiple_of(3) { 4000 } else { 40 };
    (0..size).map(move |number| Ipv4Addr::from(0x4000_0000 + (batch << 13) + number * 2))
}

fn lines(batches: impl Iterator<Item = u32>) -> String {
    batches.flat_map(marks).map(|address| format!("{address}\n")).collect()
}

/// Sends batch after batch until the service is gone.
fn write(to: SocketAddr, key: &str, numbers: &AtomicU32) -> Seen {
    let mut seen = Seen { acknowledged: Vec::new(), open: 0, generation: 0 };
    loop {
        seen.open = numbers.fetch_add(1, Ordering::Relaxed);
        let path = match seen.open % 2 {
            0 => "/api/v1/blacklist/ips/bulk",
            _ => "/api/v1/blacklist/import?source=crash",
        };
        let headers = [("x-api-key", key), ("content-type", "text/plain")];
        let body = lines(std::iter::once(seen.open));
        let Ok(answer) = http::ask(to, "POST", path, &headers, body.as_bytes()) else { return seen };
        let generation = answer.ok().json()["generation"].as_u64().unwrap();
        seen.generation = seen.generation.max(generation);
        seen.acknowledged.push(seen.open);
    }
}

fn writers(house: &House, numbers: &'static AtomicU32) -> Vec<JoinHandle<Seen>> {
    let (to, key) = (house.address("gateway"), house.key());
    let start = |_| {
        let key = key.clone();
        thread::spawn(move || write(to, &key, numbers))
    };
    (0..WRITERS).map(start).collect()
}

/// How many marks of a batch are listed.
fn found(house: &House, batch: u32) -> usize {
    let kind = [("content-type", "text/plain")];
    let body = lines(std::iter::once(batch));
    let answer = house.ask("blacklist", "POST", "/api/v1/blacklist/check", &kind, body.as_bytes()).unwrap();
    answer.ok().text().lines().count() - 1
}

fn is_whole(house: &House, batch: u32) -> bool {
    let (found, all) = (found(house, batch), marks(batch).count());
    assert!(found == all || found == 0, "batch {batch}: {found} of {all}");
    found == all
}

fn all_there(house: &House, batches: &[u32]) {
    let missing: Vec<_> = batches.iter().filter(|batch| !is_whole(house, **batch)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_no_batch_is_there_by_half() {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let mut dice = fastrand::Rng::with_seed(9);
    let (mut kept, mut newest) = (Vec::new(), 0);
    let plan = || {
        let plan = Plan::new(folder.path()).set("IRONLIST_RATE_WRITE", "off");
        plan.set("IRONLIST_RATE_BULK", "off")
    };
    let mut house = plan().start();
    for round in 0..ROUNDS {
        let writers = writers(&house, &NUMBERS);
        thread::sleep(Duration::from_millis(dice.u64(20..400)));
        house.kill();
        let seen: Vec<Seen> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        house = plan().start();
        for Seen { acknowledged, open, generation } in seen {
            all_there(&house, &acknowledged);
            kept.extend(acknowledged);
            // Whether it was made durable before the end nobody can say; but once seen, it stays.
            kept.extend(is_whole(&house, open).then_some(open));
            newest = newest.max(generation);
        }
        let now = house.generation();
        assert!(now >= newest, "round {round}: generation {now} after {newest}");
        assert_eq!(
            now,
            kept.len() as u64,
            "round {round}: every batch makes one generation, and nothing else does"
        );
        newest = now;
    }
    assert!(kept.len() > ROUNDS as usize, "hardly anything was written: {kept:?}");
    all_there(&house, &kept);
}
