//! Which sources need somebody, as health and metrics tell it: those that stand still, are held, or were not
//! collected for too long.
//!
//! How sources stand is on the disk, and health is asked for often: the sources are looked at now and then, and
//! what was seen last is told.

use crate::collect::collector::{CollectError, Collector, SourceView};
use crate::collect::ledger::{Hold, Stopped};
use crate::collect::run::State;
use crate::engine::Engine;
use crate::model::{SourceName, Time};
use crate::web::health::Check;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sources are looked at so often.
const PAUSE: Duration = Duration::from_secs(5);
/// Sources that health names; more are counted.
const NAMED: usize = 10;
/// Seconds by which a clock may be set back without a word.
const CLOCKS: i64 = 3_600;

/// What is the matter with a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It fetches nothing until a person has acted.
    Stopped,
    /// What it brought waits for a person's word.
    Held,
    /// Its last run failed for something here, or for want of somebody; the next one tries again.
    Hindered,
    /// It has not been collected whole for too long.
    Late,
    /// Its list's own date is old.
    Old,
}

impl Trouble {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Stopped, Self::Held, Self::Hindered, Self::Late, Self::Old];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Held => "held",
            Self::Hindered => "hindered",
            Self::Late => "late",
            Self::Old => "old",
        }
    }
}

/// A source that needs somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Case {
    trouble: Trouble,
    detail: String,
    cure: String,
}

/// What was seen of a source.
#[derive(Clone, Debug, Default)]
struct Looked {
    /// What is the matter with it, if anything is.
    case: Option<Case>,
    /// Its list's own date.
    dated: Option<Time>,
}

/// What was seen of every source; or why nothing could be seen.
type Seen = Result<BTreeMap<SourceName, Looked>, String>;

/// The sources as they were seen last.
#[derive(Debug)]
pub struct Watch(ArcSwap<Seen>);

impl Default for Watch {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Ok(BTreeMap::new())))
    }
}

impl Watch {
    /// Looks at the sources again and again; never ends.
    pub async fn follow(&self, engine: &Engine, collector: &Collector) {
        loop {
            self.look(engine, collector).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks at the sources once.
    pub(super) async fn look(&self, engine: &Engine, collector: &Collector) {
        let looked = cases(collector, engine.now()).await.map_err(|error| error.to_string());
        let seen = looked.map(|cases| {
            let before = self.0.load();
            let gone = before.iter().flat_map(BTreeMap::keys).map(|name| (name.clone(), Looked::default()));
            // Of a source that was removed the metrics must say that nothing is the matter with it.
            gone.chain(cases).collect()
        });
        self.0.store(seen.into());
    }

    /// For `/health`: every case with its cure.
    pub fn check(&self) -> Check {
        match &**self.0.load() {
            Ok(seen) => told(&seen.values().filter_map(|looked| looked.case.as_ref()).collect::<Vec<_>>()),
            Err(error) => Check::degraded(
                format!("the sources cannot be looked at: {error}"),
                "it is tried again by itself; see the log, and `ironlist doctor`",
            ),
        }
    }

    /// Tells of every source what is the matter with it.
    pub fn each(&self, mut tell: impl FnMut(&SourceName, Option<Trouble>)) {
        for (name, looked) in self.0.load().iter().flatten() {
            tell(name, looked.case.as_ref().map(|case| case.trouble));
        }
    }

    /// Tells the date of every source's list that has one.
    pub fn dates(&self, mut tell: impl FnMut(&SourceName, Time)) {
        for (name, looked) in self.0.load().iter().flatten() {
            looked.dated.into_iter().for_each(|dated| tell(name, dated));
        }
    }
}

fn told(cases: &[&Case]) -> Check {
    if cases.is_empty() {
        return Check::healthy("");
    }
    let (named, more) = cases.split_at(cases.len().min(NAMED));
    let mut details: Vec<String> = named.iter().map(|case| case.detail.clone()).collect();
    let mut cures: Vec<String> = named.iter().map(|case| case.cure.clone()).collect();
    if !more.is_empty() {
        details.push(format!("and {} more", more.len()));
    }
    cures.dedup();
    Check::degraded(details.join("; "), cures.join("; "))
}

async fn cases(collector: &Collector, now: Time) -> Result<BTreeMap<SourceName, Looked>, CollectError> {
    let (sources, holds) = (collector.sources().await?, collector.holds().await?);
    let hold = |name: &SourceName| holds.iter().find(|hold| hold.source == *name);
    let looked = |view: &SourceView| Looked { case: case(view, hold(&view.name), now), dated: view.dated };
    Ok(sources.iter().map(|view| (view.name.clone(), looked(view))).collect())
}

/// What is the matter with a source; the gravest, where it is several things.
fn case(view: &SourceView, hold: Option<&Hold>, now: Time) -> Option<Case> {
    let stopped = view.stopped.as_ref().filter(|_| view.enabled).map(|stopped| stands_still(view, stopped));
    let held = || {
        let detail = format!("{}: {} listings wait for consent", view.name, hold?.shown());
        Some(Case { trouble: Trouble::Held, detail, cure: "ironlist hold list".to_owned() })
    };
    stopped.or_else(held).or_else(|| hindered(view)).or_else(|| late(view, now)).or_else(|| old(view, now))
}

fn hindered(view: &SourceView) -> Option<Case> {
    let hindrance = view.hindered.as_ref().filter(|_| view.enabled)?;
    let detail = format!("{} was not collected: {}", view.name, hindrance.fault.detail);
    Some(Case { trouble: Trouble::Hindered, detail, cure: format!("ironlist run start {}", view.name) })
}

fn old(view: &SourceView, now: Time) -> Option<Case> {
    let dated = view.dated.filter(|_| view.enabled)?;
    view.definition.gate.old_from(Some(dated)).filter(|from| *from <= now)?;
    let detail = format!("{}: its list is dated {dated}; see whether its owner still tends it", view.name);
    Some(Case { trouble: Trouble::Old, detail, cure: format!("ironlist source show {}", view.name) })
}

fn stands_still(view: &SourceView, Stopped { since, credentials, fault }: &Stopped) -> Case {
    let name = &view.name;
    let cure = match (credentials, view.definition.kind.is_portal()) {
        (true, true) => format!("ironlist source credentials {name} --username NAME"),
        // A public list needs none: mostly its server has refused for a while.
        (true, false) | (false, _) => format!("ironlist source enable {name}"),
    };
    let detail = format!("{name} stands still since {since}: {}", fault.detail);
    Case { trouble: Trouble::Stopped, detail, cure }
}

fn late(view: &SourceView, now: Time) -> Option<Case> {
    let name = &view.name;
    let detail = match view.last_success {
        _ if !view.enabled => return None,
        // In the future lies what was written down by a clock that was wrong: it proves nothing.
        Some(last) if last > now.plus(CLOCKS) || view.definition.late_from(name, last)? <= now => {
            format!("{name} was not collected whole since {last}")
        }
        // As long as it is tried again by itself nobody is needed.
        None if view.state == Some(State::Failed) && view.retry.is_none() => {
            format!("{name} was never collected whole")
        }
        _ => return None,
    };
    Some(Case { trouble: Trouble::Late, detail, cure: format!("ironlist run list --source {name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::collector::Origin;
    use crate::collect::definition::{Definition, Kind};
    use crate::collect::ledger::Retrying;
    use crate::collect::run::Fault;

    const NOON: &str = "2026-09-22T03:00:00Z";

    fn portal() -> SourceView {
        SourceView {
            name: "regtech".parse().unwrap(),
            origin: Origin::Builtin,
            definition: Definition::new(Kind::Regtech),
            enabled: true,
            credentials: true,
            state: Some(State::Failed),
            next_run: None,
            last_success: Some(NOON.parse().unwrap()),
            last_run: None,
            stopped: None,
            retry: None,
            hindered: None,
            dated: None,
        }
    }

    fn stopped(credentials: bool) -> Option<Stopped> {
        let fault = Fault::new("scripted", "it fails");
        Some(Stopped { since: NOON.parse().unwrap(), credentials, fault })
    }

    /// What is the matter days after the last success, and what is to be done.
    fn matter(view: &SourceView, days: i64) -> Option<(Trouble, String)> {
        let now: Time = NOON.parse().unwrap();
        case(view, None, now.plus(days * 86_400)).map(|case| (case.trouble, case.cure))
    }

    #[test]
    fn a_source_that_stands_still_is_told_with_what_sets_it_going_again() {
        for (credentials, cure) in [
            (true, "ironlist source credentials regtech --username NAME"),
            (false, "ironlist source enable regtech"),
        ] {
            let view = SourceView { stopped: stopped(credentials), ..portal() };
            assert_eq!(matter(&view, 0), Some((Trouble::Stopped, cure.to_owned())));
            assert_eq!(matter(&SourceView { enabled: false, ..view }, 9), None, "nobody misses it");
        }
    }

    #[test]
    fn a_source_is_late_when_it_was_not_collected_whole_for_too_long() {
        let late = Some((Trouble::Late, "ironlist run list --source regtech".to_owned()));
        assert_eq!((matter(&portal(), 2), matter(&portal(), 4)), (None, late.clone()));
        assert_eq!(matter(&portal(), -1), late, "by a clock that was ahead");
        let never = SourceView { last_success: None, ..portal() };
        assert_eq!(matter(&never, 0), late);
        let retry = Some(Retrying::now(NOON.parse().unwrap()));
        assert_eq!(matter(&SourceView { retry, ..never.clone() }, 0), None, "it is tried again");
        assert_eq!(matter(&SourceView { state: Some(State::Running), ..never }, 0), None);
    }

    #[test]
    fn what_hinders_a_source_and_a_list_that_is_old_are_told() {
        let fault = Fault::new("vault", "no key");
        let hindered = Some(crate::collect::ledger::Hindrance { since: NOON.parse().unwrap(), fault });
        let view = SourceView { hindered, ..portal() };
        assert_eq!(matter(&view, 0), Some((Trouble::Hindered, "ironlist run start regtech".to_owned())));
        let now = NOON.parse::<Time>().unwrap();
        let dated = |days: i64| SourceView { dated: Some(now.plus(-days * 86_400)), ..portal() };
        let old = Some((Trouble::Old, "ironlist source show regtech".to_owned()));
        assert_eq!((matter(&dated(29), 0), matter(&dated(30), 0)), (None, old));
    }

    #[test]
    fn a_public_list_that_stands_still_needs_no_credentials_to_go_on() {
        let view = SourceView { stopped: stopped(true), definition: Definition::new(Kind::Feed), ..portal() };
        assert_eq!(matter(&view, 0).unwrap().1, "ironlist source enable regtech");
    }

    #[test]
    fn many_cases_are_counted_and_one_cure_is_said_once() {
        let case = Case {
            trouble: Trouble::Held,
            detail: "x: held".to_owned(),
            cure: "ironlist hold list".to_owned(),
        };
        let check = told(&[&case; NAMED + 2]);
        assert!(check.detail.ends_with("; x: held; and 2 more"), "{}", check.detail);
        assert_eq!(check.cure, "ironlist hold list");
    }
}
