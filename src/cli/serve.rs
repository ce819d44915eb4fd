//! `ironlist serve`: the service itself.

use super::ExitCode;
use super::args::ServeArgs;
use super::settings::Settings;
use crate::engine::Engine;
use crate::web::App;
use std::sync::Arc;

/// Runs the roles until the process is told to stop.
///
/// # Errors
/// When the store cannot be opened or a port not be bound.
pub fn run(_: ServeArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the roles {:?} cannot be played yet", settings.roles)
}

/// The application that commands ask when no service runs.
///
/// # Errors
/// When a role cannot be made.
pub fn app(engine: &Engine, _: &Settings) -> anyhow::Result<Arc<App>> {
    use crate::service::blacklist::Blacklist;
    use crate::web::Role;
    use crate::web::metrics::Metrics;
    let router = Blacklist::new(engine.clone()).router();
    Ok(Arc::new(App::new(Role::Blacklist, router, &Arc::new(Metrics::new()))))
}
