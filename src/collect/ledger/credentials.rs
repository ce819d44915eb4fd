//! What is written down about a source's credentials: sealed, with the attempts to log in.
//!
//! Pure: the rule that keeps an account from being locked is here, and the time comes with the data.

use crate::collect::run::Fault;
use crate::model::Time;
use serde::{Deserialize, Serialize};

/// Attempts without an answer, in a row, that credentials which were right once may cost. They may have
/// become wrong since, portals lock an account after five wrong ones, and its people need some themselves.
const UNANSWERED: usize = 3;
/// Seconds from one of those to the next: a bad hour at the portal must not cost them all.
const PAUSE: i64 = 20 * 3_600;

/// One version of the credentials of a source.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Counts the changes.
    pub version: u64,
    /// What the vault made of them.
    pub sealed: Vec<u8>,
    /// When they were set.
    pub since: Time,
    /// By whom.
    pub actor: String,
    /// Whether the other side has accepted this version once.
    pub proven: bool,
    /// When the attempts began that have no answer, since the last that had one.
    #[serde(default)]
    pub unanswered: Vec<Time>,
    /// The answer that ended this version.
    pub refused: Option<Fault>,
}

/// Why no attempt may be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAttempt {
    /// They were wrong already.
    #[error("these credentials were refused ({}); set the right ones", .0.detail)]
    Refused(Fault),
    /// The last attempt has no answer, and they were never right: it may have been a wrong one.
    #[error(
        "the attempt to log in of {0} has no answer, and these credentials have never been accepted: another one \
         could lock the account; set the credentials again when you are sure of them"
    )]
    Unanswered(Time),
    /// They were right once, and so many attempts have no answer that they may have become wrong.
    #[error(
        "the last {count} attempts to log in, since {since}, have no answer: another one could lock the account if \
         the password has changed; log in by hand, and switch the source on again, or set the credentials"
    )]
    Repeated {
        /// When the first of them began.
        since: Time,
        /// How many.
        count: usize,
    },
    /// They were right once, and the last attempt has no answer: the next may be made later.
    #[error(
        "the last attempt to log in has no answer, and so the next is made at {0}, lest a passing fault costs all \
         that may go unanswered; log in by hand and switch the source on again to have it sooner"
    )]
    Pausing(Time),
}

impl NoAttempt {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "credentials_refused",
            Self::Unanswered(_) | Self::Repeated { .. } | Self::Pausing(_) => "login_unanswered",
        }
    }

    /// Whether only another version helps; else it is enough that a person has looked.
    pub const fn needs_others(&self) -> bool {
        !matches!(self, Self::Repeated { .. } | Self::Pausing(_))
    }
}

impl Credentials {
    /// New credentials, of which nothing is known.
    pub fn new(version: u64, sealed: Vec<u8>, since: Time, actor: String) -> Self {
        Self { version, sealed, since, actor, proven: false, unanswered: Vec::new(), refused: None }
    }

    /// Whether an attempt may be made now.
    ///
    /// # Errors
    /// Why not.
    pub fn may_attempt(&self, now: Time) -> Result<(), NoAttempt> {
        if let Some(fault) = &self.refused {
            return Err(NoAttempt::Refused(fault.clone()));
        }
        match self.unanswered[..] {
            [at, ..] if !self.proven => Err(NoAttempt::Unanswered(at)),
            [since, ..] if self.unanswered.len() >= UNANSWERED => {
                Err(NoAttempt::Repeated { since, count: self.unanswered.len() })
            }
            // One in the future was written down by a clock that was wrong.
            [.., last] if (last..last.plus(PAUSE)).contains(&now) => {
                Err(NoAttempt::Pausing(last.plus(PAUSE)))
            }
            _ => Ok(()),
        }
    }

    /// An attempt begins; to be on the disk before the other side hears of it.
    ///
    /// # Errors
    /// As [`Self::may_attempt`].
    pub fn begin(&mut self, now: Time) -> Result<(), NoAttempt> {
        self.may_attempt(now)?;
        self.unanswered.push(now);
        Ok(())
    }

    /// The attempt that began then was answered. To say so twice is to say it once: whether a failed write
    /// has reached the disk is not known.
    pub fn answer(&mut self, began: Time, answer: Answer) {
        match answer {
            Answer::Accepted => {
                self.proven = true;
                self.unanswered.clear();
            }
            Answer::Refused(fault) => {
                self.refused = Some(fault);
                self.unanswered.clear();
            }
            Answer::Unjudged if !self.proven => {}
            Answer::Unjudged | Answer::Nothing => drop(self.unanswered.pop_if(|last| *last == began)),
        }
    }

    /// A person has looked, and says that credentials which were right once still are.
    pub fn trust(&mut self) {
        if self.proven {
            self.unanswered.clear();
        }
    }
}

/// What the other side said to an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// They are right.
    Accepted,
    /// They are wrong.
    Refused(Fault),
    /// Nothing about them: it was not reached, or answered something else for certain.
    Nothing,
    /// It spoke of the account, and not of the password that it was sent: that may have counted as a wrong one, unless
    /// it was right before.
    Unjudged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> Credentials {
        Credentials::new(1, Vec::new(), Time::default(), "admin".to_owned())
    }

    fn wrong() -> Answer {
        Answer::Refused(Fault::new("password_wrong", "wrong"))
    }

    fn at(second: i64) -> Time {
        Time::from_unix(second)
    }

    fn proven() -> Credentials {
        let mut credentials = fresh();
        credentials.begin(at(0)).unwrap();
        credentials.answer(at(0), Answer::Accepted);
        credentials
    }

    #[test]
    fn a_wrong_answer_ends_the_version_even_one_that_was_right_before() {
        let mut credentials = proven();
        credentials.begin(at(1)).unwrap();
        credentials.answer(at(1), wrong());
        let refusal = credentials.begin(at(2)).unwrap_err();
        assert_eq!((refusal.code(), refusal.needs_others()), ("credentials_refused", true));
        credentials.trust();
        assert!(credentials.may_attempt(at(3)).is_err(), "nobody's word makes a wrong password right");
    }

    #[test]
    fn an_unanswered_attempt_counts_as_wrong_where_the_version_has_never_succeeded() {
        let mut credentials = fresh();
        credentials.begin(at(0)).unwrap();
        let refusal = credentials.begin(at(1)).unwrap_err();
        assert_eq!((refusal.code(), refusal.needs_others()), ("login_unanswered", true));
        credentials.trust();
        assert!(credentials.may_attempt(at(2)).is_err(), "they were never right");
    }

    #[test]
    fn a_version_that_succeeded_has_three_attempts_without_an_answer_until_a_person_has_looked() {
        let mut credentials = proven();
        for day in 1..=3 {
            credentials.begin(at(day * PAUSE)).unwrap();
        }
        let refusal = credentials.begin(at(9 * PAUSE)).unwrap_err();
        assert_eq!(refusal, NoAttempt::Repeated { since: at(PAUSE), count: 3 });
        assert_eq!((refusal.code(), refusal.needs_others()), ("login_unanswered", false));
        credentials.trust();
        credentials.begin(at(9 * PAUSE)).unwrap();
        credentials.answer(at(9 * PAUSE), Answer::Accepted);
        assert!(credentials.unanswered.is_empty());
    }

    #[test]
    fn attempts_without_an_answer_are_spread_over_days() {
        let mut credentials = proven();
        credentials.begin(at(100)).unwrap();
        let until = at(100 + PAUSE);
        let refusal = credentials.begin(until.plus(-1)).unwrap_err();
        assert_eq!((&refusal, refusal.needs_others()), (&NoAttempt::Pausing(until), false));
        assert!(credentials.may_attempt(at(99)).is_ok(), "a clock that was wrong");
        credentials.begin(until).unwrap();
        credentials.trust();
        assert!(credentials.may_attempt(until.plus(1)).is_ok(), "a person has looked");
    }

    #[test]
    fn an_answer_that_does_not_judge_a_password_that_was_never_right_lets_no_other_attempt_follow() {
        let mut credentials = fresh();
        credentials.begin(at(0)).unwrap();
        credentials.answer(at(0), Answer::Unjudged);
        assert_eq!(credentials.may_attempt(at(9)), Err(NoAttempt::Unanswered(at(0))));
        let mut credentials = proven();
        credentials.begin(at(1)).unwrap();
        credentials.answer(at(1), Answer::Unjudged);
        assert!(credentials.may_attempt(at(2)).is_ok());
    }

    #[test]
    fn an_attempt_that_never_arrived_costs_nothing_and_takes_no_other_back() {
        let mut credentials = fresh();
        for second in 0..3 {
            credentials.begin(at(second)).unwrap();
            credentials.answer(at(second), Answer::Nothing);
        }
        assert!(credentials.may_attempt(at(3)).is_ok() && !credentials.proven);
        let mut credentials = proven();
        credentials.begin(at(1)).unwrap();
        credentials.begin(at(1 + PAUSE)).unwrap();
        for _ in 0..2 {
            credentials.answer(at(1 + PAUSE), Answer::Nothing);
        }
        assert_eq!(credentials.unanswered, [at(1)], "an answer that is written twice counts once");
    }

    proptest! {
        /// Whatever happens, crashes and a password that is changed at the portal included: from one answer or
        /// person's word to the next the other side hears at most three wrong passwords, and at most one of a
        /// version that was never right.
        #[test]
        fn wrong_attempts_are_few(right in any::<bool>(), story in proptest::collection::vec(0_u8..12, 0..60)) {
            let (mut credentials, mut wrong_ones, mut is_right) = (fresh(), 0, right);
            for (day, step) in (0..).zip(story) {
                let second = day * PAUSE;
                match step {
                    0 => is_right = !is_right,
                    1 => {
                        wrong_ones *= u32::from(!credentials.proven || credentials.refused.is_some());
                        credentials.trust();
                    }
                    _ if credentials.begin(at(second)).is_err() => {}
                    2 => credentials.answer(at(second), Answer::Nothing),
                    3 => {
                        // Arrived, and may have been judged although nothing was said of it.
                        wrong_ones += u32::from(!is_right && !credentials.proven);
                        credentials.answer(at(second), Answer::Unjudged);
                    }
                    // Arrived, and the answer was lost in a crash.
                    4..8 => wrong_ones += u32::from(!is_right),
                    _ if is_right => {
                        credentials.answer(at(second), Answer::Accepted);
                        wrong_ones = 0;
                    }
                    _ => {
                        wrong_ones += 1;
                        credentials.answer(at(second), wrong());
                    }
                }
                let most = if credentials.proven { 3 } else { 1 };
                prop_assert!(wrong_ones <= most);
            }
        }
    }
}
