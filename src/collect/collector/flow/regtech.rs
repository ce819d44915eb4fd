//! REGTECH: window by window, the newest first, with a checkpoint after each.

use super::failed;
use crate::collect::collector::accounts::Account;
use crate::collect::collector::deliver::{Delivered, Delivery};
use crate::collect::collector::ending::Ending;
use crate::collect::collector::job::Job;
use crate::collect::ledger::Answer;
use crate::collect::portal::Gathering;
use crate::collect::regtech::{Client, Error, Memory, Row, Settings, Window, cut, last_day, ndjson};
use crate::collect::run::Fault;
use crate::fetch::budget::apart;
use crate::model::Scope;
use bytes::Bytes;

pub(super) async fn run(job: &mut Job) -> Result<(), Ending> {
    let settings = settings(job);
    let mut portal = Portal { client: client(job, &settings)?, settings };
    match wished(job, &portal.settings) {
        Some(windows) => portal.read_all(job, windows).await,
        None => portal.read_due(job).await,
    }
}

/// Logs in; the session is forgotten with its client.
pub(super) async fn probe(job: &mut Job) -> Result<(), Ending> {
    let settings = settings(job);
    let client = client(job, &settings)?;
    Portal { client, settings }.log_in(job).await
}

/// The settings of the definition, which may say in short where the portal is.
fn settings(job: &Job) -> Settings {
    let mut settings = job.definition.regtech.clone().unwrap_or_default();
    if let Some(url) = &job.definition.url {
        settings.base_url.clone_from(url);
    }
    settings
}

fn client(job: &Job, settings: &Settings) -> Result<Client, Ending> {
    Client::new(job.inner().fetch.clone(), settings.clone()).map_err(|error| ending(&error))
}

/// The windows of a period that a person asks for.
fn wished(job: &Job, settings: &Settings) -> Option<Vec<Window>> {
    let (first, last) = (job.run.wish.first, job.run.wish.last);
    if first.is_none() && last.is_none() {
        return None;
    }
    let today = job.today();
    let last = last.unwrap_or(today).min(today);
    let first = first.unwrap_or_else(|| last.plus(-i32::from(settings.plan.backfill_days)));
    Some(cut(Window { first, last }, &settings.plan))
}

struct Portal {
    client: Client,
    settings: Settings,
}

impl Portal {
    async fn read_all(&mut self, job: &mut Job, windows: Vec<Window>) -> Result<(), Ending> {
        let total = windows.len() as u64;
        for (at, window) in windows.into_iter().enumerate() {
            job.step(format!("reading {window}"), at as u64, Some(total));
            self.read(job, window).await?;
        }
        Ok(())
    }

    /// Reads what is due, by the memory of the runs before. A run begins it anew, and so the newest windows are due
    /// again; the retry of one that has begun it goes on where that one was.
    async fn read_due(&mut self, job: &mut Job) -> Result<(), Ending> {
        let mut memory: Memory = job.recall().unwrap_or_default();
        let (today, zone) = (job.today(), job.definition.policy.zone);
        if !job.goes_on() || memory == Memory::default() {
            if job.run.wish.force {
                memory = Memory::default();
            }
            memory.begin(&self.settings.plan, today);
            // Before anything can fail: the retry of a run that has read nothing finds all of it still due.
            job.begin_with(&memory).await?;
        }
        // What is held counts as read in this run; the next one reads it again and judges anew.
        let mut kept = memory.clone();
        let mut done = 0;
        while let Some(window) = memory.next(&self.settings.plan, today) {
            job.step(format!("reading {window}"), done, None);
            let delivered = self.read(job, window).await?;
            let active = match &delivered {
                Delivered::Taken(rows) => last_day(rows, zone),
                Delivered::Held | Delivered::Rejected | Delivered::Unchanged => Some(today),
            };
            memory.record(window, today, active);
            if !matches!(delivered, Delivered::Held) {
                kept.record(window, today, active);
                remember(job, &kept).await?;
            }
            done += 1;
        }
        Ok(())
    }

    async fn read(&mut self, job: &mut Job, window: Window) -> Result<Delivered, Ending> {
        let (kind, bytes) = self.rows(job, window).await?;
        let scope = Some(Scope::Window { first: window.first, last: window.last });
        let name = Some(format!("{window}.{kind}"));
        job.deliver(Delivery { name, scope, ..Delivery::new(window.to_string(), bytes) }).await
    }

    /// The rows of a window: the workbook, or the list where there is none.
    async fn rows(&mut self, job: &mut Job, window: Window) -> Result<(&'static str, Bytes), Ending> {
        let mut pages: Option<Gathering<Row>> = None;
        loop {
            if self.client.needs_login() {
                self.log_in(job).await?;
            }
            let asked = match &mut pages {
                None => job.until_stopped(self.client.workbook(window)).await?.map(|bytes| ("xlsx", bytes)),
                Some(rows) => {
                    job.until_stopped(self.client.gather(window, rows)).await?.map(|()| ("", Bytes::new()))
                }
            };
            match (asked, &pages) {
                (Ok(("", _)), _) => break,
                (Ok(workbook), _) => return Ok(workbook),
                // A second time it is the end of the run.
                (Err(Error::SessionLost(_)), _) => {}
                (Err(error), None) if is_workbook_trouble(&error) => {
                    tracing::info!(%window, %error, "the list is read instead of the workbook");
                    pages = Some(Gathering::new(Row::key));
                }
                (Err(error), _) => return Err(ending(&error)),
            }
        }
        let rows = pages.map(Gathering::finish).transpose();
        let rows = rows.map_err(|fault| ending(&fault.into()))?.unwrap_or_default();
        Ok(("ndjson", apart(move || ndjson(&rows)).await.into()))
    }

    /// Logs in, with the attempt written down before and its answer after. It is not ended half-way:
    /// an attempt without an answer could cost the account.
    async fn log_in(&mut self, job: &mut Job) -> Result<(), Ending> {
        let account: Account = job.attempt().await?;
        let answer = self.client.login(&account.username, &account.password, job.now()).await;
        match &answer {
            Ok(()) => job.answered(Answer::Accepted).await?,
            Err(error) => {
                if let Some(answer) = verdict(error) {
                    job.answered(answer).await?;
                }
            }
        }
        answer.map_err(|error| ending(&error))
    }
}

/// Makes a memory the checkpoint, on the disk too.
async fn remember(job: &mut Job, memory: &Memory) -> Result<(), Ending> {
    job.remember(memory)?;
    job.save().await
}

/// What a failed login says of the credentials; none: nothing for certain.
fn verdict(error: &Error) -> Option<Answer> {
    use crate::fetch::Failure;
    match error {
        Error::Refused(_) if error.kind() == Failure::Credentials => {
            Some(Answer::Refused(Fault::new(error.code(), error.to_string())))
        }
        // The portal speaks of the account, and does not say whether it has judged the password.
        Error::Refused(_) => Some(Answer::Unjudged),
        Error::Unanswered(_) | Error::Unproven => None,
        // The password had not been sent yet.
        _ => Some(Answer::Nothing),
    }
}

/// Whether the workbook alone is the trouble, so that the list may still be read.
fn is_workbook_trouble(error: &Error) -> bool {
    matches!(error, Error::PageForWorkbook | Error::NoSheets | Error::Stub(_) | Error::NotAWorkbook(_))
}

fn ending(error: &Error) -> Ending {
    failed(error.kind(), error.code(), error)
}
