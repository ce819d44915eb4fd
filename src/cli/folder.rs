//! What the command line and the service must agree on about the data folder.

use anyhow::Context;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The socket through which the command line talks to a running service.
pub const SOCKET: &str = "ironlist.sock";
/// The administrator's key, made at the first start; for its owner alone (mode 0600).
pub const ADMIN_KEY: &str = "admin.key";

/// Makes the data folder, for its owner and group, if it is not there.
///
/// # Errors
/// Whatever the file system says.
pub fn make(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    made.with_context(|| format!("the data folder {} cannot be made", path.display()))
}
