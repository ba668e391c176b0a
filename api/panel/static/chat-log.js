// The messages of a room: each once, in their order, apart by days; the reader's place is kept.
import { codes } from "./chat-code.js";
import { day } from "./days.js";
import { times } from "./times.js";

const MOST = 200; // messages that stay while nobody reads further up
const NEAR = 80; // px from the end that count as being there
const SOON = 300; // s in which one who goes on is not named again
const SILENT = 15000; // ms after which somebody who gave no sign of life is not writing any more
const LATE = 8000; // ms in which the message comes that an answer ends with

export function logging(room, stop) {
  const pane = room.querySelector("[data-log]");
  const list = pane.querySelector(".talk");
  const older = room.querySelector("[data-older]");
  const newer = room.querySelector("[data-newer]");
  const calls = older.textContent;
  const said = room.dataset;
  const drafts = new Map();
  let follows = true;

  const find = (id) => list.querySelector(`[data-post="${CSS.escape(String(id))}"]`);
  const posts = () => [...list.querySelectorAll("[data-post]")];
  const last = () => posts().at(-1)?.dataset.post ?? "0";

  function drawn(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    improve(template.content);
    return template.content;
  }

  function improve(part) {
    times(part);
    codes(part, said);
  }

  // Days between messages, and names only where somebody begins to speak.
  function arrange() {
    list.querySelectorAll(".day").forEach((day) => day.remove());
    let before = null;
    for (const post of posts()) {
      const at = new Date(post.dataset.at * 1000);
      const other = !before || new Date(before.dataset.at * 1000).toDateString() !== at.toDateString();
      if (other) post.before(day(at));
      const goes = !other && post.previousElementSibling === before && before.dataset.by === post.dataset.by && post.dataset.at - before.dataset.at < SOON;
      post.classList.toggle("goes-on", goes);
      before = post;
    }
    room.querySelector("[data-try]").hidden = list.childElementCount > 0;
  }

  function toEnd() {
    pane.scrollTop = pane.scrollHeight;
  }

  // Whoever reads further up is left there, and told that there is more.
  function grown(more) {
    if (follows) toEnd();
    else if (more) newer.hidden = false;
  }

  function message({ id, html }) {
    if (find(id)) return;
    const content = drawn(html);
    const post = content.firstElementChild;
    remove(post.dataset.turn);
    list.querySelector(`[data-sent="${CSS.escape(String(id))}"]`)?.remove();
    const after = [...list.querySelectorAll("[data-post], .failed")].at(-1); // what could not be sent stays where it was said
    if (after) after.after(content);
    else list.prepend(content);
    trim();
    arrange();
    grown(true);
  }

  // A room that stays open does not grow without end: what goes is read again as older messages are.
  function trim() {
    const above = posts().slice(0, -MOST);
    if (!follows || !above.length || older.dataset.busy) return;
    above.forEach((post) => post.remove());
    older.hidden = false;
  }

  function draft({ turn, agent, words, length, steps }) {
    if (list.querySelector(`[data-turn="${CSS.escape(turn)}"][data-post]`)) return;
    const known = drafts.get(turn) ?? begin(turn, agent);
    const { bubble } = known;
    if (!known.old || length >= known.length) write(known, words, length);
    redraw(bubble.querySelector(".steps"), steps);
    wait(turn, SILENT);
    grown(true);
  }

  function write(known, words, length) {
    const place = known.bubble.querySelector(".bubble-text");
    place.innerHTML = words;
    place.hidden = !words;
    codes(place, said);
    known.bubble.querySelector(".writes").hidden = Boolean(words);
    Object.assign(known, { length, old: false });
  }

  function begin(turn, agent) {
    const bubble = document.createElement("li");
    bubble.className = "bubble draft";
    bubble.innerHTML = `<p class="bubble-who"><strong></strong></p><div class="steps" hidden></div>
      <div class="bubble-text" hidden></div>
      <p class="draft-foot"><span class="writes muted"></span><button class="button small" type="button"></button></p>`;
    bubble.querySelector("strong").textContent = agent;
    bubble.querySelector(".writes").textContent = said.writes;
    const button = bubble.querySelector("button");
    button.append(room.querySelector("[data-icon=stop]").content.cloneNode(true), said.stop);
    button.addEventListener("click", stop);
    list.append(bubble);
    drafts.set(turn, { bubble });
    room.querySelector("[data-try]").hidden = true;
    return drafts.get(turn);
  }

  function wait(turn, ms) {
    const known = drafts.get(turn);
    clearTimeout(known.timer);
    known.timer = setTimeout(() => remove(turn), ms);
  }

  function done({ turn }) {
    const known = drafts.get(turn);
    if (!known) return;
    known.bubble.querySelector(".draft-foot").hidden = true;
    wait(turn, LATE);
  }

  function remove(turn) {
    const known = drafts.get(turn);
    if (!known) return;
    clearTimeout(known.timer);
    known.bubble.remove();
    drafts.delete(turn);
  }

  // The next connection tells what is still being written; said anew after a restart, it is shown once it is as long.
  function forget() {
    for (const [turn, known] of drafts) {
      known.old = true;
      wait(turn, SILENT);
    }
  }

  async function readOlder() {
    const first = posts()[0];
    if (!first || older.dataset.busy) return;
    older.dataset.busy = "yes";
    older.textContent = calls;
    try {
      const answer = await fetch(`${said.room}/older?before=${first.dataset.post}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const { html, more } = await answer.json();
      const height = pane.scrollHeight - pane.scrollTop;
      list.prepend(drawn(html));
      older.hidden = !more;
      arrange();
      pane.scrollTop = pane.scrollHeight - height;
    } catch {
      older.textContent = said.olderFailed;
    }
    delete older.dataset.busy;
  }

  pane.addEventListener("scroll", () => {
    follows = pane.scrollHeight - pane.scrollTop - pane.clientHeight < NEAR;
    if (follows) newer.hidden = true;
  });
  newer.addEventListener("click", () => {
    follows = true;
    newer.hidden = true;
    toEnd();
  });
  new ResizeObserver(() => follows && toEnd()).observe(list);
  new ResizeObserver(() => follows && toEnd()).observe(pane);
  improve(list);
  arrange();
  toEnd();
  new IntersectionObserver(([seen]) => seen.isIntersecting && readOlder(), { root: pane }).observe(older);

  return { message, draft, done, forget, last, find, list, arrange, toEnd: () => ((follows = true), toEnd()), writes: () => drafts.size > 0 };
}

// What the reader opened stays open.
function redraw(steps, html) {
  const open = [...steps.querySelectorAll("details")].map((one) => one.open);
  steps.innerHTML = html;
  steps.hidden = !html.trim();
  steps.querySelectorAll("details").forEach((one, at) => (one.open = open[at] ?? false));
}
