//! The program: nothing but the door to `ironlist::cli`.

use ironlist::collect::formats::{READ_SHEET, read_sheet};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == READ_SHEET => read_sheet(rest).into(),
        _ => ExitCode::from(64),
    }
}
