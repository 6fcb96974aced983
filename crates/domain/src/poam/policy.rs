//! Plans that make themselves: so many days for a finding of such a kind.

use jiff::Timestamp;
use jiff::ToSpan as _;
use serde::{Deserialize, Serialize};
use watchbell_wire::Severity;

use super::{Due, Item, Origin, State};
use crate::id::PoamId;
use crate::zone::Zone;

/// Most rules of a policy.
pub const RULES_MAX: usize = 100;
/// The longest time that a rule gives.
pub const DAYS_MAX: u16 = 3_650;

/// An organisation's rules. Of those that match a finding the one with the fewest days counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// In any order.
    pub rules: Vec<Rule>,
}

/// Findings of this kind are to be remediated in so many days. What is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Days of the calendar; 0: today.
    pub days: u16,
    /// In, or not in, the catalogue of known exploited vulnerabilities.
    pub kev: Option<bool>,
    /// With this CVSS score or a higher one.
    pub cvss_min: Option<f64>,
    /// In a component of this package URL type: `pypi`, `npm`.
    pub component_type: Option<String>,
}

/// What rules look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// The finding's severity.
    pub severity: Severity,
    /// Its score.
    pub cvss_score: Option<f64>,
    /// The package URL of the component it is in.
    pub purl: Option<&'a str>,
    /// Whether it is known to be exploited.
    pub is_known_exploited: bool,
}

impl Policy {
    /// When a finding found at `now` is to be remediated; `None`: no rule matches.
    pub fn due(&self, facts: Facts<'_>, zone: &Zone, now: Timestamp) -> Option<Due> {
        let days = self.rules.iter().filter(|rule| rule.matches(facts)).map(|rule| rule.days).min()?;
        let today = zone.rules().to_datetime(now).date();
        today.checked_add(i64::from(days).days()).ok().map(Due::Date)
    }

    /// Whether a rule asks if a finding is known to be exploited.
    pub fn asks_for_kev(&self) -> bool {
        self.rules.iter().any(|rule| rule.kev.is_some())
    }
}

impl Rule {
    fn matches(&self, facts: Facts<'_>) -> bool {
        let component_type = facts.purl.and_then(|purl| purl.strip_prefix("pkg:")?.split('/').next());
        self.severity.is_none_or(|severity| severity == facts.severity)
            && self.kev.is_none_or(|kev| kev == facts.is_known_exploited)
            && self.cvss_min.is_none_or(|least| facts.cvss_score.is_some_and(|score| score >= least))
            && self.component_type.as_deref().is_none_or(|wanted| component_type == Some(wanted))
    }
}

/// Of a finding's open items those that say again what another one says: of several that a policy made all but the one
/// that is due first. Two findings that turn out to be one have a plan each.
pub fn doubled(items: &[Item], zone: &Zone) -> Vec<PoamId> {
    let made = items.iter().filter(|item| item.origin == Origin::Policy && item.state == State::Open);
    let mut made: Vec<_> = made.map(|item| (item.due.deadline(zone), item.created_at, item.id)).collect();
    made.sort_unstable();
    made.into_iter().skip(1).map(|(_, _, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Rule = Rule { severity: None, days: 9, kev: None, cvss_min: None, component_type: None };
    const FACTS: Facts<'_> = Facts {
        severity: Severity::High,
        cvss_score: Some(7.5),
        purl: Some("pkg:pypi/pyyaml@5.3.1"),
        is_known_exploited: false,
    };

    fn due(rules: &[Rule], zone: &str) -> Option<String> {
        let now = "2026-01-31T23:30:00Z".parse().unwrap();
        Policy { rules: rules.to_vec() }.due(FACTS, &zone.parse().unwrap(), now).map(|due| due.to_string())
    }

    #[test]
    fn every_condition_is_needed() {
        let wanted = [
            Rule { severity: Some(Severity::High), ..ANY },
            Rule { kev: Some(false), ..ANY },
            Rule { cvss_min: Some(7.5), ..ANY },
            Rule { component_type: Some("pypi".into()), ..ANY },
        ];
        for rule in wanted {
            assert_eq!(due(std::slice::from_ref(&rule), "UTC").as_deref(), Some("2026-02-09"), "{rule:?}");
        }
        let others = [
            Rule { severity: Some(Severity::Low), ..ANY },
            Rule { kev: Some(true), ..ANY },
            Rule { cvss_min: Some(7.6), ..ANY },
            Rule { component_type: Some("npm".into()), ..ANY },
        ];
        for rule in others {
            assert_eq!(due(std::slice::from_ref(&rule), "UTC"), None, "{rule:?}");
        }
        assert_eq!(due(&[], "UTC"), None);
    }

    #[test]
    fn the_shortest_time_counts_and_days_are_the_organisations() {
        let rules = [ANY, Rule { days: 0, ..ANY }, Rule { days: 30, ..ANY }];
        assert_eq!(due(&rules, "UTC").as_deref(), Some("2026-01-31"));
        assert_eq!(due(&rules, "Europe/Berlin").as_deref(), Some("2026-02-01"));
    }

    #[test]
    fn of_several_that_the_policy_made_the_first_one_due_is_enough() {
        let numbered = |number: u128, due: &str, origin: Origin| {
            let id = PoamId(uuid::Uuid::from_u128(number));
            Item { id, due: due.parse().unwrap(), origin, ..super::super::testing::item() }
        };
        let mut items = vec![
            numbered(1, "2026-02-01", Origin::Policy),
            numbered(2, "2026-01-20", Origin::Policy),
            numbered(3, "2026-01-10", Origin::Api),
        ];
        assert_eq!(doubled(&items, &Zone::default()), [items[0].id]);
        items[1].state = State::Cancelled { at: Timestamp::UNIX_EPOCH };
        assert_eq!(doubled(&items, &Zone::default()), []);
    }
}
