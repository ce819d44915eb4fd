//! What is known of people, their sessions and keys, across restarts: one redb file, JSON documents. What decides who
//! may do what is a durable commit a step; what ticks is gathered and written together. All calls block on the disk.

use super::delay::KeptDelay;
use super::key::ApiKey;
use super::mark::Mark;
use super::name::Name;
use super::refusal::{News, Refusals};
use super::secret::random;
use super::session::Session;
use super::token::KeptKey;
use super::user::{User, UserRow, Visit};
use crate::disk::{Digest, DiskError, Medium, RedbFile, Shelf, hex, unhex};
use crate::model::Time;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The file in the data folder.
pub const FILE: &str = "identity.redb";
/// Memory that redb may keep pages in, in bytes.
const CACHE: usize = 4 << 20;
/// The form of what is kept; another one is another version's.
const FORM: u32 = 1;
/// Rows of refusals that are remembered of each ring.
const REFUSALS: u64 = 50_000;

const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
const FOUNDATION: Shelf<&str, Foundation> = Shelf::new("foundation");
const USERS: Shelf<&str, User> = Shelf::new("users");
const SESSIONS: Shelf<u128, Session> = Shelf::new("sessions");
const KEYS: Shelf<&str, ApiKey> = Shelf::new("keys");
const USES: Shelf<&str, Visit> = Shelf::new("uses");
const SIGNING: Shelf<&str, KeptKey> = Shelf::new("signing");
const DELAYS: Shelf<(u8, u128), (u32, u64)> = Shelf::new("delays");
/// What is about to be done, by number.
const INTENTS: Shelf<u64, serde_json::Value> = Shelf::new("intents");
/// A ring each, in the order of [`Ring::ALL`]; their rows are numbered together.
const RINGS: [Shelf<u64, Refusals>; 2] = [Shelf::new("refusals"), Shelf::new("refusals_known")];

/// What an installation is from its first start on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Foundation {
    /// Who issues its tokens.
    pub(super) id: Uuid,
    salt: String,
}

impl Foundation {
    /// Goes into marks, so that they say nothing to whoever has the file of another installation.
    pub(super) fn salt(&self) -> Digest {
        unhex(&self.salt).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }
}

/// One document that comes, changes or goes.
pub(super) enum Put {
    User(User),
    NoUser(Name),
    Session(Session),
    NoSession(Uuid),
    Key(ApiKey),
    NoKey(Name),
    Signing(KeptKey),
    NoSigning(String),
}

/// Everything that is in memory while the program runs.
pub(super) struct All {
    pub(super) foundation: Foundation,
    pub(super) users: Vec<User>,
    pub(super) sessions: Vec<Session>,
    pub(super) keys: Vec<ApiKey>,
    pub(super) uses: Vec<(Name, Visit)>,
    pub(super) signing: Vec<KeptKey>,
    pub(super) delays: Vec<((u8, Mark), (u32, u64))>,
}

/// The book of one data folder.
#[derive(Debug)]
pub(super) struct Book(RedbFile);

impl Book {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// As [`RedbFile::open`], and [`DiskError::Version`].
    pub(super) fn open(medium: &Medium) -> Result<Self, DiskError> {
        let file = RedbFile::open(medium, FILE, CACHE)?;
        let salt = random::<32>().map_err(|error| DiskError::io(FILE, std::io::Error::other(error)))?;
        let form = file.write(true, |write| {
            make(write)?;
            let mut meta = write.open_table(META)?;
            let form = meta.get("form")?.map_or(FORM, |form| form.value());
            meta.insert("form", form)?;
            FOUNDATION.update(write, "", |found| {
                found.get_or_insert_with(|| Foundation { id: Uuid::new_v4(), salt: hex(&*salt) });
            })?;
            Ok(form)
        })?;
        match form {
            FORM => Ok(Self(file)),
            version => Err(DiskError::Version { what: FILE.into(), version }),
        }
    }

    /// Everything but the refusals.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn all(&self) -> Result<All, DiskError> {
        self.0.read(|view| {
            let missing = || redb::Error::Corrupted("the foundation is missing".to_owned());
            let mut all = All {
                foundation: FOUNDATION.get(view, "")?.ok_or_else(missing)?,
                users: Vec::new(),
                sessions: Vec::new(),
                keys: Vec::new(),
                uses: Vec::new(),
                signing: Vec::new(),
                delays: Vec::new(),
            };
            USERS.scan::<&str>(view, .., false, |_, user| each(&mut all.users, user))?;
            SESSIONS.scan::<u128>(view, .., false, |_, session| each(&mut all.sessions, session))?;
            KEYS.scan::<&str>(view, .., false, |_, key| each(&mut all.keys, key))?;
            SIGNING.scan::<&str>(view, .., false, |_, key| each(&mut all.signing, key))?;
            USES.scan::<&str>(view, .., false, |name, visit| {
                all.uses.extend(name.parse().ok().map(|name| (name, visit)));
                true
            })?;
            DELAYS.scan::<(u8, u128)>(view, .., false, |(kind, mark), delay| {
                each(&mut all.delays, ((kind, mark.to_be_bytes()), delay))
            })?;
            Ok(all)
        })
    }

    /// Writes a step down, all of it or nothing.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn put(&self, step: &[Put]) -> Result<(), DiskError> {
        self.0.write(true, |write| step.iter().try_for_each(|put| put.carry_out(write)))
    }

    /// Writes down what is about to be done, under a number of its own.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn intend(&self, what: &serde_json::Value) -> Result<u64, DiskError> {
        self.0.write(true, |write| {
            let number = INTENTS.last(write)?.unwrap_or(0) + 1;
            INTENTS.put(write, number, what)?;
            Ok(number)
        })
    }

    /// Forgets what was about to be done.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn settle(&self, number: u64) -> Result<(), DiskError> {
        self.0.write(true, |write| INTENTS.remove(write, number))
    }

    /// What was about to be done and is not settled.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn intents(&self) -> Result<Vec<(u64, serde_json::Value)>, DiskError> {
        let mut all = Vec::new();
        self.0.read(|view| {
            INTENTS.scan::<u64>(view, .., false, |number, what| each(&mut all, (number, what)))
        })?;
        Ok(all)
    }

    /// Writes down what was gathered. Gives the number of each row of refusals, ring by ring.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn gather(
        &self,
        uses: &[(Name, Visit)],
        delays: &[KeptDelay],
        refusals: &[Vec<News>; 2],
    ) -> Result<[Vec<u64>; 2], DiskError> {
        self.0.write(true, |write| {
            uses.iter().try_for_each(|(name, visit)| USES.put(write, name.as_str(), visit))?;
            for ((kind, mark), delay) in delays {
                let key = (*kind, u128::from_be_bytes(*mark));
                match delay {
                    Some(delay) => DELAYS.put(write, key, delay)?,
                    None => DELAYS.remove(write, key)?,
                }
            }
            let mut newest = 0;
            for ring in &RINGS {
                newest = newest.max(ring.last(write)?.unwrap_or(0));
            }
            let mut numbers = [Vec::new(), Vec::new()];
            for ((ring, news), numbers) in RINGS.iter().zip(refusals).zip(&mut numbers) {
                for (number, row) in news {
                    newest += u64::from(number.is_none());
                    let number = number.unwrap_or(newest);
                    ring.put(write, number, row)?;
                    numbers.push(number);
                }
                ring.shorten(write, REFUSALS)?;
            }
            Ok(numbers)
        })
    }

    /// At most `limit` rows of refusals with their numbers, newest first, those before the number `before`; and how many
    /// there are.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn refusals(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<(u64, Refusals)>, u64), DiskError> {
        self.0.read(|view| {
            let (mut rows, mut total) = (Vec::new(), 0);
            for ring in &RINGS {
                let most = rows.len() + limit;
                ring.scan(view, ..before.unwrap_or(u64::MAX), true, |number, row| {
                    rows.push((number, row));
                    rows.len() < most
                })?;
                total += ring.len(view)?;
            }
            rows.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
            rows.truncate(limit);
            Ok((rows, total))
        })
    }

    /// Forgets refusals that were over before `oldest`.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn forget_refusals(&self, oldest: Time) -> Result<(), DiskError> {
        for ring in &RINGS {
            let mut gone = Vec::new();
            self.0.read(|view| {
                ring.scan::<u64>(view, .., false, |number, row| {
                    let is_old = row.last < oldest;
                    gone.extend(is_old.then_some(number));
                    is_old
                })
            })?;
            if !gone.is_empty() {
                self.0.write(true, |write| gone.iter().try_for_each(|number| ring.remove(write, *number)))?;
            }
        }
        Ok(())
    }
}

/// Everybody in the book of a folder that has one and whose keeper does not run; for whoever looks after it.
///
/// # Errors
/// As [`RedbFile::open`], and [`DiskError::Version`].
pub fn people(medium: &Medium) -> Result<Vec<UserRow>, DiskError> {
    let All { users, sessions, .. } = Book::open(medium)?.all()?;
    let of = |user: &User| sessions.iter().filter(|session| session.user == user.name).count();
    Ok(users.iter().map(|user| UserRow::of(user, of(user))).collect())
}

fn each<T>(all: &mut Vec<T>, one: T) -> bool {
    all.push(one);
    true
}

fn make(write: &WriteTransaction) -> Result<(), redb::Error> {
    FOUNDATION.make(write)?;
    USERS.make(write)?;
    SESSIONS.make(write)?;
    KEYS.make(write)?;
    USES.make(write)?;
    SIGNING.make(write)?;
    DELAYS.make(write)?;
    INTENTS.make(write)?;
    RINGS.iter().try_for_each(|ring| ring.make(write))
}

impl Put {
    fn carry_out(&self, write: &WriteTransaction) -> Result<(), redb::Error> {
        match self {
            Self::User(user) => USERS.put(write, user.name.as_str(), user),
            Self::NoUser(name) => USERS.remove(write, name.as_str()),
            Self::Session(session) => SESSIONS.put(write, session.id.as_u128(), session),
            Self::NoSession(id) => SESSIONS.remove(write, id.as_u128()),
            Self::Key(key) => KEYS.put(write, key.name.as_str(), key),
            Self::NoKey(name) => {
                USES.remove(write, name.as_str())?;
                KEYS.remove(write, name.as_str())
            }
            Self::Signing(key) => SIGNING.put(write, key.id.as_str(), key),
            Self::NoSigning(id) => SIGNING.remove(write, id.as_str()),
        }
    }
}
