//! People and their passwords.

use super::*;
use futures_util::FutureExt as _;
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
fn an_administrator_who_can_log_in_no_more_is_none_to_rely_on() {
    let house = House::new();
    let keeper = house.open();
    let begun = log_in(&keeper, "admin", &house.password_file().unwrap()).unwrap();
    set_password(&keeper, &begun, PASSWORD).unwrap();
    keeper.add_user(&name("kim"), UserRole::Admin, "test").unwrap();
    let degraded = UserChange { role: Some(UserRole::User), disabled: None };
    let restored = UserChange { role: Some(UserRole::Admin), disabled: None };
    keeper.change_user(&name("admin"), degraded).unwrap();
    keeper.change_user(&name("admin"), restored).unwrap();
    house.later(400 * 86_400);
    let last = |result| matches!(result, Err(IdentityError::LastAdministrator(_)));
    assert!(last(keeper.remove_user(&name("admin"))), "kim's one-time password is over");
    assert!(last(keeper.change_user(&name("admin"), degraded).map(drop)));
    assert!(keeper.remove_user(&name("kim")).is_ok());
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
    let proved = keeper.prove(Shown::key(access(&begun)), HERE).unwrap();
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
    assert!(is_delayed(fail(&again, from(1))));
    assert!(
        (0..2).any(|_| is_delayed(fail(&again, from(250)))),
        "one attempt of a network in a slot of time"
    );
    assert!(log_in(&again, "kim", PASSWORD).is_ok());
    let tried = |slots| {
        (0..slots).any(|_| {
            house.later(30);
            !is_delayed(fail(&again, from(250)))
        })
    };
    assert!(tried(4), "somebody new has their turn");
}

#[test]
fn the_right_one_time_password_is_taken_at_once_whoever_else_tries() {
    let house = House::new();
    let keeper = house.open();
    let one_time = keeper.add_user(&name("kim"), UserRole::User, "test").unwrap();
    for n in 0..3000_u32 {
        let from = IpAddr::from(std::net::Ipv4Addr::from(0x7F00_0000 + n * 256));
        if let Ok(attempt) = keeper.attempt("kim", from) {
            assert!(keeper.log_in(&attempt, &secret("guessed")).is_err());
        }
    }
    let new = IpAddr::from([203, 0, 113, 9]);
    assert!(!keeper.is_one_time("kim", &secret("guessed")) && !keeper.is_one_time("lee", &one_time));
    assert!(keeper.is_one_time("kim", &one_time));
    let begun = keeper.log_in_once("kim", &one_time, new).unwrap();
    assert!(begun.refresh_token.is_none());
    let proved = keeper.prove(Shown::key(access(&begun)), new).unwrap();
    let attempt = keeper.attempt("kim", new).expect("and is known there from then on");
    let weak =
        || keeper.change_password(&keeper.attempt("kim", new).unwrap(), &proved, None, &secret("short"));
    for _ in 0..20 {
        assert!(matches!(weak(), Err(IdentityError::Weak(_))), "a weak choice is no wrong password");
    }
    keeper.change_password(&attempt, &proved, None, &secret(PASSWORD)).unwrap();
    assert!(!keeper.is_one_time("kim", &one_time), "it is used up");
    keeper.reset_password(&name("kim"), None).unwrap();
    house.later(8 * 86_400);
    assert!(keeper.log_in_once("kim", &one_time, new).is_err());
}

#[test]
fn somebody_behind_a_proxy_that_nobody_declared_is_elsewhere_than_the_proxy() {
    let house = House::new();
    let keeper = house.open();
    user(&keeper, "kim", UserRole::User);
    let behind = crate::identity::Whence { address: HERE, is_behind: true };
    while let Ok(attempt) = keeper.attempt("kim", behind) {
        assert!(keeper.log_in(&attempt, &secret("guessed")).is_err());
    }
    assert!(log_in(&keeper, "kim", PASSWORD).is_ok());
}

#[test]
fn another_password_is_one_attempt_and_takes_back_no_others() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let proved = keeper.prove(Shown::key(access(&begun)), HERE).unwrap();
    let new = IpAddr::from([203, 0, 113, 9]);
    let others = |n: usize| keeper.attempt(&format!("user{n}"), new).is_ok();
    assert!((0..29).all(others));
    let attempt = keeper.attempt("kim", new).unwrap();
    keeper
        .change_password(&attempt, &proved, Some(&secret(PASSWORD)), &secret("another horse battery"))
        .unwrap();
    assert_eq!((29..100).filter(|n| others(*n)).count(), 2, "thirty are free, and one beyond makes wait");
}

#[tokio::test]
async fn a_flood_of_strangers_keeps_nobody_waiting_who_is_known() {
    let house = House::new();
    let keeper = house.open();
    user(&keeper, "kim", UserRole::User);
    let from = |n: u8| IpAddr::from([203, 0, n, 1]);
    let strangers: Vec<_> = (0..5).map(|n| keeper.attempt("lee", from(n)).unwrap()).collect();
    let mut line: Vec<_> = strangers.iter().map(|one| Box::pin(keeper.turn(one))).collect();
    let at_work = line.remove(0).await.unwrap();
    assert!(line.iter_mut().all(|one| one.now_or_never().is_none()));
    for n in 5..35 {
        let attempt = keeper.attempt("lee", from(n)).unwrap();
        assert!(matches!(keeper.turn(&attempt).now_or_never(), Some(Err(IdentityError::Busy))));
    }
    for _ in 0..10 {
        let home = keeper.attempt("kim", HERE).unwrap();
        let turn = keeper.turn(&home).now_or_never().expect("at once").unwrap();
        keeper.log_in(&home, &secret(PASSWORD)).unwrap();
        drop(turn);
    }
    drop(at_work);
    assert!(line.remove(0).await.is_ok());
}
