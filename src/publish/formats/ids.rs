//! Names for what STIX and MISP know by UUID: the same thing has the same one on every machine and in every
//! generation (RFC 9562, version 5).

use uuid::Uuid;

/// The space of our names; drawn once, and never to be changed.
const SPACE: Uuid = Uuid::from_u128(0x7b2e_72a0_e952_4c7a_9f09_9f86_4689_9841);

/// The UUID of the `kind` of thing that is called `name`.
pub(in crate::publish) fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&SPACE, format!("{kind} {name}").as_bytes())
}
