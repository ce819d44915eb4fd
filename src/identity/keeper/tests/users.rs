//! People and their passwords.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn the_first_start_makes_an_administrator_whose_password_opens_nothing_but_the_way_to_another() {
    let house = House::new();
    let (keeper, told) = Keeper::open(house.options()).unwrap();
    let one_time = house.password_file().unwrap();
    assert_eq!(text(&told.unwrap()), one_time);
    let mode = std::fs::metadata(house.folder.path().join(ADMIN_PASSWORD)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let begun = log_in(&keeper, "admin", &one_time).unwrap();
    assert!(begun.refresh_token.is_none());
    assert_eq!(rights(&keeper, &begun), Ok(Rights::NONE));
    assert!(
        matches!(set_password(&keeper, &begun, &one_time), Err(IdentityError::Weak(_))),
        "the same again"
    );
    assert!(matches!(set_password(&keeper, &begun, "short"), Err(IdentityError::Weak(_))));
    let own = set_password(&keeper, &begun, PASSWORD).unwrap();
    assert_eq!(rights(&keeper, &own), Ok(Rights::ALL));
    assert_eq!(rights(&keeper, &begun), Err(Doubt::Wrong), "the first session is over");
    assert_eq!(house.password_file(), None);
    assert!(matches!(log_in(&keeper, "admin", &one_time), Err(IdentityError::Wrong)));
    drop(keeper);
    let (again, told) = Keeper::open(house.options()).unwrap();
    assert!(told.is_none());
    assert!(log_in(&again, "ADMIN", PASSWORD).is_ok());
}

#[test]
fn a_start_keeps_the_first_password_until_it_was_used_and_removes_what_a_crash_left_of_its_file() {
    let house = House::new();
    house.open();
    let one_time = house.password_file().unwrap();
    let keeper = house.open();
    assert_eq!(house.password_file().unwrap(), one_time);
    let begun = log_in(&keeper, "admin", &one_time).unwrap();
    set_password(&keeper, &begun, PASSWORD).unwrap();
    drop(keeper);
    std::fs::write(house.folder.path().join(ADMIN_PASSWORD), &one_time).unwrap();
    house.open();
    assert_eq!(house.password_file(), None);
}

#[test]
fn a_one_time_password_ends_and_a_reset_makes_another() {
    let house = House::new();
    let keeper = house.open();
    let first = keeper.add_user(&name("kim"), UserRole::User, "test").unwrap();
    house.later(7 * 86_400);
    assert!(matches!(log_in(&keeper, "kim", text(&first)), Err(IdentityError::Wrong)));
    let second = keeper.reset_password(&name("kim"), None).unwrap().unwrap();
    let begun = log_in(&keeper, "kim", text(&second)).unwrap();
    let own = set_password(&keeper, &begun, PASSWORD).unwrap();
    assert_eq!(rights(&keeper, &own), Ok(Rights::USER));
    keeper.reset_password(&name("kim"), None).unwrap();
    assert_eq!(rights(&keeper, &own), Err(Doubt::Wrong), "a reset ends the sessions");
    assert!(matches!(log_in(&keeper, "kim", PASSWORD), Err(IdentityError::Wrong)));
    let choose = |password: &str| keeper.reset_password(&name("kim"), Some(&secret(password)));
    assert!(matches!(choose("kim"), Err(IdentityError::Weak(_))));
    assert!(choose("chosen for somebody").unwrap().is_none());
    let begun = log_in(&keeper, "kim", "chosen for somebody").unwrap();
    assert_eq!(rights(&keeper, &begun), Ok(Rights::USER));
}

#[test]
fn a_name_that_nobody_has_is_hardly_told() {
    let house = House::new();
    let keeper = house.open();
    assert_eq!(keeper.claimed_name("Admin"), "admin");
    assert_eq!(keeper.claimed_name("my secret password"), "my… (18)");
}

#[test]
fn the_last_administrator_can_be_neither_removed_nor_degraded_nor_disabled() {
    let house = House::new();
    let keeper = house.open();
    let admin = Name::admin();
    let changes = [
        UserChange { role: Some(UserRole::User), disabled: None },
        UserChange { role: None, disabled: Some(true) },
    ];
    let is_refused =
        |result: Result<(), IdentityError>| matches!(result, Err(IdentityError::LastAdministrator(_)));
    for change in changes {
        assert!(is_refused(keeper.change_user(&admin, change).map(drop)));
    }
    assert!(is_refused(keeper.remove_user(&admin)));
    user(&keeper, "kim", UserRole::Admin);
    keeper.change_user(&name("kim"), changes[1]).unwrap();
    assert!(is_refused(keeper.remove_user(&admin)), "who is disabled administrates nothing");
    keeper.change_user(&name("kim"), UserChange { role: None, disabled: Some(false) }).unwrap();
    keeper.remove_user(&admin).unwrap();
    assert!(is_refused(keeper.remove_user(&name("kim"))));
    drop(keeper);
    let names: Vec<String> = house.open().users().into_iter().map(|row| row.name.to_string()).collect();
    assert_eq!(names, ["kim"], "no administrator comes back at a start");
}

#[test]
fn another_role_or_none_ends_every_session_and_the_same_ends_none() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let change = |role, disabled| keeper.change_user(&name("kim"), UserChange { role, disabled }).unwrap();
    assert!(!change(Some(UserRole::User), Some(false)));
    assert!(rights(&keeper, &begun).is_ok());
    assert!(change(Some(UserRole::Admin), None));
    assert!(rights(&keeper, &begun).is_err() && keeper.refresh(refresh_of(&begun)).is_err());
    let admin = log_in(&keeper, "kim", PASSWORD).unwrap();
    assert_eq!(rights(&keeper, &admin), Ok(Rights::ALL));
    assert!(change(None, Some(true)));
    assert!(rights(&keeper, &admin).is_err());
    assert!(matches!(log_in(&keeper, "kim", PASSWORD), Err(IdentityError::Wrong)), "disabled");
    keeper.remove_user(&name("kim")).unwrap();
    assert!(matches!(keeper.user(&name("kim")), Err(IdentityError::Unknown("user", _))));
}

#[test]
fn a_password_of_ones_own_is_changed_with_the_old_one_alone() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let other = log_in(&keeper, "kim", PASSWORD).unwrap();
    let proved = keeper.prove(Shown::Key(access(&begun)), HERE).unwrap();
    let change = |old: Option<&str>, new: &str| {
        let attempt = keeper.attempt("kim", HERE).unwrap();
        keeper.change_password(&attempt, &proved, old.map(secret).as_ref(), &secret(new))
    };
    assert!(matches!(change(None, "another horse battery"), Err(IdentityError::Wrong)));
    assert!(matches!(change(Some("guessed"), "another horse battery"), Err(IdentityError::Wrong)));
    assert!(matches!(change(Some(PASSWORD), "kim"), Err(IdentityError::Weak(_))));
    let next = change(Some(PASSWORD), "another horse battery").unwrap();
    assert_eq!(rights(&keeper, &next), Ok(Rights::USER));
    assert!(rights(&keeper, &begun).is_err() && rights(&keeper, &other).is_err());
    assert!(log_in(&keeper, "kim", PASSWORD).is_err());
}

#[test]
fn a_password_that_was_cheap_to_keep_is_kept_anew_at_the_next_login() {
    let mut house = House::new();
    user(&house.open(), "kim", UserRole::User);
    house.cost = Cost { memory: 16, passes: 1 };
    let keeper = house.open();
    let outgrown = |keeper: &Keeper| keeper.hasher.is_outgrown(&keeper.directory().users["kim"].password);
    assert!(outgrown(&keeper));
    log_in(&keeper, "kim", PASSWORD).unwrap();
    assert!(!outgrown(&keeper));
    drop(keeper);
    assert!(log_in(&house.open(), "kim", PASSWORD).is_ok());
}

#[test]
fn failures_make_wait_across_restarts_but_not_where_the_person_was_let_in_before() {
    let house = House::new();
    let keeper = house.open();
    user(&keeper, "kim", UserRole::User);
    let from = |n: u8| IpAddr::from([203, 0, 113, n]);
    let fail = |keeper: &Keeper, from| {
        let attempt = keeper.attempt("kim", from)?;
        keeper.log_in(&attempt, &secret("guessed")).map(drop)
    };
    let is_delayed = |result| matches!(result, Err(IdentityError::Delayed(1..)));
    assert!((0..7).map(|_| fail(&keeper, from(1))).any(is_delayed));
    for n in 0..200 {
        let _ = fail(&keeper, from(n));
    }
    assert!(is_delayed(fail(&keeper, from(250))), "from everywhere");
    assert!(log_in(&keeper, "kim", PASSWORD).is_ok(), "from home");
    keeper.keep().unwrap();
    drop(keeper);
    let again = house.open();
    assert!(is_delayed(fail(&again, from(1))) && is_delayed(fail(&again, from(250))));
    assert!(log_in(&again, "kim", PASSWORD).is_ok());
    house.later(30);
    assert!(!is_delayed(fail(&again, from(250))), "half a minute is the longest that a name waits");
}

#[tokio::test]
async fn few_wait_for_a_password_to_be_checked_and_who_is_sent_away_has_not_failed() {
    let house = House::new();
    let keeper = house.open();
    let attempt = || keeper.attempt("kim", HERE).unwrap();
    let first = attempt();
    let turns = [keeper.turn(&first).await.unwrap(), keeper.turn(&first).await.unwrap()];
    let many: Vec<_> = (0..4).map(|_| attempt()).collect();
    // Each who waited lets go of the turn at once.
    let take = async |one| keeper.turn(one).await.map(drop);
    let waiting = futures_util::future::join_all(many.iter().chain(&many).map(take));
    let sent_away = async {
        tokio::task::yield_now().await;
        for _ in 0..20 {
            let attempt = keeper.attempt("lee", HERE).unwrap();
            assert!(matches!(keeper.turn(&attempt).await, Err(IdentityError::Busy)));
        }
        drop(turns);
    };
    let (had, ()) = tokio::join!(waiting, sent_away);
    assert!(had.iter().all(Result::is_ok), "eight wait");
}
