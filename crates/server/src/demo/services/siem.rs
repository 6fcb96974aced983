//! Machines: a data lake that takes OCSF over HTTPS, a SIEM that takes CEF by syslog over TLS.

use http::StatusCode;
use serde_json::Value;

use super::{Call, LINE_MAX, Said, Service, column, cut, list, need, text, wrapped};

pub(super) static OCSF: Service = Service {
    dialect: "ocsf",
    who: "a data lake",
    checks: "the bearer token; classes and numbers of OCSF 1.3.0",
    place: "/ocsf",
    take: record,
    answers: (StatusCode::OK, "{}"),
};

pub(super) static CEF: Service = Service {
    dialect: "cef",
    who: "a SIEM, by syslog over TLS",
    checks: "RFC 5425 framing, RFC 5424 header, CEF with its escapes",
    place: "",
    take: line,
    answers: (StatusCode::OK, ""),
};

const VULNERABILITY_FINDING: i64 = 2002;

/// Vendor, product, version, class, name, severity.
const HEADER_PARTS: usize = 6;

/// Lines of a log message that are shown.
const LINES_SHOWN: usize = 5;

fn record(call: &Call<'_>, token: &str) -> Result<Said, String> {
    need(call.header("authorization") == format!("Bearer {token}"), "another token")?;
    let record = call.json()?;
    let number = |pointer: &str| record.pointer(pointer).and_then(Value::as_i64);
    let (class, activity) = (number("/class_uid").unwrap_or_default(), number("/activity_id").unwrap_or_default());
    need(class == VULNERABILITY_FINDING && number("/category_uid") == Some(2), "no Vulnerability Finding")?;
    need((1..=3).contains(&activity), "an activity_id that the class does not have")?;
    need(number("/type_uid") == Some(class * 100 + activity), "a type_uid of another class or activity")?;
    need(number("/severity_id").is_some_and(|id| (0..=6).contains(&id)), "a severity_id that there is not")?;
    need(number("/time").is_some() && text(&record, "/metadata/version") == "1.3.0", "another version")?;
    let uid = text(&record, "/finding_info/uid");
    need(!uid.is_empty() && !text(&record, "/finding_info/title").is_empty(), "a finding without uid or title")?;
    let [vulnerability] = list(&record, "/vulnerabilities") else {
        return Err("no vulnerability".to_owned());
    };
    let of = |pointer: &str| text(vulnerability, pointer);
    let score = vulnerability.pointer("/cve/cvss/0/base_score").map(|score| format!(", CVSS {score}"));
    let type_name = text(&record, "/type_name");
    let title = format!("{} · {} · {}", type_name, text(&record, "/severity"), text(&record, "/status"));
    let facts = [
        ("type_uid", number("/type_uid").unwrap_or_default().to_string()),
        ("finding_info.uid", uid.to_owned()),
        ("cve", format!("{}{}", of("/cve/uid"), score.unwrap_or_default())),
        ("purl", of("/affected_packages/0/purl").to_owned()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let lines = [title].into_iter().chain(column(&facts)).collect();
    Ok(Said { event: type_name.to_owned(), matter: Some(uid.to_owned()), lines })
}

/// `<PRI>1 TIME HOST APP PROCID MSGID - CEF:0|vendor|product|version|class|name|severity|key=value …`
fn line(call: &Call<'_>, _: &str) -> Result<Said, String> {
    let message = std::str::from_utf8(call.body).map_err(|_| "no UTF-8".to_owned())?;
    need(!message.contains(char::is_control), "more than one line")?;
    let (syslog, cef) = message.split_once(" - CEF:0|").ok_or("no CEF")?;
    let fields: Vec<&str> = syslog.split(' ').collect();
    let &[priority, time, _, _, _, name] = fields.as_slice() else {
        return Err("no header of RFC 5424".to_owned());
    };
    let number = priority.strip_prefix('<').and_then(|rest| rest.strip_suffix(">1")).and_then(|pri| pri.parse().ok());
    need(number.is_some_and(|pri: u8| pri <= 191), "a priority that there is not")?;
    need(time.parse::<jiff::Timestamp>().is_ok(), "no time")?;
    let parts = header(cef);
    let &[_, _, _, class, _, severity, extension] = parts.as_slice() else {
        return Err("a CEF header has seven parts".to_owned());
    };
    need(class == name && severity.parse().is_ok_and(|severity: u8| severity <= 10), "another event, or severity")?;
    let key = extension.split(' ').find_map(|pair| pair.strip_prefix("externalId=")).unwrap_or_default();
    need(!key.is_empty(), "no externalId")?;
    let mut lines: Vec<String> = wrapped(message, LINE_MAX).iter().map(|line| cut(line, LINE_MAX)).collect();
    if lines.len() > LINES_SHOWN {
        lines.truncate(LINES_SHOWN);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), LINE_MAX);
        }
    }
    Ok(Said { event: name.to_owned(), matter: Some(key.to_owned()), lines })
}

/// The six parts of a header, between bars that are not escaped, and the extension.
fn header(cef: &str) -> Vec<&str> {
    let (mut parts, mut from, mut is_escaped) = (Vec::new(), 0, false);
    for (at, character) in cef.char_indices() {
        if character == '|' && !is_escaped && parts.len() < HEADER_PARTS {
            parts.push(cef.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    parts.push(cef.get(from..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_that_are_escaped_or_stand_in_the_extension_end_no_part() {
        assert_eq!(header(r"V|P|1|a.b|x \| y \\|8|msg=a|b"), ["V", "P", "1", "a.b", r"x \| y \\", "8", "msg=a|b"]);
        assert_eq!(header("V|P").len(), 2);
    }
}
