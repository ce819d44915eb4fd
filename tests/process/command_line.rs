//! Commands where no service runs: over the store itself, with exit codes to rely on.

use super::house::{ironlist, run, told};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The exit code of a command, and what it printed.
fn of(data: &Path, line: &str) -> (i32, String, String) {
    told(&run(data, line.split(' ')))
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_list_is_imported_checked_and_published_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let list = file(folder.path(), "a.txt", "45.1.2.0/25\n45.1.2.128/25\n45.1.9.9 # here too\nwrong\n");
    let import = format!("import {} --source a", list.display());
    let (code, out, _) = of(&data, &format!("{import} --dry-run"));
    assert!(code == 0 && out.contains("would be, after generation 0: 3 added"), "{out}");
    assert_eq!(of(&data, "check 45.1.9.9").0, 0);
    let (code, out, errors) = of(&data, &import);
    assert!(code == 0 && out.contains("generation 1: 3 added"), "{out}");
    assert!(errors.contains("a.txt:4: "), "{errors}");

    assert_eq!(of(&data, "check 45.1.3.1"), (0, "45.1.3.1\tclear\t\n".to_owned(), String::new()));
    assert_eq!(of(&data, "check 45.1.2.1").0, 1);
    assert_eq!(of(&data, "check 45.1.2.1 45.1.2").0, 2);
    assert!(of(&data, "check 45.1.2.1 --explain").1.contains("45.1.2.0/25"));
    let published = folder.path().join("feed.txt");
    let (code, out, _) = of(&data, &format!("feed fortigate --output {}", published.display()));
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(&published).unwrap(), "45.1.2.0/24\n45.1.9.9\n");
    assert_eq!(of(&data, "feed nothing").0, 2);
    assert_eq!(of(&data, &format!("import {} --source a --replace", data.display())).0, 2);
}

#[test]
fn a_list_without_an_address_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let good = file(folder.path(), "a.txt", "45.1.2.3\n");
    assert_eq!(of(&data, &format!("import {} --source a", good.display())).0, 0);
    for text in ["nonsense\n", "# nothing today\n", "\n", "<html>45.1.2.3</html>"] {
        let bad = file(folder.path(), "b.txt", text);
        let (code, out, errors) = of(&data, &format!("import {} --source a --replace", bad.display()));
        assert_eq!((code, out.as_str()), (2, ""), "{text:?} {errors}");
        assert_eq!(of(&data, "check 45.1.2.3").0, 1, "{text:?}");
    }
}

#[test]
fn sets_are_made_of_list_files_without_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let a = file(folder.path(), "a.txt", "45.1.2.0/25\n45.1.2.200\n2a0b::/48\n");
    let b = file(folder.path(), "b.txt", "45.1.2.128/25\n");
    let set = |what: &str| {
        told(&run(
            &nowhere,
            [&["set"], &*what.split(' ').collect::<Vec<_>>()]
                .concat()
                .into_iter()
                .map(Into::into)
                .chain([a.clone(), b.clone()]),
        ))
    };
    assert_eq!(set("union"), (0, "45.1.2.0/24\n2a0b::/48\n".to_owned(), String::new()));
    assert_eq!(set("intersect --addresses").1, "45.1.2.200\n");
    assert_eq!(set("subtract --ranges").1.lines().next(), Some("45.1.2.0-45.1.2.127"));
    assert!(!nowhere.exists());
}

#[test]
fn wrong_usage_and_a_wrong_configuration_have_exit_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for line in ["check", "frobnicate", "serve --loudly", "import x.txt"] {
        assert_eq!(of(&data, line).0, 64, "{line}");
    }
    assert_eq!(of(&data, "--help").0, 0);
    let config = file(folder.path(), "ironlist.toml", "[listen]\ngatewy = \"127.0.0.1:1\"\n");
    let (code, _, errors) = of(&data, &format!("serve --config {}", config.display()));
    assert_eq!(code, 78);
    assert!(errors.contains("listen.gateway") && errors.lines().count() == 1, "{errors}");
    let open = ironlist(&data).arg("serve").env("IRONLIST_LISTEN_GATEWAY", "0.0.0.0:0").output().unwrap();
    let (code, _, errors) = told(&open);
    assert!(code == 78 && errors.contains("--insecure-listen"), "{errors}");
    assert_eq!(of(&data, "check 45.1.2.3").0, 2, "there is no data folder");
    assert!(!data.exists());
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..60_000_u32).map(|n| format!("45.{}.{}.1\n", n >> 8, n & 255)).collect();
    let list = file(folder.path(), "a.txt", &lines);
    let mut child = ironlist(folder.path());
    child.args(["set", "union"]).arg(&list).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}
