// The values of the moment that is pointed at, beside the pointer.
export function plots() {
  document.addEventListener("pointerover", (event) => {
    const moment = event.target.closest?.(".moment");
    document.querySelectorAll(".tip").forEach((tip) => tip.remove());
    if (!moment) return;
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
  });
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
