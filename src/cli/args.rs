//! The command line as people type it.

use super::allow::{AllowCommand, SuppressionCommand};
use super::collection::{HoldCommand, RunCommand, SourceCommand};
use super::people::{KeyCommand, UserCommand};
use super::publishing::{DeviceCommand, FeedsCommand, WebhookCommand, valid};
use super::set::SetArgs;
use super::settings::{CONFIG_VARIABLE, Inputs};
use crate::collect::formats::Format;
use crate::model::{Country, SourceName};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// IP threat intelligence in, firewall blacklists out.
#[derive(Parser, Debug)]
#[command(name = "ironlist", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 a negative answer, 2 an error, 64 wrong usage, 78 a wrong configuration.";

/// Which installation is meant.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// The configuration file [default: /etc/ironlist/ironlist.toml, when it is there]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    /// The data folder [default: ./ironlist-data] [env: IRONLIST_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run the service
    Serve(ServeArgs),
    #[command(flatten)]
    Api(ApiCommand),
    /// Set algebra on list files
    Set(SetArgs),
    /// The health of the running service: exit code 0 healthy, 1 something needs attention
    Status(StatusArgs),
    /// Checks of the installation, each with its cure
    Doctor(DoctorArgs),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What is done through the HTTP API.
#[derive(Subcommand, Debug)]
pub(super) enum ApiCommand {
    /// Take in list files
    Import(ImportArgs),
    /// Look addresses up: exit code 0 none listed, 1 some listed, 2 error
    Check(CheckArgs),
    /// Print a feed
    Feed(FeedArgs),
    /// What is published, and in which form
    #[command(subcommand)]
    Feeds(FeedsCommand),
    /// The firewalls that read feeds, and what they have
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Who is told what happens to feeds and devices
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// The sources of listings
    #[command(subcommand)]
    Source(SourceCommand),
    /// Collection runs
    #[command(subcommand)]
    Run(RunCommand),
    /// What the gate keeps back until somebody decides
    #[command(subcommand)]
    Hold(HoldCommand),
    /// What is never published, whoever lists it
    #[command(subcommand)]
    Allow(AllowCommand),
    /// Listings that a person has ended, whatever their source repeats
    #[command(subcommand)]
    Suppression(SuppressionCommand),
    /// The people who may log in, and who was refused
    #[command(subcommand)]
    User(UserCommand),
    /// The keys of programs
    #[command(subcommand)]
    Key(KeyCommand),
    /// The changes to the blacklist
    #[command(subcommand)]
    Generation(GenerationCommand),
}

/// How `ironlist serve` is called.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The roles to play, with commas between: collection, blacklist, analytics, gateway [default: all]
    #[arg(long, value_name = "LIST")]
    pub roles: Option<String>,
    /// Take in this list file at the start
    #[arg(long, value_name = "FILE")]
    pub import: Vec<PathBuf>,
    /// Listen on other addresses than loopback although nothing encrypts
    #[arg(long)]
    pub insecure_listen: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct ImportArgs {
    /// List files of any form, also in gzip or zip; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// The source in whose name the addresses are listed
    #[arg(long, value_name = "NAME", value_parser = valid::<SourceName>)]
    pub(super) source: String,
    /// What the files are written in: auto, plain, csv, tsv, json, ndjson, xlsx, xls
    #[arg(long, default_value_t)]
    pub(super) format: Format,
    /// The source's listings become exactly this file's
    #[arg(long)]
    pub(super) replace: bool,
    /// When the listings end: 90d, 12h, 2026-11-22 or 2026-11-22T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(super) expires: Option<String>,
    /// Why they are listed, where the file does not say
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Their country, where the file does not say
    #[arg(long, value_name = "CC", value_parser = valid::<Country>)]
    pub(super) country: Option<String>,
    /// Change nothing; say what would change
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    /// Addresses to look up
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    pub(super) addresses: Vec<String>,
    /// A file with an address a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Tell every listing that covers them, and what exempts them
    #[arg(long)]
    pub(super) explain: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct FeedArgs {
    /// The feed's name
    pub(super) name: String,
    /// Write it to this file, in one step, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Subcommand, Clone, Debug)]
pub(super) enum GenerationCommand {
    /// The latest
    List {
        /// So many of them
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// One of them, and what it changed
    Show {
        /// Its number
        number: u64,
        #[command(flatten)]
        shown: RowArgs,
    },
    /// What turns one generation into another, whichever is the later
    Diff {
        /// The generation to begin with
        from: u64,
        /// The one to end with
        to: u64,
        /// Only what this source lists
        #[arg(long, value_name = "NAME", value_parser = valid::<SourceName>)]
        source: Option<String>,
        #[command(flatten)]
        shown: RowArgs,
    },
    /// Take a source back to what it listed at a generation; what is collected then waits until it is switched on
    Rollback {
        /// The generation's number
        number: u64,
        /// The source; `manual` for what people list
        #[arg(long, value_name = "NAME", value_parser = valid::<SourceName>)]
        source: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Change nothing; say what would change
        #[arg(long)]
        dry_run: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// How rows are shown.
#[derive(Args, Clone, Debug)]
pub(super) struct RowArgs {
    /// So many rows at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub(super) limit: usize,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct StatusArgs {
    /// Only whether it answers requests, for whoever restarts it if not: exit code 0 or 1
    #[arg(long)]
    pub(super) ready: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct DoctorArgs {
    /// Put a damaged store aside and make it anew from the journal; the service must not run
    #[arg(long)]
    pub(super) rebuild: bool,
}

#[derive(Subcommand, Clone, Copy, Debug)]
pub(super) enum ConfigCommand {
    /// Read it, and say what is wrong
    Check,
    /// Print what is in effect, and where each value was said
    Show,
    /// Print a file with every setting and its default
    Example,
}

impl Cli {
    /// What the configuration is made from: the process's environment, and the flags.
    pub(super) fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::of_process(self.place.config.clone());
        let mut flag = |key, flag, text: Option<&str>| {
            inputs.flags.extend(text.map(|text| (key, flag, text.to_owned())));
        };
        flag("data.dir", "--data", self.place.data.as_deref());
        if let Command::Serve(serve) = &self.command {
            flag("roles.run", "--roles", serve.roles.as_deref());
            flag("listen.insecure", "--insecure-listen", serve.insecure_listen.then_some("true"));
        }
        inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_any_place_become_settings() {
        let line =
            "ironlist serve --roles blacklist --insecure-listen --data /x --import a.txt --import b.txt";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let keys: Vec<_> = cli.inputs().flags.into_iter().map(|(key, _, text)| (key, text)).collect();
        let expected = [("data.dir", "/x"), ("roles.run", "blacklist"), ("listen.insecure", "true")];
        assert_eq!(keys, expected.map(|(key, text)| (key, text.to_owned())));
    }

    #[test]
    fn nothing_to_look_up_is_wrong_usage() {
        assert!(Cli::try_parse_from(["ironlist", "check"]).is_err());
        assert!(Cli::try_parse_from(["ironlist", "check", "--file", "-"]).is_ok());
        assert!(Cli::try_parse_from(["ironlist", "--data", "/x", "check", "192.0.2.1"]).is_ok());
    }
}
