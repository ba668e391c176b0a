// A room: what is said in it, as it is said.
import { composing } from "./chat-compose.js";
import { logging } from "./chat-log.js";
import { renew } from "./renew.js";
import { stream } from "./stream.js";
import { times } from "./times.js";

const room = document.querySelector("[data-room]");
const pulse = document.querySelector("[data-pulse]");
const token = room.querySelector("[name=token]")?.value ?? "";
const ask = { "X-Panel-Token": token, Accept: "application/json" };
const log = logging(room, stop);
const hint = room.querySelector("[data-hint]");
if (hint) {
  hint.textContent = hint.dataset.hint; // what it said holds where this does not run
  hint.classList.add("of-keys");
}
const composer = composing(room, log, ask, begun);

function stop() {
  fetch(`${room.dataset.room}/stop`, { method: "POST", headers: ask }).catch(() => (pulse.hidden = false));
}

// The first message makes a new conversation one that has an address.
function begun() {
  if (!room.dataset.fresh) return;
  delete room.dataset.fresh;
  history.replaceState(null, "", room.dataset.room);
}

const told = (does) => (event) => does(JSON.parse(event.data));

function lost() {
  room.dataset.state = "off";
  log.forget();
}

room.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && !event.defaultPrevented && log.writes()) stop();
});
room.addEventListener("click", (event) => {
  const press = event.target.closest("[data-press]");
  const said = event.target.closest("[data-say]");
  if (press) composer.press(press.closest("[data-post]").dataset.post, press.dataset.press);
  if (said) composer.say(said.dataset.say);
});
stream(
  () => `${room.dataset.room}/events?after=${log.last()}`,
  {
    message: told(log.message),
    draft: told(log.draft),
    done: told(log.done),
    rooms: told(({ html }) => renew(document.querySelector("[data-rooms]"), html, times)),
  },
  { on: () => (room.dataset.state = "on"), off: lost },
);
