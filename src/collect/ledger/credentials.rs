//! What is written down about a source's credentials: sealed, with the attempts to log in.
//!
//! Pure: the rule that keeps an account from being locked is here, and the time comes with the data.

use crate::collect::run::Fault;
use crate::model::Time;
use serde::{Deserialize, Serialize};

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
    /// An attempt that has begun and has no answer.
    pub attempt: Option<Time>,
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
}

impl NoAttempt {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "credentials_refused",
            Self::Unanswered(_) => "login_unanswered",
        }
    }
}

impl Credentials {
    /// New credentials, of which nothing is known.
    pub fn new(version: u64, sealed: Vec<u8>, since: Time, actor: String) -> Self {
        Self { version, sealed, since, actor, proven: false, attempt: None, refused: None }
    }

    /// Whether an attempt may be made.
    ///
    /// # Errors
    /// Why not; only another version helps then.
    pub fn may_attempt(&self) -> Result<(), NoAttempt> {
        match (&self.refused, self.attempt) {
            (Some(fault), _) => Err(NoAttempt::Refused(fault.clone())),
            (None, Some(at)) if !self.proven => Err(NoAttempt::Unanswered(at)),
            _ => Ok(()),
        }
    }

    /// An attempt begins; to be on the disk before the other side hears of it.
    ///
    /// # Errors
    /// As [`Self::may_attempt`].
    pub fn begin(&mut self, now: Time) -> Result<(), NoAttempt> {
        self.may_attempt()?;
        self.attempt = Some(now);
        Ok(())
    }

    /// The attempt was answered.
    pub fn answer(&mut self, answer: Answer) {
        self.attempt = None;
        match answer {
            Answer::Accepted => self.proven = true,
            Answer::Refused(fault) => self.refused = Some(fault),
            Answer::Nothing => {}
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

    #[test]
    fn a_wrong_answer_ends_the_version_even_one_that_was_right_before() {
        let mut credentials = fresh();
        credentials.begin(Time::default()).unwrap();
        credentials.answer(Answer::Accepted);
        credentials.begin(Time::default()).unwrap();
        credentials.answer(wrong());
        assert_eq!(credentials.begin(Time::default()).unwrap_err().code(), "credentials_refused");
    }

    #[test]
    fn an_unanswered_attempt_counts_as_wrong_unless_the_version_has_succeeded_before() {
        let mut credentials = fresh();
        credentials.begin(Time::default()).unwrap();
        assert_eq!(credentials.begin(Time::default()).unwrap_err().code(), "login_unanswered");
        credentials.proven = true;
        assert!(credentials.begin(Time::default()).is_ok());
    }

    #[test]
    fn an_attempt_that_never_arrived_costs_nothing() {
        let mut credentials = fresh();
        for _ in 0..3 {
            credentials.begin(Time::default()).unwrap();
            credentials.answer(Answer::Nothing);
        }
        assert!(credentials.may_attempt().is_ok() && !credentials.proven);
    }

    proptest! {
        /// Whatever happens, crashes included, the other side hears at most one wrong password a version.
        #[test]
        fn at_most_one_wrong_attempt_is_ever_made(right in any::<bool>(), story in proptest::collection::vec(0_u8..4, 0..40)) {
            let (mut credentials, mut wrong_ones) = (fresh(), 0);
            for step in story {
                if credentials.begin(Time::default()).is_err() {
                    continue;
                }
                match step {
                    // Never arrived.
                    0 => credentials.answer(Answer::Nothing),
                    // Arrived, and the answer was lost in a crash.
                    1 => wrong_ones += u32::from(!right),
                    _ if right => credentials.answer(Answer::Accepted),
                    _ => {
                        wrong_ones += 1;
                        credentials.answer(wrong());
                    }
                }
            }
            prop_assert!(wrong_ones <= 1);
        }
    }
}
