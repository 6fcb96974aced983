//! Which component a vulnerability affects: `affects[].ref` is the `bom-ref` of one, anywhere in the tree.

use std::collections::HashMap;
use std::str::FromStr;

use packageurl::PackageUrl;
use watchbell_wire::event::Component;

use super::schema::{ComponentEntry, Metadata};
use crate::scan::lenient::{self, Raw, limit_text};
use crate::scan::{limit, names};

/// The components of a document, by reference.
pub(super) struct Components {
    by_ref: HashMap<String, Component>,
    count: u64,
}

impl Components {
    /// Reads the tree, without recursion. The document's subject (`metadata.component`) can be referred to, but it is no
    /// part of itself and not counted.
    pub(super) fn read(listed: Option<Raw<'_>>, metadata: Option<&Metadata<'_>>) -> Self {
        let mut found = Self { by_ref: HashMap::new(), count: 0 };
        let subject = metadata.and_then(|metadata| metadata.component);
        if let Some(entry) = subject.and_then(lenient::parse::<ComponentEntry<'_>>) {
            found.add(&entry);
        }
        found.count = 0;
        let top: Vec<Raw<'_>> = listed.and_then(lenient::parse).unwrap_or_default();
        let mut open: Vec<(usize, Raw<'_>)> = top.into_iter().map(|raw| (1, raw)).collect();
        while let Some((depth, raw)) = open.pop() {
            let Some(entry) = lenient::parse::<ComponentEntry<'_>>(raw) else {
                continue;
            };
            found.add(&entry);
            let inner = entry.components.unwrap_or_default().into_iter();
            if depth < limit::COMPONENT_DEPTH_MAX {
                open.extend(inner.map(|raw| (depth + 1, raw)));
            }
        }
        found
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u64 {
        self.count
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
            None => unlisted(local),
        }
    }

    fn add(&mut self, entry: &ComponentEntry<'_>) {
        self.count += 1;
        if let Some(bom_ref) = &entry.bom_ref {
            let component = component(entry);
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

/// What a reference alone tells: tools use package URLs as references.
fn unlisted(reference: &str) -> Component {
    match PackageUrl::from_str(reference) {
        Ok(purl) => Component {
            name: limit_text(purl.name(), limit::NAME_MAX),
            version: purl.version().map(|version| limit_text(version, limit::NAME_MAX)),
            purl: Some(limit_text(reference, limit::PATH_MAX)),
        },
        Err(_) => Component { name: limit_text(reference, limit::NAME_MAX), ..Component::default() },
    }
}
