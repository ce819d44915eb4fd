//! What names and places are remembered by: a part of a digest that only this installation can make. It must not know what
//! is remembered of them.

use crate::disk::{Digest, digest};

/// A name, a place or both, by a part of its digest.
pub(super) type Mark = [u8; 16];

/// The mark of `parts`, which only this installation can make.
pub(super) fn mark(salt: &Digest, parts: &[&[u8]]) -> Mark {
    let all: Vec<&[u8]> = [&salt[..]].into_iter().chain(parts.iter().copied()).collect();
    let digest = digest(&all);
    std::array::from_fn(|at| digest[at])
}
