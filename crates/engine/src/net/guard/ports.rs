//! Ports of other protocols: a request to one of them is never a webhook, and may be a command.

use std::ops::RangeInclusive;

/// In ascending order.
const DENIED: [RangeInclusive<u16>; 82] = [
    1..=1,
    7..=7,
    9..=9,
    11..=11,
    13..=13,
    15..=15,
    17..=17,
    19..=19,
    20..=23,
    25..=25,
    37..=37,
    42..=42,
    43..=43,
    53..=53,
    69..=69,
    77..=77,
    79..=79,
    87..=87,
    95..=95,
    101..=104,
    109..=111,
    113..=113,
    115..=115,
    117..=117,
    119..=119,
    123..=123,
    135..=135,
    137..=137,
    139..=139,
    143..=143,
    161..=161,
    179..=179,
    389..=389,
    427..=427,
    445..=445,
    465..=465,
    512..=515,
    526..=526,
    530..=532,
    540..=540,
    548..=548,
    554..=554,
    556..=556,
    563..=563,
    587..=587,
    601..=601,
    636..=636,
    989..=989,
    990..=990,
    993..=993,
    995..=995,
    1433..=1433,
    1521..=1521,
    1719..=1719,
    1720..=1720,
    1723..=1723,
    2049..=2049,
    2375..=2375,
    2379..=2379,
    2380..=2380,
    3306..=3306,
    3389..=3389,
    3659..=3659,
    4045..=4045,
    5060..=5060,
    5061..=5061,
    5432..=5432,
    5984..=5984,
    6000..=6000,
    6379..=6379,
    6443..=6443,
    6566..=6566,
    6665..=6669,
    6679..=6679,
    6697..=6697,
    9042..=9042,
    9200..=9200,
    9300..=9300,
    10080..=10080,
    10250..=10250,
    11211..=11211,
    27017..=27017,
];

/// Ports that are refused. The default is the list above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedPorts(Vec<RangeInclusive<u16>>);

/// The text is no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a port or a range of ports such as \"6665-6669\" is wanted")]
pub struct NotAPort;

impl Default for DeniedPorts {
    fn default() -> Self {
        Self(DENIED.to_vec())
    }
}

impl DeniedPorts {
    /// Reads ports and ranges: `25`, `6665-6669`.
    ///
    /// # Errors
    /// At the first that is neither.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAPort> {
        texts.into_iter().map(range).collect::<Result<_, _>>().map(Self)
    }

    /// As [`Self::parse`] reads them.
    pub fn texts(&self) -> Vec<String> {
        let text = |range: &RangeInclusive<u16>| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}-{}", range.start(), range.end()),
        };
        self.0.iter().map(text).collect()
    }

    /// Whether the port belongs to another protocol.
    pub(super) fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, NotAPort> {
    let port = |text: &str| text.trim().parse().ok().filter(|port| *port != 0).ok_or(NotAPort);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = port(first)?..=port(last)?;
    match range.is_empty() {
        true => Err(NotAPort),
        false => Ok(range),
    }
}
