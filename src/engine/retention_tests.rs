//! Old records go, and nothing else does: what is listed, counted and known is the same with a checkpoint for them,
//! wherever a crash cuts in.

use super::history::tests::happen;
use super::tests::{House, allow, list, name};
use super::*;
use crate::journal::Journal;
use crate::model::{Change, Scope};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A segment at every start, and all of them kept.
const ALL: Keep = Keep { days: u32::MAX, bytes: u64::MAX, segment: 1 };
/// None but the last is kept.
const LAST: Keep = Keep { bytes: 0, ..ALL };

/// A house with some segments and nothing in redb's journal, closed.
fn grown(seed: u64, segments: usize) -> House {
    let mut house = House::new();
    house.keep = ALL;
    house.restart();
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..segments {
        // At least one record a segment, whatever happens.
        house.submit(Change::Allow(allow("20.9.9.9"))).unwrap();
        (0..6).for_each(|_| happen(&house, &mut random));
        house.restart();
    }
    house.engine = None;
    house
}

fn folder(house: &House) -> PathBuf {
    house.folder.path().join("journal")
}

fn files(house: &House, extension: &str) -> Vec<String> {
    let names =
        fs::read_dir(folder(house)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(extension)).collect();
    names.sort();
    names
}

/// The store and the snapshot file are lost.
fn lose_projections(house: &House) {
    for file in ["ironlist.redb", "snapshot.bin"] {
        fs::remove_file(house.folder.path().join(file)).unwrap();
    }
}

fn dump_of(house: &mut House) -> Vec<String> {
    house.open().unwrap();
    house.dump()
}

/// One more record, settled: the moment at which old ones go.
fn prune(house: &mut House) {
    house.keep = LAST;
    house.open().unwrap();
    house.submit(Change::Disallow("20.9.9.9".parse().unwrap())).unwrap();
    house.engine = None;
}

#[test]
fn a_store_that_is_made_again_from_a_checkpoint_equals_the_one_that_grew() {
    for seed in 0..3 {
        let mut house = grown(seed, 4);
        prune(&mut house);
        assert_eq!((files(&house, ".seg").len(), files(&house, ".checkpoint").len()), (1, 1));
        let grew = dump_of(&mut house);
        let runs = |house: &House| {
            format!(
                "{:?}",
                house.engine().snapshot().table.v4.runs().map(|(range, _)| range).collect::<Vec<_>>()
            )
        };
        let listed = runs(&house);
        house.engine = None;
        lose_projections(&house);
        assert_eq!(dump_of(&mut house), grew, "seed {seed}");
        assert_eq!(runs(&house), listed);
        // And goes on, past a second checkpoint that takes the place of the first.
        let mut random = fastrand::Rng::with_seed(seed + 100);
        for _ in 0..3 {
            house.submit(list("a", &["20.7.7.7"], Scope::Part)).unwrap();
            house
                .submit(Change::Unlist { source: name("a"), ranges: vec!["20.7.7.7".parse().unwrap()] })
                .unwrap();
            (0..4).for_each(|_| happen(&house, &mut random));
            house.restart();
        }
        assert_eq!((files(&house, ".seg").len(), files(&house, ".checkpoint").len()), (1, 1));
        let grew = house.dump();
        house.engine = None;
        lose_projections(&house);
        assert_eq!(dump_of(&mut house), grew, "seed {seed}");
    }
}

#[test]
fn the_chain_goes_on_from_the_first_record_that_is_kept() {
    let mut house = grown(7, 3);
    let journal = |house: &House| Journal::open(&Medium::folder(house.folder.path())).unwrap();
    let digests = {
        let journal = journal(&house);
        (0..=journal.generation()).map(|at| journal.digest_at(at).unwrap()).collect::<Vec<_>>()
    };
    prune(&mut house);
    let journal = journal(&house);
    let first = journal.first().unwrap();
    assert!(first > 1 && first == digests.len() as u64, "all but the last segment: {first}");
    assert_eq!(journal.digest_at(first - 1).unwrap(), digests[first as usize - 1]);
    assert!(journal.digest_at(first - 2).unwrap_err().is_damage());
    let mut kept = Vec::new();
    journal
        .replay(first - 1, |record| {
            kept.push(record.generation);
            Ok::<_, DiskError>(())
        })
        .unwrap();
    assert!(kept.into_iter().eq(first..=journal.generation()));
    assert!(
        journal.replay(0, |_| Ok::<_, DiskError>(())).unwrap_err().is_damage(),
        "never a part for the whole"
    );
    let checkpoint = journal.checkpoint().unwrap().unwrap();
    assert_eq!((checkpoint.generation, checkpoint.digest), (journal.generation(), journal.digest()));
    assert_eq!(checkpoint.time, journal.last_time().unwrap());
}

#[test]
fn what_is_gone_is_told_from_what_never_was_and_the_rest_is_there() {
    let mut house = grown(8, 3);
    prune(&mut house);
    house.open().unwrap();
    let engine = house.engine();
    let (oldest, now) = (engine.oldest().unwrap(), engine.snapshot().generation);
    let gone = |generation| Some(EngineError::Gone { generation, oldest });
    assert_eq!(engine.difference(oldest - 1, now, None).err(), gone(oldest - 1));
    assert_eq!(engine.difference(now, 0, None).err(), gone(0));
    assert_eq!(engine.generation(oldest, None).err(), gone(oldest - 1));
    assert_eq!(engine.restoring(&name("a"), 1).err(), gone(1));
    assert_eq!(engine.gone(1, now).err(), gone(1));
    assert_eq!(house.runtime.block_on(engine.sealed(0, 1)).err(), gone(0), "a follower from the beginning");
    assert_eq!(engine.difference(0, now + 1, None).err(), Some(EngineError::UnknownGeneration(now + 1)));
    assert!(engine.difference(oldest, now, None).is_ok() && engine.generation(now, None).is_ok());
    assert!(engine.restoring(&name("a"), oldest).is_ok());
    assert_eq!(house.runtime.block_on(engine.sealed(oldest, 1)).unwrap().len(), 1);
}

#[test]
fn records_go_by_their_age_and_the_newest_segment_stays() {
    let mut house = grown(9, 2);
    house.keep = Keep { days: 3, ..ALL };
    for day in 1..=6 {
        house.open().unwrap();
        house.now.fetch_add(86_400, Ordering::Relaxed);
        house.submit(list("a", &[&format!("20.1.0.{day}")], Scope::Part)).unwrap();
        house.engine = None;
    }
    // A clock that jumps a day makes expiry wait, and nothing else.
    let journal = Journal::open(&Medium::folder(house.folder.path())).unwrap();
    let oldest = journal.first().unwrap();
    let mut times = Vec::new();
    journal
        .replay(oldest - 1, |record| {
            times.push(record.time);
            Ok::<_, DiskError>(())
        })
        .unwrap();
    let now = house.now.load(Ordering::Relaxed);
    assert!(times.len() >= 3 && times.iter().all(|time| now - time.unix() <= 4 * 86_400), "{times:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_crash_at_any_step_leaves_a_whole_journal_and_the_next_time_it_is_done() {
    let mut house = grown(10, 4);
    house.keep = ALL;
    house.open().unwrap();
    house.submit(Change::Disallow("20.9.9.9".parse().unwrap())).unwrap();
    house.restart();
    let (grew, generation) = (house.dump(), house.engine().snapshot().generation);
    house.engine = None;
    let segments = files(&house, ".seg");
    let mut journal = Journal::open(&Medium::folder(house.folder.path())).unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(house.folder.path(), before.path());
    let projection = crate::store::Projection::open(&Medium::folder(before.path())).unwrap();
    journal.forget(0, |out| projection.export(out)).unwrap();
    drop((journal, projection));
    let name = format!("{generation:08}.checkpoint");
    let checkpoint = fs::read(folder(&house).join(&name)).unwrap();
    // Half a checkpoint, under its passing name or, on a bad disk, under its own; a whole one; and then segments go.
    for step in 0..segments.len() + 2 {
        let mut crashed = House::new();
        crashed.engine = None;
        fs::remove_dir_all(crashed.folder.path()).unwrap();
        copy(before.path(), crashed.folder.path());
        let half = &checkpoint[..checkpoint.len() / 2];
        match step {
            0 => fs::write(folder(&crashed).join(format!("{generation:08}.part")), half).unwrap(),
            1 => fs::write(folder(&crashed).join(&name), half).unwrap(),
            _ => fs::write(folder(&crashed).join(&name), &checkpoint).unwrap(),
        }
        for segment in segments.iter().take(step.saturating_sub(2)) {
            fs::remove_file(folder(&crashed).join(segment)).unwrap();
        }
        crashed.keep = ALL;
        lose_projections(&crashed);
        assert_eq!(dump_of(&mut crashed), grew, "step {step}");
        crashed.engine = None;
        crashed.keep = LAST;
        crashed.open().unwrap();
        crashed.submit(Change::Allow(allow("20.9.9.10"))).unwrap();
        crashed.restart();
        let (later, dump) = (crashed.engine().snapshot().generation, crashed.dump());
        crashed.engine = None;
        assert_eq!(
            (files(&crashed, ".seg").len(), files(&crashed, ".checkpoint").len()),
            (1, 1),
            "step {step}"
        );
        lose_projections(&crashed);
        assert_eq!((dump_of(&mut crashed), later), (dump, generation + 1), "step {step}");
    }
}

#[test]
fn nothing_goes_when_the_checkpoint_cannot_be_written() {
    let mut house = grown(11, 3);
    let generation = {
        house.open().unwrap();
        let generation = house.engine().snapshot().generation;
        house.engine = None;
        generation
    };
    fs::create_dir(folder(&house).join(format!("{:08}.part", generation + 1))).unwrap();
    prune(&mut house);
    assert_eq!((files(&house, ".seg").len(), files(&house, ".checkpoint").len()), (4, 0));
    house.open().unwrap();
    assert_eq!(house.engine().condition(), Condition::Writable);
    assert_eq!(house.engine().oldest().unwrap(), 0);
}

#[test]
fn a_damaged_checkpoint_is_named_and_never_taken_for_an_empty_list() {
    let mut house = grown(12, 3);
    prune(&mut house);
    let path = folder(&house).join(&files(&house, ".checkpoint")[0]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let grew = dump_of(&mut house);
    house.engine = None;
    fs::rename(house.folder.path().join("ironlist.redb"), house.folder.path().join("aside")).unwrap();
    house.open().unwrap();
    let Condition::ReadOnly { why, .. } = house.engine().condition() else { panic!("it has no store") };
    assert!(why.contains(".checkpoint"), "{why}");
    house.engine = None;
    fs::rename(house.folder.path().join("aside"), house.folder.path().join("ironlist.redb")).unwrap();
    assert_eq!(dump_of(&mut house), grew, "with the store there is no need of it");
    // Beside a whole store the next records that go make a new one.
    house.submit(Change::Allow(allow("20.9.9.9"))).unwrap();
    house.submit(Change::Disallow("20.9.9.9".parse().unwrap())).unwrap();
    house.restart();
    let grew = house.dump();
    house.engine = None;
    lose_projections(&house);
    assert_eq!(dump_of(&mut house), grew);
}

#[test]
fn records_that_are_missing_without_a_checkpoint_are_damage() {
    let mut house = grown(13, 3);
    fs::remove_file(folder(&house).join(&files(&house, ".seg")[0])).unwrap();
    lose_projections(&house);
    let error = house.open().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("missing"), "{error}");
}

#[test]
fn sources_counts_and_holds_are_in_a_checkpoint_too() {
    let mut house = grown(14, 1);
    house.open().unwrap();
    house.submit(list("b", &["20.3.3.3"], Scope::Whole)).unwrap();
    house.submit(house.engine().restoring(&name("b"), 1).unwrap()).unwrap();
    house.engine = None;
    let mut tables: BTreeMap<String, usize> = BTreeMap::new();
    prune(&mut house);
    lose_projections(&house);
    for line in dump_of(&mut house) {
        *tables.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    for table in ["source", "standing", "activity"] {
        assert!(tables.contains_key(table), "{tables:?}");
    }
    assert_eq!(house.engine().snapshot().source("b").unwrap().held.as_ref().unwrap().generation, 1);
}

#[test]
fn who_follows_begins_with_a_checkpoint_where_records_are_gone_and_is_then_as_any_other() {
    let mut leader = grown(15, 3);
    prune(&mut leader);
    leader.open().unwrap();
    let mut follower = House::following();
    let checkpoint = fs::read(leader.engine().checkpoint().unwrap().unwrap()).unwrap();
    let adopt = |house: &House, bytes: &[u8]| house.runtime.block_on(house.engine().adopt(bytes.to_vec()));
    for wrong in [&checkpoint[..10], &checkpoint[1..], &checkpoint[..checkpoint.len() - 1]] {
        assert!(matches!(adopt(&follower, wrong), Err(EngineError::Disk(_))));
        assert_eq!((follower.engine().snapshot().generation, files(&follower, ".checkpoint").len()), (0, 0));
    }
    // A crash right after the file was written: nothing has begun.
    follower.engine = None;
    fs::write(folder(&follower).join("00000099.checkpoint"), &checkpoint).unwrap();
    follower.open().unwrap();
    assert_eq!(adopt(&follower, &checkpoint).unwrap(), leader.engine().snapshot().generation);
    assert_eq!(follower.dump(), leader.dump());
    let (allow_now, check) = (allow("20.0.0.3"), |house: &House| house.check("20.0.0.3"));
    leader.submit(Change::Allow(allow_now)).unwrap();
    leader.submit(list("late", &["20.4.4.4"], Scope::Whole)).unwrap();
    follower.follow(&leader);
    assert_eq!((follower.dump(), check(&follower)), (leader.dump(), check(&leader)));
    follower.engine = None;
    fs::remove_file(folder(&follower).join("00000099.checkpoint")).unwrap();
    lose_projections(&follower);
    follower.open().unwrap();
    assert_eq!(follower.dump(), leader.dump());
    assert!(adopt(&follower, &checkpoint).is_err(), "what it has is not replaced");
    assert_eq!(follower.dump(), leader.dump());
    let foreign = House::new();
    assert_eq!(adopt(&foreign, &checkpoint), Err(EngineError::NoFollower));
}
