// New content in the place of old: what is open stays open, the focus stays where it is, and nobody is interrupted.
const SOON = 500; // ms
const NAMES = ["id", "href", "popovertarget"]; // of what can be told apart from everything else
const TYPED = "input, select, textarea";
const late = new Map(); // what waits until it interrupts nobody, by its place
let later = 0;

export function renew(place, html, improve) {
  late.set(place, { html, improve });
  catchUp();
}

function catchUp() {
  clearTimeout(later);
  for (const [place, { html, improve }] of late) if (put(place, html, improve)) late.delete(place);
  if (late.size) later = setTimeout(catchUp, SOON);
}

function put(place, html, improve) {
  const chosen = getSelection();
  if (place.querySelector("dialog[open], :active") || (chosen.type === "Range" && chosen.containsNode(place, true))) return false;
  const template = document.createElement("template");
  template.innerHTML = html;
  const held = place.contains(document.activeElement) && document.activeElement;
  const again = held && same(held, template.content);
  if (held && !again) return false;
  for (const fold of place.querySelectorAll("details[open][id]")) {
    template.content.querySelector(`#${CSS.escape(fold.id)}`)?.setAttribute("open", "");
  }
  improve(template.content);
  place.replaceChildren(template.content);
  if (again) again.focus({ preventScroll: true });
  return true;
}

// What has the focus, in other content where just one is called so.
function same(held, content) {
  const name = NAMES.find((one) => held.hasAttribute(one));
  if (!name || held.matches(TYPED)) return null;
  const called = `[${name}="${CSS.escape(held.getAttribute(name))}"]:not(dialog *)`;
  const [found, ...others] = content.querySelectorAll(held.localName + called);
  return others.length ? null : found;
}
