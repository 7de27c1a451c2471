//! Sentences about plans, flags, the ledger itself, and events about events.

use schemas::{
    Event,
    event::flag::{FlagChanged, FlagGate, FlagOperation, FlagRole},
};

use super::sentence::{because, party, target};

pub(super) fn sentence(event: &Event) -> Option<String> {
    plan(event).or_else(|| flag(event)).or_else(|| change(event)).or_else(|| ledger(event))
}

fn plan(event: &Event) -> Option<String> {
    Some(match event {
        Event::PlanImported(e) => format!("The plan was imported from {}.", e.file_name),
        Event::PlanRevised(e) => {
            let differences = match e.differences.len() {
                1 => "1 difference".to_owned(),
                count => format!("{count} differences"),
            };
            format!("The plan's revision {} was imported: {differences}.", e.revision)
        }
        Event::ReleaseDefined(e) => format!("The release was defined: {} ({}).", e.title, e.kind),
        _ => return None,
    })
}

fn flag(event: &Event) -> Option<String> {
    Some(match event {
        Event::FlagRegistered(e) => {
            let role = match e.role {
                FlagRole::Rollout => "rollout flag",
                FlagRole::KillSwitch => "kill switch",
                FlagRole::Prerequisite => "prerequisite",
                FlagRole::Guard => "guard",
            };
            format!("The flag {} belongs to the rollout as its {role}.", e.key)
        }
        Event::FlagRetired(e) => {
            format!("The flag {} was removed for good{}", e.key, because(e.reason.as_ref()))
        }
        Event::FlagChanged(e) => changed(e),
        Event::FlagDrifted(e) => {
            format!("The service {} says of the flag {} what no event explains.", e.service, e.key)
        }
        Event::SourceImported(e) => format!(
            "{} rows of {} in {} were recorded from {}.",
            e.recorded, e.service, e.environment, e.file_name
        ),
        _ => return None,
    })
}

fn changed(e: &FlagChanged) -> String {
    let (key, place) = (&e.key, &e.environment);
    let value = e.value.as_deref().unwrap_or_default();
    let percent = |of: &str| match (e.operation, value) {
        (FlagOperation::Enable, value) if !value.is_empty() => format!("set to {value} % of {of}"),
        _ => format!("set to 0 % of {of}"),
    };
    let on = e.operation == FlagOperation::Enable;
    let what = match (e.operation, e.gate) {
        (FlagOperation::Add, _) => "added, off".to_owned(),
        (FlagOperation::Remove, _) => "removed".to_owned(),
        (FlagOperation::Clear, _) => "turned off by clearing every gate".to_owned(),
        (_, None) => "touched without effect".to_owned(),
        (_, Some(FlagGate::Boolean)) if on => "turned on for everyone".to_owned(),
        (_, Some(FlagGate::Boolean)) => "turned off for everyone".to_owned(),
        (_, Some(FlagGate::PercentageOfActors)) => percent("actors"),
        (_, Some(FlagGate::PercentageOfTime)) => percent("the time"),
        (_, Some(FlagGate::Actor)) if on => "turned on for one actor".to_owned(),
        (_, Some(FlagGate::Actor)) => "turned off for one actor".to_owned(),
        (_, Some(FlagGate::Group)) if on => format!("turned on for the group {value}"),
        (_, Some(FlagGate::Group)) => format!("turned off for the group {value}"),
        (_, Some(FlagGate::Expression)) if on => "given an expression".to_owned(),
        (_, Some(FlagGate::Expression)) => "taken its expression".to_owned(),
    };
    format!("The flag {key} was {what} in {place}{}", because(e.reason.as_ref()))
}

fn change(event: &Event) -> Option<String> {
    Some(match event {
        Event::ValueConfirmed(e) => format!(
            "{} was confirmed by {} from {}.",
            capital(&target(&e.target)),
            party(&e.by),
            e.source
        ),
        Event::EventCorrected(e) => {
            format!("{} was corrected{}", capital(&target(&e.target)), because(Some(&e.reason)))
        }
        Event::EventWithdrawn(e) => {
            format!("{} was withdrawn{}", capital(&target(&e.target)), because(Some(&e.reason)))
        }
        Event::EventRedacted(e) => {
            format!("{} was erased by law{}", capital(&target(&e.target)), because(Some(&e.reason)))
        }
        Event::NoteAdded(e) => format!("Note{}", because(Some(&e.text))),
        _ => return None,
    })
}

fn ledger(event: &Event) -> Option<String> {
    Some(match event {
        Event::LedgerOpened(e) => format!("The ledger {} began.", e.origin),
        Event::LedgerSettingsChanged(e) => {
            format!("The setting {} became {}{}", e.setting, e.to, because(Some(&e.reason)))
        }
        Event::LedgerMoved(e) => format!("The ledger moved to {} {}.", e.to.kind, e.to.id),
        Event::LedgerTailCut(e) => format!(
            "{} bytes of an unfinished commit were cut off, kept as {}.",
            e.bytes, e.kept_as
        ),
        Event::LedgerClockStepped(e) => {
            format!("The clock was set from {} to {}{}", e.from, e.to, because(Some(&e.reason)))
        }
        Event::LedgerWriterOpened(e) => format!("A writer of version {} took over.", e.version),
        Event::TokenCreated(e) => format!("The token {} was made for {}.", e.token_id, e.for_whom),
        Event::TokenRevoked(e) => {
            format!("The token {} was revoked{}", e.token_id, because(e.reason.as_ref()))
        }
        _ => return None,
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
