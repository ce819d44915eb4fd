//! Whether there is more to do than can be done, and who is let in then.
//!
//! The measure is the processor time of the threads that answer, against what the process may have: all its cores, or
//! the quota of its control group. Work apart from them (imports, packing) stands back by itself, and nobody is turned
//! away for it. A process that goes over its quota is stopped until the quota's period is over, and then nobody
//! is answered, whoever they are; so it has to know before, on the whole ([`Scale`]) and in each burst ([`paid`]). What is
//! taken off first is what can wait, and look-ups last; feeds and health are never turned away. These two are pure: readings
//! are given to them.

use super::limits::Class;
use super::quota;
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at what a thread has had, while there is anything to do. The kernel counts then, too: else it finds
/// only at its next tick, up to four milliseconds later, that a quota is used up, and stops the process for as many
/// periods more.
const LOOK: Duration = Duration::from_micros(500);
/// Between two readings of the whole.
const TICK: Duration = Duration::from_millis(10);
/// A burst may be so long, at the pace that the process may go on at for ever: what was not used longer ago is lost.
const BURST: Duration = Duration::from_millis(40);
/// So much of a burst each class leaves to the one that is turned away after it.
const LEFT: Duration = Duration::from_millis(10);
/// What a thread did before that is none of now's load.
const WINDOW: Duration = Duration::from_millis(50);
/// The share of what it may have that the process aims at under load: what is left takes up bursts, which in a short
/// period of a quota are larger than in a long one.
const AIM: f32 = 0.85;
/// A turned-away caller waits about so many milliseconds. While one waits it asks nothing else, and that alone makes
/// turning away cheaper than answering: either is a read and a write.
const HELD: f32 = 32.0;
/// Those who wait are let go together, so often: to be woken for each of them would cost more than to answer them.
const BEAT: Duration = Duration::from_millis(5);
/// Where so little is let in and it is still too much, refusing is what costs: the fewer come in, the longer the
/// others wait.
const CROWDED: f32 = 0.1;

/// How much is let in, from everything (3) to hardly anything: classes leave one after the other, each bit by bit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    open: f32,
    /// The share of the last readings, newer ones counting more.
    share: f32,
}

const OPEN: f32 = 3.0;
const SHUT: f32 = 0.02;

impl Scale {
    const fn new() -> Self {
        Self { open: OPEN, share: 0.0 }
    }

    /// Takes a reading into account: the share of what it may have that the process took in `time`.
    fn read(self, share: f32, time: Duration) -> Self {
        let weight = (time.as_secs_f32() / 0.05).min(1.0);
        let share = self.share + (share - self.share) * weight;
        // Quickly shut and slowly opened: what came too much already is in the queues. It opens by the time that has
        // gone by, however few have come in it.
        let step = (AIM / share.max(0.01)).clamp(0.8, 1.04);
        let step = if step > 1.0 { step.powf(time.as_secs_f32() / TICK.as_secs_f32()) } else { step };
        Self { open: (self.open * step).clamp(SHUT, OPEN), share }
    }
}

/// The opening at which none of a class is let in any more; none: it never leaves.
const fn leaves_at(class: Class) -> Option<f32> {
    match class {
        Class::Feeds => None,
        Class::Check => Some(0.0),
        Class::Write | Class::Auth => Some(1.0),
        Class::Bulk | Class::Read => Some(2.0),
    }
}

/// The part of a class that is let in at that opening, with so much `left` of a burst: one class after the other.
fn part(class: Class, open: f32, left: Duration) -> f32 {
    match leaves_at(class) {
        None => 1.0,
        Some(shut) if left <= LEFT.mul_f32(shut) => 0.0,
        Some(shut) => (open - shut).clamp(0.0, 1.0),
    }
}

/// Until when a process has had what it may have, at its pace of `cores`, when a thread has had `more` since `then`: beyond
/// now where it is ahead of that. What a thread had over a long time was no burst.
fn paid(before: Duration, then: Duration, more: Duration, cores: f32) -> Duration {
    before.max(then.saturating_sub(BURST)) + more.div_f64(cores.into())
}

/// How long a refusal is held back `since` some moment: until the beat that is nearest to [`HELD`], or up to 160
/// milliseconds when hardly anybody is let in.
fn held(open: f32, since: Duration) -> Duration {
    let wish = Duration::from_secs_f32(HELD * (CROWDED / open).max(1.0) / 1e3);
    let beats = ((since + wish).as_secs_f64() / BEAT.as_secs_f64()).round();
    BEAT.mul_f64(beats).saturating_sub(since)
}

/// The load of this process.
#[derive(Debug)]
pub(super) struct Overload {
    /// Processor seconds a second that it may have.
    cores: f32,
    /// What the threads that answer have had so far, in nanoseconds.
    spent: AtomicU64,
    last: Mutex<(Instant, u64, Scale)>,
    /// When it began, which is when the first beat was.
    begun: Instant,
    /// The opening, as bits.
    open: AtomicU32,
    /// What is [`paid`], in nanoseconds since it began.
    paid: AtomicU64,
}

thread_local! {
    /// When this thread was looked at last, and what it had had by then.
    static LOOKED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

impl Overload {
    pub(super) fn new() -> Self {
        Self::with_cores(quota::cores())
    }

    fn with_cores(cores: f32) -> Self {
        let now = Instant::now();
        let [spent, paid] = [(); 2].map(|()| AtomicU64::new(0));
        let (last, open) = (Mutex::new((now, 0, Scale::new())), AtomicU32::new(OPEN.to_bits()));
        Self { cores, spent, last, begun: now, open, paid }
    }

    /// How long a request of that class is to be held back before it is turned away; none: it may come in.
    pub(super) fn turns_away(&self, class: Class) -> Option<Duration> {
        let now = Instant::now();
        self.look(now);
        let open = f32::from_bits(self.open.load(Ordering::Relaxed));
        let since = self.since(now);
        let part = part(class, open, self.left(since));
        if part >= 1.0 || fastrand::f32() < part { None } else { Some(held(open, since)) }
    }

    /// What is left of a burst. With a core or more there are no more threads that answer than cores, and none is stopped.
    fn left(&self, since: Duration) -> Duration {
        match self.cores < 1.0 {
            true => since.saturating_sub(Duration::from_nanos(self.paid.load(Ordering::Relaxed))),
            false => BURST,
        }
    }

    /// The time; at the beginning a burst is left.
    fn since(&self, now: Instant) -> Duration {
        BURST + now.saturating_duration_since(self.begun)
    }

    /// Adds what this thread has had since it was looked at last, where that is a while ago, and takes a reading.
    fn look(&self, now: Instant) {
        match LOOKED.get() {
            Some((then, _)) if now.saturating_duration_since(then) < LOOK => return,
            Some((then, before)) => {
                let spent = quota::spent();
                // Of a thread that nobody looked at for long, only what it may have had of late is of now.
                let late = WINDOW.as_secs_f64() / now.saturating_duration_since(then).as_secs_f64();
                self.note(then, spent.saturating_sub(before), late.min(1.0));
                LOOKED.set(Some((now, spent)));
            }
            None => LOOKED.set(Some((now, quota::spent()))),
        }
        self.read(now);
    }

    /// Notes that a thread has had so much more since `then`, and so much of that `late`.
    fn note(&self, then: Instant, more: Duration, late: f64) {
        let nanos = |time: Duration| time.as_nanos() as u64;
        self.spent.fetch_add(nanos(more.mul_f64(late)), Ordering::Relaxed);
        let then = self.since(then);
        let go_on = |before| Some(nanos(paid(Duration::from_nanos(before), then, more, self.cores)));
        // It always has an answer, so there is no error.
        let _ = self.paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, go_on);
    }

    /// Takes a reading where one is due; whoever comes meanwhile goes by the last one.
    fn read(&self, now: Instant) {
        let Ok(mut last) = self.last.try_lock() else { return };
        let (then, before, scale) = *last;
        let (time, spent) = (now.saturating_duration_since(then), self.spent.load(Ordering::Relaxed));
        if time < TICK {
            return;
        }
        let share = (spent - before) as f32 / 1e9 / (time.as_secs_f32() * self.cores);
        let scale = scale.read(share, time);
        *last = (now, spent, scale);
        self.open.store(scale.open.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that does `load` times what it can while everything is let in.
    fn settled(load: f32, class: Class) -> Scale {
        (0..500)
            .fold(Scale::new(), |scale, _| scale.read((load * part(class, scale.open, BURST)).min(1.0), TICK))
    }

    #[test]
    fn nobody_is_turned_away_while_there_is_enough() {
        assert_eq!(settled(0.7, Class::Check).open, OPEN);
        let overload = Overload::with_cores(1000.0);
        assert!((0..1000).all(|_| overload.turns_away(Class::Bulk).is_none()));
    }

    #[test]
    fn what_other_threads_do_turns_nobody_away() {
        let overload = Overload::with_cores(1.0);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let busy = || while begun.elapsed() < Duration::from_millis(200) {};
            (0..2).for_each(|_| drop(scope.spawn(busy)));
            while begun.elapsed() < Duration::from_millis(200) {
                assert!(overload.turns_away(Class::Bulk).is_none());
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }

    #[test]
    fn under_load_the_share_that_is_aimed_at_is_let_in() {
        for load in [1.0, 2.0, 5.0, 20.0] {
            let scale = settled(load, Class::Check);
            let used = load * part(Class::Check, scale.open, BURST);
            assert!((used - AIM).abs() < 0.1, "{load}: {used}");
        }
    }

    #[test]
    fn what_can_wait_goes_first_and_feeds_never() {
        let scale = settled(2.0, Class::Check);
        assert!(part(Class::Check, scale.open, BURST) > 0.2);
        for class in [Class::Bulk, Class::Read, Class::Write, Class::Auth] {
            assert_eq!(part(class, scale.open, BURST), 0.0);
        }
        assert_eq!(part(Class::Feeds, SHUT, Duration::ZERO), 1.0);
    }

    #[test]
    fn a_burst_is_paid_for_by_what_was_not_used_just_before_and_no_more() {
        let millis = Duration::from_millis;
        let (now, few) = (Duration::from_secs(9), 0.25);
        assert_eq!(paid(Duration::ZERO, now, millis(10), few), now, "ten at a quarter of a core");
        assert_eq!(paid(Duration::ZERO, now, millis(11), few), now + millis(4), "however long it rested");
        assert_eq!(paid(now + millis(4), now, millis(1), few), now + millis(8));
        assert_eq!(paid(now, now, Duration::ZERO, few), now, "nothing is lost or won by looking");
        assert_eq!(
            paid(Duration::ZERO, now, millis(900), 1.0),
            now + millis(900) - BURST,
            "work is no burst"
        );
    }

    #[test]
    fn of_a_burst_each_class_leaves_some_to_the_one_that_goes_after_it() {
        let let_in = |left| {
            let is_in = |class: &Class| part(*class, OPEN, Duration::from_millis(left)) == 1.0;
            Class::ALL.into_iter().filter(is_in).collect::<Vec<_>>()
        };
        assert_eq!(let_in(21), Class::ALL);
        assert_eq!(let_in(11), [Class::Check, Class::Feeds, Class::Write, Class::Auth]);
        assert_eq!(let_in(1), [Class::Check, Class::Feeds]);
        assert_eq!(let_in(0), [Class::Feeds]);
    }

    #[test]
    fn at_the_beginning_and_after_a_rest_there_is_all_of_a_burst() {
        let [overload, whole] = [0.2, 1.0].map(Overload::with_cores);
        assert!(overload.turns_away(Class::Bulk).is_none());
        whole.note(Instant::now(), Duration::from_secs(1), 1.0);
        assert_eq!(
            whole.left(whole.since(Instant::now())),
            BURST,
            "nobody stops a thread on a core of its own"
        );
        overload.note(Instant::now(), Duration::from_secs(1), 1.0);
        assert!(overload.turns_away(Class::Check).is_some(), "a second of work is five seconds at that pace");
        let rested = Instant::now() + Duration::from_secs(9);
        overload.note(rested, Duration::ZERO, 1.0);
        assert_eq!(
            Duration::from_nanos(overload.paid.load(Ordering::Relaxed)),
            overload.since(rested) - BURST
        );
    }

    #[test]
    fn refusals_are_let_go_together_and_wait_the_longer_the_less_they_help() {
        let at = |open, millis| {
            (Duration::from_micros(millis) + held(open, Duration::from_micros(millis))).as_millis()
        };
        assert_eq!([10_600, 12_000, 15_400].map(|since| at(1.0, since)), [45; 3]);
        assert_eq!([15_600, 20_400].map(|since| at(1.0, since)), [50; 2]);
        assert_eq!(held(SHUT, Duration::ZERO), Duration::from_millis(160));
    }

    #[test]
    fn it_shuts_within_a_tenth_of_a_second_and_opens_within_two() {
        let mut scale = Scale::new();
        let until = |scale: &mut Scale, share: f32, is_there: fn(f32) -> bool| {
            let steps = (1..1000).find(|_| {
                *scale = scale.read(share, TICK);
                is_there(scale.open)
            });
            TICK * steps.unwrap()
        };
        assert!(until(&mut scale, 1.0, |open| open < 1.0) < Duration::from_millis(200));
        until(&mut scale, 1.0, |open| open <= SHUT);
        assert!(until(&mut scale, 0.3, |open| open == OPEN) < Duration::from_secs(2));
    }

    #[test]
    fn it_opens_by_time_and_not_by_how_many_come() {
        let shut = Scale { open: SHUT, share: 1.0 };
        assert_eq!(shut.read(0.0, Duration::from_secs(3600)).open, OPEN, "the first one in the morning");
        let seconds = |count| (0..count).fold(shut, |scale, _| scale.read(0.1, Duration::from_secs(1)));
        assert!(seconds(1).open < OPEN && seconds(3).open == OPEN);
    }
}
