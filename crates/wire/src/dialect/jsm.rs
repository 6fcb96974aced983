//! Jira Service Management's alerts: the scheme of [`opsgenie`](super::opsgenie) at another address.

use super::opaque::Opaque;
use super::opsgenie::Alerts;
use super::{Carrier, Credential, Dialect};

pub(super) static DIALECT: Dialect = Dialect {
    id: "jsm",
    name: "Jira Service Management",
    source: "https://support.atlassian.com/jira-service-management-cloud/docs/set-up-an-api-integration/",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &Opaque,
    inbound: None,
    outbound: Some(&Alerts { who: "Jira Service Management", path: "/jsm/ops/integration/v2/alerts" }),
};
