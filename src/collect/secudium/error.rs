//! Every way in which the portal fails, by a name of its own and with its cure.

use crate::collect::portal::{GatherFault, WebError};
use crate::fetch::Failure;
use thiserror::Error;

/// Why there is no session, or no data.
#[derive(Debug, Error)]
pub enum Error {
    /// No answer, or none within limits.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Somebody is logged in with this account, and the operator has not said to end that session.
    #[error(
        "somebody is logged in with this account; the next scheduled run tries again, or set \
         take_over_session to end that session"
    )]
    AlreadyLoggedIn,
    /// The portal refuses the login. It has no code of its own for a wrong password that is known.
    #[error("the portal refuses the login ({code}: {message}); set the credentials anew")]
    Refused {
        /// The portal's code.
        code: String,
        /// What it says of it.
        message: String,
    },
    /// The one-time code is not six digits; it was not sent.
    #[error("a one-time code is six digits")]
    BadCode,
    /// The portal refuses the one-time code.
    #[error("the one-time code is wrong or too old (three wrong ones lock the account); start the run again")]
    WrongCode,
    /// The password was sent and what became of it is unknown: it may count as a wrong one.
    #[error("the portal did not say whether the login is right: {0}")]
    Unanswered(String, Failure),
    /// The login was accepted with a token that opens nothing.
    #[error("the portal accepted the login but its token opens nothing; see whether it has changed")]
    Unproven,
    /// There is no session, or it is over.
    #[error("the session with the portal is over; has somebody else logged in with this account?")]
    SessionGone,
    /// The list is not what it was.
    #[error("the portal gave something that is not its list of posts")]
    NotTheList,
    /// A page in place of an attachment.
    #[error("the portal gave a page in place of {0}")]
    PageForAttachment(String),
    /// Nothing in place of an attachment.
    #[error("the portal gave nothing in place of {0}")]
    EmptyAttachment(String),
    /// An attachment that is no workbook.
    #[error("{0} is no workbook")]
    NotAWorkbook(String),
    /// A status that is none of those the portal is known to give.
    #[error("the portal answers with status {0}")]
    Status(u16),
    /// The pages of the list do not make a list.
    #[error(transparent)]
    Pages(#[from] GatherFault),
}

impl Error {
    /// What to do.
    pub fn kind(&self) -> Failure {
        match self {
            Self::Web(error) => error.kind(),
            Self::Unanswered(_, kind) => *kind,
            Self::Refused { .. } => Failure::Credentials,
            Self::BadCode | Self::WrongCode | Self::Unproven => Failure::Attention,
            Self::Status(403 | 429) => Failure::Blocked,
            Self::Status(500..) | Self::SessionGone | Self::Pages(GatherFault::Incomplete { .. }) => {
                Failure::SOON
            }
            _ => Failure::Broken,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Web(error) => error.code(),
            Self::AlreadyLoggedIn => "already_logged_in",
            Self::Refused { .. } => "login_refused",
            Self::BadCode => "bad_code",
            Self::WrongCode => "wrong_code",
            Self::Unanswered(..) => "login_unanswered",
            Self::Unproven => "login_unproven",
            Self::SessionGone => "session_gone",
            Self::NotTheList => "not_the_list",
            Self::PageForAttachment(_) => "page_for_attachment",
            Self::EmptyAttachment(_) => "empty_attachment",
            Self::NotAWorkbook(_) => "not_a_workbook",
            Self::Status(_) => "unexpected_status",
            Self::Pages(fault) => fault.code(),
        }
    }
}
