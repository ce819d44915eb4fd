//! `GET …/{from}/diff/{to}`: what turns one generation into the other, whichever is the later.

use super::book::{Asked, Book, Counts, Page, Row, Span};
use super::number_of;
use crate::service::blacklist::Blacklist;
use crate::service::reply::blocking;
use crate::web::{Path, Problem, Query, Response};
use axum::extract::State;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What a difference is shown as.
pub(in super::super) type Compared = Page<Head, Row<'static>>;

/// What is said before the rows.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Head {
    from: u64,
    to: u64,
    /// Rows in all.
    total: u64,
    counts: Counts,
}

pub(in super::super) async fn difference(
    State(role): State<Blacklist>,
    Path((from, to)): Path<(u64, u64)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let span = Span { from, to, source: asked.source.clone() };
    let of = span.source.clone();
    let wish = asked.wish(span, &headers)?;
    let (head, book) = blocking(move || {
        let snapshot = Arc::clone(&role.engine.snapshot());
        let mut net = role.engine.difference(from, to, number_of(of.as_ref(), &snapshot)?)?;
        // Records say how a source was described, and not how it had been before.
        net.sources.clear();
        let book = Book::new(net, &snapshot);
        Ok((Head { from, to, total: book.total(), counts: book.counts() }, book))
    })
    .await?;
    wish.answer(head, book).await
}
