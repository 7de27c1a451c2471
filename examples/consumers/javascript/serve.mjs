#!/usr/bin/env node
// Serves the page, and passes the stream on to the ledger: a browser reads it from the page's own
// origin only. The token in LEDGER_TOKEN, if there is one, is shown from here, because EventSource
// sends no headers; the browser never has it. So whoever may connect here reads what the token may
// read: before others may, let this server ask who they are.
//
//     node serve.mjs LEDGER_URL [PORT]

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";

const KINDS = { html: "text/html; charset=utf-8", mjs: "text/javascript; charset=utf-8" };
const FILES = ["index.html", "page.mjs", "verify.mjs", "blake3.mjs"];
const [ledger, port = "0"] = process.argv.slice(2);
if (ledger === undefined) {
  console.error("usage: node serve.mjs LEDGER_URL [PORT]");
  process.exit(1);
}

const token = process.env.LEDGER_TOKEN?.trim();

function pass(asked, answer) {
  const headers = { accept: "text/event-stream" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (asked.headers["last-event-id"]) headers["last-event-id"] = asked.headers["last-event-id"];
  const passed = request(new URL(asked.url, ledger), { headers }, (stream) => {
    answer.writeHead(stream.statusCode, { ...stream.headers, connection: "keep-alive" });
    stream.pipe(answer);
    stream.on("error", () => answer.destroy());
  });
  // The ledger is not there: the browser tries again.
  passed.on("error", () => answer.destroy());
  answer.on("close", () => passed.destroy());
  passed.end();
}

const server = createServer(async (asked, answer) => {
  // Under another name a page of somebody else could read what is passed on.
  const here = server.address().port;
  if (![`127.0.0.1:${here}`, `localhost:${here}`].includes(asked.headers.host)) {
    return answer.writeHead(421).end();
  }
  const path = asked.url.split("?")[0];
  if (path === "/api/v1/events/stream") return pass(asked, answer);
  const name = path === "/" ? "index.html" : path.slice(1);
  if (!FILES.includes(name)) return answer.writeHead(404).end();
  const file = await readFile(new URL(name, import.meta.url));
  answer.writeHead(200, { "content-type": KINDS[name.split(".")[1]], "cache-control": "no-store" });
  answer.end(file);
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
