//! What the guard of every port asks, in the process that keeps identities: memory answers.

use crate::identity::{Doubt, Keeper, Refusal, Shown};
use crate::web::claim::{Authority, Claim, Claimed, Found, Refused, Unproven};
use futures_util::future::{BoxFuture, ready};
use std::net::IpAddr;
use std::sync::Arc;

/// The keeper of this process as an authority; without one, nobody can be looked up.
pub struct Local(pub Option<Arc<Keeper>>);

impl Authority for Local {
    fn at_once(&self, claim: Claim<'_>, from: IpAddr) -> Option<Found> {
        Some(match &self.0 {
            Some(keeper) => found(keeper, claim, from),
            None => Err(Unproven::Unknown),
        })
    }

    fn ask<'a>(&'a self, claim: Claim<'a>, from: IpAddr) -> BoxFuture<'a, Found> {
        Box::pin(ready(self.at_once(claim, from).unwrap_or(Err(Unproven::Unknown))))
    }

    fn refused(&self, refused: Refused<'_>) {
        let Some(keeper) = &self.0 else { return };
        let claimed = match refused.claimed {
            Claimed::Shown(claim) => keeper.claimed(shown(claim)),
            other => name_of(other),
        };
        keeper.refused(Refusal::new(&claimed, Some(refused.from), refused.what, refused.why), 1);
    }
}

/// Who makes a claim, by what the keeper knows.
pub(super) fn found(keeper: &Keeper, claim: Claim<'_>, from: IpAddr) -> Found {
    let proved = keeper.prove(shown(claim), from);
    proved.map(|proved| proved.identity).map_err(|doubt| match doubt {
        Doubt::Wrong => Unproven::Wrong,
        Doubt::Expired => Unproven::Expired,
        Doubt::Elsewhere => Unproven::Elsewhere,
    })
}

fn shown(claim: Claim<'_>) -> Shown<'_> {
    match claim {
        Claim::Key(key) => Shown::Key(key.text, key.digest.into()),
        Claim::Certificate(digest) => Shown::Certificate(digest),
    }
}

/// Who was refused, where nobody knows what keys are.
pub(super) fn name_of(claimed: Claimed<'_>) -> String {
    match claimed {
        Claimed::Shown(claim) => shown(claim).seems(),
        Claimed::Known(who) => who.to_string(),
        Claimed::Named(name) => name.to_owned(),
        Claimed::Nobody => "anonymous".to_owned(),
    }
}
