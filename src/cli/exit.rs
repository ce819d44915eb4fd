//! How the program ends, as whoever started it sees it.

use super::console::ReaderGone;
use super::settings::SettingsError;
use std::io;

/// What the process answers its caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ExitCode {
    /// It is done.
    Done = 0,
    /// It is done, and the answer is a negative one: an address is listed, a check failed.
    Negative = 1,
    /// It could not be done.
    Failed = 2,
    /// The command line makes no sense (`EX_USAGE` of sysexits).
    WrongUsage = 64,
    /// The configuration makes no sense (`EX_CONFIG` of sysexits).
    WrongConfiguration = 78,
}

impl ExitCode {
    /// The code of a command that ended with `error`; `None` when that is no failure at all.
    pub(super) fn of_error(error: &anyhow::Error) -> Option<Self> {
        let gone = |cause: &io::Error| cause.get_ref().is_some_and(|inner| inner.is::<ReaderGone>());
        if error.chain().filter_map(|cause| cause.downcast_ref()).any(gone) {
            return None;
        }
        let configuration = error.chain().any(|cause| cause.is::<SettingsError>());
        Some(if configuration { Self::WrongConfiguration } else { Self::Failed })
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
