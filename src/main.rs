//! The program: nothing but the door to `ironlist::cli`.

fn main() {}
