//! `/problems`: what each problem's `code` means and what to do, as the `type` of a problem says.

use axum::response::Response;

use super::{Named, Problem, docs::page_of};

/// A code, its status, what it means, what to do.
type Known = (&'static str, u16, &'static str, &'static str);

/// Every code that is ever answered. A code never changes its meaning.
pub(super) const KNOWN: &[Known] = &[
    (
        "disbelieved",
        401,
        "The request says that another server of this ledger passes it on, and is not signed so, or came before.",
        "Ask without those headers. Between servers: compare their keys/ directories and their clocks.",
    ),
    (
        "no_writer",
        503,
        "This server is not the ledger's writer, and none is known or could be reached. Nothing was recorded.",
        "Send the same again after Retry-After seconds: another server takes over.",
    ),
    (
        "log_unreachable",
        503,
        "The brokers have not answered this server for a while, so its answers may be old. Only /readyz says so.",
        "See the server's log; answers name the state they were computed at.",
    ),
    (
        "not_there_yet",
        503,
        "The entry of min_seq is not taken into account yet.",
        "Ask again, or without min_seq.",
    ),
    (
        "headers_too_large",
        431,
        "There are more than 64 headers, or they and the target are over 16 KiB.",
        "Send less of them.",
    ),
    (
        "rate_limited",
        429,
        "Too many requests of one token, or too many failed attempts of one address.",
        "Wait the seconds that Retry-After says.",
    ),
    (
        "read_only_address",
        405,
        "This address only reads.",
        "Send what records to the server's other address.",
    ),
    (
        "request_timeout",
        408,
        "The body or the answer took too long.",
        "If it records, send the same again: it is recorded once.",
    ),
    (
        "scope_missing",
        403,
        "The token does not give the scope that the path wants, or may not write this type of event.",
        "Have a token made with the scope that /docs names for the path.",
    ),
    (
        "source_not_allowed",
        403,
        "The event's source is not one that the token may write as.",
        "Write as one of the token's sources, or have another token made.",
    ),
    ("token_expired", 401, "The token has expired.", "Have another one made."),
    ("token_revoked", 401, "The token was revoked.", "Have another one made."),
    (
        "token_wanted",
        401,
        "No token was shown, and one is wanted.",
        "Send Authorization: Bearer and the token.",
    ),
    (
        "tokens_unreadable",
        503,
        "The server's file of tokens is damaged, so nobody is let in.",
        "Whoever runs the server finds the reason in its log.",
    ),
    (
        "too_many_connections",
        503,
        "As many connections are open as may be.",
        "Close some, or try again after Retry-After seconds.",
    ),
    (
        "ahead_of_log",
        409,
        "A stream was to go on after an entry that the log does not hold.",
        "Ask with a seq that the log holds; if it held that entry before, the ledger was put back from an older backup.",
    ),
    (
        "busy",
        503,
        "Too many submissions wait to be recorded.",
        "Send the same again after Retry-After seconds.",
    ),
    (
        "catching_up",
        503,
        "The views have not read all of the log yet. Only /readyz says so.",
        "Wait; questions are answered meanwhile, and name the state they were answered from.",
    ),
    (
        "commands_only",
        403,
        "Only commands that can read the server's serve.json, and tokens that may administer, do this.",
        "Use the command on the machine of the server, such as rollout-ledger views diff.",
    ),
    (
        "conflict",
        409,
        "The source and id belong to an event with other content. Nothing was recorded.",
        "Give a new event a new id. To change what is recorded, record a correction.",
    ),
    (
        "foreign_host",
        421,
        "The host or origin asked for is not a name of this machine.",
        "Ask for 127.0.0.1, [::1] or localhost.",
    ),
    (
        "in_doubt",
        502,
        "It is not known whether the event was recorded.",
        "Send the same again: it is recorded once.",
    ),
    (
        "internal",
        500,
        "Something went wrong inside.",
        "The server's log says what, beside the request_id.",
    ),
    (
        "invalid_event",
        422,
        "The event does not fit the schema of its type.",
        "See pointer for the place and /schemas for the schema.",
    ),
    (
        "invalid_request",
        400,
        "A parameter, an id, a cursor or the body cannot be read.",
        "See detail, and /docs for what the path takes.",
    ),
    ("method_not_allowed", 405, "The path does not take this method.", "See the header Allow."),
    (
        "not_found",
        404,
        "There is no such path, rollout, entry or other thing.",
        "See detail for where to look.",
    ),
    (
        "not_json",
        400,
        "The body is no JSON that can be recorded: no fractions, no integers past 2^53 - 1, no name twice, no lone surrogates.",
        "Correct the body.",
    ),
    (
        "not_recording",
        503,
        "Recording has stopped. Only /readyz says so.",
        "Start the server again; its log says what happened.",
    ),
    (
        "own_door",
        403,
        "Only the ledger's own commands write events of this type.",
        "Use the command that does.",
    ),
    (
        "personal_data",
        422,
        "Something looks like personal data: an e-mail address, a social security number, a phone number.",
        "Name staff by account id, and leave users out. The value is not repeated anywhere.",
    ),
    (
        "refused",
        422,
        "What was asked for is refused by a rule.",
        "See detail for the rule and the way out.",
    ),
    (
        "space_low",
        503,
        "The disk of the log is nearly full, so nothing is recorded. Questions are answered.",
        "Whoever runs the server makes room; send the same again after Retry-After seconds.",
    ),
    (
        "too_large",
        413,
        "The body, the event or the number of events is too large.",
        "Send less at once.",
    ),
    (
        "too_many_subscribers",
        503,
        "Too many streams are open.",
        "Try again after Retry-After seconds.",
    ),
    ("unavailable", 503, "Not available now.", "Try again after Retry-After seconds."),
    (
        "unsupported_media_type",
        415,
        "The content type is missing or not one that can be recorded.",
        "Say application/json, application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson.",
    ),
    (
        "verifying",
        503,
        "The whole log is being verified since the start. Only /readyz says so.",
        "Wait.",
    ),
    (
        "wrong_token",
        401,
        "The token is not known.",
        "Show the right one, or none where none is needed.",
    ),
];

/// Whether a code has its page.
pub(super) fn known(code: &str) -> bool {
    KNOWN.iter().any(|known| known.0 == code)
}

/// Every code of a problem, and what it means.
#[utoipa::path(
    get,
    path = "/problems",
    tag = "contract",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
    security(())
)]
pub(super) async fn list() -> Response {
    let row = |(code, status, meaning, _): &Known| {
        format!(
            "<tr><th scope=row><a href=\"/problems/{code}\">{code}</a><td>{status}<td>{meaning}"
        )
    };
    let mut sorted: Vec<_> = KNOWN.iter().collect();
    sorted.sort_unstable();
    let rows: String = sorted.into_iter().map(row).collect();
    let head = "<tr><th scope=col>Code<th scope=col>Status<th scope=col>Meaning";
    page_of(
        "Problems",
        &format!(
            "<div class=wide tabindex=0 role=region aria-label=Problems><table><thead>{head}<tbody>{rows}</table></div>"
        ),
    )
}

/// What one code means and what to do.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "contract",
    params(("code" = String, Path, description = "A problem's code", example = "not_found")),
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
    security(())
)]
pub(super) async fn show(Named(code): Named) -> Result<Response, Problem> {
    let known = KNOWN.iter().find(|known| known.0 == code);
    let (code, status, meaning, way_out) =
        known.ok_or_else(|| Problem::not_found("such problem; GET /problems lists them"))?;
    let body = format!(
        "<p>Status {status}. {meaning}<h2>What to do</h2><p>{way_out}<p><a href=\"/problems\">All problems</a>"
    );
    Ok(page_of(code, &body))
}
