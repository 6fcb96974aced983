//! SARIF 2.1.0, the interchange format of static analysis: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>.
//!
//! | the log says | we take it as |
//! |---|---|
//! | `kind` `pass` or `notApplicable`, `baselineState` `absent` | no finding |
//! | suppressions, all of them accepted (the default) | a finding that is suppressed |
//! | `security-severity` of the result, else of the rule | score and severity |
//! | `level`, else the rule's default, else `warning` (another `kind` than `fail`: `none`) | severity |
//! | no `results` in a run | the tool did not look: its findings stay as they are |
//! | empty `results` beside execution notifications of level `error` | the same: it saw nothing for another reason |
//! | `invocations[].endTimeUtc` | when it was scanned |
//! | `executionSuccessful: false` in any run | the scan failed: all findings stay as they are |

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek, SeekFrom};

use serde_json::value::RawValue;
use watchbell_wire::Severity;

use self::rules::Rules;
use self::schema::{Artifact, ArtifactLocation, Entry, Invocation, Location, Message, Reference, Rule, Tool};
use self::stream::{Handler, Member};
use super::error::ReportError;
use super::lenient::{self, Raw, limit_text};
use super::rating::{self, Method};
use super::{Report, ReportFormat, code, limit, names};
use crate::finding::Observation;

mod rules;
mod schema;
mod stream;

/// Reads a log that is in memory.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    read_from(Cursor::new(text), hint)
}

/// Reads a log as it comes, twice: see [`stream`].
pub(super) fn read_from<R: Read + Seek>(mut source: R, hint: Option<&str>) -> Result<Report, ReportError> {
    let start = source.stream_position().map_err(ReportError::of_io)?;
    let mut outline = Outline::default();
    let has_runs = stream::walk(&mut source, &mut outline)?;
    let shape = |reason: &str| ReportError::Shape { pointer: "/runs", reason: reason.to_owned() };
    if !has_runs {
        return Err(ReportError::UnknownFormat { seen: "it has no list of `runs`".to_owned() });
    }
    if outline.runs.is_empty() {
        return Err(shape("there is no run, so no tool has looked at anything"));
    }
    let mut report = Report::of(ReportFormat::Sarif);
    let mut silent = BTreeSet::new();
    let (mut described, mut erring) = (Vec::new(), Vec::new());
    for run in &outline.runs {
        let tool: Option<Tool<'_>> = run.tool.as_deref().and_then(lenient::parse);
        let name = tool_name(tool.as_ref(), hint)?;
        report.tools.insert(name.clone());
        let invocations = run.invocations.as_deref().and_then(lenient::parse::<Vec<Raw<'_>>>).unwrap_or_default();
        let invocations: Vec<Invocation> = invocations.into_iter().filter_map(lenient::parse).collect();
        report.failure = report.failure.take().or_else(|| failure(&invocations));
        report.scanned_at = report.scanned_at.max(invocations.iter().filter_map(|it| it.end_time_utc).max());
        if !run.has_results {
            silent.insert(name.clone());
        }
        erring.push(tells_errors(&invocations));
        described.push(Described { tool: name, rules: Rules::new(tool), artifacts: &run.artifacts, results: 0 });
    }
    source.seek(SeekFrom::Start(start)).map_err(ReportError::of_io)?;
    let mut results = Results { runs: described, begun: 0, report: &mut report };
    stream::walk(&mut source, &mut results)?;
    let is_empty_by_error = |(run, erring): &(&Described<'_>, bool)| *erring && run.results == 0;
    let by_error = results.runs.iter().zip(erring).filter(is_empty_by_error);
    silent.extend(by_error.map(|(run, _)| run.tool.clone()));
    report.scope = match report.skipped {
        0 => report.tools.difference(&silent).cloned().collect(),
        _ => BTreeSet::new(),
    };
    Ok(report)
}

fn tool_name(tool: Option<&Tool<'_>>, hint: Option<&str>) -> Result<String, ReportError> {
    let driver = tool.and_then(|tool| tool.driver.as_ref());
    let own_name = driver.and_then(|driver| driver.name.as_deref()).map(names::tool);
    let tool = hint.map(str::to_owned).or(own_name.filter(|name| !name.is_empty()));
    tool.ok_or_else(|| ReportError::Shape {
        pointer: "/runs",
        reason: "a run does not name its tool in tool.driver.name; name it with ?tool=".to_owned(),
    })
}

/// What describes the runs: the first time through.
#[derive(Default)]
struct Outline {
    runs: Vec<RunOutline>,
}

#[derive(Default)]
struct RunOutline {
    tool: Option<Box<RawValue>>,
    invocations: Option<Box<RawValue>>,
    artifacts: Vec<Option<String>>,
    /// Absent or null: the tool did not look. Empty: it looked and saw nothing.
    has_results: bool,
}

impl Handler for Outline {
    fn run(&mut self) {
        self.runs.push(RunOutline::default());
    }

    fn wants(&self, member: Member) -> bool {
        member != Member::Results
    }

    fn value(&mut self, member: Member, raw: Box<RawValue>) {
        let Some(run) = self.runs.last_mut() else { return };
        match member {
            Member::Tool => run.tool = Some(raw),
            Member::Invocations => run.invocations = Some(raw),
            Member::Artifacts | Member::Results => {}
        }
    }

    fn list(&mut self, member: Member) {
        if let Some(run) = self.runs.last_mut() {
            run.has_results |= member == Member::Results;
        }
    }

    fn entry(&mut self, _: Member, raw: &RawValue) -> Result<(), ReportError> {
        if let Some(run) = self.runs.last_mut()
            && run.artifacts.len() < limit::INVENTORY_MAX
        {
            run.artifacts.push(artifact_uri(raw));
        }
        Ok(())
    }
}

/// A run whose results are to be read.
struct Described<'o> {
    tool: String,
    rules: Rules<'o>,
    artifacts: &'o [Option<String>],
    /// How many there were.
    results: u64,
}

/// The results: the second time through.
struct Results<'o, 'r> {
    runs: Vec<Described<'o>>,
    /// Runs that have begun.
    begun: usize,
    report: &'r mut Report,
}

impl Handler for Results<'_, '_> {
    fn run(&mut self) {
        self.begun += 1;
    }

    fn wants(&self, member: Member) -> bool {
        member == Member::Results
    }

    fn value(&mut self, _: Member, _: Box<RawValue>) {}

    fn list(&mut self, _: Member) {}

    fn entry(&mut self, _: Member, raw: &RawValue) -> Result<(), ReportError> {
        let Some(run) = self.begun.checked_sub(1).and_then(|index| self.runs.get_mut(index)) else {
            return Ok(());
        };
        run.results += 1;
        let Some(entry) = lenient::parse::<Entry>(raw) else {
            self.report.skipped += 1;
            return Ok(());
        };
        if !is_finding(&entry) {
            return Ok(());
        }
        let rule = run.rules.of(&entry);
        match observe(&run.tool, &entry, &rule, run.artifacts) {
            Some(observation) => self.report.observations.push(observation),
            None => self.report.skipped += 1,
        }
        match self.report.observations.len() {
            count if count > limit::OBSERVATIONS_MAX => Err(ReportError::TooMany { count }),
            _ => Ok(()),
        }
    }
}

/// Why the tool failed, if it says so.
fn failure(invocations: &[Invocation]) -> Option<String> {
    let failed = invocations.iter().find(|invocation| invocation.execution_successful == Some(false))?;
    let notifications = &failed.tool_execution_notifications;
    let worst = notifications
        .iter()
        .find(|notification| notification.level.as_deref() == Some("error"))
        .or(notifications.first());
    let told = worst
        .and_then(|notification| plain(notification.message.as_ref()).map(str::to_owned))
        .or_else(|| failed.exit_code_description.clone())
        .or_else(|| failed.exit_code.map(|code| format!("exit code {code}")));
    let reason = match told {
        Some(told) => format!("the tool says that it failed: {told}"),
        None => "the tool says that it failed (executionSuccessful is false)".to_owned(),
    };
    Some(limit_text(&reason, limit::DESCRIPTION_MAX))
}

/// A tool that saw nothing and tells errors of itself has not looked.
fn tells_errors(invocations: &[Invocation]) -> bool {
    let mut notifications = invocations.iter().flat_map(|invocation| &invocation.tool_execution_notifications);
    notifications.any(|notification| notification.level.as_deref() == Some("error"))
}

fn is_finding(entry: &Entry) -> bool {
    let is_clean = matches!(entry.kind.as_deref(), Some("pass" | "notApplicable"));
    !is_clean && entry.baseline_state.as_deref() != Some("absent")
}

fn observe(tool: &str, entry: &Entry, rule: &Rule, artifacts: &[Option<String>]) -> Option<Observation> {
    let reference = entry.rule.as_ref().and_then(|rule| rule.id.as_deref());
    let rule_id = entry.rule_id.as_deref().or(reference).or(rule.id.as_deref());
    let message = message_of(entry, rule);
    if rule_id.is_none() && message.is_none() {
        return None;
    }
    let rule_id = limit_text(rule_id.unwrap_or_default(), limit::NAME_MAX);
    let (title, description) = words(&rule_id, message.as_deref(), rule);
    let place = place(entry.locations.first(), artifacts);
    let (severity, cvss_score) = severity(entry, rule);
    Some(Observation {
        tool: tool.to_owned(),
        title,
        description,
        severity,
        cve_id: names::cve(&rule_id),
        cwes: cwes(entry, rule),
        cvss_score,
        fingerprint: fingerprint(entry, &place, message.as_deref()),
        location: place.shown(),
        url: rule.help_uri.as_deref().and_then(names::url),
        suppressed: is_suppressed(entry),
        suppression_reason: suppression_reason(entry),
        rule_id,
        ..Observation::default()
    })
}

fn severity(entry: &Entry, rule: &Rule) -> (Severity, Option<f64>) {
    let own = entry.properties.as_ref();
    let scored = [own, rule.properties.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|properties| properties.security_severity.filter(rating::is_score))
        .filter(|score| *score > 0.0);
    if let Some(score) = scored {
        return (rating::severity_of_score(score, Method::Cvss31), Some(score));
    }
    let is_fail = matches!(entry.kind.as_deref(), None | Some("fail"));
    let configured = rule.default_configuration.as_ref().and_then(|it| it.level.as_deref());
    let default = if is_fail { configured } else { Some("none") };
    let level = entry.level.as_deref().or(default);
    (rating::severity_of_level(level.unwrap_or("warning")), None)
}

/// One that is under review or rejected keeps the finding alive.
fn is_suppressed(entry: &Entry) -> bool {
    let is_accepted = |status: Option<&str>| matches!(status, None | Some("accepted"));
    let suppressions = &entry.suppressions;
    !suppressions.is_empty() && suppressions.iter().all(|one| is_accepted(one.status.as_deref()))
}

fn suppression_reason(entry: &Entry) -> Option<String> {
    let given = entry.suppressions.iter().find_map(|one| one.justification.as_deref());
    given.filter(|_| is_suppressed(entry)).map(|reason| limit_text(reason, limit::DESCRIPTION_MAX))
}

fn cwes(entry: &Entry, rule: &Rule) -> Vec<String> {
    let mut cwes = BTreeSet::new();
    let properties = [entry.properties.as_ref(), rule.properties.as_ref()];
    for tag in properties.into_iter().flatten().flat_map(|properties| &properties.tags) {
        names::add_cwe(tag, &mut cwes);
    }
    let related = rule.relationships.iter().filter_map(|it| it.target.as_ref());
    for reference in entry.taxa.iter().chain(related) {
        add_taxon(reference, &mut cwes);
    }
    cwes.into_iter().collect()
}

/// Taxonomies name their entries `CWE-78` or `78`.
fn add_taxon(reference: &Reference, cwes: &mut BTreeSet<String>) {
    let Some(id) = reference.id.as_deref() else {
        return;
    };
    let taxonomy = reference.tool_component.as_ref().and_then(|it| it.name.as_deref());
    match id.parse::<u32>() {
        Ok(number) if taxonomy.is_some_and(|name| name.eq_ignore_ascii_case("cwe")) => {
            names::add_cwe_number(number, cwes);
        }
        Ok(_) | Err(_) => names::add_cwe(id, cwes),
    }
}

/// The message with its placeholders filled.
fn message_of(entry: &Entry, rule: &Rule) -> Option<String> {
    let message = entry.message.as_ref()?;
    let template = plain(Some(message)).or_else(|| {
        let strings = rule.message_strings.as_ref()?;
        plain(strings.get(message.id.as_ref()?))
    })?;
    // Thousands of results may share one long text of their rule: what is beyond the limit is not even copied.
    Some(filled(&limit_text(template, limit::MESSAGE_MAX), &message.arguments))
}

/// Text, or Markdown where a tool gives that only.
fn plain(message: Option<&Message>) -> Option<&str> {
    let message = message?;
    let is_said = |text: &&str| !text.trim().is_empty();
    let text = message.text.as_deref().filter(is_said);
    text.or(message.markdown.as_deref().filter(is_said))
}

/// `{0}` is the first argument; `{{` and `}}` are braces. What names no argument stays as it is.
fn filled(template: &str, arguments: &[String]) -> String {
    if arguments.is_empty() {
        return template.to_owned();
    }
    let mut out = String::new();
    let mut rest = template;
    // Arguments may repeat; what is beyond the limit is cut anyway.
    while let Some(at) = rest.find(['{', '}']).filter(|_| out.len() <= limit::MESSAGE_MAX) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let argument = from.strip_prefix('{').and_then(|inner| {
            let (index, after) = inner.split_once('}')?;
            Some((arguments.get(index.parse::<usize>().ok()?)?, after))
        });
        rest = match argument {
            Some((argument, after)) => {
                out.push_str(argument);
                after
            }
            None => {
                let (brace, after) = from.split_at(1);
                out.push_str(brace);
                after.strip_prefix(brace).unwrap_or(after)
            }
        };
    }
    out.push_str(rest);
    out
}

/// Title and description. A message of one short line is a title; of a longer one the rule's short description is.
fn words(rule_id: &str, message: Option<&str>, rule: &Rule) -> (String, String) {
    const SHORT: usize = 160;
    let short = plain(rule.short_description.as_ref()).or(rule.name.as_deref());
    let full = plain(rule.full_description.as_ref());
    let message = message.map(str::trim);
    let is_short = |text: &&str| text.len() <= SHORT && !text.contains('\n');
    let title =
        message.filter(is_short).or(short.filter(|text| !text.trim().is_empty())).or(message).unwrap_or(rule_id);
    let title = limit_text(title.trim().lines().next().unwrap_or_default(), limit::TITLE_MAX);
    let description =
        message.filter(|message| *message != title).or(full.filter(|full| *full != title)).unwrap_or_default();
    (title, limit_text(description, limit::DESCRIPTION_MAX))
}

/// Where a result is.
struct Place {
    file: Option<String>,
    line: Option<u64>,
    snippet: Option<String>,
    resource: Option<String>,
}

impl Place {
    /// `shop.py:12`, or a resource's address.
    fn shown(&self) -> Option<String> {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => Some(format!("{file}:{line}")),
            (Some(file), None) => Some(file.clone()),
            (None, _) => self.resource.clone(),
        }
    }
}

fn place(location: Option<&Location>, artifacts: &[Option<String>]) -> Place {
    let physical = location.and_then(|location| location.physical_location.as_ref());
    let file = physical.and_then(|it| it.artifact_location.as_ref());
    let file = file.and_then(|file| uri(file, artifacts)).map(|uri| names::path(&uri));
    let region = physical.and_then(|it| it.region.as_ref());
    let logical = location.and_then(|location| location.logical_locations.first());
    let resource = logical.and_then(|it| it.fully_qualified_name.as_ref().or(it.name.as_ref()));
    Place {
        file: file.filter(|file| !file.is_empty()),
        line: region.and_then(|region| region.start_line),
        snippet: region
            .and_then(|region| plain(region.snippet.as_ref()))
            .and_then(code::line_of_code)
            .map(str::to_owned),
        resource: resource.map(|name| limit_text(name, limit::PATH_MAX)).filter(|name| !name.is_empty()),
    }
}

fn uri(location: &ArtifactLocation, artifacts: &[Option<String>]) -> Option<String> {
    let listed = || artifacts.get(location.index?)?.clone();
    location.uri.clone().or_else(listed)
}

fn artifact_uri(raw: Raw<'_>) -> Option<String> {
    let uri = lenient::parse::<Artifact>(raw)?.location?.uri;
    uri.filter(|uri| uri.len() <= 4 * limit::PATH_MAX)
}

/// What tells this result from others of its rule; see [`crate::finding::identity`] for the forms.
///
/// A result that is at a resource and in no file needs none.
fn fingerprint(entry: &Entry, place: &Place, message: Option<&str>) -> Option<String> {
    // Semgrep writes `requires login` for all results of those who have not.
    let is_usable = |value: &&String| value.len() >= 8 && !value.contains(char::is_whitespace);
    // The key's version stands at its end, so the last is the newest; `primaryLocationLineHash` is the one that all
    // consumers know, and its companion depends on the column.
    let full = entry.fingerprints.as_ref();
    if let Some(value) = full.and_then(|all| all.values().rev().find(is_usable)) {
        return Some(code::by_own(value));
    }
    let partial = entry.partial_fingerprints.as_ref();
    let partial = partial.and_then(|all| {
        let known = all.get("primaryLocationLineHash").filter(is_usable);
        known.or_else(|| all.values().rev().find(is_usable))
    });
    if let Some(value) = partial {
        return Some(code::by_hash(value));
    }
    if place.file.is_none() && place.resource.is_some() {
        return None;
    }
    let by_message = || code::by_cut_message(message.unwrap_or_default());
    Some(place.snippet.as_deref().and_then(code::by_snippet).unwrap_or_else(by_message))
}
