//! The process with the blacklist role, as those without it reach it: for its journal, for batches, and for who somebody is.

use super::settings::Settings;
use crate::service::journal::Remote;
use crate::web::Role;
use crate::web::tls::{TlsError, UpstreamTls};
use anyhow::Context as _;

/// That process; none where the role is played here, or nobody says where.
///
/// # Errors
/// The key holds what no header can, or nothing says whom to believe at an https URL.
pub(super) fn find(settings: &Settings, key: &str) -> anyhow::Result<Option<Remote>> {
    let url = settings.upstream(Role::Blacklist).filter(|_| !settings.roles.contains(&Role::Blacklist));
    let Some(url) = url else { return Ok(None) };
    Remote::new(url, key, tls(settings)?.as_ref()).map(Some).context("upstream.blacklist")
}

/// Whom this process believes at https URLs of others, and what it shows them.
///
/// # Errors
/// A file that cannot be read, or holds something else.
pub(super) fn tls(settings: &Settings) -> Result<Option<UpstreamTls>, TlsError> {
    let own = settings.behind.certificate.as_ref().map(|(chain, key)| (&**chain, &**key));
    settings.behind.ca_file.as_ref().map(|authorities| UpstreamTls::read(authorities, own)).transpose()
}
