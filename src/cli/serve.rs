//! `ironlist serve`: the start-up order, and the way down.

use super::args::ServeArgs;
use super::collecting;
use super::exit::ExitCode;
use super::folder::{self, ADMIN_KEY, SOCKET};
use super::follow::follow;
use super::house::House;
use super::named::Named;
use super::ports;
use super::reload::Reload;
use super::settings::{Inputs, Settings, Webhooks};
use super::stop::raised;
use super::telling;
use super::watchdog::{self, announce};
use crate::collect::{self, Terms, formats};
use crate::disk::write_private;
use crate::engine::Engine;
use crate::gateway;
use crate::model::{Batch, Cause, Change, Detail, Output, SourceName};
use crate::publish::webhook::Courier;
use crate::publish::{self, Publisher};
use crate::service::dnsbl::Sockets;
use crate::web::listener::{self, Limits, Listener};
use crate::web::log::Filter;
use crate::web::tls;
use crate::web::{App, Role};
use anyhow::{Context, bail};
use sd_notify::NotifyState;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs the service until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub fn run(args: &ServeArgs, settings: Settings, inputs: Inputs, filter: Filter) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(serve(&args.import, settings, inputs, filter))
}

/// Threads that answer come first. Those that wait for the disk, read lists or pack bytes, which the runtime starts
/// after them, get the processor when nobody is to be answered.
fn runtime() -> std::io::Result<Runtime> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let started = AtomicUsize::new(0);
    let stand_back = move || {
        if started.fetch_add(1, Ordering::Relaxed) >= workers {
            // Where it is not allowed, everything is merely as slow as everything else.
            let _ = rustix::process::nice(10);
        }
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .on_thread_start(stand_back)
        .enable_all()
        .build()
}

/// The application that commands ask when no service runs: all roles, over the store itself.
///
/// # Errors
/// A role cannot be made.
pub fn app(engine: &Engine, settings: &Settings) -> anyhow::Result<Arc<App>> {
    let key = admin_key(&settings.data)?;
    let house = House::build(Some(engine.clone()), &key, settings, Vec::new(), None)?;
    if let Some(publisher) = &house.publisher {
        publisher.refresh();
    }
    front(&house).cloned().context("roles.run names no role")
}

async fn serve(
    imports: &[PathBuf],
    settings: Settings,
    inputs: Inputs,
    filter: Filter,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    folder::make(&settings.data)?;
    ports::raise_limit();
    let bound = ports::bind(&settings).await?;
    let redirect = ports::redirect(&settings).await?;
    let tls = ports::tls(&settings).await?;
    let questions = bind_dnsbl(&settings)?;
    let key = admin_key(&settings.data)?;
    let engine = open(&settings).await?;
    warn(&settings);
    let mut troubles = Vec::new();
    if let Some(engine) = &engine {
        import(engine, imports, &mut troubles).await?;
    }
    let mut house = House::build(engine.clone(), &key, &settings, troubles, tls.clone())?;
    let teller = telling::start(house.spans.take(), &settings, &house.metrics)?;
    if let Some(publisher) = &house.publisher {
        set_up(publisher, house.courier.as_ref(), &settings.outputs, &settings.webhooks).await;
    }
    if let Some(publisher) = house.publisher.clone() {
        // Before anybody can ask: the lists that were kept may be older than the last allow.
        let named = Named::of(&settings);
        tokio::task::spawn_blocking(move || {
            publisher.refresh();
            named.tell(publisher.feeds());
        })
        .await?;
    }
    house.ready.open();
    let (stop, stopped) = watch::channel(false);
    let (outputs, mut said) = watch::channel((settings.outputs.clone(), settings.webhooks.clone()));
    let mut tasks = JoinSet::new();
    attend(&house, &stopped, &mut tasks);
    let sources = watch::Sender::new(settings.collection.sources.clone());
    if let Some((engine, collector)) = engine.clone().zip(house.collector.clone()) {
        collecting::accounts(&collector, &inputs.environment).await;
        let (said, watch) = (sources.subscribe(), Arc::clone(&house.watch));
        tasks.spawn(collecting::run(engine, collector, said, watch, raised(stopped.clone())));
    }
    if let Some(publisher) = house.publisher.clone() {
        let (stop, courier) = (raised(stopped.clone()), house.courier.clone());
        tasks.spawn(async move {
            let follow = async {
                while said.changed().await.is_ok() {
                    let (outputs, webhooks) = said.borrow_and_update().clone();
                    set_up(&publisher, courier.as_ref(), &outputs, &webhooks).await;
                }
            };
            tokio::select! { () = follow => {} () = stop => {} }
        });
    }
    let (upstreams, every) = (Arc::clone(&house.upstreams), settings.behind.check);
    let stop_watching = raised(stopped.clone());
    tasks.spawn(async move {
        tokio::select! { () = gateway::watch(&upstreams, every) => {} () = stop_watching => {} }
    });
    let limits = Limits { connections: settings.limits.connections, ..Limits::default() };
    if let Some((dnsbl, sockets)) = house.dnsbl.clone().zip(questions) {
        tracing::info!(role = "dnsbl", address = %sockets.address()?, "listening");
        tasks.spawn(dnsbl.serve(sockets, raised(stopped.clone())));
    }
    for (role, listener) in bound {
        let tls = tls.clone().filter(|_| settings.is_encrypted(role));
        tracing::info!(role = role.name(), address = %ports::address(&listener), tls = tls.is_some(), "listening");
        if let Some(app) = house.apps.get(&role) {
            let (prelude, app) = (ports::prelude(&settings, tls), Arc::clone(app));
            tasks.spawn(listener::serve_after(prelude, listener, app, limits, raised(stopped.clone())));
        }
    }
    if let Some((listener, target)) = redirect {
        tracing::info!(role = "redirect", address = %ports::address(&listener), "listening");
        let (prelude, app) =
            (ports::prelude(&settings, None), Arc::new(tls::redirect(target, &house.metrics)));
        tasks.spawn(listener::serve_after(prelude, listener, app, limits, raised(stopped.clone())));
    }
    if let Some(tls) = tls.clone() {
        let stop = raised(stopped.clone());
        tasks.spawn(async move {
            tokio::select! { () = tls.watch() => {} () = stop => {} }
        });
    }
    if let Some(app) = front(&house) {
        let socket = Listener::unix(&settings.data.join(SOCKET), 0o600).await;
        let socket = socket.with_context(|| format!("the socket {SOCKET} in {}", settings.data.display()))?;
        tasks.spawn(listener::serve(socket, Arc::clone(app), limits, raised(stopped)));
    }
    announce(&[NotifyState::Ready]);
    watchdog::start(Handle::current())?;
    let mut reload = Reload { settings, inputs, filter, sources, outputs, tls, limits: &house.limits };
    signals.end(&mut reload).await;
    announce(&[NotifyState::Stopping]);
    tracing::info!("stopping: requests in flight are answered first");
    house.ready.shut();
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    if let Some(teller) = teller {
        teller.finish().await;
    }
    if let Some(engine) = engine {
        tokio::task::spawn_blocking(move || engine.stop()).await?;
    }
    tracing::info!("stopped");
    Ok(ExitCode::Done)
}

/// Sets the configuration's feeds, devices and webhooks up; what was set up before is published whatever fails.
async fn set_up(
    publisher: &Arc<Publisher>,
    courier: Option<&Arc<Courier>>,
    outputs: &[Output],
    webhooks: &Webhooks,
) {
    if let Err(error) = publisher.configure(outputs).await {
        tracing::error!(error, "the configuration's feeds and devices are not all set up");
    }
    let Some((courier, webhooks)) = courier.cloned().zip(Some(webhooks.clone())) else { return };
    let configured = tokio::task::spawn_blocking(move || courier.configure(&webhooks)).await;
    if let Err(error) = configured.unwrap_or_else(|error| Err(error.to_string())) {
        tracing::error!(error, "the configuration's webhooks are not all set up");
    }
}

/// What the command line's socket serves: the gateway, which knows all roles, or the only role.
fn front(house: &House) -> Option<&Arc<App>> {
    house.apps.get(&Role::Gateway).or_else(|| house.apps.values().next())
}

fn bind_dnsbl(settings: &Settings) -> anyhow::Result<Option<Sockets>> {
    let wanted = settings.dnsbl.as_ref().filter(|_| settings.roles.contains(&Role::Blacklist));
    let bind = |dnsbl: &super::settings::Dnsbl| {
        let place = || {
            format!("the DNS list cannot listen on {}; set dnsbl.listen or stop what is there", dnsbl.listen)
        };
        Sockets::bind(dnsbl.listen).with_context(place)
    };
    wanted.map(bind).transpose()
}

/// Reads the administrator's key, or makes it at the first start.
///
/// # Errors
/// A fault of the file system.
pub(super) fn admin_key(data: &Path) -> anyhow::Result<String> {
    let path = data.join(ADMIN_KEY);
    match std::fs::read_to_string(&path) {
        Ok(key) if key.trim().len() >= 32 => return Ok(key.trim().to_owned()),
        Ok(_) => bail!("{} is too short for a key; remove it, and a new one is made", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    // Two random UUIDs are 244 bits from the system's generator.
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    write_private(&path, format!("{key}\n").as_bytes())?;
    tracing::info!(file = %path.display(), "made the administrator's key");
    if std::io::stderr().is_terminal() {
        // Whoever watches the terminal may miss the line; the file is there in any case.
        let _ = writeln!(std::io::stderr(), "administrator's key: {key}");
    }
    Ok(key)
}

/// Opens the store, which every role but the gateway needs.
async fn open(settings: &Settings) -> anyhow::Result<Option<Engine>> {
    if settings.roles.iter().all(|role| *role == Role::Gateway) {
        return Ok(None);
    }
    let options = folder::options(settings);
    Ok(Some(tokio::task::spawn_blocking(move || Engine::open(options)).await??))
}

/// Takes the files of `--import` in: each is the whole of a source of the file's name. What fails is among the
/// `troubles` then.
///
/// # Errors
/// A file fails, and there is nothing to serve without it.
async fn import(engine: &Engine, files: &[PathBuf], troubles: &mut Vec<String>) -> anyhow::Result<()> {
    for file in files {
        match import_one(engine, file).await {
            Err(error) if engine.snapshot().generation == 0 => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "not imported; what was there before is served"
                );
                troubles.push(format!("{error:#}"));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn import_one(engine: &Engine, file: &Path) -> anyhow::Result<()> {
    let source = source_name(file)?;
    let (path, options, policy) = (file.to_owned(), options(file), engine.snapshot().policy(source.as_str()));
    let intake = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(&path)?;
        let terms = Terms::new(Detail::default(), &policy);
        Ok::<_, anyhow::Error>(collect::read(&bytes, &options, &terms)?)
    });
    let intake = intake.await?.with_context(|| file.display().to_string())?;
    for error in &intake.errors {
        tracing::warn!(file = %file.display(), line = error.line, code = &*error.code, value = error.value, "{}", error.detail);
    }
    let scope = intake.scope(true).with_context(|| file.display().to_string())?;
    let change = Change::List { source: source.clone(), rows: intake.rows, scope };
    let batch = Batch {
        id: uuid::Uuid::now_v7(),
        actor: "serve --import".to_owned(),
        reason: file.display().to_string(),
        cause: Cause::Import,
        change,
    };
    let receipt = engine.submit(batch).await.with_context(|| file.display().to_string())?;
    tracing::info!(%source, added = receipt.added, removed = receipt.removed, unchanged = receipt.unchanged, rejected = intake.rejected, "imported");
    Ok(())
}

fn options(file: &Path) -> formats::Options {
    formats::Options {
        name: file.file_name().map(|name| name.to_string_lossy().into_owned()),
        ..Default::default()
    }
}

/// The file's name up to its first dot, in the letters that a source's name may have.
fn source_name(file: &Path) -> anyhow::Result<SourceName> {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    stem.chars()
        .map(plain)
        .collect::<String>()
        .parse()
        .with_context(|| format!("{}: rename the file", file.display()))
}

/// Says what is open to whom, where that is easily more than was meant.
fn warn(settings: &Settings) {
    let (earlier, trusted) = (&settings.access.earlier, &settings.proxy.trusted);
    if !earlier.is_empty() {
        tracing::info!(
            networks = %earlier,
            "the earlier system's paths are open without a key, those that change something, too; with a proxy on this \
             machine, name it under proxy.trusted, or let access.legacy_networks be none"
        );
    }
    if trusted.is_broad() {
        tracing::warn!(networks = %trusted, "whoever is in proxy.trusted may say for whom they ask: name the proxies alone");
    }
}

/// Starts what runs beside the listeners.
fn attend(house: &House, stopped: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    house.identities.attend(house.publisher.as_ref(), stopped, tasks);
    let Some(engine) = house.engine.clone() else { return };
    if let Some(publisher) = house.publisher.clone() {
        let feeds = Arc::clone(publisher.feeds());
        tasks.spawn(publish::follow(feeds, engine, raised(stopped.clone())));
        tasks.spawn(publisher.keep(raised(stopped.clone())));
        if let Some(pusher) = house.pusher.clone() {
            tasks.spawn(pusher.run(raised(stopped.clone())));
        }
        if let Some(courier) = house.courier.clone() {
            tasks.spawn(courier.run(raised(stopped.clone())));
        }
    } else if let Some(owner) = house.owner.clone() {
        let stop = raised(stopped.clone());
        let following = Arc::clone(&house.following);
        tasks.spawn(async move {
            tokio::select! {
                () = follow(engine, owner, &following) => {}
                () = stop => {}
            }
        });
    } else {
        tracing::warn!("no blacklist role here and no upstream.blacklist: nothing will ever be listed");
    }
}

/// The signals that the service answers. It listens to them before anything else: whoever sees it
/// answer requests may signal it already, and an early SIGHUP would end it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn end(&mut self, reload: &mut Reload<'_>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => reload.again(),
            }
        }
    }
}
