//! Which rule a result is of: by index or id, of the tool or one of its extensions.

use std::collections::HashMap;
use std::rc::Rc;

use super::schema::{Entry, Message, Rule, RuleName, Tool, ToolComponent};
use crate::scan::lenient::{self, Raw, limit_text};
use crate::scan::limit;

/// Extensions of a tool, and tags and relations of a rule, that are looked at.
const LOOKED_AT_MAX: usize = 4 * limit::LIST_MAX;

/// A run's rules. A rule is read when the first result needs it: logs carry hundreds that no result is of.
pub(super) struct Rules<'a> {
    /// The driver's rules, then each extension's.
    components: Vec<(Option<String>, Vec<Raw<'a>>)>,
    by_id: HashMap<String, Place>,
    read: HashMap<Place, Rc<Rule>>,
}

/// Component and index in it.
type Place = (usize, usize);

impl<'a> Rules<'a> {
    pub(super) fn new(tool: Option<Tool<'a>>) -> Self {
        let (driver, extensions) = tool.map_or((None, Vec::new()), |tool| (tool.driver, tool.extensions));
        let components: Vec<_> = std::iter::once(driver.unwrap_or_default())
            .chain(extensions)
            .take(LOOKED_AT_MAX)
            .map(|ToolComponent { name, rules }| (name, rules.unwrap_or_default()))
            .collect();
        let mut by_id = HashMap::new();
        for (component, (_, rules)) in components.iter().enumerate() {
            for (index, raw) in rules.iter().enumerate() {
                if let Some(RuleName { id: Some(id) }) = lenient::parse(raw) {
                    by_id.entry(id).or_insert((component, index));
                }
            }
        }
        Self { components, by_id, read: HashMap::new() }
    }

    /// The rule of a result, empty when the log does not describe it.
    pub(super) fn of(&mut self, entry: &Entry) -> Rc<Rule> {
        let Some(place) = self.place(entry) else {
            return Rc::default();
        };
        if let Some(rule) = self.read.get(&place) {
            return Rc::clone(rule);
        }
        let raw = self.components.get(place.0).and_then(|(_, rules)| rules.get(place.1));
        let rule = raw.and_then(|raw| lenient::parse(raw)).unwrap_or_default();
        let rule = Rc::new(shortened(rule));
        self.read.insert(place, Rc::clone(&rule));
        rule
    }

    fn place(&self, entry: &Entry) -> Option<Place> {
        let reference = entry.rule.as_ref();
        let index = reference.and_then(|rule| rule.index).or(entry.rule_index);
        if let Some(index) = index {
            let place = (self.component(entry), index);
            let exists = self.components.get(place.0).is_some_and(|(_, rules)| index < rules.len());
            if exists {
                return Some(place);
            }
        }
        let id = reference.and_then(|rule| rule.id.as_ref()).or(entry.rule_id.as_ref())?;
        // `CA1000/1` is a case of the rule `CA1000`.
        let parent = id.rsplit_once('/').map(|(parent, _)| parent);
        let by_id = |id: &str| self.by_id.get(id).copied();
        by_id(id).or_else(|| parent.and_then(by_id))
    }

    /// Index in `components`: 0 is the driver.
    fn component(&self, entry: &Entry) -> usize {
        let Some(reference) = entry.rule.as_ref().and_then(|rule| rule.tool_component.as_ref()) else {
            return 0;
        };
        if let Some(index) = reference.index {
            return index.saturating_add(1);
        }
        let is_named = |(name, _): &(Option<String>, Vec<Raw<'_>>)| name.is_some() && *name == reference.name;
        self.components.iter().position(is_named).unwrap_or(0)
    }
}

/// Thousands of results may be of one rule, so that its texts are cut once and not for each of them.
fn shortened(mut rule: Rule) -> Rule {
    let texts = [&mut rule.id, &mut rule.name, &mut rule.help_uri];
    let messages = [rule.short_description.as_mut(), rule.full_description.as_mut()];
    let strings = rule.message_strings.iter_mut().flat_map(|strings| strings.values_mut());
    let said = messages.into_iter().flatten().chain(strings);
    let said = said.flat_map(|Message { text, markdown, .. }| [text, markdown]);
    for text in texts.into_iter().chain(said).flatten() {
        if text.len() > limit::MESSAGE_MAX {
            *text = limit_text(text, limit::MESSAGE_MAX);
        }
    }
    rule.relationships.truncate(LOOKED_AT_MAX);
    if let Some(properties) = &mut rule.properties {
        properties.tags.truncate(LOOKED_AT_MAX);
    }
    rule
}
