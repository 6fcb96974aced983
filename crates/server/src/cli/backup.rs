//! `watchbell backup`, `watchbell restore`: a copy of database and documents, taken beside a running server, and put back.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use watchbell_engine::evidence::{Copied, copy};
use watchbell_store::key_file;
use watchbell_store::seal::SealingKeys;
use watchbell_store::sqlite::backup::{self, BackupError, Progress};

use super::config::Source;
use super::output::{BAD, FAINT, GOOD, remark};
use super::{Done, Exit, Failure, Output, Variables};
use crate::config::Config;
use crate::entropy::OsEntropy;
use crate::wiring::{EVIDENCE_FOLDER, StartError, key_file};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell backup /backups/watchbell-2026-11-22.db
  watchbell backup /backups/w.db --data /var/lib/watchbell

The server may run: what was accepted before the backup began is in it, and nobody waits for it. Documents that were
uploaded as evidence are copied into a folder beside it, FILE.evidence; they belong together. Secrets are in it as
ciphertext; the key that opens them (secrets.key) is not, and has to be kept elsewhere.

Exit status: 0 there is a backup, 1 there is none, 2 the configuration is wrong, 74 the database is damaged.")]
pub(super) struct Backup {
    /// The file to write; it must not be there yet
    file: PathBuf,
    /// Directory of the database [storage.data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell restore /backups/watchbell-2026-11-22.db --key-file secrets.key --data /var/lib/watchbell
  watchbell restore /backups/w.db                      (the key is in the data directory already)

The data directory must hold no database. Documents come from the folder FILE.evidence beside the backup. What was under way when the backup was taken is sent again after the next start.

Exit status: 0 restored, 1 not, 2 the configuration is wrong, 74 the backup is damaged, 75 a server has the directory,
78 the key is missing or another one.")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// The key that its secrets are sealed with; it is put into its place in the data directory
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Directory of the database [storage.data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

impl Backup {
    pub(super) fn run(self, out: Output, variables: Variables) -> Done {
        let config = load(&self.source, variables, self.data)?;
        let (documents, folder) = (config.storage.data.join(EVIDENCE_FOLDER), documents_of(&self.file));
        if self.file.exists() || folder.exists() {
            return Err(BackupError::Exists(if self.file.exists() { self.file } else { folder }).into());
        }
        let mut bar = Bar::new(out);
        let mut both = || -> Result<_, Failure> {
            // Before and after: what is deleted meanwhile, and what comes in.
            let before = copied(&documents, &folder)?;
            let database = backup::backup(&config.storage.data, &self.file, &mut |progress| bar.tell(progress))?;
            Ok((database, before, copied(&documents, &folder)?))
        };
        let done = both();
        bar.end();
        let (database, before, after) = match done {
            Ok(done) => done,
            Err(failure) => {
                // Half a backup is none, and its place is wanted again.
                std::fs::remove_dir_all(&folder).ok();
                return Err(failure);
            }
        };
        let (files, bytes) = (before.files + after.files, before.bytes + after.bytes);
        damaged(&after);
        if out.json {
            out.value(&json!({"file": database.path, "bytes": database.bytes, "schema": database.schema,
                "documents": files, "document_bytes": bytes}));
            return Ok(());
        }
        out.line(format!("{GOOD}backup{GOOD:#} {} ({} bytes)", database.path.display(), database.bytes));
        if files > 0 {
            out.line(format!("{GOOD}backup{GOOD:#} {} (documents: {files}, {bytes} bytes)", folder.display()));
        }
        out.line(format!(
            "{FAINT}its secrets are sealed: keep {} as well, elsewhere{FAINT:#}",
            key_file(&config).display()
        ));
        Ok(())
    }
}

impl Restore {
    pub(super) fn run(self, out: Output, variables: Variables) -> Done {
        let config = load(&self.source, variables, self.data)?;
        if !self.file.metadata().is_ok_and(|found| found.len() > 0) {
            return Err(Failure::failed(format!("{} is no backup", self.file.display())));
        }
        let place = key_file(&config);
        let given = self.key_file.as_deref().unwrap_or(&place);
        // Beside a backup no key is ever made.
        let key = key_file::load_or_create(given, &self.file, &OsEntropy).map_err(StartError::from)?;
        let mut bar = Bar::new(out);
        let text = key.expose();
        let keys = SealingKeys::new(key, Vec::new());
        if given != place
            && place.exists()
            && std::fs::read_to_string(&place).ok().as_deref().map(str::trim) != Some(text.as_str())
        {
            let problem = format!("{} is another key; it was left as it is", place.display());
            return Err(Failure::new(Exit::KeyFile, problem));
        }
        let copied = backup::restore(&self.file, &config.storage.data, &keys, &mut |progress| bar.tell(progress))?;
        bar.end();
        let documents = self::copied(&documents_of(&self.file), &config.storage.data.join(EVIDENCE_FOLDER))?;
        damaged(&documents);
        if !place.exists() {
            write_key(&place, &text).map_err(|error| {
                Failure::new(Exit::KeyFile, format!("the key cannot be written to {}: {error}", place.display()))
            })?;
        }
        if out.json {
            out.value(&json!({"data": config.storage.data, "bytes": copied.bytes, "schema": copied.schema,
                "documents": documents.files, "document_bytes": documents.bytes}));
            return Ok(());
        }
        out.line(format!(
            "{GOOD}restored{GOOD:#} into {} ({} bytes, documents: {})",
            config.storage.data.display(),
            copied.bytes,
            documents.files
        ));
        out.line(format!("{FAINT}next: watchbell serve --data {}{FAINT:#}", config.storage.data.display()));
        Ok(())
    }
}

/// Where a backup's documents are: beside it.
fn documents_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".evidence");
    PathBuf::from(name)
}

fn copied(from: &Path, to: &Path) -> Result<Copied, Failure> {
    copy(from, to).map_err(|error| {
        Failure::failed(format!("the documents cannot be copied from {} to {}: {error}", from.display(), to.display()))
    })
}

/// Says which documents were left out, if any.
fn damaged(copied: &Copied) {
    for name in &copied.damaged {
        remark(format!("{BAD}damaged{BAD:#}: the document {name} is not what it was, and was left out"));
    }
}

fn load(source: &Source, variables: Variables, data: Option<PathBuf>) -> Result<Config, Failure> {
    let data = data.map(|path| ("--data".to_owned(), "storage.data".to_owned(), path.display().to_string()));
    Ok(source.load(variables, data.into_iter().collect())?.config)
}

fn write_key(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Progress on a terminal; nothing where a program listens.
struct Bar(ProgressBar);

impl Bar {
    fn new(out: Output) -> Self {
        if out.json || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}% {pos}/{len} pages, {eta} left") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn tell(&mut self, progress: Progress) {
        self.0.set_length(progress.all);
        self.0.set_position(progress.done);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let text = error.to_string();
        match error {
            BackupError::Open(open) => StartError::from(open).into(),
            BackupError::Damaged { .. } => Self::new(Exit::StoreCorrupt, text),
            BackupError::Exists(_) => Self::failed(text).advise("name another place, or move it away"),
            BackupError::Nothing(_) => Self::failed(text).advise("--data names the server's data directory"),
            BackupError::TooBusy => Self::failed(text).advise("try again at a quieter time, or onto a faster disk"),
            BackupError::Io { .. } => Self::failed(text),
        }
    }
}
