//! A request's body, read up to the limit of one.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, StatusCode, header},
};

use super::Problem;
use crate::intake::BODY_SIZE_MAX;

/// How much of a body that is too large is read all the same. A connection closed while its client
/// still sends loses the answer that says why.
const DRAINED_SIZE_MAX: usize = 32 * BODY_SIZE_MAX;

/// How long a body may take. The largest then comes with 70 kB a second.
const BODY_WAIT_MAX: Duration = Duration::from_secs(30);

/// The whole body.
///
/// # Errors
/// When it is too large, too slow, or ended early.
pub(super) async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_WAIT_MAX, read(headers, body)).await.unwrap_or_else(|_| {
        let seconds = BODY_WAIT_MAX.as_secs();
        let detail = format!("the body was not there within {seconds} s; send it again");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail))
    })
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    // Such a client waits to be asked for its body, and is not asked for one that is too large.
    if headers.contains_key(header::EXPECT) && declared(headers) > BODY_SIZE_MAX {
        return Err(too_large());
    }
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Problem::invalid("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size <= BODY_SIZE_MAX {
            bytes.extend_from_slice(&data);
        } else if size > DRAINED_SIZE_MAX {
            break;
        }
    }
    if size > BODY_SIZE_MAX { Err(too_large()) } else { Ok(bytes.into()) }
}

fn declared(headers: &HeaderMap) -> usize {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn too_large() -> Problem {
    let detail = format!("a body has at most {BODY_SIZE_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}
