// Checks entries of a rollout ledger as docs/STREAM.md says. Runs in Node 18 and in browsers (over
// https or on localhost, where they have crypto.subtle), without dependencies.

import { deriveKey } from "./blake3.mjs";

// Node 18 does not have it as a global.
const { subtle } = globalThis.crypto ?? (await import("node:crypto")).webcrypto;

const CONTEXT = "rollout-ledger 2026-11 entry v1";

/** What arrived does not hold. Trying again cannot help. */
export class Broken extends Error {}

/** Where whoever has seen nothing begins. */
export const BEGINNING = Object.freeze({ seq: -1, hash: "0".repeat(64) });

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** RFC 8785 for what events hold: no fractions, no integers past 2^53 - 1. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    // Without an argument, `sort` compares UTF-16 code units, as the RFC wants it.
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new Broken("an event holds no fractions");
  }
  return JSON.stringify(value);
}

/**
 * Checks one message against the place of the entry before. Returns the new place and the event,
 * which is null if its payload was erased by law.
 */
export async function check(seq, data, place) {
  const { ledgerhash, ledgerheader, ledgerprev, ...event } = data;
  const header = Uint8Array.from(atob(ledgerheader ?? ""), (letter) => letter.charCodeAt(0));
  if (header.length !== 81 || header[0] !== 1) {
    throw new Broken(`entry ${seq}: no header of a known version`);
  }
  const stands = new DataView(header.buffer).getBigUint64(1);
  if (hex(deriveKey(CONTEXT, header)) !== ledgerhash || stands !== BigInt(seq)) {
    throw new Broken(`entry ${seq}: the header is another one's`);
  }
  if (hex(header.subarray(17, 49)) !== ledgerprev) {
    throw new Broken(`entry ${seq}: the parent is another one`);
  }
  if (seq !== place.seq + 1 || ledgerprev !== place.hash) {
    throw new Broken(`entry ${seq} does not follow entry ${place.seq}, the last that was checked`);
  }
  const next = { seq, hash: ledgerhash };
  if (event.redacted === true) return { place: next, event: null };
  const digest = await subtle.digest("SHA-256", new TextEncoder().encode(canonical(event)));
  if (hex(new Uint8Array(digest)) !== hex(header.subarray(49))) {
    throw new Broken(`entry ${seq}: the payload is not the one that was recorded`);
  }
  return { place: next, event };
}
