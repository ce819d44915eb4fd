//! Changes of people and keys, and the audit of them, which is in another book: no crash and no fault may come between.

use super::super::publishing;
use crate::identity::{IdentityError, Keeper};
use crate::publish::{Audit, Publisher};
use crate::web::Problem;

/// What is said of a change of which nobody has heard how it ended.
const LATE: &str = "told late: a crash or a fault came between; look whether it was done";

/// Does what `audit` tells of, and has it kept. It is written down before it is done, so that it is told sooner or later;
/// what was made is given in any case, since it cannot be made again. Blocks.
///
/// # Errors
/// Those of `work`, and a fault of the disk before it: then nothing was done.
pub(super) fn audited<T>(
    (keeper, note): (&Keeper, impl FnOnce(&Audit) -> Result<(), Problem>),
    audit: &Audit,
    work: impl FnOnce() -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    // Texts and a time: they are a document whatever they say.
    let intent = keeper.intend(&serde_json::json!(audit))?;
    let done = work();
    let told = match &done {
        Ok(_) => note(audit),
        // Whether it was done is not known.
        Err(IdentityError::Disk(_)) => return done,
        Err(_) => Ok(()),
    };
    let settled = told.and_then(|()| Ok(intent.settle()?));
    if let Err(problem) = settled {
        tracing::error!(
            code = problem.code(),
            action = audit.action,
            subject = audit.subject,
            "done, and told in the audit later"
        );
    }
    done
}

/// Tells in the audit what was left untold. Blocks.
///
/// # Errors
/// A fault of a disk; the rest is told the next time.
pub fn tell_rest(keeper: &Keeper, publisher: &Publisher) -> Result<(), Problem> {
    for (intent, what) in keeper.left()? {
        let audit: Audit = match serde_json::from_value(what) {
            Ok(audit) => audit,
            // It stays for the version that wrote it, and nothing waits behind it.
            Err(error) => {
                tracing::warn!(%error, "something that was about to be done is told in no way that is known");
                continue;
            }
        };
        publishing::note(publisher, &Audit { detail: LATE.to_owned(), ..audit })?;
        intent.settle()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::House;
    use super::*;
    use crate::disk::{DiskError, Medium};
    use crate::identity::{Name, Options, UserRole};
    use crate::vault::{KeySource, Vault};
    use crate::web::metrics::Metrics;
    use crate::web::{App, Role, Routes};
    use std::path::Path;
    use std::sync::Arc;

    fn keeper(folder: &Path) -> Keeper {
        let vault = Arc::new(Vault::new(KeySource::Made(folder.join("vault.key"))));
        Keeper::open(Options::new(Medium::folder(folder), vault)).unwrap().0
    }

    fn audit(subject: &str) -> Audit {
        let [actor, action, reason] = ["kim", "user.add", "a colleague"].map(str::to_owned);
        let (at, subject, detail) =
            (crate::model::Time::from_unix(1_790_000_000), subject.to_owned(), String::new());
        Audit { at, actor, action, subject, reason, detail }
    }

    fn failing(_: &Audit) -> Result<(), Problem> {
        Err(Problem::unavailable("disk", 30))
    }

    #[test]
    fn what_was_made_is_given_although_the_audit_cannot_be_written_and_is_told_later() {
        let folder = tempfile::tempdir().unwrap();
        let published = House::new(|_| App::new(Role::Blacklist, Routes::new(), &Arc::new(Metrics::new())));
        let told = || {
            let (rows, _) = published.publisher.book().unwrap().audits(None, 10).unwrap();
            rows.into_iter().map(|(_, row)| (row.subject, row.detail)).collect::<Vec<_>>()
        };
        let first = keeper(folder.path());
        let lee: Name = "lee".parse().unwrap();
        let add = || first.add_user(&lee, UserRole::User, "kim");
        assert!(audited((&first, failing), &audit("lee"), add).is_ok(), "the password cannot be made again");
        assert!(audited((&first, failing), &audit("lee"), add).is_err(), "there is a lee already");
        let unknown =
            || Err::<(), _>(IdentityError::Disk(DiskError::io("x", std::io::ErrorKind::Other.into())));
        assert!(audited((&first, failing), &audit("max"), unknown).is_err());
        {
            let _under_way = first.intend(&serde_json::json!(audit("now"))).unwrap();
            tell_rest(&first, &published.publisher).unwrap();
        }
        let late = |subject: &str| (subject.to_owned(), LATE.to_owned());
        assert_eq!(
            told(),
            [late("max"), late("lee")],
            "what is refused is no change, what is under way is told then"
        );
        drop(first);
        tell_rest(&keeper(folder.path()), &published.publisher).unwrap();
        assert_eq!(told()[0], late("now"), "a crash came between");
        tell_rest(&keeper(folder.path()), &published.publisher).unwrap();
        assert_eq!(told().len(), 3, "once");
        for left in [&serde_json::json!({"of": "another version"}), &serde_json::json!(audit("behind"))] {
            keeper(folder.path()).intend(left).unwrap();
        }
        tell_rest(&keeper(folder.path()), &published.publisher).unwrap();
        assert_eq!(told()[0], late("behind"), "what nobody understands keeps nothing back");
    }
}
