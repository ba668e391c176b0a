// Blocks of the page that the hub sends again when they change.
import { renew } from "./renew.js";
import { stream } from "./stream.js";

export function follow(root, improve) {
  const main = root.querySelector("[data-live-from]");
  if (!main) return;
  const pulse = root.querySelector("[data-pulse]");

  function show(event) {
    pulse.hidden = true;
    for (const [name, html] of Object.entries(JSON.parse(event.data))) {
      const place = main.querySelector(`[data-live="${name}"]`);
      if (place) renew(place, html, improve);
    }
    main.dataset.liveState = "on";
  }

  const on = () => {}; // it is only with the first blocks
  const off = () => (main.dataset.liveState = "off");
  stream(() => main.dataset.liveFrom, { blocks: show }, { on, off });
}
