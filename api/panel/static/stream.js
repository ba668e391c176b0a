// What the hub sends as it happens: over a connection that is made anew when it breaks, and let go while nobody looks,
// for a browser holds six of them at a time, for all of its tabs.
import { leave } from "./forms.js";

const AGAIN = 2000; // ms

export function stream(address, hears, { on, off }) {
  const pulse = document.querySelector("[data-pulse]");
  let source = null;
  let later = 0;

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(address());
    for (const [name, does] of Object.entries(hears)) source.addEventListener(name, does);
    source.addEventListener("open", () => {
      pulse.hidden = true;
      on();
    });
    source.addEventListener("away", lost);
    source.addEventListener("error", lost);
    source.addEventListener("ended", leave);
  }

  function lost() {
    pulse.hidden = false;
    off();
    if (source.readyState !== EventSource.CLOSED) return;
    close();
    later = setTimeout(open, AGAIN);
  }

  function close() {
    clearTimeout(later);
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
