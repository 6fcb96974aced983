//! CloudEvents' abuse protection: a sender asks whether it may send, and how often.
//!
//! The consent is in the headers of the answer, not in its status. It protects from floods and proves nobody's identity.
//! Specification: <https://github.com/cloudevents/spec>, "HTTP 1.1 Web Hooks for Event Delivery", section 4.

use serde_json::{Map, Value};

/// Most origins on a list.
const ORIGINS_MAX: usize = 100;

/// Who may send, as a source's settings say: `{"allowed_origins": ["eventemitter.example.com"], "allowed_rate": 100}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consent {
    /// Names that may send; `*` stands for all.
    pub origins: Vec<String>,
    /// Requests a minute; `None`: no limit.
    pub rate: Option<u32>,
}

/// A setting does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// Which.
    pub member: &'static str,
    /// What is wanted.
    pub wanted: &'static str,
}

/// What a sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// `WebHook-Allowed-Origin`
    pub origin: String,
    /// `WebHook-Allowed-Rate`
    pub rate: String,
}

impl Consent {
    /// Reads a source's settings.
    ///
    /// # Errors
    /// The first member that does not do.
    pub fn read(settings: &Map<String, Value>) -> Result<Self, Unfit> {
        const ORIGINS: Unfit = Unfit { member: "allowed_origins", wanted: "a list of at most 100 names, or of \"*\"" };
        const RATE: Unfit = Unfit { member: "allowed_rate", wanted: "requests a minute, a number from 1" };
        let mut consent = Self::default();
        for (name, value) in settings {
            match name.as_str() {
                "allowed_origins" => {
                    let list = value.as_array().filter(|list| list.len() <= ORIGINS_MAX).ok_or(ORIGINS)?;
                    for origin in list {
                        let text = origin.as_str().filter(|text| is_name(text)).ok_or(ORIGINS)?;
                        consent.origins.push(text.to_owned());
                    }
                }
                "allowed_rate" => {
                    let rate = value.as_u64().and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0);
                    consent.rate = Some(rate.ok_or(RATE)?);
                }
                _ => return Err(Unfit { member: "", wanted: "allowed_origins and allowed_rate are all there is" }),
            }
        }
        Ok(consent)
    }

    /// What a sender that names itself so, and asks for so many requests a minute, is granted.
    pub fn grant(&self, origin: &str, asked: Option<&str>) -> Option<Granted> {
        let is_open = self.origins.iter().any(|allowed| allowed == "*");
        if !is_name(origin) || !(is_open || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))) {
            return None;
        }
        let asked = asked.and_then(|text| text.trim().parse::<u32>().ok()).filter(|rate| *rate > 0);
        let rate = match self.rate {
            None => "*".to_owned(),
            Some(most) => asked.map_or(most, |asked| asked.min(most)).to_string(),
        };
        Some(Granted { origin: if is_open { "*".to_owned() } else { origin.to_owned() }, rate })
    }
}

/// Visible ASCII of a sensible length: it goes back in a header.
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn consent(settings: Value) -> Result<Consent, Unfit> {
        Consent::read(settings.as_object().unwrap())
    }

    #[test]
    fn what_is_granted_is_the_smaller_rate_to_who_is_on_the_list() {
        let listed = consent(json!({"allowed_origins": ["a.example"], "allowed_rate": 100})).unwrap();
        let granted = |origin: &str, rate: &str| Some(Granted { origin: origin.to_owned(), rate: rate.to_owned() });
        assert_eq!(listed.grant("a.example", Some("120")), granted("a.example", "100"));
        assert_eq!(listed.grant("A.Example", Some("60")), granted("A.Example", "60"));
        assert_eq!(listed.grant("a.example", Some("-1")), granted("a.example", "100"));
        assert_eq!(listed.grant("b.example", None), None);
        assert_eq!(listed.grant("a.example\r\nx: y", None), None);
        let open = consent(json!({"allowed_origins": ["*"]})).unwrap();
        assert_eq!(open.grant("b.example", Some("5")), granted("*", "*"));
        assert_eq!(Consent::default().grant("a.example", None), None);
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        for settings in [
            json!({"allowed_origins": "a"}),
            json!({"allowed_origins": ["a b"]}),
            json!({"allowed_rate": 0}),
            json!({"allowed_rate": "5"}),
            json!({"origins": []}),
        ] {
            assert!(consent(settings).is_err());
        }
    }
}
