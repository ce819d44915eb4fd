//! TLS of the ports: the certificate that is shown, whose certificates are asked for, and both read again while
//! connections go on.
//!
//! A file that is wrong never takes the place of one that was right. It must not know what is served.

mod config;
mod redirect;
mod upstream;
mod validity;

#[cfg(test)]
pub(crate) mod tests;

pub use redirect::{Target, redirect};
pub use upstream::UpstreamTls;

use super::health::Check;
use arc_swap::ArcSwap;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use config::Read;
use rustls::ServerConfig;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the files are looked at: a few KiB, from memory as a rule.
const EVERY: Duration = Duration::from_secs(5);

/// Health tells so long before the certificate ends.
const EARLY: TimeDelta = TimeDelta::days(14);

/// How a connection was protected: an extension of every request that came over TLS. Only the listener makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The SHA-256 of the caller's certificate (DER), if it showed one and has its key.
    pub certificate: Option<[u8; 32]>,
}

/// Whether callers are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// No.
    Nobody,
    /// Yes, and they may have none.
    Everybody,
    /// Yes, and without one there is no connection.
    Demand,
}

/// What TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate and what leads from it to its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Whether callers are asked for theirs.
    pub ask: Ask,
    /// Whose certificates of callers are believed (PEM); none: any, known by its digest alone.
    pub authority: Option<PathBuf>,
}

/// Why there is no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, or may not be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{}: {why}", file.display())]
    Wrong {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn wrong(file: &Path, why: impl ToString) -> TlsError {
    TlsError::Wrong { file: file.to_owned(), why: why.to_string() }
}

/// The TLS of ports, shared by all of them.
pub struct Tls {
    files: Mutex<Files>,
    current: ArcSwap<Current>,
    fault: Mutex<Option<String>>,
}

/// What is in use.
struct Current {
    config: Arc<ServerConfig>,
    read: Read,
    ends: DateTime<Utc>,
}

impl Current {
    fn of(files: &Files, read: Read) -> Result<Self, TlsError> {
        let (config, ends) = config::build(files, &read)?;
        Ok(Self { config: Arc::new(config), read, ends })
    }
}

impl Tls {
    /// Reads the files. A certificate that is over is used all the same: who still believes it is better off than with
    /// no service.
    ///
    /// # Errors
    /// A file cannot be read, or is none of its kind.
    pub fn open(files: Files) -> Result<Self, TlsError> {
        let current = Current::of(&files, Read::of(&files)?)?;
        Ok(Self {
            files: Mutex::new(files),
            current: ArcSwap::from_pointee(current),
            fault: Mutex::default(),
        })
    }

    /// What the next handshake is made with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// Reads from these files from now on.
    pub fn follow(&self, files: Files) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        self.renew();
    }

    /// Reads the files again, and uses them for new connections if they are right and differ. Blocks on the disk.
    pub fn renew(&self) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match self.renewed() {
            Ok(renewed) => {
                if let Some(current) = renewed {
                    tracing::info!(until = moment(current.ends), "the certificate was read again");
                    self.current.store(Arc::new(current));
                }
                *fault = None;
            }
            Err(error) => {
                let error = error.to_string();
                if fault.as_ref() != Some(&error) {
                    tracing::error!(error, "TLS goes on with the certificate it had");
                    *fault = Some(error);
                }
            }
        }
    }

    /// What would be in use with the files as they are; none: what is.
    fn renewed(&self) -> Result<Option<Current>, TlsError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (read, current) = (Read::of(&files)?, self.current.load());
        if read == current.read {
            return Ok(None);
        }
        let next = Current::of(&files, read)?;
        let now = Utc::now();
        if next.ends <= now && current.ends > now {
            return Err(wrong(&files.certificate, format!("it ended at {}", moment(next.ends))));
        }
        Ok(Some(next))
    }

    /// Looks at the files every few seconds, for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            let tls = Arc::clone(&self);
            // A panic in there is one look's; the certificate in use stays.
            let _ = tokio::task::spawn_blocking(move || tls.renew()).await;
        }
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        self.current.load().ends.timestamp()
    }

    /// How it stands with the certificate. Degraded at worst: a restart helps with none of it.
    pub fn check(&self) -> Check {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told(self.current.load().ends, fault, "callers refuse it", "[tls]")
    }
}

/// How it stands with a certificate that ends then, and whose files had that fault when they were read last.
fn told(ends: DateTime<Utc>, fault: Option<String>, then: &str, settings: &str) -> Check {
    let (now, until) = (Utc::now(), moment(ends));
    if ends <= now {
        let cure = format!(
            "put a new certificate and its key where the settings {settings} say; they are read by themselves"
        );
        return Check::degraded(format!("the certificate ended at {until}: {then}"), cure);
    }
    if let Some(fault) = fault {
        let cure =
            format!("correct the files that the settings {settings} name; they are read again by themselves");
        return Check::degraded(format!("the one before is in use until {until}: {fault}"), cure);
    }
    if ends - now < EARLY {
        let cure = "renew the certificate; new files are read by themselves";
        return Check::degraded(format!("the certificate ends at {until}"), cure);
    }
    Check::healthy(format!("the certificate is good until {until}"))
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
