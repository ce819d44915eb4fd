//! A year of schedules against slow, obviously right counts, with clocks that jump and a service
//! that is not always there.

use super::*;
use chrono::{Datelike, TimeZone, Timelike, Utc, Weekday};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

/// Watches a schedule from `from` to `to`, looking at the clock every `step` seconds while `awake`;
/// gives the moments at which runs began.
fn watch(
    schedule: &Schedule,
    from: Time,
    to: Time,
    step: i64,
    awake: impl Fn(Time) -> bool,
) -> Vec<(Time, Time)> {
    let mut waiting = schedule.next("source", from).unwrap();
    let mut runs = Vec::new();
    let mut now = from;
    while now < to {
        if awake(now) {
            match schedule.decide("source", waiting, now) {
                Decision::Wait(next) => waiting = next,
                Decision::Run(next) => {
                    runs.push((waiting.slot, now));
                    waiting = next.unwrap();
                }
                Decision::Forget(next) => waiting = next.unwrap(),
            }
        }
        now = now.plus(step);
    }
    runs
}

fn year(zone: Tz) -> (Time, Time) {
    let midnight = |year| zone.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap().with_timezone(&Utc).into();
    (midnight(2026), midnight(2027))
}

#[test]
fn a_year_of_daily_runs_misses_and_doubles_no_day_in_any_zone() {
    // 02:30 and 00:00 are what changes of the clock skip or repeat, in one zone or the other.
    for zone in [
        chrono_tz::Asia::Seoul,
        chrono_tz::America::New_York,
        chrono_tz::Europe::Berlin,
        chrono_tz::Australia::Lord_Howe,
        chrono_tz::Africa::Cairo,
        chrono_tz::America::Santiago,
    ] {
        for pattern in ["30 2 * * *", "0 0 * * *", "15 1 * * *", "45 3 * * *"] {
            let schedule = Schedule::cron(pattern, zone).unwrap().jitter(Span::minutes(10));
            let (from, to) = year(zone);
            let mut days = BTreeMap::new();
            for (slot, begun) in watch(&schedule, from.plus(-1), to.plus(-1), 30, |_| true) {
                *days.entry(slot.day_in(zone)).or_insert(0) += 1;
                assert!((0..=630).contains(&(begun.unix() - slot.unix())), "{zone} {pattern} {slot} {begun}");
            }
            let twice: Vec<_> = days.iter().filter(|(_, count)| **count != 1).collect();
            assert_eq!((days.len(), twice), (365, vec![]), "{zone} {pattern}");
        }
    }
}

#[test]
fn a_year_of_hourly_runs_by_pattern_is_one_an_hour_whatever_the_clock_shows() {
    for zone in [chrono_tz::America::New_York, chrono_tz::Asia::Seoul] {
        let schedule = Schedule::cron("7 * * * *", zone).unwrap();
        let (from, to) = year(zone);
        let runs = watch(&schedule, from.plus(-1), to.plus(-1), 60, |_| true);
        assert_eq!(runs.len() as i64, (to.unix() - from.unix()) / 3_600, "{zone}");
        assert!(runs.windows(2).all(|pair| pair[1].0.unix() - pair[0].0.unix() == 3_600), "{zone}");
    }
}

#[test]
fn a_pattern_means_what_counting_minute_by_minute_means() {
    // Seoul has no summer time: each minute of the year is there once.
    let zone = chrono_tz::Asia::Seoul;
    let (from, to) = year(zone);
    let schedule = Schedule::cron("*/20 6-8 * * MON-FRI", zone).unwrap();
    let counted = (from.unix()..to.unix()).step_by(60).filter(|unix| {
        let local = Time::from_unix(*unix).utc().with_timezone(&zone);
        local.minute().is_multiple_of(20)
            && (6..=8).contains(&local.hour())
            && !matches!(local.weekday(), Weekday::Sat | Weekday::Sun)
    });
    let counted: Vec<Time> = counted.map(Time::from_unix).collect();
    let slots: Vec<Time> =
        watch(&schedule, from.plus(-1), to, 60, |_| true).into_iter().map(|run| run.0).collect();
    assert_eq!(slots, counted);
}

#[test]
fn an_interval_keeps_its_pace_across_the_year_and_spreads_its_sources() {
    let schedule = Schedule::every(Span::hours(1)).unwrap().jitter(Span::minutes(5));
    let (from, to) = year(chrono_tz::UTC);
    let runs = watch(&schedule, from, to, 30, |_| true);
    assert!((8_759..=8_760).contains(&runs.len()), "{}", runs.len());
    let minutes: std::collections::BTreeSet<i64> = (0..60)
        .map(|number| schedule.next(&format!("feed-{number}"), from).unwrap().slot.unix() % 3_600 / 60)
        .collect();
    assert!(minutes.len() > 25, "{minutes:?}");
}

#[test]
fn what_was_missed_is_made_up_for_once_or_forgotten() {
    let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-03-11T00:00:00Z"));
    let asleep = at("2026-03-03T00:30:00Z")..at("2026-03-07T12:00:00Z");
    let awake = |now: Time| !asleep.contains(&now);
    let runs = |missed| {
        let schedule = Schedule::cron("0 6 * * *", chrono_tz::UTC).unwrap().missed(missed);
        watch(&schedule, from, to, 60, awake).into_iter().map(|run| run.1).collect::<Vec<_>>()
    };
    let days = [1, 2, 8, 9, 10].map(|day| at(&format!("2026-03-{day:02}T06:00:00Z")));
    assert_eq!(runs(Missed::Skip), days);
    let mut once = days.to_vec();
    once.insert(2, asleep.end);
    assert_eq!(runs(Missed::RunOnce), once);
}

#[test]
fn a_clock_that_was_ahead_does_not_put_a_source_off_for_a_year() {
    let schedule = Schedule::cron("0 6 * * *", chrono_tz::UTC).unwrap();
    let ahead = schedule.next("source", at("2027-03-01T00:00:00Z")).unwrap();
    let now = at("2026-03-01T00:00:00Z");
    let Decision::Wait(next) = schedule.decide("source", ahead, now) else { panic!("it is not due") };
    assert_eq!(next.due, at("2026-03-01T06:00:00Z"));
}

#[test]
fn a_clock_that_is_set_back_a_little_doubles_nothing() {
    let schedule = Schedule::cron("0 6 * * *", chrono_tz::UTC).unwrap();
    let waiting = schedule.next("source", at("2026-03-01T00:00:00Z")).unwrap();
    let Decision::Run(Some(next)) = schedule.decide("source", waiting, waiting.due) else {
        panic!("it is due")
    };
    for seconds in [1, 60, 3_000] {
        let now = waiting.due.plus(-seconds);
        assert_eq!(schedule.decide("source", next, now), Decision::Wait(next), "{seconds} back");
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    for pattern in ["", "* * * *", "* * * * * *", "61 * * * *", "0 6 * * * 2026", "whenever"] {
        let refused = Schedule::cron(pattern, Tz::UTC).unwrap_err();
        assert!(matches!(refused, BadSchedule::Pattern { .. }), "{pattern}: {refused}");
    }
    assert!(matches!(Schedule::cron("0 0 31 2 *", Tz::UTC), Err(BadSchedule::Never(_))));
    assert!(matches!(Schedule::every(Span::seconds(59)), Err(BadSchedule::TooOften(_))));
}

proptest! {
    /// However the clock jumps: no slot is run twice unless the clock was set back by more than an hour,
    /// no run comes before its slot, and after the jumps the schedule is in step again.
    #[test]
    fn no_slot_is_run_twice_and_the_schedule_always_comes_back(
        jumps in proptest::collection::vec((1_i64..200, -3 * DAY..3 * DAY), 0..6),
        every in 1_i64..30, jitter in 0_u64..90, skip in any::<bool>(),
    ) {
        let missed = if skip { Missed::Skip } else { Missed::RunOnce };
        let schedule = Schedule::every(Span::hours(every as u64)).unwrap()
            .jitter(Span::minutes(jitter)).missed(missed);
        let mut now = at("2026-06-01T00:00:00Z");
        let mut waiting = schedule.next("source", now).unwrap();
        let mut last: Option<(Time, Time)> = None;
        let mut set_back = false;
        for (minutes, jump) in jumps.iter().copied().chain([(every * 60 * 3, 0)]) {
            for _ in 0..minutes {
                now = now.plus(60);
                match schedule.decide("source", waiting, now) {
                    Decision::Wait(next) => waiting = next,
                    Decision::Forget(next) => waiting = next.unwrap(),
                    Decision::Run(next) => {
                        prop_assert!(waiting.slot <= now && waiting.due <= now);
                        prop_assert!(set_back || last.is_none_or(|(slot, _)| slot != waiting.slot));
                        set_back = false;
                        last = Some((waiting.slot, now));
                        waiting = next.unwrap();
                        prop_assert!(waiting.due > now);
                    }
                }
            }
            prop_assert!(waiting.due <= now.plus(JUMP + 2 * every * 3_600));
            now = now.plus(jump);
            set_back |= jump < -JUMP;
        }
        prop_assert!(last.is_some_and(|(_, begun)| begun > now.plus(-2 * every * 3_600)));
    }
}
