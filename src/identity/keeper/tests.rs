//! A keeper over a folder of its own, with clocks that the test sets.

mod crashes;
mod keys;
mod sessions;
mod timing;
mod users;

use super::*;
use crate::disk::Medium;
use crate::identity::UserRole;
use crate::rights::{Kind, Right, Rights};
use crate::vault::KeySource;
use secrecy::ExposeSecret as _;
use std::net::IpAddr;
use std::sync::atomic::AtomicI64;

const NOON: i64 = 1_790_000_000;
/// Passwords are checked often here, so that they are cheap.
const CHEAP: Cost = Cost { memory: 8, passes: 1 };
const PASSWORD: &str = "correct horse battery";

/// An installation, and how its clocks are set.
struct House {
    folder: tempfile::TempDir,
    wall: Arc<AtomicI64>,
    steady: Arc<AtomicU64>,
    cost: Cost,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, wall: Arc::new(NOON.into()), steady: Arc::default(), cost: CHEAP }
    }

    fn options(&self) -> Options {
        let (wall, steady) = (Arc::clone(&self.wall), Arc::clone(&self.steady));
        let vault = Arc::new(Vault::new(KeySource::Made(self.folder.path().join("vault.key"))));
        let clock = Clock {
            wall: Arc::new(move || Time::from_unix(wall.load(Ordering::Relaxed))),
            steady: Arc::new(move || Duration::from_secs(steady.load(Ordering::Relaxed))),
        };
        Options { cost: self.cost, clock, ..Options::new(Medium::folder(self.folder.path()), vault) }
    }

    fn open(&self) -> Keeper {
        Keeper::open(self.options()).unwrap().0
    }

    /// Sets both clocks on.
    fn later(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::Relaxed);
        self.steady.fetch_add(seconds.unsigned_abs(), Ordering::Relaxed);
    }

    /// Sets the clock on the wall, whatever the time.
    fn set_back(&self, seconds: i64) {
        self.wall.fetch_sub(seconds, Ordering::Relaxed);
    }

    fn password_file(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(ADMIN_PASSWORD))
            .ok()
            .map(|text| text.trim().to_owned())
    }
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn log_in(keeper: &Keeper, who: &str, password: &str) -> Result<Begun, IdentityError> {
    let attempt = keeper.attempt(who, HERE)?;
    keeper.log_in(&attempt, &secret(password))
}

fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}

fn access(begun: &Begun) -> &str {
    text(&begun.access_token)
}

fn refresh_of(begun: &Begun) -> &SecretString {
    begun.refresh_token.as_ref().unwrap()
}

fn rights(keeper: &Keeper, begun: &Begun) -> Result<Rights, Doubt> {
    keeper.prove(Shown::key(access(begun)), HERE).map(|proved| proved.identity.rights)
}

fn set_password(keeper: &Keeper, begun: &Begun, new: &str) -> Result<Begun, IdentityError> {
    let proved = keeper.prove(Shown::key(access(begun)), HERE).unwrap();
    let attempt = keeper.attempt(begun.user.as_str(), HERE).unwrap();
    keeper.change_password(&attempt, &proved, None, &secret(new))
}

/// A user with [`PASSWORD`], logged in.
fn user(keeper: &Keeper, who: &str, role: UserRole) -> Begun {
    let one_time = keeper.add_user(&name(who), role, "test").unwrap();
    let begun = log_in(keeper, who, text(&one_time)).unwrap();
    set_password(keeper, &begun, PASSWORD).unwrap()
}
