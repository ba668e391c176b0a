// Forms: a double click sends one once, and what was typed into one outlives a login that ended meanwhile. It is kept
// in this tab, never what is secret, until the hub answers or the form is open again.
const NAME = "bothub typed";
const TWICE = 1000; // ms
const KEPT = "input, select, textarea";
const NOT = "[type=password], [type=file], [type=submit], [name=token], [name=once]";
const touched = new Set();
let over = false; // they log out themselves

const fields = (form) => [...form.elements].filter((one) => one.name && one.matches(KEPT) && !one.matches(NOT));
const typed = (form) => form.matches("[method=post]:not([data-compose])") && fields(form).some((one) => one.type !== "hidden");
const toggles = (one) => one.type === "checkbox" || one.type === "radio";
const where = (form) => form.getAttribute("action");

function read() {
  return JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
}

function write(all) {
  if (Object.keys(all).length) sessionStorage.setItem(NAME, JSON.stringify(all));
  else sessionStorage.removeItem(NAME);
}

function keep(form, waits = false) {
  if (!typed(form)) return;
  const said = fields(form).map((one) => [one.name, one.value, one.checked]);
  write({ ...read(), [where(form)]: { who: document.body.dataset.who, said, waits } });
}

function put(form, { said }) {
  for (const one of fields(form)) {
    const found = said.findIndex(([name, value]) => name === one.name && (!toggles(one) || value === one.value));
    if (found < 0) continue;
    const [[, value, checked]] = said.splice(found, 1);
    if (toggles(one)) one.checked = checked;
    else if (!one.options || [...one.options].some((option) => option.value === value)) one.value = value;
  }
  form.prepend(document.querySelector("template[data-restored]").content.cloneNode(true));
  form.firstElementChild.scrollIntoView({ block: "center" });
  touched.add(form);
}

// A page that is no answer to the form (the login, or that something went wrong) leaves what was typed for later.
function arrive(root) {
  const all = read();
  const unanswered = root.querySelector("[data-unanswered]");
  for (const [action, one] of Object.entries(all)) {
    if (unanswered) one.waits = true;
    else if (!one.waits || one.who !== document.body.dataset.who) delete all[action];
  }
  for (const form of unanswered ? [] : root.forms) {
    const one = typed(form) && all[where(form)];
    if (one) put(form, one);
    if (one) delete all[where(form)];
  }
  write(all);
}

export function door() {
  return `/panel/login?${new URLSearchParams({ next: location.pathname + location.search, ended: "1" })}`;
}

export function leave() {
  if (over) return;
  for (const form of touched) if (form.isConnected) keep(form, true);
  location.assign(door());
}

export function forms(root) {
  arrive(root);
  root.addEventListener("input", ({ target }) => target.form && touched.add(target.form));
  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented) return;
    if (form.dataset.sent) return event.preventDefault();
    if (form.elements.once) form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, TWICE);
    over = where(form) === "/panel/logout";
    if (over) write({});
    else keep(form);
  });
}
