//! E-mail, handed to a mail server: text and HTML, the closing message an answer to the opening one.
//!
//! Sources: RFC 5321, 5322, 2045–2047, 3834. What [`Outbound::encode`] makes is a [`Mail`] as JSON:
//! the sender in `engine` writes it as a MIME message, the same bytes on every attempt.
//!
//! The id of the message that opens a finding is made of the finding's key alone, so that every later one can name it
//! (`In-Reply-To`, `References`) without our remembering it: mail readers show them as one conversation.
//!
//! Endpoint URLs are `smtp://host:587` (TLS by STARTTLS, or nothing is sent) and `smtps://host:465`; user and password are the
//! endpoint's `auth` of kind `basic`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::account::{Account, cut, one_line};
use super::bearer::Tokens;
use super::{
    BatchMax, Carrier, Credential, Dialect, EncodeError, Header, Mail, Message, Outbound, Part, Settings, SettingsError,
};
use crate::{Event, EventType, Key, Severity};

pub(super) static DIALECT: Dialect = Dialect {
    id: "email",
    name: "E-mail (SMTP)",
    source: "https://www.rfc-editor.org/rfc/rfc5321",
    credential: Credential::None,
    carrier: Carrier::Smtp,
    url_is_secret: false,
    secrets: &Tokens,
    inbound: None,
    outbound: Some(&Email),
};

/// Longest subject, in bytes.
const SUBJECT_MAX: usize = 200;
/// Longest value of a member in the text.
const VALUE_MAX: usize = 2_000;
/// Most recipients.
const RECIPIENTS_MAX: usize = 50;
/// Longest address (RFC 5321, 4.5.3.1.3).
const ADDRESS_MAX: usize = 254;
/// Most findings that a digest lists; the rest are counted.
const LISTED_MAX: usize = 200;
/// Most of these that say where to read on.
const LINKED_MAX: usize = 10;

const SUBJECT: &str = "[{severity}] {headline}";

/// Who writes to whom.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EmailSettings {
    /// The sender's address. Must be given.
    from: String,
    /// The recipients' addresses, 1 to 50. Must be given.
    to: Vec<String>,
    /// The subject, `{headline}`, `{severity}`, `{title}` and `{type}` in it replaced; `[{severity}] {headline}` when absent.
    subject: Option<String>,
    /// Where this server is seen by people: `https://watchbell.example.com`. Messages have no link when absent.
    link_base: Option<String>,
    /// Most events of one mail, 1 to 1000: what waits goes out as a digest. 1 when absent.
    batch_max: BatchMax,
}

struct Email;

impl Outbound for Email {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event_type.as_str()))
    }

    fn encode(&self, event: &Event, settings: &Settings) -> Result<Vec<u8>, EncodeError> {
        let settings: EmailSettings = settings.read()?;
        let account = Account::of(event)?;
        let facts = facts(&account);
        let link = settings.link(event);
        let (opening, id) = ids(&account, &settings);
        let mail = Mail {
            subject: settings.subject(&account),
            text: text(&account.headline(), &facts, link.as_deref()),
            html: html(&account.headline(), &facts, link.as_deref()),
            date: event.occurred_at,
            in_reply_to: (id != opening).then_some(opening),
            message_id: id,
            from: settings.from,
            to: settings.to,
        };
        written(&mail)
    }

    fn headers(&self, _: &Message<'_>, _: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(Vec::new())
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), SettingsError> {
        let read: EmailSettings = settings.read()?;
        let wrong = |pointer: String, detail: &str| Err(SettingsError { pointer, detail: detail.to_owned() });
        if !is_address(&read.from) {
            return wrong("/from".to_owned(), "an address such as watchbell@example.com is wanted");
        }
        if !(1..=RECIPIENTS_MAX).contains(&read.to.len()) {
            return wrong("/to".to_owned(), "1 to 50 addresses are wanted");
        }
        if let Some(place) = read.to.iter().position(|to| !is_address(to)) {
            return wrong(format!("/to/{place}"), "an address such as security@example.com is wanted");
        }
        if read.subject.as_ref().is_some_and(|subject| subject.trim().is_empty() || *subject != one_line(subject)) {
            return wrong("/subject".to_owned(), "one line that is not empty is wanted");
        }
        let is_base = |base: &String| base.starts_with("https://") && base.bytes().all(|byte| byte.is_ascii_graphic());
        if read.link_base.as_ref().is_some_and(|base| !is_base(base)) {
            return wrong("/link_base".to_owned(), "an https:// URL is wanted");
        }
        Ok(())
    }

    fn batch_max(&self, settings: &Settings) -> usize {
        settings.read::<EmailSettings>().map_or(1, |settings| settings.batch_max.get())
    }

    fn joins(&self) -> bool {
        true
    }

    /// A digest: what happened, worst first. Of one event it is that event's mail.
    fn join(&self, parts: &[Part<'_>], settings: &Settings) -> Option<Result<Vec<u8>, EncodeError>> {
        if let [one] = parts {
            return Some(Ok(one.body.to_vec()));
        }
        Some(digest(parts, settings))
    }
}

impl EmailSettings {
    fn subject(&self, account: &Account<'_>) -> String {
        let template = self.subject.as_deref().unwrap_or(SUBJECT);
        // Piece by piece, so that a title that holds `{type}` stays what it is.
        let mut subject = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            subject.push_str(before);
            let value = after.split_once('}').and_then(|(name, behind)| {
                let value = match name {
                    "headline" => account.headline(),
                    "severity" => account.severity.as_str().to_owned(),
                    "title" => account.title(),
                    "type" => account.event.event_type.to_string(),
                    _ => return None,
                };
                Some((value, behind))
            });
            match value {
                Some((value, behind)) => {
                    subject.push_str(&value);
                    rest = behind;
                }
                None => {
                    subject.push('{');
                    rest = after;
                }
            }
        }
        subject.push_str(rest);
        cut(&one_line(&subject), SUBJECT_MAX)
    }

    fn link(&self, event: &Event) -> Option<String> {
        let base = self.link_base.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/events/evt_{}", event.id.hyphenated()))
    }

    fn domain(&self) -> &str {
        self.from.rsplit('@').next().unwrap_or_default()
    }
}

/// The ids of the message that opened what this event is about, and of this event's own message.
fn ids(account: &Account<'_>, settings: &EmailSettings) -> (String, String) {
    let digest = hex::encode(Sha256::digest(account.key()));
    let key = digest.get(..32).unwrap_or_default();
    let domain = settings.domain();
    let opening = format!("<{key}@{domain}>");
    let own = format!("<{key}.{}@{domain}>", account.event.id.simple());
    match account.event.event_type == EventType::VulnerabilityCreated {
        true => (opening.clone(), opening),
        false => (opening, own),
    }
}

fn facts(account: &Account<'_>) -> Vec<(&'static str, String)> {
    let text = |name: &str| account.text(name).map(|text| cut(&one_line(text), VALUE_MAX));
    let component = account.component().map(|(name, version, _)| match version {
        Some(version) => one_line(&format!("{name} {version}")),
        None => one_line(name),
    });
    let all = [
        ("Severity", Some(account.severity.as_str().to_owned())),
        ("CVE", account.cve().map(str::to_owned)),
        ("CVSS", account.score().map(crate::json::tree::Value::to_text)),
        ("Component", component),
        ("Where", text("resource_path")),
        ("Rule", text("rule_id")),
        ("Due", text("scheduled_completion_date")),
        ("Project", text("project_id")),
        ("Reason", text("reason").or_else(|| text("error"))),
        ("Event", Some(account.event.event_type.to_string())),
        ("Time", Some(account.event.occurred_at.to_string())),
        ("Key", Some(one_line(&account.key()))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn text(headline: &str, facts: &[(&str, String)], link: Option<&str>) -> String {
    let mut text = format!("{headline}\n\n");
    for (name, value) in facts {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(link) = link {
        text.push_str(&format!("\n{link}\n"));
    }
    text
}

fn html(headline: &str, facts: &[(&str, String)], link: Option<&str>) -> String {
    let mut rows = String::new();
    for (name, value) in facts {
        let value = inert(value);
        rows.push_str(&format!("<tr><th align=\"left\">{name}</th><td>{value}</td></tr>\n"));
    }
    let link = link.map(|link| format!("<p><a href=\"{0}\">{0}</a></p>\n", inert(link))).unwrap_or_default();
    format!(
        "<!DOCTYPE html>\n<html><body>\n<p><b>{}</b></p>\n<table>\n{rows}</table>\n{link}</body></html>\n",
        inert(headline)
    )
}

/// Foreign text that no browser takes for markup.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn digest(parts: &[Part<'_>], settings: &Settings) -> Result<Vec<u8>, EncodeError> {
    let settings: EmailSettings = settings.read()?;
    let mut accounts = parts.iter().map(|part| Account::of(part.event)).collect::<Result<Vec<_>, _>>()?;
    let first = accounts.first().ok_or_else(|| EncodeError::Data("nothing to tell".to_owned()))?;
    let (_, id) = ids(first, &settings);
    let date = first.event.occurred_at;
    // The sort is stable: what is equally bad stays in its order of time.
    accounts.sort_by_key(|account| std::cmp::Reverse(account.severity));
    let worst = accounts.first().map_or("unknown", |account| account.severity.as_str());
    let headline = format!("{} security events", accounts.len());
    let counts = Severity::ALL.into_iter().rev().filter_map(|severity| {
        let count = accounts.iter().filter(|account| account.severity == severity).count();
        (count > 0).then(|| format!("{count} {}", severity.as_str()))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let listed = accounts.iter().take(LISTED_MAX);
    let each = listed.enumerate().map(|(place, account)| {
        let link = settings.link(account.event).filter(|_| place < LINKED_MAX);
        let link = link.map(|link| format!(" {link}")).unwrap_or_default();
        (account.severity.as_str(), cut(&account.headline(), VALUE_MAX) + &link)
    });
    let mut lines: Vec<(&str, String)> = std::iter::once(("in all", counts)).chain(each).collect();
    let more = accounts.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        lines.push(("and", format!("{more} more")));
    }
    let link = settings.link_base.as_deref().map(str::to_owned);
    let mail = Mail {
        subject: cut(&format!("[{worst}] {headline}"), SUBJECT_MAX),
        text: text(&headline, &lines, link.as_deref()),
        html: html(&headline, &lines, link.as_deref()),
        date,
        message_id: id.replacen('<', "<digest.", 1),
        in_reply_to: None,
        from: settings.from,
        to: settings.to,
    };
    written(&mail)
}

fn written(mail: &impl Serialize) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(mail).map_err(|error| EncodeError::Data(error.to_string()))
}

/// A mailbox in its plainest form: RFC 5321 knows more, and every server knows this.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_local = (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    text.len() <= ADDRESS_MAX && is_local && domain.split('.').all(label)
}
