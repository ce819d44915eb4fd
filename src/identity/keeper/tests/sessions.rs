//! Sessions: what they show, how long, and how they end.

use super::*;

fn reused(result: Result<Begun, (IdentityError, Option<Name>)>) -> Option<Name> {
    match result {
        Err((IdentityError::Reused, whose)) => whose,
        _ => None,
    }
}

#[test]
fn a_refresh_token_is_used_once_and_an_old_one_ends_the_whole_family() {
    let house = House::new();
    let keeper = house.open();
    let first = user(&keeper, "kim", UserRole::User);
    let second = keeper.refresh(refresh_of(&first)).unwrap();
    assert_eq!(rights(&keeper, &second), Ok(Rights::USER));
    assert!(rights(&keeper, &first).is_ok(), "the token before lasts as long as it said");
    assert_eq!(reused(keeper.refresh(refresh_of(&first))), Some(name("kim")));
    for begun in [&first, &second] {
        assert_eq!(rights(&keeper, begun), Err(Doubt::Wrong));
        assert!(matches!(keeper.refresh(refresh_of(begun)), Err((IdentityError::Wrong, None))));
    }
    drop(keeper);
    assert_eq!(rights(&house.open(), &second), Err(Doubt::Wrong), "also after a restart");
}

#[test]
fn what_is_no_refresh_token_of_ours_ends_nothing() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let own = text(refresh_of(&begun)).to_owned();
    let stranger = format!("ir_{}_{}", "A".repeat(22), "A".repeat(43));
    for wrong in ["", "ir_", access(&begun), &own[..own.len() - 1], &format!("{own}x"), &stranger] {
        assert!(matches!(keeper.refresh(&secret(wrong)), Err((IdentityError::Wrong, None))), "{wrong}");
    }
    assert!(keeper.prove(Shown::key(&own), HERE).is_err(), "it opens nothing by itself");
    assert!(keeper.refresh(refresh_of(&begun)).is_ok());
}

#[test]
fn a_session_outlives_a_restart_and_ends_when_it_is_idle_or_old() {
    let house = House::new();
    let mut begun = user(&house.open(), "kim", UserRole::User);
    let keeper = house.open();
    assert_eq!(rights(&keeper, &begun), Ok(Rights::USER));
    for _ in 0..4 {
        house.later(6 * 86_400);
        begun = keeper.refresh(refresh_of(&begun)).unwrap();
    }
    house.later(6 * 86_400);
    assert!(keeper.refresh(refresh_of(&begun)).is_err(), "thirty days are the end");
    let idle = log_in(&keeper, "kim", PASSWORD).unwrap();
    house.later(7 * 86_400);
    assert!(keeper.refresh(refresh_of(&idle)).is_err());
    log_in(&keeper, "kim", PASSWORD).unwrap();
    house.later(8 * 86_400);
    keeper.sweep().unwrap();
    assert_eq!(keeper.user(&name("kim")).unwrap().sessions, 0);
}

#[test]
fn logging_out_ends_one_session_or_all_at_once_and_for_good() {
    let house = House::new();
    let keeper = house.open();
    let one = user(&keeper, "kim", UserRole::User);
    let [two, three] = [(); 2].map(|()| log_in(&keeper, "kim", PASSWORD).unwrap());
    let proved = |begun: &Begun| keeper.prove(Shown::key(access(begun)), HERE).unwrap();
    let proved_two = proved(&two);
    keeper.log_out(&proved(&one), false).unwrap();
    assert_eq!([&one, &two, &three].map(|begun| rights(&keeper, begun).is_ok()), [false, true, true]);
    assert!(keeper.refresh(refresh_of(&one)).is_err());
    keeper.log_out(&proved(&two), true).unwrap();
    assert!(rights(&keeper, &two).is_err() && rights(&keeper, &three).is_err());
    keeper.log_out(&proved_two, true).unwrap();
    drop(keeper);
    let again = house.open();
    assert!([&one, &two, &three].into_iter().all(|begun| rights(&again, begun).is_err()));
    // Whatever the clock says: what was ended does not come back.
    house.set_back(3600);
    assert!([&one, &two, &three].into_iter().all(|begun| rights(&again, begun).is_err()));
}

#[test]
fn a_token_holds_for_a_quarter_of_an_hour_by_whatever_the_clock_says() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let shown = |at: i64| {
        house.wall.store(NOON + at, Ordering::Relaxed);
        // Once as it is remembered, once as it is seen for the first time.
        let fresh = keeper.directory().ring.verify(access(&begun), keeper.foundation.id, keeper.now());
        let known = rights(&keeper, &begun);
        assert_eq!(known.is_ok(), fresh.is_ok(), "{at}");
        known.map(drop)
    };
    for (at, expected) in [
        (0, Ok(())),
        (899, Ok(())),
        (904, Ok(())),
        (905, Err(Doubt::Expired)),
        (86_400, Err(Doubt::Expired)),
        (10, Ok(())),
        (-5, Ok(())),
        (-6, Err(Doubt::Wrong)),
        (-86_400, Err(Doubt::Wrong)),
        (20, Ok(())),
    ] {
        assert_eq!(shown(at), expected, "{at}");
    }
    house.wall.store(NOON - 86_400, Ordering::Relaxed);
    let earlier = keeper.refresh(refresh_of(&begun)).unwrap();
    assert!(rights(&keeper, &earlier).is_ok(), "a clock that was set back locks nobody out");
}

#[test]
fn a_clock_that_is_doubted_ends_nothing_for_good() {
    let house = House::new();
    let is_believed = Arc::new(AtomicI64::new(0));
    let asked = Arc::clone(&is_believed);
    let believes = Arc::new(move || asked.load(Ordering::Relaxed) > 0);
    let keeper = Keeper::open(Options { believes, ..house.options() }).unwrap().0;
    let begun = user(&keeper, "kim", UserRole::User);
    keeper.refused(Refusal::new("kim", None, "x", "y"), 1);
    keeper.keep().unwrap();
    house.wall.fetch_add(400 * 86_400, Ordering::Relaxed);
    keeper.sweep().unwrap();
    house.set_back(400 * 86_400);
    assert_eq!(keeper.refusals(None, 10).unwrap().1, 1);
    keeper.refresh(refresh_of(&begun)).unwrap();
    is_believed.store(1, Ordering::Relaxed);
    house.wall.fetch_add(400 * 86_400, Ordering::Relaxed);
    keeper.sweep().unwrap();
    assert_eq!(keeper.refusals(None, 10).unwrap().1, 0);
}

#[test]
fn a_user_has_fifty_sessions_at_most_and_the_oldest_makes_room() {
    let house = House::new();
    let keeper = house.open();
    let first = user(&keeper, "kim", UserRole::User);
    house.later(1);
    for _ in 0..50 {
        log_in(&keeper, "kim", PASSWORD).unwrap();
    }
    assert_eq!(keeper.user(&name("kim")).unwrap().sessions, 50);
    assert!(rights(&keeper, &first).is_err());
}

#[test]
fn another_signing_key_signs_and_those_before_verify_until_their_tokens_are_over() {
    let house = House::new();
    let keeper = house.open();
    let old = user(&keeper, "kim", UserRole::User);
    keeper.renew_signing_key(true).unwrap();
    let new = log_in(&keeper, "kim", PASSWORD).unwrap();
    let head = |begun: &Begun| access(begun).split('.').next().unwrap().to_owned();
    assert_ne!(head(&old), head(&new));
    assert!(rights(&keeper, &old).is_ok() && rights(&keeper, &new).is_ok());
    drop(keeper);
    let keeper = house.open();
    assert!(rights(&keeper, &old).is_ok() && rights(&keeper, &new).is_ok());
    house.later(1801);
    keeper.renew_signing_key(false).unwrap();
    assert_eq!(keeper.directory().ring.0.len(), 1, "the old one is gone");
    house.later(30 * 86_400);
    keeper.renew_signing_key(false).unwrap();
    assert_eq!(keeper.directory().ring.0.len(), 2, "a month is over");
}

#[test]
fn a_lost_key_of_the_vault_costs_a_signing_key_and_no_session() {
    let house = House::new();
    let begun = user(&house.open(), "kim", UserRole::User);
    std::fs::remove_file(house.folder.path().join("vault.key")).unwrap();
    let keeper = house.open();
    assert!(rights(&keeper, &begun).is_ok(), "what was signed still verifies");
    let next = keeper.refresh(refresh_of(&begun)).unwrap();
    assert!(rights(&keeper, &next).is_ok());
}
