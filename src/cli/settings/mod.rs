//! What can be configured: defaults, a file, `conf.d`, the environment and flags, in this order.
//!
//! A key that nobody knows is an error, because it is a wish that nobody fulfils; every value knows
//! where it was said. What the values are used for is not known here.

mod collection;
mod entrance;
mod gateway;
mod layers;
mod protocols;
mod publishing;
mod show;
mod sources;
mod table;
mod traces;
mod value;

#[cfg(test)]
mod tests;

pub use collection::Collection;
pub use entrance::{Names, Origins, Proxy, Tls};
pub use gateway::Behind;
pub(super) use layers::CONFIG_VARIABLE;
pub use layers::{Inputs, Origin};
pub use protocols::{CrowdSec, Dnsbl};
pub use publishing::Webhooks;
use publishing::{FEEDS, WEBHOOKS};
pub(super) use show::example;
use sources::SOURCES;
pub use traces::Otlp;

use crate::addr::IpRange;
use crate::fetch::Exception;
use crate::gateway::Rates;
use crate::identity::Lives;
use crate::journal::Keep;
use crate::model::{Lines, Output};
use crate::web::Role;
use crate::web::auth::Access;
use crate::web::log::Format;
use chrono_tz::Tz;
use layers::Layers;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use table::TABLE;
use value::{Filter, Size, Urls};

/// Why a configuration is none.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file is missing, or may not be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not TOML.
    #[error("{}: {error}", file.display())]
    Syntax {
        /// Which file.
        file: PathBuf,
        /// What is wrong, and in which line.
        error: Box<toml::de::Error>,
    },
    /// There is no such setting.
    #[error("{place}: there is no setting {key}{}", hint(closest.unwrap_or_default()))]
    UnknownKey {
        /// What was said.
        key: String,
        /// In which file.
        place: String,
        /// What was probably meant.
        closest: Option<&'static str>,
    },
    /// There is no such setting in the environment.
    #[error("environment: there is no setting {name}{}", hint(closest.as_deref().unwrap_or_default()))]
    UnknownVariable {
        /// What was said.
        name: String,
        /// What was probably meant.
        closest: Option<String>,
    },
    /// The value is not of the setting's kind.
    #[error("{origin}: {key} = {value}: {why}")]
    WrongValue {
        /// Which setting.
        key: &'static str,
        /// What was said.
        value: String,
        /// Where.
        origin: Origin,
        /// What is meant instead.
        why: String,
    },
    /// A source is none.
    #[error("{place}: source.{name}: {why}")]
    WrongSource {
        /// In which file.
        place: String,
        /// Which source.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A feed, a device or a webhook is none.
    #[error("{place}: {section}.{name}: {why}")]
    WrongOutput {
        /// In which file.
        place: String,
        /// `feeds`, `devices` or `webhooks`.
        section: &'static str,
        /// Which of them.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A listener would be open to a network without protection.
    #[error(
        "{origin}: listen.{role} = \"{address}\" is not on loopback, and nothing there would be encrypted: name \
         tls.certificate and tls.key, or declare the proxy with TLS before it (proxy.trusted, proxy.tls), or give \
         --insecure-listen where the network itself is protected"
    )]
    OpenListener {
        /// Which role's.
        role: &'static str,
        /// Where it would listen.
        address: SocketAddr,
        /// Where that was said.
        origin: Origin,
    },
}

fn hint(closest: &str) -> String {
    if closest.is_empty() { String::new() } else { format!("; was {closest} meant?") }
}

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// Where each role listens, in the order of [`Role::ALL`].
    listen: [SocketAddr; 4],
    /// Whether listeners may be on other addresses than loopback.
    pub insecure: bool,
    /// The names by which people ask for the ports in a browser.
    pub names: Names,
    /// TLS of the ports, if there is to be some.
    pub tls: Option<Tls>,
    /// The proxies before the ports.
    pub proxy: Proxy,
    /// The pages of elsewhere that may use the API in a browser.
    pub origins: Origins,
    /// The roles that this process plays, sorted.
    pub roles: Vec<Role>,
    /// Where roles run that are not played here: collection, blacklist, analytics.
    upstream: [Vec<String>; 3],
    /// How the gateway deals with the roles behind it.
    pub behind: Behind,
    /// How often one caller may ask for what.
    pub rates: Rates,
    /// Whether callers are turned away while there is more to do than can be done.
    pub sheds: bool,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces of requests go, if they go anywhere.
    pub otlp: Option<Otlp>,
    /// How large things may be.
    pub limits: Limits,
    /// How much of the journal is kept.
    pub keep: Keep,
    /// How collection works.
    pub collection: Collection,
    /// How long tokens and sessions last.
    pub lives: Lives,
    /// How the FortiGate feed writes what is listed.
    pub lines: Lines,
    /// From where everybody may read every feed.
    pub open: Vec<IpRange>,
    /// From where nobody in particular is let in, and how far.
    pub access: Access,
    /// The feeds and devices of the file, feeds first.
    pub outputs: Vec<Output>,
    /// The webhooks of the file.
    pub webhooks: Webhooks,
    /// What CrowdSec's bouncers get.
    pub crowdsec: CrowdSec,
    /// What may be pushed to.
    pub push: Push,
    /// The DNS list, if there is to be one.
    pub dnsbl: Option<Dnsbl>,
    /// The zone in whose days statistics are counted.
    pub zone: Tz,
    layers: Layers,
}

/// What may be pushed to.
#[derive(Clone, Debug)]
pub struct Push {
    /// Hosts and networks that may be pushed to although they are not public.
    pub networks: Vec<Exception>,
    /// The ports.
    pub ports: Vec<u16>,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// A filter such as `info,ironlist::engine=debug`.
    pub level: String,
    /// Text, JSON, or what suits.
    pub format: Option<Format>,
}

/// How large things may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once on each port.
    pub connections: usize,
    /// The longest request body, in bytes.
    pub body: u64,
    /// The longest list that is taken in, in bytes, as sent and unpacked.
    pub import_body: u64,
}

/// How long tokens and sessions last; none longer than a year, and no token longer than a day.
fn lives(layers: &Layers) -> Result<Lives, SettingsError> {
    let seconds = |key: &'static str, unit: i64, most: i64| {
        let number = i64::try_from(layers.get::<usize>(key)?).unwrap_or(i64::MAX);
        match number <= most {
            true => Ok(number * unit),
            false => Err(layers.refusal(key, &format!("at most {most} is meant"))),
        }
    };
    Ok(Lives {
        token: seconds("identity.token_minutes", 60, 24 * 60)?,
        idle: seconds("identity.idle_days", 86_400, 366)?,
        session: seconds("identity.session_days", 86_400, 366)?,
        signing_key: seconds("identity.signing_days", 86_400, 366)?,
        ..Lives::default()
    })
}

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place where it was said.
    pub fn load(inputs: &Inputs) -> Result<Self, SettingsError> {
        let layers = Layers::read(inputs)?;
        let settings = Self {
            data: layers.get("data.dir")?,
            listen: [
                layers.get("listen.collection")?,
                layers.get("listen.blacklist")?,
                layers.get("listen.analytics")?,
                layers.get("listen.gateway")?,
            ],
            insecure: layers.get("listen.insecure")?,
            names: layers.get("listen.names")?,
            tls: Tls::read(&layers, layers.get("listen.gateway")?)?,
            proxy: Proxy::read(&layers)?,
            origins: layers.get("cors.origins")?,
            roles: layers.get("roles.run")?,
            upstream: [
                layers.get::<Urls>("upstream.collection")?.0,
                layers.get::<Urls>("upstream.blacklist")?.0,
                layers.get::<Urls>("upstream.analytics")?.0,
            ],
            behind: Behind::read(&layers)?,
            rates: gateway::rates(&layers)?,
            sheds: layers.get("rate.shed")?,
            log: Log { level: layers.get::<Filter>("log.level")?.0, format: layers.get("log.format")? },
            otlp: Otlp::read(&layers)?,
            limits: Limits {
                connections: layers.get("limits.connections")?,
                body: layers.get::<Size>("limits.body")?.0,
                import_body: layers.get::<Size>("limits.import_body")?.0,
            },
            keep: Keep {
                days: u32::try_from(layers.get::<usize>("journal.keep_days")?).unwrap_or(u32::MAX),
                bytes: layers.get::<Size>("journal.keep_size")?.0,
                ..Keep::default()
            },
            collection: Collection::read(&layers)?,
            lives: lives(&layers)?,
            lines: layers.get("feed.lines")?,
            open: layers.get("publish.open")?,
            access: entrance::access(&layers)?,
            outputs: layers.outputs(),
            webhooks: layers.webhooks(),
            crowdsec: CrowdSec::read(&layers)?,
            push: Push { networks: layers.get("push.networks")?, ports: layers.get("push.ports")? },
            dnsbl: Dnsbl::read(&layers)?,
            zone: layers.get("time.display_zone")?,
            layers,
        };
        settings.roles.iter().try_for_each(|role| settings.refuse_open(*role, settings.listen(*role)))?;
        Ok(settings)
    }

    /// Where a role listens.
    pub fn listen(&self, role: Role) -> SocketAddr {
        self.listen[role as usize]
    }

    /// Where a role runs that is not played here, as `http://host:port`: its first instance.
    pub fn upstream(&self, role: Role) -> Option<&str> {
        self.upstreams(role).first().map(String::as_str)
    }

    /// All its instances.
    pub fn upstreams(&self, role: Role) -> &[String] {
        self.upstream.get(role as usize).map_or(&[], Vec::as_slice)
    }

    /// The keys of the settings that have another value in `other`.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let value = |settings: &Self, key| settings.layers.entry(key).map(|(value, _)| value.clone());
        let keys = TABLE.iter().map(|setting| setting.key);
        let sources = self.collection.sources != other.collection.sources;
        let outputs = self.outputs != other.outputs;
        let webhooks = self.webhooks != other.webhooks;
        let tables = [sources.then_some(SOURCES), outputs.then_some(FEEDS), webhooks.then_some(WEBHOOKS)];
        let tables = tables.into_iter().flatten();
        keys.filter(|key| value(self, key) != value(other, key)).chain(tables).collect()
    }

    /// Whether the port of a role speaks TLS.
    pub fn is_encrypted(&self, role: Role) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.roles.contains(&role))
    }

    /// Refuses a role to be at an address that others can reach, unless something encrypts there.
    ///
    /// # Errors
    /// [`SettingsError::OpenListener`].
    pub fn refuse_open(&self, role: Role, address: SocketAddr) -> Result<(), SettingsError> {
        let protected = self.insecure || self.proxy.tls || self.is_encrypted(role);
        if protected || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let said = self.layers.entry(&format!("listen.{}", role.name()));
        Err(SettingsError::OpenListener {
            role: role.name(),
            address,
            origin: said.map_or(Origin::Default, |(_, origin)| origin.clone()),
        })
    }
}
