//! The server that is measured: a child process of the same binary on a fresh folder, with a configuration of its own.
//!
//! It is killed when it is dropped: nothing of it is to be kept, and a failed run leaves nothing behind either.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use watchbell_domain::port::Entropy;
use watchbell_wire::Secret;

use super::measure::{Watch, seconds};
use super::{Error, in_thread};
use crate::client::{self, Client, Request};
use crate::entropy::OsEntropy;

/// Longest wait for the server to be up.
const START_MAX: Duration = Duration::from_secs(30);

/// Its configuration's name in the folder.
const CONFIG: &str = "bench.toml";

/// What the server is to be.
#[derive(Debug, Clone)]
pub(super) struct Setup<'a> {
    pub(super) binary: &'a Path,
    /// Where its data and configuration go.
    pub(super) folder: &'a Path,
    /// The one address that it may deliver to.
    pub(super) sink: SocketAddr,
    pub(super) ca_file: Option<PathBuf>,
    /// Connections that the load opens.
    pub(super) connections: usize,
    /// What all endpoints together may have in flight.
    pub(super) in_flight: usize,
    /// `KEY=VALUE`, which win over all of this.
    pub(super) settings: &'a [String],
    /// Names of variables that are not for this server.
    pub(super) hidden: &'a [String],
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Process,
    /// Kept open: the server may print.
    _stdout: BufReader<ChildStdout>,
    pub(super) address: SocketAddr,
    pub(super) key: Secret,
    client: Client,
    /// From the start of the process to its first 2xx.
    pub(super) cold_start_ms: f64,
}

/// A child that does not outlive its owner, unless that is killed itself.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    pub(super) async fn start(setup: &Setup<'_>, watch: Watch) -> Result<Self, Error> {
        std::fs::write(setup.folder.join(CONFIG), configuration(setup)).map_err(Error::File)?;
        let mut random = [0; 32];
        OsEntropy.fill(&mut random);
        let key = Secret::new(format!("bench_{}", hex::encode(random)));
        // Before the server starts: reading the system's authorities takes time that is not the server's.
        let tls = client::tls(None).map_err(|error| Error::SetUp(error.to_string()))?;

        let began = watch.nanos();
        let (process, stdout, address) = spawn(setup, &key).await?;
        let client = Client::new(&format!("http://{address}"), Some(key.clone()), tls)?;
        client.call(Request::get("/healthz")).await?;
        let cold_start_ms = seconds(watch.nanos() - began) * 1e3;
        Ok(Self { process, _stdout: stdout, address, key, client, cold_start_ms })
    }

    /// Kills it, which it does not hear of.
    pub(super) fn kill(&mut self) {
        // One that has ended already is as good.
        self.process.0.kill().ok();
        self.process.0.wait().ok();
    }

    /// Starts it again on the same folder. Answers how long the new process took until it was ready, in milliseconds.
    pub(super) async fn start_again(&mut self, setup: &Setup<'_>, watch: Watch) -> Result<f64, Error> {
        let tls = client::tls(None).map_err(|error| Error::SetUp(error.to_string()))?;
        let began = watch.nanos();
        let (process, stdout, address) = spawn(setup, &self.key).await?;
        (self.process, self._stdout, self.address) = (process, stdout, address);
        self.client = Client::new(&format!("http://{address}"), Some(self.key.clone()), tls)?;
        self.client.call(Request::get("/readyz")).await?;
        Ok(seconds(watch.nanos() - began) * 1e3)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Speaks to it as its operator.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Registers an endpoint for one type of event.
    pub(super) async fn register(
        &self,
        url: String,
        event_type: &str,
        secret: &Secret,
        max_in_flight: u32,
    ) -> Result<(), Error> {
        let body = json!({"url": url, "dialect": super::DIALECT, "events": [event_type], "secret": secret.expose(),
            "max_in_flight": max_in_flight});
        self.client.json(Request::post(format!("{}/endpoints", base()), &body)).await?;
        Ok(())
    }

    /// How many deliveries the server itself calls delivered.
    pub(super) async fn delivered(&self) -> Result<u64, Error> {
        let counts = self.client.json(Request::get(format!("{}/deliveries/counts", base()))).await?;
        Ok(counts.pointer("/states/delivered").and_then(Value::as_u64).unwrap_or(0))
    }
}

/// A process of the server, as soon as it says where it listens.
async fn spawn(setup: &Setup<'_>, key: &Secret) -> Result<(Process, BufReader<ChildStdout>, SocketAddr), Error> {
    let mut command = Command::new(setup.binary);
    command.arg("serve").arg("--config").arg(setup.folder.join(CONFIG)).arg("--data").arg(setup.folder.join("data"));
    command.args(setup.settings.iter().flat_map(|setting| ["--set", setting]));
    for name in setup.hidden {
        command.env_remove(name);
    }
    command.env("WATCHBELL_ADMIN_KEY", key.expose()).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command
        .spawn()
        .map_err(|error| Error::SetUp(format!("the server {} cannot be started: {error}", setup.binary.display())))?;
    let mut process = Process(child);
    let (stdout, address) = announced(&mut process.0).await?;
    Ok((process, stdout, address))
}

/// Reads the server's output until it says where it listens.
async fn announced(child: &mut Child) -> Result<(BufReader<ChildStdout>, SocketAddr), Error> {
    let silent = || Error::SetUp("the server ended without saying where it listens".to_owned());
    let stdout = child.stdout.take().ok_or_else(silent)?;
    let reading = in_thread("server output", move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        loop {
            line.clear();
            if stdout.read_line(&mut line).map_err(Error::File)? == 0 {
                return Err(silent());
            }
            let word = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
            if let Some(address) = word.and_then(|word| word.trim_end_matches(['/', '.', ',']).parse().ok()) {
                return Ok((stdout, address));
            }
        }
    });
    let late = |_| Error::SetUp(format!("the server was not up within {} seconds", START_MAX.as_secs()));
    tokio::time::timeout(START_MAX, reading).await.map_err(late)?
}

/// The organisation that is there from the start.
pub(super) fn base() -> String {
    format!("/api/v1/orgs/{}", watchbell_domain::org::DEFAULT_SLUG)
}

/// Everything as it comes, but for what would measure a limit in place of the server. The address guard stays on.
fn configuration(setup: &Setup<'_>) -> String {
    let egress = match &setup.ca_file {
        Some(path) => format!("extra_ca_file = {:?}", path.display().to_string()),
        None => "allow_http = true".to_owned(),
    };
    let defaults = crate::config::Config::default();
    let total = usize::try_from(defaults.delivery.max_in_flight).unwrap_or(0).max(setup.in_flight);
    let per_org = usize::try_from(defaults.delivery.max_in_flight_per_org).unwrap_or(0).max(setup.in_flight);
    let per_address = usize::try_from(defaults.server.max_connections_per_address).unwrap_or(0);
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nmax_connections_per_address = {}\n\n[api]\nrate_limit = \"off\"\n\n\
         [egress]\nallow = [\"127.0.0.1/32:{}\"]\n{egress}\n\n\
         [delivery]\nmax_in_flight = {total}\nmax_in_flight_per_org = {per_org}\n",
        per_address.max(setup.connections + 16),
        setup.sink.port(),
    )
}
