//! That the time of an answer does not tell who is there.

use super::*;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// The processor's time that this thread has taken, in seconds: what else the machine does is not in it.
fn taken() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Both ways are walked in pairs, each of them first as often as the other, since the second finds memory as the first has
/// left it; and in the order of Thue and Morse, for what repeats itself may keep time with an allocator. What neighbours do
/// to a busy machine lengthens either way as often as the other, too: so a difference counts that is large and that hardly
/// any pair contradicts.
#[test]
fn a_user_who_is_not_there_takes_as_long_as_one_who_is() {
    const PAIRS: u8 = 128;
    /// More agree by chance once in a hundred million times: six standard deviations of as many coins.
    const AGREE: usize = 98;
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
    let ratio = |at: u8| {
        house.later(86_400);
        if at.count_ones().is_multiple_of(2) {
            return time("kim", at) / time("lee", at);
        }
        let unknown = time("lee", at);
        time("kim", at) / unknown
    };
    let mut ratios: Vec<f64> = (0..PAIRS).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let shorter = ratios.partition_point(|ratio| *ratio < 1.0);
    let (median, agree) = (ratios[ratios.len() / 2], shorter.max(ratios.len() - shorter));
    let differs = agree > AGREE && !(0.96..1.04).contains(&median);
    assert!(!differs, "known takes {median} times as long as unknown, and {agree} of {PAIRS} pairs agree");
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
    let proved = each(2000, &|| drop(keeper.prove(Shown::key(access(&begun)), HERE).unwrap()));
    let verified = each(200, &|| drop(claims().unwrap()));
    assert!(proved * 4.0 < verified, "remembered {proved:.7} s, verified {verified:.7} s");
}
