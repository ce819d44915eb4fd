//! Routes, each with what it asks of its caller: none can be declared without.
//!
//! The check lies over each handler, so that it holds on every port and whatever way a request took; the same rows are
//! what tests, documents and the door read. It must not know how somebody proves who they are.

use super::caller::Caller;
use super::claim;
use super::problem::Problem;
use super::sketch::{BYTES, JSON, Shape, Sketch, Sketched};
use crate::rights::{Kind, Right};
use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use std::convert::Infallible;
use std::fmt;

/// What a route asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// Nothing: it tells nobody's secret, and changes nothing.
    Nothing,
    /// A key of its own kind, or a place: its handler decides, and no key is wrong before.
    Own,
    /// A right.
    Of(Right),
    /// A right, but of nobody in particular from where that is open to everybody.
    Open(Right),
    /// A right, but of nobody in particular who asks from where the earlier system's callers are.
    Earlier(Right),
    /// To be a process of the installation: what one process of it says to another.
    Installation,
}

impl Demand {
    /// Whether it lets `caller` in; costs a few comparisons.
    pub fn admits(self, caller: &Caller) -> bool {
        match self {
            Self::Nothing | Self::Own => true,
            Self::Of(right) => caller.rights.has(right),
            Self::Open(right) => caller.rights.has(right) || caller.is_open,
            Self::Earlier(right) => caller.rights.has(right) || caller.is_earlier,
            Self::Installation => caller.who.as_ref().is_some_and(|who| who.kind == Kind::Installation),
        }
    }

    /// The right that it asks for.
    pub fn right(self) -> Option<Right> {
        match self {
            Self::Nothing | Self::Own => None,
            Self::Of(right) | Self::Open(right) | Self::Earlier(right) => Some(right),
            Self::Installation => Some(Right::Admin),
        }
    }

    /// Passes whom it lets in.
    ///
    /// # Errors
    /// 401 for nobody in particular, 403 for somebody without the right.
    fn check(self, caller: &Caller) -> Result<(), Problem> {
        match self.right() {
            _ if self.admits(caller) => Ok(()),
            Some(right) if !caller.rights.has(right) => Err(claim::lacking(&caller.who, right)),
            Some(_) => Err(Problem::forbidden("installation_only")
                .detail("This is between processes of the installation.")),
            None => Ok(()),
        }
    }
}

/// As tables for people show it.
impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Own => f.write_str("own"),
            Self::Of(right) => write!(f, "{right}"),
            Self::Open(right) => write!(f, "open {right}"),
            Self::Earlier(right) => write!(f, "earlier {right}"),
            Self::Installation => f.write_str("installation"),
        }
    }
}

/// What is known of a route beside its handler.
#[derive(Clone)]
pub struct Row {
    /// Its method; a GET is a HEAD, too.
    pub method: Method,
    /// Its path's template.
    pub path: &'static str,
    /// What it asks of its caller.
    pub demand: Demand,
    /// What it is for, in one sentence.
    pub text: &'static str,
    /// What it takes and gives.
    pub(super) sketch: Sketch,
}

/// Routes whose handlers need an `S`, and a row for each.
pub struct Routes<S = ()> {
    router: Router<S>,
    rows: Vec<Row>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { router: Router::new(), rows: Vec::new() }
    }

    /// A GET, and its HEAD.
    #[must_use]
    pub fn get<H: Handler<T, S> + Sketched<T>, T: 'static>(
        self,
        path: &'static str,
        demand: Demand,
        handler: H,
        text: &'static str,
    ) -> Self {
        self.add(row(Method::GET, path, demand, text, H::sketch()), on(MethodFilter::GET, handler))
    }

    /// A POST.
    #[must_use]
    pub fn post<H: Handler<T, S> + Sketched<T>, T: 'static>(
        self,
        path: &'static str,
        demand: Demand,
        handler: H,
        text: &'static str,
    ) -> Self {
        self.add(row(Method::POST, path, demand, text, H::sketch()), on(MethodFilter::POST, handler))
    }

    /// A PUT.
    #[must_use]
    pub fn put<H: Handler<T, S> + Sketched<T>, T: 'static>(
        self,
        path: &'static str,
        demand: Demand,
        handler: H,
        text: &'static str,
    ) -> Self {
        self.add(row(Method::PUT, path, demand, text, H::sketch()), on(MethodFilter::PUT, handler))
    }

    /// A DELETE.
    #[must_use]
    pub fn delete<H: Handler<T, S> + Sketched<T>, T: 'static>(
        self,
        path: &'static str,
        demand: Demand,
        handler: H,
        text: &'static str,
    ) -> Self {
        self.add(row(Method::DELETE, path, demand, text, H::sketch()), on(MethodFilter::DELETE, handler))
    }

    fn add(mut self, row: Row, handler: MethodRouter<S, Infallible>) -> Self {
        let checked = handler.route_layer(middleware::from_fn_with_state(row.demand, check));
        self.router = self.router.route(row.path, checked);
        self.rows.push(row);
        self
    }

    /// The last route's good answers are JSON in that shape, written by hand.
    #[must_use]
    pub fn shows(self, shape: Shape) -> Self {
        self.noting(|sketch| _ = sketch.answer.insert(JSON, Some(shape)))
    }

    /// The last route's good answers may be of these media types, too.
    #[must_use]
    pub fn writes(self, kinds: &[&'static str]) -> Self {
        self.noting(|sketch| sketch.answer.extend(kinds.iter().map(|kind| (*kind, None))))
    }

    /// The last route takes bodies of these media types.
    #[must_use]
    pub fn reads(self, kinds: &[&'static str]) -> Self {
        self.noting(|sketch| {
            sketch.body.remove(BYTES);
            sketch.body.extend(kinds.iter().map(|kind| (*kind, None)));
        })
    }

    /// The last route takes JSON in that shape, which it reads by hand.
    #[must_use]
    pub fn reads_json(self, shape: Shape) -> Self {
        self.noting(|sketch| _ = sketch.body.insert(JSON, Some(shape)))
    }

    /// The last route's good answers have these statuses instead of 200.
    #[must_use]
    pub fn succeeds(self, statuses: &'static [u16]) -> Self {
        self.noting(|sketch| sketch.good = statuses)
    }

    /// The last route has problems of these statuses beside those that all have.
    #[must_use]
    pub fn refuses(self, statuses: &'static [u16]) -> Self {
        self.noting(|sketch| sketch.bad = statuses)
    }

    fn noting(mut self, note: impl FnOnce(&mut Sketch)) -> Self {
        if let Some(row) = self.rows.last_mut() {
            note(&mut row.sketch);
        }
        self
    }

    /// These and those.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.rows.extend(others.rows);
        self
    }

    /// The same with what their handlers need.
    pub fn with_state<S2>(self, state: S) -> Routes<S2> {
        Routes { router: self.router.with_state(state), rows: self.rows }
    }

    /// What is known of each.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The same, alone.
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// The router, and what is known of each route.
    pub(super) fn into_parts(self) -> (Router<S>, Vec<Row>) {
        (self.router, self.rows)
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// How paths begin whose handlers know keys of their own.
pub fn own_locks(rows: &[Row]) -> impl Iterator<Item = &'static str> + '_ {
    let own = rows.iter().filter(|row| row.demand == Demand::Own);
    own.map(|row| row.path.split('{').next().unwrap_or(row.path))
}

/// The templates of routes, to name paths by.
#[derive(Clone, Default)]
pub struct Templates(matchit::Router<&'static str>);

impl Templates {
    /// Those of `rows`. Of two that differ in their names alone the first counts.
    pub fn of(rows: &[Row]) -> Self {
        let mut all = Self::default();
        all.add(rows);
        all
    }

    /// Those of `rows`, too.
    pub(super) fn add(&mut self, rows: &[Row]) {
        for row in rows {
            // It fails for what is there already: a path may have several methods, and roles that share it.
            let _ = self.0.insert(row.path, row.path);
        }
    }

    /// The template of a path; costs its length.
    pub fn find(&self, path: &str) -> Option<&'static str> {
        self.0.at(path).ok().map(|found| *found.value)
    }
}

fn row(method: Method, path: &'static str, demand: Demand, text: &'static str, sketch: Sketch) -> Row {
    Row { method, path, demand, text, sketch }
}

async fn check(State(demand): State<Demand>, request: Request, next: Next) -> Result<Response, Problem> {
    let caller = request.extensions().get::<Caller>();
    demand.check(caller.ok_or_else(|| Problem::internal("a request without a caller"))?)?;
    Ok(next.run(request).await)
}
