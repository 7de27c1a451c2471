#!/usr/bin/env python3
"""Follows a rollout ledger's topic on Apache Kafka, checks every entry, and keeps its place in a file.

    kafka_consumer.py BROKERS TOPIC STATE [--until SEQ]

Needs Python 3.9 and the packages blake3 and confluent-kafka; written from docs/FORMAT.md and
docs/KAFKA.md alone. KAFKA_PROPERTIES names a file with more settings of librdkafka, such as
sasl.password. Prints a line for each entry. Exit 0 at --until and where the ledger moved to another
topic, 3 when the chain does not hold, 1 when asked wrongly, there is no such topic, or the cluster
refuses it.
"""

import hashlib
import json
import os
import sys

from blake3 import blake3
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

CONTEXT = "rollout-ledger 2026-11 entry v1"
# Seconds without a record after which the last entry that was read counts as the topic's end.
QUIET = 5
# What trying again does not mend.
REFUSED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
)


class Broken(Exception):
    """What is on the topic does not hold. Trying again cannot help."""


def header_of(record):
    ours = [bytes(value or b"") for name, value in record.headers() or [] if name == "ledger-header"]
    if len(ours) != 1 or len(ours[0]) != 81 or ours[0][0] != 1:
        raise Broken(f"offset {record.offset()}: not one ledger-header of a known version")
    return ours[0]


def hash_of(header):
    return blake3(header, derive_key_context=CONTEXT).hexdigest()


def check(record, before):
    """The place of a record that follows the one before, and its event's type."""
    offset, value, header = record.offset(), record.value(), header_of(record)
    seq, time = int.from_bytes(header[1:9], "big"), int.from_bytes(header[9:17], "big")
    if seq != before["seq"] + 1 or header[17:49].hex() != before["hash"]:
        raise Broken(f"offset {offset}: entry {seq} does not follow entry {before['seq']}")
    if value is None:
        raise Broken(f"offset {offset}: a null value, which a ledger never writes")
    erased = any(name == "ledger-erased" for name, _ in record.headers())
    if erased != (value == b""):
        raise Broken(f"offset {offset}: erased, and a value all the same, or the reverse")
    if not erased and hashlib.sha256(value).digest() != header[49:81]:
        raise Broken(f"offset {offset}: the value is not the one that was recorded")
    kind = "(erased)" if erased else json.loads(value)["type"]
    if time < before["time"] and kind != "rollout.ledger.clock_stepped.v1":
        raise Broken(f"offset {offset}: entry {seq} is older than the one before it")
    return {"offset": offset, "seq": seq, "hash": hash_of(header), "time": time}, kind


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def store(path, place):
    """Either the old place or the new one is there, whatever happens."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(place, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    directory = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def settings(brokers):
    found = {}
    if "KAFKA_PROPERTIES" in os.environ:
        with open(os.environ["KAFKA_PROPERTIES"], encoding="utf-8") as file:
            lines = (line.strip() for line in file)
            found = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    return found | {
        "bootstrap.servers": brokers,
        "group.id": "ledger-reader",  # asked for, and never used: the place is in our own file
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # an offset that is gone is an alarm, and no reason to begin again
        "check.crcs": True,
        "allow.auto.create.topics": False,
    }


def records(consumer, topic, offset):
    """Every committed record from an offset on, and None for each second without one."""
    consumer.assign([TopicPartition(topic, 0, offset)])
    while True:
        record = consumer.poll(1.0)
        if record is None:
            yield None
            continue
        error = record.error()
        if error is None:
            yield record
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise Broken(f"the topic has no offset {offset}; it was cut, or made anew")
        elif error.code() in REFUSED:
            raise KafkaException(error)
        # Everything else, such as a broker that is away, librdkafka tries again by itself.


def moved_to(record, here):
    """The home that a record names in the place of the one that is read, if it does."""
    event = json.loads(record.value() or b"{}")
    if event.get("type") != "rollout.ledger.moved.v1":
        return None
    to = event["data"]["to"]
    # The next topic holds this entry too, and is what it names.
    return None if (to["kind"], to["id"]) == ("topic", here) else f"{to['kind']} {to['id']}"


def follow(brokers, topic, path, until):
    place, again = load(path), False
    if place and until is not None and place["seq"] >= until:
        return
    consumer = Consumer(settings(brokers))
    found = consumer.list_topics(topic, timeout=30)
    if found.topics[topic].error is not None:
        raise KafkaException(found.topics[topic].error)
    here, quiet, moved = f"{found.cluster_id}/{topic}", 0, None
    if place:
        again = True
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        if end <= place["offset"]:
            raise Broken(f"the topic ends at offset {end}, and offset {place['offset']} was read")
    place = place or {"offset": 0, "seq": -1, "hash": "0" * 64, "time": 0}
    for record in records(consumer, topic, place["offset"]):
        if record is None:
            quiet += 1
            if moved and quiet >= QUIET:
                print(f"the ledger moved to {moved}: go on there", file=sys.stderr)
                return
            continue
        quiet = 0
        if again:
            # The last record that was checked is read once more: it must still be there.
            if (record.offset(), hash_of(header_of(record))) != (place["offset"], place["hash"]):
                raise Broken(f"offset {place['offset']} does not hold the entry that was read there")
            again, moved = False, moved_to(record, here)
            continue
        place, kind = check(record, place)
        moved = moved_to(record, here)
        # Here is your work. If it and the place are stored together, nothing is done twice.
        print(place["seq"], place["hash"], kind, flush=True)
        store(path, place)
        if place["seq"] == until:
            return


def main():
    arguments = sys.argv[1:]
    until = None
    if len(arguments) == 5 and arguments[3] == "--until":
        until = int(arguments[4])
    elif len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        follow(*arguments[:3], until)
    except Broken as e:
        print(f"error: {e}; keep what you have and call a person", file=sys.stderr)
        return 3
    except (KafkaException, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
