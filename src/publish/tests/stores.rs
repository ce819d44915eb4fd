//! Feeds over stores that were damaged, or that a backup has taken back.

use super::house::{self, House, set, singles};
use crate::engine::Condition;
use crate::model::Detail;
use crate::publish::{Difference, NoConsent, Unknown};
use redb::ReadableTable as _;
use std::path::Path;

fn snapshot(folder: &Path) -> std::path::PathBuf {
    folder.join("snapshot.bin")
}

/// Changes a byte of a record in a way that the database does not see.
fn spoil_record(folder: &Path, generation: u64) {
    const RECORDS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("records");
    let database = redb::Database::open(folder.join("journal.redb")).unwrap();
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
fn an_older_snapshot_of_a_damaged_store_neither_withdraws_a_feed_nor_takes_one_back() {
    let house = House::new();
    house.list("a", &singles(3000), &Detail::default());
    house.refresh();
    let mut older = Vec::new();
    let house = house.restart(|folder| older = std::fs::read(snapshot(folder)).unwrap());
    house.publish(house.profile("late"));
    house.list("a", &singles(3100), &Detail::default());
    house.refresh();
    let house = house.restart(|folder| {
        std::fs::write(snapshot(folder), older).unwrap();
        spoil_record(folder, 2);
    });
    assert!(matches!(house.engine.condition(), Condition::ReadOnly { .. }));
    assert_eq!(house.engine.snapshot().entries(), 3000, "the snapshot is the older one");
    house.refresh();
    for name in ["fortigate", "late"] {
        assert_eq!(house.feed(name).released().unwrap().release.addresses, 3100, "{name}");
        assert!(house.folder.path().join(format!("feeds/{name}.feed")).exists(), "{name}");
    }
}

#[test]
fn a_backup_that_was_taken_back_is_followed_and_its_changes_begin_anew() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    let backup = tempfile::tempdir().unwrap();
    let house = house.restart(|folder| copy(folder, backup.path()));
    for more in [1010, 1020] {
        house.list("a", &singles(more), &Detail::default());
        house.refresh();
    }
    assert_eq!(house.feed("fortigate").changes(1).unwrap().0, 3);
    let house = house.restart(|folder| copy(backup.path(), folder));
    house.refresh();
    let feed = house.feed("fortigate");
    assert_eq!(feed.released().unwrap().release.set.unpack(), set(&singles(1000)));
    assert_eq!(feed.changes(3), Err(Unknown::NotYet(1)));
    assert_eq!(feed.changes(1), Ok((1, Difference::default())));
    house.list("a", &[singles(1000), house::ranges(&["40.0.0.1"])].concat(), &Detail::default());
    house.refresh();
    let (generation, difference) = feed.changes(1).unwrap();
    assert_eq!((generation, difference.added), (2, set(&house::ranges(&["40.0.0.1"]))));
}

#[test]
fn a_consent_that_cannot_be_carried_out_now_is_none_later() {
    let house = House::new();
    house.list("a", &singles(3000), &Detail::default());
    house.refresh();
    let mut older = Vec::new();
    let house = house.restart(|folder| older = std::fs::read(snapshot(folder)).unwrap());
    house.list("a", &singles(3), &Detail::default());
    house.refresh();
    let generation = house.feed("fortigate").status().hold.unwrap().generation;
    let house = house.restart(|folder| {
        std::fs::write(snapshot(folder), older).unwrap();
        spoil_record(folder, 2);
    });
    let consented = house.feeds.consent(Some(&"fortigate".parse().unwrap()), generation, &house.engine);
    assert!(matches!(consented, Err(NoConsent::Failed(_))), "{consented:?}");
    assert_eq!(house.feed("fortigate").inside().consent, None);
    assert_eq!(house.feed("fortigate").released().unwrap().release.addresses, 3000);
}

/// Copies the stores and the journal, and not the feeds.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true if entry.file_name() == "feeds" => {}
            true => {
                let _ = std::fs::remove_dir_all(&to);
                std::fs::create_dir_all(&to).unwrap();
                copy(&path, &to);
            }
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}
