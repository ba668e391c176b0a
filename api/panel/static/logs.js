// Lines of the log as they come, the newest above; none while the reader has stopped them.
import { stream } from "./stream.js";
import { times } from "./times.js";

const MOST = 500; // lines on the page, and lines that wait
const list = document.querySelector("[data-log]");
const pause = document.querySelector("[data-log-pause]");
const word = pause.querySelector("[data-log-word]");
const count = pause.querySelector("[data-log-waiting]");
const held = document.createElement("ol"); // what came while it was stopped
let after = list.dataset.logAfter;

const stopped = () => pause.getAttribute("aria-pressed") === "true";

function put(lines, place) {
  place.prepend(...lines);
  while (place.children.length > MOST) place.lastElementChild.remove();
}

function show(event) {
  if (event.lastEventId) after = event.lastEventId;
  const template = document.createElement("template");
  template.innerHTML = JSON.parse(event.data);
  times(template.content);
  put(template.content.children, stopped() ? held : list);
  tell();
}

function tell() {
  for (const icon of pause.querySelectorAll("[data-log-icon]")) icon.hidden = (icon.dataset.logIcon === "play") !== stopped();
  word.textContent = stopped() ? word.dataset.go : word.dataset.pause;
  count.textContent = held.children.length;
  count.hidden = held.children.length === 0;
}

function from() {
  const url = new URL(list.dataset.log, location);
  url.searchParams.set("after", after);
  return url;
}

pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!stopped()));
  if (!stopped()) put([...held.children], list);
  tell();
});
pause.hidden = false;
stream(from, { lines: show }, { on: () => (list.dataset.logState = "on"), off: () => {} });
