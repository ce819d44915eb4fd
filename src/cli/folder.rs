//! What the command line and the service must agree on about the data folder.

use super::settings::Settings;
use crate::disk::Medium;
use crate::engine::Options;
use crate::web::Role;
use anyhow::Context;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The socket through which the command line talks to a running service.
pub const SOCKET: &str = "ironlist.sock";
/// The administrator's key, made at the first start; for its owner alone (mode 0600).
pub const ADMIN_KEY: &str = "admin.key";

/// How the store there is opened, by whomever: a folder without the blacklist role only follows.
pub(super) fn options(settings: &Settings) -> Options {
    let follower = !settings.roles.contains(&Role::Blacklist);
    Options {
        zone: settings.zone,
        follower,
        keep: settings.keep,
        ..Options::new(Medium::folder(&settings.data))
    }
}

/// Makes the data folder, for its owner and group, if it is not there.
///
/// # Errors
/// Whatever the file system says.
pub fn make(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    made.with_context(|| format!("the data folder {} cannot be made", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::House;
    use super::*;

    #[test]
    fn only_the_folder_of_the_blacklist_role_makes_records_of_its_own() {
        for (roles, follower) in [("blacklist,gateway", false), ("collection,analytics", true)] {
            let house = House::with(&[("roles.run", "any", roles)]);
            assert_eq!(options(&house.settings).follower, follower, "{roles}");
        }
        assert!(!options(&House::new().settings).follower);
    }
}
