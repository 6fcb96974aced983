//! Copies of the documents' folder, for backups: beside a running server, and back into a new one.
//!
//! A document is a file that is written once and named by its hash, so a copy needs no moment at which nothing changes. One
//! that is taken before and once more after a copy of the database has all that the database speaks of: what came in
//! meanwhile is added, what was deleted meanwhile is there already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use watchbell_domain::id::OrgId;

use super::content::{listed, make, place};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// Documents.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Documents that are not what their names say. They are left out.
    pub damaged: Vec<String>,
}

/// Copies the documents that are not there yet. On disk when it answers.
///
/// # Errors
/// What the file system says.
pub fn copy(from: &Path, to: &Path) -> io::Result<Copied> {
    let mut copied = Copied::default();
    let all = match listed(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(copied),
        listed => listed?,
    };
    for (org, sha256) in all {
        match copy_one(from, to, org, sha256)? {
            One::Known | One::Gone => {}
            One::Copied(bytes) => (copied.files, copied.bytes) = (copied.files + 1, copied.bytes + bytes),
            One::Damaged => copied.damaged.push(hex::encode(sha256)),
        }
    }
    Ok(copied)
}

enum One {
    Copied(u64),
    /// It is there.
    Known,
    /// It was deleted meanwhile.
    Gone,
    Damaged,
}

fn copy_one(from: &Path, to: &Path, org: OrgId, sha256: [u8; 32]) -> io::Result<One> {
    let target = place(to, org, sha256);
    if target.exists() {
        return Ok(One::Known);
    }
    let mut source = match File::open(place(from, org, sha256)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(One::Gone),
        opened => opened?,
    };
    let directory = target.parent().unwrap_or(to);
    make(directory)?;
    let partial = target.with_extension("partial");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = source.read(&mut chunk)?;
        let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        file.write_all(read)?;
        bytes += u64::try_from(read.len()).unwrap_or(u64::MAX);
    }
    if <[u8; 32]>::from(digest.finalize()) != sha256 {
        fs::remove_file(&partial)?;
        return Ok(One::Damaged);
    }
    file.sync_all()?;
    fs::rename(&partial, &target)?;
    for directory in directory.ancestors().take_while(|directory| directory.starts_with(to)) {
        File::open(directory)?.sync_all()?;
    }
    Ok(One::Copied(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_copied_once_and_what_is_damaged_is_named() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let org = OrgId(uuid::Uuid::from_u128(7));
        let put = |content: &[u8], named: &[u8]| {
            let path = place(from.path(), org, Sha256::digest(named).into());
            make(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put(b"one", b"one");
        put(b"other", b"two");
        fs::write(from.path().join("notes.txt"), "none of ours").unwrap();
        let target = to.path().join("copy");
        let copied = copy(from.path(), &target).unwrap();
        assert_eq!((copied.files, copied.bytes), (1, 3));
        assert_eq!(copied.damaged, [hex::encode(Sha256::digest(b"two"))]);
        assert_eq!(fs::read(place(&target, org, Sha256::digest(b"one").into())).unwrap(), b"one");
        put(b"three", b"three");
        assert_eq!(copy(from.path(), &target).unwrap().files, 1, "only what is new");
        assert_eq!(listed(&target).unwrap().len(), 2, "nothing half-done is left");
        assert_eq!(copy(&from.path().join("none"), &target).unwrap(), Copied::default());
    }
}
