// Opens a page in a headless Chromium and waits for what its #status says, over the DevTools
// protocol: `node browser.mjs CHROMIUM PROFILE_DIR URL CONDITION...`.
// A condition is JavaScript about `status`, the element's dataset. When one holds, a line of JSON
// is printed, and the next is waited for.

import { spawn } from "node:child_process";

const [chromium, profile, url, ...conditions] = process.argv.slice(2);
const browser = spawn(chromium, [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
  `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
process.on("exit", () => browser.kill("SIGKILL"));
process.on("SIGTERM", () => process.exit(1));

// Messages go through two pipes and end with a zero byte.
const [, , , to, from] = browser.stdio;
from.setEncoding("utf8");

let number = 0;
const answers = new Map();
let loaded;
const load = () => new Promise((done) => { loaded = done; });
let text = "";
from.on("data", (part) => {
  const whole = (text + part).split("\0");
  text = whole.pop();
  for (const message of whole.map((one) => JSON.parse(one))) {
    if (message.method === "Page.loadEventFired") loaded?.();
    answers.get(message.id)?.(message);
  }
});
from.on("end", () => {
  console.error("the browser ended");
  process.exit(1);
});

function ask(method, params = {}, sessionId = undefined) {
  number += 1;
  const answer = new Promise((done) => answers.set(number, done));
  to.write(`${JSON.stringify({ id: number, method, params, sessionId })}\0`);
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
