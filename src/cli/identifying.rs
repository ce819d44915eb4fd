//! Who knows people and keys: the keeper of this process, or the process with the blacklist role, where that is another.

use super::settings::Settings;
use super::stop::raised;
use crate::disk::Medium;
use crate::engine::Engine;
use crate::identity::{ADMIN_PASSWORD, Keeper, Observe, Options, Told};
use crate::publish::Publisher;
use crate::service::identity::{self, Elsewhere, Local, People};
use crate::service::journal::Remote;
use crate::service::publishing::Publishing;
use crate::vault::Vault;
use crate::web::claim::Authority;
use crate::web::health::{Check, Health};
use crate::web::metrics::Metrics;
use crate::web::{Role, Routes};
use secrecy::ExposeSecret as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So often it is looked for what the audit has not heard of.
const UNTOLD: Duration = Duration::from_secs(60);

/// Where a process finds out who somebody is.
pub(super) enum Identities {
    /// Here; none: the book cannot be used, and nobody can be looked up.
    Here(Option<Arc<Keeper>>),
    /// At the process with the blacklist role.
    There(Arc<Elsewhere>),
    /// Nowhere: there is the installation's key and nothing else.
    Nowhere,
}

impl Identities {
    /// Opens what is here, or asks `owner`; where listings wait because `engine` doubts the clock, so does what ends here.
    /// Blocks.
    pub(super) fn open(
        owner: Option<Remote>,
        settings: &Settings,
        vault: &Arc<Vault>,
        metrics: &Arc<Metrics>,
        engine: Option<&Engine>,
    ) -> Self {
        if settings.roles.contains(&Role::Blacklist) {
            return Self::Here(keeper(settings, vault, metrics, engine.cloned()));
        }
        owner.map_or(Self::Nowhere, |owner| Self::There(Arc::new(Elsewhere::new(owner))))
    }

    /// Whom guards believe.
    pub(super) fn authority(&self) -> Option<Arc<dyn Authority>> {
        match self {
            Self::Here(keeper) => Some(Arc::new(Local(keeper.clone()))),
            Self::There(elsewhere) => Some(Arc::clone(elsewhere) as Arc<dyn Authority>),
            Self::Nowhere => None,
        }
    }

    /// Says when nobody can be looked up.
    pub(super) fn health(&self, health: Health) -> Health {
        let is_open = !matches!(self, Self::Here(None));
        health.check("identity", move || match is_open {
            true => Check::healthy(""),
            false => Check::degraded(
                "people and keys cannot be looked up; the administrator's key works",
                "the log says why: restore identity.redb from a backup, or move it away and make people known anew",
            ),
        })
    }

    /// Starts what runs beside the listeners.
    pub(super) fn attend(
        &self,
        publisher: Option<&Arc<Publisher>>,
        stopped: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) {
        let stop = raised(stopped.clone());
        match self {
            Self::Here(Some(keeper)) => {
                tasks.spawn(Arc::clone(keeper).run(stop));
                if let Some(publisher) = publisher {
                    let (keeper, publisher) = (Arc::clone(keeper), Arc::clone(publisher));
                    let stop = raised(stopped.clone());
                    tasks.spawn(async move {
                        tokio::select! { () = tell_rest(keeper, publisher) => {} () = stop => {} }
                    });
                }
            }
            Self::There(elsewhere) => {
                let elsewhere = Arc::clone(elsewhere);
                tasks.spawn(async move { elsewhere.run(stop).await });
            }
            Self::Here(None) | Self::Nowhere => {}
        }
    }
}

/// Has the audit hear of what a crash or a fault kept from it, now and then.
async fn tell_rest(keeper: Arc<Keeper>, publisher: Arc<Publisher>) {
    loop {
        let (keeper, publisher) = (Arc::clone(&keeper), Arc::clone(&publisher));
        let told = tokio::task::spawn_blocking(move || identity::tell_rest(&keeper, &publisher)).await;
        if let Ok(Err(problem)) = told {
            tracing::error!(code = problem.code(), "a change of people or keys is not in the audit yet");
        }
        tokio::time::sleep(UNTOLD).await;
    }
}

/// The routes of the process that keeps identities.
pub(super) fn routes(identities: &Identities, publisher: Option<&Arc<Publisher>>) -> Routes {
    let (Identities::Here(keeper), Some(publisher)) = (identities, publisher) else { return Routes::new() };
    let people = People { keeper: keeper.clone(), publishing: Publishing(Arc::clone(publisher)) };
    People::routes().with_state(people)
}

fn keeper(
    settings: &Settings,
    vault: &Arc<Vault>,
    metrics: &Arc<Metrics>,
    engine: Option<Engine>,
) -> Option<Arc<Keeper>> {
    let told = Arc::clone(metrics);
    let observe: Observe = Arc::new(move |event| match event {
        Told::Refused(why, count) => told.auth_refusals(why).inc_by(count),
        Told::Issued(how) => told.auth_tokens(how).inc(),
    });
    let options = Options {
        lives: settings.lives,
        observe,
        believes: Arc::new(move || !engine.as_ref().is_some_and(Engine::expiry_is_held)),
        ..Options::new(Medium::folder(&settings.data), Arc::clone(vault))
    };
    match Keeper::open(options) {
        Ok((keeper, made)) => {
            if let Some(password) = made {
                let file = settings.data.join(ADMIN_PASSWORD);
                tracing::info!(file = %file.display(), "made the user admin, with a password for the first login");
                if std::io::stderr().is_terminal() {
                    // Whoever watches the terminal may miss the line; the file is there in any case.
                    let password = password.expose_secret();
                    let _ = writeln!(std::io::stderr(), "one-time password of the user admin: {password}");
                }
            }
            Some(Arc::new(keeper))
        }
        Err(error) => {
            tracing::error!(%error, "nobody can log in, and no key is known but the administrator's");
            None
        }
    }
}
