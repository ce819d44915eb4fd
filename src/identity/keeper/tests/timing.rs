//! That the time of an answer does not tell who is there.

use super::*;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// The processor's time that this thread has taken, in seconds: what else the machine does is not in it.
fn taken() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Both ways are walked in turns, and the middle of many is compared. A busy machine may need another try, since others
/// take its memory's time, too; a difference that is always there fails all of them.
#[test]
fn a_user_who_is_not_there_takes_as_long_as_one_who_is() {
    let mut house = House::new();
    house.cost = Cost::default();
    let keeper = house.open();
    user(&keeper, "kim", UserRole::User);
    keeper.change_user(&name("kim"), UserChange { role: Some(UserRole::Admin), disabled: None }).unwrap();
    let time = |who: &str, n: u8| {
        let attempt = keeper.attempt(who, IpAddr::from([203, 0, 113, n])).unwrap();
        let begin = taken();
        assert!(keeper.log_in(&attempt, &secret("guessed, and not right")).is_err());
        taken() - begin
    };
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let mut ratios = Vec::new();
    for round in 0..12_u8 {
        house.later(86_400);
        let (known, unknown) =
            (0..9_u8).map(|n| (time("kim", round * 9 + n), time("lee", round * 9 + n))).unzip();
        let ratio = median(known) / median(unknown);
        if (0.96..1.04).contains(&ratio) {
            return;
        }
        ratios.push(ratio);
    }
    panic!("known takes {ratios:?} times as long as unknown");
}

#[test]
fn a_token_that_is_known_is_known_at_once() {
    let house = House::new();
    let keeper = house.open();
    let begun = user(&keeper, "kim", UserRole::User);
    let each = |count: u32, work: &dyn Fn()| {
        let begin = Instant::now();
        (0..count).for_each(|_| work());
        begin.elapsed().as_secs_f64() / f64::from(count)
    };
    let claims = || keeper.directory().ring.verify(access(&begun), keeper.foundation.id, keeper.now());
    let proved = each(2000, &|| drop(keeper.prove(Shown::Key(access(&begun)), HERE).unwrap()));
    let verified = each(200, &|| drop(claims().unwrap()));
    assert!(proved * 4.0 < verified, "remembered {proved:.7} s, verified {verified:.7} s");
}
