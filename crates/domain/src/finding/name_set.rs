//! The names of a finding, each once, in order. A list as long as it has to be, as [`super::Sights`] is: most findings have
//! one name, and those in code the empty one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names, sorted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct NameSet(Vec<String>);

impl NameSet {
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

    /// Adds a name, unless it is there.
    pub fn insert(&mut self, name: String) {
        if let Err(place) = self.0.binary_search(&name) {
            self.0.reserve_exact(1);
            self.0.insert(place, name);
        }
    }

    /// Whether it is there.
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }

    /// All, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, String> {
        self.0.iter()
    }
}

impl fmt::Debug for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl<'a> IntoIterator for &'a NameSet {
    type Item = &'a String;
    type IntoIter = std::slice::Iter<'a, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for NameSet {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<String> for NameSet {
    fn extend<I: IntoIterator<Item = String>>(&mut self, names: I) {
        names.into_iter().for_each(|name| self.insert(name));
    }
}

impl FromIterator<String> for NameSet {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut set = Self::new();
        set.extend(names);
        set
    }
}

impl<const N: usize> From<[String; N]> for NameSet {
    fn from(names: [String; N]) -> Self {
        names.into_iter().collect()
    }
}

impl Serialize for NameSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NameSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<String>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_in_order() {
        let names = |names: &[&str]| -> NameSet { names.iter().map(|name| (*name).to_owned()).collect() };
        let mut set = names(&["GHSA-2", "CVE-1", "GHSA-2"]);
        set.extend(names(&["A", "CVE-1"]));
        assert_eq!(set.iter().collect::<Vec<_>>(), ["A", "CVE-1", "GHSA-2"]);
        assert!(set.contains("CVE-1") && !set.contains("CVE-2"));
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["A","CVE-1","GHSA-2"]"#);
        assert_eq!(serde_json::from_str::<NameSet>(r#"["GHSA-2","A","CVE-1","A"]"#).unwrap(), set);
    }
}
