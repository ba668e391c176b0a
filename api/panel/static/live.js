// Blocks of the page that the hub sends again when they change.
import { stream } from "./stream.js";

export function follow(root, improve) {
  const main = root.querySelector("[data-live-from]");
  if (!main) return;
  const pulse = root.querySelector("[data-pulse]");

  function show(event) {
    pulse.hidden = true;
    for (const [name, html] of Object.entries(JSON.parse(event.data))) {
      const place = main.querySelector(`[data-live="${name}"]`);
      if (!place || place.querySelector("dialog[open]")) continue;
      const template = root.createElement("template");
      template.innerHTML = html;
      const held = place.contains(root.activeElement) && root.activeElement;
      const again = held && held.matches("summary[id]") ? `#${CSS.escape(held.id)}` : null;
      if (held && !(again && template.content.querySelector(again))) continue; // nobody is interrupted
      for (const fold of place.querySelectorAll("details[open][id]")) {
        template.content.querySelector(`#${CSS.escape(fold.id)}`)?.setAttribute("open", "");
      }
      improve(template.content);
      place.replaceChildren(template.content);
      if (again) place.querySelector(again).focus({ preventScroll: true });
    }
    main.dataset.liveState = "on";
  }

  const on = () => {}; // it is only with the first blocks
  const off = () => (main.dataset.liveState = "off");
  stream(() => main.dataset.liveFrom, { blocks: show }, { on, off });
}
