// Where one writes: a draft that survives a reload, files, commands, and what could not be sent.
import { attaching } from "./chat-files.js";
import { commands } from "./chat-commands.js";
import { door } from "./forms.js";
import { leaving, storing } from "./chat-kept.js";

const LATER = [401, 402, 403, 408, 409, 425, 429]; // refused now, perhaps not the next time

export function composing(room, log, ask, begun) {
  const form = room.querySelector("[data-compose]");
  if (!form) return { press() {}, say() {} };
  const text = form.querySelector("[data-text]");
  const said = room.dataset;
  const draft = storing(() => `draft ${said.fresh ? `fresh/${said.fresh}` : said.room}`);
  const unsent = leaving(said);
  const files = attaching(room, form);
  const menu = commands(form, text);

  text.value = text.value || draft.get() || "";
  text.addEventListener("input", () => draft.set(text.value));
  text.addEventListener("keydown", (event) => {
    if (event.isComposing || menu.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!text.value.trim() && !files.all().length) return;
    send({ text: text.value, files: files.take() });
    text.value = "";
    draft.set("");
    menu.close();
  });

  // Sent again under its key it is the same message.
  function send(what) {
    what.key ??= random();
    what.names ??= what.files.map((file) => file.name);
    const bubble = waiting(what);
    const request = new XMLHttpRequest();
    request.open("POST", `${said.room}/say`);
    for (const [name, value] of Object.entries({ ...ask, "Idempotency-Key": what.key })) request.setRequestHeader(name, value);
    const bar = bubble.querySelector("progress");
    request.upload.addEventListener("progress", ({ loaded, total }) => ((bar.max = total), (bar.value = loaded)));
    request.addEventListener("load", () => (request.status < 300 ? sent(bubble, what, request) : refused(bubble, what, request)));
    request.addEventListener("error", () => failed(bubble, what, said.notSent));
    if (what.press) {
      request.setRequestHeader("Content-Type", "application/json");
      request.send(JSON.stringify({ press: what.press }));
      return;
    }
    const body = new FormData();
    if (what.text.trim()) body.append("text", what.text);
    for (const file of what.files) body.append("files", file);
    request.send(body);
  }

  function sent(bubble, what, request) {
    const { id } = JSON.parse(request.responseText);
    unsent.remove(what);
    draft.set("");
    begun(); // from here on the room has an address, and what is kept another name
    unsent.arrived();
    draft.set(text.value);
    there(true);
    if (log.find(id)) bubble.remove();
    else bubble.dataset.sent = id;
    bubble.querySelector("progress").hidden = true;
  }

  // With `never` it is of no use to send the same again.
  function failed(bubble, what, why, never = false) {
    unsent.add(what, never ? why : null);
    bubble.classList.add("failed");
    const foot = bubble.querySelector(".bubble-foot");
    foot.innerHTML = `<p class="error" role="alert"></p><div class="row"><button class="button small" type="button"></button><button class="button quiet small" type="button"></button></div>`;
    foot.querySelector("p").textContent = why;
    const [again, away] = foot.querySelectorAll("button");
    again.textContent = never ? said.edit : said.again;
    away.textContent = said.discard;
    again.addEventListener("click", () => (bubble.remove(), never ? edit(what) : send(what)));
    away.addEventListener("click", () => (bubble.remove(), unsent.remove(what), log.arrange()));
    log.arrange();
    log.toEnd();
  }

  function refused(bubble, what, request) {
    const { message, code } = reason(request);
    if (code === "agent_not_found") {
      failed(bubble, what, said.unsent);
      return there(false);
    }
    const never = request.status >= 400 && request.status < 500 && !LATER.includes(request.status);
    if (request.status !== 401) return failed(bubble, what, message, never);
    failed(bubble, what, said.loggedOut);
    const link = document.createElement("a");
    link.href = door();
    link.textContent = said.logIn;
    bubble.querySelector(".error").append(" ", link);
  }

  function edit(what) {
    unsent.remove(what);
    files.add(what.files);
    write([what.text, text.value].filter(Boolean).join("\n"));
    log.arrange();
  }

  function write(value) {
    text.value = value;
    draft.set(value);
    text.focus();
  }

  // Nobody writes to an agent that was deleted meanwhile.
  function there(is) {
    form.hidden = !is;
    room.querySelector("[data-gone]").hidden = is;
  }

  function waiting(what) {
    const bubble = document.createElement("li");
    bubble.className = "bubble mine unsent";
    bubble.innerHTML = `<p class="bubble-who"><strong></strong></p><div class="bubble-text"><div></div></div><div class="bubble-foot"><progress></progress></div>`;
    bubble.querySelector("strong").textContent = said.me;
    bubble.querySelector(".bubble-text div").textContent = [what.text, what.names.join(", ")].filter(Boolean).join("\n");
    const bar = bubble.querySelector("progress");
    bar.setAttribute("aria-label", said.sending);
    bar.hidden = !what.files.length;
    log.list.append(bubble);
    log.arrange();
    log.toEnd();
    return bubble;
  }

  for (const { never, ...kept } of unsent.here()) {
    const what = { ...kept, files: [] };
    failed(waiting(what), what, never ?? said.notSent, Boolean(never));
  }
  return { press: (message, value) => send({ text: value, files: [], press: { message, value } }), say: write };
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return { message: `${request.status} ${request.statusText}` };
  }
}
