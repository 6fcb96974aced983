//! Maven's `ComparableVersion`: <https://maven.apache.org/pom.html#version-order-specification>.
//!
//! A version is a list of numbers, qualifiers and lists; `-` and a change between digits and letters open a list. At the
//! end of each list what is nothing (`0`, `final`, `ga`, `release`) goes. Qualifiers: `alpha` < `beta` < `milestone` <
//! `rc` < `snapshot` < none < `sp` < any other, by the alphabet.

use std::cmp::Ordering;

use super::by_value;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    lists(&parse(a), &parse(b))
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Number(String),
    Qualifier(String),
    List(Vec<Item>),
}

impl Item {
    fn of(text: &str, is_number: bool, before_digit: bool) -> Self {
        if is_number {
            return Self::Number(text.trim_start_matches('0').to_owned());
        }
        let name = match (text, before_digit) {
            ("a", true) => "alpha",
            ("b", true) => "beta",
            ("m", true) => "milestone",
            ("ga" | "final" | "release", _) => "",
            ("cr", _) => "rc",
            (other, _) => other,
        };
        Self::Qualifier(name.to_owned())
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Number(text) | Self::Qualifier(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }
}

/// The lists that are open, outermost first.
struct Lists(Vec<Vec<Item>>);

impl Lists {
    fn push(&mut self, item: Item) {
        if let Some(list) = self.0.last_mut() {
            list.push(item);
        }
    }

    fn open(&mut self) {
        self.0.push(Vec::new());
    }

    /// Closes all of them, each without what is nothing at its end.
    fn close(mut self) -> Vec<Item> {
        let mut inner: Option<Vec<Item>> = None;
        while let Some(mut list) = self.0.pop() {
            list.extend(inner.take().map(Item::List));
            let mut index = list.len();
            while let Some(item) = index.checked_sub(1).and_then(|last| list.get(last)) {
                index -= 1;
                if item.is_nothing() {
                    list.remove(index);
                } else if !matches!(item, Item::List(_)) {
                    break;
                }
            }
            inner = Some(list);
        }
        inner.unwrap_or_default()
    }
}

fn parse(text: &str) -> Vec<Item> {
    let lower = text.to_ascii_lowercase();
    let mut lists = Lists(vec![Vec::new()]);
    let mut part = String::new();
    let mut is_number = false;
    for c in lower.chars() {
        if c == '.' || c == '-' {
            let item = match part.is_empty() {
                true => Item::Number(String::new()),
                false => Item::of(&part, is_number, false),
            };
            lists.push(item);
            part.clear();
            if c == '-' {
                lists.open();
            }
            continue;
        }
        let is_digit = c.is_ascii_digit();
        if !part.is_empty() && is_digit != is_number {
            lists.push(Item::of(&part, is_number, is_digit));
            part.clear();
            lists.open();
        }
        is_number = is_digit;
        part.push(c);
    }
    if !part.is_empty() {
        lists.push(Item::of(&part, is_number, false));
    }
    lists.close()
}

fn lists(a: &[Item], b: &[Item]) -> Ordering {
    let count = a.len().max(b.len());
    let orders = (0..count).map(|index| match (a.get(index), b.get(index)) {
        (Some(a), Some(b)) => items(a, b),
        (Some(a), None) => to_nothing(a),
        (None, Some(b)) => to_nothing(b).reverse(),
        (None, None) => Ordering::Equal,
    });
    orders.fold(Ordering::Equal, Ordering::then)
}

fn items(a: &Item, b: &Item) -> Ordering {
    match (a, b) {
        (Item::Number(a), Item::Number(b)) => by_value(a, b),
        (Item::Qualifier(a), Item::Qualifier(b)) => rank(a).cmp(&rank(b)),
        (Item::List(a), Item::List(b)) => lists(a, b),
        // 1.1 > 1-sp, 1.1 > 1-1, 1.any < 1-1
        (Item::Number(_), Item::Qualifier(_) | Item::List(_)) | (Item::List(_), Item::Qualifier(_)) => {
            Ordering::Greater
        }
        (Item::Qualifier(_) | Item::List(_), Item::Number(_)) | (Item::Qualifier(_), Item::List(_)) => Ordering::Less,
    }
}

fn to_nothing(item: &Item) -> Ordering {
    match item {
        Item::Number(text) => text.len().min(1).cmp(&0),
        Item::Qualifier(name) => rank(name).cmp(&rank("")),
        Item::List(items) => items.iter().map(to_nothing).find(|order| order.is_ne()).unwrap_or(Ordering::Equal),
    }
}

fn rank(name: &str) -> (usize, &str) {
    const KNOWN: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
    match KNOWN.iter().position(|known| *known == name) {
        Some(rank) => (rank, ""),
        None => (KNOWN.len(), name),
    }
}
