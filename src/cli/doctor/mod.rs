//! `ironlist doctor`: is the installation sound, and if not, what cures it?
//!
//! It looks and changes nothing, but for `--rebuild`. Of a running service it asks the health;
//! only the stores of one that does not run can be opened.

mod people;
mod place;
mod stores;

#[cfg(test)]
mod tests;

use super::ExitCode;
use super::args::DoctorArgs;
use super::console::Console;
use super::door::{Door, json};
use super::settings::Settings;
use crate::web::Body;
use crate::web::health::{Check, Status};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What was looked at, and what was found.
type Finding = (String, Check);

const ADMINISTRATORS: &str = "administrators";

/// Prints a line for each check, with a cure where something is wrong; 1 when anything is.
pub(super) async fn run(
    args: &DoctorArgs,
    settings: &Settings,
    console: Console<'_>,
) -> anyhow::Result<ExitCode> {
    let service = Door::to_service(&settings.data).await;
    if args.rebuild {
        anyhow::ensure!(matches!(service, Ok(None)), "stop the service first: it holds the store");
        let settings = settings.clone();
        let done = tokio::task::spawn_blocking(move || stores::rebuild(&settings)).await??;
        writeln!(console.out, "{done}")?;
        return Ok(ExitCode::Done);
    }
    let mut findings = place::look(settings);
    match service {
        Ok(Some(door)) => {
            findings.extend(ask(&door).await);
            findings.extend(stopped(&door).await);
            findings.extend(administrators(&door).await);
        }
        Ok(None) => {
            findings.push(("service".to_owned(), Check::healthy("does not run")));
            findings.extend(place::ports(settings));
            let data = settings.data.clone();
            findings.extend(tokio::task::spawn_blocking(move || stores::look(&data)).await?);
            let data = settings.data.clone();
            let look = tokio::task::spawn_blocking(move || people::look(&data));
            findings.push((ADMINISTRATORS.to_owned(), look.await?));
        }
        Err(error) => {
            let cure = "run this as the user of the service, or as root";
            findings.push(("service".to_owned(), Check::unhealthy(format!("{error:#}"), cure)));
        }
    }
    findings.iter().try_for_each(|finding| print(finding, console.out))?;
    let sound = findings.iter().all(|(_, check)| check.status == Status::Healthy);
    Ok(if sound { ExitCode::Done } else { ExitCode::Negative })
}

fn print((name, check): &Finding, out: &mut dyn Write) -> io::Result<()> {
    let mark = match check.status {
        Status::Healthy => "ok  ",
        Status::Degraded => "warn",
        Status::Unhealthy => "FAIL",
    };
    writeln!(out, "{mark}  {name:14} {}", check.detail)?;
    if check.cure.is_empty() { Ok(()) } else { writeln!(out, "      {:14} cure: {}", "", check.cure) }
}

/// The checks of the running service, which knows best.
async fn ask(door: &Door) -> Vec<Finding> {
    #[derive(Deserialize)]
    struct Health {
        status: Status,
        #[serde(default)]
        checks: BTreeMap<String, Check>,
    }
    let health = async {
        let request = http::Request::builder().uri("/health").body(Body::empty())?;
        json::<Health>(door.send(request).await?).await
    };
    let cure = "`ironlist status` and the service's log say more";
    match health.await {
        Ok(Health { status, checks }) => {
            let own = match status {
                Status::Healthy => Check::healthy("runs"),
                _ => Check { status, detail: "runs, but not well".into(), cure: cure.into() },
            };
            [("service".to_owned(), own)].into_iter().chain(checks).collect()
        }
        Err(error) => vec![("service".to_owned(), Check::unhealthy(format!("{error:#}"), cure))],
    }
}

/// Whether somebody can log in and administrate; nothing where the service cannot say, which is a check of its own.
async fn administrators(door: &Door) -> Option<Finding> {
    let answer = door.get("/api/v1/auth/users").await.ok()?;
    let people = serde_json::from_value(answer["data"].clone()).ok()?;
    Some((ADMINISTRATORS.to_owned(), people::judge(people, chrono::Utc::now().into())))
}

/// The sources that fetch nothing until a person has acted.
async fn stopped(door: &Door) -> Vec<Finding> {
    // What keeps it from answering is among the checks of the service.
    let answer = door.get("/api/v1/collection/sources").await.unwrap_or_default();
    let finding = |row: &serde_json::Value| {
        let (name, stopped) = (row["name"].as_str()?, row["stopped"].as_object()?);
        let why = stopped["fault"]["detail"].as_str().unwrap_or_default();
        let cure = match stopped["credentials"] == true {
            true => format!("ironlist source credentials {name}"),
            false => format!("when that is mended: ironlist source enable {name}"),
        };
        Some((format!("source {name}"), Check::degraded(why.to_owned(), cure)))
    };
    answer["data"].as_array().into_iter().flatten().filter_map(finding).collect()
}
