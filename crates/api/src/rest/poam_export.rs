//! Plans of action for auditors: a spreadsheet, or OSCAL.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::id::OrgId;
use watchbell_domain::poam::{Item, oscal, table};
use watchbell_domain::port::{OrgStore, PageRequest, PoamFilter, PoamStore};

use crate::auth::{Tenant, right};
use crate::edge::{Edge, Making};
use crate::page::QueryOf;
use crate::problem::{Body, Problem, Result};

/// Most items of one export: what is written is held in memory.
const ITEMS_MAX: usize = 100_000;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(export_poam_items))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// `csv` or `oscal`.
    #[serde(default = "csv")]
    #[param(value_type = Option<String>)]
    format: String,
}

fn csv() -> String {
    "csv".to_owned()
}

/// Every plan of action as CSV, or as an OSCAL 1.1.2 plan of action and milestones (JSON).
#[utoipa::path(get, path = "/api/v1/orgs/{org}/poam-items/export", tag = "poam",
    params(("org" = String, Path, description = "Id or slug"), ExportQuery),
    responses((status = 200, description = "The items", content((String = "text/csv"), (Object = "application/json"))),
        (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn export_poam_items(
    tenant: Tenant<right::PoamRead>,
    State(items): State<Arc<dyn PoamStore>>,
    State(orgs): State<Arc<dyn OrgStore>>,
    State(making): State<Making>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response> {
    let now = making.clock.now();
    if !matches!(query.format.as_str(), "csv" | "oscal") {
        return Err(Problem::QueryInvalid("format is csv or oscal".into()));
    }
    let settings = items.poam_settings(tenant.org).await?;
    let found = all(&*items, tenant.org, PoamFilter::all(now)).await?;
    let (body, kind, name) = if query.format == "csv" {
        let table = table::csv(found.iter(), &settings, now).map_err(|_| Problem::Internal)?;
        (table, "text/csv; charset=utf-8", "attachment; filename=\"poam.csv\"")
    } else {
        let org = orgs.org(tenant.org).await?.ok_or(Problem::NotFound)?;
        let document = oscal::document(&org, &found, &settings, now);
        let document =
            document.ok_or(Problem::Conflict("there are no plans of action, and OSCAL knows no plan of nothing"))?;
        (document.to_string().into_bytes(), "application/json", "attachment; filename=\"poam.json\"")
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
    ];
    Ok((headers, body).into_response())
}

async fn all(items: &dyn PoamStore, org: OrgId, filter: PoamFilter) -> Result<Vec<Item>> {
    let mut all: Vec<Item> = Vec::new();
    loop {
        let page = PageRequest { before: all.last().map(|item| item.id.0), limit: 250 };
        let found = items.poam_items(org, filter.clone(), page).await?;
        all.extend(found.items);
        if !found.more {
            return Ok(all);
        }
        if all.len() >= ITEMS_MAX {
            return Err(Problem::Conflict("there are more plans of action than one export takes (100000)"));
        }
    }
}
