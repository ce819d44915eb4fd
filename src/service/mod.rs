//! The roles: what each answers on its port. One file or folder a role; none knows another's
//! insides.

pub mod blacklist;
pub mod feeds;
mod reply;
