//! GitHub's Dependabot alerts: the list that
//! [REST](https://docs.github.com/rest/dependabot/alerts) gives, and the answer to a
//! [GraphQL](https://docs.github.com/graphql/reference/objects#repositoryvulnerabilityalert) query that holds
//! `vulnerabilityAlerts` anywhere.
//!
//! | state of an alert | we take it as |
//! |---|---|
//! | `open`, none | a finding |
//! | `dismissed`, `auto_dismissed` | a finding that is suppressed |
//! | `fixed` | no finding: it is gone |
//!
//! GitHub gives alerts in pages, so its silence counts only when the list can be the whole one: for GraphQL as `pageInfo`
//! and `totalCount` say, where the query asks for them; without them, and for REST, when the length is no page's, that is
//! no multiple of 10. Alerts of several repositories carry the repository's name before the manifest's path.

use self::schema::{Advisory, Alert, Alerts, Edge, Repository, Vulnerability};
use super::error::ReportError;
use super::lax::{Lax, each, each_member};
use super::lenient::{self, Raw, limit_text};
use super::package::Ecosystem;
use super::rating::Rating;
use super::vulnerability::{named, only, rating_of, versions};
use super::{Report, ReportFormat, limit, names};
use crate::finding::Observation;

mod schema;

/// Deepest place in an answer where alerts are looked for.
const SEARCH_DEPTH_MAX: usize = 16;
/// Places of an answer that wait to be looked at. An answer that is wider is not taken as the whole.
const SEARCH_WIDTH_MAX: usize = limit::OBSERVATIONS_MAX;
/// Pages are of 10, 30, 50, 100 by habit.
const PAGE: u64 = 10;

/// Reads a list or an answer.
pub(super) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let whole: Raw<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let tool = hint.unwrap_or("dependabot").to_owned();
    let mut report = Report::of(ReportFormat::Dependabot);
    report.tools.insert(tool.clone());
    let mut reading = Reading { tool: &tool, is_whole: true, report: &mut report };
    let mut count = 0u64;
    let is_list = each(whole, |raw| {
        count += 1;
        reading.alert(raw, None)
    })?;
    reading.is_whole &= !is_list || !is_page(count);
    if !is_list {
        reading.search(whole)?;
    }
    let is_whole = reading.is_whole;
    Ok(report.closed(is_whole.then_some(tool)))
}

const fn is_page(count: u64) -> bool {
    count > 0 && count.is_multiple_of(PAGE)
}

struct Reading<'r> {
    tool: &'r str,
    is_whole: bool,
    report: &'r mut Report,
}

impl Reading<'_> {
    /// Looks for `vulnerabilityAlerts`, without recursion: what is asked for under which names is the query's affair.
    fn search(&mut self, whole: Raw<'_>) -> Result<(), ReportError> {
        let mut open: Vec<(usize, Raw<'_>)> = vec![(0, whole)];
        while let Some((depth, raw)) = open.pop() {
            let mut inner = Vec::new();
            let mut found = None;
            let room = SEARCH_WIDTH_MAX.saturating_sub(open.len());
            let mut is_wide = false;
            let mut add = |raw| match lenient::is_nested(raw) {
                true if inner.len() < room => inner.push(raw),
                true => is_wide = true,
                false => {}
            };
            each(raw, |raw| {
                add(raw);
                Ok(())
            })?;
            each_member(raw, |name, raw| {
                match name {
                    "vulnerabilityAlerts" => found = Some(raw),
                    "errors" if depth == 0 => self.is_whole = false,
                    "pageInfo" => self.note_page(raw),
                    _ => add(raw),
                }
                Ok(())
            })?;
            if let Some(alerts) = found {
                let repository: Repository = lenient::parse(raw).unwrap_or_default();
                self.alerts(alerts, repository.shown())?;
            }
            self.is_whole &= !is_wide;
            if depth < SEARCH_DEPTH_MAX {
                open.extend(inner.into_iter().rev().map(|raw| (depth + 1, raw)));
            }
        }
        Ok(())
    }

    fn alerts(&mut self, raw: Raw<'_>, repository: Option<&str>) -> Result<(), ReportError> {
        let Some(alerts) = lenient::parse::<Alerts<'_>>(raw) else {
            return self.report.take(None);
        };
        let mut count = 0;
        if let Some(raw) = alerts.nodes {
            each(raw, |raw| {
                count += 1;
                self.alert(raw, repository)
            })?;
        }
        if let Some(raw) = alerts.edges.filter(|_| alerts.nodes.is_none()) {
            each(raw, |raw| {
                count += 1;
                match lenient::parse::<Edge<'_>>(raw).and_then(|edge| edge.node) {
                    Some(node) => self.alert(node, repository),
                    None => self.report.take(None),
                }
            })?;
        }
        let is_told = alerts.page_info.is_some() || alerts.total_count.is_some();
        if let Some(raw) = alerts.page_info {
            self.note_page(raw);
        }
        let is_short = alerts.total_count.is_some_and(|total| total > count);
        self.is_whole &= !is_short && (is_told || !is_page(count));
        Ok(())
    }

    /// More pages follow.
    fn note_page(&mut self, raw: Raw<'_>) {
        let page: schema::PageInfo = lenient::parse(raw).unwrap_or_default();
        self.is_whole &= *page.has_next_page != Some(true);
    }

    fn alert(&mut self, raw: Raw<'_>, repository: Option<&str>) -> Result<(), ReportError> {
        match lenient::parse::<Alert>(raw) {
            Some(alert) if alert.is_fixed() => Ok(()),
            alert => self.report.take(alert.and_then(|alert| observe(self.tool, &alert, repository))),
        }
    }
}

fn observe(tool: &str, alert: &Alert, repository: Option<&str>) -> Option<Observation> {
    let nothing = (Vulnerability::default(), Advisory::default());
    let vulnerability = alert.vulnerability.as_ref().unwrap_or(&nothing.0);
    let advisory = alert.advisory.as_ref().or(vulnerability.advisory.as_ref()).unwrap_or(&nothing.1);
    let ids = || advisory.identifiers.iter().filter_map(|it| it.value.text());
    let is_cve = |id: &&str| names::whole_cve(id).is_some();
    let cve = advisory.cve_id.text().or_else(|| only(ids().filter(is_cve)));
    let others = ids().filter(|id| !is_cve(id));
    let seen = named(tool, advisory.ghsa_id.text().into_iter().chain(others).chain(cve))?;
    let dependency = alert.dependency.as_ref();
    let package = vulnerability.package.as_ref().or(dependency.and_then(|it| it.package.as_ref()))?;
    let ecosystem = Ecosystem::of(package.ecosystem.text().unwrap_or_default());
    // `= 1.2.0` is the version that is installed; a range is what the manifest asks for.
    let installed = alert.requirements.text().and_then(|text| text.strip_prefix("= "));
    let component = ecosystem.component(package.name.text()?, installed);
    let manifest = dependency.and_then(|it| it.manifest_path.text()).or(alert.manifest_path.text());
    let repository = alert.repository.as_ref().and_then(Repository::shown).or(repository);
    let place: Vec<&str> = [repository, manifest].into_iter().flatten().map(|part| part.trim_matches('/')).collect();
    let page = [&alert.html_url, &advisory.html_url, &advisory.permalink];
    let page = page.into_iter().filter_map(Lax::text).chain(advisory.references.iter().filter_map(|it| it.url.text()));
    let fixed = vulnerability.first_patched_version.as_ref().and_then(|it| it.identifier.text());
    Some(Observation {
        description: limit_text(advisory.description.text().unwrap_or_default(), limit::DESCRIPTION_MAX),
        cwes: names::cwes(advisory.cwes()),
        fixed_in: versions(fixed),
        location: Some(names::path(&place.join("/"))).filter(|place| !place.is_empty()),
        url: page.into_iter().find_map(names::url),
        suppressed: alert.is_dismissed(),
        ..seen
            .rated(vulnerability.severity.text().or(advisory.severity.text()), advisory.ratings())
            .of_component(component, advisory.summary.text())
    })
}

impl Advisory {
    fn cwes(&self) -> impl Iterator<Item = &str> {
        let of_rest = self.cwes.iter().filter_map(|it| it.id.text());
        let of_graphql = self.cwes.iter().flat_map(|it| it.nodes.iter()).filter_map(|it| it.id.text());
        of_rest.chain(of_graphql)
    }

    fn ratings(&self) -> Vec<Rating> {
        let severities = self.cvss_severities.as_ref();
        let all =
            [severities.and_then(|it| it.v4.as_ref()), severities.and_then(|it| it.v3.as_ref()), self.cvss.as_ref()];
        // GitHub writes 0 where there is none.
        let told = all.into_iter().flatten().map(|it| (it.vector.text(), it.score.number().filter(|it| *it > 0.0)));
        let told = told.filter(|(vector, score)| vector.is_some() || score.is_some());
        told.map(|(vector, score)| rating_of(vector, score)).collect()
    }
}
