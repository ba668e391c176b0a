// Blocks of the page that the hub sends again when they change, over one connection that is made anew when it breaks.
const AGAIN = 2000; // ms

export function follow(root, improve) {
  const main = root.querySelector("[data-live-from]");
  if (!main) return;
  const pulse = root.querySelector("[data-pulse]");
  let source = null;

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

  function lost() {
    pulse.hidden = false;
    main.dataset.liveState = "off";
    if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
  }

  function open() {
    source = new EventSource(main.dataset.liveFrom);
    source.addEventListener("blocks", show);
    source.addEventListener("open", () => (pulse.hidden = true));
    source.addEventListener("away", () => (pulse.hidden = false));
    source.addEventListener("error", lost);
    source.addEventListener("ended", () => location.reload()); // which leads to the login
  }

  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
