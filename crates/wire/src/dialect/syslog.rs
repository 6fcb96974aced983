//! Syslog as RFC 5424 has it: one message an event, a line for people with the facts as structured data.
//!
//! Source: RFC 5424 (message), RFC 6587 (TCP), RFC 5425 (TLS), RFC 5426 (UDP). None of them has an acknowledgement: a message
//! counts as delivered when the connection has taken it. 32473 is the enterprise number that RFC 5612 sets aside.
//!
//! ```text
//!  <131>1 2024-10-09T08:47:57.975000Z - watchbell - vulnerability.created [watchbell@32473 event="vulnerability.created"
//!  eventId="0192…" severity="high" key="0ef8…" cve="CVE-2019-10744"] New high vulnerability: …
//! ```
//!
//! The URL says which carrier takes it: `syslog+tcp://`, `syslog+tls://`, `syslog+udp://`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::account::{Account, cut, one_line};
use super::bearer::Tokens;
use super::{Carrier, Credential, Dialect, EncodeError, Framing, Header, Message, Outbound, Settings, SettingsError};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "syslog",
    name: "Syslog (RFC 5424)",
    source: "https://www.rfc-editor.org/rfc/rfc5424",
    credential: Credential::None,
    carrier: Carrier::Syslog,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Syslog),
};

const SD_ID: &str = "watchbell@32473";

/// Longest value of a parameter, in bytes: the structured data always fits into a datagram.
const VALUE_MAX: usize = 64;

const HOSTNAME_MAX: usize = 255;
const APP_NAME_MAX: usize = 48;
const MSGID_MAX: usize = 32;

/// Room for everything but the text, and the most that UDP carries.
const BYTES: (usize, usize) = (1_024, 65_507);

/// What RFC 5424 asks of every receiver.
const DATAGRAM_BYTES_MIN: usize = 480;

/// What an endpoint may say about its messages; `cef` has the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyslogSettings {
    /// 0 to 23; 16 (local0) when absent.
    facility: u8,
    /// The HOSTNAME; `-`, which stands for none, when absent.
    hostname: String,
    /// The APP-NAME; `watchbell` when absent.
    app_name: String,
    /// How messages are told apart on TCP and TLS: `octet_counting`, also when absent, or `newline`.
    framing: FramingSetting,
    /// Longest message, in bytes; 8192 when absent. What is longer is cut.
    max_bytes: usize,
    /// Longest message over UDP, in bytes; 1024 when absent. What is longer is cut.
    datagram_max_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FramingSetting {
    OctetCounting,
    Newline,
}

impl Default for SyslogSettings {
    fn default() -> Self {
        Self {
            facility: 16,
            hostname: "-".to_owned(),
            app_name: "watchbell".to_owned(),
            framing: FramingSetting::OctetCounting,
            max_bytes: 8192,
            datagram_max_bytes: 1024,
        }
    }
}

impl SyslogSettings {
    pub(super) fn checked(settings: &Settings) -> Result<Self, SettingsError> {
        let read: Self = settings.read()?;
        let wrong = |pointer: &str, detail: String| SettingsError { pointer: pointer.to_owned(), detail };
        if read.facility > 23 {
            return Err(wrong("/facility", "a facility is 0 to 23".to_owned()));
        }
        let names = [("/hostname", &read.hostname, HOSTNAME_MAX), ("/app_name", &read.app_name, APP_NAME_MAX)];
        for (pointer, name, max) in names {
            if !(1..=max).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong(pointer, format!("1 to {max} visible ASCII characters without blanks are wanted")));
            }
        }
        let sizes = [
            ("/max_bytes", read.max_bytes, BYTES.0),
            ("/datagram_max_bytes", read.datagram_max_bytes, DATAGRAM_BYTES_MIN),
        ];
        for (pointer, bytes, least) in sizes {
            if bytes < least || bytes > BYTES.1 {
                return Err(wrong(pointer, format!("{least} to {} bytes are wanted", BYTES.1)));
            }
        }
        Ok(read)
    }

    pub(super) fn framing(&self) -> Framing {
        Framing {
            counts_octets: self.framing == FramingSetting::OctetCounting,
            datagram_bytes_max: self.datagram_max_bytes,
        }
    }

    /// Everything before the structured data, with a blank at its end.
    pub(super) fn header(&self, account: &Account<'_>) -> String {
        let priority = u16::from(self.facility) * 8 + severity(account.severity);
        let name = account.event.event_type.as_str();
        let msgid = name.get(..MSGID_MAX).unwrap_or(name);
        let (time, host, app) = (time(account.event.occurred_at), &self.hostname, &self.app_name);
        format!("<{priority}>1 {time} {host} {app} - {msgid} ")
    }

    pub(super) const fn max_bytes(&self) -> usize {
        self.max_bytes
    }
}

struct Syslog;

impl Outbound for Syslog {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: SyslogSettings = settings.read()?;
        let account = Account::of(event)?;
        let line = format!("{}{} {}", settings.header(&account), structured(&account), text(&account.headline()));
        Ok(cut(&line, settings.max_bytes()).into_bytes())
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

/// Text outside ASCII is announced by a byte order mark (RFC 5424, section 6.4).
fn text(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("\u{feff}{text}")),
    }
}

fn structured(account: &Account<'_>) -> String {
    let event = account.event;
    let component = account.component().map(|(name, version, _)| match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    });
    let parameters = [
        ("event", Some(event.event_type.as_str().to_owned())),
        ("eventId", Some(event.id.to_string())),
        ("severity", Some(account.severity.as_str().to_owned())),
        ("key", Some(account.key())),
        ("cve", account.cve().map(str::to_owned)),
        ("component", component),
        ("project", account.text("project_id").map(str::to_owned)),
    ];
    let mut data = format!("[{SD_ID}");
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        let value = cut(&one_line(&value), VALUE_MAX);
        data.push_str(&format!(" {name}=\"{}\"", escaped(&value)));
    }
    data.push(']');
    data
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// RFC 3339 with the six digits after the point that RFC 5424 takes.
fn time(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// The table of severities (syslog).
const fn severity(severity: Severity) -> u16 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium | Severity::Unknown => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}
