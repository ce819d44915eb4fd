//! What the guard asks in a process without the blacklist role: the process that has it. Answers are remembered for a
//! moment, so that what was ended there ends here within five seconds.

use super::super::journal::Remote;
use super::authority::name_of;
use super::internal::{Answer, Asked, CLAIMS, Often, REFUSALS};
use crate::disk::{Digest, digest};
use crate::identity::Refusal;
use crate::web::claim::{Authority, Claim, Found, Refused, Unproven};
use crate::web::shares::{Shares, subscriber};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// So long an answer is remembered. With the time that it takes to come it is less than five seconds.
const REMEMBERED: Duration = Duration::from_secs(4);
/// So many answers are.
const ANSWERS: u64 = 20_000;
/// So long the other process may think.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many questions are on their way at once, of which an address has its share; who comes beyond them cannot be looked
/// up now.
const QUESTIONS: usize = 64;
const SHARE: usize = QUESTIONS / 4;
/// So long it is remembered that a key was somebody's.
const KNOWN: Duration = Duration::from_secs(3600);
/// Refusals wait for so long to be told, and so many different ones; what comes beyond is told as how often.
const TICK: Duration = Duration::from_secs(5);
const REFUSALS_WAITING: usize = 1_000;

/// The authority in another process.
pub struct Elsewhere {
    owner: Remote,
    answers: moka::sync::Cache<Digest, Found>,
    /// What was somebody's of late.
    known: moka::sync::Cache<Digest, ()>,
    questions: Semaphore,
    shares: Arc<Shares<IpAddr>>,
    /// How often each.
    refusals: Mutex<HashMap<Refusal, u64>>,
}

impl Elsewhere {
    /// The one that `owner` speaks for.
    pub fn new(owner: Remote) -> Self {
        let answers = moka::sync::Cache::builder().max_capacity(ANSWERS).time_to_live(REMEMBERED).build();
        let known = moka::sync::Cache::builder().max_capacity(ANSWERS).time_to_live(KNOWN).build();
        let (questions, shares) = (Semaphore::new(QUESTIONS), Shares::new(SHARE));
        Self { owner, answers, known, questions, shares, refusals: Mutex::default() }
    }

    async fn look_up(&self, claim: Claim<'_>, from: IpAddr) -> Found {
        let Some(_share) = self.shares.take(subscriber(from)) else { return Err(Unproven::Unknown) };
        let Ok(_question) = self.questions.try_acquire() else { return Err(Unproven::Unknown) };
        match self.owner.tell(CLAIMS, &Asked::new(claim, from), PATIENCE).await {
            Ok(answer) => Answer::found(answer),
            Err(error) => {
                tracing::warn!(error, "keys cannot be looked up at the process with the blacklist role");
                Err(Unproven::Unknown)
            }
        }
    }

    /// Tells the other process who was refused here, until `stop`, and a last time then.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let is_over = tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(TICK) => false,
            };
            let waiting = std::mem::take(&mut *self.waiting()).into_iter();
            let refusals: Vec<Often> = waiting.map(|(refusal, count)| Often { refusal, count }).collect();
            if !refusals.is_empty()
                && let Err(error) = self.owner.tell::<serde_json::Value>(REFUSALS, &refusals, PATIENCE).await
            {
                tracing::warn!(error, count = refusals.len(), "refusals could not be told");
                refusals.into_iter().for_each(|Often { refusal, count }| self.wait(refusal, count));
            }
            if is_over {
                return;
            }
        }
    }

    fn wait(&self, refusal: Refusal, count: u64) {
        let mut waiting = self.waiting();
        let is_one_of_many = waiting.len() >= REFUSALS_WAITING && !waiting.contains_key(&refusal);
        let refusal = if is_one_of_many { Refusal::new("others", None, "", &refusal.why) } else { refusal };
        *waiting.entry(refusal).or_default() += count;
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Refusal, u64>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority for Elsewhere {
    fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found> {
        self.answers.get(&mark(claim, from))
    }

    fn ask<'a>(&'a self, claim: Claim<'a>, from: IpAddr) -> BoxFuture<'a, Found> {
        Box::pin(async move {
            let found = self.look_up(claim, from).await;
            let mark = mark(claim, from);
            match &found {
                Ok(_) => self.known.insert(mark, ()),
                Err(Unproven::Unknown) => return found,
                Err(_) => self.known.invalidate(&mark),
            }
            self.answers.insert(mark, found.clone());
            found
        })
    }

    fn is_known(&self, claim: Claim<'_>, from: IpAddr) -> bool {
        self.known.contains_key(&mark(claim, from))
    }

    fn refused(&self, refused: Refused<'_>) {
        let claimed = name_of(refused.claimed);
        self.wait(Refusal::new(&claimed, Some(refused.from), refused.what, refused.why), 1);
    }
}

/// Under what an answer is remembered: what was shown, and whence, which matters to a key with networks.
fn mark(claim: Claim<'_>, from: IpAddr) -> Digest {
    let from = match from.to_canonical() {
        IpAddr::V4(from) => from.to_ipv6_mapped().octets(),
        IpAddr::V6(from) => from.octets(),
    };
    match claim {
        Claim::Key(key) => digest(&[b"key", &from, &key.digest]),
        Claim::Certificate(print) => digest(&[b"certificate", &from, print]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::claim::Key;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn one_address_has_a_share_of_the_questions_and_others_find_room() {
        let owner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", owner.local_addr().unwrap());
        let authority = Arc::new(Elsewhere::new(Remote::new(&url, "key", None).unwrap()));
        let asks = |last: u8| {
            let authority = Arc::clone(&authority);
            tokio::spawn(async move {
                authority.ask(Claim::Key(Key::of("made up")), [192, 0, 2, last].into()).await
            })
        };
        // Nobody answers, so that each question is on its way for as long as it may be.
        let flood: Vec<_> = (0..QUESTIONS * 2).map(|_| asks(1)).collect();
        tokio::time::sleep(PATIENCE / 4).await;
        assert_eq!(flood.iter().filter(|asked| asked.is_finished()).count(), QUESTIONS * 2 - SHARE);
        let other = asks(2);
        tokio::time::sleep(PATIENCE / 4).await;
        assert!(!other.is_finished(), "it is asked about");
    }
}
