//! Who asks: what a request shows for itself, and who that is.
//!
//! Keys themselves are never kept here, only digests; they must not appear in any log or answer. Who has which key is
//! for an [`Authority`] to say.

use super::app::{Caller, Peer};
use super::body::Request;
use super::log::{Seen, without_token};
use super::problem::Problem;
use super::tls::Secured;
use super::vouch::{self, Vouched};
use crate::rights::{Identity, Right, Rights};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method, StatusCode};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The header for programs that cannot set `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The longest key that anybody looks at, in bytes.
const LONGEST: usize = 4096;

/// Keys, as their digests.
#[derive(Clone, Default)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Whether `presented` is one of them. Digests are compared, so that neither the time nor the length says anything
    /// about a key.
    pub fn has(&self, presented: &[u8]) -> bool {
        let digest = Sha256::digest(presented);
        self.0.iter().fold(false, |found, key| found | bool::from(digest.as_slice().ct_eq(key)))
    }
}

impl<'k> FromIterator<&'k str> for Keys {
    fn from_iter<I: IntoIterator<Item = &'k str>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect())
    }
}

/// What a caller shows for itself.
#[derive(Clone, Copy)]
pub enum Claim<'a> {
    /// A key or token, as `Authorization: Bearer` or `X-API-Key`.
    Key(&'a str),
    /// The SHA-256 of the certificate (DER) whose key the caller has proved to hold.
    Certificate(&'a [u8; 32]),
}

/// Why a claim makes nobody known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unproven {
    /// It is nobody's.
    Wrong,
    /// It was somebody's, and is over.
    Expired,
    /// It is somebody's, who may not ask from there.
    Elsewhere,
    /// It cannot be looked up now.
    Unknown,
}

/// Who makes a claim.
pub type Found = Result<Arc<Identity>, Unproven>;

/// Somebody who was refused something.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// Who they are, or wanted to be.
    pub claimed: Claimed<'a>,
    /// From where.
    pub from: IpAddr,
    /// What for: method and path, or the path alone.
    pub what: &'a str,
    /// The answer's code.
    pub why: &'static str,
}

/// Who is refused.
#[derive(Clone, Copy)]
pub enum Claimed<'a> {
    /// Whoever shows this.
    Shown(Claim<'a>),
    /// Somebody who is known.
    Known(&'a Identity),
    /// Somebody who says so.
    Named(&'a str),
    /// Nobody in particular.
    Nobody,
}

/// Whoever knows whose a key is: in this process, or in another that is asked.
pub trait Authority: Send + Sync {
    /// Who shows `claim` from `address`, where that can be said without waiting.
    fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found>;

    /// The same, after asking whoever knows.
    fn ask<'a>(&'a self, claim: Claim<'a>, from: IpAddr) -> BoxFuture<'a, Found>;

    /// Hears of a refusal; it must not wait.
    fn refused(&self, _: Refused<'_>) {}
}

/// Finds out who asks, lets everybody read, and only the administrator write.
#[derive(Clone)]
pub struct Guard {
    keys: Keys,
    /// What gateways elsewhere show that have the key.
    gateways: Keys,
    installation: Arc<Identity>,
    authority: Option<Arc<dyn Authority>>,
    safe_posts: &'static [&'static str],
    /// What begins so has keys of its own.
    elsewhere: Vec<&'static str>,
}

impl Guard {
    /// A guard with the installation's key, and the paths of the POST requests that change nothing
    /// (a question too long for a GET).
    pub fn new(key: &str, safe_posts: &'static [&'static str]) -> Self {
        Self {
            keys: [key].into_iter().collect(),
            gateways: [&*vouch::word(key.as_bytes())].into_iter().collect(),
            installation: Arc::new(Identity::installation()),
            authority: None,
            safe_posts,
            elsewhere: Vec::new(),
        }
    }

    /// Believes `authority` about all other keys.
    #[must_use]
    pub fn believing(mut self, authority: Arc<dyn Authority>) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Leaves paths that begin with one of `prefixes` to their handlers, which have keys of their own: no key is wrong
    /// there for the guard, and none is missing.
    #[must_use]
    pub fn leaving(mut self, prefixes: &'static [&'static str]) -> Self {
        self.elsewhere.extend_from_slice(prefixes);
        self
    }

    /// The caller of a gateway at the other end, if there is one.
    ///
    /// # Errors
    /// 401 for what only claims to be a gateway.
    pub(super) fn vouched(&self, headers: &mut HeaderMap) -> Result<Option<Vouched>, Problem> {
        vouch::caller(headers, &self.gateways)
    }

    /// Who asks, where that can be said without waiting; whoever may use the socket of the data folder is the
    /// installation. None: [`Self::ask`].
    ///
    /// # Errors
    /// 401 when a key is given and wrong, whatever the request, 403 when it is right and may not be used from there,
    /// 503 when nobody can say.
    pub(super) fn identify(&self, asking: &Asking<'_>) -> Option<Result<Who, Problem>> {
        let claim = match asking.claim() {
            Ok(None) => {
                return Some(Ok((asking.peer == Peer::Local).then(|| Arc::clone(&self.installation))));
            }
            Ok(Some(Claim::Key(key))) if self.keys.has(key.as_bytes()) => {
                return Some(Ok(Some(Arc::clone(&self.installation))));
            }
            other => other.ok().flatten(),
        };
        let found = claim.zip(self.authority.as_ref());
        let found = found.map(|(claim, authority)| authority.at_once(claim, asking.peer.network()));
        if self.is_elsewhere(asking.path) {
            return Some(Ok(found.flatten().and_then(Result::ok)));
        }
        match (claim, found) {
            (Some(_), Some(None)) => None,
            (Some(claim), Some(Some(found))) => Some(self.judge(found, claim, asking)),
            (Some(Claim::Certificate(_)), None) => Some(Ok(None)),
            (claim, _) => Some(Err(self.refuse(key_wrong(), claim, asking))),
        }
    }

    /// Who asks, after asking whoever knows.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub(super) async fn ask(&self, asking: &Asking<'_>) -> Result<Who, Problem> {
        let (Ok(Some(claim)), Some(authority)) = (asking.claim(), &self.authority) else {
            return Err(key_wrong());
        };
        self.judge(authority.ask(claim, asking.peer.network()).await, claim, asking)
    }

    /// What becomes of whoever was looked up. A certificate that nobody knows is no claim: browsers show theirs unasked.
    fn judge(&self, found: Found, claim: Claim<'_>, asking: &Asking<'_>) -> Result<Who, Problem> {
        match (found, claim) {
            (Err(Unproven::Wrong), Claim::Certificate(_)) => Ok(None),
            (Ok(who), _) => Ok(Some(who)),
            (Err(unproven), _) => Err(self.refuse(unproven.into(), Some(claim), asking)),
        }
    }

    /// Has a refusal kept that a handler came to.
    pub(super) fn note(&self, problem: &Problem, caller: &Caller, seen: &Seen) {
        let is_refusal = matches!(problem.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let claimed = match (problem.claimant(), &caller.who) {
            (Some(name), _) => Claimed::Named(name),
            (None, _) if !is_refusal => return,
            (None, Some(who)) => Claimed::Known(who),
            (None, None) => Claimed::Nobody,
        };
        if let Some(authority) = &self.authority {
            let (from, what) = (caller.peer.address(), &*format!("{} {}", seen.method, seen.path));
            authority.refused(Refused { claimed, from, what, why: problem.code() });
        }
    }

    /// Has a refusal kept that a key or its lack is the reason of.
    fn refuse(&self, problem: Problem, claim: Option<Claim<'_>>, asking: &Asking<'_>) -> Problem {
        if let Some(authority) = self.authority.as_ref().filter(|_| !problem.status().is_server_error()) {
            let claimed = claim.map_or(Claimed::Nobody, Claimed::Shown);
            let (from, what) = (asking.peer.address(), &*without_token(asking.path));
            authority.refused(Refused { claimed, from, what, why: problem.code() });
        }
        problem
    }

    /// What somebody may do, or anybody.
    pub(super) fn rights(who: &Who) -> Rights {
        who.as_ref().map_or(Rights::of(&[Right::Check, Right::Read, Right::Metrics]), |who| who.rights)
    }

    /// Passes what changes nothing, and those who may change something.
    ///
    /// # Errors
    /// 401 or 403 for others.
    pub(super) fn pass(&self, method: &Method, path: &str, who: &Who) -> Result<(), Problem> {
        let may = self.is_elsewhere(path)
            || self.is_safe(method, path)
            || who.as_ref().is_some_and(|who| who.rights.has(Right::Write));
        if may { Ok(()) } else { Err(lacking(who, Right::Write)) }
    }

    fn is_elsewhere(&self, path: &str) -> bool {
        self.elsewhere.iter().any(|prefix| path.starts_with(prefix))
    }

    fn is_safe(&self, method: &Method, path: &str) -> bool {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => true,
            Method::POST => self.safe_posts.contains(&path),
            _ => false,
        }
    }
}

/// Somebody, if they said who.
pub(super) type Who = Option<Arc<Identity>>;

/// What is shown is no key, or more than one.
struct TwoOrNone;

/// What a request says of whoever asks.
pub(super) struct Asking<'r> {
    path: &'r str,
    headers: &'r HeaderMap,
    /// The digest of the certificate that the connection showed.
    certificate: Option<&'r [u8; 32]>,
    peer: Peer,
}

impl<'r> Asking<'r> {
    /// What `request` says, at whose other end is `peer`.
    pub(super) fn of(request: &'r Request, peer: Peer) -> Self {
        let secured = request.extensions().get::<Secured>();
        let certificate = secured.and_then(|secured| secured.certificate.as_ref());
        Self { path: request.uri().path(), headers: request.headers(), certificate, peer }
    }

    /// What is shown for somebody; a key counts before a certificate, which the connection of another may have.
    fn claim(&self) -> Result<Option<Claim<'r>>, TwoOrNone> {
        let key = shown(self.headers)?.map(Claim::Key);
        Ok(key.or(self.certificate.map(Claim::Certificate)))
    }
}

/// The key or token that a request shows, if it is one.
pub fn key_in(headers: &HeaderMap) -> Option<&str> {
    shown(headers).ok().flatten()
}

/// The key of a request, in `Authorization: Bearer` or `X-API-Key`. A credential of another kind is no less a claim to be
/// somebody, and two are one too many.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, TwoOrNone> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let mut all = bearers.chain(headers.get_all(X_API_KEY).iter().map(|value| Some(value.as_bytes())));
    let Some(first) = all.next() else { return Ok(None) };
    let key = first.filter(|key| key.len() <= LONGEST).and_then(|key| std::str::from_utf8(key).ok());
    if all.next().is_some() { Err(TwoOrNone) } else { key.map(Some).ok_or(TwoOrNone) }
}

impl From<Unproven> for Problem {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Wrong => key_wrong(),
            Unproven::Expired => {
                refusal("key_expired", "The key or token is over; log in again, or ask for a new one.")
            }
            Unproven::Elsewhere => {
                Self::forbidden("key_elsewhere").detail("This key may not be used from your address.")
            }
            Unproven::Unknown => {
                Self::unavailable("identity_unknown", 5).detail("Keys cannot be looked up now.")
            }
        }
    }
}

/// 401 for nobody, and 403 for somebody who lacks the right.
pub(super) fn lacking(who: &Who, right: Right) -> Problem {
    match who {
        None => key_missing(),
        Some(who) => Problem::new(StatusCode::FORBIDDEN, "right_missing")
            .detail(format!("{who} does not have the right `{right}` that this needs.")),
    }
}

/// 401: this needs a key, and none was given.
fn key_missing() -> Problem {
    refusal("key_missing", "This needs a key or a login.")
}

/// 401: a key was given, and it is nobody's.
pub(super) fn key_wrong() -> Problem {
    refusal("key_wrong", "The key is wrong.")
}

fn refusal(code: &'static str, detail: &'static str) -> Problem {
    Problem::unauthorized(code, r#"Bearer realm="ironlist""#).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Kind;
    use http::HeaderValue;

    const FAR: Peer =
        Peer::Tcp(std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 9));

    /// Knows `kim`, `slow` when asked, and nobody from elsewhere.
    struct Book;

    impl Authority for Book {
        fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found> {
            let key = match claim {
                Claim::Key(key) => key,
                Claim::Certificate(print) => {
                    ["kim", "old", "lost", "slow"].get(usize::from(print[0])).unwrap_or(&"")
                }
            };
            match key {
                "slow" => None,
                "kim" if from == FAR.network() => Some(Ok(kim())),
                "kim" => Some(Err(Unproven::Elsewhere)),
                "old" => Some(Err(Unproven::Expired)),
                "lost" => Some(Err(Unproven::Unknown)),
                _ => Some(Err(Unproven::Wrong)),
            }
        }

        fn ask<'a>(&'a self, _: Claim<'a>, _: IpAddr) -> BoxFuture<'a, Found> {
            Box::pin(async { Ok(kim()) })
        }
    }

    fn kim() -> Arc<Identity> {
        Arc::new(Identity { kind: Kind::User, name: "kim".to_owned(), rights: Rights::USER })
    }

    fn guard() -> Guard {
        Guard::new("open sesame", &["/check"]).leaving(&["/v1/"]).believing(Arc::new(Book))
    }

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    /// The name of whoever asks with these headers, or the refusal's code; `later` when somebody must be asked.
    fn asks(path: &str, pairs: &[(HeaderName, &'static str)], peer: Peer) -> String {
        match guard().identify(&Asking { path, headers: &headers(pairs), certificate: None, peer }) {
            None => "later".to_owned(),
            Some(Ok(who)) => who.map_or_else(|| "nobody".to_owned(), |who| who.name.clone()),
            Some(Err(problem)) => problem.code().to_owned(),
        }
    }

    fn with_key(key: &'static str) -> String {
        asks("/x", &[(X_API_KEY, key)], FAR)
    }

    #[test]
    fn a_certificate_that_is_known_stands_for_a_key_and_another_for_nobody() {
        let asks = |print: u8, key: Option<&'static str>, path: &str| {
            let (certificate, key) = ([print; 32], key.map(|key| (X_API_KEY, key)));
            let headers = headers(key.as_slice());
            let asking = Asking { path, headers: &headers, certificate: Some(&certificate), peer: FAR };
            match guard().identify(&asking) {
                None => "later".to_owned(),
                Some(Ok(who)) => who.map_or_else(|| "nobody".to_owned(), |who| who.name.clone()),
                Some(Err(problem)) => problem.code().to_owned(),
            }
        };
        let found = [0, 1, 2, 3, 4].map(|print| asks(print, None, "/x"));
        assert_eq!(found, ["kim", "key_expired", "identity_unknown", "later", "nobody"]);
        assert_eq!(asks(0, Some("open sesame"), "/x"), "administrator", "a key counts first");
        assert_eq!(asks(0, Some("wrong"), "/x"), "key_wrong");
        assert_eq!([asks(0, None, "/v1/x"), asks(1, None, "/v1/x")], ["kim", "nobody"]);
    }

    #[test]
    fn either_header_carries_a_key_and_whoever_has_it_is_known() {
        assert_eq!(asks("/x", &[], FAR), "nobody");
        for key in ["Bearer open sesame", "bearer open sesame"] {
            assert_eq!(asks("/x", &[(AUTHORIZATION, key)], FAR), "administrator");
        }
        assert_eq!((with_key("open sesame"), with_key("kim")), ("administrator".into(), "kim".into()));
        assert_eq!(asks("/x", &[(AUTHORIZATION, "Bearer kim")], FAR), "kim");
    }

    #[test]
    fn whoever_may_use_the_socket_holds_the_installation() {
        assert_eq!(asks("/x", &[], Peer::Local), "administrator");
        assert_eq!(asks("/x", &[(X_API_KEY, "another")], Peer::Local), "key_wrong");
    }

    #[test]
    fn a_wrong_key_is_never_a_silent_anonymous() {
        for value in ["Bearer ", "Bearer", "Basic b3BlbiBzZXNhbWU=", "open sesame", "Bearer open sesame ."] {
            assert_eq!(asks("/x", &[(AUTHORIZATION, value)], FAR), "key_wrong", "{value}");
        }
        assert_eq!(with_key(""), "key_wrong");
        assert_eq!(with_key("another"), "key_wrong");
    }

    #[test]
    fn each_reason_for_not_knowing_has_its_own_answer() {
        assert_eq!(with_key("old"), "key_expired");
        assert_eq!(with_key("lost"), "identity_unknown");
        assert_eq!(asks("/x", &[(X_API_KEY, "kim")], Peer::Local), "key_elsewhere");
    }

    #[test]
    fn two_credentials_are_one_too_many() {
        let twice = [(AUTHORIZATION, "Bearer open sesame"), (X_API_KEY, "open sesame")];
        assert_eq!(asks("/x", &twice, FAR), "key_wrong");
        assert_eq!(asks("/x", &[(X_API_KEY, "kim"), (X_API_KEY, "kim")], FAR), "key_wrong");
    }

    #[tokio::test]
    async fn who_cannot_be_known_at_once_is_asked_for() {
        assert_eq!(with_key("slow"), "later");
        let who = guard()
            .ask(&Asking {
                path: "/x",
                headers: &headers(&[(X_API_KEY, "slow")]),
                certificate: None,
                peer: FAR,
            })
            .await
            .unwrap();
        assert_eq!(who.unwrap().name, "kim");
    }

    #[test]
    fn where_others_have_keys_of_their_own_an_unknown_key_is_left_to_them() {
        for (key, who) in
            [("open sesame", "administrator"), ("kim", "kim"), ("a device's", "nobody"), ("slow", "nobody")]
        {
            assert_eq!(asks("/v1/x", &[(X_API_KEY, key)], FAR), who);
        }
        assert_eq!(asks("/v1", &[(X_API_KEY, "a device's")], FAR), "key_wrong");
    }

    #[test]
    fn reading_needs_nobody_and_writing_needs_the_right_to() {
        let guard = guard();
        let pass = |method: &str, path: &str, who: Who| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            guard.pass(&method, path, &who).map_err(|problem| problem.code())
        };
        for (method, path) in [("GET", "/x"), ("POST", "/check"), ("POST", "/v1/x")] {
            assert_eq!(pass(method, path, None), Ok(()), "{method} {path}");
        }
        for (method, path) in [("POST", "/check/more"), ("DELETE", "/check"), ("BREW", "/x")] {
            assert_eq!(pass(method, path, None), Err("key_missing"), "{method} {path}");
            assert_eq!(pass(method, path, Some(kim())), Ok(()), "{method} {path}");
        }
        let reader = Identity { rights: Rights::of(&[Right::Read]), ..Identity::clone(&kim()) };
        assert_eq!(pass("DELETE", "/x", Some(Arc::new(reader))), Err("right_missing"));
    }
}
