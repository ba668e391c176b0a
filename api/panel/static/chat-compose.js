// Where one writes: a draft that survives a reload, files, commands, and what could not be sent.
import { attaching } from "./chat-files.js";
import { commands } from "./chat-commands.js";
import { door } from "./forms.js";

export function composing(room, log, ask, begun) {
  const form = room.querySelector("[data-compose]");
  if (!form) return { press() {}, say() {} };
  const text = form.querySelector("[data-text]");
  const said = room.dataset;
  const place = () => (said.fresh ? `fresh/${said.fresh}` : said.room);
  const draft = storing(() => `bothub draft ${place()}`);
  const unsent = storing(() => `bothub not sent ${place()}`);
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

  // What could not be sent, by its key.
  function kept() {
    return JSON.parse(unsent.get() ?? "{}");
  }

  function keep(all) {
    unsent.set(Object.keys(all).length ? JSON.stringify(all) : "");
  }

  function forget({ key }) {
    const { [key]: _, ...others } = kept();
    keep(others);
  }

  // Sent again under its key it is the same message.
  function send(what) {
    what.key ??= random();
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
    forget(what);
    const others = kept();
    keep({});
    draft.set("");
    begun(); // from here on the room has an address, and what is kept another name
    keep(others);
    draft.set(text.value);
    if (log.find(id)) bubble.remove();
    else bubble.dataset.sent = id;
    bubble.querySelector("progress").hidden = true;
  }

  function failed(bubble, what, why) {
    if (what.text) keep({ ...kept(), [what.key]: { text: what.text, room: said.room } });
    bubble.classList.add("failed");
    const foot = bubble.querySelector(".bubble-foot");
    foot.innerHTML = `<p class="error" role="alert"></p><div class="row"><button class="button small" type="button"></button><button class="button quiet small" type="button"></button></div>`;
    foot.querySelector("p").textContent = why;
    const [again, away] = foot.querySelectorAll("button");
    again.textContent = said.again;
    away.textContent = said.discard;
    again.addEventListener("click", () => (bubble.remove(), send(what)));
    away.addEventListener("click", () => (bubble.remove(), forget(what), log.arrange()));
    log.toEnd();
  }

  function refused(bubble, what, request) {
    if (request.status !== 401) return failed(bubble, what, reason(request));
    failed(bubble, what, said.loggedOut);
    const link = document.createElement("a");
    link.href = door();
    link.textContent = said.logIn;
    bubble.querySelector(".error").append(" ", link);
  }

  function waiting(what) {
    const bubble = document.createElement("li");
    bubble.className = "bubble mine unsent";
    bubble.innerHTML = `<p class="bubble-who"><strong></strong></p><div class="bubble-text"></div><div class="bubble-foot"><progress></progress></div>`;
    bubble.querySelector("strong").textContent = said.me;
    const names = what.files.map((file) => file.name).join(", ");
    bubble.querySelector(".bubble-text").textContent = [what.text, names].filter(Boolean).join("\n");
    const bar = bubble.querySelector("progress");
    bar.setAttribute("aria-label", said.sending);
    bar.hidden = !what.files.length;
    log.list.append(bubble);
    log.arrange();
    log.toEnd();
    return bubble;
  }

  for (const [key, { text, room }] of Object.entries(kept())) {
    const what = { key, text, files: [] };
    said.room = room; // a conversation that was about to begin; it may have arrived there
    failed(waiting(what), what, said.notSent);
  }
  return {
    press: (message, value) => send({ text: value, files: [], press: { message, value } }),
    say(value) {
      text.value = value;
      draft.set(value);
      text.focus();
    },
  };
}

function storing(name) {
  return {
    get: () => localStorage.getItem(name()),
    set: (value) => (value ? localStorage.setItem(name(), value) : localStorage.removeItem(name())),
  };
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).error.message;
  } catch {
    return `${request.status} ${request.statusText}`;
  }
}
