//! The content of documents: a file each, named by its hash, an organisation's apart from all others'.
//!
//! The same content twice is one file. A file whose row was never written (a process died between the two) is removed at
//! the next start.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;
use watchbell_domain::id::OrgId;
use watchbell_domain::port::EvidenceStore;

use crate::spool::{Spooled, blocking};

/// Where documents are.
#[derive(Debug)]
pub struct Content {
    directory: PathBuf,
    turn: Mutex<()>,
}

impl Content {
    /// Makes the directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        make(&directory)?;
        Ok(Self { directory, turn: Mutex::new(()) })
    }

    /// The content from its beginning. `None`: there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn read(&self, org: OrgId, sha256: [u8; 32]) -> io::Result<Option<File>> {
        let path = self.path(org, sha256);
        blocking(move || match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Held by whoever brings files and rows together.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps content; on disk, and found there after a power cut, once it answers.
    pub(super) async fn keep(&self, org: OrgId, body: Spooled) -> io::Result<()> {
        let path = self.path(org, body.sha256());
        let root = self.directory.clone();
        blocking(move || {
            let bytes = body.bytes();
            if fs::metadata(&path).is_ok_and(|known| known.len() == bytes) {
                return Ok(());
            }
            let directory = path.parent().unwrap_or(&root);
            make(directory)?;
            body.persist(&path)?;
            // A name is durable with its directory, and that with its own.
            for directory in directory.ancestors().take_while(|directory| directory.starts_with(&root)) {
                File::open(directory)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// Removes content that nobody has any more.
    pub(super) async fn remove(&self, org: OrgId, sha256: [u8; 32]) -> io::Result<()> {
        let path = self.path(org, sha256);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    /// Removes files that no document has. Answers how many went.
    pub(super) async fn sweep(&self, store: &dyn EvidenceStore) -> Result<u64, super::Error> {
        let root = self.directory.clone();
        let mut removed = 0;
        for (org, sha256) in blocking(move || listed(&root)).await? {
            let _turn = self.turn().await;
            if !store.has_content(org, sha256).await? {
                self.remove(org, sha256).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn path(&self, org: OrgId, sha256: [u8; 32]) -> PathBuf {
        place(&self.directory, org, sha256)
    }
}

/// Where a document is in its folder.
pub(super) fn place(root: &Path, org: OrgId, sha256: [u8; 32]) -> PathBuf {
    let name = hex::encode(sha256);
    let shelf: String = name.chars().take(2).collect();
    root.join(org.bare()).join(shelf).join(name)
}

/// Makes a folder that nobody else may look into.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Whose content there is. What is none of ours is left alone.
pub(super) fn listed(root: &Path) -> io::Result<Vec<(OrgId, [u8; 32])>> {
    let mut all = Vec::new();
    for org in fs::read_dir(root)? {
        let org = org?;
        let Some(id) = org.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()) else { continue };
        for shelf in fs::read_dir(org.path())? {
            for file in fs::read_dir(shelf?.path())? {
                let mut sha256 = [0; 32];
                let name = file?.file_name();
                if name.to_str().is_some_and(|name| hex::decode_to_slice(name, &mut sha256).is_ok()) {
                    all.push((OrgId(id), sha256));
                }
            }
        }
    }
    Ok(all)
}
