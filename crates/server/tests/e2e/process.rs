//! A server of the built binary on a temporary folder, which may be killed and started again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub(crate) const ADMIN_KEY: &str = "e2e-admin-key-0123456789abcdef0123";

/// The binary, or another build of it to measure with: a release.
pub(crate) fn binary() -> std::ffi::OsString {
    std::env::var_os("WATCHBELL_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_watchbell").into())
}

/// A running `watchbell serve`. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// `127.0.0.1:PORT` that it serves on.
    pub(crate) address: String,
}

/// A folder with configuration and data that outlives processes.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// Loopback may be reached, plainly; no rate limit; `more` is added to the configuration.
    pub(crate) fn new(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config =
            format!("[egress]\nallow = [\"127.0.0.0/8\"]\nallow_http = true\n\n[api]\nrate_limit = \"off\"\n\n{more}");
        std::fs::write(folder.path().join("watchbell.toml"), config).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server and returns once it has said where it listens.
    pub(crate) fn start(&self) -> Process {
        self.start_as(Command::new(binary()))
    }

    /// As [`Self::start`], with these variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &std::ffi::OsStr)]) -> Process {
        let mut command = Command::new(binary());
        command.envs(variables.iter().copied());
        self.start_as(command)
    }

    /// As [`Self::start`], with what it logs in a file.
    pub(crate) fn start_logging_to(&self, file: &Path) -> Process {
        let mut command = Command::new(binary());
        command.stderr(std::fs::File::create(file).unwrap());
        self.start_as(command)
    }

    /// Starts the server and kills it once its log has so many bytes, or as soon as it says where it listens.
    pub(crate) fn kill_at(&self, log_bytes: u64) {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.path().join("data")).arg("--config");
        command.arg(self.path().join("watchbell.toml")).env("WATCHBELL_ADMIN_KEY", ADMIN_KEY);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (says, listens) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let mut line = String::new();
            drop(BufReader::new(output).read_line(&mut line));
            drop(says);
        });
        let log = self.path().join("data/watchbell.db-wal");
        while listens.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
            if log.metadata().is_ok_and(|found| found.len() >= log_bytes) {
                break;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it with these fail points. `None`: it ended before it said where it listens.
    #[cfg(feature = "failpoints")]
    pub(crate) fn start_armed(&self, points: &str) -> Option<Process> {
        let mut command = Command::new(binary());
        command.env("WATCHBELL_FAILPOINTS", points).stderr(Stdio::null());
        self.launch(command)
    }

    /// As [`Self::start`]; a write beyond the limit of [`Process::limit_files`] fails instead of ending the process.
    pub(crate) fn start_with_limit(&self) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ && exec \"$@\"", "sh"]).arg(binary()).stderr(Stdio::null());
        self.start_as(shell)
    }

    /// As [`Self::start`], with so many file descriptors.
    pub(crate) fn start_with_descriptors(&self, descriptors: u32) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh", &descriptors.to_string()]).arg(binary());
        self.start_as(shell)
    }

    fn start_as(&self, command: Command) -> Process {
        self.launch(command).expect("the server says where it listens")
    }

    fn launch(&self, mut command: Command) -> Option<Process> {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.path().join("data"))
            .arg("--config")
            .arg(self.path().join("watchbell.toml"))
            .env("WATCHBELL_ADMIN_KEY", ADMIN_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = child.stdout.take().unwrap();
        let address = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"))?;
            Some(url.trim_end_matches(['/', '.', ',']).to_owned())
        });
        let Some(address) = address else {
            child.wait().unwrap();
            return None;
        };
        Some(Process { child, address })
    }

    /// The database is sound, and as many attempts are written down as its deliveries count.
    pub(crate) fn must_be_sound(&self) {
        let conn = rusqlite::Connection::open(self.path().join("data/watchbell.db")).unwrap();
        let verdict: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let uneven = "SELECT count(*) FROM delivery AS d WHERE d.attempts <> \
                      (SELECT count(*) FROM attempt AS a WHERE a.org_id = d.org_id AND a.delivery_id = d.id)";
        let uneven: i64 = conn.query_row(uneven, [], |row| row.get(0)).unwrap();
        assert_eq!(uneven, 0, "a state without its attempt, or an attempt without its state");
    }
}

impl Process {
    /// Whether it has ended by itself.
    #[cfg(feature = "failpoints")]
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// No file of its grows beyond so many bytes: for it the disk is full. `None`: there is room again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// It cannot have more memory of its own than so many bytes.
    pub(crate) fn limit_memory(&self, bytes: u64) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Data, Rlimit { current: Some(bytes), maximum: None }).unwrap();
    }

    /// What it has of memory of its own, as the kernel's limit counts it.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.status_kib("VmData:") << 10
    }

    /// A line of `/proc/PID/status`.
    pub(crate) fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What it has of memory now.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most it had since it started, or since [`Self::forget_peak`].
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// From now on its peak is another one.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// The processor's time that it took so far, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program, in brackets, may hold anything.
        let figures: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        figures[11].parse::<u64>().unwrap() + figures[12].parse::<u64>().unwrap()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Its exit code, once it has ended by itself. `None`: a signal ended it, or it has not ended within this time.
    pub(crate) async fn code_within(mut self, longest: Duration) -> Option<i32> {
        let ended = async {
            loop {
                match self.child.try_wait().unwrap() {
                    Some(status) => return status.code(),
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(longest, ended).await.ok().flatten()
    }

    /// `kill -9`, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
