//! Other people's software: installed from its registries into the target folder at the first run, one installation at a
//! time whichever process the tests run in. What cannot be installed is said loudly and left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::say;

/// What the scripts in the folder of this name beside this file need.
pub(crate) struct Installs(pub(crate) &'static str);

impl Installs {
    /// The scripts, with `requirements.txt` and `package.json` where there are any.
    pub(crate) fn scripts(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(self.0)
    }

    /// Where it is installed.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.0)
    }

    /// Gets `what` unless it is there already. `None`: it cannot be had.
    pub(crate) fn once(&self, what: &str, is_there: impl Fn() -> bool, get: impl Fn() -> bool) -> Option<()> {
        std::fs::create_dir_all(self.folder()).unwrap();
        let lock = std::fs::File::create(self.folder().join("lock")).unwrap();
        lock.lock().unwrap();
        let has_it = is_there() || (get() && is_there());
        if !has_it {
            say(&format!("SKIPPED: {what} cannot be installed, so it was not tried"));
        }
        has_it.then_some(())
    }

    /// The interpreter of an environment with `requirements.txt`, in which `probe` runs.
    pub(crate) fn python(&self, what: &str, probe: &str) -> Option<PathBuf> {
        let venv = self.folder().join("python");
        let python = venv.join("bin/python");
        let has_all = || succeeds(Command::new(&python).args(["-c", probe]));
        let get = || {
            let list = self.scripts().join("requirements.txt");
            succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))
                && succeeds(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(list))
        };
        self.once(&format!("{what} (python3-venv, PyPI)"), has_all, get).map(|()| python.clone())
    }

    /// A folder with what `package.json` names, in which Node runs `probe`.
    pub(crate) fn node(&self, what: &str, probe: &str) -> Option<PathBuf> {
        let folder = self.folder().join("node");
        let has_all = || folder.is_dir() && succeeds(Command::new("node").args(["-e", probe]).current_dir(&folder));
        let get = || {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::copy(self.scripts().join("package.json"), folder.join("package.json")).unwrap();
            let arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
            succeeds(Command::new("npm").args(arguments).current_dir(&folder))
        };
        self.once(&format!("{what} (node, npm)"), has_all, get).map(|()| folder.clone())
    }
}

/// Whether a command succeeds; what it prints is nobody's business.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
