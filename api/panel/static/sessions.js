// Days of a transcript as they are where its reader is; without this they are those of UTC.
import { day } from "./days.js";

const list = document.querySelector("[data-transcript]");
list.querySelectorAll(".day").forEach((one) => one.remove());
let before = "";
for (const bubble of list.querySelectorAll("[data-at-day]")) {
  const at = new Date(bubble.dataset.atDay * 1000);
  if (at.toDateString() !== before) bubble.before(day(at));
  before = at.toDateString();
}
