//! How plans of action ring, which findings get one by themselves, and which vulnerabilities are known to be exploited.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::{Action, changes};
use watchbell_domain::poam::policy::{Policy, Rule};
use watchbell_domain::poam::{Lead, OverdueRings, Settings};
use watchbell_domain::port::{KevCatalogue, KevFacts, PoamStore};
use watchbell_engine::admin::poam;
use watchbell_wire::Severity;

use super::audit::audited;
use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::problem::{Body, Problem, Result};

/// Most vulnerabilities of a catalogue. CISA's has some 1 500.
const KEV_MAX: usize = 100_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(get_poam_settings, set_poam_settings))
        .routes(routes!(get_poam_policy, set_poam_policy))
        .routes(routes!(get_kev, import_kev))
}

/// What these routes work on.
#[derive(Clone)]
struct Setting {
    items: Arc<dyn PoamStore>,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Setting {
    fn from_ref(edge: &Edge) -> Self {
        Self { items: Arc::from_ref(edge), making: Making::from_ref(edge), bodies: BodyReader::from_ref(edge) }
    }
}

/// How an organisation's plans of action ring. A member left out takes its default.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = PoamSettings)]
struct SettingsView {
    /// IANA name of the time zone whose days count: `Europe/Berlin`.
    time_zone: String,
    /// How long before its deadline an item rings: `30d`, `12h`. At most 10.
    lead_times: Vec<String>,
    /// Once overdue: `daily`, once for each day crossed, or `once`.
    overdue: String,
}

impl Default for SettingsView {
    fn default() -> Self {
        Settings::default().into()
    }
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let overdue = match settings.overdue {
            OverdueRings::Daily => "daily",
            OverdueRings::Once => "once",
        };
        Self {
            time_zone: settings.zone.name().to_owned(),
            lead_times: settings.leads.iter().map(Lead::to_string).collect(),
            overdue: overdue.to_owned(),
        }
    }
}

impl SettingsView {
    fn read(&self) -> Result<Settings> {
        let lead = |(index, text): (usize, &String)| {
            text.parse::<Lead>().map_err(|error| Problem::payload(format!("/lead_times/{index}"), error.to_string()))
        };
        let settings = Settings {
            zone: self.time_zone.parse().map_err(|error| Problem::payload("/time_zone", format!("{error}")))?,
            leads: self.lead_times.iter().enumerate().map(lead).collect::<Result<_>>()?,
            overdue: match self.overdue.as_str() {
                "daily" => OverdueRings::Daily,
                "once" => OverdueRings::Once,
                _ => return Err(Problem::payload("/overdue", "overdue is one of: daily, once")),
            },
        };
        poam::check_settings(&settings)?;
        Ok(settings)
    }
}

/// How the organisation's plans of action ring.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/settings", tag = "poam",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = SettingsView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_poam_settings(
    tenant: Tenant<right::PoamRead>,
    State(setting): State<Setting>,
) -> Result<axum::Json<SettingsView>> {
    Ok(axum::Json(setting.items.poam_settings(tenant.org).await?.into()))
}

/// Set how the organisation's plans of action ring. Nothing that was told is told again.
#[utoipa::path(put, path = "/api/v1/orgs/{org}/settings", tag = "poam", request_body = SettingsView,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = SettingsView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn set_poam_settings(
    tenant: Tenant<right::PoamWrite>,
    State(setting): State<Setting>,
    request: Request,
) -> Result<Response> {
    let write = setting.bodies.json(request, setting.bodies.limits.other_bytes_max).await?;
    let settings = write.parse::<SettingsView>()?.read()?;
    let view = SettingsView::from(settings.clone());
    let answer = answer(StatusCode::OK, &view);
    let (org, now) = (tenant.org, setting.making.clock.now());
    let before = SettingsView::from(setting.items.poam_settings(org).await?);
    let detail = changes(&audited(&before), &audited(&view));
    let terms = write.once.terms(&answer, tenant.caller.deed(Action::PoamSettings, org, now, detail));
    let written = setting.items.set_poam_settings(org, settings, now, terms).await?;
    finish(written, answer)
}

/// Which findings get a plan of action by themselves. Of the rules that match the one with the fewest days counts.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoamPolicy)]
struct PolicyView {
    /// At most 100.
    rules: Vec<RuleView>,
}

/// A rule. Conditions left out are not asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoamRule)]
struct RuleView {
    /// `critical`, `high`, `medium`, `low`, `info`, `unknown`.
    #[schema(value_type = Option<String>)]
    severity: Option<Severity>,
    /// Days from the day the finding is found.
    #[schema(minimum = 0, maximum = 3650)]
    days: u16,
    /// Known to be exploited, or known not to be.
    kev: Option<bool>,
    /// This CVSS score or a higher one.
    cvss_min: Option<f64>,
    /// The package URL type of the component: `pypi`, `npm`.
    component_type: Option<String>,
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        let Rule { severity, days, kev, cvss_min, component_type } = rule;
        Self { severity, days, kev, cvss_min, component_type }
    }
}

impl From<RuleView> for Rule {
    fn from(rule: RuleView) -> Self {
        let RuleView { severity, days, kev, cvss_min, component_type } = rule;
        Self { severity, days, kev, cvss_min, component_type }
    }
}

impl From<Policy> for PolicyView {
    fn from(policy: Policy) -> Self {
        Self { rules: policy.rules.into_iter().map(RuleView::from).collect() }
    }
}

/// The policy that makes plans of action.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/poam-policy", tag = "poam",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = PolicyView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_poam_policy(
    tenant: Tenant<right::PoamRead>,
    State(setting): State<Setting>,
) -> Result<axum::Json<PolicyView>> {
    Ok(axum::Json(setting.items.poam_policy(tenant.org).await?.into()))
}

/// Set the policy that makes plans of action, from now on: findings that are known already get none.
#[utoipa::path(put, path = "/api/v1/orgs/{org}/poam-policy", tag = "poam", request_body = PolicyView,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = PolicyView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn set_poam_policy(
    tenant: Tenant<right::PoamWrite>,
    State(setting): State<Setting>,
    request: Request,
) -> Result<Response> {
    let write = setting.bodies.json(request, setting.bodies.limits.other_bytes_max).await?;
    let policy = Policy { rules: write.parse::<PolicyView>()?.rules.into_iter().map(Rule::from).collect() };
    poam::check_policy(&policy)?;
    let view = PolicyView::from(policy.clone());
    let answer = answer(StatusCode::OK, &view);
    let (org, now) = (tenant.org, setting.making.clock.now());
    let before = PolicyView::from(setting.items.poam_policy(org).await?);
    let detail = changes(&audited(&before), &audited(&view));
    let terms = write.once.terms(&answer, tenant.caller.deed(Action::PoamPolicy, org, now, detail));
    let written = setting.items.set_poam_policy(org, policy, now, terms).await?;
    finish(written, answer)
}

/// CISA's catalogue of known exploited vulnerabilities, as far as it is read.
#[derive(Debug, Deserialize, ToSchema)]
struct NewKev {
    #[serde(rename = "catalogVersion", default)]
    #[schema(value_type = Option<String>)]
    version: String,
    vulnerabilities: Vec<NewKevEntry>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewKevEntry {
    #[serde(rename = "cveID")]
    cve_id: String,
}

/// The catalogue of known exploited vulnerabilities.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Kev)]
struct KevView {
    /// As its publisher counts.
    version: Option<String>,
    /// How many vulnerabilities.
    count: u64,
    /// Null when none was imported.
    imported_at: Option<Timestamp>,
}

impl From<Option<KevFacts>> for KevView {
    fn from(facts: Option<KevFacts>) -> Self {
        match facts {
            Some(facts) => {
                Self { version: Some(facts.version), count: facts.count, imported_at: Some(facts.imported_at) }
            }
            None => Self { version: None, count: 0, imported_at: None },
        }
    }
}

/// What is known of the catalogue of known exploited vulnerabilities.
#[utoipa::path(get, path = "/api/v1/kev", tag = "poam",
    responses((status = 200, body = KevView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_kev(_caller: Caller, State(setting): State<Setting>) -> Result<axum::Json<KevView>> {
    Ok(axum::Json(setting.items.kev_facts().await?.into()))
}

/// Replace the catalogue of known exploited vulnerabilities by CISA's, as it publishes it. Needs a key that reaches every
/// organisation.
#[utoipa::path(put, path = "/api/v1/kev", tag = "poam", request_body = NewKev,
    responses((status = 200, body = KevView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn import_kev(caller: Caller, State(setting): State<Setting>, request: Request) -> Result<axum::Json<KevView>> {
    caller.must_be_operator()?;
    let write = setting.bodies.json(request, setting.bodies.limits.batch_bytes_max).await?;
    let given: NewKev = write.parse()?;
    if given.vulnerabilities.len() > KEV_MAX {
        return Err(Problem::payload("/vulnerabilities", "a catalogue has at most 100000 vulnerabilities"));
    }
    let mut cve_ids = BTreeSet::new();
    for (index, entry) in given.vulnerabilities.into_iter().enumerate() {
        if !is_cve(&entry.cve_id) {
            return Err(Problem::payload(format!("/vulnerabilities/{index}/cveID"), "wanted is a CVE id"));
        }
        cve_ids.insert(entry.cve_id);
    }
    let imported_at = setting.making.clock.now();
    let version: String = given.version.chars().take(100).collect();
    let catalogue = KevCatalogue { version, cve_ids, imported_at };
    let detail = json!({"version": catalogue.version, "count": catalogue.cve_ids.len()});
    let deed = caller.deed(Action::KevImport, "kev", imported_at, detail);
    setting.items.import_kev(catalogue, Some(deed)).await?;
    Ok(axum::Json(setting.items.kev_facts().await?.into()))
}

fn is_cve(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(year, number)| {
        year.len() == 4 && digits(year) && (4..=12).contains(&number.len()) && digits(number)
    })
}
