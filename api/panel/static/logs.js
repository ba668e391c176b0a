// Lines of the log as they come, the newest above; none while the reader has stopped them.
import { times } from "./times.js";

const MOST = 500; // lines on the page, and lines that wait
const AGAIN = 2000; // ms
const list = document.querySelector("[data-log]");
const pause = document.querySelector("[data-log-pause]");
const word = pause.querySelector("[data-log-word]");
const count = pause.querySelector("[data-log-waiting]");
const pulse = document.querySelector("[data-pulse]");
const held = document.createElement("ol"); // what came while it was stopped
let after = list.dataset.logAfter;
let source = null;

const stopped = () => pause.getAttribute("aria-pressed") === "true";

function put(lines, place) {
  place.prepend(...lines);
  while (place.children.length > MOST) place.lastElementChild.remove();
}

function show(event) {
  pulse.hidden = true;
  if (event.lastEventId) after = event.lastEventId;
  const template = document.createElement("template");
  template.innerHTML = JSON.parse(event.data);
  times(template.content);
  put(template.content.children, stopped() ? held : list);
  tell();
}

function tell() {
  word.textContent = stopped() ? word.dataset.go : word.dataset.pause;
  count.textContent = held.children.length;
  count.hidden = held.children.length === 0;
}

function lost() {
  pulse.hidden = false;
  if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
}

function open() {
  const url = new URL(list.dataset.log, location);
  url.searchParams.set("after", after);
  source = new EventSource(url);
  source.addEventListener("lines", show);
  source.addEventListener("open", () => {
    pulse.hidden = true;
    list.dataset.logState = "on";
  });
  source.addEventListener("error", lost);
  source.addEventListener("ended", () => location.reload()); // which leads to the login
}

pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!stopped()));
  if (!stopped()) put([...held.children], list);
  tell();
});
pause.hidden = false;
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && open());
open();
