// The values of a moment, beside it: of the one that is pointed at, or that the arrow keys lead to.
const STEPS = {
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  Home: () => 0,
  End: () => Infinity,
};

export function pointing() {
  document.addEventListener("pointerover", (event) => show(event.target.closest?.(".moment")));
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".drawing:focus-visible")) show([...target.querySelectorAll(".moment")].at(-1));
  });
  document.addEventListener("focusout", () => show(null));
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(".drawing")) return;
    if (event.key === "Escape") show(null);
    if (!Object.hasOwn(STEPS, event.key)) return;
    event.preventDefault();
    const moments = [...event.target.querySelectorAll(".moment")];
    const to = STEPS[event.key](moments.findIndex((moment) => moment.matches(".chosen")));
    show(moments[Math.max(0, Math.min(to, moments.length - 1))]);
  });
}

export function plots(root) {
  for (const drawing of root.querySelectorAll(".drawing")) drawing.setAttribute("tabindex", "0");
}

function show(moment) {
  document.querySelectorAll(".tip").forEach((tip) => tip.remove());
  document.querySelectorAll(".moment.chosen").forEach((before) => before.classList.remove("chosen"));
  if (!moment) return;
  moment.classList.add("chosen");
  const plot = moment.closest(".plot");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.textContent = said(moment);
  plot.append(tip);
  const box = plot.getBoundingClientRect();
  const at = moment.querySelector("rect").getBoundingClientRect();
  const left = at.left + at.width / 2 - box.left;
  tip.style.top = `${at.top - box.top}px`;
  tip.style.left = `${Math.max(0, Math.min(left + 8, box.width - tip.offsetWidth))}px`;
}

function said(moment) {
  const title = moment.querySelector("title");
  moment.dataset.said ??= [when(moment.dataset.at), ...title.textContent.split("\n").slice(1)].join("\n");
  title.textContent = ""; // or the browser would show it as well
  return moment.dataset.said;
}

function when(at) {
  const form = { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(document.documentElement.lang, form).format(new Date(at * 1000));
}
