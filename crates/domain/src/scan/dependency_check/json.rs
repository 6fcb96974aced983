//! The JSON form (`reportSchema` 1.x).

use serde::Deserialize;

use super::{Dependency, Metrics, Reading, Vulnerability};
use crate::scan::error::ReportError;
use crate::scan::lax::{Lax, Many, Number, each};
use crate::scan::lenient::{self, Raw};
use crate::scan::{Report, ReportFormat};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Top<'a> {
    #[serde(borrow)]
    scan_info: Lax<ScanInfo<'a>>,
    #[serde(borrow)]
    dependencies: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ScanInfo<'a> {
    #[serde(borrow)]
    analysis_exceptions: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Entry<'a> {
    file_name: Lax<String>,
    packages: Many<Package>,
    #[serde(borrow)]
    vulnerabilities: Option<Raw<'a>>,
    #[serde(borrow)]
    suppressed_vulnerabilities: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Package {
    id: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Hit {
    name: Lax<String>,
    severity: Lax<String>,
    description: Lax<String>,
    cwes: Many<String>,
    cvssv2: Lax<Cvss2>,
    cvssv3: Lax<Cvss3>,
    cvssv4: Lax<Cvss3>,
    references: Many<Reference>,
    vulnerable_software: Many<Software>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cvss2 {
    score: Lax<Number>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Cvss3 {
    version: Lax<String>,
    base_score: Lax<Number>,
    attack_vector: Lax<String>,
    attack_complexity: Lax<String>,
    privileges_required: Lax<String>,
    user_interaction: Lax<String>,
    scope: Lax<String>,
    confidentiality_impact: Lax<String>,
    integrity_impact: Lax<String>,
    availability_impact: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    url: Lax<String>,
}

/// Some versions wrap each in a member `software`.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Software {
    software: Lax<Bounds>,
    version_end_excluding: Lax<String>,
    vulnerability_id_matched: Lax<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Bounds {
    version_end_excluding: Lax<String>,
    vulnerability_id_matched: Lax<String>,
}

/// Reads a report.
pub(in crate::scan) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let top: Top<'_> = serde_json::from_str(text).map_err(|error| lenient::not_json(&error))?;
    let mut reading = Reading::of(ReportFormat::DependencyCheck, hint);
    let exceptions = top.scan_info.as_ref().and_then(|info| info.analysis_exceptions);
    if let Some(raw) = exceptions {
        each(raw, |_| {
            reading.has_exceptions = true;
            Ok(())
        })?;
    }
    let Some(raw) = top.dependencies else {
        return Ok(reading.done());
    };
    let is_list = each(raw, |raw| {
        let Some(entry) = lenient::parse::<Entry<'_>>(raw) else {
            return reading.report.take(None);
        };
        reading.count();
        let purl = entry.packages.iter().find_map(|package| package.id.text()).map(str::to_owned);
        let dependency = Dependency { file_name: entry.file_name.text().unwrap_or_default().to_owned(), purl };
        for (list, is_suppressed) in [(entry.vulnerabilities, false), (entry.suppressed_vulnerabilities, true)] {
            let Some(list) = list else { continue };
            each(list, |raw| match lenient::parse::<Hit>(raw) {
                Some(hit) => reading.take(&dependency, &Vulnerability { is_suppressed, ..hit.vulnerability() }),
                None => reading.report.take(None),
            })?;
        }
        Ok(())
    })?;
    match is_list {
        true => Ok(reading.done()),
        false => Err(ReportError::Shape { pointer: "/dependencies", reason: "wanted an array".to_owned() }),
    }
}

impl Hit {
    fn vulnerability(&self) -> Vulnerability {
        let text = |text: &Lax<String>| text.text().unwrap_or_default().to_owned();
        let bounds = |it: &Software| {
            let (end, matched) = match it.software.as_ref() {
                Some(inner) => (&inner.version_end_excluding, &inner.vulnerability_id_matched),
                None => (&it.version_end_excluding, &it.vulnerability_id_matched),
            };
            end.text().filter(|_| matched.text() == Some("true")).map(str::to_owned)
        };
        Vulnerability {
            name: text(&self.name),
            severity: text(&self.severity),
            description: text(&self.description),
            cwes: self.cwes.to_vec(),
            v3: self.cvssv3.as_ref().map(Cvss3::metrics).unwrap_or_default(),
            v2_score: self.cvssv2.as_ref().and_then(|it| it.score.number()),
            v4_score: self.cvssv4.as_ref().and_then(|it| it.base_score.number()),
            fixed_in: self.vulnerable_software.iter().filter_map(bounds).collect(),
            url: self.references.iter().find_map(|it| it.url.text()).map(str::to_owned),
            is_suppressed: false,
        }
    }
}

impl Cvss3 {
    fn metrics(&self) -> Metrics {
        let words = [
            &self.attack_vector,
            &self.attack_complexity,
            &self.privileges_required,
            &self.user_interaction,
            &self.scope,
            &self.confidentiality_impact,
            &self.integrity_impact,
            &self.availability_impact,
        ];
        let text = |text: &Lax<String>| text.text().unwrap_or_default().to_owned();
        Metrics { version: text(&self.version), score: self.base_score.number(), words: words.map(text) }
    }
}
