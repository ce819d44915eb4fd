//! The command line: a client of the HTTP API, and the door through which the service starts.
//!
//! Architecture invariant: a command that changes or asks something does so through the API, in
//! this process or in the one that runs; only `set`, `doctor` and `config` look at files themselves.
//! Nobody else prints.

mod allow;
mod args;
mod check;
mod collecting;
mod collection;
mod console;
mod doctor;
mod door;
mod exit;
mod feed;
pub mod folder;
mod follow;
mod generation;
mod hooking;
mod house;
mod identifying;
mod import;
mod lists;
mod moment;
mod named;
mod owner;
mod people;
mod ports;
mod published;
mod publishing;
mod pushing;
mod reload;
pub mod serve;
pub mod set;
pub mod settings;
mod status;
mod stop;
mod telling;
mod upload;
mod watchdog;

#[cfg(test)]
mod tests;

pub use args::{Cli, ServeArgs};
pub use door::BuildApp;
pub use exit::ExitCode;

use crate::web::log;
use args::{ApiCommand, Command, ConfigCommand};
use clap::Parser;
use clap::error::Error as UsageError;
use console::{Console, Output};
use door::Door;
use settings::Settings;
use std::io::{self, Write};

/// Carries out what the process was called for; gives its exit code.
///
/// Blocks until it is done.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error),
    };
    let (mut out, mut errors) = (Output::new(), io::stderr());
    let done = dispatch(cli, Console { out: &mut out, log: &mut errors });
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(error) => ExitCode::of_error(&error).map_or(ExitCode::Done, |code| {
            // Without standard error there is nobody left to tell.
            let _ = writeln!(errors, "ironlist: {error:#}");
            code
        }),
    }
}

/// Help and the version are answers, and anything else that clap says is a refusal.
fn wrong_usage(error: &UsageError) -> ExitCode {
    // As above.
    let _ = error.print();
    if error.use_stderr() { ExitCode::WrongUsage } else { ExitCode::Done }
}

fn dispatch(cli: Cli, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let inputs = cli.inputs();
    let settings = || Settings::load(&inputs);
    match cli.command {
        Command::Serve(args) => {
            let settings = settings()?;
            let filter = log::init(&settings.log.level, settings.log.format)?;
            serve::run(&args, settings, inputs, filter)
        }
        Command::Api(command) => {
            let settings = settings()?;
            // What a command has to say it prints; of the service's log only warnings are for its caller.
            log::init("warn", settings.log.format)?;
            wait(execute(command, &settings, serve::app, console))
        }
        Command::Set(args) => Ok(if set::run(&args) == 0 { ExitCode::Done } else { ExitCode::Failed }),
        Command::Status(args) => wait(status::run(&args, &settings()?.data, console)),
        Command::Doctor(args) => wait(doctor::run(&args, &settings()?, console)),
        Command::Config(ConfigCommand::Check) => {
            settings()?;
            print("the configuration is in order\n", console)
        }
        Command::Config(ConfigCommand::Show) => print(&settings()?.show(), console),
        Command::Config(ConfigCommand::Example) => print(&settings::example(), console),
    }
}

/// Two threads: one for the command, one for what it reads or asks.
fn wait(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(command)
}

/// Carries out a command of the API; `build` makes the application where no service runs.
async fn execute(
    command: ApiCommand,
    settings: &Settings,
    build: BuildApp,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    if matches!(command, ApiCommand::Import(_)) {
        folder::make(&settings.data)?;
    }
    let door = Door::open(settings, build).await?;
    match command {
        ApiCommand::Import(args) => import::run(&args, &door, console).await,
        ApiCommand::Check(args) => check::run(&args, &door, console).await,
        ApiCommand::Feed(args) => feed::run(&args, &door, console).await,
        ApiCommand::Feeds(command) => publishing::feeds(&command, &door, console).await,
        ApiCommand::Device(command) => publishing::device(&command, &door, console).await,
        ApiCommand::Webhook(command) => publishing::webhook(&command, &door, console).await,
        ApiCommand::Source(command) => collection::source(&command, &door, console).await,
        ApiCommand::Run(command) => collection::run(&command, &door, console).await,
        ApiCommand::Hold(command) => collection::hold(&command, &door, console).await,
        ApiCommand::Allow(command) => allow::allow(&command, settings.zone, &door, console).await,
        ApiCommand::Suppression(command) => allow::suppression(&command, settings.zone, &door, console).await,
        ApiCommand::User(command) => people::user(&command, &door, console).await,
        ApiCommand::Key(command) => people::key(&command, settings.zone, &door, console).await,
        ApiCommand::Generation(command) => generation::generation(&command, &door, console).await,
    }
}

fn print(text: &str, console: Console<'_>) -> anyhow::Result<ExitCode> {
    console.out.write_all(text.as_bytes())?;
    Ok(ExitCode::Done)
}
