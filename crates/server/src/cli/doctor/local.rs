//! Configuration and data directory on this machine. Nothing is opened for writing or made.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use watchbell_store::sqlite::{FileSystem, FreeSpace};

use super::Check;
use crate::client;
use crate::config::Config;
use crate::wiring;

/// What every SQLite file begins with.
const DATABASE_MAGIC: &[u8] = b"SQLite format 3\0";

pub(super) fn look(config: &Config) -> Vec<Check> {
    let mut checks = vec![Check::ok("the configuration is good")];
    checks.push(certificates(config));
    checks.extend(opened(config));
    let data = &config.storage.data;
    if !data.exists() {
        checks.push(Check::warn(
            format!("there is no data directory {}", data.display()),
            "the first `watchbell serve` makes it",
        ));
        return checks;
    }
    checks.push(directory(data));
    checks.push(free_space(data, config.storage.min_free_bytes.get(), &FileSystem));
    checks.push(lock(&data.join(wiring::LOCK_FILE)));
    let database = data.join(wiring::DATABASE_FILE);
    checks.push(self::database(&database));
    checks.push(key_file(&wiring::key_file(config), database.exists()));
    checks
}

fn certificates(config: &Config) -> Check {
    let extra = config.egress.extra_ca_file.as_deref();
    match client::trust(extra) {
        Ok(roots) => Check::ok(format!("{} certificate authorities are trusted", roots.len())),
        Err(error) => {
            Check::fail(error.to_string(), "egress.extra_ca_file wants PEM certificates that the server may read")
        }
    }
}

/// Switches that take away protection.
fn opened(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    if config.egress.allow_http {
        checks.push(Check::warn(
            "egress.allow_http is on: deliveries may go out without TLS",
            "for tests and closed networks only",
        ));
    }
    if !config.egress.allow.is_empty() {
        let all = config.egress.allow.join(", ");
        checks.push(Check::warn(
            format!("egress.allow lets every organisation reach {all}"),
            "keep it as narrow as CIDR:PORT allows",
        ));
    }
    if config.egress.denied_ports.is_empty() {
        checks.push(Check::warn(
            "egress.denied_ports is empty: endpoints may name ports of mail, databases and the like",
            "leave the setting out for the usual list",
        ));
    }
    if let Some(proxy) = &config.egress.proxy {
        checks.push(Check::ok(format!("deliveries go through the proxy {proxy}")));
    }
    if !config.server.listen.starts_with("127.")
        && !config.server.listen.starts_with("localhost")
        && !config.server.listen.starts_with("[::1]")
    {
        let what = format!("server.listen is {}, and the API speaks plain HTTP", config.server.listen);
        checks.push(Check::warn(what, "put a proxy with TLS before it; keys would cross the network readable"));
    }
    checks
}

fn directory(data: &Path) -> Check {
    match std::fs::metadata(data) {
        Err(error) => {
            Check::fail(format!("the data directory {}: {error}", data.display()), "the server's user must own it")
        }
        Ok(found) if !found.is_dir() => {
            Check::fail(format!("{} is no directory", data.display()), "--data names a directory")
        }
        Ok(found) if found.permissions().mode() & 0o022 != 0 => Check::warn(
            format!("others may write in the data directory {}", data.display()),
            format!("chmod go-w {}", data.display()),
        ),
        Ok(_) => Check::ok(format!("the data directory {} is there", data.display())),
    }
}

fn free_space(data: &Path, min_free_bytes: u64, free_space: &dyn FreeSpace) -> Check {
    match free_space.free_bytes(data) {
        Ok(free) if free < min_free_bytes => Check::fail(
            format!(
                "{} MiB are free, storage.min_free_bytes asks for {} MiB: nothing new is accepted",
                free >> 20,
                min_free_bytes >> 20
            ),
            "make room on the disk; the server goes on by itself",
        ),
        Ok(free) => Check::ok(format!("{} MiB are free", free >> 20)),
        Err(error) => Check::warn(
            format!("free space cannot be seen: {error}"),
            "the server cannot see it either, and accepts until the disk is full",
        ),
    }
}

fn lock(path: &Path) -> Check {
    let Ok(file) = File::open(path) else {
        return Check::ok("no server has used the data directory yet");
    };
    match file.try_lock_shared() {
        Ok(()) => Check::ok("no server is running on the data directory"),
        Err(TryLockError::WouldBlock) => Check::ok("a server is running on the data directory"),
        Err(TryLockError::Error(error)) => Check::fail(
            format!("the data directory cannot be locked: {error}"),
            "a network file system? The data directory wants a local disk",
        ),
    }
}

fn database(path: &Path) -> Check {
    let mut head = [0; DATABASE_MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if head == DATABASE_MAGIC => {
            let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
            Check::ok(format!("the database is there: {} MiB", bytes >> 20))
        }
        Ok(()) => Check::fail(
            format!("{} is no SQLite database", path.display()),
            "restore a backup; the server leaves the file as it is",
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Check::ok("there is no database yet"),
        Err(error) => Check::fail(
            format!("{}: {error}", path.display()),
            "the server's user must be able to read it; restore a backup if it is cut",
        ),
    }
}

fn key_file(path: &Path, has_database: bool) -> Check {
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Check::fail(
            format!("others may read the key file {}", path.display()),
            format!("chmod 600 {}; rotate the secrets if somebody did", path.display()),
        ),
        Ok(_) => Check::ok(format!("the key file {} is readable by its owner alone", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !has_database => {
            Check::ok("there is no key file yet")
        }
        Err(error) => Check::fail(
            format!("the key file {}: {error}", path.display()),
            "without it the stored secrets cannot be read, and it cannot be made again: put it back from a backup",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Mark;

    #[test]
    fn a_key_file_that_others_may_read_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.key");
        assert_eq!(key_file(&path, false).mark, Mark::Ok);
        assert_eq!(key_file(&path, true).mark, Mark::Fail);
        std::fs::write(&path, "k").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(key_file(&path, true).mark, Mark::Fail);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(key_file(&path, true).mark, Mark::Ok);
    }

    #[test]
    fn less_room_than_is_asked_for_fails() {
        #[derive(Debug)]
        struct Disk(u64);
        impl FreeSpace for Disk {
            fn free_bytes(&self, _: &Path) -> std::io::Result<u64> {
                Ok(self.0)
            }
        }
        let look = |free, wanted| free_space(Path::new("/"), wanted, &Disk(free)).mark;
        assert_eq!(look(100, 100), Mark::Ok);
        assert_eq!(look(99, 100), Mark::Fail);
        assert_eq!(look(0, 0), Mark::Ok);
    }

    #[test]
    fn a_file_that_is_no_database_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("watchbell.db");
        assert_eq!(database(&path).mark, Mark::Ok);
        std::fs::write(&path, "not SQLite at all").expect("written");
        assert_eq!(database(&path).mark, Mark::Fail);
        std::fs::write(&path, "SQLite").expect("written");
        assert_eq!(database(&path).mark, Mark::Fail);
    }

    #[test]
    fn a_lock_that_is_held_is_a_running_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("watchbell.lock");
        let file = File::create(&path).expect("made");
        file.lock().expect("locked");
        assert!(lock(&path).what.contains("a server is running"));
        file.unlock().expect("unlocked");
        assert!(lock(&path).what.contains("no server is running"));
    }
}
