//! Collection: getting lists from where they are and making batches of them.

pub mod formats;
