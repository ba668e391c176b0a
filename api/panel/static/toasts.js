// Messages are read aloud when they come, not when they stand there from the start: so they come a moment later.
const SOON = 100; // ms

export function toasts(root) {
  for (const words of root.querySelectorAll(".toast[role] p")) {
    const said = words.textContent;
    words.textContent = "";
    setTimeout(() => (words.textContent = said), SOON);
  }
}
