//! Starting on damaged, missing and foreign files; following; what expires.

use super::tests::{House, NOON, allow, list, name, suppression};
use super::*;
use crate::model::{Allow, Change, Scope, Suppression};
use std::fs;
use std::time::Instant;

/// A house with something in each table, closed, so that every file is written.
fn furnished() -> House {
    let mut house = House::new();
    house.submit(list("a", &["20.0.0.0/24", "20.0.1.1", "2a00::/32"], Scope::Part)).unwrap();
    house.submit(list("b", &["20.0.0.7"], Scope::Whole)).unwrap();
    house.submit(Change::Allow(allow("20.0.0.9"))).unwrap();
    house.submit(Change::Suppress(suppression("20.0.1.1", Some("a")))).unwrap();
    house.engine = None;
    house
}

fn assert_furnished(house: &House) {
    assert_eq!(house.check("20.0.0.7"), (true, vec!["a".into(), "b".into()], None));
    assert_eq!(house.check("20.0.0.9"), (false, vec!["a".into()], Some("allowlist")));
    assert_eq!(house.check("20.0.1.1"), (false, vec![], None));
    assert_eq!(house.check("2a00::1"), (true, vec!["a".into()], None));
    assert_eq!(house.engine().snapshot().generation, 4);
}

fn assert_read_only(house: &House) {
    assert_furnished(house);
    let condition = house.engine().condition();
    assert!(matches!(condition, Condition::ReadOnly { .. }), "{condition:?}");
    assert!(matches!(house.submit(Change::Allow(allow("20.7.7.7"))), Err(EngineError::ReadOnly(_))));
    assert!(matches!(house.engine().view(|view| view.sources()), Err(EngineError::ReadOnly(_))));
}

/// Flips a bit in the middle of a file, in every page.
fn ruin(house: &House, file: &str) {
    let path = house.folder.path().join(file);
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().skip(2048).step_by(4096).for_each(|byte| *byte ^= 1);
    bytes.iter_mut().skip(4096 + 32).step_by(4096).for_each(|byte| *byte ^= 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_missing_or_emptied_store_is_served_read_only_from_the_snapshot() {
    for file in ["journal.redb", "ironlist.redb"] {
        let mut house = furnished();
        ruin(&house, file);
        house.open().unwrap();
        assert_read_only(&house);
    }
    let mut house = furnished();
    fs::remove_file(house.folder.path().join("journal.redb")).unwrap();
    house.open().unwrap();
    assert_read_only(&house);
    let mut house = furnished();
    fs::write(house.folder.path().join("journal.redb"), "").unwrap();
    house.open().unwrap();
    assert_read_only(&house);
}

#[test]
fn a_damaged_store_without_a_snapshot_is_an_error_and_no_empty_list() {
    let house = furnished();
    ruin(&house, "journal.redb");
    fs::remove_file(house.folder.path().join("snapshot.bin")).unwrap();
    let mut house = house;
    assert!(house.open().unwrap_err().is_damage());
}

#[test]
fn a_missing_hot_store_and_a_damaged_or_missing_snapshot_are_made_again() {
    let mut house = furnished();
    house.open().unwrap();
    let dump = house.dump();
    for file in ["snapshot.bin", "ironlist.redb"] {
        house.engine = None;
        fs::remove_file(house.folder.path().join(file)).unwrap();
        house.open().unwrap();
        assert_furnished(&house);
        assert_eq!(house.dump(), dump);
        // Only what has changed is written: give it a reason to write the file again.
        house.engine = None;
        house = furnished();
    }
    ruin(&house, "snapshot.bin");
    let path = house.folder.path().join("snapshot.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    house.open().unwrap();
    assert_furnished(&house);
    assert_eq!(house.engine().condition(), Condition::Writable);
    house.submit(list("b", &[], Scope::Whole)).unwrap();
    house.restart();
    assert_eq!(house.check("20.0.0.7").1, ["a"]);
}

#[test]
fn a_snapshot_file_of_another_journal_is_not_believed() {
    let mut house = furnished();
    let mut other = House::new();
    for number in 1..=3 {
        other.submit(list("x", &[&format!("30.0.0.{number}")], Scope::Part)).unwrap();
    }
    other.engine = None;
    let file = "snapshot.bin";
    fs::copy(other.folder.path().join(file), house.folder.path().join(file)).unwrap();
    let foreign = fs::read(house.folder.path().join(file)).unwrap();
    house.restart();
    assert_furnished(&house);
    assert!(!house.check("30.0.0.1").0);
    house.submit(Change::Allow(allow("20.7.7.7"))).unwrap();
    house.engine = None;
    assert_eq!(fs::read(house.folder.path().join("snapshot.other")).unwrap(), foreign, "it is kept");
}

#[test]
fn a_snapshot_or_segments_without_their_journal_are_served_and_never_written_over() {
    for what in ["snapshot", "segments"] {
        let mut house = furnished();
        let path = |name: &str| house.folder.path().join(name);
        let snapshot = fs::read(path("snapshot.bin")).unwrap();
        fs::remove_file(path("journal.redb")).unwrap();
        fs::remove_file(path("ironlist.redb")).unwrap();
        if what == "segments" {
            fs::write(path("journal/00000001-00000003.seg"), [0; 32]).unwrap();
        }
        house.restart();
        assert_read_only(&house);
        let Condition::ReadOnly { why, cure } = house.engine().condition() else { unreachable!() };
        assert!(why.contains("ends at generation 0") && cure.contains("backup"), "{why}; {cure}");
        house.engine = None;
        assert_eq!(fs::read(house.folder.path().join("snapshot.bin")).unwrap(), snapshot);
    }
}

#[test]
fn an_old_snapshot_is_served_when_the_records_since_are_damaged() {
    let mut house = furnished();
    let old = fs::read(house.folder.path().join("snapshot.bin")).unwrap();
    house.open().unwrap();
    house.submit(list("b", &["20.0.0.8"], Scope::Part)).unwrap();
    house.engine = None;
    fs::write(house.folder.path().join("snapshot.bin"), old).unwrap();
    spoil_record(&house, 5);
    house.open().unwrap();
    assert_read_only(&house);
    let Condition::ReadOnly { cure, .. } = house.engine().condition() else { unreachable!() };
    assert!(cure.contains("backup"), "{cure}");
}

/// Changes a byte of a record in a way that redb's own checksums do not see.
fn spoil_record(house: &House, generation: u64) {
    use redb::ReadableTable as _;
    const RECORDS: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("records");
    let database = redb::Database::open(house.folder.path().join("journal.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(RECORDS).unwrap();
        let mut bytes = table.get(generation).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        table.insert(generation, bytes.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn an_older_snapshot_of_the_same_journal_catches_up_and_agrees_with_a_new_one() {
    let mut house = furnished();
    let old = fs::read(house.folder.path().join("snapshot.bin")).unwrap();
    house.open().unwrap();
    let range = "20.0.1.1".parse().unwrap();
    house.submit(Change::Unsuppress { range, source: Some(name("a")) }).unwrap();
    house.submit(Change::Suppress(suppression("20.0.0.0/16", None))).unwrap();
    house.submit(list("a", &["20.0.0.0/24", "20.0.0.8", "20.5.5.5"], Scope::Whole)).unwrap();
    house.submit(list("a", &["20.0.0.8"], Scope::Whole)).unwrap();
    house.submit(Change::Unsuppress { range: "20.0.0.0/16".parse().unwrap(), source: None }).unwrap();
    house.submit(Change::Suppress(suppression("20.0.0.7", None))).unwrap();
    let told = |house: &House| {
        let snapshot = house.engine().snapshot();
        let runs = |(range, class)| {
            (range, snapshot.standing(class).sources.to_vec(), snapshot.standing(class).exemptions)
        };
        (snapshot.table.v4.runs().map(runs).collect::<Vec<_>>(), snapshot.coverage.as_ref().clone())
    };
    let live = told(&house);
    house.engine = None;
    fs::write(house.folder.path().join("snapshot.bin"), old).unwrap();
    house.open().unwrap();
    assert_eq!(told(&house), live);
    house.engine = None;
    fs::remove_file(house.folder.path().join("snapshot.bin")).unwrap();
    house.open().unwrap();
    assert_eq!(told(&house).0, live.0);
}

#[test]
fn a_follower_comes_to_equal_its_leader() {
    let mut leader = furnished();
    leader.open().unwrap();
    let mut follower = House::following();
    follower.follow(&leader);
    assert_furnished(&follower);
    assert_eq!(follower.dump(), leader.dump());
    follower.restart();
    leader.submit(list("b", &["20.0.1.1"], Scope::Whole)).unwrap();
    follower.follow(&leader);
    assert_eq!(follower.check("20.0.1.1"), leader.check("20.0.1.1"));
    assert_eq!(follower.dump(), leader.dump());
    let stray = leader.runtime.block_on(leader.engine().sealed(2, usize::MAX)).unwrap();
    assert!(follower.runtime.block_on(follower.engine().follow(stray)).is_err());
    leader.submit(Change::Allow(allow("20.0.1.1"))).unwrap();
    follower.follow(&leader);
    assert_eq!(follower.check("20.0.1.1").2, Some("allowlist"));
    assert_eq!(follower.engine().condition(), Condition::Writable);
}

#[test]
fn a_follower_makes_no_record_of_its_own_whatever_is_due() {
    let (leader, mut follower) = (House::new(), House::following());
    leader.list_until("a", "20.0.0.1", 60);
    follower.follow(&leader);
    follower.engine = None;
    for house in [&leader, &follower] {
        house.now.store(NOON + 61, Ordering::Relaxed);
    }
    follower.open().unwrap();
    let refusals = [
        follower.submit(Change::Expire),
        follower.runtime.block_on(follower.engine().expire()),
        follower.runtime.block_on(follower.engine().clean_up()),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(EngineError::Follower)), "{refusal:?}");
    }
    // The writer looks for what is due between two requests, and at the latest after a second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(follower.engine().snapshot().generation, 1);
    leader.runtime.block_on(leader.engine().expire()).unwrap();
    follower.follow(&leader);
    assert!(!follower.check("20.0.0.1").0);
    assert_eq!(follower.dump(), leader.dump());
    let stray = follower.runtime.block_on(follower.engine().sealed(0, 1)).unwrap();
    let refusal = leader.runtime.block_on(leader.engine().follow(stray));
    assert!(matches!(refusal, Err(EngineError::NoFollower)), "{refusal:?}");
}

#[test]
fn allows_and_suppressions_end_when_their_time_has_come() {
    let mut house = House::new();
    let expires = Some(Time::from_unix(NOON + 60));
    house.submit(list("a", &["20.0.0.0/24"], Scope::Part)).unwrap();
    house.submit(Change::Allow(Allow { expires, ..allow("20.0.0.1") })).unwrap();
    house.submit(Change::Allow(allow("20.0.0.2"))).unwrap();
    house.submit(Change::Suppress(Suppression { expires, ..suppression("20.0.0.0/16", None) })).unwrap();
    assert_eq!(house.check("20.0.0.1"), (false, vec![], Some("allowlist")));
    house.now.store(NOON + 59, Ordering::Relaxed);
    assert_eq!(house.runtime.block_on(house.engine().expire()).unwrap().removed, 0);
    house.now.store(NOON + 60, Ordering::Relaxed);
    house.runtime.block_on(house.engine().expire()).unwrap();
    assert_eq!(house.check("20.0.0.1"), (true, vec!["a".into()], None));
    assert_eq!(house.check("20.0.0.2"), (false, vec!["a".into()], Some("allowlist")));
    house.restart();
    assert_eq!(house.check("20.0.0.1"), (true, vec!["a".into()], None));
    let snapshot = house.engine().snapshot();
    assert_eq!((snapshot.allows.len(), snapshot.suppressions.len()), (1, 0));
}

#[test]
fn a_range_named_twice_ends_once() {
    let house = House::new();
    house.submit(list("a", &["20.0.0.1", "20.0.0.2"], Scope::Part)).unwrap();
    let ranges = ["20.0.0.1", "20.0.0.2", "20.0.0.1"].map(|text| text.parse().unwrap()).to_vec();
    assert_eq!(house.submit(Change::Unlist { source: name("a"), ranges }).unwrap().removed, 2);
}

#[test]
fn a_store_beside_the_journal_of_another_is_not_trusted() {
    let mut house = furnished();
    let mut other = House::new();
    for n in 0..9 {
        other.submit(list("x", &[&format!("30.0.0.{n}")], Scope::Part)).unwrap();
    }
    other.engine = None;
    fs::copy(other.folder.path().join("journal.redb"), house.folder.path().join("journal.redb")).unwrap();
    house.open().unwrap();
    assert_read_only(&house);
    let Condition::ReadOnly { why, cure } = house.engine().condition() else { unreachable!() };
    assert!(why.contains("is not the one that it has seen") && cure.contains("--rebuild"), "{why}; {cure}");
}

#[test]
fn a_panic_of_the_writer_ends_writing_and_says_so() {
    let mut house = furnished();
    let (now, broken) = (Arc::clone(&house.now), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&broken);
    let clock: Clock = Arc::new(move || {
        assert!(!flag.load(Ordering::Relaxed), "the clock fell off the wall");
        Time::from_unix(now.load(Ordering::Relaxed))
    });
    let medium = Medium::folder(house.folder.path());
    house.engine = Some(Engine::open(Options { clock, ..Options::new(medium) }).unwrap());
    broken.store(true, Ordering::Relaxed);
    house.submit(Change::Allow(allow("20.7.7.7"))).unwrap_err();
    let waited = Instant::now();
    while !matches!(house.engine().condition(), Condition::Stopped(_)) {
        assert!(waited.elapsed().as_secs() < 10, "nobody was told");
        std::thread::yield_now();
    }
    assert_furnished(&house);
    let error = house.submit(Change::Allow(allow("20.7.7.7"))).unwrap_err();
    assert!(matches!(&error, EngineError::ReadOnly(why) if why.contains("fell off the wall")), "{error}");
}
