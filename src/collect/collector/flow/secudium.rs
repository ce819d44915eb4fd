//! SECUDIUM: the posts of some days, and of their attachments those that were not read yet.

use super::failed;
use crate::collect::collector::accounts::Account;
use crate::collect::collector::deliver::{Delivered, Delivery};
use crate::collect::collector::ending::Ending;
use crate::collect::collector::job::Job;
use crate::collect::ledger::Answer;
use crate::collect::run::Fault;
use crate::collect::secudium::{Attachment, Client, Error, Login, Post, Settings};
use crate::fetch::Failure;
use crate::model::{Day, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The attachments that were read: by their posts, so that an edited post is read again, and by their
/// digests, so that a file that is posted twice is not.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Read {
    posts: BTreeMap<String, Seen>,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    uuid: String,
    /// Empty, where it could not be read.
    digest: String,
    posted: Option<Day>,
    /// How often it could not be read.
    #[serde(default)]
    failures: u8,
}

/// Runs that try to read an attachment that is none; then it is left alone until its post is edited.
const TRIES: u8 = 3;

impl Read {
    fn knows(&self, post: &Post, attachment: &Attachment) -> bool {
        self.seen(post, attachment).is_some_and(|seen| seen.failures == 0 || seen.failures >= TRIES)
    }

    fn seen(&self, post: &Post, attachment: &Attachment) -> Option<&Seen> {
        self.posts.get(&post.key()).filter(|seen| seen.uuid == attachment.uuid)
    }

    /// What is remembered of an attachment that could not be read once more.
    fn failed(&self, post: &Post, attachment: &Attachment) -> Seen {
        let failures = self.seen(post, attachment).map_or(0, |seen| seen.failures).saturating_add(1);
        Seen { uuid: attachment.uuid.clone(), digest: String::new(), posted: post.posted, failures }
    }

    fn holds(&self, digest: &str) -> bool {
        self.posts.values().any(|seen| seen.digest == digest)
    }

    /// Forgets posts that the portal is not asked about any more.
    fn forget_before(&mut self, first: Day) {
        self.posts.retain(|_, seen| seen.posted.is_none_or(|posted| posted >= first.plus(-7)));
    }
}

pub(super) async fn run(job: &mut Job) -> Result<(), Ending> {
    let settings = settings(job);
    let mut client = client(job, &settings)?;
    let read = match log_in(job, &mut client).await {
        Ok(()) => read(job, &mut client, &settings).await,
        Err(ending) => Err(ending),
    };
    log_out(job, &mut client).await;
    read
}

/// Logs in and out again; a code that the portal asks for is not asked of anybody.
pub(super) async fn probe(job: &mut Job) -> Result<(), Ending> {
    let settings = settings(job);
    let mut client = client(job, &settings)?;
    let attempted = attempt(job, &mut client).await;
    log_out(job, &mut client).await;
    if attempted?.0 == Login::Done {
        return Ok(());
    }
    job.answered(Answer::Nothing).await?;
    Err(Ending::new(
        Failure::Attention,
        "otp_needed",
        "the portal asks for a one-time code: start a run, and say the code there",
    ))
}

fn settings(job: &Job) -> Settings {
    let mut settings = job.definition.secudium.clone().unwrap_or_default();
    if let Some(url) = &job.definition.url {
        settings.base_url.clone_from(url);
    }
    settings
}

fn client(job: &Job, settings: &Settings) -> Result<Client, Ending> {
    Client::new(job.inner().fetch.clone(), settings.clone()).map_err(|error| ending(&error))
}

async fn log_in(job: &mut Job, client: &mut Client) -> Result<(), Ending> {
    job.step("logging in", 0, None);
    let (login, account) = attempt(job, client).await?;
    if login == Login::Done {
        return Ok(());
    }
    let told = job.ask_code("the portal has sent a one-time code; say it with `ironlist run otp`").await;
    let code = match told {
        Ok(code) => code,
        Err(ending) => {
            job.answered(Answer::Nothing).await?;
            return Err(ending);
        }
    };
    job.step("logging in", 0, None);
    let answer = client.login_with_code(&account.username, &account.password, &code).await;
    note(job, client, answer.as_ref().err()).await?;
    answer.map_err(|error| ending(&error))
}

/// The first step of a login, written down before and after. It is not ended half-way. Where a code is
/// asked for, the answer is still to come.
async fn attempt(job: &mut Job, client: &mut Client) -> Result<(Login, Account), Ending> {
    let account: Account = job.attempt().await?;
    let answer = client.login(&account.username, &account.password).await;
    if !matches!(answer, Ok(Login::NeedsCode)) {
        note(job, client, answer.as_ref().err()).await?;
    }
    answer.map(|login| (login, account)).map_err(|error| ending(&error))
}

/// Writes down what the end of a login says of the credentials.
async fn note(job: &mut Job, client: &Client, error: Option<&Error>) -> Result<(), Ending> {
    match error {
        // Whoever was given a session has said the right password, whatever went wrong then.
        Some(error) if !client.is_logged_in() => match verdict(error) {
            Some(answer) => job.answered(answer).await,
            None => Ok(()),
        },
        _ => job.answered(Answer::Accepted).await,
    }
}

/// What a failed login says of the credentials; none: nothing for certain.
fn verdict(error: &Error) -> Option<Answer> {
    match error {
        Error::Refused { .. } => Some(Answer::Refused(Fault::new(error.code(), error.to_string()))),
        // There was a token, if one that opens nothing.
        Error::Unproven => Some(Answer::Accepted),
        // The portal speaks of something else, or the password had not been sent yet.
        Error::AlreadyLoggedIn | Error::BadCode | Error::WrongCode | Error::Web(_) => Some(Answer::Nothing),
        _ => None,
    }
}

async fn read(job: &mut Job, client: &mut Client, settings: &Settings) -> Result<(), Ending> {
    if job.run.wish.force && !job.goes_on() {
        job.begin_with(&Read::default()).await?;
    }
    let mut known: Read = job.recall().unwrap_or_default();
    let last = job.run.wish.last.unwrap_or_else(|| job.today());
    let first = job.run.wish.first.unwrap_or_else(|| last.plus(-i32::from(settings.days)));
    job.step("reading the list of posts", 0, None);
    let posts = job.until_stopped(client.posts(first, last)).await?.map_err(|error| ending(&error))?;
    known.forget_before(job.today().plus(-i32::from(settings.days)));
    let new: Vec<(&Post, &Attachment)> = posts
        .iter()
        .filter_map(|post| Some((post, post.attachment.as_ref()?)))
        .filter(|(post, attachment)| !known.knows(post, attachment))
        .collect();
    let total = new.len() as u64;
    let mut bad = Vec::new();
    // The oldest first: what a later post says of an address counts.
    for (at, (post, attachment)) in new.into_iter().rev().enumerate() {
        job.step(format!("reading {}", attachment.name), at as u64, Some(total));
        let seen = match take(job, client, post, attachment, &known).await {
            Ok(seen) => seen,
            // One that is broken must not keep all that come after it away for ever.
            Err(Ending::Failed { kind: Failure::Broken, fault }) if client.is_logged_in() => {
                tracing::warn!(source = %job.run.source, attachment = attachment.name, code = fault.code, "left out: {}", fault.detail);
                bad.push(format!("{}: {}", attachment.name, fault.detail));
                Some(known.failed(post, attachment))
            }
            Err(ending) => return Err(ending),
        };
        if let Some(seen) = seen {
            known.posts.insert(post.key(), seen);
            job.remember(&known)?;
            job.save().await?;
        }
    }
    if bad.is_empty() { job.mark_seen().await } else { Err(left_out(&bad, total)) }
}

fn left_out(bad: &[String], total: u64) -> Ending {
    let told = format!("{} of {total} attachments could not be read ({})", bad.len(), bad.join("; "));
    Ending::new(Failure::Broken, "attachments_left_out", told)
}

/// Fetches and delivers an attachment; what is held is fetched again by the next run.
async fn take(
    job: &mut Job,
    client: &mut Client,
    post: &Post,
    attachment: &Attachment,
    known: &Read,
) -> Result<Option<Seen>, Ending> {
    let bytes = job.until_stopped(client.attachment(attachment)).await?.map_err(|error| ending(&error))?;
    let digest = job.inner().digest_of(&bytes).await?;
    let seen =
        Seen { uuid: attachment.uuid.clone(), digest: digest.clone(), posted: post.posted, failures: 0 };
    if known.holds(&digest) {
        return Ok(Some(seen));
    }
    let posted = Some(post.posted.unwrap_or_else(|| job.today()));
    let (name, scope) = (Some(attachment.name.clone()), Some(Scope::Part));
    let delivery = Delivery { name, scope, posted, ..Delivery::new(attachment.name.clone(), bytes) };
    Ok(match job.deliver(delivery).await? {
        Delivered::Held => None,
        Delivered::Taken(_) | Delivered::Unchanged | Delivered::Rejected => Some(seen),
    })
}

/// Ends the session whatever happened, also when the run is to end: the next one would find somebody
/// logged in.
async fn log_out(job: &Job, client: &mut Client) {
    if let Err(error) = client.logout().await {
        tracing::info!(source = %job.run.source, %error, "the portal did not take the log-out");
    }
}

fn ending(error: &Error) -> Ending {
    failed(error.kind(), error.code(), error)
}
