//! Our own API under `/api/v1`, one file an area.

#![expect(unused_qualifications, reason = "utoipa's macros qualify what they name")]

use axum::middleware::from_fn_with_state;
use http::StatusCode;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, PathItem, RefOr, Response, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use crate::auth::authenticate;
use crate::edge::Edge;

mod advisories;
pub(crate) mod audit;
mod captured;
mod captures;
mod custom_types;
mod deliveries;
mod duration;
mod endpoint_given;
mod endpoint_policy;
mod endpoint_rules;
mod endpoint_transport;
pub(crate) mod endpoint_view;
pub(crate) mod endpoints;
mod erase;
mod event_types;
pub(crate) mod events;
mod events_page;
mod evidence;
mod finding_view;
mod findings;
mod groups;
mod keys;
mod members;
mod mutes;
mod operation;
mod org_state;
mod orgs;
mod poam;
mod poam_export;
mod poam_settings;
mod poam_view;
mod projects;
mod receipts;
mod replay;
mod replays;
mod scan_runs;
mod show;
mod source_view;
mod sources;
mod trainings;
mod verify;
mod verify_known;
mod webhooks;
mod why;

pub use verify::Diagnosed;
pub(crate) use verify::Explaining;

/// Routes that need a key.
pub(crate) fn guarded(edge: &Edge) -> OpenApiRouter<Edge> {
    areas().route_layer(from_fn_with_state(edge.authenticator(), authenticate))
}

/// The same routes for a caller who is known already: see [`crate::graphql`].
pub(crate) fn operations() -> OpenApiRouter<Edge> {
    areas()
}

/// Routes for everybody.
pub(crate) fn open() -> OpenApiRouter<Edge> {
    operation::open().merge(events_page::routes()).merge(members::open())
}

/// The contract of both.
pub(crate) fn contract() -> utoipa::openapi::OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = ComponentsBuilder::new().security_scheme("key", SecurityScheme::Http(scheme));
    let info = InfoBuilder::new()
        .title("Watchbell")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A hub for the webhooks of security tools: it sends, receives and shows them."));
    let base = OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new("key", [] as [String; 0])]))
        .build();
    let mut contract = OpenApiRouter::<Edge>::with_openapi(base).merge(areas()).merge(open()).into_openapi();
    contract.paths.paths.values_mut().for_each(describe_responses);
    contract.webhooks = Some(webhooks::all());
    contract
}

/// OpenAPI wants each response described. Where a handler says nothing special, the status says it.
fn describe_responses(item: &mut PathItem) {
    let methods = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
    let responses = methods.into_iter().flatten().flat_map(|operation| &mut operation.responses.responses);
    for (status, response) in responses {
        if let RefOr::T(Response { description, .. }) = response
            && description.is_empty()
        {
            *description = match status.parse::<StatusCode>() {
                Ok(status) => status.canonical_reason().unwrap_or("Answered").to_owned(),
                Err(_) => "Refused: `code` says why".to_owned(),
            };
        }
    }
}

fn areas() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .merge(orgs::routes())
        .merge(keys::routes())
        .merge(endpoints::routes())
        .merge(mutes::routes())
        .merge(why::routes())
        .merge(events::routes())
        .merge(erase::routes())
        .merge(event_types::routes())
        .merge(custom_types::routes())
        .merge(deliveries::routes())
        .merge(replay::routes())
        .merge(replays::routes())
        .merge(projects::routes())
        .merge(findings::routes())
        .merge(audit::routes())
        .merge(groups::routes())
        .merge(members::routes())
        .merge(org_state::routes())
        .merge(evidence::routes())
        .merge(advisories::routes())
        .merge(scan_runs::routes())
        .merge(poam::routes())
        .merge(poam_export::routes())
        .merge(poam_settings::routes())
        .merge(trainings::routes())
        .merge(captures::routes())
        .merge(captured::routes())
        .merge(verify::routes())
        .merge(sources::routes())
        .merge(receipts::routes())
        .merge(operation::guarded())
}
