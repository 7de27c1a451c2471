//! One row as an event, without anyone's address.

use projector::flag_state::percentage;
use schemas::{
    CloudEvent, FlagKey,
    event::flag::{FlagChanged, FlagGate, FlagOperation},
    id::Instant,
    values::{Actor, ActorKind, Basis},
};

use super::{Origin, Privacy};
use crate::flags::{holds_address, read::Row};

/// Longest value that is recorded, in bytes. Only expressions are longer than a line.
const VALUE_SIZE_MAX: usize = 16 << 10;

/// How the service's database and its clients write true and false. Which of them it is decides
/// nothing: the operation does.
const BOOLEANS: [&str; 6] = ["t", "f", "true", "false", "1", "0"];

/// What the source says when it does not tell who changed a flag: the change was not made through
/// the service's web page. Nothing more is known.
const NOT_VIA_UI: &str = "not_via_ui";

/// The event of a row, or the rule that refuses the row.
pub(super) fn of_row(row: &Row, origin: &Origin, privacy: &Privacy) -> Result<CloudEvent, String> {
    if let Some(rule) = finding(&row.feature_name, privacy) {
        return Err(format!("feature_name:{rule}"));
    }
    let key: FlagKey = row.feature_name.parse().map_err(|_| "feature_name:not_a_flag_key")?;
    let operation = word(FlagOperation::ALL, FlagOperation::as_str, &row.operation)
        .ok_or("unknown_operation")?;
    let gate = match row.gate_name.as_deref() {
        None => None,
        Some(name) => Some(word(FlagGate::ALL, FlagGate::as_str, name).ok_or("unknown_gate")?),
    };
    let value = value(row, operation, gate, privacy)?;
    let time = Instant::from_micros(row.created_at_us).map_err(|_| "created_at:out_of_range")?;
    let change = FlagChanged {
        key,
        operation,
        gate,
        value,
        before: None,
        after: None,
        service: origin.service.clone(),
        environment: origin.environment.clone(),
        platform: None,
        row: Some(row.id),
        reason: None,
        basis: Basis::Observed,
        actor: Some(actor(row, privacy)),
        occurrence: None,
        evidence: Vec::new(),
        plan: None,
        note: None,
    };
    Ok(CloudEvent {
        id: row.id.to_string(),
        source: origin.source(),
        subject: None,
        time: Some(time),
        event: change.event(),
    })
}

fn word<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|word| name(*word) == text)
}

fn finding(text: &str, privacy: &Privacy) -> Option<String> {
    if holds_address(text) { Some("email".to_owned()) } else { (privacy.guard)(text) }
}

/// Values that are people become pseudonyms; words and numbers of the service stay as written;
/// other text stays when it belongs to its gate and names nobody. Refused is only what leaves the
/// flag's state unknown.
fn value(
    row: &Row,
    operation: FlagOperation,
    gate: Option<FlagGate>,
    privacy: &Privacy,
) -> Result<Option<String>, String> {
    let Some(value) = row.value.as_deref() else { return Ok(None) };
    if value.len() > VALUE_SIZE_MAX {
        return Err("value:too_long".to_owned());
    }
    let kept = match gate {
        Some(FlagGate::Boolean) => BOOLEANS.contains(&value.trim().to_lowercase().as_str()),
        Some(FlagGate::PercentageOfActors | FlagGate::PercentageOfTime) => {
            let number = percentage(Some(value)).is_some();
            if operation == FlagOperation::Enable && !number {
                return Err("value:not_a_percentage".to_owned());
            }
            number
        }
        Some(FlagGate::Group | FlagGate::Expression) => finding(value, privacy).is_none(),
        Some(FlagGate::Actor) | None => false,
    };
    Ok(Some(if kept { value.to_owned() } else { privacy.key.pseudonym(value) }))
}

fn actor(row: &Row, privacy: &Privacy) -> Actor {
    let Some(user) = &row.user else {
        let reason_unknown = Some(NOT_VIA_UI.to_owned());
        return Actor { id: None, kind: ActorKind::Unknown, reason_unknown };
    };
    let account = privacy.staff.account(user).map(str::to_owned);
    let id = account.unwrap_or_else(|| privacy.key.pseudonym(user));
    Actor { id: Some(id), kind: ActorKind::Person, reason_unknown: None }
}
