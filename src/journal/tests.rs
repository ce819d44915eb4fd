//! Records come back as they were, in order, or not at all.

use super::*;
use crate::disk::faulty::{Fault, FaultyDisk};
use crate::model::{Cause, Detail, Difference, Op, RowsBuilder, SourceId};
use std::fs;
use std::path::Path;

fn record(generation: u64) -> Record {
    let mut added = RowsBuilder::default();
    let reason =
        format!("reason {generation} {}", Uuid::from_u128(u128::from(generation) * 0x9e37_79b9_7f4a_7c15));
    let detail = Detail { reason: Some(reason.into()), ..Detail::default() };
    added.push(format!("20.0.0.{}", generation % 256).parse().unwrap(), &detail);
    let difference = Difference { added: added.finish().0, ..Difference::default() };
    Record {
        generation,
        batch: Uuid::from_u128(u128::from(generation)),
        time: Time::from_unix(1_790_000_000 + generation as i64),
        sure: Time::from_unix(1_790_000_000),
        actor: "test".into(),
        reason: "because".into(),
        cause: Cause::Run,
        ops: vec![Op::Listings { source: SourceId(3), difference }],
    }
}

fn receipt(generation: u64) -> Receipt {
    Receipt { generation, added: 1, ..Receipt::default() }
}

/// Appends records up to `last`, each in a commit of its own.
fn fill(journal: &mut Journal, last: u64) {
    for generation in journal.generation() + 1..=last {
        let batch = Uuid::from_u128(u128::from(generation));
        journal.append(&[record(generation)], &[(batch, receipt(generation))]).unwrap();
    }
}

fn generations(journal: &Journal, after: u64) -> Result<Vec<u64>, DiskError> {
    let mut found = Vec::new();
    journal.replay(after, |record| {
        found.push(record.generation);
        Ok::<_, DiskError>(())
    })?;
    Ok(found)
}

/// Every question a reader may ask of a whole journal of `last` records.
fn assert_whole(journal: &Journal, last: u64, digests: &[Digest]) {
    assert_eq!((journal.generation(), journal.digest()), (last, digests[last as usize]));
    assert_eq!(journal.last_time().unwrap(), record(last).time);
    for after in 0..=last {
        assert!(generations(journal, after).unwrap().into_iter().eq(after + 1..=last), "after {after}");
        assert_eq!(journal.digest_at(after).unwrap(), digests[after as usize], "at {after}");
    }
}

struct Shelf {
    folder: tempfile::TempDir,
    disk: FaultyDisk,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), disk: FaultyDisk::default() }
    }

    fn open(&self) -> Result<Journal, DiskError> {
        Journal::open(&self.disk.medium(self.folder.path()))
    }

    fn segments(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("journal")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn segment(&self) -> std::path::PathBuf {
        self.folder.path().join("journal").join(&self.segments()[0])
    }
}

/// Digests of the journal at each generation, from a journal that was never sealed.
fn digests(last: u64) -> Vec<Digest> {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    let mut digests = vec![journal.digest()];
    for generation in 1..=last {
        fill(&mut journal, generation);
        digests.push(journal.digest());
    }
    digests
}

#[test]
fn records_come_back_as_they_were_also_after_a_restart() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 3);
    drop(journal);
    let journal = shelf.open().unwrap();
    let mut told = Vec::new();
    let tell = |record| {
        told.push(format!("{record:?}"));
        Ok::<_, DiskError>(())
    };
    journal.replay(0, tell).unwrap();
    assert!(told.into_iter().eq((1..=3).map(|generation| format!("{:?}", record(generation)))));
}

#[test]
fn a_batch_that_comes_again_gets_the_receipt_of_the_first_time_even_if_it_changed_nothing() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 2);
    let idle = Uuid::from_u128(77);
    journal.append(&[], &[(idle, Receipt { unchanged: 9, generation: 2, ..Receipt::default() })]).unwrap();
    journal.seal(1).unwrap();
    drop(journal);
    let journal = shelf.open().unwrap();
    assert_eq!(journal.receipt(Uuid::from_u128(1)).unwrap(), Some(receipt(1)));
    assert_eq!(journal.receipt(idle).unwrap().unwrap().unchanged, 9);
    assert_eq!(journal.receipt(Uuid::from_u128(78)).unwrap(), None);
    assert_eq!(journal.generation(), 2);
}

#[test]
fn only_the_latest_batches_are_remembered() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    journal.remembered = 3;
    for number in 1..=5 {
        journal.append(&[], &[(Uuid::from_u128(number), receipt(0))]).unwrap();
    }
    let known = |number| journal.receipt(Uuid::from_u128(number)).unwrap().is_some();
    assert_eq!([1, 2, 3, 4, 5].map(known), [false, false, true, true, true]);
}

#[test]
fn sealing_moves_records_to_segments_and_everything_is_found_as_before() {
    let (shelf, digests) = (Shelf::new(), digests(9));
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 3);
    assert!(!journal.seal(u64::MAX).unwrap());
    assert_eq!(shelf.segments(), [""; 0], "not before there are many");
    for last in [3, 4, 7] {
        fill(&mut journal, last);
        journal.seal(1).unwrap();
        assert_whole(&journal, last, &digests);
    }
    journal.seal(1).unwrap();
    fill(&mut journal, 9);
    assert_whole(&journal, 9, &digests);
    drop(journal);
    assert_whole(&shelf.open().unwrap(), 9, &digests);
    assert_eq!(shelf.segments(), ["00000001-00000003.seg", "00000004-00000004.seg", "00000005-00000007.seg"]);
}

#[test]
fn a_sealing_that_fails_at_any_write_or_sync_leaves_a_whole_journal_that_goes_on() {
    let digests = digests(6);
    for fault in (1..9).map(Fault::Sync).chain((1..9).map(Fault::Write)) {
        let shelf = Shelf::new();
        let mut journal = shelf.open().unwrap();
        fill(&mut journal, 4);
        shelf.disk.set_fault(fault);
        let outcome = journal.seal(1);
        assert_eq!(outcome.is_err(), shelf.disk.has_struck(), "{fault:?}");
        shelf.disk.set_fault(Fault::None);
        assert_whole(&journal, 4, &digests);
        journal.seal(1).unwrap();
        assert_whole(&journal, 4, &digests);
        fill(&mut journal, 6);
        journal.seal(1).unwrap();
        assert_whole(&journal, 6, &digests);
    }
}

#[test]
fn a_crash_between_the_segment_and_redbs_forgetting_leaves_a_whole_journal() {
    let digests = digests(6);
    for number in 1..4 {
        let mut shelf = Shelf::new();
        let mut journal = shelf.open().unwrap();
        fill(&mut journal, 4);
        shelf.disk.set_fault(Fault::PowerCut(number, number - 1));
        drop(journal.seal(1));
        drop(journal);
        shelf.disk = shelf.disk.after_power_cut();
        let mut journal = shelf.open().unwrap();
        assert_whole(&journal, 4, &digests);
        fill(&mut journal, 6);
        assert_whole(&journal, 6, &digests);
        journal.seal(1).unwrap();
        assert_whole(&journal, 6, &digests);
    }
}

#[test]
fn a_record_that_was_durable_though_its_commit_failed_is_not_lost_by_sealing() {
    let digests = digests(3);
    for number in 1..4 {
        let shelf = Shelf::new();
        let mut journal = shelf.open().unwrap();
        fill(&mut journal, 2);
        shelf.disk.set_fault(Fault::Sync(number));
        let failed = journal.append(&[record(3)], &[]).is_err();
        shelf.disk.set_fault(Fault::None);
        assert_eq!(journal.generation(), if failed { 2 } else { 3 });
        journal.seal(1).unwrap();
        journal.refresh().unwrap();
        let reached = journal.generation();
        assert!(generations(&journal, 0).unwrap().into_iter().eq(1..=reached), "sync {number}: {reached}");
        fill(&mut journal, 3);
        assert_whole(&journal, 3, &digests);
    }
}

/// Rewrites the rows of redb by hand.
fn tamper(journal: &Journal, change: impl FnOnce(&mut Vec<(u64, Sealed)>)) {
    let rows = journal.reader.store.read(|view| {
        let table = view.open_table(RECORDS)?;
        table
            .iter()?
            .map(|row| row.map(|(k, v)| (k.value(), v.value().to_vec())).map_err(Into::into))
            .collect()
    });
    let mut rows: Vec<(u64, Sealed)> = rows.unwrap();
    change(&mut rows);
    let written = journal.reader.store.write(true, |transaction| {
        let mut table = transaction.open_table(RECORDS)?;
        table.retain(|_, _| false)?;
        for (generation, sealed) in &rows {
            table.insert(generation, sealed.as_slice())?;
        }
        Ok(())
    });
    written.unwrap();
}

#[test]
fn a_record_that_was_altered_lost_or_swapped_breaks_the_chain() {
    type Change = fn(&mut Vec<(u64, Sealed)>);
    let altered: Change = |rows| *rows[2].1.last_mut().unwrap() ^= 1;
    let digest: Change = |rows| rows[2].1[0] ^= 1;
    let lost: Change = |rows| drop(rows.remove(2));
    let renumbered: Change = |rows| {
        rows.remove(2);
        rows[2].0 = 3;
    };
    let swapped: Change = |rows| {
        let third = std::mem::take(&mut rows[2].1);
        rows[2].1 = std::mem::replace(&mut rows[3].1, third);
    };
    for (what, change) in [
        ("altered", altered),
        ("digest", digest),
        ("lost", lost),
        ("renumbered", renumbered),
        ("swapped", swapped),
    ] {
        let shelf = Shelf::new();
        let mut journal = shelf.open().unwrap();
        fill(&mut journal, 5);
        tamper(&journal, change);
        assert!(generations(&journal, 0).unwrap_err().is_damage(), "{what}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_segment_is_found_and_the_file_named() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 2);
    journal.seal(1).unwrap();
    fill(&mut journal, 3);
    let whole = fs::read(shelf.segment()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(shelf.segment(), bytes).unwrap();
        let error = generations(&journal, 0).unwrap_err();
        assert!(
            error.is_damage() && error.to_string().contains("00000001-00000002.seg"),
            "byte {at}: {error}"
        );
    }
    fs::write(shelf.segment(), &whole[..whole.len() - 1]).unwrap();
    assert!(generations(&journal, 0).unwrap_err().to_string().contains("00000001-00000002.seg"));
    fs::remove_file(shelf.segment()).unwrap();
    assert!(generations(&journal, 0).unwrap_err().is_damage());
    assert_eq!(generations(&journal, 2).unwrap(), [3]);
}

#[test]
fn segments_that_are_missing_at_the_end_are_not_taken_for_the_end() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 2);
    journal.seal(1).unwrap();
    fs::remove_file(shelf.segment()).unwrap();
    assert!(generations(&shelf_again(journal, &shelf), 0).unwrap_err().to_string().contains("missing"));
}

fn shelf_again(journal: Journal, shelf: &Shelf) -> Journal {
    drop(journal);
    shelf.open().unwrap()
}

#[test]
fn a_follower_becomes_the_same_journal_piece_by_piece_and_refuses_what_does_not_follow() {
    let (shelf, digests) = (Shelf::new(), digests(8));
    let mut leader = shelf.open().unwrap();
    fill(&mut leader, 3);
    leader.seal(1).unwrap();
    fill(&mut leader, 8);
    let behind = Shelf::new();
    let mut follower = behind.open().unwrap();
    let gap = leader.reader.sealed(4, usize::MAX).unwrap();
    assert!(follower.follow(&gap).unwrap_err().is_damage());
    assert_eq!(follower.generation(), 0);
    while follower.generation() < leader.generation() {
        let piece = leader.reader.sealed(follower.generation(), 1).unwrap();
        assert_eq!(piece.len(), 1, "the limit holds, but something always comes");
        follower.follow(&piece).unwrap();
        if follower.generation() == 5 {
            follower.seal(1).unwrap();
        }
    }
    assert_whole(&follower, 8, &digests);
    assert!(leader.reader.sealed(8, usize::MAX).unwrap().is_empty());
    let mut forged = leader.reader.sealed(7, usize::MAX).unwrap();
    *forged[0].last_mut().unwrap() ^= 1;
    assert!(follower.follow(&forged).unwrap_err().is_damage());
    assert_whole(&follower, 8, &digests);
}

#[test]
fn an_empty_journal_has_answers_too() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    journal.seal(0).unwrap();
    assert_eq!(
        (journal.generation(), journal.digest(), journal.last_time().unwrap()),
        (0, [0; 32], Time::default())
    );
    assert!(generations(&journal, 0).unwrap().is_empty() && journal.reader.sealed(0, 1).unwrap().is_empty());
    assert!(journal.digest_at(1).unwrap_err().is_damage());
    assert!(Path::new(&shelf.folder.path().join("journal")).is_dir());
}

#[test]
fn records_are_told_of_without_their_listings_wherever_they_lie() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 3);
    journal.seal(1).unwrap();
    fill(&mut journal, 5);
    let reader = journal.reader();
    let told = |after, before| -> Vec<u64> {
        reader.summaries(after, before).unwrap().into_iter().map(|summary| summary.generation).collect()
    };
    assert_eq!(told(0, 9), [1, 2, 3, 4, 5]);
    assert_eq!(told(2, 5), [3, 4]);
    assert_eq!((told(4, 5), told(5, 9), told(5, 2)), (vec![], vec![], vec![]));
    let summary = reader.summaries(4, 9).unwrap().remove(0);
    let record = record(5);
    assert_eq!((summary.batch, summary.time, summary.cause), (record.batch, record.time, record.cause));
    assert_eq!((summary.actor, summary.reason), (record.actor, record.reason));
    assert_eq!(summary.digest, journal.digest());
    let counted = Counted { what: What::Listings, source: Some(SourceId(3)), removed: 0, added: 1 };
    assert_eq!(summary.changes, [counted]);
}

#[test]
fn a_reader_finds_every_record_while_they_move_to_segments() {
    let shelf = Shelf::new();
    let mut journal = shelf.open().unwrap();
    fill(&mut journal, 20);
    let reader = journal.reader();
    let reading = std::thread::spawn(move || {
        let mut times = 0;
        let mut end = 0;
        while end < 200 {
            let found = reader.sealed(0, usize::MAX).unwrap();
            assert!(found.len() >= end, "{} after {end}", found.len());
            (end, times) = (found.len(), times + 1);
        }
        times
    });
    for last in (21..=200).step_by(3).chain([200]) {
        fill(&mut journal, last);
        journal.seal(1).unwrap();
    }
    assert!(reading.join().unwrap() > 1);
}
