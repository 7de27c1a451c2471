#!/usr/bin/env python3
"""Checks docs/asyncapi.yaml: against AsyncAPI's own schema, and against what is on a topic.

    asyncapi.py SCHEMA                      the document is one of AsyncAPI 3.0
    asyncapi.py SCHEMA BROKERS TOPIC        and every record of the topic is one of its messages

Prints how many records each message of the topic had, as one JSON object. Exit 1 says what does not fit.
"""

import json
import pathlib
import sys

import jsonschema_rs
import yaml

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


def resolve(document, value):
    """The value with all references followed: inside of the document, and to files beside it."""
    if isinstance(value, list):
        return [resolve(document, part) for part in value]
    if not isinstance(value, dict):
        return value
    if "$ref" not in value:
        return {name: resolve(document, part) for name, part in value.items()}
    target = value["$ref"]
    if not target.startswith("#/"):
        return json.loads((DOCS / target).read_text(encoding="utf-8"))
    found = document
    for name in target[2:].split("/"):
        found = found[name]
    return resolve(document, found)


def messages(document):
    """Each message of the channel with the traits that it has merged in, as AsyncAPI says."""
    found = {}
    for name, message in resolve(document, document["channels"]["ledger"]["messages"]).items():
        whole = {}
        for trait in message.pop("traits", []):
            whole |= trait
        found[name] = whole | message
    return found


def validators(message):
    payload = message["payload"]
    parts = {"headers": message["headers"], "key": message["bindings"]["kafka"]["key"]}
    parts["payload"] = payload.get("schema", payload)
    return {part: jsonschema_rs.validator_for(schema) for part, schema in parts.items()}


def read(brokers, topic):
    """Every committed record, by a client that knows nothing of us."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "asyncapi",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    # A message without a value counts as false.
    while (record := consumer.poll(30.0)) is not None:
        if record.error() is None:
            yield record
        elif record.error().code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise SystemExit(str(record.error()))
    raise SystemExit("the broker does not answer")


def fits(record, known):
    """The name of the message that a record is."""
    headers = {name: value.decode("latin-1") for name, value in record.headers()}
    assert len(headers) == len(record.headers()), "a header is repeated"
    name = "erased" if "ledger-erased" in headers else headers["type"]
    value = record.value()
    event = "" if name == "erased" else json.loads(value)
    assert (name == "erased") == (value == b""), f"{name}: {value!r}"
    known[name]["headers"].validate(headers)
    known[name]["key"].validate(record.key().decode())
    known[name]["payload"].validate(event)
    if event:
        # What is said of the copies.
        assert headers["type"] == event["type"] and headers.get("rollout") == event.get("subject")
        assert record.key().decode() == event.get("subject", record.key().decode())
    return name


def settings(brokers, topic, wanted):
    """The topic is as the channel's binding says; a test has one broker, so of replicas nothing is asked."""
    from confluent_kafka.admin import AdminClient, ConfigResource

    admin = AdminClient({"bootstrap.servers": brokers})
    partitions = admin.list_topics(topic).topics[topic].partitions
    assert len(partitions) == wanted["partitions"], partitions
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    found = admin.describe_configs([resource])[resource].result(30)
    for name, value in wanted["topicConfiguration"].items():
        value = ",".join(value) if isinstance(value, list) else str(value)
        assert found[name].value == value, f"{name}: {found[name].value}, not {value}"


def main():
    schema, *topic = sys.argv[1:]
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    official = json.loads(pathlib.Path(schema).read_text(encoding="utf-8"))
    errors = [f"{e.instance_path}: {e.message}" for e in jsonschema_rs.validator_for(official).iter_errors(document)]
    if errors:
        raise SystemExit("\n".join(errors))
    # Every reference leads somewhere, and every schema can be used.
    known = {name: validators(message) for name, message in messages(document).items()}
    files = {path.stem for path in (DOCS / "../schemas/json").glob("*.json")}
    assert set(known) == files | {"erased"}, set(known) ^ (files | {"erased"})
    assert set(document["components"]["messages"]) == set(known)
    seen = {}
    if topic:
        settings(*topic, document["channels"]["ledger"]["bindings"]["kafka"])
        for record in read(*topic):
            name = fits(record, known)
            seen[name] = seen.get(name, 0) + 1
    print(json.dumps(seen, sort_keys=True))


if __name__ == "__main__":
    main()
