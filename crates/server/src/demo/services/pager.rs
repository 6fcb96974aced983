//! The pager: Events API v2 of PagerDuty.

use http::StatusCode;

use super::{Call, LINE_MAX, Said, Service, column, cut, need, text};

pub(super) static PAGERDUTY: Service = Service {
    dialect: "pagerduty",
    who: "whoever is on call",
    checks: "the routing key; trigger and resolve with one dedup_key",
    place: "/v2/enqueue",
    take: page,
    answers: (StatusCode::ACCEPTED, r#"{"status":"success","message":"Event processed"}"#),
};

const DEDUP_KEY_MAX: usize = 255;
const SUMMARY_MAX: usize = 1024;

fn page(call: &Call<'_>, routing_key: &str) -> Result<Said, String> {
    let event = call.json()?;
    need(text(&event, "/routing_key") == routing_key, "'routing_key' is invalid")?;
    let key = text(&event, "/dedup_key");
    need((1..=DEDUP_KEY_MAX).contains(&key.chars().count()), "'dedup_key' is missing or too long")?;
    let action = text(&event, "/event_action");
    let of = |name: &str| text(&event, &format!("/payload/{name}"));
    let lines = match action {
        "trigger" => {
            let severity = of("severity");
            need(["critical", "error", "warning", "info"].contains(&severity), "'payload.severity' is invalid")?;
            need(
                (1..=SUMMARY_MAX).contains(&of("summary").chars().count()),
                "'payload.summary' is missing or too long",
            )?;
            need(!of("source").is_empty(), "'payload.source' is missing")?;
            let facts = [("component", of("component")), ("dedup_key", key)];
            let mut lines = vec![format!("📟 trigger · {severity}"), cut(of("summary"), LINE_MAX)];
            lines.extend(column(&facts.map(|(name, value)| (name.to_owned(), value.to_owned()))));
            lines
        }
        "resolve" => vec!["📟 resolve".to_owned(), cut(&format!("dedup_key  {key}"), LINE_MAX)],
        _ => return Err("'event_action' is missing or invalid".to_owned()),
    };
    Ok(Said { event: action.to_owned(), matter: Some(key.to_owned()), lines })
}
