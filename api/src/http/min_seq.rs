//! `?min_seq=N` on every path that reads: who recorded something finds it, whichever process asks.
//!
//! It is taken out of the query string before a handler sees it, so a new path has it too.

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, Uri, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    OpenApi, RefOr, Type,
    path::{ParameterBuilder, ParameterIn},
    schema::ObjectBuilder,
};

use super::{App, Problem};
use crate::filter;

pub(super) const NAME: &str = "min_seq";

/// What the paths that read begin with.
const READ: &str = "/api/v1/";

/// Names it in the contract, under every path that it is understood of.
pub(super) fn describe(document: &mut OpenApi) {
    let paths = document.paths.paths.iter_mut();
    let reads =
        paths.filter(|(path, _)| path.starts_with(READ)).filter_map(|(_, p)| p.get.as_mut());
    for operation in reads {
        let parameter = ParameterBuilder::new()
            .name(NAME)
            .parameter_in(ParameterIn::Query)
            .description(Some(
                "Answer only once this entry is taken into account; 503 if it is not there in 5 s",
            ))
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build()))
            .build();
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
    }
}

/// Whether a query string has any other parameter.
pub(super) fn stands_not_alone(query: &str) -> bool {
    query.split('&').any(|pair| !pair.is_empty() && pair.split('=').next() != Some(NAME))
}

/// Lets a question through once the views hold the entry that it names.
pub(super) async fn wait(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let asks = [Method::GET, Method::HEAD].contains(request.method());
    let reads = asks && request.uri().path().starts_with(READ);
    if !reads {
        return next.run(request).await;
    }
    match taken(request.uri()) {
        Ok(None) => {}
        Ok(Some((seq, uri))) => {
            if !app.facts.reaches(seq).await {
                let detail = "the entry of min_seq is not there yet; ask again, or without min_seq";
                let code = "not_there_yet";
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).into_response();
            }
            *request.uri_mut() = uri;
        }
        Err(problem) => return problem.into_response(),
    }
    next.run(request).await
}

/// The seq that is asked for, and the address without it.
fn taken(uri: &Uri) -> Result<Option<(u64, Uri)>, Problem> {
    let Some(query) = uri.query() else { return Ok(None) };
    let is_ours = |pair: &&str| pair.split('=').next() == Some(NAME);
    let ours: Vec<&str> = query.split('&').filter(is_ours).collect();
    let [pair] = ours[..] else {
        if ours.is_empty() {
            return Ok(None);
        }
        return Err(Problem::invalid("min_seq stands twice and takes one value"));
    };
    let seq = filter::number(NAME, pair.split_once('=').map_or("", |(_, value)| value))?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
    let place = match rest[..] {
        [] => uri.path().to_owned(),
        _ => format!("{}?{}", uri.path(), rest.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    let place = PathAndQuery::try_from(place);
    parts.path_and_query = Some(place.expect("a part of a query string is one"));
    Ok(Some((seq, Uri::from_parts(parts).expect("a shorter address is one"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_out_and_the_rest_stays() {
        let rows = [
            ("/api/v1/events", None),
            ("/api/v1/events?type=a&limit=3", None),
            ("/api/v1/events?min_seq=7", Some((7, "/api/v1/events"))),
            ("/api/v1/events?a=1&min_seq=7&b=%20", Some((7, "/api/v1/events?a=1&b=%20"))),
        ];
        for (uri, expected) in rows {
            let expected = expected.map(|(seq, rest)| (seq, rest.parse().unwrap()));
            assert_eq!(taken(&uri.parse().unwrap()).unwrap(), expected, "{uri}");
        }
        for uri in ["/x?min_seq=", "/x?min_seq=-1", "/x?min_seq", "/x?min_seq=1&min_seq=2"] {
            assert!(taken(&uri.parse().unwrap()).is_err(), "{uri}");
        }
    }
}
