//! What a reader shows for itself: a token in the path or a header, HTTP's Basic scheme, a certificate, or where it asks
//! from. The same for everything that is published, so that a device is one reader whatever it speaks.

use crate::model::OutputName;
use crate::publish::{Answer, Claim, Denied, Publisher, Reader, Refused, Release};
use crate::rights::Right;
use crate::web::claim::{Credentials, credentials};
use crate::web::tls::Secured;
use crate::web::{Caller, Peer, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Extensions, HeaderMap};

/// The code for whoever shows nothing, and asks from where nobody is known.
pub(super) const NO_KEY: &str = "key_missing";

/// So long a reader waits until its key can be looked up, in seconds.
const SOON: u32 = 60;

/// What somebody shows.
pub(super) struct Showing<'a> {
    pub(super) caller: &'a Caller,
    pub(super) headers: &'a HeaderMap,
    /// The key in the path.
    pub(super) token: Option<&'a str>,
    /// The digest of the certificate that the connection showed.
    pub(super) certificate: Option<&'a [u8; 32]>,
}

/// The digest of the certificate that a request's connection showed.
pub(super) fn certificate(extensions: &Extensions) -> Option<&[u8; 32]> {
    extensions.get::<Secured>().and_then(|secured| secured.certificate.as_ref())
}

/// Who asks for `feed`, if they may read it.
///
/// # Errors
/// As [`anybody`], and 403 for a feed that the device does not read.
pub(super) fn reader(
    publisher: &Publisher,
    showing: &Showing<'_>,
    feed: &OutputName,
) -> Result<Reader, Problem> {
    let reader = anybody(publisher, showing)?;
    if publisher.reads(&reader, feed) { Ok(reader) } else { Err(other_feed()) }
}

/// 403: the feed is not for this reader.
pub(super) fn other_feed() -> Problem {
    Problem::forbidden("other_feed").detail("This device does not read this feed.")
}

/// Who asks, if they may read anything.
///
/// # Errors
/// 401 for a key that is wrong or missing. A passing fault is a 503: on a 401 some firewalls stop enforcing.
pub(super) fn anybody(publisher: &Publisher, showing: &Showing<'_>) -> Result<Reader, Problem> {
    let Showing { caller, headers, token, certificate } = *showing;
    if caller.peer == Peer::Local || caller.is_somebody_with(Right::Feeds) {
        return Ok(Reader::Administrator);
    }
    let shown = credentials(headers).map_err(|_| wrong())?;
    let pair = match shown {
        Credentials::Basic(encoded) => STANDARD.decode(encoded).map_err(|_| wrong())?,
        _ => Vec::new(),
    };
    let claim = match (token, shown) {
        (Some(token), _) | (None, Credentials::Token(token)) => Claim::Token(token),
        // A key counts before a certificate, which the connection of another may have.
        (None, Credentials::Nothing) => certificate.map_or(Claim::Nothing, Claim::Certificate),
        (None, Credentials::Basic(_)) => Claim::Basic(&pair),
    };
    publisher.admit(claim, caller.peer.network()).map_err(|refused| match refused {
        Refused::Unknown => {
            Problem::unavailable("keys_unknown", SOON).detail("Keys cannot be looked up now.")
        }
        // Somebody who may not read feeds shows no wrong key.
        Refused::Denied(Denied::WrongKey) => match &caller.who {
            Some(_) => caller.demand(Right::Feeds).err().unwrap_or_else(wrong),
            None => wrong(),
        },
        Refused::Denied(Denied::NoKey) => missing(),
    })
}

/// Notes that a reader was given a release in pages or pieces, whose bytes nobody has counted; with the last of them it
/// `has_all`.
pub(super) fn note(
    publisher: &Publisher,
    (reader, caller): (&Reader, &Caller),
    document: &str,
    release: &Release,
    has_all: bool,
) {
    if caller.peer == Peer::Local {
        return;
    }
    let (at, from) = (publisher.engine().now(), caller.peer.address());
    let Release { generation, modified, .. } = *release;
    publisher
        .note(reader, Answer { document, at, from, generation, modified, status: 200, bytes: 0, has_all });
}

const REALM: &str = r#"Basic realm="ironlist", charset="UTF-8""#;

/// 401: nothing is shown.
pub(super) fn missing() -> Problem {
    Problem::unauthorized(NO_KEY, REALM).detail(
        "This needs a key: a name and a password, or a token, in a feed's path as /f/TOKEN/NAME. \
         `ironlist device key NAME` makes them.",
    )
}

fn wrong() -> Problem {
    Problem::unauthorized("key_wrong", REALM).detail("The key is wrong.")
}
