//! Feeds against a golden bitmap, and what they offer when things change or fail.

use super::*;
use crate::addr::{Class, IpRange, Range, Table, Word};
use crate::disk::Medium;
use crate::engine::{Condition, Engine, Options, Snapshot, Standing};
use crate::model::{
    Batch, Cause, Change, Detail, Exemption, Exemptions, Policy, RowsBuilder, Scope, Source, SourceId, Time,
};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOON: Time = Time::from_unix(1_790_000_000);

/// Class 0 is clear; 1 and 2 are listed, by other sources; 3 is listed and allowed, 4 only guarded.
const CLASSES: [(&[u16], Exemptions); 5] = [
    (&[], Exemptions::NONE),
    (&[1], Exemptions::NONE),
    (&[1, 2], Exemptions::NONE),
    (&[1], Exemptions::NONE.with(Exemption::Allowlist)),
    (&[], Exemptions::NONE.with(Exemption::Guard)),
];

fn standing((ids, exemptions): &(&[u16], Exemptions)) -> Arc<Standing> {
    let ids: Box<[SourceId]> = ids.iter().copied().map(SourceId).collect();
    Arc::new(Standing { ids, sources: Box::new([]), exemptions: *exemptions })
}

fn of_table(table: Table, generation: u64, time: Time) -> Snapshot {
    Snapshot {
        generation,
        time,
        zone: chrono_tz::UTC,
        table,
        standings: CLASSES.iter().map(standing).collect(),
        sources: Arc::default(),
        coverage: Arc::default(),
        allows: Arc::default(),
        suppressions: Arc::default(),
    }
}

/// A generation in which one source lists `ranges`, which are sorted.
fn snapshot(ranges: &[&str], generation: u64, time: Time) -> Snapshot {
    let mut table = Table::default();
    for text in ranges {
        let listed = |_: &(), _| Class::new(1).unwrap();
        match text.parse().unwrap() {
            IpRange::V4(range) => table.v4 = table.v4.next(&[(range, ())], listed),
            IpRange::V6(range) => table.v6 = table.v6.next(&[(range, ())], listed),
        }
    }
    let source = Source {
        id: SourceId(1),
        name: "test".parse().unwrap(),
        policy: Policy { zone: chrono_tz::UTC, ..Policy::default() },
        last_seen: None,
        since: time,
    };
    Snapshot { sources: Arc::new([(SourceId(1), source)].into()), ..of_table(table, generation, time) }
}

fn profile(lines: Lines) -> Profile {
    Profile { lines, ..Profile::fortigate() }
}

fn lines(rendered: &Rendered) -> Vec<&str> {
    let text = std::str::from_utf8(&rendered.text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().collect()
}

/// 256 addresses somewhere, each with a class; the rest of the space is clear.
fn universe<W: Word>(base: W, classes: &[u8]) -> Vec<(Range<W>, u8)> {
    let addresses = std::iter::successors(Some(base), |address| address.next());
    addresses.map(Range::single).zip(classes.iter().copied()).filter(|(_, class)| *class > 0).collect()
}

/// The fewest prefixes for a bitmap, by trying all.
fn fewest(bits: &[bool]) -> usize {
    match bits {
        _ if bits.iter().all(|bit| *bit) => 1,
        _ if bits.iter().all(|bit| !bit) => 0,
        _ => fewest(&bits[..bits.len() / 2]) + fewest(&bits[bits.len() / 2..]),
    }
}

fn stretches() -> impl Strategy<Value = Vec<u8>> {
    let stretch = (0_u8..5, 1_usize..60).prop_map(|(class, len)| vec![class; len]);
    proptest::collection::vec(stretch, 5..40).prop_map(|all| {
        let mut all = all.concat();
        all.resize(256, 0);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_feed_is_what_is_listed_and_not_exempt_in_the_fewest_lines(
        four in stretches(), six in stretches(), high: bool,
    ) {
        let low4 = if high { u32::MAX - 255 } else { 0x0808_0800 };
        let low6 = if high { u128::MAX - 255 } else { 0x2a00 << 112 };
        let class = |number: &u8, _| Class::new(u32::from(*number)).unwrap();
        let table = Table {
            v4: Table::default().v4.next(&universe(low4, &four), class),
            v6: Table::default().v6.next(&universe(low6, &six), class),
        };
        let snapshot = of_table(table, 1, NOON);
        let blocked = |classes: &[u8]| classes.iter().map(|class| matches!(class, 1 | 2)).collect::<Vec<bool>>();
        let golden = [blocked(&four), blocked(&six)];
        let begins = |bits: &[bool]| (0..bits.len()).filter(|at| bits[*at] && (*at == 0 || !bits[at - 1])).count();
        for form in [Lines::Cidrs, Lines::Ranges, Lines::Addresses] {
            let rendered = render(&snapshot, &profile(form), 0).unwrap();
            let listed = lines(&rendered);
            let ranges: Vec<IpRange> = listed.iter().map(|line| line.parse().unwrap()).collect();
            let mut seen = [vec![false; 256], vec![false; 256]];
            for range in &ranges {
                let (family, first, size) = match range {
                    IpRange::V4(r) => (0, (r.first() - low4) as usize, r.size() as usize),
                    IpRange::V6(r) => (1, (r.first() - low6) as usize, r.size() as usize),
                };
                seen[family][first..first + size].fill(true);
            }
            prop_assert_eq!(&seen, &golden);
            prop_assert!(ranges.is_sorted());
            let addresses: u128 = ranges.iter().map(|range| range.size()).sum();
            prop_assert_eq!(rendered.addresses, addresses);
            prop_assert_eq!(rendered.entries as usize, listed.len());
            let least: usize = golden.iter().map(|bits| match form {
                Lines::Cidrs => fewest(bits),
                Lines::Ranges => begins(bits),
                Lines::Addresses => bits.iter().filter(|bit| **bit).count(),
            }).sum();
            prop_assert_eq!(listed.len(), least);
            let released = Released::new(rendered, 1, NOON);
            for at in 0..256 {
                prop_assert_eq!(released.holds((low4 + at).ip()), golden[0][at as usize]);
                prop_assert_eq!(released.holds((low6 + u128::from(at)).ip()), golden[1][at as usize]);
            }
        }
    }
}

#[test]
fn lines_have_the_form_of_the_profile_and_only_its_families() {
    let snapshot = snapshot(&["192.0.2.0-192.0.2.2", "2001:db8::/126"], 1, NOON);
    let text = |profile: Profile| String::from_utf8(render(&snapshot, &profile, 0).unwrap().text).unwrap();
    assert_eq!(text(profile(Lines::Cidrs)), "192.0.2.0/31\n192.0.2.2\n2001:db8::/126\n");
    assert_eq!(text(profile(Lines::Ranges)), "192.0.2.0-192.0.2.2\n2001:db8::-2001:db8::3\n");
    let only = |families| text(Profile { families, ..profile(Lines::Addresses) });
    assert_eq!(only(Families::V4), "192.0.2.0\n192.0.2.1\n192.0.2.2\n");
    assert_eq!(only(Families::V6), "2001:db8::\n2001:db8::1\n2001:db8::2\n2001:db8::3\n");
}

#[test]
fn single_addresses_of_a_huge_range_are_refused() {
    let addresses = profile(Lines::Addresses);
    let most = snapshot(&["8.0.0.0-8.15.66.63"], 1, NOON);
    assert_eq!(render(&most, &addresses, 0).unwrap().entries, MOST_ADDRESSES);
    let more = snapshot(&["8.0.0.0-8.15.66.63", "9.9.9.9"], 1, NOON);
    assert_eq!(render(&more, &addresses, 0), Err(TooLong));
    let wide = snapshot(&["2000::/3"], 1, NOON);
    assert_eq!(render(&wide, &addresses, 0), Err(TooLong));
    assert_eq!(render(&wide, &profile(Lines::Cidrs), 0).unwrap().entries, 1);
}

fn open(folder: &Path, profile: Profile) -> Feeds {
    Feeds::open(folder, vec![profile], NOON).unwrap()
}

fn released(feeds: &Feeds) -> Arc<Released> {
    match &**feeds.get("fortigate").unwrap().offer() {
        Offer::List(released) => Arc::clone(released),
        other => panic!("{other:?}"),
    }
}

fn refresh(feeds: &Feeds, snapshot: &Snapshot) -> Status {
    let feed = feeds.get("fortigate").unwrap();
    feed.refresh(snapshot, true, NOON);
    feed.status()
}

#[test]
fn an_equal_list_keeps_its_tag_and_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    refresh(&feeds, &snapshot(&["192.0.2.1"], 1, NOON));
    let first = released(&feeds);
    let status = refresh(&feeds, &snapshot(&["192.0.2.1"], 2, NOON.plus(60)));
    assert_eq!(status, Status { generation: Some(2), fault: None });
    assert!(Arc::ptr_eq(&first, &released(&feeds)));
    assert_eq!((first.generation, first.modified), (1, NOON));
    refresh(&feeds, &snapshot(&["192.0.2.2"], 3, NOON.plus(61)));
    let second = released(&feeds);
    assert_eq!((second.generation, second.modified), (3, NOON.plus(61)));
    assert_ne!(first.text.etag, second.text.etag);
    assert_ne!(second.text.etag, second.gzip.etag);
}

#[test]
fn times_rise_although_the_clock_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    refresh(&feeds, &snapshot(&["192.0.2.1"], 1, NOON));
    refresh(&feeds, &snapshot(&["192.0.2.2"], 2, NOON));
    assert_eq!(released(&feeds).modified, NOON.plus(1));
    let again = open(folder.path(), Profile::fortigate());
    refresh(&again, &snapshot(&["192.0.2.3"], 3, NOON.plus(-3600)));
    assert_eq!(released(&again).modified, NOON.plus(2));
}

#[test]
fn the_compressed_form_is_the_same_list() {
    let released = Released::new(
        Rendered { text: b"192.0.2.1\n".repeat(5000), entries: 5000, addresses: 5000 },
        1,
        NOON,
    );
    let mut plain = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(&released.gzip.bytes[..]), &mut plain).unwrap();
    assert_eq!(plain, released.text.bytes);
    assert!(released.gzip.bytes.len() < plain.len() / 10);
}

#[test]
fn after_a_restart_the_last_good_list_is_there_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    refresh(&feeds, &snapshot(&["192.0.2.0/24", "2001:db8::1"], 7, NOON));
    let before = released(&feeds);
    drop(feeds);
    let again = open(folder.path(), Profile::fortigate());
    assert_eq!(*released(&again), *before);
    let other = Profile { families: Families::V4, ..Profile::fortigate() };
    let other = open(folder.path(), other);
    assert!(
        matches!(**other.get("fortigate").unwrap().offer(), Offer::Nothing),
        "it was made for another profile"
    );
}

#[test]
fn a_damaged_file_is_not_offered_and_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    let now = snapshot(&["192.0.2.1", "192.0.2.3"], 1, NOON);
    refresh(&feeds, &now);
    let file = folder.path().join("feeds/fortigate.feed");
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let again = open(folder.path(), Profile::fortigate());
        let feed = again.get("fortigate").unwrap();
        assert!(matches!(**feed.offer(), Offer::Nothing), "byte {at}");
        assert!(feed.status().fault.unwrap().what.contains("damaged"));
    }
    let again = open(folder.path(), Profile::fortigate());
    assert_eq!(refresh(&again, &now).fault, None);
    assert_eq!(std::fs::read(&file).unwrap(), whole);
}

#[test]
fn an_empty_list_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    let feed = feeds.get("fortigate").unwrap();
    assert!(matches!(**feed.offer(), Offer::Nothing));
    refresh(&feeds, &snapshot(&["192.0.2.1"], 1, NOON));
    assert_eq!(refresh(&feeds, &snapshot(&[], 2, NOON)).fault, None);
    assert!(matches!(**feed.offer(), Offer::Empty));
    refresh(&feeds, &snapshot(&["192.0.2.1"], 3, NOON));
    assert_eq!(released(&feeds).modified, NOON.plus(1));
}

#[test]
fn an_empty_list_is_offered_where_the_profile_wants_it_and_something_was_imported() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile { allow_empty: true, ..Profile::fortigate() });
    let nothing_yet = Snapshot { sources: Arc::default(), ..snapshot(&[], 1, NOON) };
    refresh(&feeds, &nothing_yet);
    assert!(matches!(**feeds.get("fortigate").unwrap().offer(), Offer::Empty));
    refresh(&feeds, &snapshot(&[], 2, NOON));
    assert_eq!(released(&feeds).text.bytes, "");
}

#[test]
fn what_fails_leaves_the_last_list_and_says_so_until_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), profile(Lines::Addresses));
    refresh(&feeds, &snapshot(&["192.0.2.1"], 1, NOON));
    let feed = feeds.get("fortigate").unwrap();
    let wide = snapshot(&["8.0.0.0/8"], 2, NOON);
    feed.refresh(&wide, true, NOON.plus(5));
    feed.refresh(&wide, true, NOON.plus(15));
    let status = feed.status();
    assert_eq!((status.generation, status.fault.unwrap().since), (Some(1), NOON.plus(5)));
    assert_eq!(released(&feeds).text.bytes, "192.0.2.1\n");
    assert_eq!(refresh(&feeds, &snapshot(&["192.0.2.9"], 3, NOON)).fault, None);
}

#[test]
fn a_list_that_cannot_be_kept_is_offered_and_kept_later() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    let (place, away) = (folder.path().join("feeds"), folder.path().join("away"));
    std::fs::rename(&place, &away).unwrap();
    let now = snapshot(&["192.0.2.1"], 1, NOON);
    assert!(refresh(&feeds, &now).fault.is_some());
    assert_eq!(released(&feeds).entries, 1);
    std::fs::rename(&away, &place).unwrap();
    assert_eq!(refresh(&feeds, &now).fault, None);
    assert_eq!(*released(&open(folder.path(), Profile::fortigate())), *released(&feeds));
}

#[test]
fn an_older_snapshot_of_a_damaged_store_does_not_replace_a_newer_list() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = open(folder.path(), Profile::fortigate());
    refresh(&feeds, &snapshot(&["192.0.2.9"], 9, NOON));
    let older = snapshot(&["192.0.2.5"], 5, NOON);
    feeds.get("fortigate").unwrap().refresh(&older, false, NOON);
    assert_eq!(released(&feeds).generation, 9);
    // Whole stores are the truth, also when a backup has taken them back.
    refresh(&feeds, &older);
    assert_eq!(released(&feeds).generation, 5);
}

#[tokio::test]
async fn the_worker_brings_every_change_to_the_feed_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(Medium::folder(folder.path()))).unwrap();
    assert_eq!(engine.condition(), Condition::Writable);
    let feeds = Arc::new(open(folder.path(), Profile::fortigate()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tokio::spawn(follow(Arc::clone(&feeds), engine.clone(), async { drop(stopped.await) }));
    for last in 1..=5_u32 {
        let mut rows = RowsBuilder::default();
        rows.push(Range::single(0x0808_0800 + 2 * last).into(), &Detail::default());
        let change =
            Change::List { source: "test".parse().unwrap(), rows: rows.finish().0, scope: Scope::Part };
        let id = uuid::Uuid::now_v7();
        let batch = Batch { id, actor: "test".into(), reason: String::new(), cause: Cause::Manual, change };
        engine.submit(batch).await.unwrap();
        if last == 1 {
            reaches(&feeds, 1).await;
        }
    }
    reaches(&feeds, 5).await;
    assert_eq!(released(&feeds).text.bytes, "8.8.8.2\n8.8.8.4\n8.8.8.6\n8.8.8.8\n8.8.8.10\n");
    stop.send(()).unwrap();
    worker.await.unwrap();
}

async fn reaches(feeds: &Feeds, generation: u64) {
    let there = async {
        while feeds.get("fortigate").unwrap().status().generation != Some(generation) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), there).await.unwrap();
}
