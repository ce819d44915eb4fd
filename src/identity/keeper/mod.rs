//! The keeper of identities: the book, what it holds in memory, and one way to change both.
//!
//! Who asks who somebody is finds it in memory. Who changes something waits for the disk: every method that says so
//! blocks. A step is durable before it counts.

mod claims;
mod intents;
mod keys;
mod line;
mod logins;
mod users;

pub use claims::{Doubt, Proved, Shown};
pub use intents::Intent;
pub use keys::MadeKey;
pub use line::Turn;
pub use logins::{Attempt, Begun};
pub use users::UserChange;

use super::book::{Book, Foundation, Put};
use super::delay::Delays;
use super::directory::Directory;
use super::error::IdentityError;
use super::name::Name;
use super::password::{Cost, Hasher};
use super::refusal::{Gathered, Refusal, Refusals, Ring};
use super::session::Lives;
use super::token::KeptKey;
use super::user::Visit;
use crate::disk::{DiskError, Medium};
use crate::model::Time;
use crate::vault::Vault;
use claims::Remembered;
use line::Line;
use secrecy::SecretString;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime};

/// Refusals are remembered for so long, in seconds.
const REFUSALS: i64 = 90 * 86_400;
/// What was gathered is written so often.
const TICK: Duration = Duration::from_secs(10);
/// What is over is looked for so often, in ticks.
const SWEEP: u64 = 360;

/// Two clocks: one that people set, and one that only goes forward.
#[derive(Clone)]
pub struct Clock {
    /// The time of day.
    pub wall: Arc<dyn Fn() -> Time + Send + Sync>,
    /// Time since the start.
    pub steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Default for Clock {
    fn default() -> Self {
        let begin = Instant::now();
        Self { wall: Arc::new(|| SystemTime::now().into()), steady: Arc::new(move || begin.elapsed()) }
    }
}

/// What happened, for whoever counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told<'a> {
    /// Somebody was refused, with the code of the answer, and how often.
    Refused(&'a str, u64),
    /// Somebody logged in, or a session was refreshed: `password`, `one_time`, `refresh`.
    Issued(&'static str),
}

/// Is told what happens, on whatever thread; it must not wait.
pub type Observe = Arc<dyn Fn(Told<'_>) + Send + Sync>;

/// How a keeper is made.
#[derive(Clone)]
pub struct Options {
    /// The data folder.
    pub medium: Medium,
    /// What seals signing keys.
    pub vault: Arc<Vault>,
    /// How long things last.
    pub lives: Lives,
    /// What a password's hash costs.
    pub cost: Cost,
    /// The time.
    pub clock: Clock,
    /// Who counts.
    pub observe: Observe,
    /// Whether the clock on the wall is believed; while it is not, nothing is ended for its sake.
    pub believes: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Options {
    /// As usual, over that folder.
    pub fn new(medium: Medium, vault: Arc<Vault>) -> Self {
        let (lives, cost, clock) = (Lives::default(), Cost::default(), Clock::default());
        Self { medium, vault, lives, cost, clock, observe: Arc::new(|_| {}), believes: Arc::new(|| true) }
    }
}

/// The file with the first administrator's one-time password, in the data folder; for its owner alone (mode 0600).
pub const ADMIN_PASSWORD: &str = "admin.password";

/// The keeper of one data folder.
pub struct Keeper {
    book: Book,
    foundation: Foundation,
    vault: Arc<Vault>,
    hasher: Hasher,
    lives: Lives,
    clock: Clock,
    observe: Observe,
    believes: Arc<dyn Fn() -> bool + Send + Sync>,
    password_file: PathBuf,
    directory: RwLock<Directory>,
    /// Held by whoever takes a step.
    turn: Mutex<()>,
    /// Counts the steps that ended sessions: tokens that were verified before are looked at again.
    epoch: AtomicU64,
    remembered: Remembered,
    delays: Mutex<Delays>,
    /// Of strangers, and of those who are known.
    refusals: Mutex<[Gathered; 2]>,
    /// The last use of each key, and whether the book has it.
    uses: Mutex<HashMap<Name, (Visit, bool)>>,
    /// Who waits to have a password checked.
    line: Line,
    /// The intents that are being carried out.
    intents: Mutex<HashSet<u64>>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    /// Opens the book of a data folder. At the first start it makes the administrator, and gives the one-time password
    /// that is in [`ADMIN_PASSWORD`] from then on. Blocks.
    ///
    /// # Errors
    /// The book cannot be opened. A vault that fails is told in the log, and when somebody logs in.
    pub fn open(options: Options) -> Result<(Self, Option<SecretString>), IdentityError> {
        let Options { medium, vault, lives, cost, clock, observe, believes } = options;
        let book = Book::open(&medium)?;
        let mut all = book.all()?;
        let directory = Directory::new(&mut all, &vault);
        let keeper = Self {
            hasher: Hasher::new(cost)?,
            password_file: medium.path().join(ADMIN_PASSWORD),
            delays: Mutex::new(Delays::resume(all.delays.into_iter(), (clock.steady)())),
            uses: Mutex::new(all.uses.into_iter().map(|(name, visit)| (name, (visit, true))).collect()),
            foundation: all.foundation,
            directory: RwLock::new(directory),
            turn: Mutex::default(),
            epoch: AtomicU64::new(0),
            remembered: Remembered::new(),
            refusals: Mutex::new(Ring::ALL.map(Gathered::new)),
            line: Line::new(),
            intents: Mutex::default(),
            book,
            vault,
            lives,
            clock,
            observe,
            believes,
        };
        let password = keeper.found()?;
        if let Err(error) = keeper.renew_signing_key(false) {
            tracing::error!(%error, "nobody can log in: there is no key to sign tokens with");
        }
        Ok((keeper, password))
    }

    /// The time of day.
    pub fn now(&self) -> Time {
        (self.clock.wall)()
    }

    /// Takes a step: what `plan` makes of the directory is written down, then it holds, and what it gives is given.
    fn step<T>(
        &self,
        plan: impl FnOnce(&Directory) -> Result<(Vec<Put>, T), IdentityError>,
    ) -> Result<T, IdentityError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (step, given) = plan(&self.directory())?;
        if step.is_empty() {
            return Ok(given);
        }
        self.book.put(&step)?;
        let ends_sessions = step.iter().any(|put| matches!(put, Put::NoSession(_)));
        {
            let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
            step.into_iter().for_each(|put| directory.apply(put, &self.vault));
        }
        if ends_sessions {
            // After the directory: whoever has looked at the old one has the old number.
            self.epoch.fetch_add(1, Ordering::Release);
        }
        Ok(given)
    }

    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn delays(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gathered(&self) -> MutexGuard<'_, [Gathered; 2]> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new signing key in the place of the one that signs: when that is old, or cannot sign, or `now`. Those
    /// before it verify until their last token is over, and go then. One durable step. Blocks.
    ///
    /// # Errors
    /// A fault of the disk, or of the vault.
    pub fn renew_signing_key(&self, now: bool) -> Result<(), IdentityError> {
        let (vault, lives, time) = (&self.vault, self.lives, self.now());
        self.step(|directory| {
            let ring = &directory.ring;
            let over = |key: &KeptKey| key.retired.is_some_and(|at| at.plus(2 * lives.token) < time);
            let gone = ring.0.iter().filter(|key| over(&key.kept));
            let mut step: Vec<Put> = gone.map(|key| Put::NoSigning(key.kept.id.clone())).collect();
            let is_fresh = ring.signs().is_some_and(|kept| time < kept.made.plus(lives.signing_key));
            if now || !is_fresh {
                let active = ring.0.iter().filter(|key| key.kept.retired.is_none());
                step.extend(active.map(|key| Put::Signing(key.kept.clone().retire(time))));
                step.push(Put::Signing(KeptKey::make(vault, time)?));
            }
            Ok((step, ()))
        })
    }

    /// Notes that somebody was refused something, so often. Costs a look into a table or two.
    pub fn refused(&self, refusal: Refusal, count: u64) {
        (self.observe)(Told::Refused(&refusal.why, count));
        let is_known = self.directory().has(&refusal.claimed);
        let ring = usize::from(is_known);
        self.gathered()[ring].note(refusal, count, self.now());
    }

    /// At most `limit` rows of refusals with their numbers, newest first, those before the number `before`; and how many
    /// there are. Blocks.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn refusals(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<(u64, Refusals)>, u64), IdentityError> {
        self.keep()?;
        Ok(self.book.refusals(before, limit)?)
    }

    /// Writes down what was gathered since the last time. Blocks.
    ///
    /// # Errors
    /// A fault of the disk; it is tried again the next time.
    pub fn keep(&self) -> Result<(), DiskError> {
        // Two at once would give one row two numbers.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = self.gathered().each_ref().map(Gathered::news);
        let delays = self.delays().keep((self.clock.steady)());
        let uses: Vec<(Name, Visit)> = {
            let known = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let news = known.iter().filter(|(_, (_, is_kept))| !is_kept);
            news.map(|(name, (visit, _))| (name.clone(), *visit)).collect()
        };
        if refusals.iter().all(Vec::is_empty) && delays.is_empty() && uses.is_empty() {
            return Ok(());
        }
        let numbers =
            self.book.gather(&uses, &delays, &refusals).inspect_err(|_| self.delays().unkeep(&delays))?;
        let mut gathered = self.gathered();
        for (gathered, (refusals, numbers)) in gathered.iter_mut().zip(refusals.iter().zip(&numbers)) {
            gathered.kept(refusals, numbers, self.now());
        }
        drop(gathered);
        let mut known = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, visit) in uses {
            let entry = known.get_mut(&name).filter(|(now, _)| *now == visit);
            entry.into_iter().for_each(|(_, is_kept)| *is_kept = true);
        }
        Ok(())
    }

    /// Ends what is over: sessions, signing keys, refusals that are old; unless the clock is doubted, since what is ended so
    /// does not come back when it is right again. Blocks.
    ///
    /// # Errors
    /// A fault of the disk; it is tried again the next time.
    pub fn sweep(&self) -> Result<(), IdentityError> {
        if !(self.believes)() {
            return Ok(());
        }
        let (now, lives) = (self.now(), self.lives);
        self.step(|directory| {
            let over = directory.sessions.values().filter(|session| session.ends(&lives) <= now);
            Ok((over.map(|session| Put::NoSession(session.id)).collect(), ()))
        })?;
        self.renew_signing_key(false)?;
        Ok(self.book.forget_refusals(now.plus(-REFUSALS))?)
    }

    /// Writes down what is gathered and ends what is over, until `stop`, and a last time then.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        for tick in 1_u64.. {
            let is_over = tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(TICK) => false,
            };
            let keeper = Arc::clone(&self);
            let work = move || {
                let kept = keeper.keep().map_err(IdentityError::from);
                kept.and_then(|()| if tick % SWEEP == 0 { keeper.sweep() } else { Ok(()) })
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "what was gathered of logins and refusals is not written");
                }
                Err(error) => tracing::error!(%error, "the keeping of identities panicked"),
            }
            if is_over {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
