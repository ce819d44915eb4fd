//! Ironlist collects IP threat intelligence, keeps one deduplicated blacklist in which every entry
//! can be explained, and publishes it to firewalls and programs.

pub mod addr;
pub mod gateway;
pub mod web;
