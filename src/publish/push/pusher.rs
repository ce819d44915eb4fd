//! Who pushes: where to, how fast, and what people ask of it. It must not know how a push goes.

use super::ledger::Ledger;
use super::target::{BadTarget, Target, Wish};
use crate::disk::{DiskError, hex};
use crate::fetch::Exception;
use crate::model::{Device, OutputName};
use crate::publish::Publisher;
use crate::publish::book::{Audit, Book};
use crate::vault::{Vault, VaultError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause after a first fault; each is twice as long as the one before.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// A firewall that has everything is looked at so often: it may have lost its lists.
    pub look: Duration,
    /// The firewall's clock moves so often.
    pub tick: Duration,
    /// So long the firewall has for what it was sent.
    pub patience: Duration,
    /// So long it has for an answer.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let (first, most, look) = (seconds(2), seconds(300), seconds(600));
        Self { first, most, look, tick: seconds(1), patience: seconds(60), timeout: seconds(60) }
    }
}

/// What may be reached, and how fast.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hosts and networks that may be pushed to although they are not public.
    pub networks: Vec<Exception>,
    /// The ports that may be pushed to.
    pub ports: Vec<u16>,
    /// How fast.
    pub pace: Pace,
}

/// What a push came to.
#[derive(Debug)]
pub enum Told<'a> {
    /// It was proven. The seconds are from the generation's time; none where the firewall had nothing before.
    Enforced {
        /// Whose.
        device: &'a str,
        /// From change to proof.
        seconds: Option<f64>,
    },
    /// It failed.
    Failed {
        /// Whose.
        device: &'a str,
        /// The fault's.
        code: &'static str,
    },
}

/// Is told of every push.
pub type Observe = Arc<dyn Fn(Told<'_>) + Send + Sync>;

/// Why nothing is pushed now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// There is no target.
    #[error("the device has no push target")]
    NoTarget,
    /// A push is under way.
    #[error("a push to the device is under way")]
    Busy,
}

/// Why a target was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It is wrong.
    #[error(transparent)]
    Bad(#[from] BadTarget),
    /// The key cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It cannot be written down.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Pushes to the devices of a publisher.
pub struct Pusher {
    pub(super) publisher: Arc<Publisher>,
    pub(super) vault: Arc<Vault>,
    pub(super) settings: Settings,
    pub(super) observe: Observe,
    live: Mutex<BTreeMap<OutputName, Live>>,
}

/// The task of a device.
pub(super) struct Live {
    pub(super) target: Target,
    pub(super) line: Arc<Line>,
    pub(super) task: AbortHandle,
}

/// What others say to a device's task.
#[derive(Default)]
pub(super) struct Line {
    pub(super) kick: Notify,
    pub(super) whole: AtomicBool,
    pub(super) busy: AtomicBool,
}

impl Pusher {
    /// A pusher; nothing is sent before [`Pusher::run`].
    pub fn new(
        publisher: Arc<Publisher>,
        vault: Arc<Vault>,
        settings: Settings,
        observe: Observe,
    ) -> Arc<Self> {
        Arc::new(Self { publisher, vault, settings, observe, live: Mutex::default() })
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.publisher.pushes()
    }

    pub(super) fn book(&self) -> Result<&Book, DiskError> {
        self.publisher.usable_book()
    }

    /// Sets the target of a device. Blocks on the disk.
    ///
    /// # Errors
    /// [`NotKept`]; what was there holds then.
    pub fn set_target(&self, device: &Device, wish: Wish, audit: &Audit) -> Result<(), NotKept> {
        wish.check(device)?;
        let sealed = match (&wish.token, self.ledger().target(&device.name)) {
            (Some(token), _) => {
                let token = token.trim();
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(BadTarget::Token.into());
                }
                hex(&self.vault.seal(&sealed_as(&device.name), token.as_bytes())?)
            }
            // A key is never sent elsewhere than where it was given for.
            (None, Some(before)) if before.url == wish.url => before.sealed,
            (None, _) => return Err(BadTarget::NoToken.into()),
        };
        let Wish { url, vdom, verify, names, mode, .. } = wish;
        let target = Target { url, vdom, verify, names, mode, since: audit.at, sealed };
        Ok(self.ledger().set_target(self.book()?, &device.name, Some(target), audit)?)
    }

    /// Has the whole of every list sent now.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn push_now(&self, device: &OutputName) -> Result<(), NotNow> {
        let live = self.live();
        let line = live.get(device).map(|live| &live.line).ok_or(NotNow::NoTarget)?;
        if line.busy.load(Ordering::Acquire) || line.whole.swap(true, Ordering::AcqRel) {
            return Err(NotNow::Busy);
        }
        line.kick.notify_one();
        Ok(())
    }

    pub(super) fn live(&self) -> MutexGuard<'_, BTreeMap<OutputName, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name under which a device's key is sealed; no source has such a one.
pub(super) fn sealed_as(device: &OutputName) -> String {
    format!("push:{device}")
}
