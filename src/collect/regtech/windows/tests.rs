//! The order of windows, against every day of years and a portal that is made up.

use super::*;
use proptest::prelude::*;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn window(first: &str, last: &str) -> Window {
    Window { first: day(first), last: day(last) }
}

#[test]
fn the_portals_page_counts_months_and_not_days() {
    for (first, last, is_allowed) in [
        ("2026-01-15", "2026-04-14", true),
        ("2026-01-15", "2026-04-15", false),
        ("2026-01-31", "2026-04-30", true),
        ("2026-02-01", "2026-05-01", false),
        ("2026-11-30", "2027-02-28", true),
        ("2026-12-31", "2027-03-30", true),
        ("2026-12-31", "2027-03-31", false),
        ("2026-01-31", "2026-05-01", false),
        ("2026-01-02", "2026-01-02", true),
        ("2026-01-02", "2026-01-01", false),
    ] {
        assert_eq!(allowed(window(first, last), 3), is_allowed, "{first} {last}");
    }
}

#[test]
fn the_widest_windows_are_allowed_from_every_day_of_eight_years() {
    for (months, days) in [(3, 84), (1, 28), (12, 336)] {
        let plan = Plan { period_months: months, window_days: u16::MAX, ..Plan::default() };
        assert_eq!(plan.days(), days);
        for start in 0..8 * 366 {
            let first = day("2023-01-01").plus(start);
            assert!(allowed(Window { first, last: first.plus(days - 1) }, months), "{first}");
        }
    }
}

#[test]
fn a_period_is_cut_without_gaps_from_its_end() {
    let plan = Plan::default();
    assert_eq!(
        cut(window("2026-06-01", "2026-06-16"), &plan),
        [
            window("2026-06-10", "2026-06-16"),
            window("2026-06-03", "2026-06-09"),
            window("2026-06-01", "2026-06-02")
        ]
    );
    assert_eq!(cut(window("2026-06-01", "2026-05-31"), &plan), []);
}

/// A portal whose rows are listed on each of some days and released after as many.
struct Portal {
    first: Day,
    last: Day,
    lasts: i32,
}

impl Portal {
    fn latest_release(&self, window: Window) -> Option<Day> {
        let newest = window.last.min(self.last);
        (newest >= window.first && newest >= self.first).then(|| newest.plus(self.lasts))
    }
}

/// Reads all that is due on a day, as a run does.
fn run(memory: &mut Memory, plan: &Plan, portal: &Portal, today: Day) -> Vec<Window> {
    memory.begin(plan, today);
    go_on(memory, plan, portal, today)
}

fn go_on(memory: &mut Memory, plan: &Plan, portal: &Portal, today: Day) -> Vec<Window> {
    let mut read = Vec::new();
    while let Some(window) = memory.next(plan, today) {
        assert!(read.len() < 1_000, "it does not end");
        memory.record(window, today, portal.latest_release(window));
        read.push(window);
    }
    read
}

fn usual() -> Portal {
    Portal { first: day("2024-01-01"), last: day("2030-01-01"), lasts: 120 }
}

#[test]
fn the_first_run_goes_back_to_where_two_windows_hold_nothing_active() {
    let (plan, today) = (Plan::default(), day("2026-06-10"));
    let read = run(&mut Memory::default(), &plan, &usual(), today);
    assert_eq!(read[0], window("2026-06-04", "2026-06-10"));
    assert!(read.windows(2).all(|pair| pair[1].last.plus(1) == pair[0].first), "newest first, no gaps");
    assert!(read.iter().all(|window| window.last == today || window.first.plus(6) == window.last));
    let is_active = |window: &Window| usual().latest_release(*window) >= Some(today);
    let quiet = read.iter().position(|window| !is_active(window)).unwrap();
    assert_eq!(read.len(), quiet + 2);
}

#[test]
fn ninety_days_are_read_even_when_they_are_empty_and_the_first_days_of_the_portal_end_it() {
    let (plan, today) = (Plan::default(), day("2026-06-10"));
    let empty = Portal { last: day("2020-01-01"), ..usual() };
    let read = run(&mut Memory::default(), &plan, &empty, today);
    let deepest = read.last().unwrap();
    assert!(
        read[read.len() - 3].first <= today.plus(-90) && deepest.first > today.plus(-90 - 21),
        "{deepest}"
    );
    let forever = Portal { first: day("2020-01-01"), lasts: 10_000, ..usual() };
    let read = run(&mut Memory::default(), &plan, &forever, today);
    let deepest = read.last().unwrap();
    assert!(deepest.first <= today.plus(-1_095) && deepest.last >= today.plus(-1_095), "{deepest}");
}

#[test]
fn quiet_windows_must_stand_in_a_row() {
    let (plan, today) = (Plan::default(), day("2026-06-10"));
    let mut memory = Memory::default();
    memory.begin(&plan, today);
    let mut read = Vec::new();
    while let Some(window) = memory.next(&plan, today) {
        // Beyond the ninety days every second window still holds a row, five times.
        let beyond = (today.number() - 90 - window.last.number()).div_euclid(7);
        let active = beyond < 0 || (beyond < 10 && beyond % 2 == 1);
        memory.record(window, today, active.then_some(today));
        read.push(beyond);
    }
    assert_eq!(read[read.len() - 3..], [9, 10, 11]);
}

#[test]
fn a_run_that_was_cut_off_goes_on_where_it_stopped() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let whole = run(&mut Memory::default(), &plan, &portal, today);
    let mut memory = Memory::default();
    memory.begin(&plan, today);
    for window in &whole[..5] {
        assert_eq!(memory.next(&plan, today), Some(*window));
        memory.record(*window, today, portal.latest_release(*window));
    }
    let mut memory: Memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
    assert_eq!(go_on(&mut memory.clone(), &plan, &portal, today), whole[5..]);
    let anew = run(&mut memory, &plan, &portal, today);
    assert_eq!(anew[..2], whole[..2], "a new run looks for what is new first");
    assert_eq!(anew[2..], whole[5..]);
}

#[test]
fn later_runs_read_what_overlaps_and_a_week_later_all_that_holds_active_rows() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let mut memory = Memory::default();
    let first = run(&mut memory, &plan, &portal, today);
    assert_eq!(run(&mut memory, &plan, &portal, today), first[..2]);
    let next_day = run(&mut memory, &plan, &portal, today.plus(1));
    assert_eq!(next_day, [window("2026-06-11", "2026-06-11"), window("2026-06-04", "2026-06-10")]);
    let sweep = run(&mut memory, &plan, &portal, today.plus(7));
    assert_eq!(sweep.len(), first.len() - 2 + 1, "one new, the two quiet ones rest");
    assert!(
        first[..first.len() - 2]
            .iter()
            .all(|window| sweep.contains(&Window { last: window.first.plus(6), ..*window }))
    );
    assert_eq!(run(&mut memory, &plan, &portal, today.plus(8)).len(), 2, "once a week");
}

#[test]
fn a_window_is_read_once_more_after_its_last_row_was_to_end() {
    let (plan, today) = (Plan::default(), day("2026-06-10"));
    let mut memory = Memory::default();
    run(&mut memory, &plan, &usual(), today);
    let (oldest, seen) = memory.windows().find(|(_, seen)| seen.active >= Some(today)).unwrap();
    let end = seen.active.unwrap();
    assert!(end < today.plus(7), "it ends before the next sweep");
    let sweep = run(&mut memory, &plan, &usual(), today.plus(7));
    assert!(sweep.iter().any(|window| window.first == oldest), "its release day may have been put off");
    let later = run(&mut memory, &plan, &usual(), today.plus(14));
    assert!(later.iter().all(|window| window.first != oldest));
}

#[test]
fn a_pause_of_months_leaves_no_gap() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let mut memory = Memory::default();
    run(&mut memory, &plan, &portal, today);
    let read = run(&mut memory, &plan, &portal, today.plus(200));
    let wanted = (0..200).map(|days| today.plus(days + 1));
    assert!(wanted.clone().all(|day| read.iter().any(|window| window.first <= day && day <= window.last)));
}

#[test]
fn a_clock_that_jumps_neither_stops_reading_nor_starts_it_over_for_ever() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let mut memory = Memory::default();
    run(&mut memory, &plan, &portal, today.plus(400));
    let back = run(&mut memory, &plan, &portal, today);
    assert!(back.len() > 13, "{}", back.len());
    assert_eq!(run(&mut memory, &plan, &portal, today).len(), 2);
}

#[test]
fn what_was_read_by_a_clock_that_was_wrong_is_all_read_again() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let mut memory = Memory::default();
    let before = run(&mut memory, &plan, &portal, today);
    run(&mut memory, &plan, &portal, today.plus(400));
    let back = run(&mut memory, &plan, &portal, today);
    // The last two held nothing that was active when the clock was right still.
    assert_eq!(back, before[..before.len() - 2]);
    assert_eq!(run(&mut memory, &plan, &portal, today).len(), 2, "once");
}

#[test]
fn another_size_of_windows_is_another_grid() {
    let (plan, portal, today) = (Plan::default(), usual(), day("2026-06-10"));
    let mut memory = Memory::default();
    run(&mut memory, &plan, &portal, today);
    let month = Plan { window_days: 28, ..plan };
    let read = run(&mut memory, &month, &portal, today);
    assert!(read.len() > 4 && read[1..].iter().all(|window| window.first.plus(27) == window.last));
}

proptest! {
    /// Whatever the plan and whenever runs are made: every day of the last ninety is read within a week,
    /// every window is one that the portal gives, and each run reads no window twice.
    #[test]
    fn runs_of_any_pace_keep_the_last_ninety_days_fresh(
        window_days in 1..100u16, overlap_days in 0..20u16, pauses in prop::collection::vec(0..30i32, 1..12),
    ) {
        let plan = Plan { window_days, overlap_days, ..Plan::default() };
        let (mut memory, mut today) = (Memory::default(), day("2026-06-10"));
        for pause in pauses {
            today = today.plus(pause);
            let read = run(&mut memory, &plan, &usual(), today);
            prop_assert!(read.iter().all(|window| allowed(*window, 3) && window.last <= today));
            let mut once = read.clone();
            once.dedup();
            prop_assert_eq!(&once, &read);
            for back in 0..90 {
                let window = plan.window_of(today.plus(-back), today);
                let seen = memory.windows.get(&window.first);
                prop_assert!(seen.is_some_and(|seen| today.number() - seen.on.number() < 7), "{} {:?}", window, seen);
            }
        }
    }
}
