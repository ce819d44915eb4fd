//! Certificates that are made, ended, replaced and spoilt.

use super::*;
use crate::web::health::Status;
use rcgen::{CertificateParams, DnType, KeyPair};
use tempfile::TempDir;

/// A certificate that signed itself, and its key.
pub(crate) struct Made {
    pub(crate) der: Vec<u8>,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Made {
    pub(crate) fn new(name: &str) -> Self {
        Self::until(name, 2999)
    }

    /// One that ends with that year's beginning.
    pub(crate) fn until(name: &str, year: i32) -> Self {
        let mut wanted = CertificateParams::new([name.to_owned()]).unwrap();
        wanted.distinguished_name.push(DnType::CommonName, name);
        wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
        Self::of(wanted)
    }

    /// One that ends in so many days.
    fn in_days(days: i64) -> Self {
        let mut wanted = CertificateParams::new(["a.example".to_owned()]).unwrap();
        let end = Utc::now() + TimeDelta::days(days);
        wanted.not_after = std::time::SystemTime::from(end).into();
        Self::of(wanted)
    }

    fn of(wanted: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let made = wanted.self_signed(&key).unwrap();
        Self { der: made.der().to_vec(), certificate: made.pem(), key: key.serialize_pem() }
    }

    /// Writes both into a folder.
    pub(crate) fn write(&self, folder: &TempDir) -> Files {
        let files = files(folder);
        std::fs::write(&files.certificate, &self.certificate).unwrap();
        std::fs::write(&files.key, &self.key).unwrap();
        files
    }
}

fn files(folder: &TempDir) -> Files {
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    Files { certificate, key, ask: Ask::Nobody, authority: None }
}

fn uses(tls: &Tls, made: &Made) -> bool {
    tls.current.load().read.certificate() == made.certificate.as_bytes()
}

#[test]
fn a_new_pair_is_taken_and_a_wrong_one_is_not_and_health_says_so() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (Made::new("one.example"), Made::new("two.example"));
    let tls = Tls::open(first.write(&folder)).unwrap();
    assert_eq!(tls.check().status, Status::Healthy);

    // The key of one beside the certificate of the other: what is seen halfway through a renewal.
    std::fs::write(folder.path().join("cert.pem"), &second.certificate).unwrap();
    tls.renew();
    assert!(uses(&tls, &first) && tls.check().status == Status::Degraded);
    std::fs::write(folder.path().join("key.pem"), &second.key).unwrap();
    tls.renew();
    assert!(uses(&tls, &second) && tls.check().status == Status::Healthy);

    for spoil in ["", "nothing", &first.key] {
        std::fs::write(folder.path().join("cert.pem"), spoil).unwrap();
        tls.renew();
        let check = tls.check();
        assert!(uses(&tls, &second) && check.status == Status::Degraded, "{spoil}");
        assert!(check.detail.contains("cert.pem") && !check.cure.is_empty(), "{check:?}");
    }
    std::fs::remove_file(folder.path().join("cert.pem")).unwrap();
    tls.renew();
    assert!(uses(&tls, &second) && tls.check().status == Status::Degraded);
    second.write(&folder);
    tls.renew();
    assert_eq!(tls.check().status, Status::Healthy);
}

#[test]
fn health_tells_of_the_end_two_weeks_before() {
    let folder = TempDir::new().unwrap();
    for (days, status) in [(15, Status::Healthy), (13, Status::Degraded), (-1, Status::Degraded)] {
        let tls = Tls::open(Made::in_days(days).write(&folder)).unwrap();
        assert_eq!(tls.check().status, status, "{days}");
        assert!((tls.ends() - Utc::now().timestamp() - days * 86_400).abs() < 60);
    }
}

#[test]
fn what_has_ended_does_not_take_the_place_of_what_has_not() {
    let folder = TempDir::new().unwrap();
    let good = Made::new("a.example");
    let tls = Tls::open(good.write(&folder)).unwrap();
    Made::until("a.example", 2020).write(&folder);
    tls.renew();
    assert!(uses(&tls, &good) && tls.check().detail.contains("it ended at 2020-01-01"));
}

#[test]
fn files_that_are_none_are_named() {
    let folder = TempDir::new().unwrap();
    let made = Made::new("a.example");
    let good = made.write(&folder);
    let missing = folder.path().join("missing.pem");
    let text = folder.path().join("text.pem");
    std::fs::write(&text, "nothing").unwrap();
    let ask = Ask::Everybody;
    for (files, named) in [
        (Files { certificate: missing.clone(), ..good.clone() }, &missing),
        (Files { key: text.clone(), ..good.clone() }, &text),
        (Files { key: good.certificate.clone(), ..good.clone() }, &good.certificate),
        (Files { ask, authority: Some(text.clone()), ..good.clone() }, &text),
        (Files { ask, authority: Some(missing.clone()), ..good.clone() }, &missing),
    ] {
        let error = Tls::open(files).err().unwrap().to_string();
        assert!(error.contains(&named.display().to_string()), "{error}");
    }
}
