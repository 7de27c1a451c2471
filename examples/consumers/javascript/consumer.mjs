#!/usr/bin/env node
// Follows a rollout ledger's stream, checks every entry, and keeps its place in a file.
//
//     node consumer.mjs URL STATE [--until SEQ]
//
// Needs Node 18 and nothing else. Shows the token in LEDGER_TOKEN, if there is one. Prints a line for
// each entry. Exit 0 at --until, 3 when the chain does not hold, 1 when asked wrongly or the token is
// refused.

import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BEGINNING, Broken, check } from "./verify.mjs";

const SILENCE = 45_000; // milliseconds; three heartbeats

/** The server wants another token. */
class Refused extends Error {}

async function load(path) {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (e) {
    if (e.code === "ENOENT") return BEGINNING;
    throw e;
  }
}

/** Either the old place or the new one is there, whatever happens. */
async function store(path, place) {
  const file = await open(`${path}.new`, "w");
  await file.writeFile(JSON.stringify(place));
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  const directory = await open(dirname(path));
  await directory.sync();
  await directory.close();
}

/** The messages of a stream; fails when it is silent for too long. */
async function* messages(body, silent) {
  let text = "";
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    silent.refresh();
    const whole = (text + part).split("\n\n");
    text = whole.pop();
    for (const one of whole) {
      const fields = Object.fromEntries(
        one.split("\n").map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)];
        }),
      );
      if (fields.data !== undefined) yield { ...fields, data: JSON.parse(fields.data) };
    }
  }
}

async function connect(url, place, signal) {
  const headers = place.seq < 0 ? {} : { "Last-Event-ID": String(place.seq) };
  const token = process.env.LEDGER_TOKEN?.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(new URL("/api/v1/events/stream", url), { headers, signal });
  if (response.status === 409) throw new Broken("the log is shorter than what was seen of it");
  if (response.status === 401 || response.status === 403) {
    throw new Refused(`the server answered ${response.status}; LEDGER_TOKEN wants a token that may read`);
  }
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.body;
}

async function follow(url, path, until) {
  let place = await load(path);
  while (until === null || place.seq < until) {
    const given = new AbortController();
    const silent = setTimeout(() => given.abort(), SILENCE);
    try {
      for await (const message of messages(await connect(url, place, given.signal), silent)) {
        if (message.event === "position" || message.event === "bye") continue;
        const checked = await check(Number(message.id), message.data, place);
        place = checked.place;
        // Here is your work. If it and the place are stored together, nothing is done twice.
        console.log(place.seq, place.hash, checked.event?.type ?? "(erased)");
        await store(path, place);
        if (place.seq === until) return;
      }
    } catch (e) {
      if (e instanceof Broken || e instanceof Refused) throw e;
      console.error(`trying again: ${e.message}`);
    } finally {
      clearTimeout(silent);
      given.abort();
    }
    await pause(1000);
  }
}

const [url, path, flag, seq, ...rest] = process.argv.slice(2);
if (path === undefined || rest.length > 0 || (flag !== undefined && (flag !== "--until" || !/^\d+$/.test(seq)))) {
  console.error("usage: node consumer.mjs URL STATE [--until SEQ]");
  process.exit(1);
}
try {
  await follow(url, path, flag === undefined ? null : Number(seq));
  process.exit(0);
} catch (e) {
  console.error(`error: ${e.message}${e instanceof Broken ? "; keep what you have and call a person" : ""}`);
  process.exit(e instanceof Broken ? 3 : 1);
}
