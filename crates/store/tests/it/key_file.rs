//! The sealing key's file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use watchbell_domain::port::testing::SeededEntropy;
use watchbell_store::key_file::{KeyFileError, load_or_create};
use watchbell_store::seal::SealingKey;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn made_once_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (path, database) = (directory.path().join("sealing.key"), directory.path().join("db"));
    let entropy = SeededEntropy::new(1);
    let made = load_or_create(&path, &database, &entropy).unwrap();
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(SealingKey::parse(&text).unwrap().id(), made.id());
    fs::write(&database, "data").unwrap();
    assert_eq!(load_or_create(&path, &database, &entropy).unwrap().id(), made.id());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn never_made_beside_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let (path, database) = (directory.path().join("sealing.key"), directory.path().join("db"));
    fs::write(&database, "data").unwrap();
    let refused = load_or_create(&path, &database, &SeededEntropy::new(1));
    assert!(matches!(refused, Err(KeyFileError::Missing { .. })), "{refused:?}");
    assert!(!path.exists());
}

#[test]
fn refused_when_others_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, database) = (directory.path().join("sealing.key"), directory.path().join("db"));
    load_or_create(&path, &database, &SeededEntropy::new(1)).unwrap();
    for exposed in [0o640, 0o604, 0o660, 0o644, 0o610, 0o777] {
        set_mode(&path, exposed);
        let refused = load_or_create(&path, &database, &SeededEntropy::new(1));
        assert!(matches!(refused, Err(KeyFileError::Exposed { mode, .. }) if mode == exposed), "{refused:?}");
    }
    for fine in [0o600, 0o400] {
        set_mode(&path, fine);
        load_or_create(&path, &database, &SeededEntropy::new(1)).unwrap();
    }
}

#[test]
fn refused_when_it_holds_something_else() {
    let directory = tempfile::tempdir().unwrap();
    let (path, database) = (directory.path().join("sealing.key"), directory.path().join("db"));
    let key = SealingKey::make(&SeededEntropy::new(1)).expose().to_string();
    for wrong in [
        String::new(),
        "hunter2".to_owned(),
        key.replace("wbk1_", ""),
        key.chars().take(40).collect(),
        format!("{key}00"),
        format!("{key}\n{key}"),
    ] {
        fs::write(&path, &wrong).unwrap();
        set_mode(&path, 0o600);
        let refused = load_or_create(&path, &database, &SeededEntropy::new(1));
        let shown = refused.as_ref().map_or_else(ToString::to_string, |_| String::new());
        assert!(matches!(refused, Err(KeyFileError::Malformed { .. })), "{wrong}: {refused:?}");
        assert!(wrong.is_empty() || !shown.contains(&wrong), "the error repeats the file: {shown}");
        assert_eq!(fs::read_to_string(&path).unwrap(), wrong, "it is left as it is");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let refused = load_or_create(&path, &database, &SeededEntropy::new(1));
    assert!(refused.is_err(), "{refused:?}");
}
