// Checks one webhook as Standard Webhooks 1.0 says; needs nothing but Node's own modules.
//
// As a command: reads {"headers": {...}, "body": "..."} from standard input, takes the secret from WEBHOOK_SECRET, and
// prints the event's webhook-id, or fails.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv, env, exit } from "node:process";
import { pathToFileURL } from "node:url";

const TOLERANCE_SECONDS = 5 * 60;

/** Returns the webhook-id. Call it with the body's bytes as they came, before any JSON is read. */
export function verify(secret, headers, body, now) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  if (!(Math.abs(now - Number(timestamp)) <= TOLERANCE_SECONDS)) {
    throw new Error("too old, or from a clock that is wrong");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  for (const signature of headers["webhook-signature"].split(" ")) {
    const [version, value] = signature.split(",");
    const given = Buffer.from(value ?? "", "base64");
    if (version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)) return id;
  }
  throw new Error("no signature fits");
}

if (import.meta.url === pathToFileURL(argv[1]).href) {
  const message = JSON.parse(readFileSync(0, "utf8"));
  try {
    console.log(verify(env.WEBHOOK_SECRET, message.headers, Buffer.from(message.body), Date.now() / 1000));
  } catch (error) {
    console.error(`refused: ${error.message}`);
    exit(1);
  }
}
