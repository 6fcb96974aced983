//! What each tool last said of a finding, by tool.
//!
//! A list in the order of the names, as long as it has to be: nearly every finding is seen by one tool, and a project has
//! hundreds of thousands of findings. A tree would have room for eleven tools in each of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Sight;

/// Sights, by tool; of a webhook's record by source and key.
#[derive(Clone, PartialEq, Default)]
pub struct Sights(Vec<(String, Sight)>);

impl Sights {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a tool last said.
    pub fn get(&self, tool: &str) -> Option<&Sight> {
        self.0.get(self.place(tool).ok()?).map(|(_, sight)| sight)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, tool: &str) -> Option<&mut Sight> {
        let place = self.place(tool).ok()?;
        self.0.get_mut(place).map(|(_, sight)| sight)
    }

    /// Whether a tool has said anything.
    pub fn contains_key(&self, tool: &str) -> bool {
        self.place(tool).is_ok()
    }

    /// Sets what a tool last said. Answers what it had said before.
    pub fn insert(&mut self, tool: String, sight: Sight) -> Option<Sight> {
        match self.place(&tool) {
            Ok(place) => self.0.get_mut(place).map(|(_, known)| std::mem::replace(known, sight)),
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (tool, sight));
                None
            }
        }
    }

    /// Takes away what a tool said.
    pub fn remove(&mut self, tool: &str) -> Option<Sight> {
        self.place(tool).ok().map(|place| self.0.remove(place).1)
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Sight)> {
        self.0.iter().map(|(tool, sight)| (tool, sight))
    }

    /// The tools.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(tool, _)| tool)
    }

    /// What they said.
    pub fn values(&self) -> impl Iterator<Item = &Sight> {
        self.0.iter().map(|(_, sight)| sight)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Sight> {
        self.0.iter_mut().map(|(_, sight)| sight)
    }

    fn place(&self, tool: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(tool))
    }
}

impl fmt::Debug for Sights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl IntoIterator for Sights {
    type Item = (String, Sight);
    type IntoIter = std::vec::IntoIter<(String, Sight)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<const N: usize> From<[(String, Sight); N]> for Sights {
    fn from(given: [(String, Sight); N]) -> Self {
        let mut sights = Self::new();
        for (tool, sight) in given {
            sights.insert(tool, sight);
        }
        sights
    }
}

impl Serialize for Sights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Sights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByTool)
    }
}

struct ByTool;

impl<'de> Visitor<'de> for ByTool {
    type Value = Sights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sights by tool")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sights, A::Error> {
        let mut sights = Sights::new();
        while let Some((tool, sight)) = map.next_entry()? {
            sights.insert(tool, sight);
        }
        Ok(sights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(hour: i64) -> Sight {
        let at = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hour);
        Sight { since: at, at, there: true, observation: None, witness: None }
    }

    #[test]
    fn they_stand_in_the_order_of_their_names_each_once() {
        let mut sights = Sights::from([("t".to_owned(), sight(1)), ("s".to_owned(), sight(2))]);
        assert_eq!(sights.insert("u".to_owned(), sight(3)), None);
        assert_eq!(sights.insert("t".to_owned(), sight(4)), Some(sight(1)));
        assert_eq!(sights.keys().collect::<Vec<_>>(), ["s", "t", "u"]);
        assert_eq!((sights.get("t"), sights.get("x")), (Some(&sight(4)), None));
        assert_eq!((sights.remove("s"), sights.len()), (Some(sight(2)), 2));
        let text = serde_json::to_string(&sights).unwrap();
        assert!(text.starts_with(r#"{"t":{"#), "{text}");
        assert_eq!(serde_json::from_str::<Sights>(&text).unwrap(), sights);
        assert_eq!(serde_json::from_str::<Sights>("{}").unwrap(), Sights::new());
    }
}
