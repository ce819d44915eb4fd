//! The program: what must come before everything else, and then the command line.

use ironlist::cli;
use ironlist::collect::formats::{READ_SHEET, read_sheet};
use ironlist::handshake::install_provider;
use std::process::ExitCode;

/// Less memory and time than the system's under many small allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The child that reads a spreadsheet limits itself before it does anything else.
    let arguments: Vec<String> = std::env::args_os().skip(1).filter_map(|a| a.into_string().ok()).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == READ_SHEET => read_sheet(rest).into(),
        _ => {
            install_provider();
            cli::run().into()
        }
    }
}
