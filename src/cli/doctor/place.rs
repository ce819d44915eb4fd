//! Where the installation lives: the folder, its disk, the key, the ports.

use super::super::folder::ADMIN_KEY;
use super::super::settings::Settings;
use super::Finding;
use crate::identity::{self, ADMIN_PASSWORD};
use crate::vault::KeySource;
use crate::web::health::Check;
use crate::web::tls::{Files, Tls};
use rustix::fs::statvfs;
use std::fs::{self, File, Metadata};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// With less the next writes fail.
const SCARCE: u64 = 64 << 20;
/// With less somebody should act.
const LITTLE: u64 = 1 << 30;

/// Looks at everything that does not depend on whether the service runs.
pub(super) fn look(settings: &Settings) -> Vec<Finding> {
    let files = settings.tls.as_ref().map(|tls| tls.files.clone());
    let tls = files.map(|files| ("tls files".to_owned(), tls(files)));
    kept(settings).into_iter().chain(tls).chain(access(settings)).collect()
}

/// What is open to whom without a key: no fault, and worth a look.
fn access(settings: &Settings) -> Vec<Finding> {
    let networks = [
        ("look-ups, statistics and metrics", settings.access.open.to_string()),
        ("the earlier system's paths, those that write, too,", settings.access.earlier.to_string()),
    ];
    let said = networks.map(|(what, networks)| match networks.as_str() {
        "" => format!("{what} to nobody"),
        networks => format!("{what} to {networks}"),
    });
    let mut detail = format!("without a key are open {}", said.join(", "));
    if settings.access.earlier.has_loopback() && settings.proxy.trusted.is_empty() {
        detail += "; a proxy on this machine has to be in proxy.trusted, or legacy_networks is to be none";
    }
    let cure = "name the proxies themselves in proxy.trusted: whoever is in it may say for whom they ask";
    let trusted = Check::degraded(format!("{} is more than a few machines", settings.proxy.trusted), cure);
    let proxies = settings.proxy.trusted.is_broad().then(|| ("proxies".to_owned(), trusted));
    [("access".to_owned(), Check::healthy(detail))].into_iter().chain(proxies).collect()
}

fn tls(files: Files) -> Check {
    match Tls::open(files) {
        Ok(tls) => tls.check(),
        Err(error) => Check::unhealthy(error.to_string(), "correct what the settings [tls] name"),
    }
}

fn kept(settings: &Settings) -> Vec<Finding> {
    let data = &settings.data;
    match fs::metadata(data) {
        Ok(about) if about.is_dir() => {
            let mut findings = vec![
                ("data folder".to_owned(), folder(data, &about)),
                ("disk".to_owned(), disk(data)),
                ("key".to_owned(), key(&data.join(ADMIN_KEY))),
                ("vault".to_owned(), vault(settings)),
            ];
            let secrets = [
                (
                    identity::FILE,
                    "whoever read it has digests of passwords and keys: have people choose new ones",
                ),
                (ADMIN_PASSWORD, "if others had access: ironlist user password admin --reason TEXT"),
            ];
            let open = secrets
                .into_iter()
                .filter_map(|(name, more)| Some((name.to_owned(), open(&data.join(name), more)?)));
            findings.extend(open);
            findings
        }
        found => vec![("data folder".to_owned(), no_folder(data, found.err()))],
    }
}

fn no_folder(data: &Path, error: Option<io::Error>) -> Check {
    let shown = data.display();
    let why = error.map_or_else(|| "it is no folder".to_owned(), |error| error.to_string());
    Check::unhealthy(
        format!("{shown}: {why}"),
        "`ironlist serve` makes it; or name the right one with --data or data.dir",
    )
}

fn folder(data: &Path, about: &Metadata) -> Check {
    let shown = data.display();
    let probe = data.join(format!("doctor.{}.part", std::process::id()));
    let written = File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    let mode = about.permissions().mode() & 0o7777;
    match written {
        Err(error) => Check::unhealthy(
            format!("{shown} cannot be written to: {error}"),
            format!("let its owner be the user that ironlist runs as: chown -R USER {shown}"),
        ),
        Ok(()) if mode & 0o007 != 0 => Check::degraded(
            format!("{shown} is open to every user (mode {mode:04o})"),
            format!("chmod o= {shown}"),
        ),
        Ok(()) => Check::healthy(shown.to_string()),
    }
}

fn disk(data: &Path) -> Check {
    let about = match statvfs(data) {
        Ok(about) => about,
        Err(error) => {
            return Check::degraded(format!("its free space is unknown: {error}"), "look with df");
        }
    };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let detail = format!("{} MiB free", free >> 20);
    // A file system that does not count its files says that it has none at all.
    if free < SCARCE || (about.f_files > 0 && about.f_favail == 0) {
        return Check::unhealthy(
            format!("{detail}, {} files left", about.f_favail),
            "free some room: writes fail without it, and go on by themselves with it",
        );
    }
    if free < LITTLE { Check::degraded(detail, "free some room") } else { Check::healthy(detail) }
}

/// A file that is there and that others than its owner can read.
fn open(path: &Path, more: &str) -> Option<Check> {
    let (shown, mode) = (path.display(), fs::metadata(path).ok()?.permissions().mode());
    let is_open = mode & 0o077 != 0;
    let detail = format!("{shown} can be read by others (mode {:04o})", mode & 0o7777);
    is_open.then(|| Check::unhealthy(detail, format!("chmod 600 {shown}; {more}")))
}

fn key(path: &Path) -> Check {
    let shown = path.display();
    if let Some(check) = open(path, "if others had access, remove it: the next start makes a new key") {
        return check;
    }
    match fs::metadata(path) {
        Ok(_) => Check::healthy(shown.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::healthy("not made yet; the first start makes it")
        }
        Err(error) => Check::unhealthy(format!("{shown}: {error}"), "let the user of the service read it"),
    }
}

/// The key of the vault; of one in the environment there is nothing to look at.
fn vault(settings: &Settings) -> Check {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let source = KeySource::find(&settings.data, settings.collection.vault_key.as_deref(), variable);
    match source.path() {
        None => Check::healthy("from the environment"),
        Some(path) if !path.exists() && matches!(source, KeySource::Made(_)) => {
            Check::healthy("not made yet; the first credentials make it")
        }
        Some(path) => {
            let check = key(path);
            match check.cure.contains("remove it") {
                // Without it no credentials that are kept can be opened.
                true => Check { cure: format!("chmod 600 {}", path.display()).into(), ..check },
                false => check,
            }
        }
    }
}

/// Looks whether the service could listen.
pub(super) fn ports(settings: &Settings) -> Vec<Finding> {
    let port = |role: &crate::web::Role| {
        let address = settings.listen(*role);
        let check = match TcpListener::bind(address) {
            Ok(_) => Check::healthy(format!("{address} is free for the {} role", role.name())),
            Err(error) => Check::unhealthy(
                format!("{address}: {error}"),
                format!("stop what listens there (ss -ltnp), or set listen.{}", role.name()),
            ),
        };
        ("port".to_owned(), check)
    };
    settings.roles.iter().map(port).collect()
}
