//! What the cluster does not let this user do: beside its refusal, the command by which an administrator allows it.

use std::{error::Error, fmt, io};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::{
    address::{KafkaAddress, KafkaOptions},
    client::GROUP,
};
use crate::log::LogError;

/// What is being done with a topic, which tells what all it takes.
#[derive(Clone, Copy)]
pub(super) enum Access<'a> {
    /// Making it.
    Make,
    /// Appending to it, with this transactional id, if it is known.
    Write(Option<&'a str>),
    /// Following it.
    Read,
}

/// A refusal, and the way out.
#[derive(Debug)]
struct Denied {
    error: KafkaError,
    allow: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; an administrator of the cluster allows it by typing: {}",
            self.error, self.allow
        )
    }
}

impl Error for Denied {}

/// For `map_err`: names the access that is missing, if that is what is wrong.
pub(super) fn named(
    address: &KafkaAddress,
    options: &KafkaOptions,
    access: Access<'_>,
) -> impl FnOnce(LogError) -> LogError {
    move |error| {
        let denied = |source| denied(source, address, options, access);
        match error {
            LogError::Unavailable { doing, source } => {
                LogError::Unavailable { doing, source: denied(source) }
            }
            LogError::InDoubt(Some(source)) => LogError::InDoubt(Some(denied(source))),
            other => other,
        }
    }
}

fn denied(
    source: io::Error,
    address: &KafkaAddress,
    options: &KafkaOptions,
    access: Access<'_>,
) -> io::Error {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<KafkaError>());
    let Some(error) = inner.cloned() else { return source };
    let resource = error.rdkafka_error_code().and_then(|code| resource(code, address, access));
    let Some(resource) = resource else { return source };
    let user = options.properties.iter().rev().find(|(name, _)| name == "sasl.username");
    // With certificates, the user is the subject's name in the one that the client shows.
    let user = user.map_or("PRINCIPAL", |(_, user)| user);
    let allow = format!(
        "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:{user} {resource}",
        address.brokers()
    );
    io::Error::new(source.kind(), Denied { error, allow })
}

/// All that is needed of what was refused, as `kafka-acls.sh` takes it.
fn resource(code: Code, address: &KafkaAddress, access: Access<'_>) -> Option<String> {
    let topic = address.topic();
    Some(match (code, access) {
        (Code::TopicAuthorizationFailed, Access::Make) => {
            format!(
                "--operation Create --operation Describe --operation DescribeConfigs --topic {topic}"
            )
        }
        (Code::TopicAuthorizationFailed, Access::Write(_)) => {
            format!(
                "--operation Read --operation Write --operation DescribeConfigs --topic {topic}"
            )
        }
        (Code::TopicAuthorizationFailed, Access::Read) => {
            format!("--operation Read --topic {topic}")
        }
        (Code::GroupAuthorizationFailed, _) => format!("--operation Read --group {GROUP}"),
        (Code::TransactionalIdAuthorizationFailed, Access::Write(Some(id))) => {
            format!("--operation Write --transactional-id {id}")
        }
        _ => return None,
    })
}
