//! Large bodies on their way: written to a file as they come, read from there, and gone afterwards.
//!
//! The file is removed when nobody holds it any more. What a process leaves that dies is removed at the next start, for
//! the directory belongs to one process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// So much is gathered before it is written.
const BLOCK_BYTES: usize = 1 << 20;

/// Where large bodies are kept while they are worked on.
#[derive(Debug, Clone)]
pub struct Spool {
    directory: PathBuf,
}

impl Spool {
    /// Makes the directory, or empties it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        for left in fs::read_dir(&directory)? {
            let left = left?;
            if left.file_type()?.is_file() {
                fs::remove_file(left.path())?;
            }
        }
        Ok(Self { directory })
    }

    /// A body that begins.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn begin(&self) -> io::Result<Writing> {
        let directory = self.directory.clone();
        let file = blocking(move || NamedTempFile::new_in(directory)).await?;
        Ok(Writing { file: Some(file), block: Vec::new(), hash: Sha256::new(), bytes: 0 })
    }
}

/// A body that is being written.
#[derive(Debug)]
pub struct Writing {
    /// Away while a block is written, and for good once that failed.
    file: Option<NamedTempFile>,
    block: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

impl Writing {
    /// Takes the next bytes. Answers whether they went to the disk, or are gathered with those before.
    ///
    /// # Errors
    /// What the file system says; then the body is lost.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.hash.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.block.extend_from_slice(bytes);
        if self.block.len() < BLOCK_BYTES {
            return Ok(false);
        }
        self.flush().await.map(|()| true)
    }

    /// Its length so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The body is complete.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn end(mut self) -> io::Result<Spooled> {
        self.flush().await?;
        let file = self.file.ok_or_else(lost)?;
        Ok(Spooled { file, sha256: self.hash.finalize().into(), bytes: self.bytes })
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut file = self.file.take().ok_or_else(lost)?;
        let block = std::mem::take(&mut self.block);
        let (file, mut block) = blocking(move || file.write_all(&block).map(|()| (file, block))).await?;
        block.clear();
        self.block = block;
        self.file = Some(file);
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::other("an earlier part of the body could not be written")
}

/// A whole body in a file. Dropped, it is gone.
#[derive(Debug)]
pub struct Spooled {
    file: NamedTempFile,
    sha256: [u8; 32],
    bytes: u64,
}

impl Spooled {
    /// The body from its beginning.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(&self) -> io::Result<File> {
        self.file.reopen()
    }

    /// Of its content.
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Its length.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves it to where it stays, and makes that durable.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// Does `work` off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => Err(io::Error::other("the process ends")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn what_was_written_is_read_and_then_gone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("left"), "by a process that died").unwrap();
        let spool = Spool::open(directory.path().to_owned()).unwrap();
        let count = || fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(count(), 0);
        let mut writing = spool.begin().await.unwrap();
        let part = vec![b'x'; BLOCK_BYTES / 2 + 1];
        assert!(!writing.write(&part).await.unwrap());
        assert!(writing.write(&part).await.unwrap());
        writing.write(b"end").await.unwrap();
        let spooled = writing.end().await.unwrap();
        let mut read = Vec::new();
        spooled.open().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!((read.len(), u64::try_from(read.len()).unwrap()), (BLOCK_BYTES + 5, spooled.bytes()));
        assert_eq!(spooled.sha256(), <[u8; 32]>::from(Sha256::digest(&read)));
        assert_eq!(count(), 1);
        drop(spooled);
        assert_eq!(count(), 0);
        drop(spool.begin().await.unwrap());
        assert_eq!(count(), 0, "given up half-way");
    }
}
