#!/usr/bin/env python3
"""Checks the records that follow.sh pipes from kcat, and keeps the place in a file.

    check.py TOPIC STATE --from            prints the offset to read from
    check.py TOPIC STATE [--until SEQ]     reads records, prints `SEQ HASH TYPE` for each that holds

Exit 0 at --until and where the ledger moved to another topic, 3 when the chain does not hold, 4 when
the input ends before.
"""

import hashlib
import json
import os
import signal
import sys

from blake3 import blake3

# Seconds without a record after which the last entry that was read counts as the topic's end.
QUIET = 5
START = {"offset": 0, "seq": -1, "hash": "0" * 64, "time": 0}


class Broken(Exception):
    """What is on the topic does not hold. Trying again cannot help."""


def records(lines):
    """Offset, value (None if null) and headers of each record.

    kcat escapes what JSON must escape and passes all other bytes on as they are, whether they are UTF-8
    or not. So each is read as one character of Latin-1, and becomes the same byte again."""
    for line in lines:
        try:
            record = json.loads(line.decode("latin-1"))
        except ValueError:
            raise EOFError from None  # cut off in the middle: kcat has ended
        value, flat = record["payload"], record.get("headers", [])
        content = [b"" if part is None else part.encode("latin-1") for part in flat]
        headers = list(zip(content[::2], content[1::2]))
        yield record["offset"], None if value is None else value.encode("latin-1"), headers


def header_of(offset, headers):
    ours = [value for name, value in headers if name == b"ledger-header"]
    if len(ours) != 1 or len(ours[0]) != 81 or ours[0][0] != 1:
        raise Broken(f"offset {offset}: not one ledger-header of a known version")
    return ours[0]


def hash_of(header):
    return blake3(header, derive_key_context="rollout-ledger 2026-11 entry v1").hexdigest()


def check(offset, value, headers, before):
    """The place of a record that follows the one before, and its event's type."""
    header = header_of(offset, headers)
    seq, time = int.from_bytes(header[1:9], "big"), int.from_bytes(header[9:17], "big")
    if seq != before["seq"] + 1 or header[17:49].hex() != before["hash"]:
        raise Broken(f"offset {offset}: entry {seq} does not follow entry {before['seq']}")
    if value is None:
        raise Broken(f"offset {offset}: a null value, which a ledger never writes")
    erased = any(name == b"ledger-erased" for name, _ in headers)
    if erased != (value == b""):
        raise Broken(f"offset {offset}: erased, and a value all the same, or the reverse")
    if not erased and hashlib.sha256(value).digest() != header[49:81]:
        raise Broken(f"offset {offset}: the value is not the one that was recorded")
    kind = "(erased)" if erased else json.loads(value)["type"]
    if time < before["time"] and kind != "rollout.ledger.clock_stepped.v1":
        raise Broken(f"offset {offset}: entry {seq} is older than the one before it")
    return {"offset": offset, "seq": seq, "hash": hash_of(header), "time": time}, kind


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


class Moved(Exception):
    """The topic has ended, and this is the ledger's home now."""


def watch_for_the_end(value, topic):
    """Ends the program if the ledger moved away from here and nothing follows."""
    signal.alarm(0)
    event = json.loads(value or b"{}")
    if event.get("type") != "rollout.ledger.moved.v1":
        return
    to = event["data"]["to"]
    # The next topic holds this entry too, and is what it names.
    if to["kind"] == "topic" and to["id"].endswith("/" + topic):
        return

    def ended(*_):
        raise Moved(f"{to['kind']} {to['id']}")

    signal.signal(signal.SIGALRM, ended)
    signal.alarm(QUIET)


def follow(topic, path, place, until):
    again = place["seq"] >= 0
    if until is not None and place["seq"] >= until:
        return
    for offset, value, headers in records(sys.stdin.buffer):
        if again:
            if (offset, hash_of(header_of(offset, headers))) != (place["offset"], place["hash"]):
                raise Broken(f"offset {place['offset']} does not hold the entry that was read there")
            again = False
            watch_for_the_end(value, topic)
            continue
        place, kind = check(offset, value, headers, place)
        # Here is your work. If it and the place are stored together, nothing is done twice.
        print(place["seq"], place["hash"], kind, flush=True)
        store(path, place)
        if place["seq"] == until:
            return
        watch_for_the_end(value, topic)
    raise EOFError


def main():
    topic, path, *rest = sys.argv[1:]
    place = START
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            place = json.load(file)
    if rest == ["--from"]:
        print(place["offset"])
        return 0
    try:
        follow(topic, path, place, int(rest[1]) if rest else None)
    except Broken as e:
        print(f"error: {e}; keep what you have and call a person", file=sys.stderr)
        return 3
    except Moved as e:
        print(f"the ledger moved to {e}: go on there", file=sys.stderr)
    except EOFError:
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
