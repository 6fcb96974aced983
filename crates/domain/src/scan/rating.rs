//! Severity and CVSS, from whatever a report says of them, on the one scale that all dialects are translated from.
//!
//! | ours | word | CVSS 3 and 4 | CVSS 2 | SARIF level |
//! |---|---|---|---|---|
//! | critical | `critical` | 9.0–10.0 | – | – |
//! | high | `high` | 7.0–8.9 | 7.0–10.0 | `error` |
//! | medium | `medium`, `moderate` | 4.0–6.9 | 4.0–6.9 | `warning` |
//! | low | `low` | 0.1–3.9 | 0.1–3.9 | `note` |
//! | info | `info`, `none`, `negligible` | 0.0 | 0.0 | `none` |
//! | unknown | anything else | – | – | – |

use std::str::FromStr;

use cvss::Cvss;
use watchbell_wire::Severity;

use super::lenient::limit_text;
use super::limit;

/// A way to rate, the one we would rather believe last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    /// A tool's own, OWASP, SSVC.
    Other,
    /// CVSS 2.
    Cvss2,
    /// CVSS 3.0.
    Cvss30,
    /// CVSS 3.1.
    Cvss31,
    /// CVSS 4.0.
    Cvss4,
}

impl Method {
    /// CycloneDX's word.
    pub(super) fn of_word(word: &str) -> Self {
        match word {
            "CVSSv2" => Self::Cvss2,
            "CVSSv3" => Self::Cvss30,
            "CVSSv31" => Self::Cvss31,
            "CVSSv4" => Self::Cvss4,
            _ => Self::Other,
        }
    }

    /// What a vector of this method begins with; some tools leave it out.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Other | Self::Cvss2 => "",
            Self::Cvss30 => "CVSS:3.0/",
            Self::Cvss31 => "CVSS:3.1/",
            Self::Cvss4 => "CVSS:4.0/",
        }
    }
}

/// What one source says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rating {
    /// How it was rated.
    pub(crate) method: Method,
    /// On our scale.
    pub(crate) severity: Severity,
    /// 0.0 to 10.0.
    pub(crate) score: Option<f64>,
    /// With its prefix.
    pub(crate) vector: Option<String>,
}

impl Rating {
    /// What follows from the members of a CycloneDX rating. A score without a severity gives it, a vector without a
    /// score both.
    pub(super) fn new(method: Method, word: Option<&str>, score: Option<f64>, vector: Option<&str>) -> Self {
        let vector = vector
            .map(str::trim)
            .filter(|vector| !vector.is_empty() && *vector != "None" && vector.len() <= limit::NAME_MAX)
            .map(|vector| match vector.starts_with("CVSS:") {
                true => limit_text(vector, limit::NAME_MAX),
                false => format!("{}{vector}", method.prefix()),
            });
        let score = score.filter(is_score).or_else(|| {
            let vector = vector.as_deref().filter(|_| method != Method::Other)?;
            Cvss::from_str(vector).ok().map(|vector| vector.score()).filter(is_score)
        });
        let severity = match (word.map(severity_of_word), score) {
            (Some(severity), _) if severity != Severity::Unknown => severity,
            (_, Some(score)) if method != Method::Other => severity_of_score(score, method),
            _ => Severity::Unknown,
        };
        Self {
            method,
            severity,
            // A score on a tool's own scale is not a CVSS score.
            score: score.filter(|_| method != Method::Other),
            vector: vector.filter(|_| method != Method::Other),
        }
    }

    /// The rating to show: one with a score before one without, then the newest method, then the worst.
    pub(super) fn best(ratings: Vec<Self>) -> Option<Self> {
        let worst = ratings.iter().map(|rating| rating.severity).max();
        let rank = |rating: &Self| (rating.score.is_some(), rating.method, rating.score.unwrap_or_default());
        let mut best = ratings.into_iter().max_by(|a, b| {
            let by_rank = rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal);
            by_rank.then(a.severity.cmp(&b.severity)).then(a.vector.cmp(&b.vector))
        })?;
        if best.severity == Severity::Unknown {
            best.severity = worst.unwrap_or_default();
        }
        Some(best)
    }
}

/// What an advisory's scores (OSV: type and vector) and its own word come to.
pub(crate) fn rated<'a>(scores: impl Iterator<Item = (&'a str, &'a str)>, word: Option<&str>) -> Rating {
    let rating = |(kind, text): (&str, &str)| {
        let method = match kind {
            "CVSS_V2" => Method::Cvss2,
            "CVSS_V3" if text.starts_with("CVSS:3.0") => Method::Cvss30,
            "CVSS_V3" => Method::Cvss31,
            "CVSS_V4" => Method::Cvss4,
            // Distributions write a word.
            _ => return Rating::new(Method::Other, Some(text), None, None),
        };
        Rating::new(method, None, None, Some(text))
    };
    let mut best =
        Rating::best(scores.map(rating).collect()).unwrap_or_else(|| Rating::new(Method::Other, None, None, None));
    if best.severity == Severity::Unknown {
        best.severity = word.map(severity_of_word).unwrap_or_default();
    }
    best
}

/// Whether a number can be a CVSS score.
pub(super) fn is_score(score: &f64) -> bool {
    (0.0..=10.0).contains(score)
}

/// A severity from a tool's word.
pub(super) fn severity_of_word(word: &str) -> Severity {
    match word.trim().to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" | "important" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "info" | "informational" | "none" | "negligible" => Severity::Info,
        _ => Severity::Unknown,
    }
}

/// A severity from a score, with the method's own steps.
pub(super) fn severity_of_score(score: f64, method: Method) -> Severity {
    match score {
        score if score >= 9.0 && method != Method::Cvss2 => Severity::Critical,
        score if score >= 7.0 => Severity::High,
        score if score >= 4.0 => Severity::Medium,
        score if score > 0.0 => Severity::Low,
        _ => Severity::Info,
    }
}

/// A severity from SARIF's `level`.
pub(super) fn severity_of_level(level: &str) -> Severity {
    match level {
        "error" => Severity::High,
        "warning" => Severity::Medium,
        "note" => Severity::Low,
        "none" => Severity::Info,
        _ => Severity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V31: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

    #[rstest::rstest]
    #[case(10.0, Method::Cvss31, Severity::Critical)]
    #[case(9.0, Method::Cvss4, Severity::Critical)]
    #[case(10.0, Method::Cvss2, Severity::High)]
    #[case(8.9, Method::Cvss31, Severity::High)]
    #[case(4.0, Method::Cvss31, Severity::Medium)]
    #[case(0.1, Method::Cvss31, Severity::Low)]
    #[case(0.0, Method::Cvss31, Severity::Info)]
    fn scores_have_steps(#[case] score: f64, #[case] method: Method, #[case] expected: Severity) {
        assert_eq!(severity_of_score(score, method), expected);
    }

    #[test]
    fn a_bare_vector_gives_score_and_severity() {
        let bare = V31.strip_prefix("CVSS:3.1/");
        let rating = Rating::new(Method::Cvss31, None, None, bare);
        assert_eq!(rating.score, Some(9.8));
        assert_eq!(rating.severity, Severity::Critical);
        assert_eq!(rating.vector.as_deref(), Some(V31));
    }

    #[test]
    fn the_newest_method_with_a_score_wins_whatever_the_order() {
        let v2 = Rating::new(Method::Cvss2, Some("high"), Some(10.0), None);
        let v3 = Rating::new(Method::Cvss31, Some("medium"), Some(5.3), None);
        let v4_without_score = Rating::new(Method::Cvss4, Some("low"), None, None);
        let other = Rating::new(Method::Other, Some("critical"), Some(99.0), None);
        let all = [v2, v3.clone(), v4_without_score, other];
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        assert_eq!(Rating::best(all.to_vec()), Some(v3.clone()));
        assert_eq!(Rating::best(backwards), Some(v3));
    }

    #[test]
    fn a_tools_own_scale_is_no_cvss_score() {
        let rating = Rating::new(Method::Other, Some("high"), Some(8.0), None);
        assert_eq!((rating.severity, rating.score), (Severity::High, None));
    }
}
