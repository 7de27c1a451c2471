// Opens a page in a headless Chromium and waits for what its #status says, over the DevTools
// protocol: `node --experimental-websocket browser.mjs CHROMIUM PROFILE_DIR URL CONDITION...`.
// A condition is JavaScript about `status`, the element's dataset. When one holds, a line of JSON
// is printed, and the next is waited for.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const [chromium, profile, url, ...conditions] = process.argv.slice(2);
const browser = spawn(chromium, [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
  `--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank",
], { stdio: ["ignore", "ignore", "pipe"] });
process.on("exit", () => browser.kill("SIGKILL"));
process.on("SIGTERM", () => process.exit(1));

let address;
for await (const line of createInterface(browser.stderr)) {
  address = line.match(/^DevTools listening on (ws:.*)$/)?.[1];
  if (address) break;
}
if (!address) throw new Error("the browser did not start");
browser.stderr.resume();
const socket = new WebSocket(address);
await once(socket, "open");

let number = 0;
const answers = new Map();
let loaded;
const load = () => new Promise((done) => { loaded = done; });
socket.addEventListener("message", ({ data }) => {
  const message = JSON.parse(data);
  if (message.method === "Page.loadEventFired") loaded?.();
  answers.get(message.id)?.(message);
});

function ask(method, params = {}, sessionId = undefined) {
  number += 1;
  const answer = new Promise((done) => answers.set(number, done));
  socket.send(JSON.stringify({ id: number, method, params, sessionId }));
  return answer;
}

const { result: { targetId } } = await ask("Target.createTarget", { url: "about:blank" });
const attached = await ask("Target.attachToTarget", { targetId, flatten: true });
const { sessionId } = attached.result;
await ask("Page.enable", {}, sessionId);
let ready = load();
await ask("Page.navigate", { url }, sessionId);
await ready;

for (const condition of conditions) {
  const expression = `new Promise((done) => {
    const element = document.querySelector("#status");
    const look = () => {
      const status = element.dataset;
      if (!(${condition})) return;
      const entries = Array.from(document.querySelectorAll("#entries li"), (item) => item.value);
      done(JSON.stringify({ ...status, text: element.textContent, entries }));
    };
    new MutationObserver(look).observe(element, { attributes: true, childList: true });
    look();
  })`;
  for (;;) {
    ready = load();
    const asked = { expression, awaitPromise: true, returnByValue: true };
    const { result } = await ask("Runtime.evaluate", asked, sessionId);
    if (result?.result?.type === "string") {
      console.log(result.result.value);
      break;
    }
    if (result?.exceptionDetails?.exception?.className) throw new Error(JSON.stringify(result));
    // The page was loaded again while it was looked at.
    await ready;
  }
}
process.exit(0);
