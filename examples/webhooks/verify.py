"""Checks one webhook as Standard Webhooks 1.0 says; needs nothing but Python's own library.

As a command: reads {"headers": {...}, "body": "..."} from standard input, takes the secret from WEBHOOK_SECRET, and prints
the event's webhook-id, or fails.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time

TOLERANCE_SECONDS = 5 * 60


def verify(secret: str, headers: dict, body: bytes, now: float) -> str:
    """Returns the webhook-id. Call it with the body's bytes as they came, before any JSON is read."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise ValueError("too old, or from a clock that is wrong")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for signature in headers["webhook-signature"].split():
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value, expected):
            return message_id
    raise ValueError("no signature fits")


if __name__ == "__main__":
    message = json.load(sys.stdin)
    try:
        body = message["body"].encode()
        print(verify(os.environ["WEBHOOK_SECRET"], message["headers"], body, time.time()))
    except ValueError as error:
        sys.exit(f"refused: {error}")
