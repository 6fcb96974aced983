//! The HTTP contract, judged by other people's software: the OpenAPI document must validate, and schemathesis must not
//! provoke a 5xx from a real server on a temporary store.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::command::{self, is_there, root};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const VALIDATOR: &str = "openapi-spec-validator==0.9.0";
const ADMIN_KEY: &str = "contract-test-key-0123456789abcdef";
const EXAMPLES_PER_OPERATION: &str = "15";

/// How the contract test ended.
pub(crate) enum Outcome {
    Passed,
    Skipped,
    Failed,
}

/// Installs the tools into `target/contract` and runs them against a server of its own.
pub(crate) fn run() -> anyhow::Result<Outcome> {
    println!("\n── the HTTP contract (openapi-spec-validator, schemathesis)");
    let Some(tools) = install()? else { return Ok(Outcome::Skipped) };
    let server = Server::start()?;
    let document = root().join("openapi.json");
    let valid = Command::new(tools.join("openapi-spec-validator")).arg(&document).status()?.success();
    let sound = Command::new(tools.join("schemathesis"))
        .arg("run")
        .arg(format!("{}/openapi.json", server.url))
        .args(["--header", &format!("Authorization: Bearer {ADMIN_KEY}")])
        .args(["--checks", "not_a_server_error"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES_PER_OPERATION])
        .args(["--max-time", "60", "--seed", "1", "--request-timeout", "10"])
        // It answers when a request comes, and none comes here.
        .args(["--exclude-path-regex", "/requests/live$"])
        .args(["--warnings", "off", "--no-color", "--continue-on-failure"])
        .current_dir(&server.folder)
        .status()?
        .success();
    Ok(if valid && sound { Outcome::Passed } else { Outcome::Failed })
}

/// The folder with the tools; `None` when Python or its packages cannot be had.
fn install() -> anyhow::Result<Option<PathBuf>> {
    let venv = root().join("target/contract/venv");
    let tools = venv.join("bin");
    if is_there(&tools.join("schemathesis").display().to_string(), &["--version"])
        && is_there(&tools.join("openapi-spec-validator").display().to_string(), &["--version"])
    {
        return Ok(Some(tools));
    }
    let made = is_there("python3", &["-m", "venv", &venv.display().to_string()]);
    let pip = tools.join("pip").display().to_string();
    let installed = made
        && Command::new(&pip)
            .args(["install", "--quiet", "--disable-pip-version-check", SCHEMATHESIS, VALIDATOR])
            .status()
            .is_ok_and(|status| status.success());
    if !installed {
        println!("SKIPPED: {SCHEMATHESIS} and {VALIDATOR} cannot be installed (Debian: apt-get install python3-venv)");
        return Ok(None);
    }
    Ok(Some(tools))
}

/// A server of the debug build, on a free port and a fresh folder; both go when it is dropped.
struct Server {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let folder = root().join("target/contract/run");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let binary = command::tested_binary();
        let mut child = Command::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .env("WATCHBELL_ADMIN_KEY", ADMIN_KEY)
            .env("WATCHBELL_API__RATE_LIMIT", "off")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let url = first_url(&mut child, &binary)?;
        Ok(Self { child, url, folder })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The first `http://…` that the server prints.
fn first_url(child: &mut Child, binary: &Path) -> anyhow::Result<String> {
    let output = child.stdout.take().context("the server's output is not there")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) {
            return Ok(url.trim_end_matches(['.', ',', '/']).to_owned());
        }
    }
    bail!("{} ended without saying where it listens", binary.display())
}
