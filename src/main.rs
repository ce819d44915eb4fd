//! The program: nothing but the door to `ironlist::cli`.

use clap::Parser;
use ironlist::cli::set::{self, SetArgs};
use ironlist::collect::formats::{READ_SHEET, read_sheet};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Set algebra on list files
    Set(SetArgs),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((READ_SHEET, rest)) = arguments.split_first().map(|(command, rest)| (command.as_str(), rest))
    {
        return read_sheet(rest).into();
    }
    match Command::parse() {
        Command::Set(args) => set::run(&args).into(),
    }
}
