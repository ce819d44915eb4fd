//! The guard of a port: finds out who asks, and what they may do.
//!
//! Whose a key is, it does not know: an [`Authority`] says it.

use super::body::Request;
use super::caller::{Caller, Peer};
use super::claim::{
    Authority, Claim, Claimed, Found, Key, Keys, Refused, TwoOrNone, Unproven, Who, key_wrong, shown,
};
use super::log::Seen;
use super::problem::Problem;
use super::proxy::Networks;
use super::routes::{self, Row, Templates};
use super::tls::Secured;
use super::vouch::{self, Vouched};
use crate::rights::{Identity, Right, Rights};
use http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

/// From where nobody in particular is let in, and how far.
#[derive(Clone, Default, Debug)]
pub struct Access {
    /// From where everybody may check, read statistics and what is listed, and read the metrics.
    pub open: Networks,
    /// From where everybody may use the earlier system's paths.
    pub earlier: Networks,
}

impl Access {
    /// Lets everybody read from everywhere.
    pub fn everywhere() -> Self {
        let all: [(IpAddr, IpAddr); 2] =
            [([0; 4].into(), [255; 4].into()), ([0; 16].into(), [255; 16].into())];
        Self { open: all.into_iter().collect(), earlier: Networks::default() }
    }
}

/// What nobody in particular may do, from where that is open.
const ANYBODY: Rights = Rights::of(&[Right::Check, Right::Metrics]);

/// What is noted of a path that is no route: a stranger's text need not be kept.
const NOWHERE: &str = "(no route here)";

/// Finds out who asks, and what they may do.
#[derive(Clone)]
pub struct Guard {
    keys: Keys,
    /// What gateways elsewhere show that have the key.
    gateways: Keys,
    installation: Arc<Identity>,
    authority: Option<Arc<dyn Authority>>,
    access: Arc<Access>,
    /// What begins so has keys of its own.
    elsewhere: Vec<&'static str>,
    /// The templates of routes, for what is noted of those who never come to one.
    templates: Arc<Templates>,
}

impl Guard {
    /// A guard with the installation's key, and what is open to nobody in particular.
    pub fn new(key: &str, access: Access) -> Self {
        Self {
            keys: [key].into_iter().collect(),
            gateways: [&*vouch::word(key.as_bytes())].into_iter().collect(),
            installation: Arc::new(Identity::installation()),
            authority: None,
            access: Arc::new(access),
            elsewhere: Vec::new(),
            templates: Arc::default(),
        }
    }

    /// Believes `authority` about all other keys.
    #[must_use]
    pub fn believing(mut self, authority: Arc<dyn Authority>) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Leaves the paths of routes with keys of their own to their handlers: no key is wrong there for the guard.
    #[must_use]
    pub fn leaving(mut self, rows: &[Row]) -> Self {
        self.elsewhere.extend(routes::own_locks(rows));
        Arc::make_mut(&mut self.templates).add(rows);
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
            Ok(Some(Claim::Key(key))) if self.keys.has(key) => {
                return Some(Ok(Some(Arc::clone(&self.installation))));
            }
            other => other.ok().flatten(),
        };
        let found = claim.zip(self.authority.as_ref());
        let found = found.map(|(claim, authority)| authority.at_once(claim, asking.peer.network()));
        if let Some(Some(Ok(who))) = found {
            return Some(Ok(Some(who)));
        }
        if self.is_elsewhere(asking.path) {
            return Some(Ok(None));
        }
        match (claim, found) {
            (Some(_), Some(None)) => None,
            (Some(claim), Some(Some(found))) => Some(self.judge(found, claim, asking)),
            (Some(Claim::Certificate(_)), None) => Some(Ok(None)),
            (claim, _) => Some(Err(self.refuse(key_wrong(), claim, asking))),
        }
    }

    /// Who asks, after asking whoever knows, whatever is remembered here.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub(super) async fn ask(&self, asking: &Asking<'_>) -> Result<Who, Problem> {
        let claim = match asking.claim() {
            Ok(None) => return Ok((asking.peer == Peer::Local).then(|| Arc::clone(&self.installation))),
            Ok(Some(Claim::Key(key))) if self.keys.has(key) => {
                return Ok(Some(Arc::clone(&self.installation)));
            }
            other => other.ok().flatten(),
        };
        let (Some(claim), Some(authority)) = (claim, &self.authority) else { return Err(key_wrong()) };
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

    /// Whether what is shown was somebody's of late.
    pub(super) fn knew(&self, asking: &Asking<'_>) -> bool {
        let claim = asking.claim().ok().flatten().zip(self.authority.as_ref());
        claim.is_some_and(|(claim, authority)| authority.is_known(claim, asking.peer.network()))
    }

    /// Has a refusal kept of somebody whom nobody has looked at.
    pub(super) fn turned_away(&self, problem: Problem, asking: &Asking<'_>) -> Problem {
        if is_refusal(&problem) { self.refuse(problem, None, asking) } else { problem }
    }

    /// Has a refusal kept that a handler came to.
    pub(super) fn note(&self, problem: &Problem, caller: &Caller, (seen, route): (&Seen, &str)) {
        let claimed = match (problem.claimant(), &caller.who) {
            (Some(name), _) => Claimed::Named(name),
            (None, _) if !is_refusal(problem) => return,
            (None, Some(who)) => Claimed::Known(who),
            (None, None) => Claimed::Nobody,
        };
        if let Some(authority) = &self.authority {
            let (from, what) = (caller.peer.address(), &*format!("{} {route}", seen.method));
            authority.refused(Refused { claimed, from, what, why: problem.code() });
        }
    }

    /// Has a refusal kept that a key or its lack is the reason of.
    fn refuse(&self, problem: Problem, claim: Option<Claim<'_>>, asking: &Asking<'_>) -> Problem {
        if let Some(authority) = self.authority.as_ref().filter(|_| !problem.status().is_server_error()) {
            let claimed = claim.map_or(Claimed::Nobody, Claimed::Shown);
            let route = self.templates.find(asking.path).unwrap_or(NOWHERE);
            let what = &*format!("{} {route}", asking.method);
            let from = asking.peer.address();
            authority.refused(Refused { claimed, from, what, why: problem.code() });
        }
        problem
    }

    /// Who asks from `peer` with what they may do: somebody what is theirs, and nobody what is open there.
    pub(super) fn caller(&self, peer: Peer, who: Who) -> Caller {
        if let Some(known) = &who {
            return Caller { peer, rights: known.rights, who, is_open: false, is_earlier: false };
        }
        let from = peer.network();
        let (is_open, is_earlier) = (self.access.open.contains(from), self.access.earlier.contains(from));
        let rights = if is_open { ANYBODY } else { Rights::NONE };
        Caller { peer, who, rights, is_open, is_earlier }
    }

    fn is_elsewhere(&self, path: &str) -> bool {
        self.elsewhere.iter().any(|prefix| path.starts_with(prefix))
    }
}

fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// What a request says of whoever asks.
pub(super) struct Asking<'r> {
    method: &'r Method,
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
        Self::new((request.method(), request.uri().path()), request.headers(), certificate, peer)
    }

    /// The same of its parts.
    pub(super) fn new(
        (method, path): (&'r Method, &'r str),
        headers: &'r HeaderMap,
        certificate: Option<&'r [u8; 32]>,
        peer: Peer,
    ) -> Self {
        Self { method, path, headers, certificate, peer }
    }

    /// What is shown for somebody; a key counts before a certificate, which the connection of another may have.
    fn claim(&self) -> Result<Option<Claim<'r>>, TwoOrNone> {
        let key = shown(self.headers)?.map(|key| Claim::Key(Key::of(key)));
        Ok(key.or(self.certificate.map(Claim::Certificate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Kind;
    use crate::web::claim::X_API_KEY;
    use crate::web::{Demand, Routes};
    use futures_util::future::BoxFuture;
    use http::HeaderValue;
    use http::header::{AUTHORIZATION, HeaderName};

    const FAR: Peer =
        Peer::Tcp(std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 9));

    /// Knows `kim`, `slow` when asked, and nobody from elsewhere.
    struct Book;

    impl Authority for Book {
        fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found> {
            let key = match claim {
                Claim::Key(key) => key.text,
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
        let open = [IpAddr::from([192, 0, 2, 0]), IpAddr::from([192, 0, 2, 255])];
        let earlier = [IpAddr::from([192, 0, 2, 9]), IpAddr::from([198, 51, 100, 9])];
        let access = Access {
            open: [(open[0], open[1])].into_iter().collect(),
            earlier: earlier.into_iter().map(|one| (one, one)).collect(),
        };
        let own = Routes::<()>::new().get("/v1/{any}", Demand::Own, async || (), "Has keys of its own.");
        Guard::new("open sesame", access).believing(Arc::new(Book)).leaving(&own.into_rows())
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
        match guard().identify(&Asking {
            method: &Method::GET,
            path,
            headers: &headers(pairs),
            certificate: None,
            peer,
        }) {
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
            let asking = Asking {
                method: &Method::GET,
                path,
                headers: &headers,
                certificate: Some(&certificate),
                peer: FAR,
            };
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
                method: &Method::GET,
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
    fn nobody_may_do_what_is_open_from_where_they_ask() {
        let from = |last: [u8; 4], who| {
            let caller = guard().caller(Peer::Tcp((last, 9).into()), who);
            (caller.rights, caller.is_open, caller.is_earlier)
        };
        assert_eq!(from([192, 0, 2, 1], None), (ANYBODY, true, false));
        assert_eq!(from([192, 0, 2, 9], None), (ANYBODY, true, true));
        assert_eq!(from([198, 51, 100, 9], None), (Rights::NONE, false, true));
        assert_eq!(from([198, 51, 100, 1], None), (Rights::NONE, false, false));
    }

    #[test]
    fn somebody_may_do_what_is_theirs_wherever_they_are() {
        let reader = Identity { rights: Rights::of(&[Right::Read]), ..Identity::clone(&kim()) };
        for from in [[192, 0, 2, 9], [198, 51, 100, 1]] {
            let caller = guard().caller(Peer::Tcp((from, 9).into()), Some(Arc::new(reader.clone())));
            assert_eq!((caller.rights, caller.is_open, caller.is_earlier), (reader.rights, false, false));
        }
    }
}
