//! What can be set about an endpoint by a flag of its own. Secrets come from files: a command line is everybody's to read.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::{Failure, message};

/// The longest PEM file that is read.
const PEM_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Most attempts; cuts the retry schedule
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_attempts: Option<u32>,
    /// Attempts that may begin in a second, such as "50/s" or "50/s burst 200"; "off" for no limit
    #[arg(long, value_name = "RATE", help_heading = "Limits")]
    rate_limit: Option<String>,
    /// Most deliveries in flight at once
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_in_flight: Option<u32>,
    /// First in, first out: for the whole endpoint, or for each project
    #[arg(long, value_name = "WHAT", help_heading = "Limits")]
    ordered: Option<Ordered>,
    /// Only events about vulnerabilities at least so bad (what nobody rated comes too); "all" for every one
    #[arg(long, value_name = "SEVERITY", help_heading = "Limits")]
    min_severity: Option<String>,
    /// One digest instead of more new findings of a scan than this; "off" for none, "default" for the dialect's own
    #[arg(long, value_name = "N", help_heading = "Limits")]
    storm_threshold: Option<String>,
    /// Only events that this is true of, such as "severity >= high && project.name.startsWith('pay')"; "all" for every one
    #[arg(long, value_name = "EXPRESSION", help_heading = "Rules")]
    filter: Option<String>,
    /// Deliveries wait from one time of day to another, such as "22:00-07:00" or "22:00-07:00 Europe/Berlin"; "off" for never
    #[arg(long, value_name = "HOURS", help_heading = "Rules")]
    quiet: Option<String>,
    /// What is at least so bad does not wait for the end of quiet hours
    #[arg(long, value_name = "SEVERITY", requires = "quiet", help_heading = "Rules")]
    quiet_except: Option<String>,
    /// The days on which quiet hours begin, such as "mon,tue"; every day when left out
    #[arg(long, value_name = "DAYS", requires = "quiet", value_delimiter = ',', help_heading = "Rules")]
    quiet_days: Vec<String>,
    /// Deliveries gather for so long at most and go out as one, such as "15m"; "off" for each by itself
    #[arg(long, value_name = "WAIT", help_heading = "Rules")]
    batch: Option<String>,
    /// So many do not wait any longer; 100 when left out
    #[arg(long, value_name = "N", requires = "batch", help_heading = "Rules")]
    batch_max: Option<u32>,
    /// What is at least so bad does not gather
    #[arg(long, value_name = "SEVERITY", requires = "batch", help_heading = "Rules")]
    batch_except: Option<String>,
    /// What the Authorization header says
    #[arg(long, value_name = "HOW", help_heading = "Connection")]
    auth: Option<Auth>,
    /// User name of basic, client id of oauth2
    #[arg(long, value_name = "NAME", requires = "auth", help_heading = "Connection")]
    auth_user: Option<String>,
    /// File with the password, token or client secret
    #[arg(long, value_name = "FILE", requires = "auth", help_heading = "Connection")]
    auth_secret_file: Option<PathBuf>,
    /// Where oauth2 fetches its tokens
    #[arg(long, value_name = "URL", requires = "auth", help_heading = "Connection")]
    token_url: Option<String>,
    /// What the token of oauth2 is to be good for
    #[arg(long, value_name = "TEXT", requires = "auth", help_heading = "Connection")]
    scope: Option<String>,
    /// For whom the token of oauth2 is to be
    #[arg(long, value_name = "TEXT", requires = "auth", help_heading = "Connection")]
    audience: Option<String>,
    /// How oauth2 sends client id and secret
    #[arg(long, value_name = "HOW", requires = "auth", help_heading = "Connection")]
    auth_style: Option<AuthStyle>,
    /// PEM file with the certificate to show, then what stands between it and its CA
    #[arg(long, value_name = "FILE", requires = "client_key", help_heading = "Connection")]
    client_cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", requires = "client_cert", help_heading = "Connection")]
    client_key: Option<PathBuf>,
    /// PEM file with CAs to trust beside the server's own
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca: Option<PathBuf>,
    /// Take certificate and CAs away
    #[arg(long, conflicts_with_all = ["client_cert", "ca"], help_heading = "Connection")]
    no_tls: bool,
    /// Which HTTP to speak
    #[arg(long, value_name = "VERSION", help_heading = "Connection")]
    http_version: Option<HttpVersion>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ordered {
    No,
    Endpoint,
    Project,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Auth {
    None,
    Basic,
    Bearer,
    Oauth2,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AuthStyle {
    Basic,
    Body,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HttpVersion {
    Auto,
    Http1,
    Http2,
}

impl Flags {
    /// Puts what was given among a request's members.
    pub(super) fn add_to(self, members: &mut Map<String, Value>) -> Result<(), Failure> {
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        put("max_attempts", self.max_attempts.map(Value::from));
        put("rate_limit", self.rate_limit.as_deref().map(Value::from));
        put("max_in_flight", self.max_in_flight.map(Value::from));
        put("ordered", self.ordered.map(Ordered::member));
        put(
            "min_severity",
            self.min_severity.as_deref().map(|text| if text == "all" { Value::Null } else { text.into() }),
        );
        put("storm_threshold", self.storm_threshold.as_deref().map(storm_threshold));
        put("filter", self.filter.as_deref().map(|text| if text == "all" { Value::Null } else { text.into() }));
        put("quiet", self.quiet()?);
        put("batch", self.batch());
        put("http_version", self.http_version.map(named));
        put("tls", self.tls()?);
        put("auth", self.auth()?);
        Ok(())
    }

    fn quiet(&self) -> Result<Option<Value>, Failure> {
        let Some(text) = &self.quiet else { return Ok(None) };
        if text == "off" {
            return Ok(Some(Value::Null));
        }
        let (hours, zone) =
            text.split_once(' ').map_or((text.as_str(), None), |(hours, zone)| (hours, Some(zone.trim())));
        let (from, to) = hours.split_once('-').ok_or_else(|| {
            Failure::usage(format!("--quiet {text:?}: a time, - and a time are wanted, such as 22:00-07:00"))
        })?;
        let mut quiet = json!({"from": from, "to": to, "days": self.quiet_days});
        if let Some(members) = quiet.as_object_mut() {
            members.extend(zone.map(|zone| ("time_zone".to_owned(), zone.into())));
            members.extend(self.quiet_except.as_deref().map(|severity| ("except".to_owned(), severity.into())));
        }
        Ok(Some(quiet))
    }

    fn batch(&self) -> Option<Value> {
        let wait = self.batch.as_deref()?;
        if wait == "off" {
            return Some(Value::Null);
        }
        let mut batch = json!({"wait": wait});
        if let Some(members) = batch.as_object_mut() {
            members.extend(self.batch_max.map(|max| ("max".to_owned(), max.into())));
            members.extend(self.batch_except.as_deref().map(|severity| ("except".to_owned(), severity.into())));
        }
        Some(batch)
    }

    fn tls(&self) -> Result<Option<Value>, Failure> {
        if self.no_tls {
            return Ok(Some(Value::Null));
        }
        if self.client_cert.is_none() && self.ca.is_none() {
            return Ok(None);
        }
        let text = |path: &Option<PathBuf>| path.as_deref().map(pem).transpose();
        Ok(Some(json!({
            "client_certificate_pem": text(&self.client_cert)?,
            "client_key_pem": text(&self.client_key)?,
            "ca_pem": text(&self.ca)?,
        })))
    }

    fn auth(self) -> Result<Option<Value>, Failure> {
        let Some(auth) = self.auth else { return Ok(None) };
        let need = |what: &str| Failure::usage(format!("--auth {} needs {what}", name(auth)));
        let user = self.auth_user.ok_or_else(|| need("--auth-user"));
        let secret = match &self.auth_secret_file {
            Some(path) => Ok(message::read_secret(path)?.expose().to_owned()),
            None => Err(need("--auth-secret-file")),
        };
        Ok(Some(match auth {
            Auth::None => Value::Null,
            Auth::Basic => json!({"type": "basic", "username": user?, "password": secret?}),
            Auth::Bearer => json!({"type": "bearer", "token": secret?}),
            Auth::Oauth2 => json!({
                "type": "oauth2",
                "token_url": self.token_url.ok_or_else(|| need("--token-url"))?,
                "client_id": user?,
                "client_secret": secret?,
                "scope": self.scope,
                "audience": self.audience,
                "auth_style": named(self.auth_style.unwrap_or(AuthStyle::Basic)),
            }),
        }))
    }
}

/// A number where it is one; what else it may be the server says.
fn storm_threshold(text: &str) -> Value {
    match text.parse::<u32>() {
        Ok(count) => count.into(),
        Err(_) if text == "default" => Value::Null,
        Err(_) => text.into(),
    }
}

impl Ordered {
    fn member(self) -> Value {
        match self {
            Self::No => json!(false),
            Self::Endpoint => json!(true),
            Self::Project => json!("project"),
        }
    }
}

/// The value as it is spelled in both places.
fn named<T: ValueEnum>(value: T) -> Value {
    Value::from(name(value))
}

fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn pem(path: &Path) -> Result<String, Failure> {
    let fail = |problem: String| Failure::usage(format!("PEM file {}: {problem}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    file.take(PEM_BYTES_MAX + 1).read_to_string(&mut text).map_err(|_| fail("does not hold text".to_owned()))?;
    Ok(text)
}
