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
      if (!place || place.contains(root.activeElement) || place.querySelector("dialog[open]")) continue;
      const template = root.createElement("template");
      template.innerHTML = html;
      improve(template.content);
      place.replaceChildren(template.content);
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
