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
    /// The portal refuses the login and says why.
    #[error("the portal refuses the login: {0}")]
    Refused(Refusal),
    /// The password was sent and what became of it is unknown: it may count as a wrong one.
    #[error("the portal did not say whether the login is right: {0}")]
    Unanswered(Silence),
    /// Instead of the login page something else came; the password was not sent.
    #[error("the portal does not show its login page; see whether it is under maintenance or has changed")]
    NoLoginPage,
    /// The login was not refused, and nothing proves it.
    #[error("the portal accepted the login but shows no session; see whether it has changed")]
    Unproven,
    /// The session is over; log in and ask again.
    #[error("the session with the portal is over ({0})")]
    SessionLost(&'static str),
    /// It was over a second time.
    #[error(
        "the session with the portal is over again after a new login ({0}); is somebody else using the account?"
    )]
    SessionLostAgain(&'static str),
    /// The portal's firewall has had enough of us.
    #[error("the portal blocks: {0}, several times in a row; the run pauses and goes on later")]
    Blocked(Signal),
    /// The portal refuses addresses outside Korea, in the middle of a session.
    #[error("{}", Refusal::Foreign)]
    Foreign,
    /// The login page, said to be data.
    #[error("the portal gave its login page in place of data")]
    LoginPage,
    /// A page, said to be a workbook.
    #[error("the portal gave a page in place of the workbook")]
    PageForWorkbook,
    /// A workbook in which there is no sheet.
    #[error("the portal gave a workbook without a sheet")]
    NoSheets,
    /// A few bytes that are no workbook.
    #[error("the portal gave {0} bytes that are no workbook")]
    Stub(usize),
    /// Many bytes that are no workbook.
    #[error("the portal gave something that is no workbook ({0} bytes)")]
    NotAWorkbook(usize),
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
            Self::Web(error) | Self::Unanswered(Silence::Web(error)) => error.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Unanswered(Silence::Blocked(_)) | Self::Blocked(_) => Failure::Blocked,
            Self::Unproven | Self::Foreign => Failure::Attention,
            Self::SessionLost(_)
            | Self::Status(500..)
            | Self::Unanswered(Silence::Strange(500..))
            | Self::Pages(GatherFault::Incomplete { .. }) => Failure::SOON,
            _ => Failure::Broken,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Web(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Unanswered(_) => "login_unanswered",
            Self::NoLoginPage => "no_login_page",
            Self::Unproven => "login_unproven",
            Self::SessionLost(_) => "session_lost",
            Self::SessionLostAgain(_) => "session_lost_again",
            Self::Blocked(signal) => signal.code(),
            Self::Foreign => Refusal::Foreign.code(),
            Self::LoginPage => "login_page",
            Self::PageForWorkbook => "page_for_workbook",
            Self::NoSheets => "workbook_without_sheets",
            Self::Stub(_) => "workbook_stub",
            Self::NotAWorkbook(_) => "not_a_workbook",
            Self::Status(_) => "unexpected_status",
            Self::Pages(fault) => fault.code(),
        }
    }
}

/// What the portal has against a login. What may have counted as a wrong password ends the credentials; the
/// rest is for a person to clear up at the portal.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// Name and password do not match.
    #[error("name or password is wrong; set the credentials anew (repeated attempts lock the account)")]
    Wrong,
    /// The second step turned it away.
    #[error("the login was turned away; log in by hand once and set the credentials anew")]
    TurnedAway,
    /// A certification by e-mail is due.
    #[error("the account must be certified by e-mail; log in by hand and do so")]
    Certification,
    /// Locked after failed logins.
    #[error(
        "the account is locked after failed logins; have it unlocked by the portal, and set the credentials anew"
    )]
    Locked,
    /// What the server says itself.
    #[error("{0}")]
    Message(String),
    /// Not used for too long.
    #[error("the account is dormant; wake it by logging in by hand")]
    Dormant,
    /// New terms to consent to.
    #[error("the portal asks for consent to its terms; log in by hand and give it")]
    Consent,
    /// The account's lock is being checked.
    #[error("the portal checks whether the account is locked; log in by hand")]
    LockCheck,
    /// Only addresses in Korea may log in.
    #[error("the portal refuses addresses outside Korea; use a proxy in Korea")]
    Foreign,
    /// A code that is not known yet.
    #[error("code {code}: {message}")]
    Unknown {
        /// The portal's code.
        code: String,
        /// What it says of it.
        message: String,
    },
}

impl Refusal {
    /// What a code of the first step means; `None`: it is not one that refuses.
    pub(super) fn of_code(code: &str, message: &str) -> Option<Self> {
        Some(match code {
            "E00010002" | "E00010201" => Self::Wrong,
            "E00010203" => Self::Certification,
            "E00010204" => Self::Locked,
            "E00010205" => Self::Message(message.to_owned()),
            "E00010206" => Self::Dormant,
            "E00010207" => Self::Consent,
            "E00010209" => Self::LockCheck,
            "E00010601" => Self::Foreign,
            code if code.starts_with('E') => {
                Self::Unknown { code: code.to_owned(), message: message.to_owned() }
            }
            _ => return None,
        })
    }

    const fn kind(&self) -> Failure {
        match self {
            Self::Wrong | Self::TurnedAway => Failure::Credentials,
            // Whether the password was judged is not known, or it was, too often.
            Self::Locked | Self::Message(_) | Self::Unknown { .. } => Failure::Credentials,
            Self::Certification | Self::Dormant | Self::Consent | Self::LockCheck | Self::Foreign => {
                Failure::Attention
            }
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Wrong => "wrong_credentials",
            Self::TurnedAway => "login_turned_away",
            Self::Certification => "certification_needed",
            Self::Locked => "account_locked",
            Self::Message(_) => "portal_message",
            Self::Dormant => "account_dormant",
            Self::Consent => "consent_needed",
            Self::LockCheck => "account_lock_check",
            Self::Foreign => "foreign_address",
            Self::Unknown { .. } => "login_refused",
        }
    }
}

/// By what the portal's firewall is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Signal {
    /// Status 200 and nothing.
    #[error("it answers with nothing")]
    Empty,
    /// Status 403.
    #[error("it forbids access (403)")]
    Forbidden,
    /// Status 429.
    #[error("it calls the requests too many (429)")]
    TooMany,
    /// A page without the list.
    #[error("its page holds no list")]
    NoTable,
}

impl Signal {
    const fn code(self) -> &'static str {
        match self {
            Self::Empty => "blocked_empty",
            Self::Forbidden => "blocked_forbidden",
            Self::TooMany => "blocked_too_many",
            Self::NoTable => "blocked_no_table",
        }
    }
}

/// Why the fate of a password that was sent is unknown.
#[derive(Debug, Error)]
pub enum Silence {
    /// No whole answer.
    #[error(transparent)]
    Web(WebError),
    /// A block signal.
    #[error("{0}")]
    Blocked(Signal),
    /// An answer that says nothing about it.
    #[error("the answer has status {0} and is none that is known")]
    Strange(u16),
    /// A code that is known neither to refuse nor to let pass.
    #[error(
        "it answers with code {0:?}, which is not known; if a login by hand works, add it to regtech.pass_codes, and \
         set the credentials again"
    )]
    Code(String),
}
