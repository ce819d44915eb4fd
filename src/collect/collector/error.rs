//! Why something is refused at once, told apart by what its asker can do. A run's own failures are no
//! errors of these: they are in the run.

use crate::collect::definition::BadDefinition;
use crate::collect::formats::ReadError;
use crate::collect::ledger::NoAttempt;
use crate::collect::run::{Fault, State};
use crate::disk::DiskError;
use crate::engine::EngineError;
use crate::model::{SourceName, Time};
use crate::vault::VaultError;
use uuid::Uuid;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// No such source is defined.
    #[error("there is no source {0} to collect from")]
    UnknownSource(SourceName),
    /// No such run is remembered.
    #[error("there is no run {0}")]
    UnknownRun(Uuid),
    /// No such hold is remembered.
    #[error("there is no hold {0}")]
    UnknownHold(Uuid),
    /// One run at a time a source.
    #[error("{source_name} is being collected already, by run {run}")]
    Busy {
        /// Whose.
        source_name: SourceName,
        /// By which run.
        run: Uuid,
    },
    /// It has had enough of us.
    #[error("the source has had enough and is left alone until {0}; force a run if you must")]
    Cooling(Time),
    /// It stands still until a person has acted.
    #[error("the source has stopped: {}", .0.detail)]
    Stopped(Fault),
    /// It was taken back, and nothing of it is wanted until somebody says so.
    #[error("{0} was taken back to an earlier generation and is held; switch it on to release it")]
    Held(SourceName),
    /// It cannot be asked without.
    #[error("{0} has no credentials yet; set them first")]
    NoCredentials(SourceName),
    /// They may not be used any more.
    #[error(transparent)]
    NoAttempt(#[from] NoAttempt),
    /// These are none that this source could use.
    #[error("these are no credentials for {source_name}: {why}")]
    BadCredentials {
        /// Whose.
        source_name: SourceName,
        /// What is meant.
        why: String,
    },
    /// People bring its files.
    #[error("{0} has nothing to be fetched; upload a file to it")]
    NotFetched(SourceName),
    /// The days are in the wrong order.
    #[error("start_date lies after end_date")]
    BadPeriod,
    /// The definition cannot be meant.
    #[error(transparent)]
    BadDefinition(#[from] BadDefinition),
    /// The configuration file says what it is.
    #[error(
        "{0} is defined in the configuration file: change it or take it out there, and reload the service"
    )]
    Configured(SourceName),
    /// The program knows it, with or without a person's word.
    #[error("{0} is built in and cannot be removed; to fetch it no more: ironlist source disable {0}")]
    Builtin(SourceName),
    /// It is there already.
    #[error("there is a source {0} already")]
    Exists(SourceName),
    /// The run is over.
    #[error("run {run} is {} already", .state.as_str())]
    Over {
        /// Which run.
        run: Uuid,
        /// How it ended.
        state: State,
    },
    /// It waits for no code.
    #[error("run {0} waits for no code")]
    NoCodeWanted(Uuid),
    /// Six digits are meant.
    #[error("a code of six digits is meant")]
    BadCode,
    /// Its bytes are gone, or there never were any.
    #[error("the bytes of run {0} are not kept any more")]
    NoRaw(Uuid),
    /// Somebody has decided it.
    #[error("hold {0} is decided already")]
    Settled(Uuid),
    /// More would change than the person saw.
    #[error("consent would now change {now} listings; {shown} were shown: look again, and consent to that")]
    Grown {
        /// As it was shown.
        shown: u64,
        /// As it is now.
        now: u64,
    },
    /// There is nothing in it that could be taken.
    #[error("what is held cannot be read, so that there is nothing to consent to: {0}")]
    Unreadable(#[from] ReadError),
    /// A decision without a reason.
    #[error("say why: the reason goes into the audit")]
    NoReason,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger, or the raw bytes.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The blacklist.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The service is on its way down.
    #[error("the service is stopping")]
    Stopping,
}
