//! The ledger across reopening, faults and retention.

use super::*;
use crate::collect::definition::Kind;
use crate::collect::run::{State, Trigger, Wish};
use crate::disk::faulty::{Fault, FaultyDisk};
use crate::model::Time;

fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

fn run(source: &str) -> Run {
    Run::new(name(source), Trigger::Schedule, "ironlist".to_owned(), Wish::default(), Time::default())
}

fn put(ledger: &Ledger, run: &Run) -> Vec<Uuid> {
    ledger.change(|change| change.run(run)).unwrap()
}

#[test]
fn what_is_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let medium = Medium::folder(folder.path());
    let (source, run) = (name("regtech"), run("regtech"));
    {
        let ledger = Ledger::open(&medium).unwrap();
        ledger
            .change(|change| {
                change.define(&source, &Definition::new(Kind::Regtech))?;
                change.standing(&source, |standing| standing.last_run = Some(run.id))?;
                change.credentials(&source, |kept| {
                    *kept = Some(Credentials::new(1, vec![1, 2], Time::default(), "admin".to_owned()));
                })?;
                change.run(&run)
            })
            .unwrap();
    }
    let ledger = Ledger::open(&medium).unwrap();
    ledger
        .look(|look| {
            assert_eq!(look.definitions()?[&source], Definition::new(Kind::Regtech));
            assert_eq!(look.standing(&source)?.last_run, Some(run.id));
            assert_eq!(look.standing(&name("other"))?, Standing::default());
            assert_eq!(look.credentials(&source)?.unwrap().sealed, [1, 2]);
            assert_eq!(look.run(run.id)?.unwrap(), run);
            Ok(())
        })
        .unwrap();
    ledger.change(|change| change.forget(&source)).unwrap();
    ledger
        .look(|look| {
            assert!(look.definitions()?.is_empty() && look.credentials(&source)?.is_none());
            assert!(look.run(run.id)?.is_some(), "runs tell what happened, whatever became of the source");
            Ok(())
        })
        .unwrap();
}

#[test]
fn runs_are_listed_newest_first_by_source_and_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&Medium::folder(folder.path())).unwrap();
    let runs: Vec<Run> = ["a", "b", "a", "ab", "a"].map(run).to_vec();
    runs.iter().for_each(|run| drop(put(&ledger, run)));
    let list = |source: Option<&str>, before, limit| -> Vec<usize> {
        let source = source.map(name);
        let found = ledger.look(|look| look.runs(source.as_ref(), before, limit)).unwrap();
        found.iter().map(|found| runs.iter().position(|run| run.id == found.id).unwrap()).collect()
    };
    assert_eq!(list(None, None, 10), [4, 3, 2, 1, 0]);
    assert_eq!(list(Some("a"), None, 10), [4, 2, 0]);
    assert_eq!(list(Some("a"), Some(runs[4].id), 1), [2]);
    assert_eq!(list(None, Some(runs[2].id), 2), [1, 0]);
    let count = |source: Option<&str>| {
        let source = source.map(name);
        ledger.look(|look| look.count_runs(source.as_ref())).unwrap()
    };
    assert_eq!((count(None), count(Some("a")), count(Some("c"))), (5, 3, 0));
}

#[test]
fn a_source_that_runs_often_does_not_push_out_the_runs_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&Medium::folder(folder.path())).unwrap();
    let rare = run("rare");
    put(&ledger, &rare);
    let often: Vec<Run> = std::iter::repeat_with(|| run("often")).take(RUNS + 3).collect();
    let forgotten: Vec<Uuid> = often.iter().flat_map(|run| put(&ledger, run)).collect();
    assert_eq!(forgotten, [often[0].id, often[1].id, often[2].id]);
    // A run that is written again, as it goes on, is no other run.
    let mut last = often[RUNS + 2].clone();
    last.state = State::Done;
    assert!(put(&ledger, &last).is_empty());
    assert_eq!(ledger.look(|look| look.run(last.id)).unwrap().unwrap().state, State::Done);
    assert!(ledger.look(|look| look.run(rare.id)).unwrap().is_some());
}

fn entry(action: &str) -> Audit {
    Audit {
        at: Time::default(),
        actor: "admin".to_owned(),
        action: action.to_owned(),
        source: name("a"),
        reason: String::new(),
        detail: String::new(),
    }
}

#[test]
fn the_oldest_entries_of_the_audit_are_forgotten_and_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&Medium::folder(folder.path())).unwrap();
    let entry = entry("again");
    ledger.change(|change| (0..AUDIT + 3).try_for_each(|_| change.audit(&entry))).unwrap();
    let (newest, total) = ledger.look(|look| Ok((look.audit(None, 1)?, look.count_audit()?))).unwrap();
    assert_eq!((newest[0].0, total), (AUDIT + 3, AUDIT));
}

#[test]
fn a_run_that_somebody_has_to_decide_about_is_remembered_however_many_come_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&Medium::folder(folder.path())).unwrap();
    let held = run("often");
    put(&ledger, &held);
    let (id, source) = (Uuid::now_v7(), name("often"));
    let mut hold =
        Hold { id, run: held.id, source, since: Time::default(), documents: Vec::new(), settled: None };
    ledger.change(|change| change.hold(&hold)).unwrap();
    let forgotten: usize = (0..RUNS + 2).map(|_| put(&ledger, &run("often")).len()).sum();
    assert_eq!(forgotten, 2);
    assert!(ledger.look(|look| look.run(held.id)).unwrap().is_some());
    let (how, actor, reason) = (How::Rejected, String::new(), String::new());
    hold.settled = Some(Settled { at: Time::default(), how, actor, reason });
    ledger.change(|change| change.hold(&hold)).unwrap();
    put(&ledger, &run("often"));
    assert!(ledger.look(|look| look.run(held.id)).unwrap().is_none());
}

#[test]
fn the_audit_is_numbered_and_read_backwards() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&Medium::folder(folder.path())).unwrap();
    for action in ["one", "two", "three"] {
        ledger.change(|change| change.audit(&entry(action))).unwrap();
    }
    let read = |before, limit| -> Vec<(u64, String)> {
        let entries = ledger.look(|look| look.audit(before, limit)).unwrap();
        entries.into_iter().map(|(number, entry)| (number, entry.action)).collect()
    };
    assert_eq!(read(None, 2), [(3, "three".to_owned()), (2, "two".to_owned())]);
    assert_eq!(read(Some(2), 9), [(1, "one".to_owned())]);
}

#[test]
fn a_full_disk_fails_the_change_and_not_the_ledger() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let ledger = Ledger::open(&disk.medium(folder.path())).unwrap();
    let (first, second) = (run("a"), run("a"));
    put(&ledger, &first);
    disk.set_fault(Fault::Full(1));
    assert!(matches!(ledger.change(|change| change.run(&second)), Err(DiskError::Full(_))));
    disk.set_fault(Fault::None);
    assert!(ledger.look(|look| look.run(second.id)).unwrap().is_none());
    put(&ledger, &second);
    assert_eq!(ledger.look(|look| look.runs(None, None, 9)).unwrap().len(), 2);
}

#[test]
fn a_login_attempt_that_was_written_down_survives_the_loss_of_power() {
    let folder = tempfile::tempdir().unwrap();
    for sync in 1..8 {
        let disk = FaultyDisk::default();
        let source = name("regtech");
        let written = (|| {
            let ledger = Ledger::open(&disk.medium(folder.path()))?;
            ledger.change(|change| {
                change.credentials(&source, |kept| {
                    *kept = Some(Credentials::new(1, Vec::new(), Time::default(), "admin".to_owned()));
                })
            })?;
            disk.set_fault(Fault::PowerCut(sync, 2));
            ledger.change(|change| {
                change.credentials(&source, |kept| kept.as_mut().map(|kept| kept.begin(Time::default())))
            })
        })()
        .is_ok();
        let ledger = Ledger::open(&disk.after_power_cut().medium(folder.path())).unwrap();
        let kept = ledger.look(|look| look.credentials(&source)).unwrap().unwrap();
        assert!(!written || kept.may_attempt(Time::default()).is_err(), "sync {sync}");
    }
}
