#!/usr/bin/env python3
"""Follows a rollout ledger's stream, checks every entry, and keeps its place in a file.

    consumer.py URL STATE [--until SEQ]

Needs Python 3.9 and the package blake3; written from docs/STREAM.md alone. Shows the token in
LEDGER_TOKEN, if there is one. Prints a line for each entry. Exit 0 at --until, 3 when the chain
does not hold, 1 when asked wrongly or the token is refused.
"""

import base64
import hashlib
import http.client
import json
import os
import sys
import time
import urllib.parse

from blake3 import blake3

CONTEXT = "rollout-ledger 2026-11 entry v1"
SILENCE = 45  # seconds; three heartbeats


class Broken(Exception):
    """What arrived does not hold. Trying again cannot help."""


class Refused(Exception):
    """The server wants another token."""


def canonical(value):
    """RFC 8785 for what events hold: no fractions, no integers past 2^53 - 1."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(v) for name, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        raise Broken("an event holds no fractions")
    return json.dumps(value, ensure_ascii=False)


def check(seq, message, place):
    """Checks one entry against the one before. Returns the hash and the event, None if erased."""
    proof = {name: message.pop(name, "") for name in ("ledgerhash", "ledgerheader", "ledgerprev")}
    header = base64.b64decode(proof["ledgerheader"], validate=True)
    if len(header) != 81 or header[0] != 1:
        raise Broken(f"entry {seq}: no header of a known version")
    digest = blake3(header, derive_key_context=CONTEXT).hexdigest()
    if digest != proof["ledgerhash"] or int.from_bytes(header[1:9], "big") != seq:
        raise Broken(f"entry {seq}: the header is another one's")
    if header[17:49].hex() != proof["ledgerprev"]:
        raise Broken(f"entry {seq}: the parent is another one")
    if seq != place["seq"] + 1 or proof["ledgerprev"] != place["hash"]:
        raise Broken(f"entry {seq} does not follow entry {place['seq']}, the last that was checked")
    if message.pop("redacted", False):
        return digest, None
    if hashlib.sha256(canonical(message).encode()).digest() != header[49:81]:
        raise Broken(f"entry {seq}: the payload is not the one that was recorded")
    return digest, message


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"seq": -1, "hash": "0" * 64}


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


def messages(response):
    """The messages of a stream as (event, id, data)."""
    fields = {}
    while line := response.readline():
        name, _, value = line.decode("utf-8").rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield fields.get("event", "message"), fields.get("id"), json.loads(fields["data"])
            fields = {}


def connect(url, place):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SILENCE)
    headers = {"Accept": "text/event-stream"}
    if place["seq"] >= 0:
        headers["Last-Event-ID"] = str(place["seq"])
    token = os.environ.get("LEDGER_TOKEN", "").strip()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("GET", "/api/v1/events/stream", headers=headers)
    response = connection.getresponse()
    if response.status == 409:
        raise Broken("the log is shorter than what was seen of it")
    if response.status in (401, 403):
        raise Refused(f"the server answered {response.status}; LEDGER_TOKEN wants a token that may read")
    if response.status != 200:
        raise OSError(f"the server answered {response.status}")
    return response


def follow(url, path, until):
    place = load(path)
    while until is None or place["seq"] < until:
        try:
            for event, number, message in messages(connect(url, place)):
                if event in ("position", "bye"):
                    continue
                seq = int(number)
                digest, checked = check(seq, message, place)
                # Here is your work. If it and the place are stored together, nothing is done twice.
                print(seq, digest, checked["type"] if checked else "(erased)", flush=True)
                place = {"seq": seq, "hash": digest}
                store(path, place)
                if seq == until:
                    return
        except (OSError, http.client.HTTPException, EOFError) as e:
            print(f"trying again: {e}", file=sys.stderr)
        time.sleep(1)


def main():
    arguments = sys.argv[1:]
    until = None
    if len(arguments) == 4 and arguments[2] == "--until":
        until = int(arguments[3])
    elif len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        follow(arguments[0], arguments[1], until)
    except Broken as e:
        print(f"error: {e}; keep what you have and call a person", file=sys.stderr)
        return 3
    except Refused as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
