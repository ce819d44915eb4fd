//! Power cuts and failing writes in the middle of a step, at every one of the disk's syncs.

use super::*;
use crate::disk::faulty::{Fault, FaultyDisk};

fn open(house: &House, disk: &FaultyDisk) -> Keeper {
    let medium = disk.medium(house.folder.path());
    Keeper::open(Options { medium, ..house.options() }).unwrap().0
}

/// What was acknowledged before the disk failed.
#[derive(Default)]
struct Done {
    rotated: bool,
    refreshed: Option<Begun>,
    out: bool,
}

/// Rotates the signing key, goes on with one session and ends another, as far as the disk lets it.
fn work(keeper: &Keeper, goes_on: &Begun, ends: &Begun) -> Done {
    let proved = keeper.prove(Shown::key(access(ends)), HERE).unwrap();
    Done {
        rotated: keeper.renew_signing_key(true).is_ok(),
        refreshed: keeper.refresh(refresh_of(goes_on)).ok(),
        out: keeper.log_out(&proved, false).is_ok(),
    }
}

#[test]
fn a_power_cut_at_any_moment_takes_back_nothing_that_was_acknowledged() {
    let house = House::new();
    let mut cuts = 0;
    for seed in [0, 1, 5] {
        for sync in 1.. {
            let disk = FaultyDisk::default();
            let keeper = open(&house, &disk);
            let goes_on = user(&keeper, "kim", UserRole::User);
            let ends = log_in(&keeper, "kim", PASSWORD).unwrap();
            disk.set_fault(Fault::PowerCut(sync, seed));
            let done = work(&keeper, &goes_on, &ends);
            drop(keeper);
            if !disk.has_struck() {
                assert!(done.rotated && done.out && sync > 3, "{sync}");
                break;
            }
            cuts += 1;
            let again = open(&house, &disk.after_power_cut());
            assert!(rights(&again, &goes_on).is_ok(), "what an older key signed still verifies");
            assert!(!done.out || rights(&again, &ends).is_err(), "an end that was acknowledged is one");
            if let Some(begun) = &done.refreshed {
                assert!(rights(&again, begun).is_ok() && again.refresh(refresh_of(begun)).is_ok());
            }
            let fresh = log_in(&again, "kim", PASSWORD).unwrap();
            assert!(rights(&again, &fresh).is_ok(), "there is a key that signs");
            let active = again.directory().ring.0.iter().filter(|key| key.kept.retired.is_none()).count();
            assert_eq!(active, 1);
        }
    }
    assert!(cuts >= 9, "{cuts}");
}

#[test]
fn a_full_disk_is_told_and_changes_nothing_and_looking_goes_on() {
    let house = House::new();
    let disk = FaultyDisk::default();
    let keeper = open(&house, &disk);
    let (goes_on, ends) = (user(&keeper, "kim", UserRole::User), log_in(&keeper, "kim", PASSWORD).unwrap());
    disk.set_fault(Fault::Full(1));
    let done = work(&keeper, &goes_on, &ends);
    assert!(!done.rotated && done.refreshed.is_none() && !done.out);
    assert!(
        matches!(log_in(&keeper, "kim", PASSWORD), Err(IdentityError::Disk(_))),
        "a fault is no wrong password"
    );
    assert!(rights(&keeper, &goes_on).is_ok() && rights(&keeper, &ends).is_ok());
    disk.set_fault(Fault::None);
    let done = work(&keeper, &goes_on, &ends);
    assert!(done.rotated && done.refreshed.is_some() && done.out);
}

#[test]
fn refusals_that_could_not_be_written_are_written_later_and_once() {
    let house = House::new();
    let disk = FaultyDisk::default();
    let keeper = open(&house, &disk);
    let refusal = || Refusal::new("kim", Some(HERE), "POST /api/v1/auth/login", "login_wrong");
    keeper.refused(refusal(), 1);
    disk.set_fault(Fault::Full(1));
    assert!(keeper.keep().is_err());
    disk.set_fault(Fault::None);
    keeper.refused(refusal(), 1);
    keeper.keep().unwrap();
    house.later(60);
    keeper.refused(refusal(), 1);
    let (rows, total) = keeper.refusals(None, 10).unwrap();
    assert_eq!((rows.iter().map(|(_, row)| row.count).collect::<Vec<_>>(), total), (vec![1, 2], 2));
    let (rest, _) = keeper.refusals(Some(rows[0].0), 10).unwrap();
    assert_eq!(rest.len(), 1);
    house.later(91 * 86_400);
    keeper.sweep().unwrap();
    assert_eq!(keeper.refusals(None, 10).unwrap().1, 0);
}
