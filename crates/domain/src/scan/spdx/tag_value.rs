//! The tag-value form: a line is `Tag: value`, a value over several lines stands in `<text>…</text>`.
//!
//! A `PackageName` begins a package; a file, snippet, licence or relationship ends it. Tags that we do not know are passed
//! over.

use super::{ExternalRef, Package, Reading};
use crate::scan::error::ReportError;
use crate::scan::{Report, ReportFormat};

/// Reads a document.
pub(in crate::scan) fn read(text: &str, hint: Option<&str>) -> Result<Report, ReportError> {
    let creators: Vec<String> =
        pairs(text).filter(|(tag, _)| *tag == "Creator").map(|(_, value)| value.to_owned()).collect();
    let mut reading = Reading::new(ReportFormat::SpdxTag, hint, &creators);
    let mut open: Option<Package> = None;
    for (tag, value) in pairs(text) {
        match (tag, &mut open) {
            ("PackageName", _) => {
                let package = Package { name: Some(value.to_owned()), ..Package::default() };
                if let Some(ended) = open.replace(package) {
                    reading.add(Some(ended))?;
                }
            }
            ("FileName" | "SnippetSPDXID" | "LicenseID", _) => {
                if let Some(ended) = open.take() {
                    reading.add(Some(ended))?;
                }
            }
            ("PackageVersion", Some(package)) => package.version_info = Some(value.to_owned()),
            ("ExternalRef", Some(package)) => package.external_refs.extend(external_ref(value)),
            ("ExternalRefComment", Some(package)) => {
                if let Some(last) = package.external_refs.last_mut() {
                    last.comment = Some(value.to_owned());
                }
            }
            (_, _) => {}
        }
    }
    if let Some(ended) = open {
        reading.add(Some(ended))?;
    }
    Ok(reading.end())
}

/// `SECURITY cpe23Type cpe:2.3:…`.
fn external_ref(value: &str) -> Option<ExternalRef> {
    let mut words = value.split_whitespace();
    let (category, kind, locator) = (words.next()?, words.next()?, words.next()?);
    Some(ExternalRef {
        reference_category: Some(category.to_owned()),
        reference_type: Some(kind.to_owned()),
        reference_locator: Some(locator.to_owned()),
        comment: None,
    })
}

/// Tags and values, in order.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let Some((tag, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else {
                rest = after;
                continue;
            };
            let (tag, value) = (tag.trim(), value.trim());
            let Some(opened) = value.strip_prefix("<text>") else {
                rest = after;
                return Some((tag, value));
            };
            // From the opening in the whole text: the closing may be many lines away, or missing.
            let from = rest.split_once("<text>").map_or(opened, |(_, from)| from);
            let (inner, behind) = from.split_once("</text>").unwrap_or((from, ""));
            rest = behind.split_once('\n').map_or("", |(_, next)| next);
            return Some((tag, inner.trim()));
        }
    })
}
