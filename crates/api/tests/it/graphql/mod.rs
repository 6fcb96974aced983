//! `/graphql`: Aegis's API, the model, its walls and limits, what happens live.

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::world::{ROOT, Reply, World, request};

mod aegis;
mod console;
mod limits;
mod live;
mod model;
mod parity;
mod receiving;
mod walls;

/// A GraphQL request of the world's organisation, by a key that reaches every one.
pub(crate) fn asked(key: &str, org: &str, query: &str, variables: Value) -> Request<Body> {
    let body = json!({"query": query, "variables": variables}).to_string();
    request(key, Method::POST, &format!("/graphql?org={org}"), Some(body))
}

impl World {
    pub(crate) async fn gql(&self, query: &str, variables: Value) -> Reply {
        self.gql_as(ROOT, query, variables).await
    }

    pub(crate) async fn gql_as(&self, key: &str, query: &str, variables: Value) -> Reply {
        self.send(asked(key, "acme", query, variables)).await
    }

    /// Asks, and fails where there is an error.
    #[track_caller]
    pub(crate) fn data(&self, query: &str, variables: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.gql(query, variables).await.is(200).json();
            assert!(answer.get("errors").is_none(), "{place}: {answer:#}");
            answer["data"].clone()
        }
    }

    /// Asks, and answers the first error.
    #[track_caller]
    pub(crate) fn error(&self, query: &str, variables: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.gql(query, variables).await.json();
            let error = answer["errors"][0].clone();
            assert!(error.is_object(), "{place}: {answer:#}");
            error
        }
    }

    /// What the schema says of itself.
    pub(crate) async fn introspected(&self) -> Value {
        const QUERY: &str = "{ __schema { queryType { name } mutationType { name } subscriptionType { name }
            types { kind name fields { name args { name type { ...T } } type { ...T } }
                inputFields { name type { ...T } } enumValues { name } } } }
            fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        self.data(QUERY, json!({})).await["__schema"].clone()
    }
}

/// The type without what wraps it.
pub(crate) fn bare_type(wrapped: &Value) -> &str {
    let inner = &wrapped["ofType"];
    if inner.is_null() { wrapped["name"].as_str().unwrap_or_default() } else { bare_type(inner) }
}

pub(crate) fn with_header(mut request: Request<Body>, name: header::HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}
