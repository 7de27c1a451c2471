//! Small hands for JSON values: read a place, set a member.

use serde_json::Value;

/// The text at an RFC 6901 place.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Sets a member of an object. Anything that is no object stays as it is.
pub(crate) fn set(value: &mut Value, key: &str, member: impl Into<Value>) {
    if let Some(members) = value.as_object_mut() {
        members.insert(key.to_owned(), member.into());
    }
}
