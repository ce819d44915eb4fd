//! What a handler takes and gives, read from its type: so that the document cannot say anything else.
//!
//! What a type does not tell (an answer that is written piece by piece) is said beside the route. It must not know what
//! any of it means.

use super::body::Response;
use super::extract::{Json, Path, Query, Whole};
use super::multipart::File;
use super::problem::Problem;
use axum::Extension;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode, Uri};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::collections::BTreeMap;

/// Makes the schema of a type, once somebody reads the document.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The shape of `T`.
pub fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub(super) const JSON: &str = "application/json";
/// Bytes of any kind.
pub(super) const BYTES: &str = "application/octet-stream";

/// What is known of an operation's requests and answers.
#[derive(Clone, Default)]
pub struct Sketch {
    /// The shape whose members are parameters behind the question mark.
    pub(super) query: Option<Shape>,
    /// The media types of a body, each with its shape where that can be said.
    pub(super) body: BTreeMap<&'static str, Option<Shape>>,
    /// The media types of a good answer, likewise.
    pub(super) answer: BTreeMap<&'static str, Option<Shape>>,
    /// The statuses of good answers; none are 200.
    pub(super) good: &'static [u16],
    /// Statuses of problems that this operation has beside those that all have.
    pub(super) bad: &'static [u16],
}

/// What a handler may ask of a request.
pub trait Takes {
    /// Notes what it takes.
    fn note(_: &mut Sketch) {}
}

/// What a handler may give back.
pub trait Gives {
    /// Notes what it says in an answer.
    fn note(_: &mut Sketch) {}
}

/// A handler whose type says what it takes and gives; `T` is as for [`axum::handler::Handler`].
pub trait Sketched<T> {
    /// What that is.
    fn sketch() -> Sketch;
}

impl<F, A, R> Sketched<((),)> for F
where
    F: FnOnce() -> A,
    A: Future<Output = R>,
    R: Gives,
{
    fn sketch() -> Sketch {
        let mut sketch = Sketch::default();
        R::note(&mut sketch);
        sketch
    }
}

macro_rules! sketched {
    ($($taken:ident),+) => {
        impl<F, A, R, M, $($taken: Takes),+> Sketched<(M, $($taken,)+)> for F
        where
            F: FnOnce($($taken),+) -> A,
            A: Future<Output = R>,
            R: Gives,
        {
            fn sketch() -> Sketch {
                let mut sketch = Sketch::default();
                $($taken::note(&mut sketch);)+
                R::note(&mut sketch);
                sketch
            }
        }
    };
}

sketched!(A1);
sketched!(A1, A2);
sketched!(A1, A2, A3);
sketched!(A1, A2, A3, A4);
sketched!(A1, A2, A3, A4, A5);

/// Extractors of which a document has nothing to say: parameters of a path are known by its template.
macro_rules! silent {
    ($($taken:ty $(, $generic:ident)?;)*) => { $(impl$(<$generic>)? Takes for $taken {})* };
}

silent! {
    State<T>, T;
    Extension<T>, T;
    Path<T>, T;
    axum::extract::Path<T>, T;
    axum::extract::Request;
    HeaderMap;
    Method;
    Uri;
}

impl<T: JsonSchema> Takes for Query<T> {
    fn note(sketch: &mut Sketch) {
        sketch.query = Some(shape::<T>);
    }
}

impl<T: JsonSchema> Takes for Json<T> {
    fn note(sketch: &mut Sketch) {
        sketch.body.insert(JSON, Some(shape::<T>));
    }
}

impl Takes for Whole {
    fn note(sketch: &mut Sketch) {
        sketch.body.insert(BYTES, None);
    }
}

impl Takes for File {
    fn note(sketch: &mut Sketch) {
        sketch.body.extend([(BYTES, None), ("multipart/form-data", None)]);
    }
}

impl<T: JsonSchema> Gives for Json<T> {
    fn note(sketch: &mut Sketch) {
        sketch.answer.insert(JSON, Some(shape::<T>));
    }
}

/// Which status is said beside the route.
impl<T: Gives> Gives for (StatusCode, T) {
    fn note(sketch: &mut Sketch) {
        T::note(sketch);
    }
}

/// Problems are told of all operations alike.
impl<T: Gives> Gives for Result<T, Problem> {
    fn note(sketch: &mut Sketch) {
        T::note(sketch);
    }
}

/// Answers whose bytes are written by hand: what they are is said beside the route.
macro_rules! by_hand {
    ($($given:ty),*) => { $(impl Gives for $given {})* };
}

by_hand!(
    Response,
    axum::response::Response,
    StatusCode,
    Problem,
    (),
    &'static str,
    String,
    Vec<u8>,
    bytes::Bytes
);
