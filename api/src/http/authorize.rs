//! Who may use which route. The OpenAPI document says it, and nothing else: a path or a method that
//! is not in the document is not answered, and a route that does not say who may use it stops the
//! start.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, Parameter, ParameterIn},
};

use super::{App, contract::TOKEN, gate::Barred, min_seq, problem::Problem};
use crate::{
    forward::AskedBy,
    principal::{Principal, Scope},
};

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Door {
    Public,
    Scoped(Scope),
}

/// One method of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    door: Door,
    /// Whether it knows any parameter of a query string.
    asks: bool,
}

/// Every route and who may use it.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// By path template, then by method.
    doors: BTreeMap<String, BTreeMap<&'static str, Route>>,
}

/// Why a document does not say who may use a route.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} {path} {why}")]
pub struct Unguarded {
    method: &'static str,
    path: String,
    why: &'static str,
}

impl Access {
    /// Reads the security of every operation.
    ///
    /// # Errors
    /// When one has none, or one that is neither public nor exactly one known scope.
    pub(super) fn of(document: &OpenApi) -> Result<Access, Unguarded> {
        let mut access = Access::default();
        for (path, item) in &document.paths.paths {
            let operations = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("OPTIONS", &item.options),
                ("HEAD", &item.head),
                ("PATCH", &item.patch),
                ("TRACE", &item.trace),
            ];
            let present = operations.into_iter().filter_map(|(m, o)| Some((m, o.as_ref()?)));
            let doors = access.doors.entry(path.clone()).or_default();
            for (method, operation) in present {
                let unguarded = |why| Unguarded { method, path: path.clone(), why };
                let mut parameters = operation.parameters.iter().flatten();
                let asks = parameters.any(in_query);
                doors.insert(method, Route { door: door(operation).map_err(unguarded)?, asks });
            }
        }
        Ok(access)
    }

    /// The methods of a path, for `Allow`.
    fn methods(&self, path: &str) -> String {
        let doors = self.doors.get(path).into_iter().flatten();
        let mut methods: Vec<_> = doors.map(|(method, _)| *method).collect();
        // Whoever may GET may HEAD.
        if methods.contains(&"GET") && !methods.contains(&"HEAD") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }
}

/// Whether a handler reads it from the query string. `min_seq` is not a handler's: `min_seq.rs` takes it out.
fn in_query(parameter: &RefOr<Parameter>) -> bool {
    let RefOr::T(Parameter { name, parameter_in: ParameterIn::Query, .. }) = parameter else {
        return false;
    };
    name != min_seq::NAME
}

fn door(operation: &Operation) -> Result<Door, &'static str> {
    let [requirement] = operation.security.as_deref().unwrap_or_default() else {
        return Err("does not say who may use it: security(()) or security((\"token\" = [SCOPE]))");
    };
    // The requirement's map is private; what it serialises to is not.
    let requirement = serde_json::to_value(requirement).unwrap_or_default();
    let Some(schemes) = requirement.as_object() else { return Err("has unreadable security") };
    if schemes.is_empty() {
        return Ok(Door::Public);
    }
    let scopes = schemes.get(TOKEN).and_then(|scopes| scopes.as_array());
    let Some([scope]) = scopes.map(Vec::as_slice).filter(|_| schemes.len() == 1) else {
        return Err("wants something other than one scope of a token");
    };
    let scope = scope.as_str().and_then(|text| text.parse().ok());
    scope.map(Door::Scoped).ok_or("names a scope that is none")
}

/// What the middleware works with.
pub(super) type Guard = (App, Arc<Access>);

/// Lets a request through to the route it is for, if whoever asks may use it.
pub(super) async fn authorize(
    State((app, access)): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) else {
        let what = "such path; GET /openapi.json lists them";
        return Problem::not_found(what).into_response();
    };
    let Some(doors) = access.doors.get(path) else {
        return Problem::not_found("such path in the contract").into_response();
    };
    let method = request.method();
    let heading = (method == Method::HEAD).then(|| doors.get("GET")).flatten();
    let Some(route) = doors.get(method.as_str()).or(heading) else {
        return wrong_method(&access.methods(path));
    };
    let stray = !route.asks && request.uri().query().is_some_and(min_seq::stands_not_alone);
    if let Door::Scoped(scope) = &route.door {
        let identified = match request.extensions().get::<AskedBy>() {
            // A server that is behind may not have read that tokens were made. This one has.
            Some(AskedBy { principal: Principal::Loopback, .. }) if app.gate.wants_tokens() => {
                Err(Barred::TokenWanted)
            }
            // Whoever was asked has counted it against its limit.
            Some(asked) => Ok(asked.principal.clone()),
            None => app.gate.identify(&request),
        };
        let principal = match identified {
            Ok(principal) if principal.may(scope) => principal,
            Ok(_) => return Barred::ScopeMissing(scope.clone()).into_response(),
            Err(barred) => return barred.into_response(),
        };
        if stray {
            return app.gate.watch(&principal, no_parameters());
        }
        request.extensions_mut().insert(principal.clone());
        return app.gate.watch(&principal, next.run(request).await);
    }
    if stray {
        return no_parameters();
    }
    next.run(request).await
}

fn no_parameters() -> Response {
    Problem::invalid("this path knows no parameters").into_response()
}

fn wrong_method(allowed: &str) -> Response {
    let detail = "this path does not take that method; Allow names those that it takes";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = problem.into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::{
        HttpMethod, PathItem, path::OperationBuilder, security::SecurityRequirement,
    };

    use super::*;
    use crate::http::contract::HANDLERS;

    fn with(security: &[SecurityRequirement]) -> OpenApi {
        let mut operation = OperationBuilder::new();
        for requirement in security {
            operation = operation.security(requirement.clone());
        }
        let mut document = OpenApi::default();
        let item = PathItem::new(HttpMethod::Get, operation.build());
        document.paths.paths.insert("/a".to_owned(), item);
        document
    }

    #[test]
    fn every_route_says_who_may_use_it() {
        let access = Access::of(&HANDLERS).expect("each operation has its door");
        assert_eq!(access.doors["/healthz"]["GET"].door, Door::Public);
        let append = Door::Scoped(Scope::EventsAppend(None));
        assert_eq!(access.doors["/api/v1/events"]["POST"].door, append);
        for (path, doors) in &access.doors {
            let guarded = doors.values().all(|route| route.door != Door::Public);
            let private = path.starts_with("/api/") || path == "/metrics";
            assert_eq!(private, guarded, "{path}");
        }
    }

    #[test]
    fn a_route_that_says_nothing_or_nonsense_is_refused() {
        let scope = |scheme: &str, scopes: &[&str]| {
            SecurityRequirement::new(scheme, scopes.iter().map(ToString::to_string))
        };
        let public = SecurityRequirement::default();
        let read = scope(TOKEN, &["events:read"]);
        for good in [&public, &read] {
            assert!(Access::of(&with(std::slice::from_ref(good))).is_ok());
        }
        let bad: [&[SecurityRequirement]; 6] = [
            &[],
            &[public.clone(), read.clone()],
            &[scope(TOKEN, &["events:write"])],
            &[scope(TOKEN, &[])],
            &[scope("key", &["events:read"])],
            &[scope(TOKEN, &["events:read", "admin"])],
        ];
        for security in bad {
            let refused = Access::of(&with(security)).expect_err("it is no door");
            assert!(refused.to_string().starts_with("GET /a "), "{refused}");
        }
    }
}
