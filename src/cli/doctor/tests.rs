//! Installations with one thing wrong each.

use super::super::console::Console;
use super::super::folder::{self, ADMIN_KEY, make};
use super::super::tests::House;
use super::{DoctorArgs, ExitCode, run};
use crate::disk::Medium;
use crate::engine::{Engine, Options};
use crate::identity;
use crate::journal::Keep;
use crate::model::{Allow, Batch, Cause, Change, Time};
use crate::store;
use crate::vault::{KeySource, Vault};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use uuid::Uuid;

/// What the doctor says, or the error it ends with.
async fn doctor(house: &House, rebuild: bool) -> (ExitCode, String) {
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let done = run(&DoctorArgs { rebuild }, &house.settings, Console { out: &mut out, log: &mut log }).await;
    match done {
        Ok(code) => (code, String::from_utf8(out).unwrap()),
        Err(error) => (ExitCode::of_error(&error).unwrap(), format!("{error:#}")),
    }
}

/// A house with a list in it, on whose ports nobody listens.
async fn house() -> House {
    let house = House::new();
    house.file("list", "1.2.3.0/24\n5.6.7.8\n");
    assert_eq!(house.run("import @/list --source test").await.0, ExitCode::Done);
    house
}

/// Overwrites the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let from = bytes.len() / 8;
    bytes[from..].fill(0x5a);
    fs::write(path, bytes).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_has_nothing_to_cure() {
    let house = house().await;
    let (_, said) = doctor(&house, false).await;
    assert!(!said.contains("FAIL"), "{said}");
    for line in [
        "journal        1 generations, unbroken",
        "store          whole, at generation 1",
        "snapshot.bin is whole",
        "those that write, too, to 127.0.0.0-127.255.255.255, ::1; a proxy on this machine has to be in proxy.trusted",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(
        doctor(&house, true).await,
        (ExitCode::Done, "the store is whole, at generation 1\n".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_the_only_thing_to_say_of_it() {
    let (code, said) = doctor(&House::new(), false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains("FAIL  data folder") && said.contains("cure: `ironlist serve` makes it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_can_read_is_named_with_the_command_that_closes_it() {
    let house = House::new();
    let data = &house.settings.data;
    make(data).unwrap();
    mode(data, 0o755);
    fs::write(data.join(ADMIN_KEY), "key").unwrap();
    mode(&data.join(ADMIN_KEY), 0o644);
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(
        said.contains("mode 0755") && said.contains(&format!("cure: chmod o= {}", data.display())),
        "{said}"
    );
    assert!(said.contains("mode 0644") && said.contains("cure: chmod 600"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let house = House::with(&[("listen.gateway", "IRONLIST_LISTEN_GATEWAY", &address)]);
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains(&format!("FAIL  port           {address}: ")), "{said}");
    assert!(said.contains("set listen.gateway"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_made_anew_from_a_checkpoint_where_old_records_are_gone() {
    let house = house().await;
    for number in 1..=3 {
        let keep = Keep { bytes: 0, segment: 1, ..Keep::default() };
        let engine = Engine::open(Options { keep, ..folder::options(&house.settings) }).unwrap();
        let range = format!("20.0.0.{number}").parse().unwrap();
        let (reason, owner) = (String::new(), String::new());
        let allow = Allow { range, reason, owner, expires: None, since: Time::default() };
        let (actor, reason, cause) = (String::new(), String::new(), Cause::Manual);
        let batch = Batch { id: Uuid::now_v7(), actor, reason, cause, change: Change::Allow(allow) };
        engine.submit(batch).await.unwrap();
        engine.stop();
    }
    let (_, said) = doctor(&house, false).await;
    assert!(said.contains("generations 4 to 4, unbroken, and a checkpoint before"), "{said}");
    damage(&house.settings.data.join(store::FILE));
    let (code, said) = doctor(&house, true).await;
    assert!(code == ExitCode::Done && said.contains("made anew, at generation 4;"), "{said}");
    assert_eq!(house.run("check 1.2.3.4").await.0, ExitCode::Negative);
    for entry in fs::read_dir(house.settings.data.join("journal")).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|end| end == "checkpoint") {
            damage(&entry.path());
        }
    }
    let (code, said) = doctor(&house, false).await;
    assert!(code == ExitCode::Negative && said.contains("FAIL  journal"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_found_and_made_anew_from_the_journal() {
    let house = house().await;
    damage(&house.settings.data.join(store::FILE));
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains("FAIL  store") && said.contains("`ironlist doctor --rebuild`"), "{said}");
    let (code, said) = doctor(&house, true).await;
    assert_eq!(code, ExitCode::Done, "{said}");
    assert!(said.contains("made anew, at generation 1; the damaged one is "), "{said}");
    let names = fs::read_dir(&house.settings.data).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("redb.damaged-")).count(), 1);
    assert!(doctor(&house, false).await.1.contains("whole, at generation 1"));
    assert_eq!(house.run("check 1.2.3.4").await.0, ExitCode::Negative);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_beside_the_journal_of_another_folder_is_found_and_made_anew() {
    let (mine, other) = (house().await, house().await);
    let journal = |house: &House| house.settings.data.join(crate::journal::FILE);
    fs::copy(journal(&other), journal(&mine)).unwrap();
    let (code, said) = doctor(&mine, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(
        said.contains("is not the one that it has seen") && said.contains("`ironlist doctor --rebuild`"),
        "{said}"
    );
    let (code, said) = doctor(&mine, true).await;
    assert_eq!(code, ExitCode::Done, "{said}");
    assert_eq!(doctor(&mine, false).await.0, ExitCode::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_never_rebuilt_from() {
    let house = house().await;
    damage(&house.settings.data.join(crate::journal::FILE));
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains("FAIL  journal") && said.contains("restore a backup"), "{said}");
    let (code, said) = doctor(&house, true).await;
    assert_eq!(code, ExitCode::Failed);
    assert!(said.starts_with("there is nothing to rebuild from"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_tells_its_own_health_and_keeps_its_store() {
    let house = house().await;
    let service = house.serve().await;
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains("warn  service        runs, but not well"), "{said}");
    let (code, said) = doctor(&house, true).await;
    assert_eq!((code, said.as_str()), (ExitCode::Failed, "stop the service first: it holds the store"));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_of_people_is_closed_to_others_whole_and_knows_an_administrator() {
    let house = house().await;
    let data = &house.settings.data;
    assert!(doctor(&house, false).await.1.contains("ok    administrators nobody is known yet"));
    let vault = Vault::new(KeySource::Made(data.join("vault.key")));
    identity::Keeper::open(identity::Options::new(Medium::folder(data), vault.into())).unwrap();
    let (code, said) = doctor(&house, false).await;
    assert!(
        code == ExitCode::Done && said.contains("administrators admin has a password for the first login"),
        "{said}"
    );
    for name in [identity::FILE, identity::ADMIN_PASSWORD] {
        mode(&data.join(name), 0o640);
        let (code, said) = doctor(&house, false).await;
        let cure = format!("cure: chmod 600 {}; ", data.join(name).display());
        assert!(code == ExitCode::Negative && said.contains("mode 0640") && said.contains(&cure), "{said}");
        mode(&data.join(name), 0o600);
    }
    damage(&data.join(identity::FILE));
    let (code, said) = doctor(&house, false).await;
    assert_eq!(code, ExitCode::Negative);
    assert!(said.contains("FAIL  administrators") && said.contains("restore identity.redb"), "{said}");
}
