//! Which component a vulnerability affects: `affects[].ref` is the `bom-ref` of one, anywhere in the tree.

use std::collections::HashMap;
use std::str::FromStr;

use packageurl::PackageUrl;
use watchbell_wire::event::Component;

use super::schema::{ComponentEntry, Metadata};
use crate::scan::lenient::{self, Raw, limit_text};
use crate::scan::statement::component_of;
use crate::scan::{Report, limit, names};

/// The components of a document, by reference.
pub(super) struct Components {
    by_ref: HashMap<String, Component>,
}

impl Components {
    /// Reads the tree, without recursion, and lists it in the report. The document's subject (`metadata.component`) can
    /// be referred to, but it is no part of itself and not listed.
    pub(super) fn read(listed: Option<Raw<'_>>, metadata: Option<&Metadata<'_>>, report: &mut Report) -> Self {
        let mut found = Self { by_ref: HashMap::new() };
        report.components = Some(0);
        let subject = metadata.and_then(|metadata| metadata.component);
        if let Some(entry) = subject.and_then(lenient::parse::<ComponentEntry<'_>>) {
            found.add(&entry, component(&entry));
        }
        let top: Vec<Raw<'_>> = listed.and_then(lenient::parse).unwrap_or_default();
        // The last is looked at first, so that they come in the document's order.
        let mut open: Vec<(usize, Raw<'_>)> = top.into_iter().rev().map(|raw| (1, raw)).collect();
        while let Some((depth, raw)) = open.pop() {
            let Some(entry) = lenient::parse::<ComponentEntry<'_>>(raw) else {
                continue;
            };
            let component = component(&entry);
            report.list(component.clone());
            found.add(&entry, component);
            let inner = entry.components.unwrap_or_default().into_iter().rev();
            if depth < limit::COMPONENT_DEPTH_MAX {
                open.extend(inner.map(|raw| (depth + 1, raw)));
            }
        }
        found
    }

    /// The component that is referred to. One that the document lacks is at least named.
    pub(super) fn get(&self, reference: &str) -> Component {
        // `urn:cdx:serial/version#bom-ref` refers to a component of another document, or of this one from outside.
        let local = reference
            .strip_prefix("urn:cdx:")
            .and_then(|link| link.split_once('#'))
            .map(|(_, fragment)| names::percent_decode(fragment));
        let local = local.as_deref().unwrap_or(reference);
        match self.by_ref.get(local) {
            Some(component) => component.clone(),
            None => component_of(local),
        }
    }

    fn add(&mut self, entry: &ComponentEntry<'_>, component: Component) {
        if let Some(bom_ref) = &entry.bom_ref {
            self.by_ref.entry(bom_ref.clone()).or_insert(component);
        }
    }
}

fn component(entry: &ComponentEntry<'_>) -> Component {
    let purl = entry.purl.as_deref().and_then(|purl| PackageUrl::from_str(purl).ok());
    let group = entry.group.as_deref().filter(|group| !group.is_empty());
    // Maven joins with a colon, all others that have groups with a slash.
    let joint = match purl.as_ref().map(PackageUrl::ty) {
        Some("maven") => ':',
        Some(_) | None => '/',
    };
    let own = entry.name.clone().unwrap_or_default();
    let name = match group {
        Some(group) if !own.starts_with(group) => format!("{group}{joint}{own}"),
        Some(_) | None => own,
    };
    let is_told = |text: &String| !text.trim().is_empty();
    Component {
        name: limit_text(&name, limit::NAME_MAX),
        version: entry.version.as_ref().filter(|text| is_told(text)).map(|text| limit_text(text, limit::NAME_MAX)),
        purl: entry.purl.as_ref().filter(|text| is_told(text)).map(|text| limit_text(text, limit::PATH_MAX)),
    }
}
