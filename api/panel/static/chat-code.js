// Blocks of code get a head: their language, and a button that copies them.
import { copying } from "./copy.js";

export function codes(root, said) {
  for (const pre of root.querySelectorAll(".bubble-text pre")) wrap(pre, said);
  if (root.matches?.(".bubble-text")) for (const pre of root.querySelectorAll("pre")) wrap(pre, said);
  copying(root);
}

function wrap(pre, said) {
  if (pre.parentElement?.matches(".block")) return;
  const language = [...(pre.firstElementChild?.classList ?? [])].find((name) => name.startsWith("language-"));
  const block = document.createElement("div");
  block.className = "block";
  block.innerHTML = `<div class="block-head"><span></span><button class="button quiet small" type="button" hidden><span></span></button></div>`;
  block.querySelector("span").textContent = language?.slice("language-".length) || said.code;
  const button = block.querySelector("button");
  button.dataset.copy = pre.textContent;
  button.dataset.copied = said.copied;
  button.querySelector("span").textContent = said.copy;
  pre.tabIndex = 0;
  pre.replaceWith(block);
  block.append(pre);
}
