// A room: what is said in it arrives over one connection, which is made anew when it breaks.
import { composing } from "./chat-compose.js";
import { logging } from "./chat-log.js";

const AGAIN = 2000; // ms

const room = document.querySelector("[data-room]");
const pulse = document.querySelector("[data-pulse]");
const token = room.querySelector("[name=token]")?.value ?? "";
const ask = { "X-Panel-Token": token, Accept: "application/json" };
const log = logging(room, stop);
const composer = composing(room, log, ask, begun);
let source = null;

function stop() {
  fetch(`${room.dataset.room}/stop`, { method: "POST", headers: ask }).catch(() => (pulse.hidden = false));
}

// The first message makes a new conversation one that has an address.
function begun() {
  if (!room.dataset.fresh) return;
  delete room.dataset.fresh;
  history.replaceState(null, "", room.dataset.room);
}

function hears(name, does) {
  source.addEventListener(name, (event) => does(JSON.parse(event.data)));
}

function open() {
  source = new EventSource(`${room.dataset.room}/events?after=${log.last()}`);
  hears("message", log.message);
  hears("draft", log.draft);
  hears("done", log.done);
  hears("rooms", ({ html }) => (document.querySelector("[data-rooms]").innerHTML = html));
  hears("away", lost);
  hears("ended", () => location.reload()); // which leads to the login
  source.addEventListener("open", () => {
    pulse.hidden = true;
    room.dataset.state = "on";
  });
  source.addEventListener("error", lost);
}

function lost() {
  pulse.hidden = false;
  room.dataset.state = "off";
  log.forget();
  if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
}

room.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && log.writes()) stop();
});
room.addEventListener("click", (event) => {
  const press = event.target.closest("[data-press]");
  const said = event.target.closest("[data-say]");
  if (press) composer.press(press.closest("[data-post]").dataset.post, press.dataset.press);
  if (said) composer.say(said.dataset.say);
});
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && open());
open();
