//! A file as the body of a request: read as it is sent, with a bar for whoever waits.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

/// So much of the file is in memory.
const BLOCK_BYTES: usize = 64 * 1024;

/// A file to send.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    source: Arc<Source>,
    bytes: u64,
    /// By its first byte.
    pub(crate) media_type: &'static str,
    bar: ProgressBar,
}

#[derive(Debug)]
enum Source {
    File(File),
    /// What came over a pipe.
    Piped(NamedTempFile),
}

impl Upload {
    /// The file at `path`, or what stdin holds for `-`. More than `bytes_max` is an error.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let source = match path == Path::new("-") {
            true => {
                let mut kept = NamedTempFile::new()?;
                io::copy(&mut io::stdin().lock().take(bytes_max + 1), &mut kept)?;
                Source::Piped(kept)
            }
            false => Source::File(File::open(path)?),
        };
        let file = source.reopen()?;
        let bytes = file.metadata()?.len();
        if bytes > bytes_max {
            return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
        }
        let mut first = Vec::new();
        file.take(64).read_to_end(&mut first)?;
        Ok(Self { bytes, media_type: media_type(&first), bar: bar(bytes), source: Arc::new(source) })
    }

    /// The body, from the beginning.
    pub(super) fn body(&self) -> io::Result<FileBody> {
        Ok(FileBody { file: self.source.reopen()?, left: self.bytes, bar: self.bar.clone() })
    }

    /// There is an answer: nobody waits any more.
    pub(super) fn answered(&self) {
        self.bar.finish_and_clear();
    }
}

impl Source {
    fn reopen(&self) -> io::Result<File> {
        use std::io::Seek;
        let mut file = match self {
            Self::File(file) => file.try_clone()?,
            Self::Piped(kept) => kept.reopen()?,
        };
        file.rewind()?;
        Ok(file)
    }
}

/// What the body is, seen from its first byte; the server looks for itself.
pub(crate) fn media_type(document: &[u8]) -> &'static str {
    match document.trim_ascii_start().first() {
        Some(b'{' | b'[') => super::JSON,
        Some(b'<') => "application/xml",
        Some(_) | None => "application/octet-stream",
    }
}

fn bar(bytes: u64) -> ProgressBar {
    // What is sent at once needs no bar.
    if !io::stderr().is_terminal() || bytes < (4 << 20) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes} · {bytes_per_sec} · {msg}") {
        Ok(style) => bar.with_style(style).with_message("uploading"),
        Err(_) => bar,
    }
}

/// A file on its way.
#[derive(Debug)]
pub(super) struct FileBody {
    file: File,
    left: u64,
    bar: ProgressBar,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let mut block = vec![0; wanted];
        // A local file is there at once, and nothing else runs in this thread.
        let count = match self.file.read(&mut block) {
            Ok(0) => return Poll::Ready(Some(Err(io::Error::other("the file became shorter")))),
            Ok(count) => count,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        block.truncate(count);
        let sent = u64::try_from(count).unwrap_or(self.left);
        self.left -= sent;
        self.bar.inc(sent);
        if self.left == 0 {
            self.bar.set_message("the server reads and weighs it");
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(block)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
