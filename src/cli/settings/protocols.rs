//! What is said about the protocols beside HTTP feeds.

use super::SettingsError;
use super::layers::Layers;
use super::value::Words;
use crate::model::OutputName;
use crate::publish::dnsbl::Zone;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What CrowdSec's bouncers get.
#[derive(Clone, Debug)]
pub struct CrowdSec {
    /// From which feed.
    pub feed: OutputName,
    /// The file with their keys, if one is named.
    pub keys_file: Option<PathBuf>,
    /// How long what came is told, in seconds.
    pub window: i64,
    /// How long a bouncer holds what it is told, in seconds.
    pub hold: i64,
}

impl CrowdSec {
    pub(super) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let minutes: usize = layers.get("crowdsec.window_minutes")?;
        let days: usize = layers.get("crowdsec.hold_days")?;
        Ok(Self {
            feed: layers.get("crowdsec.feed")?,
            keys_file: layers.get("crowdsec.keys_file")?,
            // A bouncer with ipset holds nothing for longer than 24 days, so that longer terms would leave holes.
            window: i64::try_from(minutes).unwrap_or(i64::MAX).clamp(1, 24 * 60) * 60,
            hold: i64::try_from(days).unwrap_or(i64::MAX).clamp(1, 23) * 86_400,
        })
    }
}

/// The DNS list.
#[derive(Clone, Debug)]
pub struct Dnsbl {
    /// Where it is asked.
    pub listen: SocketAddr,
    /// From which feed it answers.
    pub feed: OutputName,
    /// How it answers, and whom.
    pub zone: Zone,
}

impl Dnsbl {
    /// None where it is nowhere asked.
    pub(super) fn read(layers: &Layers) -> Result<Option<Self>, SettingsError> {
        let (feed, networks) = (layers.get("dnsbl.feed")?, layers.get("dnsbl.networks")?);
        let name = layers.get::<Words>("dnsbl.zone")?.0.unwrap_or_default();
        let server = layers.get::<Words>("dnsbl.name_server")?.0.unwrap_or_default();
        let ttl: usize = layers.get("dnsbl.ttl_seconds")?;
        let listen: Option<SocketAddr> = layers.get("dnsbl.listen")?;
        let Some(listen) = listen else { return Ok(None) };
        // RFC 2181, section 8.
        let ttl = u32::try_from(ttl).unwrap_or(u32::MAX).min(i32::MAX as u32);
        let zone = Zone::new(&name, &server, ttl, networks).ok_or_else(|| no_zone(layers))?;
        Ok(Some(Self { listen, feed, zone }))
    }
}

fn no_zone(layers: &Layers) -> SettingsError {
    let why = "with dnsbl.listen the names of a zone and of its server are meant, as in \"bl.example.com\"";
    layers.refusal("dnsbl.zone", why)
}
