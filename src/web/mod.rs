//! The pieces of HTTP that every role shares: the listener, the body, problems, request ids,
//! metrics, health and the application that a port serves.
//!
//! Architecture invariant: nothing here knows what a blacklist is. A role gives its routes and its
//! checks; what comes in from the network passes the same edge, whatever the role.

pub mod app;
pub mod auth;
pub mod body;
pub mod browser;
pub mod caller;
pub mod claim;
pub mod docs;
pub mod edge;
pub mod entrance;
pub mod extract;
pub mod health;
mod leave;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod multipart;
pub mod openapi;
pub mod problem;
pub mod proxy;
pub mod request_id;
mod role;
pub mod routes;
pub mod shares;
pub mod sketch;
pub mod spans;
mod stall;
pub mod tls;
pub mod trace;
pub mod vouch;

pub use app::{App, Limit};
pub use body::{Body, Request, Response};
pub use caller::{Caller, Peer};
pub use extract::{Json, Path, Query};
pub use problem::Problem;
pub use role::Role;
pub use routes::{Demand, Routes};
