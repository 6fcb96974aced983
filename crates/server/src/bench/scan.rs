//! A large report: what it takes to upload, read, weigh and write one, and ten times one.
//!
//! ```text
//!  generated SARIF ──upload──▶ watchbell serve (fresh) ──▶ findings and events      twice: all new, then all as before
//! ```
//!
//! Once with a tenth of the findings and once with all of them, each on a fresh server, so that what grows faster than the
//! report is seen. Meanwhile somebody else posts one event after the other: one writer writes for all, so how long these
//! wait says how long a report keeps it.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use http::Method;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};

use super::child::{Server, Setup, base};
use super::event::MEASURED;
use super::measure::{Memory, Watch, per, precise, process_cpu_seconds, seconds};
use super::{Error, folder, say};
use crate::cli::Output;
use crate::client::{Client, Request, Upload};

/// Rules of the report; each result is of one of them.
const RULES: u64 = 200;

/// Between two events of somebody else.
const OTHERS_EVERY: SignedDuration = SignedDuration::from_millis(50);

/// What to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) findings: u64,
    /// Bytes of one result, about.
    pub(crate) size: usize,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) server_bin: PathBuf,
    pub(crate) settings: Vec<String>,
    pub(crate) hidden: Vec<String>,
}

/// What one report took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Run {
    findings: u64,
    report_mb: f64,
    /// From the first byte sent to the last byte of the answer: everything is new.
    new_s: f64,
    /// The same report again.
    again_s: f64,
    new_us_per_finding: f64,
    /// Of both.
    server_cpu_s: f64,
    /// Of either.
    cpu_us_per_finding: f64,
    idle_mb: f64,
    peak_mb: f64,
    /// Of the memory beyond what the server has when it rests.
    peak_bytes_per_finding: f64,
    /// The longest that an event of somebody else waited for its 202.
    others_wait_s: f64,
    /// Events of somebody else that were not taken.
    others_refused: u64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    bench: &'static str,
    runs: Vec<Run>,
    /// Ten times the findings take so many times as long.
    new_ratio: f64,
    again_ratio: f64,
    /// And so many times the processor's.
    cpu_ratio: f64,
}

/// Measures.
pub(crate) async fn run(options: Options) -> Result<Figures, Error> {
    let mut runs = Vec::new();
    for findings in [options.findings.div_ceil(10), options.findings] {
        say(&format!("a report of {findings} findings"));
        runs.push(one(&options, findings).await?);
    }
    let ratio = |figure: fn(&Run) -> f64| match runs.as_slice() {
        [tenth, all] => per(figure(all), figure(tenth)),
        _ => 0.0,
    };
    let (new_ratio, again_ratio) = (ratio(|run| run.new_s), ratio(|run| run.again_s));
    let cpu_ratio = ratio(|run| run.server_cpu_s);
    Ok(Figures { bench: "report", runs, new_ratio, again_ratio, cpu_ratio })
}

async fn one(options: &Options, findings: u64) -> Result<Run, Error> {
    let folder = folder(options.data_dir.as_deref())?;
    let path = folder.path().join("report.sarif");
    generate(&path, findings, options.size).map_err(Error::File)?;
    let bytes = std::fs::metadata(&path).map_err(Error::File)?.len();
    let watch = Watch::start();
    let settings: Vec<String> =
        ["scan.max_bytes=1GiB".to_owned()].into_iter().chain(options.settings.iter().cloned()).collect();
    let setup = Setup {
        binary: &options.server_bin,
        folder: folder.path(),
        // Nothing is delivered.
        sink: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
        ca_file: None,
        connections: 2,
        in_flight: 1,
        settings: &settings,
        hidden: &options.hidden,
    };
    let server = Server::start(&setup, watch).await?;
    let idle_mb = Memory::of(server.pid())?.now_mb;
    let client = server.client();
    let made = client.json(Request::post(format!("{}/projects", base()), &json!({"name": "bench"}))).await?;
    let project = made.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let cpu_before = process_cpu_seconds(server.pid())?;
    let mut took = [0.0; 2];
    let others = Others::default();
    for (took, new) in took.iter_mut().zip([findings, 0]) {
        let began = watch.nanos();
        tokio::select! {
            biased;
            done = scan(client, &project, &path, bytes, new) => done?,
            () = others.post(client, watch) => {}
        }
        others.end(watch);
        *took = seconds(watch.nanos() - began);
    }
    let [new_s, again_s] = took;
    let (server_cpu_s, peak_mb) = (process_cpu_seconds(server.pid())? - cpu_before, Memory::of(server.pid())?.peak_mb);
    Ok(Run {
        findings,
        report_mb: precise(bytes) / 1e6,
        new_s,
        again_s,
        new_us_per_finding: per(new_s * 1e6, precise(findings)),
        server_cpu_s,
        cpu_us_per_finding: per(server_cpu_s * 1e6 / 2.0, precise(findings)),
        idle_mb,
        peak_mb,
        peak_bytes_per_finding: per((peak_mb - idle_mb) * 1e6, precise(findings)),
        others_wait_s: seconds(others.longest.get()),
        others_refused: others.refused.get(),
    })
}

/// Somebody else, who posts events while a report is uploaded.
#[derive(Debug, Default)]
struct Others {
    longest: Cell<u64>,
    refused: Cell<u64>,
    /// When the event that is under way was posted.
    posted: Cell<Option<u64>>,
}

impl Others {
    /// One event after the other, without end.
    async fn post(&self, client: &Client, watch: Watch) {
        let event = json!({"type": MEASURED, "data": {"bench": "report"}});
        loop {
            self.posted.set(Some(watch.nanos()));
            if client.call(Request::post(format!("{}/events", base()), &event)).await.is_err() {
                self.refused.set(self.refused.get() + 1);
            }
            self.end(watch);
            watch.clock().sleep(OTHERS_EVERY).await;
        }
    }

    /// The event that is under way, if there is one, has waited for so long.
    fn end(&self, watch: Watch) {
        let waited = self.posted.take().map_or(0, |posted| watch.nanos() - posted);
        self.longest.set(self.longest.get().max(waited));
    }
}

async fn scan(client: &Client, project: &str, path: &Path, bytes: u64, new: u64) -> Result<(), Error> {
    let mut request = Request::new(Method::POST, format!("{}/projects/{project}/scans", base()));
    request.upload = Some(Upload::open(path, bytes).map_err(Error::File)?);
    let scan = client.json(request).await?;
    let found = scan.get("findings_new").and_then(Value::as_u64);
    match found == Some(new) {
        true => Ok(()),
        false => Err(Error::Missing(format!("the report makes {new} findings new, and the server says {found:?}"))),
    }
}

/// A report of so many results, in different places of a few thousand files.
fn generate(path: &Path, findings: u64, size: usize) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(out, r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"bench","rules":["#)?;
    for rule in 0..RULES {
        let comma = if rule > 0 { "," } else { "" };
        let score = rule % 10;
        write!(
            out,
            r#"{comma}{{"id":"R{rule}","shortDescription":{{"text":"rule {rule}"}},"properties":{{"security-severity":"{score}.5","tags":["external/cwe/cwe-{rule}"]}}}}"#
        )?;
    }
    write!(out, r#"]}}}},"results":["#)?;
    for result in 0..findings {
        let comma = if result > 0 { "," } else { "" };
        let (rule, file, line) = (result % RULES, result % 4999, result / 4999 + 1);
        let head = format!(
            r#"{comma}{{"ruleId":"R{rule}","ruleIndex":{rule},"level":"warning","partialFingerprints":{{"primaryLocationLineHash":"{result:016x}:1"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"src/module{}/file{file}.py"}},"region":{{"startLine":{line},"snippet":{{"text":"value = load({result})"}}}}}}}}],"message":{{"text":"#,
            file % 97
        );
        let filling =
            "the value comes from outside and is used as it is; ".repeat(size.saturating_sub(head.len()) / 51 + 1);
        let filling: String = filling.chars().take(size.saturating_sub(head.len() + 16).max(16)).collect();
        write!(out, r#"{head}"{filling}{result}"}}}}"#)?;
    }
    out.write_all(b"]}]}")?;
    out.flush()
}

impl Figures {
    /// As a table or as JSON.
    pub(crate) fn print(&self, out: Output) {
        if out.json {
            return out.value(&serde_json::to_value(self).unwrap_or_default());
        }
        let rows: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                json!({
                    "findings": run.findings,
                    "report": format!("{:.1} MB", run.report_mb),
                    "new": format!("{:.2} s", run.new_s),
                    "each": format!("{:.1} µs", run.new_us_per_finding),
                    "again": format!("{:.2} s", run.again_s),
                    "cpu": format!("{:.2} s", run.server_cpu_s),
                    "cpu_each": format!("{:.1} µs", run.cpu_us_per_finding),
                    "idle": format!("{:.0} MB", run.idle_mb),
                    "peak": format!("{:.0} MB", run.peak_mb),
                    "others": format!("{:.2} s", run.others_wait_s),
                    "refused": run.others_refused,
                })
            })
            .collect();
        let columns: &[(&str, &[&str])] = &[
            ("findings", &["findings"]),
            ("report", &["report"]),
            ("all new", &["new"]),
            ("each", &["each"]),
            ("the same again", &["again"]),
            ("CPU of both", &["cpu"]),
            ("each", &["cpu_each"]),
            ("idle", &["idle"]),
            ("peak", &["peak"]),
            ("others waited", &["others"]),
            ("refused", &["refused"]),
        ];
        out.table(&rows, columns);
        out.line(format!(
            "ten times the findings: {:.1} times as long when new, {:.1} times when the same, {:.1} times the processor",
            self.new_ratio, self.again_ratio, self.cpu_ratio
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_of_the_report_is_a_finding_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.sarif");
        generate(&path, 12_000, 600).unwrap();
        let report = watchbell_domain::scan::read_from(File::open(&path).unwrap(), None).unwrap();
        assert_eq!((report.observations.len(), report.skipped), (12_000, 0));
        assert_eq!(watchbell_domain::snapshot::by_identity(&report.observations).len(), 12_000);
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!((12_000 * 590..12_000 * 640).contains(&bytes), "{bytes}");
    }
}
