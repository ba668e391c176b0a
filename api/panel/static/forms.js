// Forms: a double click sends one once, and what was typed into one is not lost. It is kept in this tab, never what is
// secret, until the hub has answered that form, and put back where it was never answered, or where one comes back to it.
const NAME = "bothub typed";
const TWICE = 1000; // ms
const KEPT = "input, select, textarea";
const NOT = "[type=password], [type=file], [type=submit], [name=token]";
const touched = new Set();
let over = false; // they log out themselves

const fields = (form) => [...form.elements].filter((one) => one.name && one.matches(KEPT) && !one.matches(NOT));
const typed = (form) => form.matches("[method=post]:not([data-compose])") && fields(form).some((one) => one.type !== "hidden");
const toggles = (one) => one.type === "checkbox" || one.type === "radio";
const page = () => location.pathname + location.search;
const place = (form) => `${page()} ${form.getAttribute("action")}`; // pages about other things may have the same form
const path = (address) => decodeURIComponent(new URL(address, location).pathname);
const leads = (form, button) => path(button?.getAttribute("formaction") ?? form.getAttribute("action"));

function read() {
  return JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
}

function write(all) {
  if (Object.keys(all).length) sessionStorage.setItem(NAME, JSON.stringify(all));
  else sessionStorage.removeItem(NAME);
}

// `sentTo` is where a form goes of which nobody knows yet what became of it.
function keep(form, sentTo = null) {
  if (!typed(form)) return;
  const said = fields(form).map((one) => [one.name, one.value, one.checked]);
  write({ ...read(), [place(form)]: { who: document.body.dataset.who, said, sentTo } });
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

// The answer to a form that was sent may show it again: then its address becomes one that can be loaded again.
function answered(root, all) {
  const { answers, sentFrom } = root.body.dataset;
  for (const [where, { sentTo }] of Object.entries(all)) if (answers && sentTo === answers) delete all[where];
  if (!sentFrom) return;
  const again = [...root.forms].filter((form) => [null, ...form.elements].some((one) => leads(form, one) === answers));
  if (again.length) history.replaceState(history.state, "", sentFrom + location.hash);
  for (const form of again) touched.add(form);
}

function arrive(root) {
  const { who } = root.body.dataset;
  const all = read();
  for (const [where, one] of Object.entries(all)) if (who && one.who !== who) delete all[where];
  answered(root, all);
  const [{ type }] = performance.getEntriesByType("navigation");
  const back = type !== "navigate" || root.referrer === location.origin + page();
  for (const form of root.forms) {
    const one = !touched.has(form) && typed(form) && all[place(form)];
    if (!one || !(one.sentTo || back)) continue;
    delete all[place(form)];
    put(form, one);
  }
  write(all);
}

export function door() {
  return `/panel/login?${new URLSearchParams({ next: location.pathname + location.search, ended: "1" })}`;
}

export function leave() {
  if (over) return;
  for (const form of touched) if (form.isConnected) keep(form, leads(form));
  touched.clear();
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
    over = leads(form) === "/panel/logout";
    if (over) return write({});
    keep(form, leads(form, event.submitter));
    touched.delete(form);
  });
  addEventListener("pagehide", () => {
    if (!over) for (const form of touched) if (form.isConnected) keep(form);
  });
}
