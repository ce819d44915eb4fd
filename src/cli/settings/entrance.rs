//! What is said about the way in: TLS, the proxies before the ports, and pages of elsewhere in browsers.

use super::SettingsError;
use super::layers::Layers;
use super::value::{FromValue, Words, text};
use crate::addr::IpRange;
use crate::web::Role;
use crate::web::auth::Access;
use crate::web::proxy::Networks;
use crate::web::tls::{Ask, Files, Target};
use http::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use toml::Value;

/// TLS of the ports.
#[derive(Clone, Debug)]
pub struct Tls {
    /// What it is made of.
    pub files: Files,
    /// On whose ports.
    pub roles: Vec<Role>,
    /// A port that leads there, and where to.
    pub redirect: Option<(SocketAddr, Target)>,
}

impl Tls {
    /// None where no certificate is named.
    pub(super) fn read(layers: &Layers, gateway: SocketAddr) -> Result<Option<Self>, SettingsError> {
        let (certificate, key): (Option<PathBuf>, Option<PathBuf>) =
            (layers.get("tls.certificate")?, layers.get("tls.key")?);
        let (ask, authority): (_, Option<PathBuf>) =
            (layers.get("tls.clients")?, layers.get("tls.client_ca")?);
        let (roles, redirect): (_, Option<SocketAddr>) =
            (layers.get("tls.roles")?, layers.get("tls.redirect")?);
        let origin = layers.get::<Origin>("tls.origin")?.0;
        let (Some(certificate), Some(key)) = (&certificate, &key) else {
            let together = [("tls.certificate", certificate.is_some()), ("tls.key", key.is_some())];
            let wishes = [
                ("tls.redirect", redirect.is_some()),
                ("tls.clients", ask != Ask::Nobody),
                ("tls.client_ca", authority.is_some()),
                ("tls.origin", origin.is_some()),
            ];
            let needy =
                together.into_iter().chain(wishes).filter(|(_, given)| *given).map(|(key, _)| key).next();
            let why = "tls.certificate and tls.key are meant to be there both";
            return needy.map_or(Ok(None), |key| Err(layers.refusal(key, why)));
        };
        if authority.is_some() && ask == Ask::Nobody {
            return Err(
                layers.refusal("tls.client_ca", "with it tls.clients is meant to be \"ask\" or \"demand\"")
            );
        }
        let files = Files { certificate: certificate.clone(), key: key.clone(), ask, authority };
        let target = origin.map_or(Target::Port(gateway.port()), Target::Origin);
        Ok(Some(Self { files, roles, redirect: redirect.map(|address| (address, target)) }))
    }
}

/// The proxies before the ports.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where they are.
    pub trusted: Networks,
    /// Whether callers reach them over TLS.
    pub tls: bool,
    /// Whether each of their connections begins with a PROXY header.
    pub protocol: bool,
}

impl Proxy {
    pub(super) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let ranges: Vec<IpRange> = layers.get("proxy.trusted")?;
        let proxy = Self {
            trusted: ranges.iter().map(|range| ends(*range)).collect(),
            tls: layers.get("proxy.tls")?,
            protocol: layers.get("proxy.protocol")?,
        };
        let needy = [("proxy.tls", proxy.tls), ("proxy.protocol", proxy.protocol)];
        match needy.into_iter().find(|(_, wanted)| *wanted && ranges.is_empty()) {
            Some((key, _)) => {
                Err(layers.refusal(key, "with it the proxies' networks are meant to be in proxy.trusted"))
            }
            None => Ok(proxy),
        }
    }
}

/// From where nobody in particular is let in.
pub(super) fn access(layers: &Layers) -> Result<Access, SettingsError> {
    let networks = |key| Ok(layers.get::<Vec<IpRange>>(key)?.into_iter().map(ends).collect());
    Ok(Access { open: networks("access.open")?, earlier: networks("access.legacy_networks")? })
}

fn ends(range: IpRange) -> (IpAddr, IpAddr) {
    match range {
        IpRange::V4(range) => (Ipv4Addr::from(range.first()).into(), Ipv4Addr::from(range.last()).into()),
        IpRange::V6(range) => (Ipv6Addr::from(range.first()).into(), Ipv6Addr::from(range.last()).into()),
    }
}

impl FromValue for Ask {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "no" => Ok(Self::Nobody),
            "ask" => Ok(Self::Everybody),
            "demand" => Ok(Self::Demand),
            _ => Err("\"no\", \"ask\" or \"demand\" is meant".to_owned()),
        }
    }
}

/// Scheme, host and port of a page, as browsers say them (RFC 6454), or nothing.
struct Origin(Option<String>);

impl FromValue for Origin {
    fn from_value(value: &Value) -> Result<Self, String> {
        let Some(origin) = Words::from_value(value)?.0 else { return Ok(Self(None)) };
        let origin = is_origin(&origin, &["https"])?;
        Ok(Self(Some(origin)))
    }
}

/// Names of hosts, in small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl FromValue for Names {
    fn from_value(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or("a list in brackets is meant")?;
        items.iter().map(|item| name(text(item)?)).collect::<Result<_, _>>().map(Self)
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    let is_plain = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.split('.').all(is_plain) {
        Ok(name)
    } else {
        Err("a name is meant without scheme and port, as in \"ironlist.corp\"".to_owned())
    }
}

/// The pages of elsewhere that may use the API in a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<String>);

impl FromValue for Origins {
    fn from_value(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or("a list in brackets is meant")?;
        let items = items.iter().map(|item| is_origin(text(item)?, &["http", "https"]));
        items.collect::<Result<_, _>>().map(Self)
    }
}

/// # Errors
/// For `*` too: what may be used by every page is used by every page that somebody is lured to.
fn is_origin(text: &str, schemes: &[&str]) -> Result<String, String> {
    let origin = text.trim_end_matches('/').to_ascii_lowercase();
    let uri: Option<Uri> = origin.parse().ok();
    let plain = uri.is_some_and(|uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme))
            && origin.ends_with(&format!("//{authority}"))
            && !authority.is_empty()
            && !authority.contains(['@', '*'])
    });
    if plain { Ok(origin) } else { Err(format!("{}://host:port is meant", schemes[schemes.len() - 1])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nothing_but_that() {
        assert_eq!(name("Ironlist.Corp"), Ok("ironlist.corp".to_owned()));
        for wrong in ["", "a b", "a:8080", "https://a", "*.a", "a..b", "a."] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| is_origin(text, &["http", "https"]).ok();
        assert_eq!(origin("https://A.example/"), Some("https://a.example".to_owned()));
        assert_eq!(origin("http://127.0.0.1:3000"), Some("http://127.0.0.1:3000".to_owned()));
        for wrong in [
            "*",
            "null",
            "a.example",
            "https://",
            "https://a/b",
            "https://u@a",
            "ftp://a",
            "https://*.a",
            "https://a?b",
        ] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }
}
