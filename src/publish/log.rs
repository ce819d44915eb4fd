//! What changed from release to release of a feed, as a file that grows by a frame a release, so that whoever knows an
//! earlier generation is told the difference. Old frames go when the file is long.

use super::packed::Packed;
use crate::addr::IpSet;
use crate::codec::{Damaged, Reader, Writer};
use crate::disk::{DiskError, digest, write_whole};
use crate::model::Time;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The first bytes of a log.
const MAGIC: &[u8] = b"ironlist log 3\n";
/// No log is longer, in bytes.
const LONGEST: usize = 32 << 20;
/// Bytes of a frame's digest.
const DIGEST: usize = 16;

/// One release, as a difference from the one before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The generation of the release.
    pub generation: u64,
    /// The release's own time, by which it is known: no two releases of a feed have the same.
    pub modified: Time,
    /// Whether readers may have been told of that generation before: a consent releases in the generation that was held.
    pub late: bool,
    /// When it was released: consent may come long after its generation. It rises from step to step.
    pub time: Time,
    /// What it lists no more.
    pub removed: Packed,
    /// What it lists anew.
    pub added: Packed,
}

/// The difference between two releases of a feed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// What is listed no more.
    pub removed: IpSet,
    /// What is listed anew.
    pub added: IpSet,
}

impl Difference {
    /// What steps come to, one after the other. Linear in the steps and what they changed.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut difference = Self::default();
        steps.iter().for_each(|step| difference.then(&step.removed.unpack(), &step.added.unpack()));
        difference
    }

    /// What steps come to for whoever may know some of them already: nothing cancels out, and what is told twice does no
    /// harm.
    pub(super) fn repeated(steps: &[Step]) -> Self {
        steps.iter().fold(Self::default(), |all, step| {
            let (removed, added) = (step.removed.unpack(), step.added.unpack());
            Self {
                removed: all.removed.subtract(&added).union(&removed),
                added: all.added.subtract(&removed).union(&added),
            }
        })
    }

    /// Goes on by a step: what comes back was never gone, and what goes again never came.
    fn then(&mut self, removed: &IpSet, added: &IpSet) {
        let gone = removed.subtract(&self.added);
        let new = added.subtract(&self.removed);
        self.added = self.added.subtract(removed).union(&new);
        self.removed = self.removed.subtract(added).union(&gone);
    }
}

/// The steps of a feed.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// The generation of the release before the first step.
    begin: u64,
    /// Whether there was nothing before the first step: who has nothing may begin there, too.
    from_nothing: bool,
    steps: Vec<Step>,
    /// Bytes of the file.
    size: usize,
    /// A longer file is cut to half of it.
    longest: usize,
    /// Whether the file ends with the last step.
    whole: bool,
}

impl Log {
    /// Opens the log of a feed that stands at the release of `generation` and of the time `modified`. What is damaged, torn
    /// by a crash or of another release is left out, and the log begins anew where it would not lead there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(path: PathBuf, generation: u64, modified: Time) -> Result<Self, DiskError> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(DiskError::io(path.display().to_string(), error)),
        };
        let (begin, from_nothing, steps) = read(&bytes).unwrap_or_default();
        let steps: Vec<Step> = steps.into_iter().take_while(|step| step.modified <= modified).collect();
        let leads_there = steps.last().map_or(begin == generation, |step| step.modified == modified);
        if !leads_there {
            return Ok(Self::begin(path, generation));
        }
        // Written anew by the first step, whatever is there.
        Ok(Self { begin, from_nothing, steps, ..Self::begin(path, generation) })
    }

    /// A log that knows nothing before the release of `generation`.
    pub(super) fn begin(path: PathBuf, generation: u64) -> Self {
        let (from_nothing, steps) = (false, Vec::new());
        Self { path, begin: generation, from_nothing, steps, size: 0, longest: LONGEST, whole: false }
    }

    /// Forgets everything before the release of `generation`.
    pub(super) fn begin_again(&mut self, generation: u64) {
        (self.begin, self.from_nothing, self.whole) = (generation, false, false);
        self.steps.clear();
    }

    /// Begins at the generation in which the feed came to be. Who knows an earlier one knows another feed of its name.
    pub(super) fn be_born(&mut self, generation: u64) {
        self.begin_again(generation);
        self.from_nothing = true;
    }

    /// Takes in a release, on the disk too.
    ///
    /// # Errors
    /// A fault of the disk: the step is known, and written with the next one.
    pub(super) fn push(&mut self, step: Step) -> Result<(), DiskError> {
        let frame = frame(&step);
        self.steps.push(step);
        if !std::mem::replace(&mut self.whole, false) || self.size + frame.len() > self.longest {
            self.rewrite()?;
        } else {
            append(&self.path, &frame)?;
            self.size += frame.len();
        }
        self.whole = true;
        Ok(())
    }

    fn rewrite(&mut self) -> Result<(), DiskError> {
        let frames: Vec<Vec<u8>> = self.steps.iter().map(frame).collect();
        let mut kept = 0;
        let fits = |frame: &&Vec<u8>| {
            kept += frame.len();
            kept <= self.longest / 2
        };
        let newest = frames.iter().rev().take_while(fits).count();
        let dropped = frames.len() - newest;
        if let Some(last) = dropped.checked_sub(1).and_then(|at| self.steps.get(at)) {
            // Who was told of its generation before it was made does not know it.
            self.begin = last.generation + u64::from(last.late);
            self.from_nothing = false;
        }
        self.steps.drain(..dropped);
        let mut head = Writer::default();
        head.raw(MAGIC);
        head.number(self.begin);
        head.number(u64::from(self.from_nothing));
        let bytes = [vec![head.into_bytes()], frames[dropped..].to_vec()].concat().concat();
        write_whole(&self.path, &bytes)?;
        self.size = bytes.len();
        Ok(())
    }

    /// The steps after what somebody was told at `generation`, 0 for somebody who has nothing; `None` when they are not
    /// known. Those that came late in it are among them, whether or not they were told.
    pub(super) fn since(&self, generation: u64) -> Option<&[Step]> {
        let is_told =
            |step: &Step| step.generation < generation || (step.generation == generation && !step.late);
        let begin = self.steps.partition_point(is_told);
        let is_known = generation >= self.begin || (generation == 0 && self.from_nothing);
        is_known.then(|| &self.steps[begin..])
    }

    /// The oldest generation that [`Log::since`] knows.
    pub(super) fn oldest(&self) -> u64 {
        self.begin
    }

    /// The steps, the oldest first.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn append(path: &Path, frame: &[u8]) -> Result<(), DiskError> {
    let write = || {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(frame)
    };
    write().map_err(|error| DiskError::io(path.display().to_string(), error))
}

fn frame(step: &Step) -> Vec<u8> {
    let mut body = Writer::default();
    body.number(step.generation);
    body.signed(step.modified.unix());
    body.signed(step.time.unix());
    body.number(u64::from(step.late));
    body.bytes(step.removed.bytes());
    body.bytes(step.added.bytes());
    let body = body.into_bytes();
    let mut frame = Writer::default();
    frame.raw(&digest(&[&body])[..DIGEST]);
    frame.bytes(&body);
    frame.into_bytes()
}

/// The steps up to the first that is torn or damaged.
fn read(bytes: &[u8]) -> Result<(u64, bool, Vec<Step>), Damaged> {
    let mut reader = Reader::new(bytes);
    if reader.raw(MAGIC.len())? != MAGIC {
        return Err(Damaged("it is no log of this form"));
    }
    let (begin, from_nothing) = (reader.number()?, reader.number()? != 0);
    let mut steps = Vec::new();
    while let Ok(step) = step(&mut reader) {
        steps.push(step);
    }
    Ok((begin, from_nothing, steps))
}

fn step(reader: &mut Reader) -> Result<Step, Damaged> {
    let told: [u8; DIGEST] = reader.array()?;
    let body = reader.bytes()?;
    if digest(&[body])[..DIGEST] != told {
        return Err(Damaged("a digest does not fit"));
    }
    let mut reader = Reader::new(body);
    Ok(Step {
        generation: reader.number()?,
        modified: Time::from_unix(reader.signed()?),
        time: Time::from_unix(reader.signed()?),
        late: reader.number()? != 0,
        removed: Packed::from_bytes(reader.bytes()?)?,
        added: Packed::from_bytes(reader.bytes()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Range, RangeSet};
    use proptest::prelude::*;

    fn set(addresses: &[u8]) -> IpSet {
        let ranges = addresses.iter().map(|address| Range::single(u32::from(*address)));
        IpSet { v4: ranges.collect(), v6: RangeSet::EMPTY }
    }

    fn step(generation: u64, before: &IpSet, after: &IpSet) -> Step {
        let (removed, added) = (before.subtract(after), after.subtract(before));
        let time = Time::from_unix(generation as i64);
        Step {
            generation,
            modified: time,
            late: false,
            time,
            removed: Packed::of(&removed),
            added: Packed::of(&added),
        }
    }

    fn open(path: &Path, generation: u64) -> Log {
        Log::open(path.to_owned(), generation, Time::from_unix(generation as i64)).unwrap()
    }

    proptest! {
        #[test]
        fn whoever_was_told_a_generation_is_told_what_came_late_in_it(
            releases in proptest::collection::vec((proptest::collection::vec(0..20_u8, 0..9), any::<bool>()), 1..8),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut log = open(&folder.path().join("a.log"), 0);
            let (mut readers, mut now) = (vec![(0, IpSet::default())], 0);
            for (addresses, late) in &releases {
                let (before, after) = (readers.last().unwrap().1.clone(), set(addresses));
                now += u64::from(!late);
                log.push(Step { late: *late, ..step(now, &before, &after) }).unwrap();
                readers.push((now, after));
            }
            let last = &readers.last().unwrap().1;
            for (told, has) in &readers {
                let difference = Difference::repeated(log.since(*told).unwrap());
                prop_assert_eq!(&has.subtract(&difference.removed).union(&difference.added), last);
            }
        }

        #[test]
        fn a_late_release_that_was_not_kept_is_left_out_when_the_log_is_opened(late in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.log");
            let mut log = open(&path, 4);
            log.push(step(5, &set(&[1]), &set(&[2]))).unwrap();
            let second = Step { late, modified: Time::from_unix(6), ..step(5, &set(&[2]), &set(&[3])) };
            log.push(second).unwrap();
            prop_assert_eq!(open(&path, 5).steps().len(), 1);
            prop_assert_eq!(Log::open(path, 5, Time::from_unix(6)).unwrap().steps().len(), 2);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn differences_applied_in_order_lead_from_any_release_to_the_last(
            releases in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..8),
            reopened: prop::sample::Index,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.log");
            let sets: Vec<IpSet> = releases.iter().map(|addresses| set(addresses)).collect();
            let mut log = open(&path, 0);
            let reopened = reopened.index(sets.len());
            let mut before = IpSet::default();
            for (at, after) in sets.iter().enumerate() {
                log.push(step(at as u64 + 1, &before, after)).unwrap();
                before = after.clone();
                if at == reopened {
                    log = open(&path, at as u64 + 1);
                }
            }
            let last = sets.last().unwrap();
            for (at, from) in [IpSet::default()].iter().chain(&sets).enumerate() {
                let difference = Difference::of(log.since(at as u64).unwrap());
                prop_assert_eq!(&from.subtract(&difference.removed).union(&difference.added), last);
                prop_assert_eq!(difference.added, last.subtract(from), "nothing that was there already");
                prop_assert_eq!(difference.removed, from.subtract(last));
            }
        }
    }

    #[test]
    fn whoever_was_told_of_a_generation_before_a_person_consented_hears_of_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let sets = [set(&[1, 2]), set(&[2, 3]), set(&[3, 4]), set(&[1, 4])];
        let mut log = open(&path, 1);
        for (at, generation, late) in [(0, 2, false), (1, 2, true), (2, 3, false)] {
            log.push(Step { late, ..step(generation, &sets[at], &sets[at + 1]) }).unwrap();
        }
        log = open(&path, 3);
        assert_eq!(log.since(1).unwrap().len(), 3);
        let told = Difference::repeated(log.since(2).unwrap());
        for known in &sets[1..3] {
            assert_eq!(known.subtract(&told.removed).union(&told.added), sets[3]);
        }
        assert!(log.since(3).unwrap().is_empty());
    }

    #[test]
    fn whoever_knows_an_earlier_feed_of_the_name_is_told_to_begin_again_and_whoever_has_nothing_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = Log::begin(path.clone(), 0);
        log.be_born(4);
        assert_eq!(log.since(3), None);
        assert_eq!(log.since(0).map(<[Step]>::len), Some(0));
        log.push(step(6, &set(&[]), &set(&[1]))).unwrap();
        for log in [log, open(&path, 6)] {
            let steps = [0, 3, 4, 5, 6].map(|generation| log.since(generation).map(<[Step]>::len));
            assert_eq!(steps, [Some(1), None, Some(1), Some(1), Some(0)]);
        }
    }

    #[test]
    fn a_torn_or_foreign_log_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = open(&path, 4);
        log.push(step(5, &set(&[1]), &set(&[2]))).unwrap();
        log.push(step(6, &set(&[2]), &set(&[3]))).unwrap();
        assert_eq!((log.oldest(), log.since(3)), (4, None));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(open(&path, 5).steps().len(), 1, "the release before the crash");
        assert_eq!(open(&path, 6).oldest(), 6, "it does not lead there");
        std::fs::write(&path, "something else").unwrap();
        assert_eq!(open(&path, 6).oldest(), 6);
    }

    #[test]
    fn a_long_log_forgets_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(&folder.path().join("a.log"), 0);
        log.longest = 1 << 16;
        let big: IpSet =
            IpSet { v4: (0..6_000_u32).map(|n| Range::single(n * 600)).collect(), v6: RangeSet::EMPTY };
        for generation in 1..=5 {
            let (before, after) =
                if generation % 2 == 1 { (&IpSet::default(), &big) } else { (&big, &IpSet::default()) };
            log.push(step(generation, before, after)).unwrap();
        }
        assert!(log.oldest() > 0 && log.since(0).is_none());
        assert_eq!(Difference::of(log.since(4).unwrap()).added, big);
        assert!(log.size <= log.longest);
    }
}
