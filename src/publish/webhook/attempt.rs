//! One attempt: a signed POST, and what comes of it. A status of 2xx is a success whatever follows it; of what follows, a
//! little is read to be shown. A redirect is not followed: it would take what is signed elsewhere.

use super::delivery::{Attempt, Delivery};
use super::hook::Hook;
use super::settings::Settings;
use super::signature::signature;
use crate::disk::unhex;
use crate::fetch::reqwest::Response;
use crate::fetch::{FetchError, Fetcher};
use crate::model::Time;
use crate::publish::outgoing::{self, Unreached};
use crate::vault::Vault;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// Bytes of an answer that are read and shown.
const SHOWN: usize = 200;
/// So long the beginning of an answer may take after its status.
const READING: Duration = Duration::from_secs(2);

/// Why a delivery did not arrive, by what can be done about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HookFault {
    /// No answer.
    #[error(transparent)]
    Unreached(Unreached),
    /// The receiver wants no more.
    #[error("the receiver answers 410 Gone: it wants no more")]
    Gone,
    /// The receiver leads elsewhere.
    #[error("the receiver leads elsewhere (status {0}), which is not followed")]
    Redirect(u16),
    /// Another status.
    #[error("the receiver answers with status {0}")]
    Status(u16),
    /// The secret cannot be opened, or the delivery not be written down.
    #[error("{0}")]
    Ours(String),
}

impl HookFault {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreached(unreached) => unreached.code(),
            Self::Gone => "receiver_gone",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "receiver_status",
            Self::Ours(_) => "not_sent",
        }
    }

    /// What an operator can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreached(unreached) => unreached.cure(),
            Self::Gone => "when it wants events again: ironlist webhook enable NAME",
            Self::Redirect(_) => "give the hook the address that it leads to",
            Self::Status(_) => {
                "it is tried again; see the receiver's own log, and whether it has the right secret"
            }
            Self::Ours(_) => "see the log; where the vault has another key, give the hook another secret",
        }
    }
}

impl From<FetchError> for HookFault {
    fn from(error: FetchError) -> Self {
        Self::Unreached(error.into())
    }
}

/// Sends what is for one hook.
pub(super) struct Sender {
    fetcher: Fetcher,
    hook: Hook,
    secret: Zeroizing<Vec<u8>>,
    /// The secret before, and how long it signs, too.
    before: Option<(Zeroizing<Vec<u8>>, Time)>,
}

impl Sender {
    /// A sender for the hook of that name; nothing is asked yet.
    ///
    /// # Errors
    /// The secret or the authority cannot be used.
    pub(super) fn new(
        name: &str,
        hook: &Hook,
        vault: &Vault,
        settings: &Settings,
    ) -> Result<Self, HookFault> {
        let open = |sealed: &str| {
            let damaged = || HookFault::Ours("the sealed secret is damaged".to_owned());
            let sealed = unhex(sealed).ok_or_else(damaged)?;
            vault.open(&sealed_as(name), &sealed).map_err(|error| HookFault::Ours(error.to_string()))
        };
        let before = hook.before.as_ref().map(|(sealed, until)| Ok::<_, HookFault>((open(sealed)?, *until)));
        let wait = settings.pace.timeout;
        let fetch = outgoing::settings(&settings.networks, &settings.ports, hook.trust(), wait, SHOWN as u64);
        Ok(Self {
            fetcher: Fetcher::new(fetch)?,
            secret: open(&hook.sealed)?,
            before: before.transpose()?,
            hook: hook.clone(),
        })
    }

    /// Sends a delivery once.
    pub(super) async fn send(&self, delivery: &Delivery, at: Time) -> (Attempt, Option<HookFault>) {
        let began = Instant::now();
        let (mut status, mut answer) = (None, String::new());
        let fault = match self.post(delivery, at).await {
            Err(fault) => Some(fault),
            Ok(response) => {
                let found = response.status();
                status = Some(found.as_u16());
                answer = beginning(response).await;
                judge(found)
            }
        };
        (attempt(at, began, status, answer, fault.as_ref()), fault)
    }

    async fn post(&self, delivery: &Delivery, at: Time) -> Result<Response, HookFault> {
        self.fetcher.check(&self.hook.url)?;
        let body = delivery.event.document(delivery.id, delivery.stands_for);
        let old = self.before.iter().filter(|(_, until)| at < *until).map(|(secret, _)| secret);
        let secrets = std::iter::once(&self.secret).chain(old).map(|secret| secret.as_slice());
        let request = self.fetcher.client().post(self.hook.url.clone());
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("ironlist-event", delivery.event.kind.as_str())
            .header("ironlist-delivery", delivery.id.to_string())
            .header("ironlist-signature", signature(secrets, at.unix(), &body))
            .body(body);
        Ok(request.send().await.map_err(FetchError::from)?)
    }
}

/// The name under which a hook's secrets are sealed; no source and no device has such a one.
pub(super) fn sealed_as(name: &str) -> String {
    format!("webhook:{name}")
}

/// What became of a delivery that could not even be tried.
pub(super) fn untried(at: Time, fault: &HookFault) -> Attempt {
    attempt(at, Instant::now(), None, String::new(), Some(fault))
}

fn attempt(
    at: Time,
    began: Instant,
    status: Option<u16>,
    answer: String,
    fault: Option<&HookFault>,
) -> Attempt {
    Attempt {
        at,
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        status,
        answer,
        code: fault.map(|fault| fault.code().to_owned()),
        error: fault.map(ToString::to_string),
        cure: fault.map(|fault| fault.cure().to_owned()),
    }
}

fn judge(status: StatusCode) -> Option<HookFault> {
    match status {
        StatusCode::GONE => Some(HookFault::Gone),
        _ if status.is_success() => None,
        _ if status.is_redirection() => Some(HookFault::Redirect(status.as_u16())),
        _ => Some(HookFault::Status(status.as_u16())),
    }
}

/// How an answer's body begins, as far as it comes soon: a receiver that never ends holds nothing up.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    let read = async {
        while body.len() < SHOWN {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(SHOWN - body.len())]),
                _ => break,
            }
        }
    };
    // What came in time is shown.
    let _ = timeout(READING, read).await;
    // Somebody else's bytes: nothing of them may play tricks on whoever reads them on a terminal.
    let text = String::from_utf8_lossy(&body);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
