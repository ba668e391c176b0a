// Asks an agent beside its form and shows the answer as it is written; without this the page is loaded again.
const talk = document.getElementById("talk");
const button = document.querySelector("button[name=do][value=try]");
const box = document.getElementById("f-said");

function bubble(who, mine) {
  const item = document.createElement("li");
  item.className = mine ? "bubble mine" : "bubble";
  const name = item.appendChild(document.createElement("p"));
  name.className = "bubble-who";
  name.appendChild(document.createElement("strong")).textContent = who;
  const text = item.appendChild(document.createElement("div"));
  text.className = "bubble-text spoken";
  talk.append(item);
  return text;
}

function failed(message) {
  const note = document.createElement("li");
  note.className = "note bad";
  note.appendChild(document.createElement("p")).textContent = message || talk.dataset.failed;
  talk.append(note);
}

async function* told(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (rest + part.value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6));
  }
}

async function ask(form, to) {
  const body = new FormData(form);
  bubble(talk.dataset.you, true).textContent = box.value;
  box.value = "";
  const response = await fetch(to, { method: "POST", body, headers: { Accept: "text/event-stream" } });
  if (!response.ok) return failed((await response.json()).error?.message);
  let text = null;
  for await (const event of told(response.body)) {
    if (event.type === "error") return failed(event.message);
    if (event.type !== "assistant" && event.type !== "result") continue;
    text ??= bubble(talk.dataset.agent, false);
    text.textContent = event.type === "result" ? event.response : text.textContent + event.content;
  }
}

button?.addEventListener("click", async (event) => {
  event.preventDefault();
  if (!box.value.trim()) return box.focus();
  button.disabled = true;
  try {
    await ask(button.form, button.getAttribute("formaction") ?? button.form.action);
  } catch {
    failed();
  } finally {
    button.disabled = false;
    box.focus();
  }
});
