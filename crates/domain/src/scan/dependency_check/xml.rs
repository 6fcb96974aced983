//! The XML form (schema 2.x), pulled element by element. What is not known is passed over.

use super::{Dependency, Metrics, Reading, Vulnerability};
use crate::scan::error::ReportError;
use crate::scan::limit;
use crate::scan::xml::{Node, Xml};
use crate::scan::{Report, ReportFormat};

/// Reads a report.
pub(in crate::scan) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let mut xml = Xml::new(text);
    let mut reading = Reading::of(ReportFormat::DependencyCheckXml, hint);
    while let Some(node) = xml.next()? {
        let Node::Open(element) = node else { continue };
        match element.name.as_str() {
            "analysis" | "scanInfo" | "dependencies" => {}
            "analysisExceptions" => xml.children(|xml, _| {
                reading.has_exceptions = true;
                xml.skip()
            })?,
            "dependency" => dependency(&mut xml, &mut reading)?,
            _ => xml.skip()?,
        }
    }
    Ok(reading.done())
}

fn dependency(xml: &mut Xml<'_>, reading: &mut Reading) -> Result<(), ReportError> {
    let mut dependency = Dependency::default();
    reading.count();
    xml.children(|xml, element| match element.name.as_str() {
        "fileName" => {
            dependency.file_name = xml.text(limit::PATH_MAX)?;
            Ok(())
        }
        "identifiers" => xml.children(|xml, element| match element.name.as_str() {
            "package" => xml.children(|xml, element| match element.name.as_str() {
                "id" => {
                    let id = xml.text(limit::PATH_MAX)?;
                    dependency.purl = dependency.purl.take().or(Some(id));
                    Ok(())
                }
                _ => xml.skip(),
            }),
            _ => xml.skip(),
        }),
        // The schema puts them after the identifiers.
        "vulnerabilities" => xml.children(|xml, element| match element.name.as_str() {
            "vulnerability" | "suppressedVulnerability" => {
                let is_suppressed = element.name == "suppressedVulnerability";
                let entry = vulnerability(xml)?;
                reading.take(&dependency, &Vulnerability { is_suppressed, ..entry })
            }
            _ => xml.skip(),
        }),
        _ => xml.skip(),
    })
}

fn vulnerability(xml: &mut Xml<'_>) -> Result<Vulnerability, ReportError> {
    let mut entry = Vulnerability::default();
    xml.children(|xml, element| {
        match element.name.as_str() {
            "name" => entry.name = xml.text(limit::NAME_MAX)?,
            "severity" => entry.severity = xml.text(limit::NAME_MAX)?,
            "description" => entry.description = xml.text(limit::DESCRIPTION_MAX)?,
            "cwes" => xml.children(|xml, _| push(&mut entry.cwes, xml))?,
            "cvssV3" => entry.v3 = metrics(xml)?,
            "cvssV2" => entry.v2_score = score(xml)?,
            "cvssV4" => entry.v4_score = score(xml)?,
            "references" => xml.children(|xml, _| {
                xml.children(|xml, element| match element.name.as_str() {
                    "url" if entry.url.is_none() => {
                        entry.url = Some(xml.text(limit::URL_MAX)?);
                        Ok(())
                    }
                    _ => xml.skip(),
                })
            })?,
            "vulnerableSoftware" => xml.children(|xml, element| {
                let is_matched = element.attribute("vulnerabilityIdMatched") == Some("true");
                let end = element.attribute("versionEndExcluding").filter(|_| is_matched);
                entry.fixed_in.extend(end.map(str::to_owned).filter(|_| entry.fixed_in.len() < limit::LIST_MAX));
                xml.skip()
            })?,
            _ => xml.skip()?,
        }
        Ok(())
    })?;
    Ok(entry)
}

fn push(list: &mut Vec<String>, xml: &mut Xml<'_>) -> Result<(), ReportError> {
    let text = xml.text(limit::NAME_MAX)?;
    if list.len() < limit::LIST_MAX {
        list.push(text);
    }
    Ok(())
}

fn metrics(xml: &mut Xml<'_>) -> Result<Metrics, ReportError> {
    let mut metrics = Metrics::default();
    xml.children(|xml, element| {
        let text = xml.text(limit::NAME_MAX)?;
        match element.name.as_str() {
            "baseScore" => metrics.score = text.parse().ok(),
            "version" => metrics.version = text,
            name => metrics.set(name, &text),
        }
        Ok(())
    })?;
    Ok(metrics)
}

fn score(xml: &mut Xml<'_>) -> Result<Option<f64>, ReportError> {
    let mut score = None;
    xml.children(|xml, element| match element.name.as_str() {
        "score" | "baseScore" => {
            score = xml.text(limit::NAME_MAX)?.parse().ok();
            Ok(())
        }
        _ => xml.skip(),
    })?;
    Ok(score)
}
