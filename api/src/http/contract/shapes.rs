//! The shape of every answer, from the types that are serialised.

use projector::{
    deviations::Deviations, report::Report, rollout::stages::Stages, timeline::Row,
    views::RolloutRow,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use schemas::{
    FlagKey, RolloutId,
    canonical::INTEGER_MAX,
    event::{Door, TYPES},
};
use serde_json::{Map, Value, json};

use crate::{
    answers::{Answer, AsOf, RolloutPage},
    flags::FlagShown,
    http::{
        events::Receipts,
        health::{Alive, Ready},
        pages::{EventAnswer, EventPage},
        problem::Document,
        published::SchemaList,
        rollouts::CheckpointsAndSnapshots,
        timeline::Standing,
        views::{ViewsDiff, ViewsRebuilt},
    },
    scheduler::Due,
};

/// Every schema that operations refer to, by name.
pub(super) fn all() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut shapes = Map::new();
    macro_rules! shape {
        ($($name:literal: $type:ty,)*) => {
            $(shapes.insert($name.to_owned(), <$type>::json_schema(&mut generator).to_value());)*
        };
    }
    shape! {
        "AsOf": AsOf,
        "RolloutList": Answer<Vec<RolloutRow>>,
        "RolloutAnswer": Answer<RolloutPage>,
        "StagesAnswer": Answer<Stages>,
        "CheckpointsAnswer": Answer<CheckpointsAndSnapshots>,
        "TimelineAnswer": Answer<Vec<Row>>,
        "StandingAnswer": Answer<Standing<'static>>,
        "RolloutId": RolloutId,
        "FlagKey": FlagKey,
        "DeviationsAnswer": Answer<Deviations>,
        "ReportAnswer": Answer<Report>,
        "FlagAnswer": Answer<FlagShown>,
        "EventPage": EventPage,
        "EventAnswer": EventAnswer,
        "Receipts": Receipts,
        "Problem": Document,
        "Alive": Alive,
        "Ready": Ready,
        "ViewsDiff": ViewsDiff,
        "ViewsRebuilt": ViewsRebuilt,
        "SchemaList": SchemaList,
        "ScheduleAnswer": Answer<Due>,
    }
    // What a name above stands for already wins: both say the same.
    for (name, schema) in generator.take_definitions(true) {
        shapes.entry(name).or_insert(schema);
    }
    shapes.extend(submissions());
    let schema = json!({ "type": "object", "$comment": "A JSON Schema of draft 2020-12" });
    shapes.insert("JsonSchema".to_owned(), schema);
    let answer = json!({
        "type": "object",
        "required": ["data", "as_of"],
        "properties": { "data": true, "as_of": { "$ref": "#/components/schemas/AsOf" } },
    });
    shapes.insert("SomeAnswer".to_owned(), answer);
    let openapi = json!({ "type": "object", "required": ["openapi", "info", "paths"] });
    shapes.insert("OpenApi".to_owned(), openapi);
    shapes
}

/// What may be sent. The whole rule for one type's `data` is its own schema, `/schemas/TYPE.json`.
fn submissions() -> [(String, Value); 4] {
    let open = TYPES.iter().filter(|t| t.door == Door::Open);
    let types: Vec<_> = open.map(|t| t.name).collect();
    let text = |max: usize| {
        let printable = r"^[^\u0000-\u001f\u007f-\u009f]*$";
        json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": printable })
    };
    let event = json!({
        "type": "object",
        "description": "One event. Its data fits the schema of its type, /schemas/TYPE.json.",
        "required": ["specversion", "id", "source", "type", "data"],
        "additionalProperties": false,
        "properties": {
            "specversion": { "const": "1.0" },
            "id": text(schemas::envelope::ID_LEN_MAX),
            "source": text(schemas::envelope::SOURCE_LEN_MAX),
            "type": { "enum": types },
            "subject": { "type": "string", "description": "The rollout's id", "pattern": "^[a-z0-9-]{1,64}$" },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "type": "string" },
            "data": { "type": "object", "additionalProperties": { "$ref": "#/components/schemas/Recordable" } },
        },
    });
    let value = json!({ "$ref": "#/components/schemas/Recordable" });
    let recordable = json!({
        "description": "JSON without fractions and without integers past 2^53 - 1",
        "anyOf": [
            { "type": ["null", "boolean", "string"] },
            { "type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX },
            { "type": "array", "items": value },
            { "type": "object", "additionalProperties": value },
        ],
    });
    let one = json!({ "$ref": "#/components/schemas/NewEvent" });
    let several = json!({
        "type": "array", "items": one, "minItems": 1, "maxItems": ledger::BATCH_LEN_MAX,
    });
    let either = json!({ "anyOf": [one, { "$ref": "#/components/schemas/NewEvents" }] });
    [
        ("Recordable".to_owned(), recordable),
        ("NewEvent".to_owned(), event),
        ("NewEvents".to_owned(), several),
        ("Submission".to_owned(), either),
    ]
}
