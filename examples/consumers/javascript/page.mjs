// The page: follows the stream with EventSource, checks every entry, and keeps its place in
// localStorage, so that it goes on after a reload and after the server's restart.
//
// EventSource sends no headers of its own, so no token, and a token does not belong into an address,
// which logs keep. serve.mjs shows it for this page; without such a server, read the stream with
// `fetch` and the header `Authorization`, as consumer.mjs does.

import { BEGINNING, Broken, check } from "./verify.mjs";

const PLACE = "rollout-ledger-place";
const SHOWN = 50; // newest entries on the page

let place = JSON.parse(localStorage.getItem(PLACE)) ?? BEGINNING;
const status = document.querySelector("#status");
const entries = document.querySelector("#entries");

function say(state, text) {
  status.dataset.state = state;
  status.dataset.seq = String(place.seq);
  status.dataset.hash = place.hash;
  status.textContent = text;
}

const after = place.seq < 0 ? "" : `&after=${place.seq}`;
// Without names every event comes to `onmessage`, also of types that are new.
const source = new EventSource(`/api/v1/events/stream?names=none${after}`);

// One after the other: checking is asynchronous, and each entry needs the place of the one before.
let turn = Promise.resolve();
const take = (message) => {
  turn = turn.then(() => entry(message)).catch((e) => {
    source.close();
    const advice = e instanceof Broken ? "; keep what you have and call a person" : "";
    say("broken", `${e.message}${advice}`);
  });
};

async function entry(message) {
  if (source.readyState === EventSource.CLOSED) return;
  const checked = await check(Number(message.lastEventId), JSON.parse(message.data), place);
  const item = document.createElement("li");
  item.value = checked.place.seq;
  item.textContent = checked.event?.type ?? "(erased)";
  entries.prepend(item);
  while (entries.children.length > SHOWN) entries.lastChild.remove();
  // Stored after the work: after a crash an entry may come again, and is never left out.
  localStorage.setItem(PLACE, JSON.stringify(checked.place));
  place = checked.place;
  say("live", `Entry ${place.seq} is checked`);
}

source.onmessage = take;
source.addEventListener("redacted", take);
source.onopen = () => say("live", "Connected");
source.onerror = () => {
  if (status.dataset.state === "broken") return;
  // It comes again by itself after a broken stream, but not after an answer other than 200: while
  // the server starts, and when the log is shorter than what was seen of it.
  if (source.readyState === EventSource.CLOSED) {
    fetch(`/api/v1/events/stream?after=${Math.max(place.seq, 0)}`).then((answer) => {
      if (answer.status === 409) say("broken", "The log is shorter than what was seen of it");
      else if ([401, 403].includes(answer.status)) say("refused", "serve.mjs wants LEDGER_TOKEN");
      else setTimeout(() => location.reload(), 1000);
    }, () => setTimeout(() => location.reload(), 1000));
  }
  say("waiting", "Connecting again");
};
