//! Our own API under `/api/v1`, one file an area.

#![expect(unused_qualifications, reason = "utoipa's macros qualify what they name")]

use axum::middleware::from_fn_with_state;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use crate::auth::authenticate;
use crate::edge::Edge;

mod deliveries;
mod duration;
mod endpoint_view;
pub(crate) mod endpoints;
mod event_types;
mod events;
mod keys;
mod operation;
mod orgs;
mod projects;
mod replay;
mod show;

/// Routes that need a key.
pub(crate) fn guarded(edge: &Edge) -> OpenApiRouter<Edge> {
    areas().route_layer(from_fn_with_state(edge.authenticator(), authenticate))
}

/// Routes for everybody.
pub(crate) fn open() -> OpenApiRouter<Edge> {
    operation::open()
}

/// The contract of both.
pub(crate) fn contract() -> utoipa::openapi::OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = ComponentsBuilder::new().security_scheme("key", SecurityScheme::Http(scheme));
    let info = InfoBuilder::new()
        .title("Watchbell")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A hub for the webhooks of security tools: it sends, receives and shows them.",
        ));
    let base = OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new("key", [] as [String; 0])]))
        .build();
    OpenApiRouter::<Edge>::with_openapi(base)
        .merge(areas())
        .merge(open())
        .into_openapi()
}

fn areas() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .merge(orgs::routes())
        .merge(keys::routes())
        .merge(endpoints::routes())
        .merge(events::routes())
        .merge(event_types::routes())
        .merge(deliveries::routes())
        .merge(replay::routes())
        .merge(projects::routes())
        .merge(operation::guarded())
}
