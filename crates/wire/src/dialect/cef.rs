//! ArcSight's Common Event Format in messages of RFC 5424, for the SIEMs that read it.
//!
//! Source: ArcSight, "Common Event Format", version 0 (revision 25), read 2026-11. The message has neither structured data
//! nor a byte order mark: readers look for `CEF:` first.
//!
//! ```text
//!  <131>1 2024-10-09T08:47:57.975000Z - watchbell - vulnerability.created - CEF:0|Watchbell|Watchbell|1.0|
//!  vulnerability.created|Prototype pollution in lodash|8|rt=1728463677975 externalId=0ef8… cs1=CVE-2019-10744 cs1Label=cve …
//! ```

use std::borrow::Cow;

use super::account::{Account, cut, one_line};
use super::bearer::Tokens;
use super::syslog::SyslogSettings;
use super::{Carrier, Credential, Dialect, EncodeError, Framing, Header, Message, Outbound, Settings, SettingsError};
use crate::json::tree::Value;
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "cef",
    name: "CEF over syslog",
    source: "https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/cef-implementation-standard/",
    credential: Credential::None,
    carrier: Carrier::Syslog,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Cef),
};

const NAME_MAX: usize = 512;
const SEVERITY_BYTES_MAX: usize = "|10|".len();
const MSG_MAX: usize = 1023;
const TEXT_MAX: usize = 1023;
const EXTERNAL_ID_MAX: usize = 40;
const ACT_MAX: usize = 63;

struct Cef;

impl Outbound for Cef {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: SyslogSettings = settings.read()?;
        let account = Account::of(event)?;
        let mut line = format!("{}- CEF:0|Watchbell|Watchbell|1.0|{}|", settings.header(&account), event.event_type);
        // Escaped, a name is at most twice as long.
        let room = settings.max_bytes().saturating_sub(line.len() + SEVERITY_BYTES_MAX) / 2;
        let name = in_header(&cut(&account.title(), room.min(NAME_MAX)));
        line.push_str(&format!("{name}|{}|", severity(account.severity)));
        let mut separator = "";
        for Pair { key, value, label } in extension(&account) {
            let mut pair = format!("{separator}{key}={}", in_extension(&value));
            if let Some(label) = label {
                pair.push_str(&format!(" {key}Label={label}"));
            }
            // Half a value is worse than none, and so is a label of nothing.
            if line.len() + pair.len() > settings.max_bytes() {
                continue;
            }
            line.push_str(&pair);
            separator = " ";
        }
        Ok(line.into_bytes())
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(Vec::new())
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        SyslogSettings::checked(settings).map(|_| ())
    }

    fn framing(&self, settings: &Settings) -> Result<Framing, SettingsError> {
        settings.read::<SyslogSettings>().map(|settings| settings.framing())
    }
}

/// A key with its value; one whose meaning is ours has a label.
struct Pair {
    key: &'static str,
    value: String,
    label: Option<&'static str>,
}

/// The pairs, what matters most first: a message that is too long loses those that do not fit any more.
fn extension(account: &Account<'_>) -> Vec<Pair> {
    let event = account.event;
    let text = |name: &str| account.text(name).map(|text| cut(text, TEXT_MAX));
    let first = [
        ("rt", event.occurred_at.as_millisecond().to_string()),
        ("externalId", cut(&account.key(), EXTERNAL_ID_MAX)),
        ("cat", event.event_type.as_str().split('.').next().unwrap_or_default().to_owned()),
        ("act", cut(event.event_type.as_str(), ACT_MAX)),
    ];
    let component = account.component().map(|(name, version, _)| match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    });
    let labelled = [
        ("cs1", "cve", account.cve().map(str::to_owned)),
        ("cs2", "component", component),
        ("cs3", "rule", text("rule_id")),
        ("cs4", "project", text("project_id")),
        ("cs5", "eventId", Some(event.id.to_string())),
        ("cs6", "aliases", aliases(account)),
        ("cfp1", "cvss", account.score().map(Value::to_text)),
    ];
    let plain = [
        ("fname", text("resource_path")),
        ("request", account.url().map(str::to_owned)),
        ("suser", text("creator").or_else(|| text("user"))),
        ("reason", text("reason").or_else(|| text("error"))),
        ("msg", Some(cut(&account.headline(), MSG_MAX))),
    ];
    let unlabelled = |(key, value)| Pair { key, value, label: None };
    let first = first.into_iter().map(unlabelled);
    let labelled = labelled
        .into_iter()
        .filter_map(|(key, label, value)| Some(Pair { key, value: cut(&value?, TEXT_MAX), label: Some(label) }));
    let plain = plain.into_iter().filter_map(|(key, value)| Some(unlabelled((key, value?))));
    first.chain(labelled).chain(plain).collect()
}

fn aliases(account: &Account<'_>) -> Option<String> {
    let all: Vec<&str> = account.aliases().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// A part of the header: `\` and `|` are escaped, and it is one line.
fn in_header(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// A value: `\` and `=` are escaped, line ends spelled out, other control characters blanks.
fn in_extension(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other if other.is_control() || (other != ' ' && other.is_whitespace()) => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// The table of severities (CEF).
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 10,
        Severity::High => 8,
        Severity::Medium | Severity::Unknown => 5,
        Severity::Low => 3,
        Severity::Info => 1,
    }
}
