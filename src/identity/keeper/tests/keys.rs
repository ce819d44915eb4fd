//! Keys of programs.

use super::*;
use crate::identity::{Fingerprint, KeyWish};

fn wish(of: &str, rights: &[Right]) -> KeyWish {
    let (networks, expires, certificate) = (Vec::new(), None, None);
    KeyWish { name: name(of), rights: Rights::of(rights), networks, expires, certificate }
}

fn shown(keeper: &Keeper, made: &MadeKey) -> Result<Arc<crate::rights::Identity>, Doubt> {
    shown_from(keeper, text(made.secret.as_ref().unwrap()), HERE)
}

fn shown_from(keeper: &Keeper, key: &str, from: IpAddr) -> Result<Arc<crate::rights::Identity>, Doubt> {
    keeper.prove(Shown::key(key), from).map(|proved| proved.identity)
}

#[test]
fn a_key_does_what_it_may_and_no_other_text_is_it() {
    let house = House::new();
    let keeper = house.open();
    let made = keeper.add_key(wish("siem", &[Right::Check]), "kim").unwrap();
    let key = text(made.secret.as_ref().unwrap()).to_owned();
    assert!(key.starts_with("il_") && key.len() == 55, "{}", key.len());
    let who = shown(&keeper, &made).unwrap();
    assert_eq!((who.kind, who.name.as_str(), who.rights), (Kind::Key, "siem", Rights::of(&[Right::Check])));
    for at in 0..key.len() {
        let mut bent = key.clone().into_bytes();
        bent[at] ^= 1;
        let bent = String::from_utf8(bent).unwrap();
        assert_eq!(shown_from(&keeper, &bent, HERE).err(), Some(Doubt::Wrong), "letter {at}");
        assert_eq!(shown_from(&keeper, &key[..at], HERE).err(), Some(Doubt::Wrong));
    }
    for wrong in [format!("{key}x"), format!("{key} "), key.to_uppercase(), "é".repeat(28), "x".repeat(9000)]
    {
        assert_eq!(shown_from(&keeper, &wrong, HERE).err(), Some(Doubt::Wrong));
    }
    drop(keeper);
    assert!(shown(&house.open(), &made).is_ok(), "after a restart");
    let mut kept = Vec::new();
    for file in std::fs::read_dir(house.folder.path()).unwrap() {
        kept.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    assert!(!kept.windows(43).any(|bytes| bytes == &key.as_bytes()[12..]), "the secret is nowhere");
}

#[test]
fn a_key_holds_in_its_networks_and_until_its_end() {
    let house = House::new();
    let keeper = house.open();
    let networks = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let wish =
        KeyWish { networks, expires: Some(Time::from_unix(NOON + 60)), ..wish("siem", &[Right::Read]) };
    let made = keeper.add_key(wish, "kim").unwrap();
    let from = |from: &str| {
        let key = text(made.secret.as_ref().unwrap());
        shown_from(&keeper, key, from.parse().unwrap()).map(drop)
    };
    for inside in ["10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3"] {
        assert_eq!(from(inside), Ok(()), "{inside}");
    }
    for outside in ["192.0.2.1", "::1", "127.0.0.1"] {
        assert_eq!(from(outside), Err(Doubt::Elsewhere), "{outside}");
    }
    house.later(60);
    assert_eq!(from("10.1.2.3"), Err(Doubt::Expired));
}

#[test]
fn a_certificate_may_stand_for_the_secret() {
    let house = House::new();
    let keeper = house.open();
    let print = Fingerprint::from([7; 32]);
    let wish = |of| KeyWish { certificate: Some(print), ..wish(of, &[Right::Feeds]) };
    let made = keeper.add_key(wish("edge"), "kim").unwrap();
    assert!(made.secret.is_none());
    let prove =
        |digest: &[u8; 32]| keeper.prove(Shown::Certificate(digest), HERE).map(|proved| proved.identity);
    assert_eq!(prove(&[7; 32]).unwrap().name, "edge");
    assert_eq!(prove(&[8; 32]).unwrap_err(), Doubt::Wrong);
    assert!(matches!(keeper.add_key(wish("other"), "kim"), Err(IdentityError::Exists(..))));
    keeper.rotate_key(&name("edge"), Some([9; 32].into()), 60).unwrap();
    assert!(prove(&[7; 32]).is_ok() && prove(&[9; 32]).is_ok());
    house.later(60);
    assert!(prove(&[7; 32]).is_err() && prove(&[9; 32]).is_ok());
    assert!(keeper.rotate_key(&name("edge"), None, 60).is_err(), "a secret does not follow a certificate");
    keeper.add_key(wish("another"), "kim").unwrap();
    assert_eq!(prove(&[7; 32]).unwrap().name, "another", "what stands for nobody any more is free");
    drop(keeper);
    let keeper = house.open();
    let proved = keeper.prove(Shown::Certificate(&[7; 32]), HERE).unwrap();
    assert_eq!(proved.identity.name, "another", "also when all are read again");
}

#[test]
fn another_secret_takes_a_keys_place_with_an_overlap_or_at_once() {
    let house = House::new();
    let keeper = house.open();
    let first = keeper.add_key(wish("siem", &[Right::Check]), "kim").unwrap();
    let second = keeper.rotate_key(&name("siem"), None, 3600).unwrap();
    assert!(shown(&keeper, &first).is_ok() && shown(&keeper, &second).is_ok());
    assert_eq!(second.row.before_until, Some(Time::from_unix(NOON + 3600)));
    house.later(3600);
    assert!(shown(&keeper, &first).is_err() && shown(&keeper, &second).is_ok());
    let third = keeper.rotate_key(&name("siem"), None, 0).unwrap();
    assert!(shown(&keeper, &second).is_err() && shown(&keeper, &third).is_ok());
    assert!(keeper.rotate_key(&name("siem"), None, -1).is_err());
    keeper.remove_key(&name("siem")).unwrap();
    assert!(shown(&keeper, &third).is_err());
    assert!(keeper.keys().is_empty());
}

#[test]
fn the_last_use_is_gathered_and_outlives_a_restart() {
    let house = House::new();
    let keeper = house.open();
    let made = keeper.add_key(wish("siem", &[Right::Check]), "kim").unwrap();
    assert_eq!(keeper.key(&name("siem")).unwrap().last_use, None);
    house.later(5);
    shown(&keeper, &made).unwrap();
    let visit = Visit { at: Time::from_unix(NOON + 5), from: HERE };
    assert_eq!(keeper.key(&name("siem")).unwrap().last_use, Some(visit));
    keeper.keep().unwrap();
    drop(keeper);
    let keeper = house.open();
    assert_eq!(keeper.key(&name("siem")).unwrap().last_use, Some(visit));
    keeper.remove_key(&name("siem")).unwrap();
    keeper.add_key(wish("siem", &[Right::Check]), "kim").unwrap();
    assert_eq!(keeper.key(&name("siem")).unwrap().last_use, None, "another key of that name");
}

#[test]
fn a_key_that_could_do_nothing_is_refused_and_names_are_given_once() {
    let house = House::new();
    let keeper = house.open();
    assert!(matches!(keeper.add_key(wish("x", &[]), "kim"), Err(IdentityError::Nonsense(_))));
    let over = KeyWish { expires: Some(Time::from_unix(NOON)), ..wish("x", &[Right::Read]) };
    assert!(matches!(keeper.add_key(over, "kim"), Err(IdentityError::Nonsense(_))));
    keeper.add_key(wish("x", &[Right::Read]), "kim").unwrap();
    assert!(matches!(keeper.add_key(wish("X", &[Right::Read]), "kim"), Err(IdentityError::Exists(..))));
}

#[test]
fn who_is_refused_is_named_without_what_they_showed() {
    let house = House::new();
    let keeper = house.open();
    let made = keeper.add_key(wish("siem", &[Right::Check]), "kim").unwrap();
    let key = text(made.secret.as_ref().unwrap());
    let claimed = |shown: &str| keeper.claimed(Shown::key(shown));
    assert_eq!(claimed(key), "key siem");
    assert_eq!(claimed(&key.replacen(&key[3..11], "aaaaaaaa", 1)), "key il_aaaaaaaa");
    assert_eq!([claimed("eyJ.eyJ.x"), claimed("hunter2")], ["a token", "a key"]);
    let begun = user(&keeper, "kim", UserRole::User);
    let shown = format!("{keeper:?} {:?} {:?}", keeper.directory().users, keeper.directory().sessions);
    assert!(!shown.contains("argon2") && !shown.contains(access(&begun)), "{shown}");
}
