//! Credentials and codes: sealed, attempted at most once when wrong, asked for once.

use super::*;
use crate::collect::ledger::{Credentials, NoAttempt};
use crate::disk::faulty::{self, FaultyDisk};

#[tokio::test]
async fn a_portal_runs_once_it_has_an_account_and_never_after_a_wrong_one() {
    let house = House::new();
    let wrong = script(|job| {
        Box::pin(async move {
            job.attempt::<serde_json::Value>().await?;
            job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await?;
            Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"))
        })
    });
    let collector = open(&house, wrong);
    let trigger = || collector.trigger(name("account"), "tester", Wish { force: true, ..Wish::default() });
    assert!(matches!(trigger().await, Err(CollectError::NoCredentials(_))));
    set_account(&collector).await;
    let id = trigger().await.unwrap();
    over(&collector, id).await;
    assert!(matches!(trigger().await, Err(CollectError::NoAttempt(_))));
    assert!(standing(&collector, "account").await.stopped.is_some_and(|stopped| stopped.credentials));
    collector.enable(&name("account"), true, "tester").await.unwrap();
    assert!(trigger().await.is_err(), "switching it on again does not make a password right");
    set_account(&collector).await;
    assert!(trigger().await.is_ok(), "a new version may be tried once");
}

#[tokio::test]
async fn an_attempt_that_a_crash_left_unanswered_is_not_repeated_after_a_restart() {
    let house = House::new();
    for (proven, may) in [(false, false), (true, true)] {
        let dies = script(|job| {
            Box::pin(async move {
                job.attempt::<serde_json::Value>().await?;
                job.until_stopped(std::future::pending()).await
            })
        });
        let collector = open(&house, dies);
        set_account(&collector).await;
        if proven {
            prove(&collector).await;
        }
        let id = collector.trigger(name("account"), "tester", Wish::default()).await.unwrap();
        wait_for_attempt(&collector).await;
        crash(collector).await;
        let collector = open(&house, lists([TWO]));
        let run = collector.run(id).await.unwrap();
        assert_eq!((run.state, run.fault.unwrap().code.as_str()), (State::Failed, "interrupted"));
        house.wait(20);
        let next = collector.trigger(name("account"), "tester", Wish::default()).await;
        assert_eq!(next.is_ok(), may, "{next:?}");
        if let Ok(id) = next {
            over(&collector, id).await;
        }
        crash(collector).await;
    }
}

/// The portal has accepted the account before.
async fn prove(collector: &Collector) {
    let prove = |change: &Change<'_>| {
        let accept = |kept: &mut Option<Credentials>| {
            kept.as_mut().map(|kept| kept.answer(Time::default(), Answer::Accepted))
        };
        change.credentials(&name("account"), accept)
    };
    collector.0.change(prove).await.unwrap();
}

#[tokio::test]
async fn credentials_that_were_right_are_not_sent_for_ever_when_every_answer_is_lost() {
    let house = House::new();
    let sent = Arc::new(AtomicUsize::new(0));
    let dies = |sent: &Arc<AtomicUsize>| {
        let sent = Arc::clone(sent);
        script(move |job| {
            let sent = Arc::clone(&sent);
            Box::pin(async move {
                job.attempt::<serde_json::Value>().await?;
                sent.fetch_add(1, Ordering::Relaxed);
                job.until_stopped(std::future::pending()).await
            })
        })
    };
    let mut collector = open(&house, dies(&sent));
    set_account(&collector).await;
    prove(&collector).await;
    for crashes in 1..=3 {
        collector.trigger(name("account"), "tester", Wish::default()).await.unwrap();
        while sent.load(Ordering::Relaxed) < crashes {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        crash(collector).await;
        collector = open(&house, dies(&sent));
        let soon = collector.trigger(name("account"), "tester", Wish::default()).await;
        assert!(soon.is_err(), "not before hours have passed: {soon:?}");
        house.wait(20);
    }
    let refused = collector.trigger(name("account"), "tester", Wish { force: true, ..Wish::default() }).await;
    assert!(matches!(refused, Err(CollectError::NoAttempt(NoAttempt::Repeated { count: 3, .. }))));
    let left = standing(&collector, "account").await;
    assert!(left.retry.is_none() && left.stopped.is_some_and(|stopped| !stopped.credentials));
    let anybody = collector.switch_on(&name("account"), "anybody").await;
    assert!(matches!(anybody, Err(CollectError::Stopped(_))), "who only switches it on gives it no attempt");
    assert!(standing(&collector, "account").await.stopped.is_some());
    collector.enable(&name("account"), true, "tester").await.unwrap();
    let id = collector.trigger(name("account"), "tester", Wish::default()).await;
    assert!(id.is_ok(), "a person has looked: {id:?}");
}

/// A collector whose ledger is on a disk that may fail.
fn open_on(house: &House, disk: &FaultyDisk, work: Script) -> Collector {
    let vault = Vault::new(KeySource::Text("a".repeat(64).into()));
    let medium = disk.medium(house.folder.path());
    let configured = [(name("account"), Definition::new(Kind::Regtech))].into();
    let options = Options { configured, ..Options::new(house.engine().clone(), medium, vault) };
    Collector::with_work(options, work, lists([TWO])).unwrap()
}

#[tokio::test]
async fn a_refusal_that_the_disk_did_not_take_is_not_forgotten() {
    for lasts in [false, true] {
        let (house, disk) = (House::new(), FaultyDisk::default());
        let wrong = Arc::new(AtomicUsize::new(0));
        let (count, fails) = (Arc::clone(&wrong), disk.clone());
        let refuses = script(move |job| {
            let (count, fails) = (Arc::clone(&count), fails.clone());
            Box::pin(async move {
                job.attempt::<serde_json::Value>().await?;
                count.fetch_add(1, Ordering::Relaxed);
                fails.set_fault(faulty::Fault::Full(1));
                let written = job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await;
                if !lasts {
                    fails.set_fault(faulty::Fault::None);
                }
                written
            })
        });
        let collector = open_on(&house, &disk, refuses);
        set_account(&collector).await;
        prove(&collector).await;
        let trigger =
            || collector.trigger(name("account"), "tester", Wish { force: true, ..Wish::default() });
        let id = trigger().await.unwrap();
        until_nobody_runs(&collector).await;
        if lasts {
            let refused = trigger().await;
            assert!(matches!(refused, Err(CollectError::Disk(_))), "not before it is written: {refused:?}");
            disk.set_fault(faulty::Fault::None);
        } else {
            assert_eq!(collector.run(id).await.unwrap().fault.unwrap().code, "disk_full");
            assert!(standing(&collector, "account").await.stopped.unwrap().credentials);
        }
        let refused = trigger().await;
        assert!(matches!(refused, Err(CollectError::NoAttempt(NoAttempt::Refused(_)))), "{refused:?}");
        assert_eq!(wrong.load(Ordering::Relaxed), 1);
    }
}

async fn wait_for_attempt(collector: &Collector) {
    let source = name("account");
    loop {
        let source = source.clone();
        let kept = collector.0.look(move |look| look.credentials(&source)).await.unwrap();
        if kept.is_some_and(|kept| !kept.unanswered.is_empty()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_is_waited_for_five_minutes_and_taken_once() {
    let house = House::new();
    let asks = script(|job| {
        Box::pin(async move {
            let code = job.ask_code("say the code").await?;
            assert_eq!(code, "123456");
            Ok(())
        })
    });
    let collector = open(&house, asks);
    let begin = async || {
        let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
        let mut progress = collector.progress(id).unwrap();
        progress.wait_for(|progress| progress.step == "say the code").await.unwrap();
        id
    };
    let id = begin().await;
    assert_eq!(collector.run(id).await.unwrap().state, State::AwaitingOtp);
    assert!(matches!(collector.otp(id, "12345x", "tester").await, Err(CollectError::BadCode)));
    collector.otp(id, " 123456 ", "tester").await.unwrap();
    assert!(collector.otp(id, "123456", "tester").await.is_err());
    let (audit, total) = collector.audit(None, 9).await.unwrap();
    assert_eq!((audit[0].1.action.as_str(), total), ("run.otp", 1), "not what was refused");
    assert!(!audit[0].1.detail.contains("123456"));
    assert_eq!(over(&collector, id).await.state, State::Done);
    let id = begin().await;
    let began = tokio::time::Instant::now();
    collector.progress(id).unwrap().wait_for(|progress| progress.run.state.is_over()).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 300);
    assert_eq!(over(&collector, id).await.fault.unwrap().code, "otp_timeout");
}

#[tokio::test]
async fn credentials_are_sealed_and_those_of_the_environment_count_once() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    let secret = "S3cret-of-the-portal";
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    let version = async || {
        let source = name("account");
        collector.0.look(move |look| look.credentials(&source)).await.unwrap().unwrap().version
    };
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    assert_eq!(version().await, 1, "the same account keeps what is known of it");
    collector.set_account(&name("account"), "u", "another").await.unwrap();
    assert_eq!(version().await, 2);
    let refused =
        collector.set_credentials(&name("account"), json!({"password": secret}), "x").await.unwrap_err();
    assert!(!refused.to_string().contains(secret), "{refused}");
    collector.set_account(&name("account"), "u", secret).await.unwrap();
    let ledger = std::fs::read(house.folder.path().join(crate::collect::ledger::FILE)).unwrap();
    assert!(!ledger.windows(secret.len()).any(|part| part == secret.as_bytes()));
}

/// A portal that counts wrong passwords, and a run that logs in, delivers and remembers.
fn logs_in(right: bool, wrong: Arc<AtomicUsize>) -> Script {
    script(move |job| {
        let wrong = Arc::clone(&wrong);
        Box::pin(async move {
            job.attempt::<serde_json::Value>().await?;
            if !right {
                wrong.fetch_add(1, Ordering::Relaxed);
                job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await?;
                return Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"));
            }
            job.answered(Answer::Accepted).await?;
            deliver(job, TWO).await?;
            job.checkpoint = json!(1);
            job.save().await
        })
    })
}

async fn until_nobody_runs(collector: &Collector) {
    while !collector.0.live.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn wherever_the_power_fails_a_wrong_password_is_sent_once_and_a_right_one_resumes_or_says_why_not() {
    for (right, sync) in [true, false].into_iter().flat_map(|right| (1..14).map(move |sync| (right, sync))) {
        let (house, disk) = (House::new(), FaultyDisk::default());
        let wrong = Arc::new(AtomicUsize::new(0));
        let open = |disk: &FaultyDisk| open_on(&house, disk, logs_in(right, Arc::clone(&wrong)));
        let collector = open(&disk);
        set_account(&collector).await;
        disk.set_fault(faulty::Fault::PowerCut(sync, sync));
        // Whether it begins at all depends on when the power fails.
        let _ = collector.trigger(name("account"), "tester", Wish::default()).await;
        until_nobody_runs(&collector).await;
        crash(collector).await;
        let collector = open(&disk.after_power_cut());
        let again = collector.trigger(name("account"), "tester", Wish::default()).await;
        until_nobody_runs(&collector).await;
        assert!(wrong.load(Ordering::Relaxed) <= 1, "sync {sync}");
        match again {
            Ok(_) if right => assert_eq!(house.engine().snapshot().listings(), 2, "sync {sync}"),
            Ok(_) | Err(CollectError::NoAttempt(_)) => {}
            Err(error) => panic!("sync {sync}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_test_goes_on_when_its_asker_leaves_and_gives_the_source_free() {
    let house = House::new();
    let portal = Arc::new(Notify::new());
    let answer = Arc::clone(&portal);
    let refused_late = script(move |job| {
        let answer = Arc::clone(&answer);
        Box::pin(async move {
            job.attempt::<serde_json::Value>().await?;
            answer.notified().await;
            job.answered(Answer::Refused(Fault::new("wrong_credentials", "wrong"))).await?;
            Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"))
        })
    });
    let collector = open(&house, refused_late);
    set_account(&collector).await;
    let source = name("account");
    tokio::select! {
        tested = collector.test_credentials(&source, "tester") => panic!("{tested:?}"),
        () = wait_for_attempt(&collector) => {}
    }
    let busy = collector.trigger(name("account"), "tester", Wish::default()).await;
    assert!(matches!(busy, Err(CollectError::Busy { .. })), "the login goes on");
    portal.notify_one();
    until_nobody_runs(&collector).await;
    let stopped = standing(&collector, "account").await.stopped.unwrap();
    assert_eq!((stopped.credentials, stopped.fault.code.as_str()), (true, "credentials_refused"));
    let (audit, _) = collector.audit(None, 1).await.unwrap();
    let entry = &audit[0].1;
    assert_eq!((entry.action.as_str(), entry.detail.as_str()), ("credentials.test", "wrong_credentials"));
}

#[tokio::test]
async fn the_environment_does_not_undo_what_was_set_since() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    let source = name("account");
    collector.set_account(&source, "u", "old").await.unwrap();
    set_account(&collector).await;
    collector.set_account(&source, "u", "old").await.unwrap();
    let version = async || {
        let source = name("account");
        collector.0.look(move |look| look.credentials(&source)).await.unwrap().unwrap().version
    };
    assert_eq!(version().await, 2, "a restart with the old environment changes nothing");
    collector.set_account(&source, "u", "new").await.unwrap();
    assert_eq!(version().await, 3);
}

#[tokio::test]
async fn a_refusal_of_old_credentials_does_not_stop_new_ones() {
    let house = House::new();
    let slow = script(|job| {
        Box::pin(async move {
            while job.inner().look(|look| look.credentials(&name("account"))).await?.unwrap().version == 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(Ending::new(Failure::Credentials, "wrong_credentials", "wrong"))
        })
    });
    let collector = open(&house, slow);
    set_account(&collector).await;
    let id = collector.trigger(name("account"), "tester", Wish::default()).await.unwrap();
    set_account(&collector).await;
    over(&collector, id).await;
    let standing = standing(&collector, "account").await;
    assert!(standing.stopped.is_none() && standing.retry.is_some());
}
