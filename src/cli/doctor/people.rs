//! Is there somebody who can log in and administrate?

use crate::disk::{DiskError, Medium};
use crate::engine;
use crate::identity::{self, ADMIN_PASSWORD, UserRole, UserRow};
use crate::model::Time;
use crate::web::health::Check;
use serde::Deserialize;
use std::path::Path;

/// A first password that has opened nothing for so long is one that somebody may find, in seconds.
const OLD: i64 = 7 * 86_400;

/// What of a user is looked at.
#[derive(Deserialize)]
pub(super) struct Person {
    name: String,
    role: UserRole,
    disabled: bool,
    one_time_until: Option<Time>,
    password_since: Time,
}

impl From<UserRow> for Person {
    fn from(row: UserRow) -> Self {
        let UserRow { name, role, disabled, one_time_until, password_since, .. } = row;
        Self { name: name.to_string(), role, disabled, one_time_until, password_since }
    }
}

/// Looks at the book of a service that does not run. Blocks.
pub(super) fn look(data: &Path) -> Check {
    if !data.join(identity::FILE).exists() {
        return Check::healthy("nobody is known yet; the first start makes the user admin");
    }
    match identity::people(&Medium::folder(data)) {
        Ok(people) => judge(people.into_iter().map(Person::from).collect(), chrono::Utc::now().into()),
        Err(error @ (DiskError::Damaged { .. } | DiskError::Version { .. })) => Check::unhealthy(
            error.to_string(),
            "restore identity.redb from a backup, or move it away and make people known anew; the administrator's key works",
        ),
        Err(error) => Check::unhealthy(error.to_string(), engine::cure(&error)),
    }
}

/// What there is to say of everybody who is known.
pub(super) fn judge(people: Vec<Person>, now: Time) -> Check {
    let known = people.len();
    let able = people.into_iter().filter(|person| person.role == UserRole::Admin && !person.disabled);
    let (own, given): (Vec<_>, Vec<_>) = able.partition(|person| person.one_time_until.is_none());
    if !own.is_empty() {
        return Check::healthy(format!("{} of {known} users can log in and administrate", own.len()));
    }
    let waiting = given.into_iter().filter(|person| person.one_time_until.is_some_and(|until| now < until));
    let Some(first) = waiting.min_by_key(|person| person.password_since) else {
        return Check::unhealthy(
            "no administrator can log in; the administrator's key works",
            "ironlist user password admin --password-stdin --reason TEXT, or ironlist user add NAME --role admin --reason TEXT",
        );
    };
    let (name, since) = (first.name, first.password_since);
    if now.unix() - since.unix() < OLD {
        return Check::healthy(format!("{name} has a password for the first login (since {since})"));
    }
    Check::degraded(
        format!("the password for the first login of {name} has not been used since {since}"),
        format!(
            "log in with it ({ADMIN_PASSWORD} has the first one), or: ironlist user password {name} --reason TEXT"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::health::Status;

    const DAY: i64 = 86_400;

    fn person(name: &str, role: UserRole, one_time_until: Option<i64>) -> Person {
        let (since, until) = (Time::default(), one_time_until.map(|seconds| Time::default().plus(seconds)));
        Person { name: name.to_owned(), role, disabled: false, one_time_until: until, password_since: since }
    }

    #[test]
    fn somebody_must_be_able_to_log_in_and_administrate() {
        let own = || person("kim", UserRole::Admin, None);
        let user = || person("lee", UserRole::User, None);
        let given = || person("admin", UserRole::Admin, Some(100 * DAY));
        let over = || person("park", UserRole::Admin, Some(DAY));
        let off = || Person { disabled: true, ..own() };
        let judged = |people, days| judge(people, Time::default().plus(days * DAY)).status;
        assert_eq!(judged(vec![given(), own()], 50), Status::Healthy);
        assert_eq!(judged(vec![given()], 6), Status::Healthy, "it is early");
        assert_eq!(judged(vec![given(), user(), off()], 8), Status::Degraded, "somebody may find it");
        for people in [vec![], vec![user(), off()], vec![over()]] {
            assert_eq!(judged(people, 2), Status::Unhealthy);
        }
    }
}
