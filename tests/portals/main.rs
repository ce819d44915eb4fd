//! The clients of the portals against portals that misbehave in every way that is known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

#[path = "../fakes/mod.rs"]
mod fakes;
mod regtech;
mod regtech_logins;

/// A client as the portals' clients want it: it neither follows redirects nor keeps cookies.
fn http() -> reqwest::Client {
    let policy = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(policy).no_proxy().build().unwrap()
}

fn now() -> ironlist::model::Time {
    chrono::Utc::now().into()
}
