// Buttons that copy a text.
export function copying(root) {
  if (!navigator.clipboard) return; // only where the page came over TLS or from this machine
  for (const button of root.querySelectorAll("[data-copy][hidden]")) {
    const label = button.querySelector("span");
    const before = label.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = button.dataset.copied;
      setTimeout(() => (label.textContent = before), 2000);
    });
  }
}
